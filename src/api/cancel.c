/* POST /cancel and POST /v1/jobs/{id}/cancel. What waits is cancelled at once; what is under way when its
 * worker has seen its process end: the answer waits for that a while. */
#include "api/cancel.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/outcome.h"

#include <errno.h>

enum { STOP_WAIT_MS = 3000, TRIES_MAX = 3 };

void cancel_task(struct api *api, const char *session_id, const char *job_id, const char *task_id,
                 queue_fn *fn, void *arg)
{
    const char *code = outcome_code(OUTCOME_CANCELLED), *sentence = outcome_sentence(OUTCOME_CANCELLED);
    char crowd[JOB_CROWD_MAX], key[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX], now[CLOCK_RFC3339_LEN + 1];
    const char *const set[] = {"status",
                               job_status_name(JOB_CANCELLED),
                               "completed_at",
                               now,
                               "error_code",
                               code,
                               "error_message",
                               sentence,
                               "worker",
                               "",
                               "cancelling",
                               "",
                               "sealed_secrets",
                               "",
                               NULL};
    const struct queue_hash hash = {
        .key = key, .field = "status", .expected = JOB_OPEN, .channel = channel, .set = set};
    const struct queue_cancellation cancellation = {
        .id = task_id, .why = sentence, .stop_channel = JOB_STOP_CHANNEL, .crowd = crowd};

    clock_rfc3339(clock_real_ms(), now);
    job_key(key, session_id, job_id);
    job_crowd(crowd, session_id);
    snprintf(channel, sizeof channel, JOB_CHANNEL_PREFIX "%s", job_id);
    queue_cancel(api->queue, &cancellation, &hash, fn, arg);
}

struct cancel {
    struct api_call *call;
    const char *job_id;
    char task_id[ID_UUID_LEN + 1];
    unsigned tries; /* left */
};

static void fail_state(struct cancel *c, enum job_status status)
{
    static const char *const details[] = {
        [JOB_UPLOADED] = "This job has not been started.",
        [JOB_COMPLETED] = "This job has been completed already.",
        [JOB_FAILED] = "This job has failed already.",
    };

    api_fail(c->call, API_WRONG_STATE, details[status]);
}

static void try_again(struct cancel *c);

static void on_cancelled(void *arg, int err)
{
    struct cancel *c = arg;

    if (err == -EBUSY && --c->tries > 0) { /* it has moved on since it was loaded */
        try_again(c);
        return;
    }
    if (err == -EBUSY) {
        api_fail(c->call, API_WRONG_STATE, "This job is just being ended or started by another call.");
        return;
    }
    if (err != 0 && err != -EINPROGRESS) {
        api_fail_state(c->call, err);
        return;
    }
    log_info("task cancelled", LOG_S("job_id", c->job_id), LOG_S("task_id", c->task_id),
             LOG_S("trace_id", http_request_trace(c->call->req)->id),
             LOG_S("request_id", http_request_id(c->call->req)));
    api_reply_end(c->call, c->job_id, err == 0 ? 0 : STOP_WAIT_MS);
}

/* Asked for twice, it is answered twice. */
static void on_job_to_cancel(void *arg, int err, const struct job *job)
{
    struct cancel *c = arg;

    if (err < 0) {
        api_fail_state(c->call, err);
    } else if (job->status == JOB_CANCELLED) {
        api_reply_end(c->call, c->job_id, 0);
    } else if (job->status == JOB_UPLOADED || job_status_is_final(job->status)) {
        fail_state(c, job->status);
    } else {
        snprintf(c->task_id, sizeof c->task_id, "%s", job->task_id);
        cancel_task(c->call->api, c->call->session.id, c->job_id, c->task_id, on_cancelled, c);
    }
}

static void try_again(struct cancel *c)
{
    job_load(c->call->api->redis, c->call->session.id, c->job_id, on_job_to_cancel, c);
}

static void cancel_job(struct api_call *call, const char *job_id)
{
    struct cancel *c = http_request_alloc(call->req, sizeof *c);

    c->call = call;
    c->job_id = job_id;
    c->tries = TRIES_MAX;
    try_again(c);
}

void api_cancel(struct api_call *call)
{
    const char *job_id = api_named_job(call);

    if (job_id)
        cancel_job(call, job_id);
}

void api_job_cancel(struct api_call *call)
{
    cancel_job(call, http_request_param(call->req));
}
