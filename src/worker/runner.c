#include "worker/runner.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/password.h"
#include "state/job.h"
#include "state/job_leave.h"
#include "worker/exchange_task.h"
#include "worker/outcome_log.h"
#include "worker/settlement.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>

#define RELEASED "the worker ends before the task does"

enum {
    RETRY_MS = 1000,
    LATER_FIRST_MS = 5000,
    LATER_MOST_MS = 300000,
    PROGRESS_EVERY_MS = 100,
    WORKER_MAX = 128,
    NUMBER_MAX = 24
};

/* By which a line of the log is found. */
#define LOG_TASK(r)                                                                                          \
    LOG_S("job_id", (r)->job_id), LOG_S("task_id", (r)->claim->id), LOG_S("trace_id", (r)->trace.id)

struct runner {
    const struct runner_context *context;
    struct queue_claim *claim;
    char worker[WORKER_MAX];
    runner_over_fn *over;
    void *arg;

    unsigned queue;      /* whose share of the slots it holds; QUEUE_BASE before its route is known */
    const char *belongs; /* RELEASED: into the queue of this family; NULL: where it came from */
    const char *session_id, *job_id; /* in the claim; "" when it has none */
    const struct catalogue_route *route;
    char *stored_path, *kept_path, *options, *sealed_password;
    int job_fd;
    struct exchange_task *file; /* of TASK_CONVERT_FILE; NULL of a job */

    struct conversion *conversion;
    bool stopped, released, settling, ended, scanning;
    bool dropped;   /* `file` was */
    bool revoked;   /* by Celery's remote control */
    int signal;     /* that terminates it; 0: it isn't begun, or runs on */
    bool occupied;  /* the conversion's process and folders are not gone yet */
    bool over_then; /* when they are */
    unsigned percent;
    uint64_t progress_sent_ms, started_ms;
    uint64_t begun_ms, begun_real_ms; /* 0: the job isn't marked as ours yet */
    uint64_t queue_ms;                /* until it was claimed; JOB_UNKNOWN: the message doesn't say */
    struct trace trace;

    uv_timer_t timer; /* what `retry` waits for */
    void (*retry)(struct runner *r);
    uv_work_t work;
    void (*chore)(struct runner *r), (*then)(struct runner *r);
    unsigned pending; /* answers of Redis that will still come to us */

    enum ending ending;
    struct attempt attempt;
    int settled;                      /* what the queue said of it */
    const char *kill;                 /* why the sandbox ended it; NULL: it did not */
    char published[STORAGE_PATH_MAX]; /* "" or the result under its final name */
    char signature[160], engine_version[128];
};

/* --- small machinery: retries, chores on another thread, the end */

static void on_timer(uv_timer_t *timer)
{
    struct runner *r = timer->data;

    r->retry(r);
}

static void retry_in(struct runner *r, uint64_t ms, void (*retry)(struct runner *r))
{
    r->retry = retry;
    uv_timer_start(&r->timer, on_timer, ms, 0);
}

/* Redis did not answer: neither yes nor no. */
static bool unanswered(int err)
{
    return err == -ENOTCONN || err == -ETIMEDOUT || err == -ENOSPC || err == -EPROTO;
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

/* Runs `chore` on one of libuv's threads and `then` on the loop. */
static void do_then(struct runner *r, void (*chore)(struct runner *r), void (*then)(struct runner *r))
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
    free(r->sealed_password);
    free(r->file);
    free(r);
}

static void on_closed(uv_handle_t *handle)
{
    struct runner *r = handle->data;

    r->ended = true;
    if (r->pending == 0)
        runner_free(r);
}

/* An answer has come. False: nobody waits for it any more, and the runner may be gone. */
static bool answered(struct runner *r)
{
    r->pending--;
    if (!r->ended)
        return !uv_is_closing((uv_handle_t *)&r->timer);
    if (r->pending == 0)
        runner_free(r);
    return false;
}

/* A task that isn't ours any more is counted by whoever has it, and a job that went its own way was
 * cancelled. */
static void count(struct runner *r)
{
    bool lost = r->settled == -ESTALE;
    bool cancelled = r->settled == -ENOENT || r->settled == -EBUSY || r->ending == END_REVOKED;
    bool called_off = r->ending == END_CALLED_OFF;
    bool job = r->ending == END_COMPLETED || r->ending == END_FAILED || r->ending == END_GAVE_UP ||
               called_off || cancelled;
    enum outcome outcome = cancelled ? OUTCOME_CANCELLED : called_off ? OUTCOME_REVOKED : r->attempt.outcome;
    const struct counted_job counted = {
        .engine = r->route ? r->route->engine : NULL,
        .source = r->route ? r->route->from->id : NULL,
        .target = r->route ? r->route->to->id : NULL,
        .outcome = outcome_code(outcome),
        .kill = r->kill,
        .queue_ms = r->queue_ms,
        .duration_ms = r->attempt.duration_ms,
        .cpu_ms = r->attempt.cpu_ms,
        .peak_kib = r->attempt.peak_kib,
    };

    counters_add(r->context->counters, WORK_TASKS, lost ? "lost" : ending_name(r->ending), 1);
    if (job && !lost && r->route)
        counters_job(r->context->counters, &counted);
}

static void drop_file(struct runner *r)
{
    exchange_task_drop(r->file, r->context->storage);
}

/* Not before its process is gone: a slot is a process. */
static void end(struct runner *r)
{
    if (r->occupied) {
        r->over_then = true;
        return;
    }
    if (r->file && !r->dropped) {
        r->dropped = true;
        do_then(r, drop_file, end);
        return;
    }
    if (r->begun_ms)
        task_events_over(r->context->events);
    log_info("task over", LOG_TASK(r), LOG_S("ending", ending_name(r->ending)),
             LOG_U("ms", clock_mono_ms() - r->started_ms));
    count(r);
    shares_give(r->context->shares, r->queue);
    r->over(r->arg, r);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

/* --- settling */

static void settle_now(struct runner *r);

static void remove_published(struct runner *r)
{
    if (r->published[0])
        storage_remove_file(r->context->storage, r->published);
}

static void remove_job(struct runner *r)
{
    storage_remove_job(r->context->storage, r->session_id, r->job_id);
}

static void end_well(struct runner *r)
{
    r->settled = 0;
    end(r);
}

/* The claim was not ours any more. It may be that this very completion has happened and only its answer was
 * lost: then the result must stay. */
static void on_own_completion(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (!answered(r))
        return;
    if (unanswered(err))
        retry_in(r, RETRY_MS, settle_now);
    else if (err == 0 && job->status == JOB_COMPLETED && str_eq(job->converted_path, r->published))
        end_well(r);
    else
        do_then(r, remove_published, end);
}

static void check_own_completion(struct runner *r)
{
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_own_completion, r);
}

static void on_left(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (answered(r))
        end(r);
}

/* The job went its own way (cancelled while its result was being published): it is not marked as ours any
 * longer, so that closing its session need not wait. */
static void leave(struct runner *r)
{
    r->pending++;
    job_leave(r->context->redis, r->session_id, r->job_id, r->worker, on_left, r);
}

/* What Celery's monitors hear of how it ended. Whose job has moved on meanwhile is not tried again. */
static void announce(struct runner *r, int err)
{
    bool later = r->ending == END_RETRIED && err == 0;
    _cleanup_settlement_ struct settlement s;

    settlement_make(&s, r->ending, r->session_id, r->job_id, &r->attempt);

    struct task_end end = {.runtime_ms = r->begun_ms ? clock_mono_ms() - r->begun_ms : 0,
                           .requeued = r->ending == END_RELEASED || later,
                           .begun = r->begun_ms != 0,
                           .signal = r->signal,
                           .why = later ? s.result.exc_message : RELEASED};

    task_events_ended(r->context->events, r->claim, &s.result, &end);
}

/* There is no room for those that are tried later. */
static void fail_instead(struct runner *r)
{
    r->ending = END_FAILED;
    settle_now(r);
}

static void on_settled(void *arg, int err)
{
    struct runner *r = arg;

    if (!answered(r))
        return;
    if (err == 0 || err == -ENOENT || err == -EBUSY)
        announce(r, err);
    r->settled = err;
    /* While Redis is away the claimer says so, once for all. */
    if (err != 0)
        log_at(unanswered(err) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "the task was not settled", LOG_TASK(r),
               LOG_E(err));
    if (unanswered(err))
        retry_in(r, RETRY_MS, settle_now);
    else if (r->ending == END_RETRIED && (err == -EAGAIN || err == -EMSGSIZE))
        fail_instead(r);
    else if (err == -ESTALE && r->published[0])
        check_own_completion(r);
    else if (err == -ENOENT && r->ending != END_RELEASED)
        do_then(r, remove_job, end);
    else if (err == -EBUSY)
        do_then(r, remove_published, leave);
    else
        end(r);
}

/* 5 s, 15 s, 45 s, …, a quarter more or less: what has failed together need not come back together. */
static uint64_t later_ms(const struct runner *r)
{
    uint64_t ms = LATER_FIRST_MS;

    for (uint64_t i = 0; i < r->claim->retries && ms < LATER_MOST_MS; i++)
        ms *= 3;
    ms = ms < LATER_MOST_MS ? ms : LATER_MOST_MS;
    return ms * 3 / 4 + randombytes_uniform((uint32_t)ms / 2);
}

static void settle_now(struct runner *r)
{
    _cleanup_settlement_ struct settlement s;

    settlement_make(&s, r->ending, r->session_id, r->job_id, &r->attempt);
    r->pending++;
    if (r->ending == END_RELEASED && r->begun_ms)
        queue_retried(r->context->queue, r->worker, r->claim, RELEASED);
    if (r->ending == END_RELEASED && r->belongs)
        queue_move(r->context->queue, r->worker, r->claim, r->belongs, s.has_hash ? &s.hash : NULL,
                   on_settled, r);
    else if (r->ending == END_RETRIED)
        queue_retry(r->context->queue, r->worker, r->claim, &s.result, later_ms(r),
                    s.has_hash ? &s.hash : NULL, on_settled, r);
    else if (r->ending == END_RELEASED)
        queue_release(r->context->queue, r->worker, r->claim, s.has_hash ? &s.hash : NULL, on_settled, r);
    else
        queue_done(r->context->queue, r->worker, r->claim, &s.result, s.has_hash ? &s.hash : NULL, on_settled,
                   r);
}

static void settle(struct runner *r, enum ending ending)
{
    assert(!r->settling);
    r->settling = true;
    r->ending = ending;
    r->attempt.duration_ms = clock_mono_ms() - r->started_ms;
    uv_timer_stop(&r->timer);
    settle_now(r);
}

static void call_off(struct runner *r)
{
    r->attempt.reason = r->signal ? "terminated" : "revoked";
    settle(r, END_CALLED_OFF);
}

static void skip(struct runner *r, const char *why)
{
    r->attempt.reason = why;
    settle(r, END_SKIPPED);
}

static void reject(struct runner *r, const char *reason, const char *text)
{
    r->attempt.reason = reason;
    r->attempt.reason_text = text;
    log_warn("task refused", LOG_TASK(r), LOG_S("reason", reason));
    settle(r, END_REJECTED);
}

/* --- the conversion */

static void on_updated(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (answered(r) && (err == -ENOENT || err == -ECANCELED))
        runner_stop(r);
}

/* Sent with each progress too: an update that was lost while Redis was away is made good by the next. */
static void send_progress(struct runner *r)
{
    char percent[NUMBER_MAX];
    _cleanup_json_ json_t *meta = json_pack("{s:i}", "progress", (int)r->percent);

    r->progress_sent_ms = clock_mono_ms();
    queue_started(r->context->queue, r->worker, r->claim, meta);
    if (r->file)
        return;
    snprintf(percent, sizeof percent, "%u", r->percent);
    r->pending++;
    job_update(r->context->redis, r->session_id, r->job_id,
               REDIS("status", job_status_name(JOB_PROCESSING), "progress", percent), on_updated, r);
}

static void on_progress(void *arg, unsigned percent)
{
    struct runner *r = arg;
    uint64_t since = clock_mono_ms() - r->progress_sent_ms;

    r->percent = percent;
    if (since >= PROGRESS_EVERY_MS)
        send_progress(r);
    else if (!uv_is_active((uv_handle_t *)&r->timer))
        retry_in(r, PROGRESS_EVERY_MS - since, send_progress);
}

static void on_stage(void *arg, enum conversion_stage stage)
{
    struct runner *r = arg;

    r->scanning = stage == CONVERSION_SCANNING;
    if (stage == CONVERSION_CONVERTING)
        send_progress(r);
}

static int publish(void *arg, const struct conversion_output *output)
{
    struct runner *r = arg;

    if (r->file)
        return exchange_publish(&r->file->file, output->work, output->name, output->format->id);
    return storage_publish(r->context->storage, r->job_fd, output->work, output->name, r->session_id,
                           r->job_id, output->format->id, r->published);
}

static uint64_t max_retries(const struct runner *r)
{
    return r->context->conversions->settings->max_retries;
}

static const char *kill_reason(const struct conversion_report *report)
{
    if (report->forbidden_call)
        return "forbidden_call";
    if (report->outcome == OUTCOME_TIMED_OUT || report->outcome == OUTCOME_TOO_COMPLEX ||
        report->outcome == OUTCOME_ENGINE_CRASHED)
        return outcome_code(report->outcome);
    return NULL;
}

static void remove_infected(struct runner *r)
{
    if (r->file)
        exchange_remove_source(&r->file->file);
}

static void settle_failed(struct runner *r)
{
    settle(r, END_FAILED);
}

static void on_converted(void *arg, const struct conversion_report *report)
{
    struct runner *r = arg;

    r->conversion = NULL;
    r->scanning = false;
    r->attempt.outcome = report->outcome;
    r->attempt.scanned = report->scanned;
    r->attempt.output_format = report->format;
    r->attempt.output_size = report->size;
    r->attempt.output_pages = report->pages;
    r->attempt.cpu_ms = report->cpu_ms;
    r->attempt.peak_kib = report->peak_kib;
    r->attempt.pss_kib = report->pss_kib;
    r->attempt.layers = report->layers;
    snprintf(r->engine_version, sizeof r->engine_version, "%s", report->engine_version);
    r->attempt.engine_version = r->engine_version;
    r->kill = kill_reason(report);
    r->attempt.published = r->published;
    r->attempt.exchanged = r->file ? r->file->file.result : NULL;
    if (report->outcome == OUTCOME_INFECTED) {
        snprintf(r->signature, sizeof r->signature, "%s", report->detail);
        r->attempt.signature = r->signature;
    }
    outcome_log(r->job_id, r->claim->id, r->trace.id, r->route, report);

    if (report->outcome == OUTCOME_OK)
        settle(r, END_COMPLETED);
    else if (report->outcome == OUTCOME_INFECTED)
        do_then(r, remove_infected, settle_failed);
    else if (report->transient && r->claim->retries < max_retries(r))
        settle(r, END_RETRIED);
    else if (report->outcome != OUTCOME_CANCELLED)
        settle(r, END_FAILED);
    else if (r->stopped)
        settle(r, END_REVOKED);
    else if (r->revoked)
        call_off(r);
    else
        settle(r, r->released ? END_RELEASED : END_REVOKED);
}

static void on_gone(void *arg)
{
    struct runner *r = arg;

    r->occupied = false;
    if (r->over_then)
        end(r);
}

/* Before the conversion: was it called off meanwhile? */
static bool called_off(struct runner *r)
{
    if (r->stopped)
        settle(r, END_REVOKED);
    else if (r->revoked && (r->route || r->file)) /* what has to be wiped from a job's record is known */
        call_off(r);
    else if (r->released)
        settle(r, END_RELEASED);
    return r->settling;
}

static void fail(struct runner *r, enum outcome outcome)
{
    r->attempt.outcome = outcome;
    settle(r, END_FAILED);
}

/* The options with the document's password in them, where there is one: no earlier than now, and no longer
 * than until the conversion has got them. */
static int open_options(struct runner *r, char **ret)
{
    _cleanup_secret_ char *password = NULL;
    int e = 0;

    if (r->sealed_password[0])
        e = r->context->seal ? seal_open(r->context->seal, r->job_id, r->sealed_password, &password)
                             : -ENOKEY;
    if (e < 0) {
        log_error(
            "the document's password can't be opened: DECANT_SEAL_KEY must be the key that belongs to the "
            "API's DECANT_SEAL_PUBLIC",
            LOG_TASK(r), LOG_E(e));
        return e;
    }
    return password_join(r->options[0] ? r->options : "{}", password, ret);
}

static void start_conversion(struct runner *r, const struct conversion_request *request)
{
    static const struct conversion_events events = {on_stage, on_progress, publish, on_converted, on_gone};

    r->conversion = conversion_start(r->context->conversions, request, &events, r);
    if (!r->conversion)
        fail(r, OUTCOME_INTERNAL);
    r->occupied = r->conversion;
}

static void convert(struct runner *r)
{
    _cleanup_secret_ char *options = NULL;
    /* {session}/{job}/uploads/… → uploads/… */
    struct conversion_request request = {
        .job_fd = r->job_fd, .input = r->stored_path + ID_TOKEN_LEN + 1 + ID_UUID_LEN + 1, .route = r->route};

    if (called_off(r))
        return;
    if (r->job_fd < 0) {
        log_warn("the job's folder can't be opened", LOG_TASK(r), LOG_E(r->job_fd));
        r->job_fd = -1;
        fail(r, OUTCOME_INTERNAL);
        return;
    }
    if (open_options(r, &options) < 0) {
        fail(r, OUTCOME_INTERNAL);
        return;
    }
    request.options = options;
    start_conversion(r, &request);
}

/* On another thread: what an earlier attempt has left goes. */
static void sweep(struct runner *r)
{
    r->job_fd = storage_open_job(r->context->storage, r->session_id, r->job_id);
    if (r->job_fd >= 0)
        storage_sweep_job(r->job_fd, r->kept_path);
}

/* --- before the conversion */

static void start(struct runner *r);

static void begun(struct runner *r)
{
    r->begun_ms = clock_mono_ms();
    r->begun_real_ms = clock_real_ms();
    queue_started(r->context->queue, r->worker, r->claim, NULL);
    task_events_started(r->context->events, r->claim);
}

static void on_marked(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (!answered(r))
        return;
    if (unanswered(err)) {
        if (!called_off(r))
            retry_in(r, RETRY_MS, start);
        return;
    }
    if (err != 0) /* gone or cancelled in this very moment; the sweep is for what came before */
        r->stopped = true;
    else
        begun(r);
    do_then(r, sweep, convert);
}

/* Marks the job as ours. From here on, closing its session waits for us. */
static void start(struct runner *r)
{
    char now[CLOCK_RFC3339_LEN + 1], attempts[NUMBER_MAX], queue_ms[NUMBER_MAX] = "";

    if (called_off(r))
        return;
    clock_rfc3339(clock_real_ms(), now);
    snprintf(attempts, sizeof attempts, "%llu",
             (unsigned long long)(r->claim->deliveries + r->claim->retries));
    if (r->queue_ms != JOB_UNKNOWN)
        snprintf(queue_ms, sizeof queue_ms, "%llu", (unsigned long long)r->queue_ms);
    r->pending++;
    job_update(r->context->redis, r->session_id, r->job_id,
               REDIS("status", job_status_name(JOB_SCANNING), "worker", r->worker, "started_at", now,
                     "attempts", attempts, "queue_ms", queue_ms, "progress", "0"),
               on_marked, r);
}

static void give_up(struct runner *r)
{
    r->attempt.outcome = OUTCOME_ENGINE_CRASHED;
    log_error("task given up", LOG_TASK(r), LOG_U("deliveries", r->claim->deliveries));
    settle(r, END_GAVE_UP);
}

static void end_revoked(struct runner *r)
{
    settle(r, END_REVOKED);
}

static void skip_gone(struct runner *r)
{
    if (r->revoked)
        call_off(r);
    else
        skip(r, "gone");
}

static const struct catalogue_route *find_route(const struct job *job)
{
    const struct format *from = format_by_id(job->source_format), *to = format_by_id(job->target_format);

    return from && to ? catalogue_find(from, to) : NULL;
}

/* Keeps what is needed of the job. The stored path has to be one of this very job. */
static int remember(struct runner *r, const struct job *job)
{
    char prefix[ID_TOKEN_LEN + ID_UUID_LEN + 3];

    snprintf(prefix, sizeof prefix, "%s/%s/", r->session_id, r->job_id);
    r->route = find_route(job);
    r->attempt.engine = r->route ? r->route->engine : "";
    r->attempt.had_password = job->sealed_password[0] != '\0';
    r->stored_path = strdup(job->stored_path);
    r->kept_path = strdup(job->converted_path);
    r->options = strdup(job->options);
    r->sealed_password = strdup(job->sealed_password);
    if (!r->stored_path || !r->kept_path || !r->options || !r->sealed_password)
        return -ENOMEM;
    if (!storage_path_valid(job->stored_path) || !str_starts(job->stored_path, prefix))
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

/* Its route says in which queue it belongs. Here it stays only if there is a place for its family. */
static bool find_place(struct runner *r)
{
    const char *family = catalogue_family(r->route->engine);
    unsigned queue = queue_family(r->context->queue, family);

    if (!shares_move(r->context->shares, r->queue, queue)) {
        r->belongs = family;
        settle(r, END_RELEASED);
        return false;
    }
    r->queue = queue;
    return true;
}

static void log_started(const struct runner *r)
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
        fail(r, OUTCOME_INTERNAL);
    } else if (r->revoked) {
        do_then(r, sweep, call_off);
    } else if (r->claim->gave_up) {
        do_then(r, sweep, give_up);
    } else if (find_place(r)) {
        log_started(r);
        start(r);
    }
}

static void load(struct runner *r);

static void on_loaded(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (!answered(r))
        return;
    if (unanswered(err)) {
        if (!called_off(r))
            retry_in(r, RETRY_MS, load);
        return;
    }
    if (err != 0) { /* the session is closed or has expired: no file of it may stay */
        do_then(r, remove_job, skip_gone);
        return;
    }
    if (job->task_id[0] && !str_eq(job->task_id, r->claim->id)) {
        skip(r, "superseded");
        return;
    }
    switch (job->status) {
    case JOB_QUEUED:
    case JOB_SCANNING:
    case JOB_PROCESSING:
        take(r, job);
        break;
    case JOB_CANCELLED:
        r->kept_path = strdup("");
        do_then(r, sweep, end_revoked);
        break;
    case JOB_COMPLETED:
    case JOB_FAILED:
        skip(r, job_status_name(job->status));
        break;
    case JOB_UPLOADED:
        reject(r, "not_queued", "No conversion was asked for this job.");
        break;
    }
}

static void load(struct runner *r)
{
    if (called_off(r))
        return;
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_loaded, r);
}

/* --- a file without a job */

static void prepare_file(struct runner *r)
{
    exchange_task_prepare(r->file, r->context->storage, r->context->conversions, r->claim->id,
                          r->claim->kwargs);
}

static void on_prepared(struct runner *r)
{
    if (called_off(r))
        return;
    if (r->file->code) {
        r->attempt.reason = r->file->code;
        r->attempt.reason_text = r->file->sentence;
        settle(r, END_REFUSED);
        return;
    }
    r->route = r->file->route;
    r->attempt.engine = r->route->engine;
    if (!find_place(r))
        return;
    log_started(r);
    begun(r);
    start_conversion(r, &(struct conversion_request){.job_fd = r->file->file.job_fd,
                                                     .input = r->file->file.input,
                                                     .route = r->route,
                                                     .options = r->file->options});
}

static void sweep_file(struct runner *r)
{
    exchange_sweep(r->context->storage, r->claim->id);
}

static void begin_file(struct runner *r)
{
    r->file = calloc(1, sizeof *r->file);
    if (!r->file)
        abort();
    r->dropped = r->revoked || r->claim->gave_up; /* there is nothing to drop */
    if (r->revoked)
        do_then(r, sweep_file, call_off);
    else if (r->claim->gave_up)
        do_then(r, sweep_file, give_up);
    else
        do_then(r, prepare_file, on_prepared);
}

/* The first turn, so that `over` never comes before runner_start has returned. */
static void begin(struct runner *r)
{
    const char *session_id = json_string_value(json_object_get(r->claim->kwargs, "session_id"));
    const char *job_id = json_string_value(json_object_get(r->claim->kwargs, "job_id"));
    bool is_file = str_eq(r->claim->name, TASK_CONVERT_FILE), is_job = str_eq(r->claim->name, TASK_CONVERT);
    bool complete = is_file || (is_job && id_is_token(session_id) && id_is_uuid(job_id));

    task_events_received(r->context->events, r->claim);
    if (r->revoked && !complete) {
        call_off(r);
    } else if (is_file) {
        begin_file(r);
    } else if (!is_job) {
        reject(r, "unknown_task",
               "This worker knows the tasks " TASK_CONVERT " and " TASK_CONVERT_FILE " alone.");
    } else if (!complete) {
        reject(r, "bad_arguments", TASK_CONVERT " needs the keyword arguments session_id and job_id.");
    } else {
        r->session_id = session_id;
        r->job_id = job_id;
        load(r);
    }
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
    struct runner *r = calloc(1, sizeof *r);

    if (!r)
        abort();
    *r = (struct runner){.context = context,
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
    retry_in(r, 0, begin);
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
    if (!r->claim->lost || r->released || r->over_then)
        return;
    log_warn("the task was taken over by another worker", LOG_TASK(r));
    runner_release(r); /* which will be answered by -ESTALE */
}

static void on_checked(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (answered(r) && (err == -ENOENT || (err == 0 && job->status == JOB_CANCELLED)))
        runner_stop(r);
}

void runner_check(struct runner *r)
{
    if (!r->conversion || r->file)
        return;
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_checked, r);
}
