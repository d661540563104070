/* What the worker's log says of a conversion that is over: a line for the operator, and one for the audit
 * when the scanner or the sandbox has decided something. */
#pragma once

#include "worker/conversion.h"

/* `job_id` is "" for a file without a job. */
void outcome_log(const char *job_id, const char *task_id, const char *trace_id,
                 const struct catalogue_route *route, const struct conversion_report *report);
