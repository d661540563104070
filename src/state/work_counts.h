/* What all workers have counted, together: hash `decant:counts`, which only grows. A worker has no socket
 * that could be asked, and comes and goes; so each tells Redis what it has counted since its start, every few
 * seconds, and one script adds what is new since it last told. `decant:counts:{worker}` remembers what that
 * was: to tell something twice, when an answer was lost, adds it once. What a worker counted after it last
 * told is lost with it when it is killed. A counter never falls but when Redis has lost its data.
 *
 * A field is the family's id, its labels' values and, of a histogram, the bucket's number or "sum", with a
 * blank between: "jobs pdf pdf png ok", "run pdf pdf png 3". */
#pragma once

#include "core/histogram.h"
#include "state/redis.h"

enum work_family {
    WORK_JOBS,
    WORK_WAIT,
    WORK_RUN,
    WORK_CPU,
    WORK_MEMORY,
    WORK_TASKS,
    WORK_PREVIEWS,
    WORK_KILLS,
    WORK_RESTARTS,
    WORK_WEBHOOKS,
    WORK_VERDICTS,
    WORK_SCAN,
    WORK_REDIS,
    WORK_REDIS_FAILED,
    WORK_FAMILIES
};

struct work_family_info {
    const char *id;
    const char *name, *help;             /* as GET /metrics has them */
    const char *labels;                  /* their names, with blanks between */
    const struct histogram_scale *scale; /* NULL: a counter, in … */
    double unit;                         /* … this much of what is shown for each one counted */
};
extern const struct work_family_info work_families[WORK_FAMILIES];

enum { WORK_FIELD_MAX = 128, WORK_TOLD_MAX = 500 };

struct work_count {
    const char *field;
    uint64_t value; /* since the worker's start */
};

/* At most WORK_TOLD_MAX counts. May be repeated. */
void work_counts_tell(struct redis *r, const char *worker, const struct work_count *counts, size_t n,
                      redis_reply_fn *fn, void *arg);

/* The answer is a flat list of fields and values, as HGETALL has them; whoever writes to Redis writes there.
 */
void work_counts_load(struct redis *r, redis_reply_fn *fn, void *arg);
