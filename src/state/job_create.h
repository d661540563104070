/* scripts/job_create.lua: what makes jobs, and what keeps room for those whose files come in pieces, by the
 * same quotas. Private to this folder. */
#pragma once

#include "state/job.h"
#include "state/redis.h"

struct job_create {
    const char *session_id, *id;
    const char *wanted; /* see the script */
    uint64_t size;
    uint64_t score_ms; /* in the index that it gets into */
    const struct job_quota *quota;
    const char *const *pairs; /* name, value, …, NULL; NULL: none */
};

void job_create_eval(struct redis *r, const struct job_create *c, redis_reply_fn *fn, void *arg);
/* Where is told what happens to it, by id. */
void job_channel(char ret[JOB_CHANNEL_MAX], const char *job_id);
