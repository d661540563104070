/* The courier's way out: HTTPS requests to strangers, by libcurl on the loop.
 *
 * The name is resolved once, here. When one of its addresses is neither public (networks_is_public) nor in
 * the operator's networks, nothing is connected; else curl gets these addresses, and each one that it is
 * about to connect to is looked at again. TLS is verified against the name. There are no redirects, no
 * proxies (those of the environment neither), no cookies, no other protocol; every connection is for one
 * request. What is answered is read up to FETCH_ANSWER_MAX. */
#pragma once

#include "core/cleanup.h"
#include "core/networks.h"

#include <stdint.h>
#include <uv.h>

enum {
    FETCH_ANSWER_MAX = 64 * 1024,
    FETCH_RESOLVE_MS = 10000,
    FETCH_CONNECT_MS = 10000, /* TLS included */
    FETCH_TIMEOUT_MS = 20000, /* from then on, the connection included */
};

struct fetch_config {
    uv_loop_t *loop;
    const struct networks *networks; /* that may be reached besides the public ones; borrowed */
    const char *ca_file;             /* whose certificates are believed */
};

struct fetch_request {
    const char *url;            /* webhook_url_parse() takes it */
    const char *const *headers; /* "Name: value", NULL-terminated */
    const char *body;           /* of a POST; NULL: GET */
    size_t body_len;
};

/* `status` is 0 when no answer came; then `error` says why, in a sentence for the operator. It is "" when the
 * answer is complete. An answer that is too long, or that stops, has both: its beginning is in `body`. */
struct fetch_answer {
    long status;
    const char *error; /* a constant */
    const char *body;  /* with a NUL behind it; during the callback */
    size_t body_len;
};
typedef void fetch_fn(void *arg, const struct fetch_answer *answer);

struct fetcher;
struct fetch;

/* curl_global_init() has been called. -ENOMEM, or what libuv says. */
int fetcher_new(const struct fetch_config *config, struct fetcher **ret) _warn_unused_;
/* What is under way ends without its callback. The loop must turn once more. NULL is fine. */
void fetcher_free(struct fetcher *f);

/* Copies what is in `request`. `fn` is called once, never before this returns. -ENOMEM: it isn't. */
int fetch_start(struct fetcher *f, const struct fetch_request *request, fetch_fn *fn,
                void *arg) _warn_unused_;
