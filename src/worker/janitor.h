/* Keeps the storage in step with Redis, whose expiry ends sessions and jobs. Of all workers one at a time
 * does it, by a lease; each step bears being done twice, and one that fails is done in a later round.
 *
 *     every round       jobs whose time is over are ended (retirement.h); folders of sessions that Redis no
 *                       longer knows are removed; a closing that was cut short is finished
 *     some rounds, too  in sessions that are open: folders without a job are removed, when nothing has
 *                       changed in them for a minute (an upload is named before its job is known); jobs
 *                       without a folder have failed; what a worker that died has left in the folder of a
 *                       job that has ended is removed, also after a minute. What broken uploads have left
 *                       is removed.
 *
 * Nothing is removed unless Redis has answered that it does not know it. */
#pragma once

#include "files/storage.h"
#include "state/redis.h"

#include <uv.h>

struct janitor_config {
    uv_loop_t *loop;
    struct redis *redis;
    struct storage *storage;
    const char *owner;  /* the worker's id */
    uint64_t every_ms;  /* JANITOR_EVERY_MS, but for tests */
    unsigned thorough;  /* each such round is a thorough one, and the first; JANITOR_THOROUGH */
    uint64_t settled_s; /* JANITOR_SETTLED_S */
};

enum { JANITOR_EVERY_MS = 15000, JANITOR_THOROUGH = 40, JANITOR_SETTLED_S = 60 };

struct janitor;

/* Borrows what `config` names. */
int janitor_new(const struct janitor_config *config, struct janitor **ret) _warn_unused_;
typedef void janitor_fn(void *arg);
/* Ends what it is doing, soon; then `fn` is called, and nothing of it is left. */
void janitor_free(struct janitor *j, janitor_fn *fn, void *arg);
