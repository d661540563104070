/* A job as clients see it: the object of GET /job_status, of the events and of webhooks. */
#pragma once

#include "core/buf.h"
#include "state/job.h"

enum { JOB_JSON_BYTES = 1000 /* about */, JOB_JSON_BYTES_MAX = 64 * 1024 };

void job_json_write(struct buf *out, const struct job *job);
/* The extension of a completed job's result, inside the job. */
const char *job_output_extension(const struct job *job);
