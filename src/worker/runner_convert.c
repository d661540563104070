#include "worker/runner_parts.h"

#include "core/clock.h"
#include "core/str.h"
#include "engine/secrets.h"
#include "state/job.h"
#include "worker/outcome_log.h"

#include <errno.h>

enum { PROGRESS_EVERY_MS = 100, NUMBER_MAX = 24 };

static void on_updated(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (runner_answered(r) && (err == -ENOENT || err == -ECANCELED))
        runner_stop(r);
}

/* Sent with each progress too: an update that was lost while Redis was away is made good by the next. */
static void send_progress(struct runner *r)
{
    char percent[NUMBER_MAX];
    _cleanup_json_ json_t *meta = json_pack("{s:i}", "progress", (int)r->percent);

    r->progress_sent_ms = clock_mono_ms();
    queue_started(r->context->queue, r->worker, r->claim, meta);
    if (!r->kind->owns_job)
        return;
    snprintf(percent, sizeof percent, "%u", r->percent);
    r->pending++;
    job_update(r->context->redis, r->session_id, r->job_id, r->claim->id,
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
        runner_retry_in(r, PROGRESS_EVERY_MS - since, send_progress);
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

    return r->kind->publish(r, output);
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

/* It was another job's upload: with that one, too, there is nothing left to be had. */
static void lose_input(struct runner *r)
{
    const struct runner_input *input = &r->inputs[r->infected_input];

    if (!str_eq(input->job_id, r->job_id))
        job_lose(r->context->redis, r->session_id, input->job_id, NULL, NULL);
}

static void remove_infected(struct runner *r)
{
    if (r->inputs)
        storage_remove_file(r->context->storage, r->inputs[r->infected_input].path);
    if (r->file)
        exchange_remove_source(&r->file->file);
}

static void settle_failed(struct runner *r)
{
    if (r->inputs && r->attempt.outcome == OUTCOME_INFECTED)
        lose_input(r);
    runner_settle(r, END_FAILED);
}

static void on_converted(void *arg, const struct conversion_report *report)
{
    struct runner *r = arg;

    r->conversion = NULL;
    r->scanning = false;
    r->attempt.outcome = report->outcome;
    r->attempt.scanned = report->scanned;
    r->infected_input = report->failed_input;
    snprintf(r->failed_name, sizeof r->failed_name, "%s", report->failed_name);
    r->attempt.failed_name = r->failed_name;
    r->attempt.output_format = report->format;
    r->attempt.output_size = report->size;
    r->attempt.output_pages = report->pages;
    if (report->fonts) {
        r->fonts = *report->fonts;
        r->attempt.fonts = &r->fonts;
    }
    r->attempt.cpu_ms = report->cpu_ms;
    r->attempt.peak_kib = report->peak_kib;
    r->attempt.pss_kib = report->pss_kib;
    r->attempt.layers = report->layers;
    snprintf(r->engine_version, sizeof r->engine_version, "%s", report->engine_version);
    r->attempt.engine_version = r->engine_version;
    r->kill = kill_reason(report);
    r->killed = report->last_engine;
    r->attempt.published = r->published;
    r->attempt.exchanged = r->file ? r->file->file.result : NULL;
    if (report->outcome == OUTCOME_INFECTED) {
        snprintf(r->signature, sizeof r->signature, "%s", report->detail);
        r->attempt.signature = r->signature;
    }
    outcome_log(r->job_id, r->claim->id, r->trace.id, r->route, report);

    if (report->outcome == OUTCOME_OK)
        runner_settle(r, END_COMPLETED);
    else if (report->outcome == OUTCOME_INFECTED)
        runner_do_then(r, remove_infected, settle_failed);
    else if (report->transient && r->claim->retries < max_retries(r))
        runner_settle(r, END_RETRIED);
    else if (report->outcome != OUTCOME_CANCELLED)
        runner_settle(r, END_FAILED);
    else if (r->revoked && !r->stopped)
        runner_call_off(r);
    else
        runner_settle(r, r->released && !r->stopped ? END_RELEASED : END_CANCELLED);
}

static void on_gone(void *arg)
{
    struct runner *r = arg;

    r->occupied = false;
    if (r->when_gone)
        r->when_gone(r);
}

int runner_open_options(struct runner *r, char **ret)
{
    _cleanup_secret_ char *secrets = NULL;
    int e = 0;

    if (r->sealed_secrets[0])
        e = r->context->seal ? seal_open(r->context->seal, r->job_id, r->sealed_secrets, &secrets) : -ENOKEY;
    if (e < 0) {
        log_error(
            "the document's password can't be opened: DECANT_SEAL_KEY must be the key that belongs to the "
            "API's DECANT_SEAL_PUBLIC",
            LOG_TASK(r), LOG_E(e));
        return e;
    }
    return secrets_join(r->options[0] ? r->options : "{}", secrets, ret);
}

void runner_convert(struct runner *r, const struct conversion_request *request)
{
    static const struct conversion_events events = {on_stage, on_progress, publish, on_converted, on_gone};
    _cleanup_free_ struct conversion_input *inputs = calloc(r->n_inputs + 1, sizeof *inputs);
    struct conversion_request whole = *request;

    for (size_t i = 0; inputs && i < r->n_inputs; i++)
        inputs[i] = r->inputs[i].input;
    whole.inputs = inputs;
    whole.n_inputs = r->n_inputs;
    r->conversion = inputs ? conversion_start(r->context->conversions, &whole, &events, r) : NULL;
    if (!r->conversion)
        runner_fail(r, OUTCOME_INTERNAL);
    r->occupied = r->conversion;
}
