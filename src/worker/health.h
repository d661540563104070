/* Tells Redis every few seconds how this worker is (state/worker_info.h): its engines and their sandbox, the
 * scanner, the load; and what it has counted. */
#pragma once

#include "core/settings.h"
#include "engine/client.h"
#include "state/redis.h"
#include "worker/claimer.h"
#include "worker/scanner.h"
#include "worker/shares.h"

struct health_config {
    uv_loop_t *loop;
    const struct settings *settings;
    struct redis *redis;
    struct engine_pool *engines;
    struct scanner *scanner;
    const struct claimer *claimer;
    const struct shares *shares;
    struct counters *counters;
    const char *worker;
};

struct health;

/* Borrows all that `config` names. */
int health_new(const struct health_config *config, struct health **ret) _warn_unused_;
/* Something has changed: tells it now. */
void health_tell(struct health *h);
/* What was told is taken back; `fn` is called when that is so, or can't be. The loop must turn once more. */
void health_free(struct health *h, redis_reply_fn *fn, void *arg);
