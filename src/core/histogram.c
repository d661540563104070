#include "core/histogram.h"

const struct histogram_scale histogram_latency = {
    .unit = 1e-6,
    .n_bounds = 16,
    .bounds = {500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
               10000000, 30000000, 60000000},
};

/* Most values are small, and a dozen comparisons are cheaper than a search that branches unforeseeably. */
size_t histogram_bucket(const struct histogram_scale *scale, uint64_t value)
{
    size_t i = 0;

    while (i < scale->n_bounds && value > scale->bounds[i])
        i++;
    return i;
}

void histogram_observe(struct histogram *h, const struct histogram_scale *scale, uint64_t value)
{
    counter_add(&h->buckets[histogram_bucket(scale, value)], 1);
    counter_add(&h->sum, value);
}
