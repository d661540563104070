/* The table of job.c for others who read jobs in bulk. Private to this folder. */
#pragma once

#include "state/job.h"

enum { JOB_FIELDS_MAX = 40 };

/* The names in the order of the table, and for each a '1', or a '0' for what no client sees. Returns how
 * many. */
size_t job_fields(const char *ret_names[JOB_FIELDS_MAX], char ret_loud[JOB_FIELDS_MAX + 1]);

/* From HMGET of all fields in the order of the table, which stand in `reply` from index `first` on. -ENOENT:
 * there is no such job. */
int job_parse(struct job *job, const redisReply *reply, size_t first);

const char *session_channel(char ret[SESSION_CHANNEL_MAX], const char *session_id);
