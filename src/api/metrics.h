/* What this process counts for GET /metrics; docs/metrics.md says what each is.
 *
 * Each loop counts for itself (core/histogram.h), so counting costs a handful of plain stores; whichever loop
 * is asked adds them up. */
#pragma once

#include "api/api.h"
#include "core/histogram.h"

/* One for each loop, in one block, for loops read each other's: it is freed after their threads have ended.
 */
struct metrics;

struct metrics_block;
int metrics_block_new(size_t n_loops, struct metrics_block **ret) _warn_unused_;
void metrics_block_free(struct metrics_block *b); /* NULL is fine */
struct metrics *metrics_of_loop(struct metrics_block *b, size_t i);

/* For the loop's connection: redis_measure(). */
struct redis_stats *metrics_redis(struct metrics *m);

/* http_config's hooks go here. */
void metrics_request(struct metrics *m, const struct http_request *req, unsigned status, uint64_t us);
void metrics_connection(struct metrics *m, bool admitted);
void metrics_connection_end(struct metrics *m);

void metrics_upload(struct metrics *m, const struct format *format, uint64_t bytes);
void metrics_download(struct metrics *m, uint64_t bytes);
/* `waited`: it was made for this request, or for one at the same time. */
void metrics_preview(struct metrics *m, bool waited);
/* A conversion was answered with a copy of a result. */
void metrics_reused(struct metrics *m);
enum login_outcome { LOGIN_SUCCEEDED, LOGIN_FAILED, LOGIN_LOCKED, LOGIN_BUSY, LOGIN_OUTCOMES };
void metrics_login(struct metrics *m, enum login_outcome outcome);
void metrics_error(struct metrics *m, enum api_error error);
/* A 429: by a rate, and then which name of the client was limited; or by how much there may be at once. */
void metrics_refused(struct metrics *m, enum limit_class limit, const struct limit_verdict *verdict);

/* The families of what workers have counted, from an answer of work_counts_load() (metrics_work.c). */
void metrics_write_work(struct buf *out, const redisReply *counts);
