/* Single sign-on in Redis: what the API and the courier have to tell each other, since the one knows the
 * browsers and the other may ask the provider. Values are JSON, and all of it expires.
 *
 *     decant:oidc:provider       where browsers log in, by the courier, which renews it; an hour
 *     decant:oidc:login:{hash}   a login under way: of whom the state AND the browser's cookie are known, as
 *                                the hash is over both; ten minutes, and taken by whoever comes first
 *     decant:oidc:requests       list: codes that the courier is to exchange; half a minute
 *     decant:oidc:answer:{id}    what it has found out; a minute
 *     decant:oidc                channel: there are requests
 *
 * A code is good for seconds, once, and for nobody without the verifier and, mostly, the client's secret. */
#pragma once

#include "core/id.h"
#include "state/account.h"
#include "state/redis.h"

#define OIDC_CHANNEL "decant:oidc"

enum {
    OIDC_LOGIN_TTL_S = 600,
    OIDC_PATIENCE_MS = 15000, /* with the courier */
    OIDC_PROVIDER_TTL_S = 3600,
    OIDC_RETURN_MAX = 512,
    OIDC_CODE_MAX = 4096,
    OIDC_SUBJECT_MAX = 255, /* OpenID Connect Core, section 2 */
};

struct oidc_provider {
    const char *issuer, *authorization_endpoint;
    bool names_itself; /* in its answers to browsers: RFC 9207 */
};
typedef void oidc_provider_fn(void *arg, int err, const struct oidc_provider *provider);
void oidc_put_provider(struct redis *r, const struct oidc_provider *provider, redis_reply_fn *fn, void *arg);
/* -ENOENT: none is known, or it is another one than `issuer`. */
void oidc_get_provider(struct redis *r, const char *issuer, oidc_provider_fn *fn, void *arg);

struct oidc_login {
    char nonce[ID_TOKEN_LEN + 1], verifier[ID_TOKEN_LEN + 1]; /* RFC 7636: of PKCE */
    char return_to[OIDC_RETURN_MAX + 1];
};
typedef void oidc_login_fn(void *arg, int err, const struct oidc_login *login);
void oidc_put_login(struct redis *r, const char *state, const char *browser, const struct oidc_login *login,
                    redis_reply_fn *fn, void *arg);
/* Once. `state` and `browser` may be anything that a client sent. -ENOENT. */
void oidc_take_login(struct redis *r, const char *state, const char *browser, oidc_login_fn *fn, void *arg);

struct oidc_request {
    const char *id; /* a UUID */
    const char *code, *verifier, *nonce;
};
typedef void oidc_request_fn(void *arg, int err, const struct oidc_request *request);
void oidc_ask(struct redis *r, const struct oidc_request *request, redis_reply_fn *fn, void *arg);
/* For the courier: one that somebody still waits for. -ENOENT: there is none; -EAGAIN: this one is of no use,
 * and there may be more. */
void oidc_take_request(struct redis *r, oidc_request_fn *fn, void *arg);

enum oidc_verdict {
    OIDC_PROVED,
    OIDC_REFUSED,     /* the provider doesn't take the code, or its token proves nothing */
    OIDC_UNREACHABLE, /* the provider */
};
struct oidc_answer {
    enum oidc_verdict verdict;
    const char *subject,
        *name;        /* "" where it isn't OIDC_PROVED; `name` may be none that an account can have */
    const char *plan; /* "": the provider doesn't decide on it */
};
typedef void oidc_answer_fn(void *arg, int err, const struct oidc_answer *answer);
void oidc_put_answer(struct redis *r, const char *id, const struct oidc_answer *answer, redis_reply_fn *fn,
                     void *arg);
/* -ENOENT: not yet. */
void oidc_take_answer(struct redis *r, const char *id, oidc_answer_fn *fn, void *arg);
