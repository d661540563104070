/* GET /preview: a picture of a completed job's result.
 *
 * Nothing is drawn here. What was made lies beside the result and is handed out from there, without a worker.
 * For what isn't there yet a task is enqueued – one, however many ask (state/preview.h) – and the request is
 * held until something is said of that result, for a bounded time. The watch is set up before the result's
 * record is asked for, so that no change can slip between them.
 *
 * The name of a result is never used for another. So clients may keep what they get, and that name is all
 * that a validator needs. */
#include "api/api.h"

#include "api/metrics.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "state/preview.h"

#include <errno.h>

enum { WAIT_MS = 20000 };

struct preview {
    struct api_call *call;
    const char *job_id, *result; /* result: its stored path */
    char result_id[ID_UUID_LEN + 1], task_id[ID_UUID_LEN + 1];
    unsigned size;
    struct job_watch *watch;
    uv_timer_t timer;
    bool waits;   /* there are both */
    bool asking;  /* Redis will answer */
    bool news;    /* came meanwhile */
    bool expired; /* so did the end of the time */
    bool ended;
};

static void ask(struct preview *p, bool again);

/* --- the end: of the wait, and then of the call */

static void on_timer_closed(uv_handle_t *handle)
{
    struct preview *p = handle->data;

    http_request_unref(p->call->req);
}

/* The request outlives its timer. */
static void end_wait(struct preview *p)
{
    p->ended = true;
    if (!p->waits)
        return;
    job_watch_remove(TAKE_PTR(p->watch));
    http_request_ref(p->call->req);
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

static void fail(struct preview *p, enum api_error error, const char *detail)
{
    end_wait(p);
    api_fail(p->call, error, detail);
}

static void fail_state(struct preview *p, int err)
{
    end_wait(p);
    api_fail_state(p->call, err);
}

static void fail_failed(struct preview *p, const char *code)
{
    fail(p, API_NO_PREVIEW,
         str_eq(code, outcome_code(OUTCOME_PASSWORD_REQUIRED))
             ? "The result asks for a password, and can't be shown without."
             : "No picture could be made of this result.");
}

/* --- what is there */

static void reply(struct preview *p, int fd, const char *path)
{
    struct http_request *req = p->call->req;
    char version[ID_UUID_LEN + 16];

    snprintf(version, sizeof version, "\"%s-%u\"", p->result_id, p->size);
    http_reply_header(req, "ETag", version);
    http_reply_header(req, "Cache-Control", "private, max-age=3600, immutable");
    http_reply_header(req, "Content-Disposition", "inline");
    http_reply_header(req, "Content-Security-Policy", "default-src 'none'; sandbox");
    metrics_preview(p->call->api->metrics, p->waits);
    end_wait(p);
    api_reply_stored(p->call, "image/png", fd, path);
}

/* False: it isn't there. */
static bool reply_kept(struct preview *p)
{
    char path[STORAGE_PATH_MAX];
    int fd = storage_open_preview(p->call->api->storage, p->result, p->size, path);

    if (fd >= 0)
        reply(p, fd, path);
    return fd >= 0;
}

/* --- what isn't: each step either ends the call or rests until there is news */

static void rest(struct preview *p)
{
    p->asking = false;
    if (http_request_gone(p->call->req)) {
        end_wait(p);
        api_abandon(p->call);
    } else if (p->expired) {
        fail(p, API_UNAVAILABLE, "The picture is not ready yet. Try again in a moment.");
    } else if (p->news) {
        p->news = false;
        if (!reply_kept(p))
            ask(p, false);
    }
}

/* -EBUSY: somebody else was faster. */
static void on_enqueued(void *arg, int err)
{
    struct preview *p = arg;

    if (err == 0 || err == -EBUSY)
        rest(p);
    else if (err == -EDQUOT)
        fail(p, API_RATE_LIMITED, "This session waits for as many pictures as it may.");
    else if (err == -EAGAIN)
        fail(p, API_RATE_LIMITED, "Too many tasks are waiting. Try again in a moment.");
    else
        fail_state(p, err);
}

/* With the priority of a conversion: the queue of its own is what keeps it from waiting behind those. */
static void enqueue(struct preview *p)
{
    struct api_call *call = p->call;
    const char *sid = call->session.id;
    char crowd[PREVIEW_CROWD_MAX], key[PREVIEW_KEY_MAX], channel[PREVIEW_CHANNEL_MAX];
    char traceparent[TRACEPARENT_LEN + 1];
    _cleanup_json_ json_t *kwargs =
        json_pack("{s:s, s:s, s:i}", "session_id", sid, "job_id", p->job_id, "size", (int)p->size);
    const char *const set[] = {"status", preview_status_name(PREVIEW_QUEUED), "task_id", p->task_id, NULL};
    const struct queue_hash hash = {.key = key,
                                    .field = "status",
                                    .expected = preview_status_name(PREVIEW_WANTED),
                                    .channel = channel,
                                    .set = set};
    const struct queue_task task = {.id = p->task_id,
                                    .name = TASK_PREVIEW,
                                    .kwargs = kwargs,
                                    .family = CATALOGUE_PREVIEWS,
                                    .priority = (unsigned)call->plan->priority,
                                    .crowd = crowd,
                                    .crowd_max = call->plan->queue,
                                    .traceparent = traceparent};

    trace_next(http_request_trace(call->req), traceparent);
    id_uuid(p->task_id);
    preview_key(key, sid, p->result_id);
    preview_crowd(crowd, sid);
    snprintf(channel, sizeof channel, PREVIEW_CHANNEL_PREFIX "%s", p->result_id);
    queue_enqueue(call->api->queue, &task, &hash, on_enqueued, p);
}

static void on_record(void *arg, int err, enum preview_status status, const char *code)
{
    struct preview *p = arg;

    if (err < 0) {
        fail_state(p, err);
        return;
    }
    switch (status) {
    case PREVIEW_WANTED: /* after its record has ended, too */
        if (!reply_kept(p))
            enqueue(p);
        break;
    case PREVIEW_QUEUED:
    case PREVIEW_PROCESSING:
        rest(p);
        break;
    case PREVIEW_COMPLETED: /* in another size, or it has been lost since */
        if (!reply_kept(p))
            ask(p, true);
        break;
    case PREVIEW_FAILED:
        fail_failed(p, code);
        break;
    case PREVIEW_CANCELLED: /* never told: such a one is wanted again, or its session or job is gone */
        fail_state(p, -ENOENT);
        break;
    }
}

static void ask(struct preview *p, bool again)
{
    p->asking = true;
    preview_want(p->call->api->redis, p->call->session.id, p->job_id, p->result_id, again, on_record, p);
}

static void on_news(void *arg, const char *news)
{
    struct preview *p = arg;

    p->news = true;
    if (!p->asking)
        rest(p);
}

static void on_time(uv_timer_t *timer)
{
    struct preview *p = timer->data;

    p->expired = true;
    if (!p->asking)
        rest(p);
}

/* Answered, or the client went away while we waited. */
static void on_request_end(void *arg)
{
    struct preview *p = arg;

    if (!p->ended && !p->asking)
        rest(p);
}

static void wait_for_it(struct preview *p)
{
    struct api *api = p->call->api;

    uv_timer_init(api->loop, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_time, WAIT_MS, 0);
    p->watch = job_watch_add(api->watcher, p->result_id, on_news, p);
    p->waits = true;
    ask(p, false);
    http_request_on_end(p->call->req, on_request_end, p); /* last: if it is called at once, we are asking */
}

/* --- the job */

static bool has_picture(const struct job *job)
{
    return catalogue_preview(format_by_id(job_output_extension(job)), format_by_id(job->target_format), NULL);
}

static void on_job(void *arg, int err, const struct job *job)
{
    struct preview *p = arg;

    if (err < 0) {
        fail_state(p, err);
    } else if (job->status != JOB_COMPLETED) {
        fail(p, API_WRONG_STATE, "There is no result to be seen: the job is not completed.");
    } else if (!storage_result_id(job->converted_path, p->result_id)) {
        fail(p, API_INTERNAL, "The job's record is damaged.");
    } else if (!has_picture(job)) {
        fail(p, API_NO_PREVIEW,
             "A result of this format has no pages and is no picture: there is nothing to be shown.");
    } else {
        p->result = http_request_strdup(p->call->req, job->converted_path);
        if (!reply_kept(p))
            wait_for_it(p);
    }
}

void api_preview(struct api_call *call)
{
    const char *job_id = http_request_query(call->req, "job_id"),
               *size = http_request_query(call->req, "size");
    struct preview *p = http_request_alloc(call->req, sizeof *p);
    uint64_t pixels = PREVIEW_SIZE_USUAL;

    p->call = call;
    p->job_id = job_id;
    if (!job_id) {
        api_fail(call, API_BAD_REQUEST, "The parameter \"job_id\" is missing.");
        return;
    }
    if (size && str_to_u64(size, PREVIEW_SIZE_MIN, PREVIEW_SIZE_MAX, &pixels) < 0) {
        api_fail(call, API_BAD_REQUEST,
                 "The parameter \"size\" has to be a whole number of pixels from 64 to 1024.");
        return;
    }
    p->size = preview_size(pixels);
    job_load(call->api->redis, call->session.id, job_id, on_job, p);
}
