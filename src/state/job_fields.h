/* The table of job.c for others who read jobs in bulk. Private to this folder. */
#pragma once

#include "state/job.h"

enum { JOB_FIELDS_MAX = 48 };

enum job_view { JOB_WHOLE, JOB_SHOWN }; /* shown: what clients may see */

/* The names in the order of the table; returns how many. */
size_t job_fields(enum job_view view, const char *ret_names[JOB_FIELDS_MAX]);

/* From HMGET of these, which stand in `reply` from index `first` on. -ENOENT: there is no such job. */
int job_parse(struct job *job, enum job_view view, const redisReply *reply, size_t first);

const char *session_channel(char ret[SESSION_CHANNEL_MAX], const char *session_id);
