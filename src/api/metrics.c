#include "api/metrics.h"

#include "api/metrics_access.h"
#include "api/metrics_text.h"
#include "api/peer.h"
#include "api/readiness.h"
#include "api/routes.h"
#include "core/clock.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "state/work_counts.h"

#include <errno.h>
#include <sys/resource.h>

enum { TEXT_MAX = 16 << 20, LABELS_MAX = 192, AT_ONCE = CLIENT_KINDS };

/* The last one is for any other. */
static const unsigned statuses[] = {200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408,
                                    409, 413, 415, 416, 422, 429, 431, 500, 503, 507, 0};

/* These are made of counters alone, and so they are added up. */
struct route_metrics {
    counter answers[ARRAY_SIZE(statuses)];
    counter aborted;
    struct histogram durations;
};

struct upload_metrics {
    counter files, bytes;
};

struct other_metrics {
    counter downloads, download_bytes, results_reused;
    counter previews[2]; /* kept, made */
    counter logins[LOGIN_OUTCOMES];
    counter connections, connections_ended, connections_refused;
    counter errors[API_ERROR_COUNT_];
    counter refused[LIMIT_CLASSES][CLIENT_KINDS + 1];
    struct redis_stats redis;
};

struct metrics {
    struct route_metrics *routes;   /* by route_index() */
    struct upload_metrics *uploads; /* by place in the table of formats */
    struct other_metrics all;
};

struct metrics_block {
    uint64_t started_ms;
    size_t n;
    struct metrics loops[];
};

int metrics_block_new(size_t n_loops, struct metrics_block **ret)
{
    struct metrics_block *b = calloc(1, sizeof *b + n_loops * sizeof b->loops[0]);

    if (!b)
        return -ENOMEM;
    b->started_ms = clock_real_ms();
    for (; b->n < n_loops; b->n++) {
        struct metrics *m = &b->loops[b->n];

        m->routes = calloc(route_count(), sizeof *m->routes);
        m->uploads = calloc(n_formats, sizeof *m->uploads);
        if (!m->routes || !m->uploads) {
            b->n++;
            metrics_block_free(b);
            return -ENOMEM;
        }
    }
    *ret = b;
    return 0;
}

void metrics_block_free(struct metrics_block *b)
{
    for (size_t i = 0; b && i < b->n; i++) {
        free(b->loops[i].routes);
        free(b->loops[i].uploads);
    }
    free(b);
}

struct metrics *metrics_of_loop(struct metrics_block *b, size_t i)
{
    return &b->loops[i];
}

struct redis_stats *metrics_redis(struct metrics *m)
{
    return &m->all.redis;
}

/* --- counting */

static size_t status_index(unsigned status)
{
    size_t i = 0;

    while (statuses[i] && statuses[i] != status)
        i++;
    return i;
}

void metrics_request(struct metrics *m, const struct http_request *req, unsigned status, uint64_t us)
{
    struct route_metrics *route = &m->routes[route_index(http_request_route(req))];

    if (status == 0) {
        counter_add(&route->aborted, 1);
        return;
    }
    counter_add(&route->answers[status_index(status)], 1);
    histogram_observe(&route->durations, &histogram_latency, us);
}

void metrics_connection(struct metrics *m, bool admitted)
{
    counter_add(admitted ? &m->all.connections : &m->all.connections_refused, 1);
}

void metrics_connection_end(struct metrics *m)
{
    counter_add(&m->all.connections_ended, 1);
}

void metrics_upload(struct metrics *m, const struct format *format, uint64_t bytes)
{
    counter_add(&m->uploads[format - formats].files, 1);
    counter_add(&m->uploads[format - formats].bytes, bytes);
}

void metrics_download(struct metrics *m, uint64_t bytes)
{
    counter_add(&m->all.downloads, 1);
    counter_add(&m->all.download_bytes, bytes);
}

void metrics_preview(struct metrics *m, bool waited)
{
    counter_add(&m->all.previews[waited], 1);
}

void metrics_reused(struct metrics *m)
{
    counter_add(&m->all.results_reused, 1);
}

void metrics_login(struct metrics *m, enum login_outcome outcome)
{
    counter_add(&m->all.logins[outcome], 1);
}

void metrics_error(struct metrics *m, enum api_error error)
{
    counter_add(&m->all.errors[error], 1);
}

void metrics_refused(struct metrics *m, enum limit_class limit, const struct limit_verdict *verdict)
{
    counter_add(&m->all.refused[limit][verdict ? verdict->kind : AT_ONCE], 1);
}

/* --- writing what this process has counted: all loops together */

static void add_up(void *to, const void *from, size_t bytes)
{
    counter *sums = to;
    const counter *counters = from;

    for (size_t i = 0; i < bytes / sizeof *sums; i++)
        counter_add(&sums[i], counter_read(&counters[i]));
}

/* Into a block of one loop. */
static void add_loops(struct metrics *sum, const struct metrics_block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct metrics *m = &b->loops[i];

        add_up(&sum->all, &m->all, sizeof m->all);
        add_up(sum->routes, m->routes, route_count() * sizeof *m->routes);
        add_up(sum->uploads, m->uploads, n_formats * sizeof *m->uploads);
    }
}

static void write_histogram(struct buf *out, const char *name, const char *labels,
                            const struct histogram_scale *scale, const struct histogram *h)
{
    uint64_t buckets[HISTOGRAM_BOUNDS_MAX + 1];

    for (size_t i = 0; i <= scale->n_bounds; i++)
        buckets[i] = counter_read(&h->buckets[i]);
    metrics_histogram(out, name, labels, scale, buckets, counter_read(&h->sum));
}

static void write_process(struct buf *out, const struct metrics_block *b)
{
    struct rusage usage;

    metrics_family(out, "decant_build_info", "gauge", "The version of this program.");
    metrics_sample(out, "decant_build_info", "version=\"" DECANT_VERSION "\"", 1);
    metrics_family(out, "process_start_time_seconds", "gauge", "When this process began, since 1970.");
    metrics_sample_real(out, "process_start_time_seconds", "", (double)b->started_ms / 1e3);
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return;
    metrics_family(out, "process_cpu_seconds_total", "counter", "Processor time of this process.");
    metrics_sample_real(out, "process_cpu_seconds_total", "",
                        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    metrics_single(out, "process_resident_memory_max_bytes", "gauge",
                   "Most memory that this process had resident.", (uint64_t)usage.ru_maxrss * 1024);
}

static void route_labels(size_t route, char ret[LABELS_MAX])
{
    snprintf(ret, LABELS_MAX, "method=\"%s\",route=\"%s\"", route_method(route), route_path(route));
}

static void write_requests(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_http_requests_total";
    char labels[LABELS_MAX], with_status[LABELS_MAX + 24];

    metrics_family(out, name, "counter", "Requests that were answered, by route and status.");
    for (size_t r = 0; r < route_count(); r++)
        for (size_t s = 0; s < ARRAY_SIZE(statuses); s++) {
            uint64_t n = counter_read(&m->routes[r].answers[s]);

            if (n == 0)
                continue;
            route_labels(r, labels);
            if (statuses[s])
                snprintf(with_status, sizeof with_status, "%s,status=\"%u\"", labels, statuses[s]);
            else
                snprintf(with_status, sizeof with_status, "%s,status=\"other\"", labels);
            metrics_sample(out, name, with_status, n);
        }
}

static void write_aborted(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_http_requests_aborted_total";
    char labels[LABELS_MAX];

    metrics_family(out, name, "counter",
                   "Requests that ended without an answer: the client left, or was too slow.");
    for (size_t r = 0; r < route_count(); r++) {
        uint64_t n = counter_read(&m->routes[r].aborted);

        route_labels(r, labels);
        if (n > 0)
            metrics_sample(out, name, labels, n);
    }
}

static void write_durations(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_http_request_duration_seconds";
    char labels[LABELS_MAX];

    metrics_family(out, name, "histogram",
                   "From a whole header to the answer: with the body's arrival, and what was waited for.");
    for (size_t r = 0; r < route_count(); r++) {
        route_labels(r, labels);
        write_histogram(out, name, labels, &histogram_latency, &m->routes[r].durations);
    }
}

static void write_connections(struct buf *out, struct api *api, const struct metrics *m)
{
    uint64_t ended = counter_read(&m->all.connections_ended), begun = counter_read(&m->all.connections);

    metrics_single(out, "decant_http_open_connections", "gauge",
                   "Connections that are open, without event streams.", begun > ended ? begun - ended : 0);
    metrics_single(out, "decant_http_connections_total", "counter", "Connections that were taken.", begun);
    metrics_single(out, "decant_http_connections_refused_total", "counter",
                   "Connections that were closed at once, as their address had too many.",
                   counter_read(&m->all.connections_refused));
    metrics_single(out, "decant_event_streams", "gauge", "Event streams that are open.",
                   slots_taken(api->event_streams));
    metrics_single(out, "decant_uploads_under_way", "gauge", "Uploads whose body is on its way.",
                   slots_taken(api->uploads));
}

static void write_files(struct buf *out, const struct metrics *m)
{
    static const char files[] = "decant_uploads_total", bytes[] = "decant_upload_bytes_total";
    char labels[LABELS_MAX];

    metrics_family(out, files, "counter", "Files that were uploaded and taken, by format.");
    for (size_t f = 0; f < n_formats; f++) {
        snprintf(labels, sizeof labels, "format=\"%s\"", formats[f].id);
        if (counter_read(&m->uploads[f].files) > 0)
            metrics_sample(out, files, labels, counter_read(&m->uploads[f].files));
    }
    metrics_family(out, bytes, "counter", "Bytes of these files.");
    for (size_t f = 0; f < n_formats; f++) {
        snprintf(labels, sizeof labels, "format=\"%s\"", formats[f].id);
        if (counter_read(&m->uploads[f].files) > 0)
            metrics_sample(out, bytes, labels, counter_read(&m->uploads[f].bytes));
    }
    metrics_single(out, "decant_downloads_total", "counter",
                   "Results that were sent to the end, or handed to nginx.", counter_read(&m->all.downloads));
    metrics_single(out, "decant_download_bytes_total", "counter", "Bytes of these.",
                   counter_read(&m->all.download_bytes));
    metrics_single(out, "decant_results_reused_total", "counter",
                   "Conversions that were answered with a copy of a result.",
                   counter_read(&m->all.results_reused));
}

static void write_previews(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_previews_total";
    static const char *const labels[] = {"origin=\"kept\"", "origin=\"made\""};

    metrics_family(out, name, "counter",
                   "Pictures of results that were answered, by whether they were there.");
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        metrics_sample(out, name, labels[i], counter_read(&m->all.previews[i]));
}

static void write_logins(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_logins_total";
    static const char *const labels[LOGIN_OUTCOMES] = {[LOGIN_SUCCEEDED] = "outcome=\"succeeded\"",
                                                       [LOGIN_FAILED] = "outcome=\"failed\"",
                                                       [LOGIN_LOCKED] = "outcome=\"locked\"",
                                                       [LOGIN_BUSY] = "outcome=\"busy\""};

    metrics_family(out, name, "counter", "Logins by name and password, by how they ended.");
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        metrics_sample(out, name, labels[i], counter_read(&m->all.logins[i]));
}

static void write_refusals(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_rate_limited_total", errors[] = "decant_http_errors_total";
    char labels[LABELS_MAX];

    metrics_family(
        out, name, "counter",
        "Requests refused by a limit, by class of call and what was limited: a name's rate, or how "
        "much there may be at once.");
    for (int c = LIMIT_NONE + 1; c < LIMIT_CLASSES; c++)
        for (int k = 0; k <= AT_ONCE; k++) {
            snprintf(labels, sizeof labels, "class=\"%s\",limit=\"%s\"",
                     limiter_class_name((enum limit_class)c),
                     k == AT_ONCE ? "at_once" : client_kind_names[k]);
            metrics_sample(out, name, labels, counter_read(&m->all.refused[c][k]));
        }
    metrics_family(out, errors, "counter", "Answers that are errors, by their code.");
    for (int e = 0; e < API_ERROR_COUNT_; e++) {
        snprintf(labels, sizeof labels, "code=\"%s\"", api_error_info((enum api_error)e)->code);
        metrics_sample(out, errors, labels, counter_read(&m->all.errors[e]));
    }
}

static void write_redis(struct buf *out, const struct metrics *m)
{
    static const char name[] = "decant_redis_command_duration_seconds";

    metrics_family(out, name, "histogram", "From this process' sending a command to Redis to the answer.");
    write_histogram(out, name, "", &redis_scale, &m->all.redis.round_trips);
    metrics_single(out, "decant_redis_command_failures_total", "counter",
                   "Commands of this process that Redis did not answer.", counter_read(&m->all.redis.failed));
}

/* --- writing how the installation is */

static void write_parts(struct buf *out, const struct readiness *r)
{
    static const char name[] = "decant_part_ok";
    char labels[LABELS_MAX];
    const char *part;
    json_t *value;

    metrics_family(out, name, "gauge", "Whether a part is as GET /readyz wants it: 1, or 0.");
    json_object_foreach(r->parts, part, value)
    {
        snprintf(labels, sizeof labels, "part=\"%s\"", part);
        metrics_sample(out, name, labels, json_is_true(json_object_get(value, "ok")));
    }
    if (r->has_storage)
        metrics_single(out, "decant_storage_free_bytes", "gauge", "Free disk where files are stored.",
                       r->free_bytes);
}

static void write_queue_gauge(struct buf *out, const struct queue_look *q, const char *name, const char *help,
                              double value(const struct queue_look *q, const struct queue_look_one *one))
{
    char labels[LABELS_MAX];

    metrics_family(out, name, "gauge", help);
    for (size_t i = 0; i < q->n; i++) {
        snprintf(labels, sizeof labels, "queue=\"%s\"", q->queues[i].name);
        metrics_sample_real(out, name, labels, value(q, &q->queues[i]));
    }
}

static double waiting(const struct queue_look *q, const struct queue_look_one *one)
{
    return (double)one->waiting;
}

static double oldest_age(const struct queue_look *q, const struct queue_look_one *one)
{
    return one->oldest_ms > 0 && q->now_ms > one->oldest_ms ? (double)(q->now_ms - one->oldest_ms) / 1e3 : 0;
}

static void write_queues(struct buf *out, const struct readiness *r, const struct settings *s)
{
    const struct queue_look *q = &r->queue;

    write_queue_gauge(out, q, "decant_queue_messages", "Messages that wait.", waiting);
    write_queue_gauge(out, q, "decant_queue_oldest_message_age_seconds",
                      "How long the message has waited that waits longest; 0: none does.", oldest_age);
    metrics_single(out, "decant_queue_messages_max", "gauge",
                   "How many may wait in all queues together: beyond, POST /convert is refused.",
                   s->queue_max);
    metrics_single(out, "decant_queue_claimed_messages", "gauge", "Messages that workers have.", q->claimed);
    metrics_single(out, "decant_queue_delayed_messages", "gauge", "Messages that wait for their time.",
                   q->delayed);
    metrics_single(out, "decant_queue_dead_messages", "gauge", "Messages that were given up and kept.",
                   q->dead);
}

enum { ENGINES_MAX = 16, ENGINE_STATES = 3 };

static const char *const engine_states[ENGINE_STATES] = {"up", "starting", "down"};

static void count_engines(const struct worker_info *worker, uint64_t counts[ENGINES_MAX][ENGINE_STATES])
{
    _cleanup_json_ json_t *all = json_loads(worker->engines, 0, NULL);
    const char *const *names = catalogue_engines();

    for (size_t e = 0; e < ENGINES_MAX && names[e]; e++)
        for (size_t s = 0; s < ENGINE_STATES; s++)
            counts[e][s] +=
                str_eq(json_string_value(json_object_get(json_object_get(all, names[e]), "state")),
                       engine_states[s]);
}

static void write_engines(struct buf *out, const struct readiness *r)
{
    static const char name[] = "decant_engines";
    const char *const *names = catalogue_engines();
    uint64_t counts[ENGINES_MAX][ENGINE_STATES] = {{0}};
    char labels[LABELS_MAX];

    for (size_t i = 0; i < r->n_workers; i++)
        count_engines(&r->workers[i], counts);
    metrics_family(out, name, "gauge", "Engines of all workers, by state.");
    for (size_t e = 0; e < ENGINES_MAX && names[e]; e++)
        for (size_t s = 0; s < ENGINE_STATES; s++) {
            snprintf(labels, sizeof labels, "engine=\"%s\",state=\"%s\"", names[e], engine_states[s]);
            metrics_sample(out, name, labels, counts[e][s]);
        }
}

static void write_scanners(struct buf *out, const struct readiness *r)
{
    static const char name[] = "decant_scanners";
    static const char *const states[] = {"up", "down", "unfit", "off", "unknown"};
    char labels[LABELS_MAX];

    metrics_family(out, name, "gauge", "Workers, by how their virus scanner is.");
    for (size_t s = 0; s < ARRAY_SIZE(states); s++) {
        uint64_t n = 0;

        for (size_t i = 0; i < r->n_workers; i++)
            n += str_eq(r->workers[i].scanner, states[s]);
        snprintf(labels, sizeof labels, "state=\"%s\"", states[s]);
        metrics_sample(out, name, labels, n);
    }
}

static void write_workers(struct buf *out, const struct readiness *r)
{
    static const char name[] = "decant_jobs";
    uint64_t slots = 0, running = 0, scanning = 0;

    for (size_t i = 0; i < r->n_workers; i++) {
        slots += r->workers[i].slots;
        running += r->workers[i].jobs;
        scanning += r->workers[i].scanning;
    }
    metrics_single(out, "decant_workers", "gauge", "Workers that have reported lately.", r->n_workers);
    metrics_single(out, "decant_worker_slots", "gauge", "Conversions that these may run at once.", slots);
    metrics_single(out, "decant_worker_slots_busy", "gauge", "Conversions that they run.", running);
    metrics_family(out, name, "gauge", "Jobs that have not ended, by state.");
    if (r->has_queue)
        metrics_sample(out, name, "state=\"queued\"", r->queue.waiting);
    metrics_sample(out, name, "state=\"scanning\"", scanning);
    metrics_sample(out, name, "state=\"processing\"", running > scanning ? running - scanning : 0);
    write_engines(out, r);
    write_scanners(out, r);
}

/* --- GET /metrics */

struct scrape {
    struct api_call *call;
    struct buf text;
};

/* Without Redis the answer has what this process knows itself. */
static void on_readiness(void *arg, const struct readiness *r)
{
    struct scrape *s = arg;
    struct api_call *call = s->call;
    _cleanup_buf_ struct buf text = s->text; /* the request may have ended, but is there */

    write_parts(&text, r);
    if (r->has_queue)
        write_queues(&text, r, call->api->settings);
    if (r->has_redis)
        write_workers(&text, r);
    if (buf_error(&text)) {
        api_fail(call, API_INTERNAL, "There is more to be told than there is room for.");
        return;
    }
    http_reply_header(call->req, "Cache-Control", "no-store");
    api_reply_buf(call, 200, METRICS_TYPE, &text);
}

static void on_counts(void *arg, int err, const redisReply *reply)
{
    struct scrape *s = arg;

    if (err == 0)
        metrics_write_work(&s->text, reply);
    readiness_ask(s->call->api, on_readiness, s);
}

static int write_own(struct buf *out, struct api *api)
{
    struct metrics_block *sum;
    int r = metrics_block_new(1, &sum);

    if (r < 0)
        return r;
    add_loops(&sum->loops[0], api->all_metrics);
    write_process(out, api->all_metrics);
    write_requests(out, &sum->loops[0]);
    write_aborted(out, &sum->loops[0]);
    write_durations(out, &sum->loops[0]);
    write_connections(out, api, &sum->loops[0]);
    write_files(out, &sum->loops[0]);
    write_previews(out, &sum->loops[0]);
    write_logins(out, &sum->loops[0]);
    write_refusals(out, &sum->loops[0]);
    write_redis(out, &sum->loops[0]);
    metrics_block_free(sum);
    return 0;
}

void api_metrics(struct api_call *call)
{
    struct api *api = call->api;
    const struct in6_addr address = peer_client_address(call->req);
    struct scrape *s;

    if (!metrics_access_allows(api->metrics_access, api->clients, &address, call->req)) {
        api_http_error(call->req, 404);
        api_abandon(call);
        return;
    }
    s = http_request_alloc(call->req, sizeof *s);
    *s = (struct scrape){.call = call, .text = BUF_INIT(TEXT_MAX)};
    if (write_own(&s->text, api) < 0) {
        api_fail(call, API_INTERNAL, "There is no memory to add the counters up.");
        return;
    }
    work_counts_load(api->redis, on_counts, s);
}
