/* What this worker has counted since its start, for GET /metrics (state/work_counts.h), and how fast it was
 * lately, for what POST /convert says of the wait. */
#pragma once

#include "state/work_counts.h"

#include <stdint.h>

struct counters;

/* Borrows both; counts the connection's commands, too. NULL without memory. */
struct counters *counters_new(struct redis *redis, const char *worker);
/* After the connection. NULL is fine. */
void counters_free(struct counters *c);

/* `labels`: values with blanks between, as the family wants them. These do nothing for NULL, and nothing is
 * counted of a series that there is no memory for. */
void counters_add(struct counters *c, enum work_family family, const char *labels, uint64_t n);
void counters_observe(struct counters *c, enum work_family family, const char *labels, uint64_t value);
/* Of what is counted elsewhere: all of it until now. */
void counters_set(struct counters *c, enum work_family family, const char *labels, uint64_t all);

struct counted_job {
    const char *engine; /* whose time it was for the most part: catalogue_route_engine() */
    const char *source, *target, *outcome;
    const char *kill, *killed;      /* why the sandbox ended it, and in which engine; NULL: it did not */
    uint64_t queue_ms, duration_ms; /* the former may be JOB_UNKNOWN */
    uint64_t cpu_ms, peak_kib;      /* 0: it came to no engine */
};
void counters_job(struct counters *c, const struct counted_job *job);

/* Of a picture that somebody wanted to see: it is no job, and says nothing of how fast those are. */
void counters_preview(struct counters *c, const struct counted_job *picture);

/* Of the last jobs, the later the weightier: which share an engine had of them (they sum up to 1000), and how
 * long its own took. False: none of this engine. */
bool counters_pace(const struct counters *c, const char *engine, uint64_t *ret_share, uint64_t *ret_run_ms);

/* Tells Redis what is new. Whatever is not answered is told again the next time. `fn` (may be NULL) is called
 * once when all is answered, well or not. */
void counters_tell(struct counters *c, redis_reply_fn *fn, void *arg);
