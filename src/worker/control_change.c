/* The commands that change something (`celery control`). What they change is gone with the process, but for
 * revoked ids, which all workers know (queue/monitor.h). */
#include "worker/control_impl.h"

#include "core/buf.h"
#include "core/log.h"
#include "core/str.h"
#include "queue/kombu.h"

#include <errno.h>

static const char *text_argument(const struct control_call *call, const char *name)
{
    const char *s = json_string_value(control_argument(call, name));

    return s ? s : "";
}

/* --- revoke */

/* "a, b, c" */
static void append_id(struct buf *b, const char *id)
{
    if (b->len > 0)
        buf_append_str(b, ", ");
    buf_append_str(b, id);
}

struct revocation {
    const json_t *ids;
    bool terminate;
    int signal;
    struct buf stopped;
};

static void revoke_one(void *arg, struct runner *r)
{
    struct revocation *revocation = arg;
    const char *id = runner_claim(r)->id;

    for (size_t i = 0; i < pidbox_count_ids(revocation->ids); i++)
        if (str_eq(pidbox_id(revocation->ids, i), id)) {
            if (runner_revoke(r, revocation->terminate, revocation->signal))
                append_id(&revocation->stopped, id);
            return;
        }
}

static char *all_ids(const json_t *ids)
{
    _cleanup_buf_ struct buf b = BUF_INIT(KOMBU_MAX_BYTES);

    for (size_t i = 0; i < pidbox_count_ids(ids); i++)
        if (pidbox_id(ids, i))
            append_id(&b, pidbox_id(ids, i));
    return buf_take(&b);
}

/* Redis remembers them, or can't be reached. What is here is stopped in either case; whatever was claimed
 * before Redis knew is here by now, as the answers come in order. */
static void on_remembered(void *arg, int err)
{
    struct control_call *call = arg;
    struct revocation revocation = {.ids = control_argument(call, "task_id"),
                                    .terminate = call->signal > 0,
                                    .signal = call->signal,
                                    .stopped = BUF_INIT(KOMBU_MAX_BYTES)};
    _cleanup_free_ char *ids = NULL;

    if (!control_lives(call)) {
        control_ignore(call);
        return;
    }
    claimer_each(call->control->config.claimer, revoke_one, &revocation);
    ids = revocation.terminate ? buf_take(&revocation.stopped) : all_ids(revocation.ids);
    buf_free(&revocation.stopped);
    if (err < 0)
        control_error(call, "the ids could not be stored for all workers: %s", strerror(-err));
    else if (revocation.terminate && (!ids || !*ids))
        control_ok(call, "terminate: tasks unknown");
    else if (revocation.terminate)
        control_ok(call, "terminate: %s", ids);
    else
        control_ok(call, "tasks %s flagged as revoked", ids ? ids : "");
}

/* `terminate`: what runs is stopped as if its session were closed, whatever the signal; its name has to be
 * one. */
static void revoke_with(struct control_call *call, bool terminate)
{
    const json_t *ids = control_argument(call, "task_id");

    call->signal = terminate ? pidbox_signal(control_argument(call, "signal")) : 0;
    if (call->signal < 0)
        control_error(call, "there is no such signal");
    else if (pidbox_count_ids(ids) == 0)
        control_error(call, "task_id must be an id or a list of ids");
    else
        queue_revoke(call->control->config.queue, ids, on_remembered, call);
}

static void revoke_tasks(struct control_call *call)
{
    revoke_with(call, pidbox_truthy(control_argument(call, "terminate")));
}

static void terminate(struct control_call *call)
{
    revoke_with(call, true);
}

/* --- events */

static void enable_events(struct control_call *call)
{
    bool changed = task_events_enable(call->control->config.events, true);

    control_ok(call, changed ? "task events enabled" : "task events already enabled");
}

static void disable_events(struct control_call *call)
{
    bool changed = task_events_enable(call->control->config.events, false);

    control_ok(call, changed ? "task events disabled" : "task events already disabled");
}

static void heartbeat(struct control_call *call)
{
    task_events_heartbeat(call->control->config.events);
    control_answer(call, NULL);
}

/* --- how many tasks at once */

static unsigned step(const struct control_call *call)
{
    const json_t *n = control_argument(call, "n");
    json_int_t value = n ? json_integer_value(n) : 1;

    return value > 0 && value <= UINT16_MAX ? (unsigned)value : 0;
}

static void pool_grow(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    unsigned limit = claimer_limit(config->claimer) + step(call);

    if (step(call) == 0)
        control_error(call, "n must be a positive number");
    else if (limit > config->slots)
        control_error(call, "no more than %u, which DECANT_JOBS says", config->slots);
    else {
        claimer_set_limit(config->claimer, limit);
        control_ok(call, "pool will grow");
    }
}

static void pool_shrink(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    unsigned limit = claimer_limit(config->claimer);

    if (step(call) == 0)
        control_error(call, "n must be a positive number");
    else if (step(call) >= limit)
        control_error(call, "one has to be left; cancel_consumer stops the claiming of tasks");
    else {
        claimer_set_limit(config->claimer, limit - step(call));
        control_ok(call, "pool will shrink");
    }
}

/* As SIGHUP does. */
static void pool_restart(struct control_call *call)
{
    engine_pool_reload(call->control->config.engines);
    control_ok(call, "reload started");
}

/* --- queues: the base one, and those of the families that this worker has engines for */

static unsigned named_queue(const struct control_call *call)
{
    return queue_by_name(call->control->config.queue, text_argument(call, "queue"));
}

static void add_consumer(struct control_call *call)
{
    const struct control_config *config = &call->control->config;
    unsigned queue = named_queue(call);

    if (!queue || !(claimer_queues(config->claimer) & queue)) {
        control_error(call,
                      "this worker can't consume from that queue: %s and those of its engines' families "
                      "are all that it knows",
                      config->settings->queue);
        return;
    }
    claimer_consume(config->claimer, queue, true);
    control_ok(call, "add consumer %s", text_argument(call, "queue"));
}

static void cancel_consumer(struct control_call *call)
{
    claimer_consume(call->control->config.claimer, named_queue(call), false);
    control_ok(call, "no longer consuming from %s", text_argument(call, "queue"));
}

/* --- the rest */

static bool is_known_task(const struct control_call *call)
{
    const char *name = text_argument(call, "task_name");

    return task_index(name) < TASKS;
}

static void rate_limit(struct control_call *call)
{
    const json_t *rate = control_argument(call, "rate_limit");

    if (!is_known_task(call))
        control_error(call, "unknown task");
    else if (pidbox_truthy(rate) && !str_eq(json_string_value(rate), "0"))
        control_error(call,
                      "tasks have no rate limits here: DECANT_JOBS and pool_shrink bound how many run at "
                      "once");
    else
        control_ok(call, "rate limit disabled successfully");
}

static void time_limit(struct control_call *call)
{
    if (!is_known_task(call))
        control_error(call, "unknown task");
    else
        control_error(call, "the file decides how long it may take, between DECANT_JOB_TIMEOUT_MIN and "
                            "DECANT_JOB_TIMEOUT");
}

/* As with Celery's own workers nobody answers. */
static void shutdown_worker(struct control_call *call)
{
    const struct control_config config = call->control->config;

    control_ignore(call);
    log_warn("asked to end by remote control");
    config.shutdown(config.arg);
}

const struct control_command control_changes[] = {
    {"revoke", NULL, revoke_tasks, NULL},
    {"terminate", NULL, terminate, NULL},
    {"enable_events", NULL, enable_events, NULL},
    {"disable_events", NULL, disable_events, NULL},
    {"heartbeat", NULL, heartbeat, NULL},
    {"pool_grow", NULL, pool_grow, NULL},
    {"pool_shrink", NULL, pool_shrink, NULL},
    {"pool_restart", NULL, pool_restart, NULL},
    {"add_consumer", NULL, add_consumer, NULL},
    {"cancel_consumer", NULL, cancel_consumer, NULL},
    {"rate_limit", NULL, rate_limit, NULL},
    {"time_limit", NULL, time_limit, NULL},
    {"shutdown", NULL, shutdown_worker, NULL},
    {"autoscale", NULL, NULL, "ValueError('Autoscale not enabled')"},
    {"election", NULL, NULL, "this worker takes no part in elections"},
    {0},
};
