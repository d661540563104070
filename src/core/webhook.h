/* The rules of webhooks, with no Redis and no network in them: where one may go, how it is signed, and when
 * it is tried again. Format and signature are those of Standard Webhooks
 * (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md). docs/webhooks.md is
 * what receivers see. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEBHOOK_URL_MAX = 2048,
    WEBHOOK_HOST_MAX = 253,
    WEBHOOK_SECRET_LEN = 6 + 44,    /* "whsec_" and 32 bytes in base64 */
    WEBHOOK_SIGNATURE_LEN = 3 + 44, /* "v1," and 32 bytes in base64 */
};

struct webhook_place {
    char host[WEBHOOK_HOST_MAX + 1]; /* in lower case; an IPv6 address without its brackets */
    unsigned port;
};

/* "https://HOST[:PORT][/…]" and nothing but what every reader of URLs takes for the same: no user, no
 * fragment, no character that would have to be escaped. -EINVAL for another one. */
int webhook_url_parse(const char *url, struct webhook_place *ret) _warn_unused_;

/* Is it the name of a host, or an address, as `hosts` below has them? */
bool webhook_host_valid(const char *host);

/* May an account to which `hosts` (with blanks between, in lower case) were allowed have its webhooks sent to
 * `url`, by a courier that connects to `ports` (core/sentinels.h)? -EINVAL: it is no such URL; -EACCES: it
 * may not; `ret_why` is then a constant sentence. */
int webhook_url_allowed(const char *hosts, const char *ports, const char *url,
                        const char **ret_why) _warn_unused_;

/* sodium_init() has been called. */
void webhook_secret_new(char ret[WEBHOOK_SECRET_LEN + 1]);
/* The value of webhook-signature: HMAC-SHA-256 over "id.timestamp.body". -EINVAL when `secret` is none. */
int webhook_sign(const char *secret, const char *id, uint64_t timestamp_s, const char *body, size_t len,
                 char ret[WEBHOOK_SIGNATURE_LEN + 1]) _warn_unused_;

/* How long to wait after so many attempts (1 and up) that failed; 0: no further one. `random` spreads those
 * that failed together over a fifth of it. All waits together are about a day. */
uint64_t webhook_delay_ms(unsigned attempts, uint32_t random);
