/* One way through a connection:
 *
 *     open → (resolve →) connect → ask → answer → (idle → ask → answer)… → close
 *
 * clamd_link_close() is the only exit. It closes the handles; the struct is freed when nothing of it is in
 * libuv's hands any more (`pending`). An idle link is read from, so that its end is seen at once, and does
 * not keep the loop alive.
 *
 * The descriptor that clamd receives is reopened for reading: it can't write through it, and scans from the
 * beginning whatever our offset. If the connection ends while it is on its way, the kernel closes it. With
 * INSTREAM the file is read in the loop, 64 KiB for each write that has drained: such a read is shorter than
 * the way to libuv's thread pool and back. */
#include "files/clamd_link.h"

#include "core/cleanup.h"
#include "core/path.h"
#include "core/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* clamd ends what was idle for 30 s (IdleTimeout). */
enum { CHUNK = 64 * 1024, REPLY_MAX = 1024, WHY_MAX = 160, IDLE_MS = 10000 };

static const char session[] = "zIDSESSION";

struct clamd_link {
    uv_loop_t *loop;
    const struct clamd_link_events *events;
    void *owner;
    unsigned pending; /* handles not yet closed, and a running resolver */
    bool closing, stream_open, resolving, connected;
    char why[WHY_MAX]; /* what went wrong so far, for when the peer closes */

    uv_timer_t idle;
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } peer;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    struct addrinfo *next; /* addresses not tried yet, within resolve.addrinfo */

    bool asking;
    unsigned number; /* of the question, counted by clamd too */
    enum clamd_command command;
    int fd; /* borrowed */

    uv_write_t write;
    bool writing;
    uint64_t sent;
    bool sent_all;
    unsigned char length[4]; /* of the chunk, as INSTREAM wants it */
    char *chunk;
    char reply[REPLY_MAX];
    size_t reply_len;
};

static void put_why(struct clamd_link *l, const char *what, int err)
{
    snprintf(l->why, sizeof l->why, "%s: %s", what, uv_strerror(err));
}

/* --- the end */

static void release(struct clamd_link *l)
{
    if (--l->pending > 0)
        return;
    l->events->closed(l->owner);
    if (l->resolve.addrinfo)
        uv_freeaddrinfo(l->resolve.addrinfo);
    free(l->chunk);
    free(l);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void close_peer(struct clamd_link *l, uv_close_cb then)
{
    if (l->stream_open)
        uv_close((uv_handle_t *)&l->peer.stream, then);
    l->stream_open = false;
}

void clamd_link_close(struct clamd_link *l)
{
    if (l->closing)
        return;
    l->closing = true;
    close_peer(l, on_closed);
    uv_close((uv_handle_t *)&l->idle, on_closed);
    if (l->resolving)
        uv_cancel((uv_req_t *)&l->resolve);
}

static void lose(struct clamd_link *l, const char *why)
{
    bool stale = l->number > (l->asking ? 1 : 0) && l->reply_len == 0;

    if (l->closing)
        return;
    clamd_link_close(l);
    l->events->lost(l->owner, l, why, stale);
}

static void fail(struct clamd_link *l, const char *what, int err)
{
    put_why(l, what, err);
    lose(l, l->why);
}

/* --- the answer */

static void on_idle(uv_timer_t *timer)
{
    struct clamd_link *l = timer->data;

    clamd_link_close(l);
    l->events->lost(l->owner, l, "idle", false);
}

/* Whole, and nothing behind it. */
static void take_answer(struct clamd_link *l)
{
    char prefix[16];
    int n = snprintf(prefix, sizeof prefix, "%u: ", l->number);
    char *text = l->reply + n;

    if (!l->asking || strlen(l->reply) + 1 != l->reply_len || !str_starts(l->reply, prefix)) {
        lose(l, *l->reply ? l->reply : "an empty answer");
        return;
    }
    l->asking = false;
    l->reply_len = 0;
    uv_unref((uv_handle_t *)&l->peer.stream);
    uv_timer_start(&l->idle, on_idle, IDLE_MS, 0);
    l->events->answer(l->owner, l, text);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct clamd_link *l = handle->data;

    *ret = uv_buf_init(l->reply + l->reply_len, (unsigned)(sizeof l->reply - l->reply_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct clamd_link *l = stream->data;

    if (n == UV_ENOBUFS) {
        lose(l, "the answer is too long");
    } else if (n < 0 && *l->why) {
        lose(l, l->why);
    } else if (n < 0) {
        fail(l, "no answer", (int)n);
    } else {
        l->reply_len += (size_t)n;
        if (!l->asking && n > 0)
            lose(l, "an answer to no question");
        else if (memchr(l->reply, '\0', l->reply_len))
            take_answer(l);
    }
}

/* --- the question */

static void send_chunk(struct clamd_link *l);

/* After an error clamd's own words may still be on their way: reading tells, or the deadline. */
static void on_written(uv_write_t *write, int status)
{
    struct clamd_link *l = write->data;

    l->writing = false;
    if (l->closing)
        return;
    if (status < 0)
        put_why(l, "sending", status);
    else if (l->command == CLAMD_INSTREAM && !l->sent_all)
        send_chunk(l);
}

static void send_bufs(struct clamd_link *l, uv_buf_t *bufs, unsigned n)
{
    int r;

    l->write.data = l;
    r = uv_write(&l->write, &l->peer.stream, bufs, n, on_written);
    l->writing = r == 0;
    if (r < 0)
        fail(l, "sending", r);
}

/* A command; before the first one, that a session begins. */
static void send_command(struct clamd_link *l, const char *command)
{
    uv_buf_t bufs[] = {uv_buf_init((char *)session, sizeof session),
                       uv_buf_init((char *)command, (unsigned)strlen(command) + 1)};
    bool first = l->number == 1;

    send_bufs(l, first ? bufs : bufs + 1, first ? 2 : 1);
}

/* The next chunk with its length before it; a length of 0 ends the stream. */
static void send_chunk(struct clamd_link *l)
{
    ssize_t n;
    uint32_t length;

    do
        n = pread(l->fd, l->chunk, CHUNK, (off_t)l->sent);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        fail(l, "reading the file", -errno);
        return;
    }
    length = htonl((uint32_t)n);
    memcpy(l->length, &length, sizeof l->length);
    l->sent += (uint64_t)n;
    l->sent_all = n == 0;

    uv_buf_t bufs[] = {uv_buf_init((char *)l->length, sizeof l->length), uv_buf_init(l->chunk, (unsigned)n)};

    send_bufs(l, bufs, n == 0 ? 1 : 2);
}

static void send_stream(struct clamd_link *l)
{
    if (!l->chunk)
        l->chunk = malloc(CHUNK);
    if (!l->chunk)
        fail(l, "sending", -ENOMEM);
    else
        send_command(l, "zINSTREAM");
}

/* Past libuv, which passes only its own handles. Nothing else is on its way on this socket, so that these few
 * bytes have room. */
static void send_fd(struct clamd_link *l)
{
    static const char text[] = "zIDSESSION\0zFILDES\0."; /* the descriptor comes with a byte of its own */
    size_t skip = l->number == 1 ? 0 : sizeof session;
    struct iovec iov = {(char *)text + skip, sizeof text - 1 - skip};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    _cleanup_close_ int own = path_reopen(l->fd);
    uv_os_fd_t sock;

    if (own < 0 || uv_fileno((uv_handle_t *)&l->peer.pipe, &sock) < 0) {
        fail(l, "opening the file", own < 0 ? own : -EBADF);
        return;
    }
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof own);
    memcpy(CMSG_DATA(c), &own, sizeof own);
    l->sent_all = sendmsg(sock, &mh, MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
    if (!l->sent_all)
        fail(l, "sending", errno ? -errno : -EIO);
}

static void ask(struct clamd_link *l)
{
    l->number++;
    if (l->command == CLAMD_FILDES) {
        send_fd(l);
    } else if (l->command == CLAMD_INSTREAM) {
        send_stream(l);
    } else {
        l->sent_all = true;
        send_command(l, "zVERSION");
    }
}

void clamd_link_ask(struct clamd_link *l, enum clamd_command command, int fd)
{
    assert(!l->asking && !l->closing);
    l->asking = true;
    l->command = command;
    l->fd = fd;
    l->sent = 0;
    l->sent_all = false;
    if (!l->connected)
        return;
    uv_timer_stop(&l->idle);
    uv_ref((uv_handle_t *)&l->peer.stream);
    ask(l);
}

bool clamd_link_reusable(const struct clamd_link *l)
{
    return !l->closing && !l->asking && !l->writing && l->sent_all && !*l->why;
}

const char *clamd_link_why(const struct clamd_link *l)
{
    return l->why;
}

/* --- the connection */

static void connect_next(struct clamd_link *l);

static void on_closed_for_next(uv_handle_t *handle)
{
    struct clamd_link *l = handle->data;

    if (l->closing) { /* then this may have been the last handle */
        release(l);
        return;
    }
    l->pending--; /* the timer is open still */
    connect_next(l);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct clamd_link *l = connect->data;

    if (l->closing)
        return;
    if (status == 0)
        status = uv_read_start(&l->peer.stream, on_alloc, on_read);
    if (status == 0) {
        l->why[0] = '\0'; /* of the addresses before */
        l->connected = true;
        if (l->asking)
            ask(l);
        return;
    }
    put_why(l, "connecting", status);
    if (l->next)
        close_peer(l, on_closed_for_next);
    else
        lose(l, l->why);
}

static void own_peer(struct clamd_link *l)
{
    l->peer.stream.data = l;
    l->connect.data = l;
    l->stream_open = true;
    l->pending++;
}

/* "localhost" is ::1 first, where often nobody listens: each address gets its turn. */
static void connect_next(struct clamd_link *l)
{
    const struct addrinfo *address = l->next;
    int r = uv_tcp_init(l->loop, &l->peer.tcp);

    if (r < 0) {
        fail(l, "connecting", r);
        return;
    }
    own_peer(l);
    l->next = address->ai_next;
    r = uv_tcp_connect(&l->connect, &l->peer.tcp, address->ai_addr, on_connect);
    if (r < 0)
        on_connect(&l->connect, r);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct clamd_link *l = resolve->data;

    l->resolving = false;
    if (!l->closing) {
        l->next = addresses;
        if (status < 0)
            fail(l, "looking up the host", status);
        else
            connect_next(l);
    }
    release(l);
}

/* "HOST:PORT" or "[::1]:PORT" */
static int resolve(struct clamd_link *l, const char *url)
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
    l->resolve.data = l;
    r = uv_getaddrinfo(l->loop, &l->resolve, on_resolved, host, colon + 1, &hints);
    if (r < 0)
        return r;
    l->resolving = true;
    l->pending++;
    return 0;
}

static int connect_unix(struct clamd_link *l, const char *path)
{
    int r;

    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) /* libuv would cut it */
        return -ENAMETOOLONG;
    r = uv_pipe_init(l->loop, &l->peer.pipe, 0);
    if (r < 0)
        return r;
    own_peer(l);
    uv_pipe_connect(&l->connect, &l->peer.pipe, path, on_connect);
    return 0;
}

static void on_unborn(uv_handle_t *handle)
{
    free(handle->data);
}

int clamd_link_open(uv_loop_t *loop, const char *url, const struct clamd_link_events *events, void *owner,
                    struct clamd_link **ret)
{
    struct clamd_link *l = calloc(1, sizeof *l);
    int r = -EINVAL;

    if (!l)
        return -ENOMEM;
    l->loop = loop;
    l->events = events;
    l->owner = owner;
    uv_timer_init(loop, &l->idle);
    uv_unref((uv_handle_t *)&l->idle);
    l->idle.data = l;
    l->pending = 1;
    if (str_starts(url, "unix:"))
        r = connect_unix(l, url + strlen("unix:"));
    else if (str_starts(url, "tcp:"))
        r = resolve(l, url + strlen("tcp:"));
    if (r < 0)
        uv_close((uv_handle_t *)&l->idle, on_unborn); /* it is the only handle yet */
    else
        *ret = l;
    return r;
}
