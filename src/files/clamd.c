/* One connection per scan, and one way through it:
 *
 *     begin → (resolve →) connect → send → reply → finish
 *
 * finish() is the only exit. It stops the timer and closes the handles; the struct is freed when nothing of
 * it is in libuv's hands any more (`pending`). The timer is the deadline, and with a timeout of 0 also the
 * way to report what fails at once, so that no callback comes before clamd_scan_start has returned.
 *
 * The descriptor that clamd receives is reopened for reading: it can't write through it, and scans from the
 * beginning whatever our offset. With INSTREAM the file is read in the loop, 64 KiB for each write that has
 * drained: such a read is shorter than the way to libuv's thread pool and back. */
#include "files/clamd.h"

#include "core/path.h"
#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { CHUNK = 64 * 1024, REPLY_MAX = 1024, WHY_MAX = 160 };

enum command { FILDES, INSTREAM, VERSION };

struct clamd_scan {
    clamd_fn *fn; /* NULL once it has been called or must not be */
    void *arg;
    uv_loop_t *loop;
    enum command command;
    int fd;           /* borrowed */
    unsigned pending; /* handles not yet closed, and a running resolver */
    bool finished, stream_open, resolving;
    char why[WHY_MAX]; /* what went wrong so far, for when the deadline comes or the peer closes */

    uv_timer_t timer;
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } peer;
    uv_connect_t connect;
    uv_write_t write;
    uv_getaddrinfo_t resolve;
    struct addrinfo *next; /* addresses not tried yet, within resolve.addrinfo */

    uint64_t sent;
    bool sent_all;
    unsigned char length[4]; /* of the chunk, as INSTREAM wants it */
    char *chunk;
    char reply[REPLY_MAX];
    size_t reply_len;
};

static void put_why(struct clamd_scan *s, const char *what, int err)
{
    snprintf(s->why, sizeof s->why, "%s: %s", what, uv_strerror(err));
}

static void release(struct clamd_scan *s)
{
    if (--s->pending > 0)
        return;
    if (s->resolve.addrinfo)
        uv_freeaddrinfo(s->resolve.addrinfo);
    free(s->chunk);
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void close_peer(struct clamd_scan *s, uv_close_cb then)
{
    if (s->stream_open)
        uv_close((uv_handle_t *)&s->peer.stream, then);
    s->stream_open = false;
}

static void finish(struct clamd_scan *s, enum clamd_verdict verdict, const char *detail)
{
    clamd_fn *fn = s->fn;

    if (s->finished)
        return;
    s->finished = true;
    s->fn = NULL;
    close_peer(s, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    if (s->resolving)
        uv_cancel((uv_req_t *)&s->resolve);
    if (fn)
        fn(s->arg, verdict, detail);
}

static void fail(struct clamd_scan *s, const char *what, int err)
{
    put_why(s, what, err);
    finish(s, CLAMD_UNAVAILABLE, s->why);
}

/* --- the answer */

/* Behind "stream: " or "fd[12]: ", or NULL. */
static const char *skip_subject(const char *reply)
{
    if (str_starts(reply, "stream: "))
        return reply + strlen("stream: ");
    if (str_starts(reply, "fd[")) {
        const char *p = reply + strlen("fd[");

        p += strspn(p, "0123456789");
        if (str_starts(p, "]: "))
            return p + strlen("]: ");
    }
    return NULL;
}

/* What clamd calls a finding, by the name that it gives: with AlertExceedsMax a limit of its own that ended
 * the scan, which says nothing about the file but that nobody knows. */
static enum clamd_verdict classify(const char *name)
{
    return str_starts(name, "Heuristics.Limits.Exceeded") ? CLAMD_INCOMPLETE : CLAMD_INFECTED;
}

static void judge(struct clamd_scan *s)
{
    static const char found[] = " FOUND";
    const char *rest = s->command == VERSION ? NULL : skip_subject(s->reply);
    size_t n = rest ? strlen(rest) : 0;

    if (s->command == VERSION && str_starts(s->reply, "ClamAV ")) {
        finish(s, CLAMD_CLEAN, s->reply);
    } else if (rest && n > strlen(found) && str_eq(rest + n - strlen(found), found)) {
        s->reply[strlen(s->reply) - strlen(found)] = '\0';
        finish(s, classify(rest), rest);
    } else if (rest && str_eq(rest, "OK") && s->sent_all) {
        finish(s, CLAMD_CLEAN, "");
    } else {
        finish(s, CLAMD_UNAVAILABLE, *s->reply ? s->reply : "an empty answer");
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct clamd_scan *s = handle->data;

    *ret = uv_buf_init(s->reply + s->reply_len, (unsigned)(sizeof s->reply - s->reply_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct clamd_scan *s = stream->data;

    if (n == UV_ENOBUFS) {
        finish(s, CLAMD_UNAVAILABLE, "the answer is too long");
    } else if (n < 0 && *s->why) {
        finish(s, CLAMD_UNAVAILABLE, s->why);
    } else if (n < 0) {
        fail(s, "no answer", (int)n);
    } else {
        s->reply_len += (size_t)n;
        if (memchr(s->reply, '\0', s->reply_len))
            judge(s);
    }
}

/* --- the question */

static void send_chunk(struct clamd_scan *s);

/* After an error clamd's own words may still be on their way: reading tells, or the deadline. */
static void on_written(uv_write_t *write, int status)
{
    struct clamd_scan *s = write->data;

    if (s->finished)
        return;
    if (status < 0)
        put_why(s, "sending", status);
    else if (s->command == INSTREAM && !s->sent_all)
        send_chunk(s);
}

static void send_bufs(struct clamd_scan *s, uv_buf_t *bufs, unsigned n)
{
    int r;

    s->write.data = s;
    r = uv_write(&s->write, &s->peer.stream, bufs, n, on_written);
    if (r < 0)
        fail(s, "sending", r);
}

/* The next chunk with its length before it; a length of 0 ends the stream. */
static void send_chunk(struct clamd_scan *s)
{
    ssize_t n;
    uint32_t length;

    do
        n = pread(s->fd, s->chunk, CHUNK, (off_t)s->sent);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        fail(s, "reading the file", -errno);
        return;
    }
    length = htonl((uint32_t)n);
    memcpy(s->length, &length, sizeof s->length);
    s->sent += (uint64_t)n;
    s->sent_all = n == 0;

    uv_buf_t bufs[] = {uv_buf_init((char *)s->length, sizeof s->length), uv_buf_init(s->chunk, (unsigned)n)};

    send_bufs(s, bufs, n == 0 ? 1 : 2);
}

static void send_stream(struct clamd_scan *s)
{
    static char command[] = "zINSTREAM";
    uv_buf_t buf = uv_buf_init(command, sizeof command);

    s->chunk = malloc(CHUNK);
    if (!s->chunk)
        fail(s, "sending", -ENOMEM);
    else
        send_bufs(s, &buf, 1);
}

/* Past libuv, which passes only its own handles. The socket was just connected, so that these few bytes have
 * room. */
static void send_fd(struct clamd_scan *s)
{
    static char command[] = "zFILDES\0."; /* the descriptor comes with a byte of its own */
    struct iovec iov = {command, sizeof command - 1};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    _cleanup_close_ int own = path_reopen(s->fd);
    uv_os_fd_t sock;

    if (own < 0 || uv_fileno((uv_handle_t *)&s->peer.pipe, &sock) < 0) {
        fail(s, "opening the file", own < 0 ? own : -EBADF);
        return;
    }
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof own);
    memcpy(CMSG_DATA(c), &own, sizeof own);
    if (sendmsg(sock, &mh, MSG_NOSIGNAL) != (ssize_t)iov.iov_len)
        fail(s, "sending", errno ? -errno : -EIO);
    s->sent_all = true;
}

static void ask(struct clamd_scan *s)
{
    static char version[] = "zVERSION";
    uv_buf_t buf = uv_buf_init(version, sizeof version);
    int r = uv_read_start(&s->peer.stream, on_alloc, on_read);

    if (r < 0)
        fail(s, "reading", r);
    else if (s->command == FILDES)
        send_fd(s);
    else if (s->command == INSTREAM)
        send_stream(s);
    else
        send_bufs(s, &buf, 1);
}

/* --- the connection */

static void connect_next(struct clamd_scan *s);

static void on_closed_for_next(uv_handle_t *handle)
{
    struct clamd_scan *s = handle->data;

    if (s->finished) { /* then this may have been the last handle */
        release(s);
        return;
    }
    s->pending--; /* the timer is open still */
    connect_next(s);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct clamd_scan *s = connect->data;

    if (s->finished)
        return;
    if (status == 0) {
        ask(s);
        return;
    }
    put_why(s, "connecting", status);
    if (s->next)
        close_peer(s, on_closed_for_next);
    else
        finish(s, CLAMD_UNAVAILABLE, s->why);
}

static void own_peer(struct clamd_scan *s)
{
    s->peer.stream.data = s;
    s->connect.data = s;
    s->stream_open = true;
    s->pending++;
}

/* "localhost" is ::1 first, where often nobody listens: each address gets its turn. */
static void connect_next(struct clamd_scan *s)
{
    const struct addrinfo *address = s->next;
    int r = uv_tcp_init(s->loop, &s->peer.tcp);

    if (r < 0) {
        fail(s, "connecting", r);
        return;
    }
    own_peer(s);
    s->next = address->ai_next;
    r = uv_tcp_connect(&s->connect, &s->peer.tcp, address->ai_addr, on_connect);
    if (r < 0)
        on_connect(&s->connect, r);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct clamd_scan *s = resolve->data;

    s->resolving = false;
    if (!s->finished) {
        s->next = addresses;
        if (status < 0)
            fail(s, "looking up the host", status);
        else
            connect_next(s);
    }
    release(s);
}

/* "HOST:PORT" or "[::1]:PORT" */
static int resolve(struct clamd_scan *s, const char *url)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(url, ':');
    _cleanup_free_ char *host = NULL;
    size_t len;
    int r;

    if (!colon || colon == url)
        return -EINVAL;
    len = (size_t)(colon - url);
    if (*url == '[' && url[len - 1] == ']' && len > 2)
        host = strndup(url + 1, len - 2);
    else
        host = strndup(url, len);
    if (!host)
        return -ENOMEM;
    s->resolve.data = s;
    r = uv_getaddrinfo(s->loop, &s->resolve, on_resolved, host, colon + 1, &hints);
    if (r < 0)
        return r;
    s->resolving = true;
    s->pending++;
    return 0;
}

static int connect_unix(struct clamd_scan *s, const char *path)
{
    int r;

    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) /* libuv would cut it */
        return -ENAMETOOLONG;
    r = uv_pipe_init(s->loop, &s->peer.pipe, 0);
    if (r < 0)
        return r;
    own_peer(s);
    uv_pipe_connect(&s->connect, &s->peer.pipe, path, on_connect);
    return 0;
}

/* --- */

static void on_deadline(uv_timer_t *timer)
{
    struct clamd_scan *s = timer->data;

    finish(s, CLAMD_UNAVAILABLE, *s->why ? s->why : "no answer in time");
}

static struct clamd_scan *begin(uv_loop_t *loop, const char *url, int fd, bool version, uint64_t timeout_ms,
                                clamd_fn *fn, void *arg)
{
    struct clamd_scan *s = calloc(1, sizeof *s);
    int r = -EINVAL;

    if (!s)
        return NULL;
    s->fn = fn;
    s->arg = arg;
    s->loop = loop;
    s->fd = fd;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->pending = 1;
    if (str_starts(url, "unix:")) {
        s->command = version ? VERSION : FILDES;
        r = connect_unix(s, url + strlen("unix:"));
    } else if (str_starts(url, "tcp:")) {
        s->command = version ? VERSION : INSTREAM;
        r = resolve(s, url + strlen("tcp:"));
    }
    if (r < 0) {
        put_why(s, "connecting", r);
        timeout_ms = 0;
    }
    uv_update_time(loop); /* the deadline counts from now, not from when this turn began */
    uv_timer_start(&s->timer, on_deadline, timeout_ms, 0);
    return s;
}

struct clamd_scan *clamd_scan_start(uv_loop_t *loop, const char *url, int fd, uint64_t timeout_ms,
                                    clamd_fn *fn, void *arg)
{
    return begin(loop, url, fd, false, timeout_ms, fn, arg);
}

struct clamd_scan *clamd_version(uv_loop_t *loop, const char *url, uint64_t timeout_ms, clamd_fn *fn,
                                 void *arg)
{
    return begin(loop, url, -1, true, timeout_ms, fn, arg);
}

void clamd_scan_cancel(struct clamd_scan *s)
{
    s->fn = NULL;
    finish(s, CLAMD_UNAVAILABLE, "");
}
