/* Ends jobs that are kept for a time of their own when it is over (state/job_kept.h): with the same script as
 * a client who deletes one, then their files. One that waits or is under way is left until it has ended.
 * A part of the janitor's round. */
#pragma once

#include "files/storage.h"
#include "state/redis.h"

#include <stdbool.h>
#include <uv.h>

struct retirement;

/* `jobs`: how many have been ended. */
typedef void retirement_fn(void *arg, int err, unsigned jobs);
/* Asked before each job: true ends it with -ECANCELED. */
typedef bool retirement_over_fn(void *arg);
/* Calls `fn` once, later, when all that is due has been looked at, or something has failed. Borrows all. */
int retirement_begin(uv_loop_t *loop, struct redis *redis, struct storage *storage, retirement_over_fn *over,
                     retirement_fn *fn, void *arg) _warn_unused_;
