#include "worker/runner_parts.h"

#include "core/clock.h"
#include "core/str.h"
#include "state/job.h"
#include "state/job_leave.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>

#define RELEASED "the worker ends before the task does"

enum { LATER_FIRST_MS = 5000, LATER_MOST_MS = 300000 };

/* --- the end */

/* A task that isn't ours any more is counted by whoever has it, and a job that went its own way was
 * cancelled. */
static void count(struct runner *r)
{
    bool lost = r->settled == -ESTALE;
    bool cancelled = r->settled == -ENOENT || r->settled == -EBUSY || r->ending == END_CANCELLED ||
                     r->ending == END_REVOKED;
    bool called_off = r->ending == END_CALLED_OFF;
    bool job = r->ending == END_COMPLETED || r->ending == END_FAILED || r->ending == END_GAVE_UP ||
               called_off || cancelled;
    enum outcome outcome = cancelled ? OUTCOME_CANCELLED : called_off ? OUTCOME_REVOKED : r->attempt.outcome;
    const struct counted_job counted = {
        .engine = r->route ? catalogue_route_engine(r->route) : NULL,
        .source = r->route ? r->route->from->id : NULL,
        .target = r->route ? r->route->to->id : NULL,
        .outcome = outcome_code(outcome),
        .kill = r->kill,
        .killed = r->killed,
        .queue_ms = r->queue_ms,
        .duration_ms = r->attempt.duration_ms,
        .cpu_ms = r->attempt.cpu_ms,
        .peak_kib = r->attempt.peak_kib,
    };

    counters_add(r->context->counters, WORK_TASKS, lost ? "lost" : ending_name(r->ending), 1);
    if (job && !lost && r->route)
        r->kind->count(r->context->counters, &counted);
}

static void drop_file(struct runner *r)
{
    exchange_task_drop(r->file, r->context->storage);
}

void runner_end(struct runner *r)
{
    if (r->occupied) {
        r->when_gone = runner_end;
        return;
    }
    if (r->file && !r->dropped) {
        r->dropped = true;
        runner_do_then(r, drop_file, runner_end);
        return;
    }
    if (r->begun_ms)
        task_events_over(r->context->events);
    log_info("task over", LOG_TASK(r), LOG_S("ending", ending_name(r->ending)),
             LOG_U("ms", clock_mono_ms() - r->started_ms));
    count(r);
    shares_give(r->context->shares, r->queue);
    r->over(r->arg, r);
    runner_close(r);
}

/* --- settling */

static void settle_now(struct runner *r);

static void remove_published(struct runner *r)
{
    if (r->published[0])
        storage_remove_file(r->context->storage, r->published);
    r->published[0] = '\0';
}

void runner_remove_job(struct runner *r)
{
    storage_remove_job(r->context->storage, r->session_id, r->job_id);
}

static void end_well(struct runner *r)
{
    r->settled = 0;
    runner_end(r);
}

/* The claim was not ours any more. It may be that this very completion has happened and only its answer was
 * lost: then the result must stay. */
static void on_own_completion(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (runner_unanswered(err))
        runner_retry_in(r, RUNNER_RETRY_MS, settle_now);
    else if (err == 0 && job->status == JOB_COMPLETED && str_eq(job->converted_path, r->published))
        end_well(r);
    else
        runner_do_then(r, remove_published, runner_end);
}

static void check_own_completion(struct runner *r)
{
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_own_completion, r);
}

static void on_left(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (runner_answered(r))
        runner_end(r);
}

/* The job went its own way (cancelled while its result was being published): it is not marked as ours any
 * longer, so that closing its session need not wait. */
static void leave(struct runner *r)
{
    r->pending++;
    job_leave(r->context->redis, r->session_id, r->job_id, r->claim->id, r->worker, on_left, r);
}

/* What Celery's monitors hear of how it ended. Whose job has moved on meanwhile is not tried again. */
static void announce(struct runner *r, int err)
{
    bool later = r->ending == END_RETRIED && err == 0;
    _cleanup_settlement_ struct settlement s;

    r->kind->settle(r, r->ending, &s);

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

/* Whatever it has come to, it is to be cancelled. Nobody is told of that before the process and the result
 * are gone. */
static void cancel_instead(struct runner *r)
{
    if (r->occupied) {
        r->when_gone = cancel_instead;
        return;
    }
    r->when_gone = NULL;
    r->ending = END_CANCELLED;
    runner_do_then(r, remove_published, settle_now);
}

static void on_settled(void *arg, int err)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (err == 0 || err == -ENOENT || err == -EBUSY)
        announce(r, err);
    r->settled = err;
    /* While Redis is away the claimer says so, once for all. */
    if (err != 0 && err != -ECANCELED)
        log_at(runner_unanswered(err) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "the task was not settled",
               LOG_TASK(r), LOG_E(err));
    if (runner_unanswered(err))
        runner_retry_in(r, RUNNER_RETRY_MS, settle_now);
    else if (err == -ECANCELED)
        cancel_instead(r);
    else if (r->ending == END_RETRIED && (err == -EAGAIN || err == -EMSGSIZE))
        fail_instead(r);
    else if (err == -ESTALE && r->published[0])
        check_own_completion(r);
    else if (err == -ENOENT && r->ending != END_RELEASED && r->kind->owns_job)
        runner_do_then(r, runner_remove_job, runner_end);
    else if (err == -EBUSY && r->kind->owns_job)
        runner_do_then(r, remove_published, leave);
    else
        runner_end(r);
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

    r->kind->settle(r, r->ending, &s);
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

void runner_settle(struct runner *r, enum ending ending)
{
    assert(!r->settling);
    r->settling = true;
    r->ending = ending;
    r->attempt.duration_ms = clock_mono_ms() - r->started_ms;
    uv_timer_stop(&r->timer);
    settle_now(r);
}

void runner_call_off(struct runner *r)
{
    r->attempt.reason = r->signal ? "terminated" : "revoked";
    runner_settle(r, END_CALLED_OFF);
}

void runner_give_up(struct runner *r)
{
    r->attempt.outcome = OUTCOME_ENGINE_CRASHED;
    log_error("task given up", LOG_TASK(r), LOG_U("deliveries", r->claim->deliveries));
    runner_settle(r, END_GAVE_UP);
}

void runner_fail(struct runner *r, enum outcome outcome)
{
    r->attempt.outcome = outcome;
    runner_settle(r, END_FAILED);
}

bool runner_called_off(struct runner *r)
{
    if (r->stopped)
        runner_settle(r, END_CANCELLED);
    else if (r->revoked && (r->route || r->file)) /* what has to be wiped from a job's record is known */
        runner_call_off(r);
    else if (r->released)
        runner_settle(r, END_RELEASED);
    return r->settling;
}
