/* POST /convert and GET /job_status. */
#include "api/api.h"

#include "api/body.h"
#include "core/log.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/secrets.h"

#include <errno.h>

/* --- POST /convert */

struct convert {
    struct api_call *call;
    struct body body;
    char *options;
    char *sealed_secrets; /* NULL: there are none */
    char task_id[ID_UUID_LEN + 1];
    struct queue_place place;
    const struct catalogue_route *route;
};

static void convert_release(void *arg)
{
    struct convert *c = arg;

    body_free(&c->body);
    free(c->options);
    free(c->sealed_secrets);
}

static void reply_queued(struct convert *c)
{
    struct http_request *req = c->call->req;
    uint64_t wait_ms;
    json_t *wait = outlook_wait(&c->call->api->outlook, catalogue_route_family(c->route), &c->place, &wait_ms)
                       ? json_integer((json_int_t)wait_ms)
                       : json_null();

    log_info("task queued", LOG_S("job_id", c->body.job_id), LOG_S("task_id", c->task_id),
             LOG_S("trace_id", http_request_trace(req)->id), LOG_S("request_id", http_request_id(req)));
    api_reply_json(c->call, 202,
                   json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "job_id", c->body.job_id, "task_id",
                             c->task_id, "status", job_status_name(JOB_QUEUED), "target_format",
                             c->body.target->id, "queue_position", (json_int_t)c->place.ahead,
                             "estimated_wait_ms", wait));
}

static void on_enqueued(void *arg, int err)
{
    struct convert *c = arg;

    if (err == 0)
        reply_queued(c);
    else if (err == -EBUSY)
        api_fail(c->call, API_WRONG_STATE, "This job has been started already.");
    else if (err == -EDQUOT)
        api_fail(c->call, API_RATE_LIMITED,
                 "This session has as many conversions waiting or under way as it may have.");
    else if (err == -EAGAIN)
        api_fail(c->call, API_RATE_LIMITED, "Too many conversions are waiting. Try again in a moment.");
    else
        api_fail_state(c->call, err);
}

static void enqueue(struct convert *c)
{
    const char *sid = c->call->session.id;
    char crowd[JOB_CROWD_MAX], key[JOB_KEY_MAX], channel[sizeof JOB_CHANNEL_PREFIX + ID_UUID_LEN];
    char traceparent[TRACEPARENT_LEN + 1];
    _cleanup_json_ json_t *kwargs = json_pack("{s:s, s:s}", "session_id", sid, "job_id", c->body.job_id);
    const char *const set[] = {"status",
                               job_status_name(JOB_QUEUED),
                               "target_format",
                               c->body.target->id,
                               "task_id",
                               c->task_id,
                               "options",
                               c->options,
                               c->sealed_secrets ? "sealed_secrets" : NULL,
                               c->sealed_secrets,
                               NULL};
    const struct queue_hash hash = {
        .key = key, .field = "status", .expected = "uploaded", .channel = channel, .set = set};
    const struct queue_task task = {.id = c->task_id,
                                    .name = "decant.convert",
                                    .kwargs = kwargs,
                                    .family = catalogue_route_family(c->route),
                                    .crowd = crowd,
                                    .crowd_max = c->call->api->settings->session_queue,
                                    .traceparent = traceparent,
                                    .place = &c->place};

    trace_next(http_request_trace(c->call->req), traceparent);
    id_uuid(c->task_id);
    job_key(key, sid, c->body.job_id);
    job_crowd(crowd, sid);
    snprintf(channel, sizeof channel, "%s%s", JOB_CHANNEL_PREFIX, c->body.job_id);
    queue_enqueue(c->call->api->queue, &task, &hash, on_enqueued, c);
}

/* From here on the body and the options know no password any more: nothing that stores or sends them does.
 * False after having failed the call. */
static bool separate_secrets(struct convert *c)
{
    _cleanup_secret_ char *secrets = secrets_take(c->body.options);
    int r = 0;

    if (secrets && !c->call->api->seal) {
        api_fail(
            c->call, API_BAD_REQUEST,
            "This server takes no passwords: its operator has set no DECANT_SEAL_PUBLIC to seal them with.");
        return false;
    }
    if (secrets)
        r = seal_close(c->call->api->seal, c->body.job_id, secrets, &c->sealed_secrets);
    c->options = c->body.options ? json_dumps(c->body.options, JSON_COMPACT) : strdup("{}");
    if (r < 0 || !c->options)
        api_fail(c->call, API_INTERNAL, "The password could not be sealed.");
    return r == 0 && c->options;
}

static void on_job_to_convert(void *arg, int err, const struct job *job)
{
    struct convert *c = arg;
    char why[160];

    if (err < 0) {
        api_fail_state(c->call, err);
        return;
    }
    if (job->status != JOB_UPLOADED) {
        api_fail(c->call, API_WRONG_STATE, "This job has been started already.");
        return;
    }
    c->route = catalogue_find(format_by_id(job->source_format), c->body.target);
    if (!c->route) {
        api_fail(c->call, API_UNSUPPORTED_TARGET,
                 "This file can't be converted into that format; \"targets\" of its upload lists what can be "
                 "had.");
        return;
    }
    if (catalogue_check_options(c->route, c->body.options, why, sizeof why) < 0) {
        api_fail(c->call, API_BAD_REQUEST, why);
        return;
    }
    if (!separate_secrets(c))
        return;
    c->route = catalogue_route_with(c->route, c->body.options);
    enqueue(c);
}

void api_convert(struct api_call *call)
{
    struct convert *c = http_request_alloc(call->req, sizeof *c);
    size_t len;
    const char *text = http_request_body(call->req, &len), *why;

    c->call = call;
    if (body_read_convert(text, len, &c->body, &why) < 0) {
        api_fail(call, API_BAD_REQUEST, why);
        return;
    }
    http_request_on_end(call->req, convert_release, c);
    outlook_refresh(&call->api->outlook, call->api->redis);
    job_load(call->api->redis, call->session.id, c->body.job_id, on_job_to_convert, c);
}

/* --- GET /job_status */

/* The watch is set up before the first look, so that no change can slip between them. */
struct status_wait {
    struct api_call *call;
    const char *job_id;
    struct job_watch *watch;
    uv_timer_t timer;
    uint64_t wait_ms;
    bool seen, loading, again, expired, closed;
    bool proved; /* asked for ahead: the session has been proved since */
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

static void reply_status(struct api_call *call, const struct job *job)
{
    _cleanup_buf_ struct buf json = BUF_INIT(API_JOB_BYTES_MAX);

    buf_reserve(&json, API_JOB_BYTES);
    api_job_write(&json, job);
    if (buf_error(&json)) {
        api_fail(call, API_INTERNAL, "The job has more to say than there is room for.");
        return;
    }
    http_reply_header(call->req, "Cache-Control", "no-store");
    api_reply_buf(call, 200, "application/json", &json);
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

    bool changed = w->seen && (job->status != w->status || job->progress != w->progress);

    if (w->wait_ms == 0 || w->expired || changed || job_status_is_final(job->status) ||
        http_request_gone(w->call->req)) {
        status_wait_end(w);
        reply_status(w->call, job);
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
    const char *job_id = http_request_query(call->req, "job_id"),
               *session_id = http_request_cookie(call->req, "session_id");
    struct status_wait *w;

    if (http_request_query(call->req, "wait") || !id_is_uuid(job_id) || !id_is_token(session_id))
        return;
    w = call->ahead = status_wait_new(call, job_id);
    w->loading = true;
    http_request_ref(call->req);
    job_load_shown(call->api->redis, session_id, job_id, on_status_ahead, w);
}

void api_job_status(struct api_call *call)
{
    const char *job_id = http_request_query(call->req, "job_id"),
               *wait = http_request_query(call->req, "wait");
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
    if (w->wait_ms > 0) {
        uv_timer_init(call->api->loop, &w->timer);
        w->timer.data = w;
        w->watch = job_watch_add(call->api->watcher, job_id, on_status_change, w);
        http_request_on_end(call->req, on_status_gone, w);
    }
    load_status(w);
}
