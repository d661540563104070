/* One request from its header to its end, as MHD calls us.
 *
 * MHD calls http_exchange_step when the header is whole, with each piece of the body, and after the body; and
 * again after each resume until it has a response. What makes the phases of internal.h necessary:
 *
 * - A response queued before the body is read closes the connection, even if there is no body. Requests
 * without one are therefore routed and answered only in the call "after the body" (WHOLE), so that they keep
 * alive.
 * - Between the first and the last byte of the body MHD takes no response at all.
 * - A request suspended in its header phase gets the header call again when it is resumed.
 * - http_request_stream and replies come from within these calls or at any other time; `in_call` and
 *   `suspended` tell which, and whether MHD must be woken. */
#include "http/internal.h"

#include "core/clock.h"
#include "core/str.h"

#include <errno.h>

void *http_exchange_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct http_connection *conn = http_connection_of(mhd);

    /* An earlier request on this connection has ended, or MHD would not read on. */
    return conn->req = http_request_new(conn, uri);
}

void http_exchange_answered(struct http_request *req, unsigned status)
{
    if (!req->answered && req->config->measure)
        req->config->measure(req->app, req, status, req->begun_us ? clock_mono_us() - req->begun_us : 0);
    req->answered = true;
    req->rate_since_ms = 0; /* from here on it is how the client takes the answer that counts */
    if (req->counted) {
        req->counted = false;
        req->conn->loop->active--;
    }
}

void http_exchange_suspend(struct http_request *req)
{
    if (req->suspended)
        return;
    req->suspended = true;
    req->suspended_since_ms = clock_mono_ms();
    MHD_suspend_connection(req->conn->mhd);
}

void http_exchange_resume(struct http_request *req)
{
    if (!req->suspended)
        return;
    req->suspended = false;
    MHD_resume_connection(req->conn->mhd);
    http_loop_wake(req->conn->loop);
}

static void prepare(struct http_request *req)
{
    if (req->config->prepare)
        req->config->prepare(req);
}

/* Application code, inside MHD's call. */
static void run_handler(struct http_request *req)
{
    if (req->refuse)
        req->config->error(req, req->refuse);
    else
        req->route->handler(req);
}

static enum MHD_Result decided(struct http_request *req)
{
    if (req->cut)
        return MHD_NO;
    if (!req->answered)
        http_exchange_suspend(req);
    return MHD_YES;
}

static unsigned check_body(const struct http_request *req)
{
    if (!req->has_body)
        return 0;
    if (req->route->body == HTTP_BODY_NONE)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    if (req->content_length > 0 && (uint64_t)req->content_length > req->route->body_max)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    return 0;
}

static enum MHD_Result step_header(struct http_request *req, const char *method, const char *version)
{
    bool framed;

    req->conn->header_deadline_ms = UINT64_MAX;
    req->begun_us = clock_mono_us();
    req->counted = true;
    req->conn->loop->active++;
    req->refuse = http_request_read_header(req, method, version);
    prepare(req);
    framed = req->refuse == 0;
    if (!req->refuse)
        req->refuse = http_router_find(req);
    if (!req->refuse)
        req->refuse = check_body(req);
    if (framed && !req->has_body) {
        req->phase = PHASE_READING;
        return MHD_YES;
    }
    if (req->refuse || req->route->body == HTTP_BODY_STREAM) {
        req->phase = PHASE_DECIDING;
        run_handler(req);
        if (req->phase == PHASE_STARTING && !req->cut) {
            req->phase = PHASE_READING;
            return MHD_YES;
        }
        return decided(req);
    }
    req->body = BUF_INIT(req->route->body_max);
    req->body.secret = true; /* it may hold a password */
    req->phase = PHASE_READING;
    return MHD_YES;
}

static void take_body(struct http_request *req, const char *data, size_t len)
{
    int r = 0;

    if (req->received > req->route->body_max) {
        if (!req->answered)
            req->config->error(req, MHD_HTTP_CONTENT_TOO_LARGE);
        return;
    }
    if (req->route->body == HTTP_BODY_MEMORY)
        r = buf_append(&req->body, data, len);
    else if (!req->stream_failed)
        req->stream_failed = req->stream->data(req->stream_arg, data, len) < 0;
    if (r < 0 && !req->answered)
        req->config->error(req, MHD_HTTP_INTERNAL_SERVER_ERROR);
}

static enum MHD_Result step_body(struct http_request *req, const char *data, size_t *len)
{
    req->received += *len;
    take_body(req, data, *len);
    *len = 0;
    return req->cut ? MHD_NO : MHD_YES;
}

static void end_stream(struct http_request *req)
{
    req->end_due = false;
    if (!req->stream_failed && !req->answered)
        req->stream->end(req->stream_arg);
}

static enum MHD_Result step_whole(struct http_request *req)
{
    if (req->phase == PHASE_READING) {
        req->phase = PHASE_WHOLE;
        if (req->stream)
            req->end_due = true;
        else
            run_handler(req);
    }
    if (req->end_due)
        end_stream(req);
    return decided(req);
}

enum MHD_Result http_exchange_step(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                   const char *version, const char *data, size_t *len, void **context)
{
    struct http_request *req = *context;
    enum MHD_Result result;

    if (!req || req->cut || req->taken || req->gone || req->conn->refused)
        return MHD_NO;
    http_request_ref(req);
    req->in_call = true;
    if (req->phase == PHASE_NEW) {
        result = step_header(req, method, version);
    } else if (req->phase == PHASE_STARTING) {
        req->phase = PHASE_READING;
        result = MHD_YES;
    } else if (data && *len > 0) {
        result = step_body(req, data, len);
    } else {
        result = step_whole(req);
    }
    req->in_call = false;
    http_request_unref(req);
    return result;
}

void http_exchange_end(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code)
{
    struct http_request *req = *context;
    struct http_connection *conn;

    if (!req)
        return;
    conn = req->conn;
    *context = NULL;
    conn->req = NULL;
    conn->fresh = true;
    conn->timeout_due = false;
    /* Else the connection ends, and may be past that already: MHD (0.9.75) can tell so of one that it has
     * taken from its lists, to which the option would add it again. */
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT,
                                  (conn->loop->config.idle_timeout_ms + 999) / 1000);
    conn->header_deadline_ms =
        clock_mono_ms() + conn->loop->config.idle_timeout_ms + conn->loop->config.header_timeout_ms;
    /* An answer queued before quiescing has promised to keep the connection. */
    if (conn->loop->quiescing && !conn->linger)
        http_connection_kill(conn);
    http_request_end(req, code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !req->cut && !req->taken);
}

/* Whom MHD is refusing just now: the request whose header is whole and has not been shown to us; or for want
 * of memory the only one that is in its header or may be in its trailers. NULL: that can't be told. */
static struct http_request *find_refused(struct http_loop *l, unsigned status)
{
    struct http_request *only = NULL;
    size_t n = 0;

    for (struct http_connection *conn = l->connections; conn; conn = conn->next) {
        struct http_request *req = conn->req;

        if (!req)
            continue;
        if (req->phase == PHASE_NEW &&
            MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE))
            return req;
        if (req->phase == PHASE_NEW || (req->phase == PHASE_READING && req->content_length < 0))
            only = n++ == 0 ? req : NULL;
    }
    return status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE ? only : NULL;
}

/* A Content-Length that is no number, or a header larger than the pool, MHD refuses before it calls us: in
 * words of its own and, in 0.9.75, the former with its header printed twice. All that it lets us see of this
 * is a line for the log, just before it answers. Then we answer first, and what it sends finds the socket
 * shut. */
void http_exchange_log(void *cls, const char *format, va_list args)
{
    struct http_request *req;
    unsigned status;

    if (!str_starts(format, "Error processing request (HTTP response code is %u "))
        return;
    status = va_arg(args, unsigned);
    req = find_refused(cls, status);
    if (!req || req->cut)
        return;
    req->phase = PHASE_READING; /* the answer goes to the socket */
    req->in_call = true;
    prepare(req);
    req->config->error(req, status);
    req->in_call = false;
}

void http_request_stream(struct http_request *req, const struct http_stream *stream, void *arg)
{
    if (req->phase == PHASE_ENDED || req->answered)
        return;
    req->stream = stream;
    req->stream_arg = arg;
    if (req->phase == PHASE_DECIDING)
        req->phase = PHASE_STARTING;
    else
        req->end_due = true; /* there is no body: WHOLE already */
    http_exchange_resume(req);
}
