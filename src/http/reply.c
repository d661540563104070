/* Answers. Before the body and after it MHD takes them. In its midst MHD 0.9.75 takes none, so there the
 * answer is written to the socket right here, with Connection: close, and MHD is told to drop the connection
 * at its next call. Such answers are refusals of some hundred bytes on a socket whose send buffer is empty:
 * one send takes them whole. */
#include "http/internal.h"

#include "core/str.h"
#include "http/negotiate.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum { DIRECT_BYTES_MAX = 64 * 1024 };

struct reply {
    unsigned status;
    const char *content_type;   /* NULL: none */
    char *body;                 /* owned, from malloc */
    const void *lasting;        /* or one that outlives the loop */
    int fd;                     /* or an owned file: `len` bytes from `offset` */
    struct http_source *source; /* or what makes `len` bytes */
    uint64_t offset, len;
};

static void reply_free(struct reply *reply)
{
    free(reply->body);
    if (reply->fd >= 0)
        close(reply->fd);
}
#define _cleanup_reply_ _cleanup_(reply_free)

/* A line break would let a value write headers of its own. */
static bool is_one_line(const char *value)
{
    return !value[strcspn(value, "\r\n")];
}

static void add_header(struct http_request *req, const char *name, const char *value)
{
    if (req->n_reply_headers == HTTP_REPLY_HEADERS_MAX)
        abort();
    req->reply_headers[req->n_reply_headers++] =
        (struct http_pair){http_request_strdup(req, name), http_request_strdup(req, value)};
}

void http_reply_cookie(struct http_request *req, const char *cookie)
{
    if (is_one_line(cookie))
        add_header(req, "Set-Cookie", cookie);
}

void http_reply_header(struct http_request *req, const char *name, const char *value)
{
    if (!is_one_line(value))
        return;
    for (size_t i = 0; i < req->n_reply_headers; i++)
        if (strcasecmp(req->reply_headers[i].name, name) == 0) {
            req->reply_headers[i].value = http_request_strdup(req, value);
            return;
        }
    add_header(req, name, value);
}

static void default_content_type(struct http_request *req, const char *content_type)
{
    if (!content_type)
        return;
    for (size_t i = 0; i < req->n_reply_headers; i++)
        if (strcasecmp(req->reply_headers[i].name, "Content-Type") == 0)
            return;
    http_reply_header(req, "Content-Type", content_type);
}

static struct MHD_Response *make_response(struct http_request *req, struct reply *reply)
{
    struct MHD_Response *response;

    if (reply->fd >= 0)
        response = MHD_create_response_from_fd_at_offset64(reply->len, reply->fd, reply->offset);
    else if (reply->source)
        response = http_source_response(reply->source, reply->len);
    else if (reply->lasting)
        response =
            MHD_create_response_from_buffer(reply->len, (void *)reply->lasting, MHD_RESPMEM_PERSISTENT);
    else
        response = MHD_create_response_from_buffer(reply->len, reply->body, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return NULL;
    reply->body = NULL;
    reply->fd = -1;
    MHD_add_response_header(response, "X-Request-Id", req->id);
    for (size_t i = 0; i < req->n_reply_headers; i++)
        MHD_add_response_header(response, req->reply_headers[i].name, req->reply_headers[i].value);
    /* MHD reads chunks more leniently than others may. Where one ends a body elsewhere than we do, what is
     * left is not to be taken for a request. */
    if (req->conn->loop->quiescing || req->content_length < 0)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}

static void queue(struct http_request *req, struct reply *reply)
{
    struct http_connection *conn = req->conn;
    const bool large = reply->fd >= 0 || reply->source;
    struct MHD_Response *response = make_response(req, reply);

    if (req->phase == PHASE_DECIDING)
        conn->linger = true;
    /* With megabytes in the socket's buffer a slow client leaves MHD without a byte to send for minutes; the
     * rate at which it takes them is what counts. */
    if (large)
        http_connection_timeout(conn, 0);
    if (!response || MHD_queue_response(conn->mhd, reply->status, response) == MHD_NO)
        req->cut = true;
    if (response)
        MHD_destroy_response(response);
    http_exchange_resume(req);
}

int http_reply_print_head(struct http_request *req, unsigned status, struct buf *out)
{
    char date[64];
    time_t now = time(NULL);
    struct tm tm;

    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nX-Request-Id: %s\r\n", status,
               MHD_get_reason_phrase_for(status), date, req->id);
    for (size_t i = 0; i < req->n_reply_headers; i++)
        buf_printf(out, "%s: %s\r\n", req->reply_headers[i].name, req->reply_headers[i].value);
    return buf_error(out);
}

static int print_direct(struct http_request *req, const struct reply *reply, struct buf *out)
{
    http_reply_print_head(req, reply->status, out);
    buf_printf(out, "Content-Length: %llu\r\n\r\n", (unsigned long long)reply->len);
    if (reply->len > 0 && !str_eq(req->method, "HEAD"))
        buf_append(out, reply->lasting ? reply->lasting : reply->body, reply->len);
    return buf_error(out);
}

static void send_direct(struct http_request *req, const struct reply *reply)
{
    _cleanup_buf_ struct buf out = BUF_INIT(DIRECT_BYTES_MAX);
    struct http_connection *conn = req->conn;

    req->cut = true;
    conn->linger = true;
    if (print_direct(req, reply, &out) == 0)
        (void)!send(conn->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(conn->fd, SHUT_WR);
    if (req->in_call)
        return;
    /* MHD drops the connection at the next piece of the body, or after a second without one. */
    http_connection_timeout(conn, 1);
    http_exchange_resume(req);
    http_loop_wake(conn->loop);
}

static void answer(struct http_request *req, struct reply *reply)
{
    if (req->phase == PHASE_ENDED || req->answered)
        return;
    req->answer_bytes =
        str_eq(req->method, "HEAD") || reply->status == MHD_HTTP_NOT_MODIFIED ? 0 : reply->len;
    http_exchange_answered(req, reply->status);
    default_content_type(req, reply->content_type);
    if (req->phase == PHASE_STARTING || req->phase == PHASE_READING)
        send_direct(req, reply);
    else
        queue(req, reply);
}

void http_reply(struct http_request *req, unsigned status, const char *content_type, const void *body,
                size_t len)
{
    _cleanup_reply_ struct reply reply = {
        .status = status, .content_type = content_type, .body = malloc(len + 1), .fd = -1, .len = len};

    if (!reply.body)
        abort();
    if (len > 0)
        memcpy(reply.body, body, len);
    answer(req, &reply);
}

void http_reply_static(struct http_request *req, unsigned status, const char *content_type, const void *body,
                       size_t len)
{
    _cleanup_reply_ struct reply reply = {
        .status = status, .content_type = content_type, .lasting = body, .fd = -1, .len = len};

    answer(req, &reply);
}

void http_reply_buf(struct http_request *req, unsigned status, const char *content_type, struct buf *body)
{
    _cleanup_reply_ struct reply reply = {
        .status = status, .content_type = content_type, .fd = -1, .len = body->len};

    reply.body = buf_take(body);
    if (!reply.body)
        abort();
    answer(req, &reply);
}

void http_reply_json(struct http_request *req, unsigned status, json_t *json)
{
    _cleanup_reply_ struct reply reply = {.status = status, .content_type = "application/json", .fd = -1};

    reply.body = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    if (!reply.body) { /* jansson makes no object of text that is no UTF-8 */
        http_reply(req, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, "", 0);
        return;
    }
    reply.len = strlen(reply.body);
    answer(req, &reply);
}

static void set_content_range(struct http_request *req, const struct reply *part, uint64_t size)
{
    char text[80];

    if (part)
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)part->offset,
                 (unsigned long long)(part->offset + part->len - 1), (unsigned long long)size);
    else
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    http_reply_header(req, "Content-Range", text);
}

static const char *reply_header(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_reply_headers; i++)
        if (strcasecmp(req->reply_headers[i].name, name) == 0)
            return req->reply_headers[i].value;
    return NULL;
}

static bool is_known(const struct http_request *req)
{
    const char *version = reply_header(req, "ETag"), *known = http_request_header(req, "If-None-Match");

    return version && known && negotiate_has(known, version);
}

void http_reply_file(struct http_request *req, const char *content_type, int fd)
{
    _cleanup_reply_ struct reply reply = {.status = MHD_HTTP_OK, .content_type = content_type, .fd = fd};
    /* RFC 9110: a Range on another method than GET is ignored (section 14.2), and so is one whose If-Range is
     * not true (13.1.5). The few answers that name a validator are small: none is taken for true. */
    const char *range = str_eq(req->method, "GET") && !http_request_header(req, "If-Range")
                            ? http_request_header(req, "Range")
                            : NULL;
    struct stat st;

    if (req->phase == PHASE_ENDED || req->answered)
        return;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || req->phase == PHASE_STARTING ||
        req->phase == PHASE_READING) {
        req->config->error(req, MHD_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }
    if (is_known(req)) { /* the length that is told is that of the file, which MHD doesn't send */
        reply.status = MHD_HTTP_NOT_MODIFIED;
        reply.content_type = NULL;
        reply.len = (uint64_t)st.st_size;
        answer(req, &reply);
        return;
    }
    switch (http_range_parse(range, (uint64_t)st.st_size, &reply.offset, &reply.len)) {
    case HTTP_RANGE_UNSATISFIABLE:
        set_content_range(req, NULL, (uint64_t)st.st_size);
        req->config->error(req, MHD_HTTP_RANGE_NOT_SATISFIABLE);
        return;
    case HTTP_RANGE_PART:
        reply.status = MHD_HTTP_PARTIAL_CONTENT;
        set_content_range(req, &reply, (uint64_t)st.st_size);
        break;
    case HTTP_RANGE_WHOLE:
        break;
    }
    http_reply_header(req, "Accept-Ranges", "bytes");
    answer(req, &reply);
}

void http_reply_source(struct http_request *req, const char *content_type, uint64_t len,
                       void (*want)(void *arg), void *arg)
{
    _cleanup_reply_ struct reply reply = {
        .status = MHD_HTTP_OK, .content_type = content_type, .fd = -1, .len = len};

    if (req->phase == PHASE_ENDED || req->answered)
        return;
    if (req->phase == PHASE_STARTING || req->phase == PHASE_READING) {
        req->config->error(req, MHD_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }
    reply.source = http_source_new(req, want, arg);
    answer(req, &reply);
}
