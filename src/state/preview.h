/* Pictures of results that somebody waits for, or that could not be made: hash
 * `session:{session_id}:preview:{result_id}` with `status`, `job_id`, `task_id`, `worker` and `error_code`;
 * set `session:{session_id}:previews` of these keys. Both end minutes after they were last asked for, and
 * with the session. What was made is a file (files/storage.h), of which nothing is told here.
 *
 *     wanted → queued (by the enqueuing of a task) → processing → completed or failed
 *
 * It is about a result, not about a job, so that nothing of one attempt is said of another; and about all
 * sizes of its picture, so that one at a time is made in a job's folder: by the task that it names, which
 * alone may end it. Changes are published on
 * `decant:preview:{result_id}`. A worker is named as long as it has the folder open: closing the session
 * waits for it as for those that hold jobs. */
#pragma once

#include "state/job.h"

/* {"session_id", "job_id", "size"} */
#define TASK_PREVIEW "decant.preview"

enum preview_status {
    PREVIEW_WANTED, /* nobody has enqueued a task yet: whoever hears this does */
    PREVIEW_QUEUED,
    PREVIEW_PROCESSING,
    PREVIEW_COMPLETED,
    PREVIEW_FAILED,
    PREVIEW_CANCELLED, /* its session is being closed, its job removed, or an operator has revoked the task */
};
const char *preview_status_name(enum preview_status status);

/* Pictures are made in a few sizes only: the largest that is no more than `size`; 0 when there is none. */
enum { PREVIEW_SIZE_MIN = 64, PREVIEW_SIZE_MAX = 1024, PREVIEW_SIZE_USUAL = 512 };
unsigned preview_size(uint64_t size);

/* The picture isn't there, and somebody waits for it. What is under way or has failed is told; else it is
 * wanted from now on. `again`: also when one was completed (another size was, or the file is lost). err
 * -ENOENT: the session or the job is gone. `code` is that of the failure, else "". */
typedef void preview_fn(void *arg, int err, enum preview_status status, const char *code);
void preview_want(struct redis *r, const char *session_id, const char *job_id, const char *result_id,
                  bool again, preview_fn *fn, void *arg);

/* A worker begins with that task: err -ENOENT when nobody waits any more, or the session is gone; -ECANCELED
 * when it is done, another task is at it, or the session is being closed. */
void preview_take(struct redis *r, const char *session_id, const char *result_id, const char *task_id,
                  const char *worker, redis_reply_fn *fn, void *arg);

/* For scripts of the queue that touch it in the same breath; the states in which a task may end; and the set
 * of those that wait or are under way (queue_enqueue). */
#define PREVIEW_KEY_MAX (sizeof "session::preview:" + ID_TOKEN_LEN + ID_UUID_LEN)
void preview_key(char ret[PREVIEW_KEY_MAX], const char *session_id, const char *result_id);
#define PREVIEW_OPEN      "wanted queued processing cancelled"
#define PREVIEW_CROWD_MAX (sizeof "session::previewing" + ID_TOKEN_LEN)
void preview_crowd(char ret[PREVIEW_CROWD_MAX], const char *session_id);
#define PREVIEW_CHANNEL_PREFIX "decant:preview:"
#define PREVIEW_CHANNEL_MAX    (sizeof PREVIEW_CHANNEL_PREFIX + ID_UUID_LEN)
