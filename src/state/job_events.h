/* What happened to the jobs of a session, in order: for clients that follow all of them (GET /events).
 *
 * An event says that what clients can see of a job has changed, and shows its state; a state that nobody
 * looked at is left out. The last event of a job that was removed says that, for an hour. Its id is a number
 * that only grows within the session, whichever process asks: hash `session:{session_id}:events` has the last
 * event of each job, the sorted sets `…:numbers` and `…:gone` the jobs that are there, and those that were
 * removed, by these numbers. They expire with the session. */
#pragma once

#include "state/job.h"

struct job_event {
    uint64_t id;
    bool removed;   /* job_remove(): of the job its id is set alone */
    struct job job; /* as job_load_shown() gives it */
};

/* Lives during the callback. */
struct job_events {
    uint64_t expires_ms; /* the session's end, on the clock of clock_real_ms() */
    uint64_t last;       /* the highest id so far; 0: there was none yet */
    bool more;           /* there are more than these */
    size_t n;
    const struct job_event *events; /* by id */
};

/* err: 0; -ENOENT when the session has ended; else as in redis.h. */
typedef void job_events_fn(void *arg, int err, const struct job_events *events);

enum { JOB_EVENTS_CHANGED_MAX = 64 };
/* Looks at the jobs in `changed` (NULL-terminated, at most JOB_EVENTS_CHANGED_MAX; NULL: at all of the
 * session), and gives the events after `since`, the last one of each job. */
void job_events_load(struct redis *r, const char *session_id, uint64_t since, const char *const changed[],
                     job_events_fn *fn, void *arg);
