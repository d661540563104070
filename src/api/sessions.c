/* GET /session/init and POST /session/close. */
#include "api/api.h"

#include "core/clock.h"
#include "core/log.h"

#include <errno.h>

static void reply_session(struct api_call *call, const struct session *session)
{
    const struct settings *s = call->api->settings;
    char cookie[192];

    snprintf(cookie, sizeof cookie, "session_id=%s; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=%llu",
             session->id, (unsigned long long)s->session_ttl_s);
    http_reply_header(call->req, "Set-Cookie", cookie);
    api_reply_json(
        call, 200,
        json_pack("{s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I, s:I}}", "csrf_token", session->csrf_token,
                  "created_at", session->created_at, "expires_at", session->expires_at, "limits",
                  "max_upload_bytes", (json_int_t)s->max_upload_bytes, "max_bytes",
                  (json_int_t)s->session_quota_bytes, "max_jobs", (json_int_t)s->max_jobs, "session_seconds",
                  (json_int_t)s->session_ttl_s, "download_token_seconds", (json_int_t)s->token_ttl_s));
}

static void on_created(void *arg, int err, const struct session *session)
{
    struct api_call *call = arg;

    if (err < 0) {
        api_fail_state(call, err);
        return;
    }
    log_audit("session_created", LOG_S("request_id", http_request_id(call->req)),
              LOG_S("client", call->address));
    reply_session(call, session);
}

static void on_known(void *arg, int err, const struct session *session)
{
    struct api_call *call = arg;

    if (err == -ENOENT)
        session_create(call->api->redis, call->api->settings->session_ttl_s, on_created, call);
    else if (err < 0)
        api_fail_state(call, err);
    else
        reply_session(call, session);
}

void api_session_init(struct api_call *call)
{
    session_load(call->api->redis, http_request_cookie(call->req, "session_id"), on_known, call);
}

/* --- closing: nobody can use the session or its links any more; wait until no worker holds a job; then the
 * files, and at last the keys, so that a closing which was cut short (Redis away, the server stopped) can be
 * repeated */

enum { CLOSE_POLL_MS = 50, CLOSE_WAIT_MS = 10000 };

struct closing {
    struct api_call *call;
    uv_timer_t timer;
    uv_work_t work;
    uint64_t deadline_ms;
    int result;
};

static void closing_free(uv_handle_t *handle)
{
    free(handle->data);
}

static void closing_end(struct closing *c)
{
    uv_close((uv_handle_t *)&c->timer, closing_free);
}

static void on_keys_removed(void *arg, int err, const redisReply *reply)
{
    struct closing *c = arg;

    if (err < 0) {
        api_fail_state(c->call, err);
    } else {
        log_audit("session_closed", LOG_S("request_id", http_request_id(c->call->req)),
                  LOG_S("client", c->call->address));
        http_reply_header(c->call->req, "Set-Cookie",
                          "session_id=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0");
        api_reply_json(c->call, 200, json_pack("{s:b}", "closed", 1));
    }
    closing_end(c);
}

static void remove_files(uv_work_t *work)
{
    struct closing *c = work->data;

    c->result = storage_remove_session(c->call->api->storage, c->call->session.id);
}

static void on_files_removed(uv_work_t *work, int status)
{
    struct closing *c = work->data;
    struct api_call *call = c->call;

    if (status == 0 && c->result == 0 && call->api->redis) {
        session_finish_close(call->api->redis, call->session.id, on_keys_removed, c);
        return;
    }
    if (!call->api->redis) { /* the server has stopped meanwhile */
        api_fail_state(call, -ENOTCONN);
    } else {
        log_error("session files not removed", LOG_S("request_id", http_request_id(call->req)),
                  LOG_E(status < 0 ? status : c->result));
        api_fail(call, API_INTERNAL, "Some files of the session could not be deleted yet. Close it again.");
    }
    closing_end(c);
}

static void on_poll(uv_timer_t *timer);

/* A worker that died can't let go of its jobs: after a while they are taken for stopped. */
static void on_running(void *arg, int err, unsigned running)
{
    struct closing *c = arg;

    if (err == -ENOENT) {
        api_fail(c->call, API_SESSION_REQUIRED, "The session has been closed already.");
        closing_end(c);
    } else if (err < 0) {
        api_fail_state(c->call, err);
        closing_end(c);
    } else if (running > 0 && clock_mono_ms() < c->deadline_ms) {
        uv_timer_start(&c->timer, on_poll, CLOSE_POLL_MS, 0);
    } else {
        c->work.data = c;
        uv_queue_work(c->call->api->loop, &c->work, remove_files, on_files_removed);
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct closing *c = timer->data;

    if (!c->call->api->redis) { /* the server has stopped meanwhile; the client may close again */
        on_running(c, -ENOTCONN, 0);
        return;
    }
    session_running(c->call->api->redis, c->call->session.id, on_running, c);
}

void api_session_close(struct api_call *call)
{
    struct closing *c = calloc(1, sizeof *c);

    if (!c) {
        api_fail(call, API_UNAVAILABLE, "The server is short of memory.");
        return;
    }
    c->call = call;
    c->deadline_ms = clock_mono_ms() + CLOSE_WAIT_MS;
    uv_timer_init(call->api->loop, &c->timer);
    c->timer.data = c;
    session_begin_close(call->api->redis, call->session.id, on_running, c);
}
