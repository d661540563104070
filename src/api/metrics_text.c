#include "api/metrics_text.h"

void metrics_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_labels(struct buf *out, const char *labels)
{
    if (*labels)
        buf_printf(out, "{%s}", labels);
}

void metrics_sample(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    buf_append_str(out, name);
    append_labels(out, labels);
    buf_append_str(out, " ");
    buf_append_u64(out, value);
    buf_append_str(out, "\n");
}

void metrics_sample_real(struct buf *out, const char *name, const char *labels, double value)
{
    buf_append_str(out, name);
    append_labels(out, labels);
    buf_printf(out, " %.15g\n", value);
}

void metrics_histogram(struct buf *out, const char *name, const char *labels,
                       const struct histogram_scale *scale, const uint64_t buckets[], uint64_t sum)
{
    const char *comma = *labels ? "," : "";
    uint64_t count = 0;

    for (size_t i = 0; i < scale->n_bounds; i++) {
        count += buckets[i];
        buf_printf(out, "%s_bucket{%s%sle=\"%.15g\"} ", name, labels, comma,
                   (double)scale->bounds[i] * scale->unit);
        buf_append_u64(out, count);
        buf_append_str(out, "\n");
    }
    count += buckets[scale->n_bounds];
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} ", name, labels, comma);
    buf_append_u64(out, count);
    buf_printf(out, "\n%s_sum", name);
    append_labels(out, labels);
    buf_printf(out, " %.15g\n%s_count", (double)sum * scale->unit, name);
    append_labels(out, labels);
    buf_append_str(out, " ");
    buf_append_u64(out, count);
    buf_append_str(out, "\n");
}

void metrics_single(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, "", value);
}
