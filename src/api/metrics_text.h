/* The text format of Prometheus, version 0.0.4, with names and units as OpenMetrics wants them.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#pragma once

#include "core/buf.h"
#include "core/histogram.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Begins a family; `type`: "counter", "gauge" or "histogram". */
void metrics_family(struct buf *out, const char *name, const char *type, const char *help);
/* `labels`: as in `route="/x",status="200"`, with values that need no escapes; "" none. */
void metrics_sample(struct buf *out, const char *name, const char *labels, uint64_t value);
void metrics_sample_real(struct buf *out, const char *name, const char *labels, double value);
/* `buckets`: n_bounds + 1 of them, not cumulative. */
void metrics_histogram(struct buf *out, const char *name, const char *labels,
                       const struct histogram_scale *scale, const uint64_t buckets[], uint64_t sum);
/* A family of one sample without labels. */
void metrics_single(struct buf *out, const char *name, const char *type, const char *help, uint64_t value);
