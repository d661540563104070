#include "state/job_leave.h"

#include "state/job.h"
#include "state/job_leave.lua.h"

static struct redis_script script = {.name = "job_leave", .text = job_leave_lua};

void job_leave(struct redis *r, const char *session_id, const char *job_id, const char *task_id,
               const char *worker, redis_reply_fn *fn, void *arg)
{
    char key[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX];

    job_key(key, session_id, job_id);
    snprintf(channel, sizeof channel, JOB_CHANNEL_PREFIX "%s", job_id);
    redis_eval(r, &script, 1, REDIS(key, worker, channel, task_id), fn, arg);
}
