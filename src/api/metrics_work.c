/* What workers have counted, as Redis holds it (state/work_counts.h), in the text format.
 *
 * Whoever can write to Redis could write here, so that a field counts only when its family is one of ours and
 * each label has a value that exists: an engine and formats of the catalogue, an outcome, a word of the list.
 * So the number of series has a bound, and no text of a stranger comes into the answer. */
#include "api/metrics.h"

#include "api/metrics_text.h"
#include "core/outcome.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "state/work_counts.h"

enum { WORDS_MAX = 8, SERIES_MAX = 50000, LABELS_MAX = 192, PART_SUM = HISTOGRAM_BOUNDS_MAX + 1 };

struct sample {
    enum work_family family;
    char labels[LABELS_MAX]; /* as in the text */
    unsigned part;           /* a histogram's bucket, or PART_SUM; 0 of a counter */
    uint64_t value;
};

/* --- reading a field */

static const char *nth_engine(size_t i)
{
    const char *const *names = catalogue_engines();

    while (i > 0 && *names) {
        names++;
        i--;
    }
    return *names;
}

static const char *nth_format(size_t i)
{
    return i < n_formats ? formats[i].id : NULL;
}

static const char *nth_outcome(size_t i)
{
    return i < OUTCOME_COUNT_ ? outcome_code((enum outcome)i) : NULL;
}

static const char *nth_ending(size_t i)
{
    static const char *const values[] = {"completed", "failed",     "refused", "gave_up",
                                         "revoked",   "called_off", "skipped", "rejected",
                                         "retried",   "released",   "lost"};

    return i < ARRAY_SIZE(values) ? values[i] : NULL;
}

static const char *nth_reason(size_t i)
{
    static const char *const values[] = {"timed_out", "too_complex", "engine_crashed", "forbidden_call"};

    return i < ARRAY_SIZE(values) ? values[i] : NULL;
}

static const char *nth_verdict(size_t i)
{
    static const char *const values[] = {"clean", "infected", "incomplete", "encrypted", "unavailable"};

    return i < ARRAY_SIZE(values) ? values[i] : NULL;
}

static const char *nth_origin(size_t i)
{
    static const char *const values[] = {"clamd", "memory", "none"};

    return i < ARRAY_SIZE(values) ? values[i] : NULL;
}

/* webhooks_done() counts them. */
static const char *nth_delivery(size_t i)
{
    static const char *const values[] = {"delivered", "retried", "failed", "dropped"};

    return i < ARRAY_SIZE(values) ? values[i] : NULL;
}

/* The values that a label may have: NULL after the last one. */
typedef const char *label_values(size_t i);

static const struct label {
    const char *name;
    label_values *values;
} all_labels[] = {
    {"engine", nth_engine},   {"source", nth_format}, {"target", nth_format},
    {"outcome", nth_outcome}, {"ending", nth_ending}, {"reason", nth_reason},
    {"verdict", nth_verdict}, {"origin", nth_origin}, {"delivery", nth_delivery},
};

static label_values *values_of(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(all_labels); i++)
        if (strlen(all_labels[i].name) == len && memcmp(all_labels[i].name, name, len) == 0)
            return all_labels[i].values;
    abort(); /* the families' own words */
}

static bool label_may_be(const char *name, size_t len, const char *value)
{
    label_values *values = values_of(name, len);

    for (size_t i = 0; values(i); i++)
        if (str_eq(values(i), value))
            return true;
    return false;
}

static bool find_family(const char *id, enum work_family *ret)
{
    for (unsigned i = 0; i < WORK_FAMILIES; i++)
        if (str_eq(work_families[i].id, id)) {
            *ret = (enum work_family)i;
            return true;
        }
    return false;
}

/* Cuts `text` at its blanks; 0 when there are too many words. */
static size_t split(char *text, char *ret_words[WORDS_MAX])
{
    size_t n = 0;

    for (char *word, *rest = text; (word = strsep(&rest, " "));) {
        if (n == WORDS_MAX)
            return 0;
        ret_words[n++] = word;
    }
    return n;
}

/* The words that are labels' values, as text; false when one is none, or there are more or fewer. */
static bool write_labels(const struct work_family_info *family, char *const words[], size_t n,
                         char ret[LABELS_MAX])
{
    const char *name;
    size_t len, i = 0, at = 0;

    ret[0] = '\0';
    for (const char *p = family->labels; (p = words_next(p, &name, &len)); i++) {
        if (i == n || !label_may_be(name, len, words[i]))
            return false;
        at += (size_t)snprintf(ret + at, LABELS_MAX - at, "%s%.*s=\"%s\"", i > 0 ? "," : "", (int)len, name,
                               words[i]);
        if (at >= LABELS_MAX)
            return false;
    }
    return i == n;
}

static bool read_part(const struct work_family_info *family, const char *word, unsigned *ret)
{
    uint64_t bucket;

    if (str_eq(word, "sum")) {
        *ret = PART_SUM;
        return true;
    }
    if (str_to_u64(word, 0, family->scale->n_bounds, &bucket) < 0)
        return false;
    *ret = (unsigned)bucket;
    return true;
}

static bool read_sample(const char *field, const char *value, struct sample *ret)
{
    char copy[WORK_FIELD_MAX], *words[WORDS_MAX];
    const struct work_family_info *family;
    size_t n;

    if (!field || !value || strlen(field) >= sizeof copy)
        return false;
    memcpy(copy, field, strlen(field) + 1);
    n = split(copy, words);
    if (n == 0 || !find_family(words[0], &ret->family) || str_to_u64(value, 0, UINT64_MAX, &ret->value) < 0)
        return false;
    family = &work_families[ret->family];
    ret->part = 0;
    if (family->scale && (n < 2 || !read_part(family, words[--n], &ret->part)))
        return false;
    return write_labels(family, words + 1, n - 1, ret->labels);
}

/* --- series that are there from the first: who watches a counter for its first step has to know its zero.
 * Kinds of jobs are too many for that. */

enum { ZEROS_MAX = 256 };

static bool is_of_few(const struct work_family_info *family)
{
    return !family->scale && !strstr(family->labels, "source");
}

/* All values of the label that `labels` begins with, after what `prefix` has, and so on with those after it.
 */
static size_t add_zeros(enum work_family family, const char *labels, const char *prefix, struct sample *ret,
                        size_t n)
{
    const char *name, *rest;
    size_t len;

    rest = words_next(labels, &name, &len);
    if (!rest) {
        if (n < ZEROS_MAX) {
            ret[n] = (struct sample){.family = family};
            snprintf(ret[n++].labels, LABELS_MAX, "%s", prefix);
        }
        return n;
    }
    for (size_t i = 0; values_of(name, len)(i); i++) {
        char longer[LABELS_MAX];

        if (snprintf(longer, sizeof longer, "%s%s%.*s=\"%s\"", prefix, *prefix ? "," : "", (int)len, name,
                     values_of(name, len)(i)) < (int)sizeof longer)
            n = add_zeros(family, rest, longer, ret, n);
    }
    return n;
}

static size_t add_all_zeros(struct sample *ret)
{
    size_t n = 0;

    for (unsigned family = 0; family < WORK_FAMILIES; family++)
        if (is_of_few(&work_families[family]))
            n = add_zeros((enum work_family)family, work_families[family].labels, "", ret, n);
    return n;
}

/* --- writing */

static int by_series(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    int order = (x->family > y->family) - (x->family < y->family);

    if (order == 0)
        order = strcmp(x->labels, y->labels);
    return order ? order : (x->part > y->part) - (x->part < y->part);
}

/* How many of them, which are sorted, belong to the histogram that the first one belongs to. */
static size_t write_histogram(struct buf *out, const struct sample *s, size_t n)
{
    const struct work_family_info *family = &work_families[s->family];
    uint64_t buckets[HISTOGRAM_BOUNDS_MAX + 1] = {0}, sum = 0;
    size_t i = 0;

    for (; i < n && s[i].family == s->family && str_eq(s[i].labels, s->labels); i++)
        if (s[i].part == PART_SUM)
            sum = s[i].value;
        else
            buckets[s[i].part] = s[i].value;
    metrics_histogram(out, family->name, s->labels, family->scale, buckets, sum);
    return i;
}

/* The same for a counter, of which a zero may be there besides. */
static size_t write_counter(struct buf *out, const struct sample *s, size_t n)
{
    const struct work_family_info *family = &work_families[s->family];
    uint64_t value = 0;
    size_t i = 0;

    for (; i < n && s[i].family == s->family && str_eq(s[i].labels, s->labels); i++)
        value += s[i].value;
    if (family->unit == 1)
        metrics_sample(out, family->name, s->labels, value);
    else
        metrics_sample_real(out, family->name, s->labels, (double)value * family->unit);
    return i;
}

/* All families are named, also those of which nothing was counted yet. */
static void write_samples(struct buf *out, const struct sample *samples, size_t n)
{
    size_t i = 0;

    for (unsigned family = 0; family < WORK_FAMILIES; family++) {
        const struct work_family_info *info = &work_families[family];

        metrics_family(out, info->name, info->scale ? "histogram" : "counter", info->help);
        while (i < n && samples[i].family == family)
            i += info->scale ? write_histogram(out, &samples[i], n - i)
                             : write_counter(out, &samples[i], n - i);
    }
}

void metrics_write_work(struct buf *out, const redisReply *counts)
{
    size_t most = counts->type == REDIS_REPLY_ARRAY ? counts->elements / 2 : 0, n;
    _cleanup_free_ struct sample *samples = NULL;

    if (most > SERIES_MAX)
        most = SERIES_MAX;
    samples = calloc(ZEROS_MAX + most + 1, sizeof *samples);
    if (!samples)
        return;
    n = add_all_zeros(samples);
    for (size_t i = 0; i < most; i++)
        n += read_sample(redis_reply_str(redis_reply_at(counts, 2 * i)),
                         redis_reply_str(redis_reply_at(counts, 2 * i + 1)), &samples[n]);
    qsort(samples, n, sizeof *samples, by_series);
    write_samples(out, samples, n);
}
