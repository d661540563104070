/* Webhooks: watched jobs that have ended become deliveries (state/webhooks.h), and what is due is sent, a few
 * at a time. docs/webhooks.md says what receivers get.
 *
 * Nothing is remembered here but what is under way: all of it is in Redis. */
#pragma once

#include "core/settings.h"
#include "courier/fetch.h"
#include "state/redis.h"

struct deliveries_config {
    uv_loop_t *loop;
    const struct settings *settings;
    struct redis *redis;
    const struct redis_config *redis_config; /* for a subscription */
    struct fetcher *fetcher;
    const char *owner; /* unique: this courier */
};

struct deliveries;

/* Borrows all that `config` names. */
int deliveries_new(const struct deliveries_config *config, struct deliveries **ret) _warn_unused_;
/* Takes nothing more; `fn` is called when nothing is under way, perhaps at once. */
void deliveries_stop(struct deliveries *d, void (*fn)(void *arg), void *arg);
unsigned deliveries_running(const struct deliveries *d);
/* After that, or without it once nobody calls back: fetcher and Redis have been freed. NULL is fine. */
void deliveries_free(struct deliveries *d);
