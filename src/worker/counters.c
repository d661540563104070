/* A table of series by their field (state/work_counts.h). Jobs are few compared with what a table of strings
 * can take, and there are as many series as kinds of jobs that were seen. */
#include "worker/counters.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/job.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 256, ENGINES_MAX = 16, THOUSAND = 1000 };

struct series {
    struct series *next;
    uint64_t value, told; /* the latter: what Redis has confirmed */
    char field[];
};

/* Each new job takes a twentieth of the weight of those before it. */
static const double pace_kept = 0.95;

struct pace {
    const char *engine;
    double weight, ms;
};

struct counters {
    struct redis *redis;
    const char *worker;
    struct redis_stats stats;
    struct series *buckets[BUCKETS];
    size_t n_series;
    struct pace paces[ENGINES_MAX];
};

struct counters *counters_new(struct redis *redis, const char *worker)
{
    struct counters *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->redis = redis;
    c->worker = worker;
    redis_measure(redis, &c->stats);
    return c;
}

void counters_free(struct counters *c)
{
    for (size_t i = 0; c && i < BUCKETS; i++)
        for (struct series *s = c->buckets[i], *next; s; s = next) {
            next = s->next;
            free(s);
        }
    free(c);
}

static struct series **bucket_of(struct counters *c, const char *field)
{
    unsigned hash = 5381;

    for (const char *p = field; *p; p++)
        hash = hash * 33 + (unsigned char)*p;
    return &c->buckets[hash % BUCKETS];
}

/* NULL when there is no memory for a new one. */
static struct series *series_of(struct counters *c, const char *field)
{
    struct series **first = bucket_of(c, field), *s = *first;

    while (s && !str_eq(s->field, field))
        s = s->next;
    if (s)
        return s;
    s = calloc(1, sizeof *s + strlen(field) + 1);
    if (!s)
        return NULL;
    memcpy(s->field, field, strlen(field) + 1);
    s->next = *first;
    *first = s;
    c->n_series++;
    return s;
}

/* `part`: of a histogram, "" of a counter. */
static struct series *find(struct counters *c, enum work_family family, const char *labels, const char *part)
{
    char field[WORK_FIELD_MAX];
    int n = snprintf(field, sizeof field, "%s%s%s%s%s", work_families[family].id, *labels ? " " : "", labels,
                     *part ? " " : "", part);

    return n < (int)sizeof field ? series_of(c, field) : NULL;
}

static void add(struct counters *c, enum work_family family, const char *labels, const char *part, uint64_t n)
{
    struct series *s = find(c, family, labels, part);

    if (s)
        s->value += n;
}

void counters_add(struct counters *c, enum work_family family, const char *labels, uint64_t n)
{
    if (c)
        add(c, family, labels, "", n);
}

void counters_observe(struct counters *c, enum work_family family, const char *labels, uint64_t value)
{
    char bucket[24];

    if (!c)
        return;
    snprintf(bucket, sizeof bucket, "%zu", histogram_bucket(work_families[family].scale, value));
    add(c, family, labels, bucket, 1);
    add(c, family, labels, "sum", value);
}

static void set(struct counters *c, enum work_family family, const char *labels, const char *part,
                uint64_t all)
{
    struct series *s = all > 0 ? find(c, family, labels, part) : NULL;

    if (s)
        s->value = all;
}

void counters_set(struct counters *c, enum work_family family, const char *labels, uint64_t all)
{
    if (c)
        set(c, family, labels, "", all);
}

static void set_redis(struct counters *c)
{
    char bucket[24];

    for (size_t i = 0; i <= redis_scale.n_bounds; i++) {
        snprintf(bucket, sizeof bucket, "%zu", i);
        set(c, WORK_REDIS, "", bucket, counter_read(&c->stats.round_trips.buckets[i]));
    }
    set(c, WORK_REDIS, "", "sum", counter_read(&c->stats.round_trips.sum));
    set(c, WORK_REDIS_FAILED, "", "", counter_read(&c->stats.failed));
}

/* --- jobs */

static void keep_pace(struct counters *c, const struct counted_job *job)
{
    size_t i = 0;

    for (size_t k = 0; k < ENGINES_MAX; k++) {
        c->paces[k].weight *= pace_kept;
        c->paces[k].ms *= pace_kept;
    }
    while (i < ENGINES_MAX && c->paces[i].engine && !str_eq(c->paces[i].engine, job->engine))
        i++;
    if (i == ENGINES_MAX)
        return;
    c->paces[i].engine = job->engine;
    c->paces[i].weight += 1;
    c->paces[i].ms += (double)job->duration_ms;
}

bool counters_pace(const struct counters *c, const char *engine, uint64_t *ret_share, uint64_t *ret_run_ms)
{
    double all = 0;

    for (size_t i = 0; i < ENGINES_MAX; i++)
        all += c->paces[i].weight;
    for (size_t i = 0; i < ENGINES_MAX; i++)
        if (str_eq(c->paces[i].engine, engine)) {
            *ret_share = (uint64_t)(c->paces[i].weight / all * THOUSAND + 0.5);
            *ret_run_ms = (uint64_t)(c->paces[i].ms / c->paces[i].weight + 0.5);
            return true;
        }
    return false;
}

static void count_kill(struct counters *c, const struct counted_job *job)
{
    char labels[WORK_FIELD_MAX];

    if (!job->kill)
        return;
    snprintf(labels, sizeof labels, "%s %s", job->killed, job->kill);
    counters_add(c, WORK_KILLS, labels, 1);
}

void counters_preview(struct counters *c, const struct counted_job *picture)
{
    counters_add(c, WORK_PREVIEWS, picture->outcome, 1);
    count_kill(c, picture);
}

void counters_job(struct counters *c, const struct counted_job *job)
{
    char labels[WORK_FIELD_MAX];
    int n = snprintf(labels, sizeof labels, "%s %s %s", job->engine, job->source, job->target);

    if (!c || n >= (int)sizeof labels)
        return;
    if (job->queue_ms != JOB_UNKNOWN)
        counters_observe(c, WORK_WAIT, labels, job->queue_ms);
    counters_observe(c, WORK_RUN, labels, job->duration_ms);
    counters_add(c, WORK_CPU, labels, job->cpu_ms);
    if (job->peak_kib > 0)
        counters_observe(c, WORK_MEMORY, job->engine, job->peak_kib * 1024);
    snprintf(labels + n, sizeof labels - (size_t)n, " %s", job->outcome);
    counters_add(c, WORK_JOBS, labels, 1);
    count_kill(c, job);
    keep_pace(c, job);
}

/* --- telling */

struct telling {
    struct counters *counters;
    size_t awaited; /* answers; they only come when all is sent */
    redis_reply_fn *fn;
    void *arg;
};

/* Some of the series, with what they were when they were told. */
struct batch {
    struct telling *telling;
    size_t n;
    struct series *series[WORK_TOLD_MAX];
    struct work_count counts[WORK_TOLD_MAX];
};

static void on_told(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct batch *b = arg;
    struct telling *t = b->telling;

    for (size_t i = 0; err == 0 && i < b->n; i++)
        b->series[i]->told = b->counts[i].value;
    if (--t->awaited > 0)
        return;
    if (t->fn)
        t->fn(t->arg, 0, NULL);
    free(t);
}

static struct batch *batch_new(struct telling *t)
{
    struct batch *b = xcalloc(1, sizeof *b);

    b->telling = t;
    t->awaited++;
    return b;
}

static void send_batch(struct batch *b)
{
    const struct counters *c = b->telling->counters;

    work_counts_tell(c->redis, c->worker, b->counts, b->n, on_told, b);
}

void counters_tell(struct counters *c, redis_reply_fn *fn, void *arg)
{
    struct telling *t = xmalloc(sizeof *t);
    struct batch *b;

    *t = (struct telling){.counters = c, .fn = fn, .arg = arg};
    set_redis(c);
    b = batch_new(t);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct series *s = c->buckets[i]; s; s = s->next) {
            if (s->value == s->told)
                continue;
            b->series[b->n] = s;
            b->counts[b->n++] = (struct work_count){.field = s->field, .value = s->value};
            if (b->n == WORK_TOLD_MAX) {
                send_batch(b);
                b = batch_new(t);
            }
        }
    send_batch(b); /* also when nothing is new: it renews what Redis remembers of us */
}
