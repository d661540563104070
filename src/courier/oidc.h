/* The back channel of single sign-on (OpenID Connect, the authorization code flow): what the provider says of
 * itself (Discovery 1.0) and its keys, and codes that the API was given, which become somebody's name here.
 * state/oidc.h is how the API and this one talk; docs/accounts.md is what operators see.
 *
 * The provider is asked anew every ten minutes; its keys besides whenever a token names one that isn't known,
 * a few times a minute at most, as anybody can have a login fail. */
#pragma once

#include "core/settings.h"
#include "courier/fetch.h"
#include "state/redis.h"

struct oidc_config {
    uv_loop_t *loop;
    const struct settings *settings;
    struct redis *redis;
    const struct redis_config *redis_config; /* for a subscription */
    struct fetcher *fetcher;
    const char *client_secret; /* NULL: a public client */
};

struct oidc;

/* Borrows all that `config` names. */
int oidc_new(const struct oidc_config *config, struct oidc **ret) _warn_unused_;
/* Takes nothing more; `fn` is called when nothing is under way, perhaps at once. */
void oidc_stop(struct oidc *o, void (*fn)(void *arg), void *arg);
/* After that, or without it once nobody calls back: fetcher and Redis have been freed. NULL is fine. */
void oidc_free(struct oidc *o);
