/* GET /session/init and POST /session/close. */
#include "api/api.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"

#include <errno.h>

static json_t *limits_json(const struct settings *s, const struct plan *plan)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "max_upload_bytes", (json_int_t)plan->max_upload_bytes,
                     "max_bytes", (json_int_t)plan->stored_bytes, "max_jobs", (json_int_t)plan->max_jobs,
                     "session_seconds", (json_int_t)s->session_ttl_s, "download_token_seconds",
                     (json_int_t)s->token_ttl_s);
}

static json_t *account_json(const struct account *account, const struct plan *plan)
{
    return *account->id ? json_pack("{s:s, s:s, s:I}", "id", account->id, "name", account->name,
                                    "retention_seconds", (json_int_t)plan->retention_s)
                        : json_null();
}

/* By what ways somebody can log in here. */
static json_t *logins_json(const struct api *api)
{
    return json_pack("{s:b, s:b}", "password", api->jwt_keys != NULL, "oidc",
                     api->jwt_keys && *api->settings->oidc_issuer);
}

/* The session of the cookie: that of the call may be an account's space. */
static void reply_session(struct api_call *call, const struct session *session)
{
    const struct settings *s = call->api->settings;
    char cookie[192];

    snprintf(cookie, sizeof cookie, "session_id=%s; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=%llu",
             session->id, (unsigned long long)s->session_ttl_s);
    http_reply_header(call->req, "Set-Cookie", cookie);
    api_reply_json(call, 200,
                   json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "csrf_token", session->csrf_token,
                             "created_at", session->created_at, "expires_at", session->expires_at, "plan",
                             call->plan->name, "account", account_json(&call->account, call->plan), "limits",
                             limits_json(s, call->plan), "logins", logins_json(call->api)));
}

static void on_created(void *arg, int err, const struct session *session)
{
    struct api_call *call = arg;

    if (err < 0) {
        api_fail_state(call, err);
        return;
    }
    log_audit("session_created", LOG_S("request_id", http_request_id(call->req)),
              LOG_S("client", call->address), LOG_S("account", call->account.id));
    reply_session(call, session);
}

static void create(struct api_call *call)
{
    session_create(call->api->redis, call->api->settings->session_ttl_s, call->account.id,
                   call->identity.family, call->plan->name, on_created, call);
}

static void on_identity(struct api_call *call)
{
    struct session session = call->session;

    memcpy(session.id, call->cookie_session, sizeof session.id);
    if (call->identity.err == 0)
        reply_session(call, &session);
    else if (call->identity.err == -ENOENT) /* its account is gone, or its login has ended */
        create(call);
    else
        api_fail_state(call, call->identity.err);
}

static bool is_of_this_login(const struct api_call *call, const struct session *session)
{
    return str_eq(session->account, call->account.id) && str_eq(session->login, call->identity.family);
}

static void on_known(void *arg, int err, const struct session *session)
{
    struct api_call *call = arg;

    if (err < 0 && err != -ENOENT)
        api_fail_state(call, err);
    else if (err == -ENOENT || (*call->account.id && !is_of_this_login(call, session)))
        create(call);
    else if (*call->account.id)
        reply_session(call, session);
    else
        identity_of_session(call, session, on_identity);
}

/* With an access token the browser's session is one of that account from now on: another one, as what was
 * nobody's stays nobody's. */
void api_session_init(struct api_call *call)
{
    if (call->identity.bearer == BEARER_KEY)
        api_fail(call, API_SCOPE_REQUIRED, "A program with an API key needs no session.");
    else
        session_load(call->api->redis, http_request_cookie(call->req, "session_id"), on_known, call);
}

/* --- closing, of a browser that has logged in just its session, in which there is nothing. Nobody can use
 * the session or its links any more; wait until no worker holds a job; then the files, and at last the keys,
 * so that a closing which was cut short (Redis away, the server stopped) can be repeated */

enum { CLOSE_POLL_MS = 50, CLOSE_WAIT_MS = 10000 };

struct closing {
    struct api_call *call;
    const char *session_id;
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
        if (*c->call->cookie_session) /* a browser's */
            http_reply_header(c->call->req, "Set-Cookie",
                              "session_id=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0");
        api_reply_json(c->call, 200, json_pack("{s:b}", "closed", 1));
    }
    closing_end(c);
}

static void remove_files(uv_work_t *work)
{
    struct closing *c = work->data;

    c->result = storage_remove_session(c->call->api->storage, c->session_id);
}

static void on_files_removed(uv_work_t *work, int status)
{
    struct closing *c = work->data;
    struct api_call *call = c->call;

    if (status == 0 && c->result == 0 && call->api->redis) {
        session_finish_close(call->api->redis, c->session_id, on_keys_removed, c);
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
    session_running(c->call->api->redis, c->session_id, on_running, c);
}

void api_reply_closed(struct api_call *call, const char *session_id)
{
    struct closing *c = calloc(1, sizeof *c);

    if (!c) {
        api_fail(call, API_UNAVAILABLE, "The server is short of memory.");
        return;
    }
    c->call = call;
    c->session_id = session_id;
    c->deadline_ms = clock_mono_ms() + CLOSE_WAIT_MS;
    uv_timer_init(call->api->loop, &c->timer);
    c->timer.data = c;
    session_begin_close(call->api->redis, session_id, on_running, c);
}

void api_session_close(struct api_call *call)
{
    if (call->identity.bearer != BEARER_NONE) {
        api_fail(call, API_BAD_REQUEST,
                 "A bearer has no session to close; DELETE /history empties its account.");
        return;
    }
    api_reply_closed(call, call->cookie_session);
}
