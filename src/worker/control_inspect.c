/* The commands that look (`celery inspect`). What is shown of a task is what queue/describe.h shows. */
#include "worker/control_impl.h"

#include "core/clock.h"
#include "core/sentinels.h"
#include "core/str.h"
#include "queue/describe.h"

#include <hiredis/hiredis.h>
#include <sys/resource.h>

static void ping(struct control_call *call)
{
    control_ok(call, "pong");
}

static void clock_value(struct control_call *call)
{
    control_answer(call, json_pack("{s:I}", "clock",
                                   (json_int_t)task_events_clock(call->control->config.events)->value));
}

static void report(struct control_call *call)
{
    control_ok(call, "software -> decant:%s hiredis:%d.%d.%d jansson:%s libuv:%s", DECANT_VERSION,
               HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH, JANSSON_VERSION, uv_version_string());
}

/* --- tasks */

/* What of those that are with this worker is asked for. */
struct gathering {
    const struct control_call *call;
    json_t *tasks;
    bool as_text;
    bool begun;        /* lists: of those that are, or of those that aren't */
    const json_t *ids; /* query_task */
};

/* A task that is given to this worker: `info` (taken over) is what the message says. */
static json_t *complete(const struct control_call *call, json_t *info, bool redelivered, uint64_t begun_ms)
{
    json_t *start = begun_ms ? json_real((double)begun_ms / 1000) : json_null();
    json_t *pid = begun_ms ? json_integer(getpid()) : json_null();

    if (redelivered)
        json_object_set_new(json_object_get(info, "delivery_info"), "redelivered", json_true());
    json_object_set_new(info, "hostname", json_string(task_events_node(call->control->config.events)));
    json_object_set_new(info, "time_start", start);
    json_object_set_new(info, "acknowledged", json_false());
    json_object_set_new(info, "worker_pid", pid);
    return info;
}

static json_t *describe_runner(const struct gathering *g, const struct runner *r)
{
    const struct queue_claim *claim = runner_claim(r);
    json_t *info = describe_task(claim->message, strlen(claim->message), g->as_text);

    return info ? complete(g->call, info, claim->deliveries > 1, runner_begun_ms(r)) : NULL;
}

static void add_if_begun(void *arg, struct runner *r)
{
    struct gathering *g = arg;

    if ((runner_begun_ms(r) != 0) == g->begun)
        json_array_append_new(g->tasks, describe_runner(g, r));
}

static void list(struct control_call *call, bool begun)
{
    struct gathering g = {.call = call,
                          .tasks = json_array(),
                          .as_text = pidbox_truthy(control_argument(call, "safe")),
                          .begun = begun};

    claimer_each(call->control->config.claimer, add_if_begun, &g);
    control_answer(call, g.tasks);
}

static void active(struct control_call *call)
{
    list(call, true);
}

/* Claimed, and not begun: for milliseconds, or while Redis or the disk is slow. */
static void reserved(struct control_call *call)
{
    list(call, false);
}

static void add_if_asked(void *arg, struct runner *r)
{
    struct gathering *g = arg;
    const char *id = runner_claim(r)->id;

    for (size_t i = 0; i < pidbox_count_ids(g->ids); i++)
        if (str_eq(pidbox_id(g->ids, i), id)) {
            json_object_set_new(
                g->tasks, id,
                json_pack("[s, o]", runner_begun_ms(r) ? "active" : "reserved", describe_runner(g, r)));
            return;
        }
}

static void query_task(struct control_call *call)
{
    struct gathering g = {.call = call, .tasks = json_object(), .ids = control_argument(call, "ids")};

    claimer_each(call->control->config.claimer, add_if_asked, &g);
    control_answer(call, g.tasks);
}

/* All workers' together, as any of them may get them. */
static void on_scheduled(void *arg, int err, const json_t *tasks)
{
    struct control_call *call = arg;
    const json_t *task;
    size_t i;

    if (!control_lives(call)) {
        control_ignore(call);
        return;
    }
    if (err < 0) {
        control_error(call, "Redis: %s", strerror(-err));
        return;
    }
    json_array_foreach(tasks, i, task) complete(call, json_object_get(task, "request"), false, 0);
    control_answer(call, json_incref((json_t *)tasks));
}

static void scheduled(struct control_call *call)
{
    queue_scheduled(call->control->config.queue, pidbox_truthy(control_argument(call, "safe")), on_scheduled,
                    call);
}

/* --- revoked tasks */

static void on_revoked(void *arg, int err, const json_t *ages)
{
    json_t *ids = json_array(), *age;
    const char *id;

    if (err < 0) {
        json_decref(ids);
        control_error(arg, "Redis: %s", strerror(-err));
        return;
    }
    json_object_foreach((json_t *)ages, id, age) json_array_append_new(ids, json_string(id));
    control_answer(arg, ids);
}

static void revoked(struct control_call *call)
{
    queue_revoked(call->control->config.queue, on_revoked, call);
}

/* --- hello: a Celery worker has started, and wants to know what we know ("mingle") */

/* Celery's set of revoked ids has the time of a monotonic clock with each. */
static void on_hello(void *arg, int err, const json_t *ages)
{
    struct control_call *call = arg;
    double now = (double)clock_mono_ms() / 1000;
    json_t *ids, *age;
    const char *id;

    if (!control_lives(call)) {
        control_ignore(call);
        return;
    }
    ids = json_object();
    if (err == 0)
        json_object_foreach((json_t *)ages, id, age)
            json_object_set_new(ids, id, json_pack("[f, s]", now - json_real_value(age), id));
    control_answer(call,
                   json_pack("{s:o, s:I}", "revoked", ids, "clock",
                             (json_int_t)lamport_forward(task_events_clock(call->control->config.events))));
}

static void on_learnt(void *arg, int err)
{
    struct control_call *call = arg;

    if (control_lives(call))
        queue_revoked(call->control->config.queue, on_hello, call);
    else
        control_ignore(call);
}

static void hello(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    const char *from = json_string_value(control_argument(call, "from_node")), *id;
    json_t *theirs = (json_t *)control_argument(call, "revoked"), *when;
    _cleanup_json_ json_t *ids = json_array();

    if (str_eq(from, task_events_node(config->events))) {
        control_answer(call, NULL);
        return;
    }
    json_object_foreach(theirs, id, when) json_array_append_new(ids, json_string(id));
    if (json_array_size(ids) > 0)
        queue_revoke(config->queue, ids, on_learnt, call);
    else
        on_learnt(call, 0);
}

/* --- the worker */

static void registered(struct control_call *call)
{
    json_t *names = json_array();

    for (size_t i = 0; i < TASKS; i++)
        json_array_append_new(names, json_string(task_names[i]));
    control_answer(call, names);
}

static json_t *describe_queue(const char *name)
{
    return json_pack(
        "{s:s, s:{s:s, s:s, s:b, s:b, s:n, s:n, s:b, s:b}, s:s, s:b, s:b, s:b, s:b, s:n, s:n, s:n,"
        "s:n, s:n, s:n, s:n, s:[]}",
        "name", name, "exchange", "name", name, "type", "direct", "durable", 1, "auto_delete", 0, "arguments",
        "delivery_mode", "passive", 0, "no_declare", 0, "routing_key", name, "durable", 1, "exclusive", 0,
        "auto_delete", 0, "no_ack", 0, "alias", "queue_arguments", "binding_arguments", "consumer_arguments",
        "expires", "message_ttl", "max_priority", "bindings");
}

static void active_queues(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    json_t *queues = json_array();

    for (unsigned left = claimer_consumes(config->claimer), queue; left; left &= ~queue) {
        queue = left & -left;
        json_array_append_new(queues, describe_queue(queue_name(config->queue, queue)));
    }
    control_answer(call, queues);
}

/* Nothing that is secret, and no path. */
static void conf(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    const struct settings *s = config->settings;

    control_answer(call, json_pack("{s:s, s:s, s:s, s:{s:s}, s:I, s:b, s:b, s:I, s:I, s:b}", "broker_url",
                                   "redis://...", "result_backend", "redis://...", "task_default_queue",
                                   s->queue, "broker_transport_options", "global_keyprefix", s->queue_prefix,
                                   "worker_concurrency", (json_int_t)config->slots, "task_acks_late", 1,
                                   "task_track_started", 1, "task_time_limit", (json_int_t)s->job_timeout_s,
                                   "result_expires", (json_int_t)QUEUE_REVOKED_TTL_S,
                                   "worker_send_task_events", task_events_enabled(config->events)));
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static json_t *usage(void)
{
    struct rusage u = {0};

    getrusage(RUSAGE_SELF, &u);
    return json_pack(
        "{s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "utime",
        seconds(u.ru_utime), "stime", seconds(u.ru_stime), "maxrss", (json_int_t)u.ru_maxrss, "ixrss",
        (json_int_t)u.ru_ixrss, "idrss", (json_int_t)u.ru_idrss, "isrss", (json_int_t)u.ru_isrss, "minflt",
        (json_int_t)u.ru_minflt, "majflt", (json_int_t)u.ru_majflt, "nswap", (json_int_t)u.ru_nswap,
        "inblock", (json_int_t)u.ru_inblock, "oublock", (json_int_t)u.ru_oublock, "msgsnd",
        (json_int_t)u.ru_msgsnd, "msgrcv", (json_int_t)u.ru_msgrcv, "nsignals", (json_int_t)u.ru_nsignals,
        "nvcsw", (json_int_t)u.ru_nvcsw, "nivcsw", (json_int_t)u.ru_nivcsw);
}

/* unix:PATH, tcp:HOST:PORT, or sentinels, of whom the first is told. Of a path no more than that it is one.
 */
static json_t *broker(const char *url)
{
    struct sentinels s;
    bool has_sentinels = sentinels_meant(url) && sentinels_parse(url, &s) == 0;

    if (has_sentinels)
        url = s.places[0];

    const char *host = strchr(url, ':') + 1, *colon = strrchr(url, ':');
    bool is_tcp = str_starts(url, "tcp:") && colon > host;
    uint64_t port = 0;

    if (is_tcp && str_to_u64(colon + 1, 1, UINT16_MAX, &port) < 0)
        port = 0;
    return json_pack("{s:s%, s:o, s:n, s:s, s:s, s:b}", "hostname", is_tcp ? host : "unix",
                     is_tcp ? (size_t)(colon - host) : strlen("unix"), "port",
                     is_tcp ? json_integer((json_int_t)port) : json_null(), "userid", "virtual_host", "0",
                     "transport", has_sentinels ? "sentinel" : "redis", "ssl", 0);
}

/* As with Celery's, a task that was never begun isn't named. */
static void add_total(json_t *total, const char *task, uint64_t n)
{
    if (n > 0)
        json_object_set_new(total, task, json_integer((json_int_t)n));
}

static void stats(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    struct task_counts counts = task_events_counts(config->events);
    char text[24];
    json_t *total = json_object();
    json_t *pool = json_pack("{s:s, s:I, s:[i], s:s, s:b, s:[i, I]}", "implementation", "decant:zygotes",
                             "max-concurrency", (json_int_t)claimer_limit(config->claimer), "processes",
                             (int)getpid(), "max-tasks-per-child", "1", "put-guarded-by-semaphore", 0,
                             "timeouts", 0, (json_int_t)config->settings->job_timeout_s);

    for (size_t i = 0; i < TASKS; i++)
        add_total(total, task_names[i], counts.processed_of[i]);
    snprintf(text, sizeof text, "%lld", (long long)task_events_clock(config->events)->value);
    control_answer(call, json_pack("{s:o, s:i, s:s, s:I, s:o, s:o, s:I, s:o}", "total", total, "pid",
                                   (int)getpid(), "clock", text, "uptime",
                                   (json_int_t)((clock_mono_ms() - call->control->started_ms) / 1000), "pool",
                                   pool, "broker", broker(config->settings->redis), "prefetch_count",
                                   (json_int_t)claimer_limit(config->claimer), "rusage", usage()));
}

#define PYTHONS_OWN "it is about a Python interpreter, and there is none in this worker"

const struct control_command control_inspections[] = {
    {"ping", NULL, ping, NULL},
    {"clock", NULL, clock_value, NULL},
    {"report", NULL, report, NULL},
    {"conf", "dump_conf", conf, NULL},
    {"stats", NULL, stats, NULL},
    {"active", "dump_active", active, NULL},
    {"reserved", "dump_reserved", reserved, NULL},
    {"scheduled", "dump_schedule", scheduled, NULL},
    {"revoked", "dump_revoked", revoked, NULL},
    {"registered", "dump_tasks", registered, NULL},
    {"active_queues", NULL, active_queues, NULL},
    {"query_task", NULL, query_task, NULL},
    {"hello", NULL, hello, NULL},
    {"objgraph", NULL, NULL, PYTHONS_OWN},
    {"memsample", NULL, NULL, PYTHONS_OWN},
    {"memdump", NULL, NULL, PYTHONS_OWN},
    {0},
};
