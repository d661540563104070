/* The removal of one job, for whatever handler is asked for it. */
#pragma once

#include "api/api.h"

/* Ends the call: 200 {"job_id", "deleted"} when nothing of that job of the call's session is left, its
 * process, files and links included; 404, also for an id of any other form. `job_id` lives as long as the
 * request. */
void api_reply_removed(struct api_call *call, const char *job_id);

/* Ends the call: 204 when nothing is left of the job of the path's id, or of the upload that was to become
 * it; `unknown` where there is neither. */
void api_reply_path_removed(struct api_call *call, enum api_error unknown, const char *detail);
