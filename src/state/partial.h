/* Uploads that come in pieces (api/tus.c), from their announcement until they have become jobs:
 *
 *     session:{session_id}:files:{id}   hash: the fields of struct partial
 *     session:{session_id}:files        zset: their ids, by when they expire (ms)
 *     session:{session_id}:refused      hash: id → why what has come was refused
 *
 * The id is that of the job to be. How much has come is not here: the file says it. From its announcement on
 * it counts as a job of its session, and its whole length as stored (stored.h); the job takes both over. All
 * three keys expire with the session; what expires sooner is found no more, and forgotten by session_kept().
 */
#pragma once

#include "state/job.h"

#define PARTIAL_PROVED UINT64_MAX

/* Strings live during the callback. */
struct partial {
    const char *session_id, *id, *filename, *format, *stored_path, *created_at;
    const char *metadata; /* as the client has sent it */
    uint64_t length, expires_ms;
    /* Bytes of the file that are sure: what stands behind them came with a checksum that is not compared yet.
     * PARTIAL_PROVED: all. */
    uint64_t proved;
    /* of one that was refused */
    const char *code, *detail;
};

/* Announces it; `proved` doesn't matter. Told is when it expires: as `p` says, or with the session. err as of
 * job_create(). */
typedef void partial_created_fn(void *arg, int err, uint64_t expires_ms);
void partial_create(struct redis *r, const struct partial *p, const struct job_quota *quota,
                    partial_created_fn *fn, void *arg);

/* err -ENOENT: none of that id in this session; -EEXIST: it is a job now; -ECANCELED: it was refused: `p` has
 * its length, code and detail. */
typedef void partial_fn(void *arg, int err, const struct partial *p);
/* `word`: told on the way to whoever watches the id (job_watch_add): another one is about to write; NULL:
 * nothing. */
void partial_find(struct redis *r, const char *session_id, const char *id, const char *word, partial_fn *fn,
                  void *arg);
/* err -ENOENT: there is none of that id. */
void partial_set_proved(struct redis *r, const char *session_id, const char *id, uint64_t proved,
                        redis_reply_fn *fn, void *arg);
/* It is no more, and what was kept free for it is free. `code` and `detail`: why it was refused, to be told
 * for as long as the session lasts; NULL: it is given up. err -ENOENT: there is none of that id. */
void partial_end(struct redis *r, const char *session_id, const char *id, uint64_t length, const char *code,
                 const char *detail, redis_reply_fn *fn, void *arg);
