/* Event streams: answers without an end (text/event-stream), on sockets that MHD has given up.
 *
 * MHD could send them from a callback on a suspended connection, but each resume walks the list of all that
 * are suspended, each connection keeps its pool, and a client that leaves is not noticed. So when the handler
 * opens a stream, the connection is taken from MHD: a duplicate of the socket stays here, the descriptor that
 * MHD knows becomes a dummy (dup3), and MHD is told to drop the request. That is safe because the connection
 * is suspended then: MHD has taken it out of its epoll set, and what it does with the descriptor before it
 * closes it (reading, shutdown) only meets the dummy. MHD's own way out, an "upgrade", can answer 101 alone
 * and keeps the pool.
 *
 * What is left of a stream is a socket and some hundred bytes. Memory for a client that doesn't read is
 * bounded: a send buffer of SEND_BUFFER_BYTES in the kernel, and the rest of one piece here; more is not
 * taken (http_event_stream_send says false) until that has left. All streams of a loop are in a list by the
 * time of their last sign of life. One timer looks at its front: who was quiet for a heartbeat gets one, and
 * who has taken nothing for two is dropped. */
#include "http/internal.h"

#include "core/clock.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    SEND_BUFFER_BYTES = 64 * 1024,   /* the kernel counts its own structures in, and doubles it for them */
    RECEIVE_BUFFER_BYTES = 4 * 1024, /* nothing is read that a client may still send */
    HEARTBEAT_MS = 15 * 1000,
    BEATS_PER_HEARTBEAT = 60, /* the timer's interval: many short turns rather than one that stops the loop */
    STREAMS_PER_BEAT = 512,
};

struct http_event_stream {
    uv_poll_t poll;
    struct http_loop *loop;
    struct http_event_stream *prev, *next;
    const struct http_event_stream_ops *ops;
    void *arg;
    int fd;
    bool chunked;
    bool stalled;      /* took nothing since the last heartbeat was due */
    bool ending;       /* its user has ended it, and knows it no more: only the rest has to leave */
    uint64_t since_ms; /* the last sign of life */
    char *rest;        /* what the socket did not take yet; NULL: nothing */
    size_t rest_at, rest_len;
};

/* --- the list */

static void unlink_stream(struct http_event_stream *s)
{
    struct http_loop *l = s->loop;

    *(s->prev ? &s->prev->next : &l->streams) = s->next;
    *(s->next ? &s->next->prev : &l->streams_end) = s->prev;
}

static void link_last(struct http_event_stream *s)
{
    struct http_loop *l = s->loop;

    s->since_ms = clock_mono_ms();
    s->prev = l->streams_end;
    s->next = NULL;
    *(s->prev ? &s->prev->next : &l->streams) = s;
    l->streams_end = s;
}

static void move_last(struct http_event_stream *s)
{
    unlink_stream(s);
    link_last(s);
}

/* --- ending */

static void on_closed(uv_handle_t *handle)
{
    struct http_event_stream *s = handle->data;
    struct http_loop *l = s->loop;

    if (s->fd >= 0)
        close(s->fd);
    free(s->rest);
    free(s);
    http_loop_release(l);
}

static void stop(struct http_event_stream *s)
{
    unlink_stream(s);
    if (!s->loop->streams)
        uv_timer_stop(&s->loop->beat);
    uv_close((uv_handle_t *)&s->poll, on_closed);
}

/* For whatever reason but that the user ended it. */
static void lose(struct http_event_stream *s)
{
    stop(s);
    if (!s->ending)
        s->ops->end(s->arg);
}

/* Everything has been sent. */
static void finish(struct http_event_stream *s)
{
    stop(s);
    http_linger_start(s->loop, TAKE_FD(s->fd));
}

/* --- sending */

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct http_event_stream *s)
{
    uv_poll_start(&s->poll, UV_DISCONNECT | (s->rest ? UV_WRITABLE : 0), on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_event_stream *s = poll->data;
    ssize_t n;

    if (status < 0 || (events & UV_DISCONNECT)) {
        lose(s);
        return;
    }
    if (!s->rest || !(events & UV_WRITABLE))
        return;
    n = send(s->fd, s->rest + s->rest_at, s->rest_len - s->rest_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0)
        return; /* an error comes back as the poll's */
    s->rest_at += (size_t)n;
    s->stalled = false;
    move_last(s);
    if (s->rest_at < s->rest_len)
        return;
    free(TAKE_PTR(s->rest));
    if (s->ending) {
        finish(s);
        return;
    }
    watch(s);
    s->ops->ready(s->arg);
}

/* Behind what is kept already, of which nothing is skipped then. */
static void keep_rest(struct http_event_stream *s, const struct iovec parts[], size_t n_parts, size_t skip)
{
    size_t had = s->rest ? s->rest_len : 0, len = had;
    char *p;

    for (size_t i = 0; i < n_parts; i++)
        len += parts[i].iov_len;
    p = realloc(s->rest, len);
    if (!p)
        abort();
    s->rest = p;
    p += had;
    for (size_t i = 0; i < n_parts; i++)
        p = mempcpy(p, parts[i].iov_base, parts[i].iov_len);
    if (had == 0)
        s->rest_at = skip;
    s->rest_len = len;
    watch(s);
}

/* Everything is taken, at once or as a rest; false: as a rest. Errors come back as the poll's. */
static bool send_parts(struct http_event_stream *s, struct iovec parts[], size_t n_parts)
{
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = n_parts};
    ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    size_t len = 0;

    for (size_t i = 0; i < n_parts; i++)
        len += parts[i].iov_len;
    if (sent > 0)
        move_last(s);
    if (sent == (ssize_t)len)
        return true;
    keep_rest(s, parts, n_parts, sent > 0 ? (size_t)sent : 0);
    return false;
}

bool http_event_stream_send(struct http_event_stream *s, const char *text, size_t len)
{
    char size[24];
    struct iovec parts[3] = {{size, 0}, {(char *)text, len}, {(char *)"\r\n", 2}};

    if (s->rest || len == 0 || len > HTTP_EVENT_BYTES_MAX)
        abort();
    if (!s->chunked)
        return send_parts(s, parts + 1, 1);
    parts[0].iov_len = (size_t)snprintf(size, sizeof size, "%zx\r\n", len);
    return send_parts(s, parts, ARRAY_SIZE(parts));
}

void http_event_stream_end(struct http_event_stream *s)
{
    struct iovec last_chunk = {(char *)"0\r\n\r\n", 5};

    if (!s)
        return;
    s->ending = true;
    if (s->chunked && s->rest)
        keep_rest(s, &last_chunk, 1, 0);
    else if (s->chunked)
        send_parts(s, &last_chunk, 1);
    if (!s->rest)
        finish(s);
}

void http_event_stream_end_all(struct http_loop *l)
{
    for (struct http_event_stream *s = l->streams, *next; s; s = next) {
        next = s->next;
        if (s->ending)
            continue;
        http_event_stream_end(s);
        s->ops->end(s->arg);
    }
}

void http_event_stream_drop_all(struct http_loop *l)
{
    while (l->streams)
        lose(l->streams);
}

/* --- heartbeats */

static unsigned heartbeat_ms(const struct http_loop *l)
{
    return l->config.heartbeat_ms ? l->config.heartbeat_ms : HEARTBEAT_MS;
}

static void on_beat(uv_timer_t *timer)
{
    static const char comment[] = ":\n\n";
    struct http_loop *l = timer->data;
    uint64_t now_ms = clock_mono_ms();

    for (unsigned i = 0; i < STREAMS_PER_BEAT; i++) {
        struct http_event_stream *s = l->streams;

        if (!s || now_ms < s->since_ms + heartbeat_ms(l))
            return;
        if (s->stalled) {
            lose(s);
            continue;
        }
        s->stalled = s->rest != NULL;
        if (s->stalled || !http_event_stream_send(s, comment, sizeof comment - 1))
            move_last(s);
    }
}

/* --- opening */

/* Takes the socket from MHD, which is left with one that is nobody's. */
static int take_socket(struct http_request *req)
{
    struct http_connection *conn = req->conn;
    _cleanup_close_ int fd = -1, dummy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (dummy < 0)
        return -errno;
    http_exchange_suspend(req);
    fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || dup3(dummy, conn->fd, O_CLOEXEC) < 0)
        return -errno;
    req->taken = true;
    http_exchange_resume(req);
    return TAKE_FD(fd);
}

static void set_up_socket(int fd)
{
    const int on = 1, send_bytes = SEND_BUFFER_BYTES, receive_bytes = RECEIVE_BUFFER_BYTES,
              unanswered_ms = 2 * HEARTBEAT_MS;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    /* A client whose machine has vanished acknowledges no heartbeat. */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

static struct http_event_stream *new_stream(struct http_loop *l, int fd, bool chunked)
{
    _cleanup_free_ struct http_event_stream *s = calloc(1, sizeof *s);

    if (!s || uv_poll_init(l->uv, &s->poll, fd) < 0)
        return NULL;
    set_up_socket(fd);
    s->poll.data = s;
    s->loop = l;
    s->fd = fd;
    s->chunked = chunked;
    link_last(s);
    l->open_handles++;
    if (!uv_is_active((uv_handle_t *)&l->beat)) {
        unsigned ms = heartbeat_ms(l) / BEATS_PER_HEARTBEAT + 1;

        uv_timer_start(&l->beat, on_beat, ms, ms);
    }
    watch(s);
    return TAKE_PTR(s);
}

int http_event_stream_open(struct http_request *req, const struct http_event_stream_ops *ops, void *arg,
                           struct http_event_stream **ret)
{
    _cleanup_buf_ struct buf head = BUF_INIT(HTTP_HEADER_BYTES_MAX);
    struct http_loop *l = req->conn ? req->conn->loop : NULL;
    bool is_head = str_eq(req->method, "HEAD");
    struct http_event_stream *s;
    int fd;

    if (!l || req->phase != PHASE_WHOLE || req->answered || req->gone || l->quiescing)
        return -ESHUTDOWN;
    http_reply_header(req, "Content-Type", "text/event-stream");
    http_reply_print_head(req, MHD_HTTP_OK, &head);
    buf_append_str(&head, req->http10 ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
    fd = buf_error(&head) ? buf_error(&head) : take_socket(req);
    if (fd < 0)
        return fd;
    http_exchange_answered(req, MHD_HTTP_OK);
    *ret = NULL;
    s = new_stream(l, fd, !req->http10 && !is_head);
    if (!s) {
        close(fd);
        return 0;
    }
    s->ops = ops;
    s->arg = arg;
    send_parts(s, &(struct iovec){head.data, head.len}, 1);
    if (is_head)
        http_event_stream_end(s);
    else
        *ret = s;
    return 0;
}
