/* Counters and histograms that are counted in one thread and read in any.
 *
 * Each has a single writer, so that counting takes a load and a store and no locked instruction; a reader may
 * see a histogram between two of its stores, and is then one observation behind in some of them. Values are
 * whole numbers of a small unit (microseconds, bytes); a scale says what they are shown in. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline void counter_add(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t counter_read(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

enum { HISTOGRAM_BOUNDS_MAX = 19 };

struct histogram_scale {
    double unit;     /* how much one is of what is shown: 1e-6 for microseconds shown as seconds */
    size_t n_bounds; /* HISTOGRAM_BOUNDS_MAX at most; above the last one there is one more bucket */
    uint64_t bounds[HISTOGRAM_BOUNDS_MAX]; /* inclusive, rising */
};

/* All zero at first. Buckets are not cumulative: each has its own. */
struct histogram {
    counter buckets[HISTOGRAM_BOUNDS_MAX + 1];
    counter sum;
};

/* The bucket that a value belongs to: at most n_bounds. */
size_t histogram_bucket(const struct histogram_scale *scale, uint64_t value);
void histogram_observe(struct histogram *h, const struct histogram_scale *scale, uint64_t value);

/* From half a millisecond to a minute, in microseconds: what an answer takes. */
extern const struct histogram_scale histogram_latency;
