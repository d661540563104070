/* Download tokens: hash `download_token:{token}` with `session_id`, `job_id`, `file_path`, `filename`,
 * `mime_type`, `expires_at`, which Redis expires, never later than the session. The sorted set
 * `session:{session_id}:tokens` (by expiry) remembers them, so that closing revokes them. */
#pragma once

#include "core/id.h"
#include "state/redis.h"

#include <stdint.h>

/* A session has at most so many at a time: another one ends the one that would expire first. */
enum { TOKENS_MAX = 1000 };

struct token {
    const char *token, *session_id, *job_id;
    const char *file_path; /* below the storage root */
    const char *filename;  /* for the person who downloads */
    const char *mime_type, *expires_at;
};

/* err -ENOENT: no such token (any more). The view lives during the callback. */
typedef void token_fn(void *arg, int err, const struct token *token);

/* Makes a token for a completed job. err: -ENOENT no such job or session, -EBUSY it is not completed.
 * `filename` is computed by the caller. */
void token_create(struct redis *r, const char *session_id, const char *job_id, const char *filename,
                  uint64_t ttl_s, token_fn *fn, void *arg);
/* -ENOENT also when the session is gone or closing, or the job has not just that file as its result. */
void token_load(struct redis *r, const char *token, token_fn *fn, void *arg);
