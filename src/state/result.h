/* Which results a session has: hash `session:{session_id}:results` (fingerprint of a conversion → the job
 * that was started with it) and `session:{session_id}:made` (zset: fingerprint by when that was). Both end
 * with the session. What a fingerprint is of, its maker knows (api/reuse.h); the job has it too, in its field
 * `fingerprint`, and that one counts: a job may have been tried again with something else. */
#pragma once

#include "state/job.h"

enum { RESULT_FINGERPRINT_LEN = 64, RESULT_MOST = 1000 /* of a session */ };

/* err -ENOENT: nothing of that fingerprint was started in the last `max_age_s` seconds. `job_id` lives during
 * the callback. */
typedef void result_find_fn(void *arg, int err, const char *job_id);
void result_find(struct redis *r, const char *session_id, const char *fingerprint, uint64_t max_age_s,
                 result_find_fn *fn, void *arg);
/* That job is the one from now on. */
void result_note(struct redis *r, const char *session_id, const char *fingerprint, const char *job_id,
                 uint64_t max_age_s);

struct result_copy {
    const char *session_id;
    const char *job_id;            /* gets the result, */
    const char *source, *path;     /* that this job has, at this path */
    const char *const *fields;     /* what else becomes of it: name, value, …, NULL; 64 strings at most */
    uint64_t size;                 /* of the copy */
    const struct job_quota *quota; /* of which the bytes count */
};
/* A job that is uploaded has been completed, with a copy of another one's result. Publishes. err -ENOENT: the
 * session is gone; -ECANCELED: the job is; -EBUSY: it was started; -ESTALE: the other one has no such result
 * any more; -EFBIG: there is no room. */
void result_reuse(struct redis *r, const struct result_copy *copy, redis_reply_fn *fn, void *arg);
