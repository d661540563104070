/* GET /job_status and GET /v1/jobs/{id}, and waiting for a job's end. */
#include "api/api.h"

#include "api/body.h"
#include "core/str.h"

#include <errno.h>

/* The watch is set up before the first look, so that no change can slip between them. */
struct status_wait {
    struct api_call *call;
    const char *job_id;
    struct job_watch *watch;
    uv_timer_t timer;
    uint64_t wait_ms;
    bool seen, loading, again, expired, closed;
    bool proved;  /* asked for ahead: the session has been proved since */
    bool for_end; /* not for any change */
    enum job_status status;
    unsigned progress;
};

static void load_status(struct status_wait *w);

static void status_wait_closed(uv_handle_t *handle)
{
    struct status_wait *w = handle->data;

    http_request_unref(w->call->req);
}

/* No watch and no timer after this; without a wait there was neither. The request outlives its timer. */
static void status_wait_end(struct status_wait *w)
{
    w->closed = true;
    if (w->wait_ms == 0)
        return;
    job_watch_remove(TAKE_PTR(w->watch));
    http_request_ref(w->call->req);
    uv_close((uv_handle_t *)&w->timer, status_wait_closed);
}

static void on_status_time(uv_timer_t *timer)
{
    struct status_wait *w = timer->data;

    w->expired = true;
    load_status(w);
}

static void on_status_change(void *arg, const char *news)
{
    load_status(arg);
}

static void reply_status(struct api_call *call, unsigned status, const struct job *job)
{
    _cleanup_buf_ struct buf json = BUF_INIT(JOB_JSON_BYTES_MAX);

    buf_reserve(&json, JOB_JSON_BYTES);
    job_json_write(&json, job);
    if (buf_error(&json)) {
        api_fail(call, API_INTERNAL, "The job has more to say than there is room for.");
        return;
    }
    http_reply_header(call->req, "Cache-Control", "no-store");
    api_reply_buf(call, status, "application/json", &json);
}

static void on_status(void *arg, int err, const struct job *job)
{
    struct status_wait *w = arg;

    w->loading = false;
    if (err < 0) {
        status_wait_end(w);
        api_fail_state(w->call, err);
        return;
    }

    bool ended = job_status_is_final(job->status);
    bool changed = w->seen && !w->for_end && (job->status != w->status || job->progress != w->progress);

    if (w->wait_ms == 0 || w->expired || changed || ended || http_request_gone(w->call->req)) {
        status_wait_end(w);
        reply_status(w->call, w->for_end && !ended ? 202 : 200, job);
        return;
    }
    if (!w->seen) {
        w->seen = true;
        w->status = job->status;
        w->progress = job->progress;
        uv_timer_start(&w->timer, on_status_time, w->wait_ms, 0);
    }
    if (w->again)
        load_status(w);
}

static void load_status(struct status_wait *w)
{
    if (w->closed)
        return;
    w->again = w->loading;
    if (w->loading)
        return;
    w->loading = true;
    job_load_shown(w->call->api->redis, w->call->session.id, w->job_id, on_status, w);
}

/* The client went away while we waited: look once more, which ends the wait. */
static void on_status_gone(void *arg)
{
    load_status(arg);
}

static struct status_wait *status_wait_new(struct api_call *call, const char *job_id)
{
    struct status_wait *w = http_request_alloc(call->req, sizeof *w);

    w->call = call;
    w->job_id = job_id;
    return w;
}

static void status_wait_start(struct status_wait *w)
{
    struct api_call *call = w->call;

    if (w->wait_ms > 0) {
        uv_timer_init(call->api->loop, &w->timer);
        w->timer.data = w;
        w->watch = job_watch_add(call->api->watcher, w->job_id, on_status_change, w);
        http_request_on_end(call->req, on_status_gone, w);
    }
    load_status(w);
}

/* In the path, or as a parameter. */
static const char *job_asked_for(const struct http_request *req)
{
    const char *id = http_request_param(req);

    return id ? id : http_request_query(req, "job_id");
}

static void on_status_ahead(void *arg, int err, const struct job *job)
{
    struct status_wait *w = arg;
    struct http_request *req = w->call->req;

    w->loading = false;
    if (w->proved)
        on_status(w, err, job);
    http_request_unref(req);
}

/* Redis answers in the order of asking, so the session is proved, or the call has failed, when the job comes.
 * Not for ids of a wrong form, which are answered without Redis, nor with a wait, whose watch has to be there
 * before the first look. */
void api_job_status_ahead(struct api_call *call)
{
    const char *job_id = job_asked_for(call->req), *session_id = http_request_cookie(call->req, "session_id");
    struct status_wait *w;

    if (call->identity.bearer != BEARER_NONE || http_request_query(call->req, "wait") ||
        !id_is_uuid(job_id) || !id_is_token(session_id))
        return;
    w = call->ahead = status_wait_new(call, job_id);
    w->loading = true;
    http_request_ref(call->req);
    job_load_shown(call->api->redis, session_id, job_id, on_status_ahead, w);
}

void api_job_status(struct api_call *call)
{
    const char *job_id = job_asked_for(call->req), *wait = http_request_query(call->req, "wait");
    struct status_wait *w = call->ahead;
    uint64_t seconds = 0;

    if (w && w->loading) {
        w->proved = true;
        return;
    }
    if (!job_id) {
        api_fail(call, API_BAD_REQUEST, "The parameter \"job_id\" is missing.");
        return;
    }
    if (wait && str_to_u64(wait, 1, 30, &seconds) < 0) {
        api_fail(call, API_BAD_REQUEST,
                 "The parameter \"wait\" has to be a whole number of seconds from 1 to 30.");
        return;
    }

    w = status_wait_new(call, job_id);
    w->wait_ms = seconds * 1000;
    status_wait_start(w);
}

void api_reply_end(struct api_call *call, const char *job_id, uint64_t wait_ms)
{
    struct status_wait *w = status_wait_new(call, job_id);

    w->for_end = true;
    w->wait_ms = wait_ms;
    status_wait_start(w);
}

const char *api_named_job(struct api_call *call)
{
    size_t len;
    const char *text = http_request_body(call->req, &len), *why;
    _cleanup_(body_free) struct body body = {0};

    if (body_read_job(text, len, &body, &why) < 0) {
        api_fail(call, API_BAD_REQUEST, why);
        return NULL;
    }
    return http_request_strdup(call->req, body.job_id);
}
