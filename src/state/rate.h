/* Rate limits: the generic cell rate algorithm (GCRA), one key for each bucket, all the buckets of a request
 * in one script. A bucket is full of `burst` units, is filled again at `count` in a period, and is no key at
 * all while it is full. */
#pragma once

#include "state/redis.h"

#include <stddef.h>
#include <stdint.h>

struct rate {
    uint64_t count, period_ms;
    uint64_t burst; /* 0: no limit */
};

struct rate_bucket {
    const char *name; /* of harmless characters; the key is "decant:rate:" and this */
    struct rate rate;
};

enum { RATE_BUCKETS_MAX = 4, RATE_NAME_MAX = 128 };

struct rate_answer {
    uint64_t granted;   /* of the units wanted; 0: not one of them, and nothing was taken */
    size_t bucket;      /* which of them has least left, or refuses longest */
    uint64_t remaining; /* in that one */
    uint64_t reset_ms;  /* until it is full */
    uint64_t retry_ms;  /* until there is one unit in all of them */
};

/* `answer` only where err is 0. */
typedef void rate_fn(void *arg, int err, const struct rate_answer *answer);

/* Takes as many units as are wanted and all buckets have. */
void rate_take(struct redis *r, const struct rate_bucket buckets[], size_t n, uint64_t wanted, rate_fn *fn,
               void *arg);

/* Fills buckets again: they are no keys any more. */
void rate_fill(struct redis *r, const char *const names[], size_t n, redis_reply_fn *fn, void *arg);
