/* Rate limits by class of route: how often a client, by each of its names, may ask.
 *
 * Redis holds the buckets (state/rate.h), so all server processes count together. One script takes from all
 * buckets of a request, and is asked in the same turn as for the session. Calls that cost little themselves
 * (reading a status, a page) take a handful of units at once and use them up here: asking for each would cost
 * as much as what it protects. A refusal is remembered here for as long as it says, a second at most. So a
 * bucket of such a class may be overdrawn by no more than a handful for each client and loop. */
#pragma once

#include "api/client.h"
#include "core/settings.h"
#include "http/http.h"
#include "state/rate.h"

enum limit_class {
    LIMIT_NONE, /* what costs less than counting it */
    LIMIT_SESSION,
    LIMIT_UPLOAD,
    LIMIT_CONVERT,
    LIMIT_READ,
    LIMIT_DOWNLOAD,
    LIMIT_LOGIN,
    LIMIT_GUESS, /* of a password: no route is of it, auth_guess.h */
    LIMIT_PAGE,
    LIMIT_CLASSES
};

struct limits {
    struct rate of[LIMIT_CLASSES][CLIENT_KINDS];
};

/* "off", or COUNT/PERIOD[:BURST] with the period s, m, h or d: for every kind of client; or one for each
 * kind, as in "session=600/m:300 address=3000/m". A burst that is not given is the count. -EINVAL for all
 * else. */
int limits_parse(const char *text, struct rate ret[CLIENT_KINDS]) _warn_unused_;
/* From the DECANT_RATE_… settings. On -EINVAL `ret_variable` is the name of the one that is malformed. */
int limits_load(const struct settings *settings, struct limits *ret, const char **ret_variable) _warn_unused_;

/* "session", "upload", … */
const char *limiter_class_name(enum limit_class limit);

struct limiter; /* one for each loop */

struct limiter *limiter_new(struct redis *redis, const struct limits *limits);
/* After its connection. NULL is fine. */
void limiter_free(struct limiter *l);

/* How many times the rates whoever goes by this name has, when it was last told here: 1 where it never was. A
 * client's plan is known only when Redis has answered, and its limits are asked for in the same turn. */
uint64_t limiter_factor(const struct limiter *l, const char *name);
void limiter_set_factor(struct limiter *l, const char *name, uint64_t factor);

struct limit_verdict {
    bool granted;
    bool counted; /* false: no limit is set, nothing is to be told of it */
    enum limit_class limit;
    enum client_kind kind; /* by which of the client's names it is nearest to a limit, or past it */
    struct rate rate;
    uint64_t remaining, reset_ms, retry_ms;
};

/* True: the verdict is known without Redis. Else limiter_ask. */
bool limiter_knows(struct limiter *l, enum limit_class limit, const struct client_names *client,
                   struct limit_verdict *ret);
/* Is it known here that this client is refused now? Takes nothing. */
bool limiter_refuses(struct limiter *l, enum limit_class limit, const struct client_names *client,
                     struct limit_verdict *ret);
/* err: as in redis.h; `verdict` only where it is 0. `client` is used up when this returns. */
typedef void limiter_fn(void *arg, int err, const struct limit_verdict *verdict);
void limiter_ask(struct limiter *l, enum limit_class limit, const struct client_names *client, limiter_fn *fn,
                 void *arg);

/* What the client has used up of its limits is given back, a moment later. */
void limiter_forget(struct limiter *l, enum limit_class limit, const struct client_names *client);

/* The fields RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10), and RateLimit-Limit,
 * -Remaining and -Reset, which its first versions had and most clients know. A bucket is told as its size and
 * the time in which it is filled. */
void limiter_tell(struct http_request *req, const struct limit_verdict *verdict);
