/* Jobs that end at a time of their own, and not with their session (an account's space has no end): zset
 * `decant:kept` of "{session_id}/{job_id}" by that time. job_create() adds to it, and job_remove() takes
 * away. Such a job's hash outlasts its time by a month, as workers may be away when it comes. */
#pragma once

#include "core/id.h"
#include "state/redis.h"

#define JOB_KEPT_KEY "decant:kept"

enum { JOB_KEPT_MAX = 64 };

struct job_kept {
    char session_id[ID_TOKEN_LEN + 1], job_id[ID_UUID_LEN + 1];
};

/* Those whose time has come, JOB_KEPT_MAX at most, from the `skip`th on. The array lives during the
 * callback. */
typedef void job_kept_fn(void *arg, int err, const struct job_kept *jobs, size_t n);
void job_kept_due(struct redis *r, size_t skip, job_kept_fn *fn, void *arg);
/* It is kept for so long from now on instead; one that is not among them stays as it is. */
void job_kept_extend(struct redis *r, const struct job_kept *job, uint64_t keep_s, redis_reply_fn *fn,
                     void *arg);
/* It is no job any more, or ends with its session. */
void job_kept_forget(struct redis *r, const struct job_kept *job, redis_reply_fn *fn, void *arg);
