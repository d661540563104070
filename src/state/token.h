/* Download tokens: hash `download_token:{token}` with `session_id`, `job_id`, `file_path`, `filename`,
 * `mime_type`, `expires_at`, which Redis expires, never later than the session. The sorted set
 * `session:{session_id}:tokens` (by expiry) remembers them, so that closing revokes them.
 *
 * A link to many results at once has `results` in place of `job_id`, `file_path` and `mime_type`: for each
 * the job's id and the last component of its path, with a slash between, and blanks between them. It is no
 * link to one, nor the other way round. */
#pragma once

#include "core/id.h"
#include "state/redis.h"

#include <stdint.h>

/* A session has at most so many at a time: another one ends the one that would expire first. */
enum { TOKENS_MAX = 1000, TOKEN_RESULTS_MAX = 100 };

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
/* -ENOENT also when the session is gone or closing, or of an account that is disabled, or the job has not
 * just that file as its result. */
void token_load(struct redis *r, const char *token, token_fn *fn, void *arg);

/* --- of many results, which are downloaded as one archive */

struct token_result {
    const char *job_id;
    const char *file_path;         /* below the storage root */
    const char *original_filename; /* of what was uploaded */
};

/* Views that live during the callback. */
struct token_archive {
    const char *token, *session_id, *filename, *expires_at;
    const struct token_result *results;
    size_t n;
};

/* `job`: the index of the one that `err` is about. */
typedef void token_archive_fn(void *arg, int err, size_t job, const struct token_archive *archive);

/* Makes a token for the results of `n` jobs, 1 to TOKEN_RESULTS_MAX. err as above. Of the archive it tells
 * the token and when that expires. */
void token_create_archive(struct redis *r, const char *session_id, const char *const job_ids[], size_t n,
                          const char *filename, uint64_t ttl_s, token_archive_fn *fn, void *arg);
/* All but when it expires. -ENOENT as above, for any of the results. */
void token_load_archive(struct redis *r, const char *token, token_archive_fn *fn, void *arg);
