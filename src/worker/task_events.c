#include "worker/task_events.h"

#include "core/str.h"
#include "queue/describe.h"
#include "queue/event.h"
#include "queue/monitor.h"
#include "queue/repr.h"
#include "worker/runner.h"

#include <errno.h>
#include <sys/sysinfo.h>

/* As SI_LOAD_SHIFT says in sysinfo(2); /proc is closed to a confined worker. */
#define LOAD_UNIT 65536.0

enum { NODE_MAX = 128 };

struct task_events {
    struct task_events_config config;
    char node[NODE_MAX];
    struct lamport clock;
    struct task_counts counts;
    bool tasks, online;
    uv_timer_t timer;
};

/* Takes `fields` over. */
static void tell(struct task_events *e, const char *type, json_t *fields)
{
    struct event event = {
        .type = type, .node = e->node, .clock = lamport_forward(&e->clock), .fields = fields};

    if (fields)
        queue_publish_event(e->config.queue, &event);
    json_decref(fields);
}

/* --- the worker */

static void send_state(struct task_events *e, const char *type)
{
    struct sysinfo info = {0};

    sysinfo(&info);
    tell(e, type,
         json_pack("{s:f, s:I, s:I, s:[f, f, f], s:s, s:s, s:s}", "freq", HEARTBEAT_EVERY_MS / 1000.0,
                   "active", (json_int_t)e->counts.active, "processed", (json_int_t)e->counts.processed,
                   "loadavg", (double)info.loads[0] / LOAD_UNIT, (double)info.loads[1] / LOAD_UNIT,
                   (double)info.loads[2] / LOAD_UNIT, "sw_ident", "decant", "sw_ver", DECANT_VERSION,
                   "sw_sys", "Linux"));
}

void task_events_heartbeat(struct task_events *e)
{
    send_state(e, "worker-heartbeat");
}

static void on_timer(uv_timer_t *timer)
{
    task_events_heartbeat(timer->data);
}

void task_events_online(struct task_events *e)
{
    e->online = true;
    send_state(e, "worker-online");
    uv_timer_start(&e->timer, on_timer, HEARTBEAT_EVERY_MS, HEARTBEAT_EVERY_MS);
}

void task_events_offline(struct task_events *e)
{
    uv_timer_stop(&e->timer);
    if (e->online)
        send_state(e, "worker-offline");
    e->online = false;
}

/* --- tasks */

static bool told(const struct task_events *e)
{
    return e && e->tasks;
}

void task_events_received(struct task_events *e, const struct queue_claim *claim)
{
    if (told(e))
        tell(e, "task-received", describe_received(claim->message, strlen(claim->message)));
}

void task_events_started(struct task_events *e, const struct queue_claim *claim)
{
    if (!e)
        return;
    e->counts.active++;
    e->counts.processed++;
    if (task_index(claim->name) < TASKS)
        e->counts.processed_of[task_index(claim->name)]++;
    if (told(e))
        tell(e, "task-started", json_pack("{s:s}", "uuid", claim->id));
}

void task_events_over(struct task_events *e)
{
    if (e)
        e->counts.active--;
}

static void send_succeeded(struct task_events *e, const struct queue_claim *claim,
                           const struct queue_result *result, const struct task_end *end)
{
    _cleanup_free_ char *text = repr_python(result->result);

    tell(e, "task-succeeded",
         json_pack("{s:s, s:s?, s:f}", "uuid", claim->id, "result", text, "runtime",
                   (double)end->runtime_ms / 1000));
}

/* With an exception as Python would print it, and where it was. */
static void send_exception(struct task_events *e, const char *event, const struct queue_claim *claim,
                           const char *type, const char *message)
{
    _cleanup_json_ json_t *text = json_string(message);
    _cleanup_free_ char *repr = repr_python(text), *exception = NULL, *traceback = NULL;

    if (!repr || asprintf(&exception, "%s(%s)", type, repr) < 0 ||
        asprintf(&traceback, "Traceback (%s):\n  task %s[%s]\n%s: %s\n", e->node, claim->name, claim->id,
                 type, message) < 0)
        abort();
    tell(e, event,
         json_pack("{s:s, s:s, s:s}", "uuid", claim->id, "exception", exception, "traceback", traceback));
}

static void send_failed(struct task_events *e, const struct queue_claim *claim,
                        const struct queue_result *result, const struct task_end *end)
{
    send_exception(e, "task-failed", claim, result->exc_type ? result->exc_type : "TaskError",
                   result->exc_message ? result->exc_message : "");
}

static void send_revoked(struct task_events *e, const struct queue_claim *claim,
                         const struct queue_result *result, const struct task_end *end)
{
    bool expired = str_eq(result->exc_message, QUEUE_EXPIRED);
    json_t *signal_number = end->signal ? json_integer(end->signal) : json_null();

    tell(e, "task-revoked",
         json_pack("{s:s, s:b, s:o, s:b}", "uuid", claim->id, "terminated", end->signal != 0, "signum",
                   signal_number, "expired", expired));
}

static void send_rejected(struct task_events *e, const struct queue_claim *claim,
                          const struct queue_result *result, const struct task_end *end)
{
    tell(e, "task-rejected", json_pack("{s:s, s:b}", "uuid", claim->id, "requeue", end->requeued));
}

void task_events_ended(struct task_events *e, const struct queue_claim *claim,
                       const struct queue_result *result, const struct task_end *end)
{
    static void (*const senders[])(struct task_events *, const struct queue_claim *,
                                   const struct queue_result *, const struct task_end *) = {
        [QUEUE_SUCCESS] = send_succeeded,
        [QUEUE_FAILURE] = send_failed,
        [QUEUE_REVOKED] = send_revoked,
        [QUEUE_REJECTED] = send_rejected,
    };

    if (!told(e))
        return;
    if (end->requeued && end->begun)
        send_exception(e, "task-retried", claim, "Retry", end->why);
    else if (end->requeued)
        send_rejected(e, claim, result, end);
    else
        senders[result->state](e, claim, result, end);
}

static void on_unrun(void *arg, const struct queue_claim *claim, const struct queue_result *result)
{
    task_events_received(arg, claim);
    task_events_ended(arg, claim, result, &(struct task_end){0});
}

/* --- */

const char *task_events_node(const struct task_events *e)
{
    return e->node;
}

struct lamport *task_events_clock(struct task_events *e)
{
    return &e->clock;
}

bool task_events_enable(struct task_events *e, bool on)
{
    bool changed = e->tasks != on;

    e->tasks = on;
    return changed;
}

bool task_events_enabled(const struct task_events *e)
{
    return e->tasks;
}

struct task_counts task_events_counts(const struct task_events *e)
{
    return e->counts;
}

static int set_name(struct task_events *e, const char *node)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@_-.";
    char host[NODE_MAX / 2] = "";

    if (node && *node) {
        snprintf(e->node, sizeof e->node, "%s", node);
        return strspn(node, allowed) == strlen(node) && strlen(node) < sizeof e->node ? 0 : -EINVAL;
    }
    if (gethostname(host, sizeof host - 1) < 0 || !*host)
        snprintf(host, sizeof host, "localhost");
    snprintf(e->node, sizeof e->node, "decant@%s", host);
    return 0;
}

int task_events_new(const struct task_events_config *config, struct task_events **ret)
{
    struct task_events *e = malloc(sizeof *e);

    if (!e)
        return -ENOMEM;
    *e = (struct task_events){.config = *config, .tasks = config->tasks};
    if (set_name(e, config->node) < 0) {
        free(e);
        return -EINVAL;
    }
    uv_timer_init(config->loop, &e->timer);
    e->timer.data = e;
    queue_on_unrun(config->queue, on_unrun, e);
    *ret = e;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void task_events_free(struct task_events *e)
{
    if (!e)
        return;
    queue_on_unrun(e->config.queue, NULL, NULL);
    uv_close((uv_handle_t *)&e->timer, on_closed);
}
