/* A worker lets go of a job that went its own way: field `worker` of the job's hash is emptied. */
#pragma once

#include "state/redis.h"

/* Only if the hash is still there, names `worker`, and has no other task by now than `task_id`: else somebody
 * else has it, and nothing is changed. Publishes, as closing the session may wait for this. */
void job_leave(struct redis *r, const char *session_id, const char *job_id, const char *task_id,
               const char *worker, redis_reply_fn *fn, void *arg);
