/* What POST /cancel does to a job, for others that need it stopped. */
#pragma once

#include "api/api.h"

/* Calls off the task of a job that waits or is under way; `fn` as with queue_cancel(). */
void cancel_task(struct api *api, const char *session_id, const char *job_id, const char *task_id,
                 queue_fn *fn, void *arg);
