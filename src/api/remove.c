/* POST /delete and DELETE /v1/jobs/{id}. First whatever works on the job is stopped, then what Redis knows of
 * it goes in one step, then its folder. A removal that is cut short before that step has changed nothing but
 * that the job is cancelled, and can be asked for again; after it the janitor finds a folder without a job.
 */
#include "api/remove.h"

#include "api/cancel.h"
#include "api/tus.h"
#include "core/clock.h"
#include "core/log.h"
#include "state/job_remove.h"

#include <errno.h>

enum { POLL_MS = 20, WAIT_MS = 10000, TRIES_MAX = 3 };

struct removal {
    struct api_call *call;
    const char *job_id;
    uv_timer_t timer;
    uv_work_t work;
    uint64_t deadline_ms;
    unsigned tries; /* of calling it off that are left */
    bool again;
    int result; /* of the thread */
};

static void removal_free(uv_handle_t *handle)
{
    free(handle->data);
}

/* The call has been answered. */
static void removal_end(struct removal *m)
{
    uv_close((uv_handle_t *)&m->timer, removal_free);
}

static void fail(struct removal *m, enum api_error error, const char *detail)
{
    api_fail(m->call, error, detail);
    removal_end(m);
}

static void remove_files(uv_work_t *work)
{
    struct removal *m = work->data;

    m->result = storage_remove_job(m->call->api->storage, m->call->session.id, m->job_id);
}

static void on_files_removed(uv_work_t *work, int status)
{
    struct removal *m = work->data;
    struct http_request *req = m->call->req;
    int r = status < 0 ? status : m->result;

    if (r < 0) {
        log_error("files of a deleted job not removed", LOG_S("job_id", m->job_id),
                  LOG_S("request_id", http_request_id(req)), LOG_E(r));
        fail(m, API_INTERNAL,
             "The job is deleted, but some of its files could not be yet. The server tries that again by "
             "itself.");
        return;
    }
    log_info("job deleted", LOG_S("job_id", m->job_id), LOG_S("trace_id", http_request_trace(req)->id),
             LOG_S("request_id", http_request_id(req)));
    api_reply_json(m->call, 200, json_pack("{s:s, s:b}", "job_id", m->job_id, "deleted", 1));
    removal_end(m);
}

static void on_poll(uv_timer_t *timer);

static void on_called_off(void *arg, int err)
{
    struct removal *m = arg;

    if (err == 0 || err == -EINPROGRESS || err == -EBUSY ||
        err == -ENOENT) { /* what it has come to is seen */
        uv_timer_start(&m->timer, on_poll, err == 0 ? 0 : POLL_MS, 0);
        return;
    }
    api_fail_state(m->call, err);
    removal_end(m);
}

static void on_removed(void *arg, int err, const char *task_id)
{
    struct removal *m = arg;
    struct api_call *call = m->call;

    if (err == 0) {
        m->work.data = m;
        uv_queue_work(call->api->loop, &m->work, remove_files, on_files_removed);
    } else if (err == -EINPROGRESS) {
        m->again = true;
        uv_timer_start(&m->timer, on_poll, POLL_MS, 0);
    } else if (err == -EBUSY && m->tries-- > 0) {
        cancel_task(call->api, call->session.id, m->job_id, task_id, on_called_off, m);
    } else if (err == -EBUSY) {
        fail(m, API_WRONG_STATE, "This job is just being started by another call.");
    } else if (err == -ETXTBSY) {
        fail(m, API_WRONG_STATE,
             "Another job that waits or is under way becomes one of several files, and this job's is among "
             "them. Delete or cancel that one first.");
    } else {
        api_fail_state(call, err);
        removal_end(m);
    }
}

/* A worker that died can't let go of its jobs: after a while they are taken for stopped, as when a session is
 * closed. One that lives nevertheless finds no job any more, and removes what it has made. */
static void try_to_remove(struct removal *m)
{
    const struct job_removal removal = {.session_id = m->call->session.id,
                                        .job_id = m->job_id,
                                        .again = m->again,
                                        .held = clock_mono_ms() >= m->deadline_ms};

    job_remove(m->call->api->redis, &removal, on_removed, m);
}

static void on_poll(uv_timer_t *timer)
{
    struct removal *m = timer->data;

    if (m->call->api->redis)
        try_to_remove(m);
    else /* the server has stopped meanwhile; the client may ask again */
        on_removed(m, -ENOTCONN, "");
}

void api_reply_removed(struct api_call *call, const char *job_id)
{
    struct removal *m = calloc(1, sizeof *m);

    if (!m) {
        api_fail(call, API_UNAVAILABLE, "The server is short of memory.");
        return;
    }
    m->call = call;
    m->job_id = job_id;
    m->tries = TRIES_MAX;
    m->deadline_ms = clock_mono_ms() + WAIT_MS;
    uv_timer_init(call->api->loop, &m->timer);
    m->timer.data = m;
    try_to_remove(m);
}

/* --- of a job, or of an upload that was to become one */

struct deletion {
    struct api_call *call;
    const char *job_id;
    bool empty; /* the answer */
    enum api_error unknown;
    const char *detail;
};

static void on_deleted(void *arg, const struct api_end *end)
{
    struct deletion *d = arg;

    if (end->status > 0 && d->empty)
        api_reply(d->call, 204, NULL, "", 0);
    else if (end->status > 0)
        api_reply_json(d->call, 200, json_pack("{s:s, s:b}", "job_id", d->job_id, "deleted", 1));
    else if (!end->detail)
        api_abandon(d->call);
    else if (end->error == API_UPLOAD_NOT_FOUND)
        api_fail(d->call, d->unknown, d->detail);
    else
        api_fail(d->call, end->error, end->detail);
}

static void on_job_deleted(void *arg, const struct api_end *end)
{
    struct deletion *d = arg;

    if (end->status == 0 && end->detail && end->error == API_JOB_NOT_FOUND)
        tus_give_up(api_call_within(d->call, on_deleted, d), d->job_id);
    else
        on_deleted(d, end);
}

static struct deletion *deletion_new(struct api_call *call, const char *job_id)
{
    struct deletion *d = http_request_alloc(call->req, sizeof *d);

    *d = (struct deletion){.call = call,
                           .job_id = job_id,
                           .unknown = API_JOB_NOT_FOUND,
                           .detail = "There is no job of that id in this session."};
    return d;
}

static void begin_deletion(struct deletion *d)
{
    api_reply_removed(api_call_within(d->call, on_job_deleted, d), d->job_id);
}

void api_delete(struct api_call *call)
{
    const char *job_id = api_named_job(call);

    if (job_id)
        begin_deletion(deletion_new(call, job_id));
}

void api_reply_path_removed(struct api_call *call, enum api_error unknown, const char *detail)
{
    struct deletion *d = deletion_new(call, http_request_param(call->req));

    d->empty = true;
    d->unknown = unknown;
    d->detail = detail;
    begin_deletion(d);
}

void api_job_delete(struct api_call *call)
{
    api_reply_path_removed(call, API_JOB_NOT_FOUND, "There is no job of that id in this session.");
}
