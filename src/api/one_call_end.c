/* The second half of POST /v1/convert (one_call.h): waiting for the jobs, the answer, and what becomes of the
 * jobs then.
 *
 * Nobody but this call knows of them. So they are removed when it ends, answered or not, but where its answer
 * has named them: `keep`, or the 202 of whoever waits no longer. Results are sent by ourselves, and never by
 * X-Accel-Redirect: nginx would open them when they are gone, and passes on no header that names a job.
 */
#include "api/one_call.h"

#include "api/archive.h"
#include "api/download.h"
#include "api/failure.h"
#include "api/remove.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/outcome.h"
#include "core/str.h"
#include "state/job_kept.h"

#include <errno.h>

/* --- the jobs go, one after the other: the first may need the files of the others */

static void remove_next(struct one_call *o);

static void on_removed(void *arg, const struct api_end *end)
{
    struct one_file *f = arg;
    struct one_call *o = f->o;

    if (end->status == 0 && end->error != API_JOB_NOT_FOUND)
        log_warn("the job of a call was not removed", LOG_S("job_id", f->file.in.job_id),
                 LOG_S("request_id", http_request_id(o->req)));
    o->next++;
    remove_next(o);
}

/* Before the answer leaves, as with an intake's slot; what sending takes is bounded by the connections. */
static void end_turn(struct one_call *o)
{
    if (o->has_turn)
        slots_release(o->api->anonymous_calls, &o->whose->client);
    o->has_turn = false;
}

static void answer_failure(struct one_call *o)
{
    struct api_call *call = TAKE_PTR(o->call);

    end_turn(o);
    if (!call)
        return;
    if (o->left)
        api_abandon(call);
    else if (o->failure)
        api_fail_as(call, o->failure, o->detail);
    else
        api_fail(call, o->error, o->detail);
}

static void remove_next(struct one_call *o)
{
    while (o->next < o->n && (!o->files[o->next]->stored || !o->api->redis)) /* the server has stopped */
        o->next++;
    if (o->next < o->n) {
        struct one_file *f = o->files[o->next];

        f->stored = false;
        api_reply_removed(api_call_within(o->whose, on_removed, f), f->file.in.job_id);
        return;
    }
    o->busy = false;
    answer_failure(o);
}

static void on_closed(void *arg, const struct api_end *end)
{
    struct one_call *o = arg;

    if (end->status == 0 && end->error != API_SESSION_REQUIRED)
        log_warn("the session of a call was not closed", LOG_S("request_id", http_request_id(o->req)));
    o->busy = false;
    answer_failure(o);
}

static void remove_all(struct one_call *o)
{
    const char *own_session = o->whose->identity.anonymous ? o->whose->session.id : "";

    o->settled = o->busy = true;
    o->next = 0;
    if (*own_session && o->api->redis)
        api_reply_closed(api_call_within(o->whose, on_closed, o), own_session);
    else
        remove_next(o);
}

static void on_timer_closed(uv_handle_t *handle)
{
    http_request_unref(((struct one_call *)handle->data)->req);
}

static void stop_waiting(struct one_call *o)
{
    if (!o->waiting)
        return;
    o->waiting = false;
    for (size_t i = 0; i < o->results; i++)
        job_watch_remove(TAKE_PTR(o->files[i]->watch));
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}

/* Files that have not become jobs, and then the jobs. */
void one_call_wind_up(struct one_call *o)
{
    stop_waiting(o);
    intake_let_go(&o->slot);
    for (size_t i = 0; i < o->n; i++)
        if (o->files[i]->file.in.call)
            intake_abandon(&o->files[i]->file.in);
    if (o->settled)
        answer_failure(o);
    else
        remove_all(o);
}

bool one_call_has_left(struct one_call *o)
{
    if (o->left)
        one_call_wind_up(o);
    return o->left;
}

/* --- the jobs stay: as long as their session, or as the plan has it */

static void keep_next(struct one_call *o);

static void on_kept(void *arg, int err, const redisReply *reply)
{
    struct one_call *o = arg;

    o->busy = false;
    if (!one_call_has_left(o)) {
        if (err < 0) {
            one_call_fail(o, NULL, API_UNAVAILABLE,
                          "The server can't reach its database just now. Try again in a moment.");
        } else {
            o->next++;
            keep_next(o);
        }
    }
    http_request_unref(o->req);
}

static void keep_next(struct one_call *o)
{
    struct job_kept job;

    if (o->next == o->n) {
        o->kept(o);
        return;
    }
    memcpy(job.session_id, o->whose->session.id, sizeof job.session_id);
    memcpy(job.job_id, o->files[o->next]->file.in.job_id, sizeof job.job_id);
    o->busy = true;
    http_request_ref(o->req);
    if (*o->whose->account.id)
        job_kept_extend(o->api->redis, &job, o->whose->plan->retention_s, on_kept, o);
    else
        job_kept_forget(o->api->redis, &job, on_kept, o);
}

void one_call_keep(struct one_call *o, void (*then)(struct one_call *o))
{
    o->kept = then;
    o->next = 0;
    keep_next(o);
}

/* `which` of several is named. */
static const char *say(struct one_call *o, const struct one_file *which, const char *detail,
                       const char *of_others)
{
    const char *name = which ? which->file.in.filename : "";
    size_t size = strlen(name) + strlen(detail) + strlen(of_others) + 4;
    char *text;

    if (!*name || o->n < 2)
        return http_request_strdup(o->req, detail);
    text = http_request_alloc(o->req, size);
    snprintf(text, size, "%s: %s%s", name, detail, of_others);
    return text;
}

void one_call_fail(struct one_call *o, const struct one_file *which, enum api_error error, const char *detail)
{
    o->error = error;
    o->detail = say(o, which, detail, "");
    one_call_wind_up(o);
}

static void name_job(struct one_call *o, bool stays)
{
    char location[sizeof "/v1/jobs/" + ID_UUID_LEN];

    if (o->results > 1)
        return;
    http_reply_header(o->req, "X-Job-Id", o->files[0]->file.in.job_id);
    if (!stays)
        return;
    snprintf(location, sizeof location, "/v1/jobs/%s", o->files[0]->file.in.job_id);
    http_reply_header(o->req, "Location", location);
}

static void fail_for_job(struct one_call *o, const struct one_file *f, const struct job *job)
{
    o->failure = failure_info(job->error_code);
    /* Of many that were to become one the message names itself whose fault it is. */
    o->detail = say(o, o->results > 1 ? f : NULL, job->error_message,
                    o->results > 1 && !o->stays ? " The other files were dropped." : "");
    o->settled = o->stays; /* it can be looked at, and tried again */
    name_job(o, o->stays);
    one_call_wind_up(o);
}

/* --- the answer */

static void fail_gone(struct api_call *call)
{
    api_fail(call, API_INTERNAL, "A result was lost before it could be sent.");
}

static void send_one(struct one_call *o)
{
    const struct one_file *f = o->files[0];
    const struct download d = {.session_id = o->whose->session.id,
                               .job_id = f->file.in.job_id,
                               .file_path = f->result_path,
                               .filename = f->result_name,
                               .mime_type = f->result_mime,
                               .ourselves = true};
    struct api_call *call = TAKE_PTR(o->call);

    o->settled = o->stays;
    if (!download_send(call, &d))
        fail_gone(call);
}

static void send_many(struct one_call *o)
{
    struct token_result results[ONE_CALL_FILES_MAX];
    char name[DOWNLOAD_ARCHIVE_NAME_MAX];
    const struct token_archive all = {
        .session_id = o->whose->session.id, .filename = name, .results = results, .n = o->results};

    _Static_assert((int)ONE_CALL_FILES_MAX <= (int)TOKEN_RESULTS_MAX,
                   "one archive holds the results of one call");
    for (size_t i = 0; i < o->results; i++)
        results[i] = (struct token_result){.job_id = o->files[i]->file.in.job_id,
                                           .file_path = o->files[i]->result_path,
                                           .original_filename = o->files[i]->file.in.filename};
    download_archive_name(0, name);
    archive_send(TAKE_PTR(o->call), &all, fail_gone);
}

static void answer(struct one_call *o)
{
    stop_waiting(o);
    end_turn(o);
    name_job(o, o->stays);
    if (o->results > 1)
        send_many(o);
    else
        send_one(o);
}

/* --- of who waits no longer, the jobs stay */

static void tell_next(struct one_call *o);

static void say_what_was_preferred(struct one_call *o)
{
    char text[32];

    if (o->prefer.respond_async) {
        http_reply_header(o->req, "Preference-Applied", "respond-async");
    } else if (o->prefer.has_wait) {
        snprintf(text, sizeof text, "wait=%llu", (unsigned long long)o->wait_ms / 1000);
        http_reply_header(o->req, "Preference-Applied", text);
    }
}

static void reply_told(struct one_call *o)
{
    if (o->results > 1)
        buf_append_str(&o->told, "]}");
    if (buf_error(&o->told)) {
        one_call_fail(o, NULL, API_INTERNAL, "The jobs have more to say than there is room for.");
        return;
    }
    o->settled = true;
    name_job(o, true);
    say_what_was_preferred(o);
    http_reply_header(o->req, "Cache-Control", "no-store");
    api_reply_buf(TAKE_PTR(o->call), 202, "application/json", &o->told);
}

static void on_job_to_tell(void *arg, int err, const struct job *job)
{
    struct one_call *o = arg;

    o->busy = false;
    if (!one_call_has_left(o)) {
        if (err < 0) {
            one_call_fail(o, NULL, err == -ENOENT ? API_JOB_NOT_FOUND : API_UNAVAILABLE,
                          err == -ENOENT
                              ? "The job was deleted meanwhile."
                              : "The server can't reach its database just now. Try again in a moment.");
        } else {
            buf_append_str(&o->told, o->next > 0 ? "," : o->results > 1 ? "{\"jobs\":[" : "");
            job_json_write(&o->told, job);
            o->next++;
            tell_next(o);
        }
    }
    http_request_unref(o->req);
}

static void tell_next(struct one_call *o)
{
    if (o->next == o->results) {
        reply_told(o);
        return;
    }
    o->busy = true;
    http_request_ref(o->req);
    job_load_shown(o->api->redis, o->whose->session.id, o->files[o->next]->file.in.job_id, on_job_to_tell, o);
}

static void tell_all(struct one_call *o)
{
    o->told = BUF_INIT((o->results + 1) * JOB_JSON_BYTES_MAX);
    o->next = 0;
    tell_next(o);
}

static void fail_for_time(struct one_call *o)
{
    o->failure = failure_info(outcome_code(OUTCOME_TIMED_OUT));
    o->detail =
        "The conversion has not ended in the time that this server waits for one. With a session or a "
        "bearer it would go on.";
    one_call_wind_up(o);
}

static void tell_jobs(struct one_call *o)
{
    stop_waiting(o);
    if (o->whose->identity.anonymous)
        fail_for_time(o);
    else if (o->stays) /* they are kept already */
        tell_all(o);
    else
        one_call_keep(o, tell_all);
}

/* --- waiting */

static void look(struct one_file *f);

static void take_result(struct one_file *f, const struct job *job)
{
    struct http_request *req = f->o->req;
    char name[FILENAME_MAX_BYTES + 1];

    download_name(job, name);
    f->ended = true;
    f->result_path = http_request_strdup(req, job->converted_path);
    f->result_mime = http_request_strdup(req, job->output_mime_type);
    f->result_name = http_request_strdup(req, name);
    job_watch_remove(TAKE_PTR(f->watch));
    if (++f->o->ended == f->o->results)
        answer(f->o);
}

static void on_looked(void *arg, int err, const struct job *job)
{
    struct one_file *f = arg;
    struct one_call *o = f->o;

    f->loading = false;
    if (!o->waiting || f->ended)
        ; /* it is known already */
    else if (err == -ENOENT)
        one_call_fail(o, f, API_JOB_NOT_FOUND, "The job was deleted meanwhile, or its session closed.");
    else if (err < 0)
        one_call_fail(o, f, API_UNAVAILABLE,
                      "The server can't reach its database just now. Try again in a moment.");
    else if (job->status == JOB_COMPLETED)
        take_result(f, job);
    else if (job_status_is_final(job->status))
        fail_for_job(o, f, job);
    else if (f->again)
        look(f);
    http_request_unref(o->req);
}

static void look(struct one_file *f)
{
    struct one_call *o = f->o;

    f->again = f->loading;
    if (f->loading)
        return;
    f->loading = true;
    http_request_ref(o->req);
    job_load_shown(o->api->redis, o->whose->session.id, f->file.in.job_id, on_looked, f);
}

/* The progress of a conversion is nothing to us. */
static void on_news(void *arg, const char *news)
{
    struct one_file *f = arg;
    enum job_status status;

    if (!news || job_status_parse(news, &status) < 0 || job_status_is_final(status))
        look(f);
}

static void on_time(uv_timer_t *timer)
{
    tell_jobs(timer->data);
}

void one_call_wait(struct one_call *o)
{
    uint64_t most_s = o->api->settings->call_wait_s, wait_s = o->prefer.respond_async ? 0 : most_s;

    if (o->prefer.has_wait)
        wait_s = o->prefer.wait_s < most_s ? o->prefer.wait_s : most_s;
    o->wait_ms = wait_s * 1000;
    if (wait_s == 0) {
        tell_jobs(o);
        return;
    }
    o->waiting = true;
    http_request_ref(o->req);
    uv_timer_init(o->api->loop, &o->timer);
    o->timer.data = o;
    uv_timer_start(&o->timer, on_time, o->wait_ms, 0);
    /* The watch is set up before the first look, so that no change can slip between them. */
    for (size_t i = 0; i < o->results && o->waiting; i++) {
        o->files[i]->watch =
            job_watch_add(o->api->watcher, o->files[i]->file.in.job_id, on_news, o->files[i]);
        look(o->files[i]);
    }
}
