#include "worker/runner_parts.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "engine/secrets.h"
#include "state/job.h"

#include <assert.h>
#include <errno.h>

enum { NUMBER_MAX = 24 };

/* --- small machinery: retries, chores on another thread, what is freed and when */

static void on_timer(uv_timer_t *timer)
{
    struct runner *r = timer->data;

    r->retry(r);
}

void runner_retry_in(struct runner *r, uint64_t ms, void (*retry)(struct runner *r))
{
    r->retry = retry;
    uv_timer_start(&r->timer, on_timer, ms, 0);
}

bool runner_unanswered(int err)
{
    return err == -ENOTCONN || err == -ETIMEDOUT || err == -ENOSPC || err == -EPROTO;
}

bool runner_asks_again(struct runner *r, int err, void (*ask)(struct runner *r))
{
    if (!runner_unanswered(err))
        return false;
    if (!runner_called_off(r))
        runner_retry_in(r, RUNNER_RETRY_MS, ask);
    return true;
}

static void do_chore(uv_work_t *work)
{
    struct runner *r = work->data;

    r->chore(r);
}

static void on_chore_done(uv_work_t *work, int status)
{
    struct runner *r = work->data;

    r->then(r);
}

void runner_do_then(struct runner *r, void (*chore)(struct runner *r), void (*then)(struct runner *r))
{
    r->chore = chore;
    r->then = then;
    r->work.data = r;
    uv_queue_work(r->context->loop, &r->work, do_chore, on_chore_done);
}

static void runner_free(struct runner *r)
{
    cleanup_close(&r->job_fd);
    queue_claim_free(r->claim);
    free(r->stored_path);
    free(r->kept_path);
    free(r->options);
    free(r->sealed_secrets);
    free(r->file);
    runner_inputs_free(r);
    free(r);
}

static void on_closed(uv_handle_t *handle)
{
    struct runner *r = handle->data;

    r->ended = true;
    if (r->pending == 0)
        runner_free(r);
}

void runner_close(struct runner *r)
{
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

bool runner_answered(struct runner *r)
{
    r->pending--;
    if (!r->ended)
        return !uv_is_closing((uv_handle_t *)&r->timer);
    if (r->pending == 0)
        runner_free(r);
    return false;
}

/* --- before the conversion */

void runner_skip(struct runner *r, const char *why)
{
    r->attempt.reason = why;
    runner_settle(r, END_SKIPPED);
}

static void reject(struct runner *r, const char *reason, const char *text)
{
    r->attempt.reason = reason;
    r->attempt.reason_text = text;
    log_warn("task refused", LOG_TASK(r), LOG_S("reason", reason));
    runner_settle(r, END_REJECTED);
}

/* The way that the options ask for. */
static const struct catalogue_route *choose_route(const struct catalogue_route *route, const char *text)
{
    _cleanup_json_ json_t *options = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const struct catalogue_route *chosen = catalogue_route_with(route, options);

    secrets_wipe(options);
    return chosen;
}

static void convert(struct runner *r)
{
    _cleanup_secret_ char *options = NULL;
    struct conversion_request request = {.job_fd = r->job_fd, .input = runner_path_in_job(r, r->stored_path)};

    if (runner_called_off(r))
        return;
    if (r->job_fd < 0) {
        log_warn("the job's folder can't be opened", LOG_TASK(r), LOG_E(r->job_fd));
        r->job_fd = -1;
        runner_fail(r, OUTCOME_INTERNAL);
        return;
    }
    if (runner_open_options(r, &options) < 0) {
        runner_fail(r, OUTCOME_INTERNAL);
        return;
    }
    r->route = choose_route(r->route, options);
    r->attempt.engine = r->route->engines;
    request.route = r->route;
    request.options = options;
    runner_convert(r, &request);
}

/* On another thread: what an earlier attempt has left goes. */
static void sweep(struct runner *r)
{
    r->job_fd = storage_open_job(r->context->storage, r->session_id, r->job_id);
    if (r->job_fd >= 0)
        storage_sweep_job(r->job_fd, r->kept_path);
    runner_inputs_open(r);
}

static void start(struct runner *r);
static void hold(struct runner *r);

void runner_mark_begun(struct runner *r)
{
    r->begun_ms = clock_mono_ms();
    r->begun_real_ms = clock_real_ms();
    queue_started(r->context->queue, r->worker, r->claim, NULL);
    task_events_started(r->context->events, r->claim);
}

static void on_marked(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (runner_asks_again(r, err, r->claim->gave_up ? hold : start))
        return;
    /* Gone or cancelled in this very moment. Then its folder isn't ours: it may be under way again, for
     * another task. */
    if (err != 0) {
        r->stopped = true;
        runner_called_off(r);
    } else if (r->revoked) {
        runner_do_then(r, sweep, runner_call_off);
    } else if (r->claim->gave_up) {
        runner_do_then(r, sweep, runner_give_up);
    } else {
        runner_mark_begun(r);
        runner_do_then(r, sweep, convert);
    }
}

/* What is not to run is marked as ours as well before we touch its folder, and no more. */
static void hold(struct runner *r)
{
    r->pending++;
    job_update(r->context->redis, r->session_id, r->job_id, r->claim->id, REDIS("worker", r->worker),
               on_marked, r);
}

/* Marks the job as ours. From here on, closing its session waits for us. */
static void start(struct runner *r)
{
    char now[CLOCK_RFC3339_LEN + 1], attempts[NUMBER_MAX], queue_ms[NUMBER_MAX] = "";

    if (runner_called_off(r))
        return;
    clock_rfc3339(clock_real_ms(), now);
    snprintf(attempts, sizeof attempts, "%llu",
             (unsigned long long)(r->claim->deliveries + r->claim->retries));
    if (r->queue_ms != JOB_UNKNOWN)
        snprintf(queue_ms, sizeof queue_ms, "%llu", (unsigned long long)r->queue_ms);
    r->pending++;
    job_update(r->context->redis, r->session_id, r->job_id, r->claim->id,
               REDIS("status", job_status_name(JOB_SCANNING), "worker", r->worker, "started_at", now,
                     "attempts", attempts, "queue_ms", queue_ms, "progress", "0"),
               on_marked, r);
}

static void end_cancelled(struct runner *r)
{
    runner_settle(r, END_CANCELLED);
}

static void end_revoked(struct runner *r)
{
    runner_settle(r, END_REVOKED);
}

/* Whoever had it before us has died while stopping it. It is nobody else's until we have ended it. */
static void sweep_then(struct runner *r, void (*then)(struct runner *r))
{
    r->kept_path = strdup("");
    runner_do_then(r, sweep, then);
}

static void skip_gone(struct runner *r)
{
    if (r->revoked)
        runner_call_off(r);
    else
        runner_skip(r, "gone");
}

static const struct catalogue_route *find_route(const struct job *job)
{
    const struct format *from = format_by_id(job->source_format), *to = format_by_id(job->target_format);
    const struct catalogue_route *route =
        *job->inputs ? catalogue_find_many(from, to) : catalogue_find(from, to);

    return route ? choose_route(route, job->options) : NULL;
}

bool runner_is_own(const struct runner *r, const char *stored_path)
{
    char prefix[ID_TOKEN_LEN + ID_UUID_LEN + 3];

    snprintf(prefix, sizeof prefix, "%s/%s/", r->session_id, r->job_id);
    return storage_path_valid(stored_path) && str_starts(stored_path, prefix);
}

/* {session}/{job}/uploads/… → uploads/… */
const char *runner_path_in_job(const struct runner *r, const char *stored_path)
{
    return stored_path + ID_TOKEN_LEN + 1 + ID_UUID_LEN + 1;
}

/* Keeps what is needed of the job. The stored path has to be one of this very job. */
static int remember(struct runner *r, const struct job *job)
{
    int e;

    r->route = find_route(job);
    r->attempt.engine = r->route ? r->route->engines : "";
    r->attempt.had_password = job->sealed_secrets[0] != '\0';
    r->stored_path = strdup(job->stored_path);
    r->kept_path = strdup(job->converted_path);
    r->options = strdup(job->options);
    r->sealed_secrets = strdup(job->sealed_secrets);
    if (!r->stored_path || !r->kept_path || !r->options || !r->sealed_secrets)
        return -ENOMEM;
    e = runner_inputs_read(r, job->inputs);
    if (e < 0)
        return e;
    if (!runner_is_own(r, job->stored_path))
        return -EINVAL;
    return r->route ? 0 : -ENOTSUP;
}

static void log_unusable(const struct runner *r, const struct job *job, int err)
{
    if (err == -ENOTSUP)
        log_error(
            "no engine of this worker converts that: DECANT_ENGINES must be the same for the API and all "
            "workers of a queue",
            LOG_TASK(r), LOG_S("from", job->source_format), LOG_S("to", job->target_format));
    else
        log_warn("the job's record is unusable", LOG_TASK(r), LOG_E(err));
}

bool runner_find_place(struct runner *r)
{
    const char *family = r->kind->family ?: catalogue_route_family(r->route);
    unsigned queue = queue_family(r->context->queue, family);

    if (!shares_move(r->context->shares, r->queue, queue)) {
        r->belongs = family;
        runner_settle(r, END_RELEASED);
        return false;
    }
    r->queue = queue;
    return true;
}

void runner_log_started(const struct runner *r)
{
    log_info("task started", LOG_TASK(r), LOG_S("from", r->route->from->id), LOG_S("to", r->route->to->id),
             LOG_U("delivery", r->claim->deliveries));
}

/* The job is there, its status is one that can be worked on, and the task is the one that it waits for. */
static void take(struct runner *r, const struct job *job)
{
    int err = remember(r, job);

    if (err < 0) {
        log_unusable(r, job, err);
        runner_fail(r, OUTCOME_INTERNAL);
    } else if (r->revoked || r->claim->gave_up) {
        hold(r);
    } else if (runner_find_place(r)) {
        runner_log_started(r);
        start(r);
    }
}

static void load(struct runner *r);

static void on_loaded(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (runner_asks_again(r, err, load))
        return;
    if (err != 0) { /* the session is closed or has expired: no file of it may stay */
        runner_do_then(r, runner_remove_job, skip_gone);
        return;
    }
    if (job->task_id[0] && !str_eq(job->task_id, r->claim->id)) {
        runner_settle(r, END_SUPERSEDED);
        return;
    }
    if (str_eq(job->cancelling, r->claim->id) && !job_status_is_final(job->status)) {
        sweep_then(r, end_cancelled);
        return;
    }
    switch (job->status) {
    case JOB_QUEUED:
    case JOB_SCANNING:
    case JOB_PROCESSING:
        take(r, job);
        break;
    case JOB_CANCELLED: /* by whom closed its session; else its folder may already be another task's */
        if (job->worker[0])
            sweep_then(r, end_revoked);
        else
            end_revoked(r);
        break;
    case JOB_COMPLETED:
    case JOB_FAILED:
        runner_skip(r, job_status_name(job->status));
        break;
    case JOB_UPLOADED:
        reject(r, "not_queued", "No conversion was asked for this job.");
        break;
    }
}

static void load(struct runner *r)
{
    if (runner_called_off(r))
        return;
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_loaded, r);
}

bool runner_take_job(struct runner *r)
{
    const char *session_id = json_string_value(json_object_get(r->claim->kwargs, "session_id"));
    const char *job_id = json_string_value(json_object_get(r->claim->kwargs, "job_id"));

    if (!id_is_token(session_id) || !id_is_uuid(job_id))
        return false;
    r->session_id = session_id;
    r->job_id = job_id;
    return true;
}

/* --- the tasks */

static int publish_job(struct runner *r, const struct conversion_output *output)
{
    return storage_publish(r->context->storage, r->job_fd, output->work, output->name, r->session_id,
                           r->job_id, output->format->id, r->published);
}

static void settle_job(const struct runner *r, enum ending ending, struct settlement *ret)
{
    settlement_make(ret, ending, r->session_id, r->job_id, &r->attempt);
}

static const struct task_kind kinds[] = {
    {.name = TASK_CONVERT,
     .needs = TASK_CONVERT " needs the keyword arguments session_id and job_id.",
     .owns_job = true,
     .take_arguments = runner_take_job,
     .begin = load,
     .publish = publish_job,
     .settle = settle_job,
     .count = counters_job},
    {.name = TASK_CONVERT_FILE,
     .begin = runner_begin_file,
     .publish = runner_publish_file,
     .settle = settle_job,
     .count = counters_job},
    {.name = TASK_PREVIEW,
     .needs = TASK_PREVIEW " needs the keyword arguments session_id, job_id and size, which is one of a few.",
     .family = CATALOGUE_PREVIEWS,
     .take_arguments = runner_take_preview,
     .begin = runner_begin_preview,
     .publish = runner_publish_preview,
     .settle = runner_settle_preview,
     .count = counters_preview},
};
static_assert(ARRAY_SIZE(kinds) == TASKS, "each task of tasks.h");

static const struct task_kind no_kind = {.settle = settle_job};

static const struct task_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_eq(kinds[i].name, name))
            return &kinds[i];
    return &no_kind;
}

/* The first turn, so that `over` never comes before runner_start has returned. */
static void begin(struct runner *r)
{
    bool known = r->kind->begin, complete = !r->kind->take_arguments || r->kind->take_arguments(r);

    task_events_received(r->context->events, r->claim);
    if (r->revoked && !(known && complete))
        runner_call_off(r);
    else if (!known)
        reject(r, "unknown_task",
               "This worker knows the tasks " TASK_CONVERT ", " TASK_CONVERT_FILE " and " TASK_PREVIEW
               " alone.");
    else if (!complete)
        reject(r, "bad_arguments", r->kind->needs);
    else
        r->kind->begin(r);
}

/* --- what others see */

/* The clocks of two hosts: what was queued in the future was queued just now. */
static uint64_t waited_since(uint64_t queued_ms)
{
    uint64_t now = clock_real_ms();

    if (queued_ms == 0)
        return JOB_UNKNOWN;
    return now > queued_ms ? now - queued_ms : 0;
}

struct runner *runner_start(const struct runner_context *context, const char *worker,
                            struct queue_claim *claim, runner_over_fn *over, void *arg)
{
    struct runner *r = xcalloc(1, sizeof *r);

    *r = (struct runner){.context = context,
                         .kind = find_kind(claim->name),
                         .claim = claim,
                         .over = over,
                         .arg = arg,
                         .session_id = "",
                         .job_id = "",
                         .job_fd = -1,
                         .revoked = claim->revoked,
                         .started_ms = clock_mono_ms()};
    snprintf(r->worker, sizeof r->worker, "%s", worker);
    r->queue_ms = waited_since(claim->queued_ms);
    r->trace = claim->trace;
    if (!r->trace.id[0])
        trace_new(&r->trace);
    r->queue = claim->queue;
    shares_take(context->shares, r->queue);
    uv_timer_init(context->loop, &r->timer);
    r->timer.data = r;
    runner_retry_in(r, 0, begin);
    return r;
}

bool runner_is_scanning(const struct runner *r)
{
    return r->scanning;
}

const char *runner_job_id(const struct runner *r)
{
    return r->job_id;
}

const struct queue_claim *runner_claim(const struct runner *r)
{
    return r->claim;
}

uint64_t runner_begun_ms(const struct runner *r)
{
    return r->begun_real_ms;
}

bool runner_revoke(struct runner *r, bool terminate, int signal_number)
{
    if (r->settling || (r->begun_ms && !terminate))
        return false;
    r->revoked = true;
    r->signal = terminate ? signal_number : 0;
    if (r->conversion)
        conversion_cancel(r->conversion);
    return true;
}

/* The states before the conversion look at the flags when their answer has come. */
void runner_stop(struct runner *r)
{
    r->stopped = true;
    if (r->conversion)
        conversion_cancel(r->conversion);
}

void runner_release(struct runner *r)
{
    r->released = true;
    if (r->conversion)
        conversion_cancel(r->conversion);
}

void runner_check_claim(struct runner *r)
{
    if (!r->claim->lost || r->released || r->when_gone)
        return;
    log_warn("the task was taken over by another worker", LOG_TASK(r));
    runner_release(r); /* which will be answered by -ESTALE */
}

/* A preview has no run of the job: it goes with the result that it shows. */
static bool is_to_stop(const struct runner *r, const struct job *job)
{
    if (!r->kind->owns_job)
        return job->status != JOB_COMPLETED;
    return str_eq(job->cancelling, r->claim->id) || (job->task_id[0] && !str_eq(job->task_id, r->claim->id));
}

static void on_checked(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (err == -ENOENT || (err == 0 && (job->status == JOB_CANCELLED || is_to_stop(r, job))))
        runner_stop(r);
}

void runner_check(struct runner *r)
{
    if (!r->conversion || !r->job_id[0])
        return;
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_checked, r);
}
