/* The life of a call: proving what an endpoint needs, reading JSON bodies, and the replies that end it. */
#include "api/api.h"

#include "api/browser.h"
#include "api/idempotency.h"
#include "api/metrics.h"
#include "api/peer.h"
#include "core/log.h"
#include "core/str.h"
#include "core/xalloc.h"

#include <errno.h>

static const struct api_endpoint *endpoint_of(const struct api_call *call)
{
    return http_request_route(call->req);
}

bool api_call_needs(const struct api_call *call, enum api_needs needs)
{
    return (endpoint_of(call)->needs & needs) == needs;
}

static void call_end(struct api_call *call)
{
    struct http_request *req = call->req;

    idempotency_abandon(call);
    if (call->told)
        free(call);
    http_request_unref(req);
}

struct api_call *api_call_within(const struct api_call *call, api_told_fn *fn, void *arg)
{
    struct api_call *within = xmalloc(sizeof *within);

    *within = *call;
    within->req = http_request_ref(call->req);
    within->ahead = NULL;
    within->idempotency = NULL; /* that of the call around it */
    within->told = fn;
    within->told_arg = arg;
    return within;
}

/* False: it is the client who has to hear. */
static bool tell(struct api_call *call, const struct api_end *end)
{
    if (!call->told)
        return false;
    call->told(call->told_arg, end);
    call_end(call);
    return true;
}

static void reply_json(struct api_call *call, unsigned status, json_t *json)
{
    if (tell(call, &(struct api_end){.status = status, .json = json})) {
        json_decref(json);
        return;
    }
    http_reply_header(call->req, "Cache-Control", "no-store");
    http_reply_json(call->req, status, json);
    call_end(call);
}

struct kept_reply {
    struct api_call *call;
    unsigned status;
    json_t *json;
};

static void on_reply_kept(void *arg)
{
    struct kept_reply *reply = arg;

    reply_json(reply->call, reply->status, reply->json);
}

void api_reply_json(struct api_call *call, unsigned status, json_t *json)
{
    struct kept_reply *reply;

    if (!idempotency_is_open(call)) {
        reply_json(call, status, json);
        return;
    }
    reply = http_request_alloc(call->req, sizeof *reply);
    *reply = (struct kept_reply){call, status, json};
    idempotency_end(call, status, json, on_reply_kept, reply);
}

void api_reply(struct api_call *call, unsigned status, const char *type, const void *body, size_t len)
{
    http_reply(call->req, status, type, body, len);
    call_end(call);
}

void api_reply_static(struct api_call *call, unsigned status, const char *type, const void *body, size_t len)
{
    http_reply_static(call->req, status, type, body, len);
    call_end(call);
}

void api_reply_buf(struct api_call *call, unsigned status, const char *type, struct buf *body)
{
    http_reply_buf(call->req, status, type, body);
    call_end(call);
}

void api_reply_file(struct api_call *call, const char *type, int fd)
{
    http_reply_file(call->req, type, fd);
    call_end(call);
}

static void reply_accel(struct api_call *call, const char *type, const char *path)
{
    _cleanup_buf_ struct buf location = BUF_INIT(4096);

    buf_printf(&location, "%s/%s", call->api->settings->accel_prefix, path);
    if (buf_error(&location)) {
        api_fail(call, API_INTERNAL, "DECANT_ACCEL_PREFIX is too long.");
        return;
    }
    http_reply_header(call->req, "X-Accel-Redirect", location.data);
    api_reply(call, 200, type, "", 0);
}

void api_reply_stored(struct api_call *call, const char *type, int fd, const char *path)
{
    _cleanup_close_ int file = fd;

    if (*call->api->settings->accel_prefix)
        reply_accel(call, type, path);
    else
        api_reply_file(call, type, TAKE_FD(file));
}

void api_abandon(struct api_call *call)
{
    if (!tell(call, &(struct api_end){0}))
        call_end(call);
}

/* `client` is the keyed hash of the client's address, and needed where the error is audited alone.
 * `retry_after_s`: 0 for none. */
static void reply_info(struct http_request *req, const char *client, const struct api_error_info *info,
                       const char *detail, uint64_t retry_after_s)
{
    if (info->audit)
        log_audit(info->code, LOG_S("request_id", http_request_id(req)),
                  LOG_S("trace_id", http_request_trace(req)->id), LOG_S("client", client));
    if (retry_after_s > 0) {
        char seconds[24];

        snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)retry_after_s);
        http_reply_header(req, "Retry-After", seconds);
    }
    if (info->challenge)
        http_reply_header(req, "WWW-Authenticate", info->challenge);
    http_reply_header(req, "Content-Type", "application/problem+json");
    http_reply_header(req, "Cache-Control", "no-store");
    http_reply_json(req, info->status,
                    json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", "about:blank", "title", info->title,
                              "status", (int)info->status, "detail", detail, "code", info->code, "request_id",
                              http_request_id(req)));
}

static void reply_problem(struct http_request *req, const char *client, enum api_error error,
                          const char *detail, uint64_t retry_after_s)
{
    metrics_error(((struct api *)http_request_app(req))->metrics, error);
    reply_info(req, client, api_error_info(error), detail, retry_after_s);
}

void api_fail_as(struct api_call *call, const struct api_error_info *error, const char *detail)
{
    reply_info(call->req, call->address, error, detail, error->retry_after_s);
    call_end(call);
}

void api_fail(struct api_call *call, enum api_error error, const char *detail)
{
    if (tell(call, &(struct api_end){.error = error, .detail = detail}))
        return;
    if (error == API_RATE_LIMITED)
        metrics_refused(call->api->metrics, endpoint_of(call)->limit, NULL);
    reply_problem(call->req, call->address, error, detail, api_error_info(error)->retry_after_s);
    call_end(call);
}

void api_fail_state(struct api_call *call, int err)
{
    if (err == -ENOENT)
        api_fail(call, API_JOB_NOT_FOUND, "There is no job of that id in this session.");
    else
        api_fail(call, API_UNAVAILABLE,
                 "The server can't reach its database just now. Try again in a moment.");
}

void api_http_error(struct http_request *req, unsigned status)
{
    static const struct {
        enum api_error error;
        const char *detail;
    } details[] = {
        {API_NOT_FOUND, "There is nothing under this path."},
        {API_METHOD_NOT_ALLOWED, "This path has other methods; see the Allow header."},
        {API_TOO_LARGE, "The request body is larger than this server takes."},
        {API_RANGE_NOT_SATISFIABLE, "The file has no such range; Content-Range says how long it is."},
        {API_REQUEST_TIMEOUT, "The request did not arrive in time."},
        {API_HEADERS_TOO_LARGE, "The request's header is too large."},
        {API_INTERNAL, "Something went wrong on the server."},
        {API_UNAVAILABLE, "The server is busy or about to stop. Try again in a moment."},
    };
    enum api_error error = api_error_for_status(status);
    const char *detail = "The request is not well-formed.";
    char client[CLIENT_ADDRESS_LEN + 1] = "";

    for (size_t i = 0; i < ARRAY_SIZE(details); i++)
        if (details[i].error == error)
            detail = details[i].detail;
    if (api_error_info(error)->audit)
        peer_name_client(req, client);
    reply_problem(req, client, error, detail, api_error_info(error)->retry_after_s);
}

void api_fail_limited(struct api_call *call)
{
    metrics_refused(call->api->metrics, call->verdict.limit, &call->verdict);
    limiter_tell(call->req, &call->verdict);
    reply_problem(call->req, call->address, API_RATE_LIMITED,
                  "Too many requests of this kind; Retry-After says how many seconds to wait.",
                  call->verdict.retry_ms / 1000 + 1);
    call_end(call);
}

static void fail_auth_required(struct api_call *call)
{
    api_fail(call, API_AUTH_REQUIRED, "Log in with POST /auth/login, or send an API key as a bearer.");
}

/* False: the call has been failed, as nobody is known who may make it. */
static bool is_known(struct api_call *call)
{
    int err = call->identity.err;

    if (err == -EACCES)
        api_fail(call, API_AUTH_INVALID,
                 "This bearer is none, or no longer one: log in again, or use another key.");
    else if (err == -ENOENT && api_call_needs(call, API_NEEDS_ACCOUNT))
        fail_auth_required(call);
    else if (err == -ENOENT)
        api_fail(
            call, API_SESSION_REQUIRED,
            "Send an API key as a bearer, or start a session with GET /session/init and send its cookie.");
    else if (err < 0)
        api_fail_state(call, err);
    return err == 0;
}

static bool has_csrf_token(const struct api_call *call)
{
    return str_eq_secret(http_request_header(call->req, "X-CSRF-Token"), call->session.csrf_token);
}

unsigned api_needed_scope(enum api_needs needs)
{
    if ((needs & API_NEEDS_SESSION) != API_NEEDS_SESSION)
        return 0;
    return (needs & API_NEEDS_CSRF) == API_NEEDS_CSRF && !(needs & API_READS) ? SCOPE_CONVERT : SCOPE_READ;
}

/* False: the call has been failed, as whoever makes it may not. */
static bool may(struct api_call *call)
{
    unsigned scope = api_needed_scope(endpoint_of(call)->needs);

    bool by_cookie = call->identity.bearer == BEARER_NONE && !call->identity.anonymous;

    if (api_call_needs(call, API_NEEDS_CSRF) && by_cookie && !has_csrf_token(call))
        api_fail(call, API_CSRF_INVALID, "Send the session's csrf_token in the header X-CSRF-Token.");
    else if (api_call_needs(call, API_NEEDS_ACCOUNT) && !*call->account.id)
        fail_auth_required(call);
    else if (scope && !(call->scopes & scope))
        api_fail(call, API_SCOPE_REQUIRED,
                 scope == SCOPE_READ ? "This key does not have the scope \"read\"."
                                     : "This key does not have the scope \"convert\".");
    else if (api_call_needs(call, API_NEEDS_PREMIUM) && call->plan != &call->api->plans[PLAN_PREMIUM])
        api_fail(call, API_PLAN_REQUIRED, "This is for accounts of the plan \"premium\".");
    else
        return true;
    return false;
}

/* Those are all who were asked. */
static void decide(struct api_call *call)
{
    const struct api_endpoint *endpoint = endpoint_of(call);

    if (call->limit_err == 0 && !call->verdict.granted) {
        api_fail_limited(call);
        return;
    }
    /* What needs no Redis is there without it. */
    if (call->limit_err < 0 && endpoint->limit != LIMIT_PAGE) {
        api_fail_state(call, call->limit_err);
        return;
    }
    if (call->verdict.counted && endpoint->limit != LIMIT_READ)
        limiter_tell(call->req, &call->verdict);
    if (is_known(call) && may(call))
        endpoint->handler(call);
}

static void answered(struct api_call *call)
{
    if (--call->awaited == 0)
        decide(call);
}

static void on_limit(void *arg, int err, const struct limit_verdict *verdict)
{
    struct api_call *call = arg;

    call->limit_err = err;
    if (err == 0)
        call->verdict = *verdict;
    answered(call);
}

static void on_identity(struct api_call *call)
{
    answered(call);
}

/* What is refused for where it comes from or goes to, before anything is looked up. */
static bool is_out_of_place(struct api_call *call)
{
    const struct settings *s = call->api->settings;

    if (!browser_may_use_host(s, call->req)) {
        api_fail(call, API_NOT_FOUND, "This is not served on this host: downloads have a host of their own.");
        return true;
    }
    /* No browser adds a bearer by itself. */
    if (api_call_needs(call, API_NEEDS_OUR_PAGE) && call->identity.bearer == BEARER_NONE &&
        !browser_may_change(s, call->req)) {
        api_fail(call, API_CSRF_INVALID,
                 "The browser sends this for a page of another origin. Behind a proxy, have it pass the Host "
                 "header on; other origins are allowed by DECANT_CORS_ORIGINS.");
        return true;
    }
    return false;
}

/* False: the call has been failed. Where an address is past its limit no time is spent on what it sends: to
 * find an access token's signature wrong takes more than all else. */
static bool identify(struct api_call *call)
{
    peer_name_client(call->req, call->address);
    call->client.of[CLIENT_ADDRESS] = call->address;
    if (limiter_refuses(call->api->limiter, endpoint_of(call)->limit, &call->client, &call->verdict)) {
        api_fail_limited(call);
        return false;
    }
    identity_read(call);
    return true;
}

/* False: the call has been failed. */
static bool check_limit(struct api_call *call)
{
    enum limit_class limit = endpoint_of(call)->limit;

    if (!limiter_knows(call->api->limiter, limit, &call->client, &call->verdict)) {
        call->awaited++;
        limiter_ask(call->api->limiter, limit, &call->client, on_limit, call);
    } else if (!call->verdict.granted) {
        api_fail_limited(call);
        return false;
    }
    return true;
}

/* The limits and who calls are asked for in one turn of Redis. */
void api_dispatch(struct http_request *req)
{
    struct api_call *call = http_request_alloc(req, sizeof *call);
    const struct api_endpoint *endpoint = http_request_route(req);

    call->req = http_request_ref(req);
    call->api = http_request_app(req);
    call->plan = &call->api->plans[PLAN_FREE];
    if (!identify(call) || is_out_of_place(call) || !check_limit(call))
        return;
    if (!call->identity.anonymous &&
        (api_call_needs(call, API_NEEDS_SESSION) || call->identity.bearer != BEARER_NONE)) {
        call->awaited++;
        identity_ask(call, on_identity);
    }
    if (endpoint->ahead)
        endpoint->ahead(call);
    if (call->awaited == 0)
        decide(call);
}
