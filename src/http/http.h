/* A small request/reply/stream interface, so that the server under it (libmicrohttpd, driven by our own loop;
 * docs/http.md says why) can be swapped. It knows nothing of conversion.
 *
 * One http_loop per thread: it owns a listener (SO_REUSEPORT), a libuv loop and all its requests; nothing is
 * shared between loops. A handler runs on its loop and must not block. It answers with exactly one
 * http_reply_…, at once or later: until then the connection is suspended. A request lives until its last
 * reference is dropped; a handler that waits for something holds one. If the client goes away first, replying
 * is harmless. */
#pragma once

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/trace.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct http_request;
struct http_loop;

typedef void http_handler(struct http_request *req);

enum http_body {
    HTTP_BODY_NONE,   /* a body is refused (413) */
    HTTP_BODY_MEMORY, /* the handler runs when the whole body is in memory (at most body_max, else 413) */
    HTTP_BODY_STREAM, /* the handler runs after the header, and calls http_request_stream or replies */
};

/* A method and a path, in which one segment may be `{name}` and stands for any that is not empty. The first
 * route that fits is taken. GET routes answer HEAD too. Wrong methods get 405 with Allow from this table. */
struct http_route {
    const char *method, *path;
    enum http_body body;
    size_t body_max;
    http_handler *handler;
    const void *data; /* http_request_route() gives it back */
};

/* What the server itself refuses (400, 404, 405, 408, 413, 416, 431, 500) is put into words by the
 * application. */
typedef void http_error_fn(struct http_request *req, unsigned status);

struct http_config {
    const char *listen; /* address, IPv4 or IPv6 */
    uint16_t port;      /* 0: any (tests) */
    unsigned max_connections;
    unsigned header_timeout_ms; /* a header that is not whole by then closes the connection */
    unsigned idle_timeout_ms;   /* without a byte either way; rounded up to seconds */
    unsigned rate_window_ms;    /* bodies, either way, slower than 1 KiB/s over this long end; 0: 30 s */
    unsigned heartbeat_ms;      /* of event streams; 0: 15 s */
    const struct http_route *routes;
    size_t n_routes;
    http_handler
        *prepare; /* before a request is handled or refused: sets headers of any answer; NULL: none */
    http_error_fn *error;
    void *app; /* http_request_app() gives it back */
    /* Asked for each new connection: what is returned stays with it; NULL closes it unanswered. `left` gets
     * it back at the end of one that was admitted. Both NULL: all are. */
    void *(*admit)(void *app, const struct sockaddr *address);
    void (*left)(void *app, void *peer);
    /* Told of each request when it has its answer, or ends without one (status 0), and how many microseconds
     * that is after its header was whole. NULL: nobody wants to know. */
    void (*measure)(void *app, const struct http_request *req, unsigned status, uint64_t us);
};

/* 0, or -EADDRINUSE when any program listens there. Listeners of one user share a port without a word, so a
 * second server would quietly take half of the first one's requests: ask this once, before the loops are
 * made. */
int http_address_free(const char *listen, uint16_t port) _warn_unused_;

/* Binds and listens; -errno such as -EADDRINUSE. The loop is driven by the caller (uv_run). Connections wait,
 * as the kernel has them wait, until http_loop_begin(). */
int http_loop_new(uv_loop_t *loop, const struct http_config *config, struct http_loop **ret) _warn_unused_;
/* Takes connections from now on; once more, or while it ends, it does nothing. */
void http_loop_begin(struct http_loop *l);
uint16_t http_loop_port(const struct http_loop *l);
/* Stops accepting; connections end after their present answer. */
void http_loop_quiesce(struct http_loop *l);
/* Requests that have no answer yet. */
unsigned http_loop_active(const struct http_loop *l);
/* Closes everything; requests that others still hold end as gone. The handles are closed in the libuv loop,
 * which must be run once more before uv_loop_close(). */
void http_loop_free(struct http_loop *l);

/* --- the request; strings live as long as it */
const char *http_request_id(const struct http_request *req); /* UUID, also in X-Request-Id */
/* As its one `traceparent` says; else a new one, the same for the whole request. */
const struct trace *http_request_trace(struct http_request *req);
const char *http_request_method(const struct http_request *req);
const char *http_request_path(const struct http_request *req);
/* What stands in the path for the route's `{name}`, as it was sent: not decoded. NULL: the route has none. */
const char *http_request_param(const struct http_request *req);
const char *http_request_header(const struct http_request *req, const char *name); /* NULL: absent */
/* The line before `before` (a value that this has given) with that name, the last one for NULL; NULL: none.
 */
const char *http_request_header_before(const struct http_request *req, const char *name, const char *before);
const char *http_request_query(const struct http_request *req,
                               const char *name); /* percent-decoded; NULL: absent */
const char *http_request_cookie(const struct http_request *req, const char *name);
const char *http_request_body(const struct http_request *req, size_t *ret_len); /* HTTP_BODY_MEMORY */
int64_t http_request_content_length(const struct http_request *req);            /* -1: unknown (chunked) */
/* The methods that the path takes, as the header Allow names them. Within the handler. */
void http_request_allow(const struct http_request *req, struct buf *out);
const void *http_request_route(const struct http_request *req);
void *http_request_app(const struct http_request *req);
/* What `admit` made of the other end of the connection; NULL once the request has ended. */
const void *http_request_peer(const struct http_request *req);
/* Zeroed memory that is freed with the request; ends the process when there is none. */
void *http_request_alloc(struct http_request *req, size_t size);
char *http_request_strdup(struct http_request *req, const char *s);

struct http_request *http_request_ref(struct http_request *req);
void http_request_unref(struct http_request *req);
bool http_request_gone(const struct http_request *req); /* the client went away */
/* Of the body that answers it; none for HEAD, nor before there is an answer. */
uint64_t http_request_answer_bytes(const struct http_request *req);
/* Called once when the request has ended: answered in full, or the client went away. At once when it has
 * ended already, as it may have while a handler waited: what `fn` frees is not to be used behind this. */
void http_request_on_end(struct http_request *req, void (*fn)(void *arg), void *arg);

/* --- streamed bodies: data() takes all it is given, and returns 0, or -errno to have no more of it (the rest
 * is discarded; the handler replies). end() comes after the last byte; not if the client broke off. */
struct http_stream {
    int (*data)(void *arg, const void *data, size_t len);
    void (*end)(void *arg);
};
void http_request_stream(struct http_request *req, const struct http_stream *stream, void *arg);

/* --- replies; headers are set before the reply and copied; the last value of a name counts */
void http_reply_header(struct http_request *req, const char *name, const char *value);
/* A line Set-Cookie; others stay. */
void http_reply_cookie(struct http_request *req, const char *cookie);
void http_reply(struct http_request *req, unsigned status, const char *content_type, const void *body,
                size_t len);
/* `body` outlives the loop, and is not copied. */
void http_reply_static(struct http_request *req, unsigned status, const char *content_type, const void *body,
                       size_t len);
/* Takes over what is in `body`. */
void http_reply_buf(struct http_request *req, unsigned status, const char *content_type, struct buf *body);
/* Takes over `json`. Content-Type: application/json, or what was set by http_reply_header. */
void http_reply_json(struct http_request *req, unsigned status, json_t *json);
/* Takes over `fd`, a regular file; sends it with sendfile, honouring Range (RFC 9110 section 14: single
 * ranges; 206, 416). With an If-Range the whole file is sent, whatever validator it names. Where a header
 * ETag was set, a client that has that one (If-None-Match) gets 304. */
void http_reply_file(struct http_request *req, const char *content_type, int fd);

/* --- replies that are made while they are sent, piece by piece as the client takes them */
/* 200 and a body of `len` bytes. Whenever the client takes more, want() is called, and exactly one
 * http_source_give() or http_source_break() has to follow, at once or later; not for HEAD. Whether all of it
 * was sent tells http_request_on_end(). */
void http_reply_source(struct http_request *req, const char *content_type, uint64_t len,
                       void (*want)(void *arg), void *arg);
/* The next `len` bytes, at least one: they stay as they are until want() is called again, or the request has
 * ended. */
void http_source_give(struct http_request *req, const void *data, size_t len);
/* There is no more: the connection is cut, so that nobody takes for whole what has been sent. */
void http_source_break(struct http_request *req);

/* --- event streams (text/event-stream of the WHATWG's HTML standard, section 9.2): answers without an end.
 * They cost a socket and some hundred bytes, send heartbeats when nothing else is sent, and are no request
 * any more: not counted among the connections nor by http_loop_active(). */
struct http_event_stream;
struct http_event_stream_ops {
    void (*ready)(void *arg); /* what http_event_stream_send() kept back has left */
    /* The stream is no more: the client went away, took nothing for two heartbeats, or the loop ends. Not
     * called after http_event_stream_end(). */
    void (*end)(void *arg);
};
/* Answers the request, which must have no body, with 200 and the headers that were set. *ret is NULL where
 * there is nothing to be sent: HEAD, or the connection is broken. -ESHUTDOWN when the loop is about to end or
 * the client has gone, -errno when there are no more descriptors: the request then still has no answer. */
int http_event_stream_open(struct http_request *req, const struct http_event_stream_ops *ops, void *arg,
                           struct http_event_stream **ret) _warn_unused_;
/* Whole events, at most HTTP_EVENT_BYTES_MAX. False: the client does not keep up; these are kept and will be
 * sent, but nothing more may be sent before ready(). */
enum { HTTP_EVENT_BYTES_MAX = 128 * 1024 };
bool http_event_stream_send(struct http_event_stream *s, const char *text, size_t len);
/* Ends the answer properly once all of it has left, and closes the connection; `s` is the caller's no more.
 * NULL is fine. */
void http_event_stream_end(struct http_event_stream *s);
