/* What the files of this layer share: the loop, its connections, its requests. docs/http.md draws the whole.
 */
#pragma once

#include "core/buf.h"
#include "core/id.h"
#include "http/http.h"

#include <microhttpd.h>

enum {
    /* MHD zeroes the whole pool after each answer on a kept-alive connection, so this much is resident for
     * every idle one; docs/http.md has what was measured for 32 to 256 KiB. */
    HTTP_POOL_BYTES = 32 * 1024,
    HTTP_HEADER_BYTES_MAX = 16 * 1024,
    HTTP_HEADERS_MAX = 100,
    HTTP_QUERY_PARAMS_MAX = 64,
    HTTP_REPLY_HEADERS_MAX = 32,
    HTTP_RATE_MIN = 1024,            /* bytes per second that a client must send or take */
    HTTP_RATE_WINDOW_MS = 30 * 1000, /* on average over each of these, unless http_config says otherwise */
    HTTP_GONE_AFTER_MS = 1000,       /* suspended this long, a request's client is looked after */
};

/* Where a request stands; it says in which way a reply must go out.
 *
 *   NEW ─ header whole ─┬─ no body, or one kept in memory ─────────────► READING ─ last byte ─► WHOLE ─►
 * ENDED └─ streamed: DECIDING ─ http_request_stream ─► STARTING ─► READING
 *
 * In NEW, DECIDING and WHOLE MHD takes a response (before the body: it closes the connection after it). In
 * STARTING and READING it takes none: reply.c writes the answer to the socket itself, and the connection
 * ends. */
enum http_phase { PHASE_NEW, PHASE_DECIDING, PHASE_STARTING, PHASE_READING, PHASE_WHOLE, PHASE_ENDED };

struct http_pair {
    const char *name, *value;
};

struct http_on_end {
    void (*fn)(void *arg);
    void *arg;
    struct http_on_end *next;
};

struct http_connection {
    struct http_loop *loop;
    struct http_connection *prev, *next;
    struct MHD_Connection *mhd;
    int fd;     /* MHD's; valid until it says that the connection is closed */
    void *peer; /* what the application keeps of it */
    struct http_request *req;
    unsigned timeout_s; /* what MHD's timeout is to be, when `timeout_due`; 0: none */
    bool timeout_due;
    uint64_t header_deadline_ms; /* UINT64_MAX while a request is being served */
    bool linger;                 /* the client may still be sending when this closes */
    bool refused;                /* there are too many of its kind: not a word is read of it */
    bool fresh;                  /* has ended a request since the last sweep */
};

struct http_request {
    unsigned refs;
    struct http_connection *conn; /* NULL once ended */
    void *app;
    const struct http_config *config; /* the loop's; only used while `conn` is there */
    const struct http_route *route;
    struct http_chunk *memory;
    char id[ID_UUID_LEN + 1];
    struct trace trace; /* "": not asked for yet */
    uint64_t begun_us;  /* when its header was whole; 0: it was not */
    uint64_t answer_bytes;

    const char *method, *path, *query;
    const char *param;                   /* of the path; NULL: none */
    const char *authority;               /* of a target in absolute form; NULL: another form */
    const char *wire_uri, *wire_uri_end; /* where the URI was in MHD's buffer; only compared */
    struct http_pair *headers;
    size_t n_headers;
    struct http_pair *params;
    size_t n_params;

    enum http_phase phase;
    bool http10, plain_uri, has_body, in_call, suspended, answered, cut, taken, gone, end_due, stream_failed,
        counted;            /* taken: its socket is an event stream's now */
    unsigned refuse;        /* status of our own refusal, 0: none */
    int64_t content_length; /* -1: chunked */
    uint64_t received;
    uint64_t rate_since_ms, rate_base; /* a window's start (0: not begun), and what had moved by then */
    uint64_t suspended_since_ms;
    struct buf body;
    const struct http_stream *stream;
    void *stream_arg;
    struct http_on_end *on_end;
    struct http_source *source; /* what answers it, where that is made while it is sent */

    struct http_pair reply_headers[HTTP_REPLY_HEADERS_MAX];
    size_t n_reply_headers;
};

struct http_loop {
    uv_loop_t *uv;
    struct MHD_Daemon *daemon;
    struct http_config config;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_idle_t spin;
    uv_timer_t timer, sweep, beat;
    unsigned open_handles;
    int listen_fd; /* ours again after quiescing, else MHD's */
    uint16_t port;
    unsigned active;
    bool dirty, quiescing, timeouts_due;
    struct http_connection *connections;
    struct http_linger *lingers;
    unsigned n_lingers;
    struct http_event_stream *streams, *streams_end;
    struct id_stock ids;
};

/* --- server.c */
/* Has the daemon run before the loop sleeps again: something was resumed. */
void http_loop_wake(struct http_loop *l);

/* --- connection.c: MHD_NotifyConnectionCallback, and the timer that enforces what MHD doesn't */
void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                            enum MHD_ConnectionNotificationCode code);
struct http_connection *http_connection_of(struct MHD_Connection *mhd);
/* Ends it without ceremony: MHD sees the hang-up and cleans up. */
void http_connection_kill(struct http_connection *conn);
/* After MHD has run next, its timeout for this connection is another: MHD 1.0 passes over what it is told of
 * a suspended one, and one that was resumed is suspended until then. */
void http_connection_timeout(struct http_connection *conn, unsigned seconds);
void http_connection_set_timeouts(struct http_loop *l);
void http_connection_sweep(struct http_loop *l);
unsigned http_connection_sweep_ms(const struct http_config *config);

/* --- exchange.c: MHD's callbacks for a request */
void *http_exchange_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_exchange_step(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                   const char *version, const char *data, size_t *len, void **context);
void http_exchange_end(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code);
/* MHD_LogCallback: puts into words what MHD refuses itself, where it can be told whose request that is. */
void http_exchange_log(void *cls, const char *format, va_list args);
void http_exchange_suspend(struct http_request *req);
/* Wakes a suspended request, so that MHD calls http_exchange_step or sends what was queued. */
void http_exchange_resume(struct http_request *req);
/* The request counts as open until this, the first time; `status` 0: it ends without an answer. */
void http_exchange_answered(struct http_request *req, unsigned status);

/* --- request.c */
struct http_request *http_request_new(struct http_connection *conn, const char *uri);
/* Copies header and query out of MHD's memory. 0, or the status of the refusal. */
unsigned http_request_read_header(struct http_request *req, const char *method, const char *version);
char *http_request_strndup(struct http_request *req, const char *s, size_t len);
void http_request_end(struct http_request *req, bool gone);

/* --- query.c: splits and decodes `req->query`; 0 or a refusal's status */
unsigned http_query_parse(struct http_request *req);

/* --- router.c: sets `req->route`; 0, or 404, or 405 with Allow set */
unsigned http_router_find(struct http_request *req);

/* --- reply.c: status line and headers, without the empty line; 0 or -errno */
int http_reply_print_head(struct http_request *req, unsigned status, struct buf *out);

/* --- source.c: lives as long as the request */
struct http_source *http_source_new(struct http_request *req, void (*want)(void *arg), void *arg);
struct MHD_Response *http_source_response(struct http_source *s, uint64_t len);

/* --- event_stream.c: ends them all, whose rest may still be on its way; drops what is left of them */
void http_event_stream_end_all(struct http_loop *l);
void http_event_stream_drop_all(struct http_loop *l);

/* --- range.c */
enum http_range { HTTP_RANGE_WHOLE, HTTP_RANGE_PART, HTTP_RANGE_UNSATISFIABLE };
/* `header` may be NULL. A range that is malformed, or several, count as none (RFC 9110 section 14.2). */
enum http_range http_range_parse(const char *header, uint64_t size, uint64_t *ret_first, uint64_t *ret_len);

/* --- linger.c: takes over `fd`, whose sending side is shut; reads on until the client has seen the answer */
void http_linger_start(struct http_loop *l, int fd);
void http_linger_sweep(struct http_loop *l, uint64_t now_ms);
void http_linger_stop_all(struct http_loop *l);
/* A handle of the loop has closed; the last one frees it. */
void http_loop_release(struct http_loop *l);
