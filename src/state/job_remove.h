/* The end of one job while its session goes on: its hash, its places in the session's sets, its links, the
 * records of its pictures and webhooks and its share of the stored bytes, in one script. Its files are the
 * caller's to remove, after that: a folder without a job is removed by the janitor (worker/janitor.h), should
 * the caller not come to it. */
#pragma once

#include "state/job.h"

struct job_removal {
    const char *session_id, *job_id;
    bool again;   /* it was begun: the job may be gone already, and its pictures are waited for */
    bool expired; /* nobody asked for it: its webhooks are told all the same, and kept for their own time */
    bool held;    /* workers that are said to have the job's folder open are waited for no longer */
};

/* err: 0 it is gone, and its folder nobody's. -ENOENT: there is none of that id in this session.
 * -ETXTBSY: another job that waits or is under way needs its file; nothing was changed. -EBUSY: it waits or
 * is under way itself; nothing was changed, and `task_id` is to be called off first (queue_cancel).
 * -EINPROGRESS: a worker that was told to stop is still at it, or at one of its pictures: to be repeated,
 * `again`. Else as in redis.h. */
typedef void job_remove_fn(void *arg, int err, const char *task_id);
void job_remove(struct redis *r, const struct job_removal *removal, job_remove_fn *fn, void *arg);
