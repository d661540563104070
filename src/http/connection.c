/* Connections, and what MHD leaves to us about them.
 *
 * MHD's timeout starts anew with every byte, so a header sent a byte a second would hold a connection for
 * ever, and it doesn't look at a suspended connection at all. One timer per loop walks its connections: it
 * enforces the header's deadline and the least rate of bodies and answers, and asks the kernel in one poll(2)
 * which clients of long-suspended requests have gone. A uv_poll_t on a duplicate of each such socket would
 * tell at once rather than within a second, at the price of a descriptor and an epoll entry for each. */
#include "http/internal.h"

#include "core/clock.h"
#include "core/xalloc.h"
#include "http/tcp.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct http_connection *http_connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* False: the application does not want it. */
static bool admit(struct http_connection *conn)
{
    const struct http_config *config = &conn->loop->config;

    if (!config->admit)
        return true;
    conn->peer = config->admit(
        config->app, MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    return conn->peer;
}

static struct http_connection *connection_new(struct http_loop *l, struct MHD_Connection *mhd)
{
    struct http_connection *conn = xcalloc(1, sizeof *conn);

    conn->loop = l;
    conn->mhd = mhd;
    conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    conn->header_deadline_ms = clock_mono_ms() + l->config.header_timeout_ms;
    conn->next = l->connections;
    if (conn->next)
        conn->next->prev = conn;
    l->connections = conn;
    if (!admit(conn)) {
        conn->refused = true;
        http_connection_kill(conn);
    }
    return conn;
}

static int unread_bytes(const struct http_connection *conn)
{
    int unread = 0;

    return ioctl(conn->fd, FIONREAD, &unread) == 0 ? unread : 0;
}

/* MHD closes its descriptor right after this. */
static void connection_free(struct http_connection *conn)
{
    int fd;

    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->loop->connections = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    /* MHD (0.9.75) tells no end of a request for whose query, and the refusal, its memory did not suffice. */
    if (conn->req)
        http_request_end(TAKE_PTR(conn->req), true);
    if (conn->peer)
        conn->loop->config.left(conn->loop->config.app, conn->peer);
    if (conn->linger || unread_bytes(conn) > 0) {
        fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0)
            http_linger_start(conn->loop, fd);
    }
    /* Where MHD had as many as it may, it listens again when it runs once more; nothing else may make it. */
    http_loop_wake(conn->loop);
    free(conn);
}

void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                            enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *socket_context = connection_new(cls, mhd);
    else
        connection_free(*socket_context);
}

void http_connection_kill(struct http_connection *conn)
{
    shutdown(conn->fd, SHUT_RDWR);
}

void http_connection_timeout(struct http_connection *conn, unsigned seconds)
{
    conn->timeout_s = seconds;
    conn->timeout_due = conn->loop->timeouts_due = true;
}

void http_connection_set_timeouts(struct http_loop *l)
{
    if (!l->timeouts_due)
        return;
    l->timeouts_due = false;
    for (struct http_connection *conn = l->connections; conn; conn = conn->next) {
        if (!conn->timeout_due)
            continue;
        if (MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED)->suspended) {
            l->timeouts_due = true;
            continue;
        }
        MHD_set_connection_option(conn->mhd, MHD_CONNECTION_OPTION_TIMEOUT, conn->timeout_s);
        conn->timeout_due = false;
    }
}

/* Each window is judged by itself: who was fast at first buys no hours of a byte now and then. */
static bool too_slow(struct http_connection *conn, uint64_t now_ms)
{
    struct http_request *req = conn->req;
    bool sends = req->phase == PHASE_READING && req->has_body && !req->answered;
    bool takes = req->answered && !req->cut && !req->taken;
    uint64_t window_ms = req->config->rate_window_ms ? req->config->rate_window_ms : HTTP_RATE_WINDOW_MS;
    uint64_t elapsed_ms = now_ms - req->rate_since_ms, moved;

    if (takes && req->suspended) { /* it is for us to have the next piece */
        req->rate_since_ms = 0;
        return false;
    }
    if ((!sends && !takes) || (req->rate_since_ms > 0 && elapsed_ms <= window_ms))
        return false;
    moved = takes ? http_tcp_taken(conn->fd) : req->received;
    if (req->rate_since_ms > 0 && (moved - req->rate_base) * 1000 / elapsed_ms < HTTP_RATE_MIN)
        return true;
    req->rate_since_ms = now_ms;
    req->rate_base = moved;
    return false;
}

/* Without waiting for what is still in the kernel: who takes nothing would keep that there for minutes. */
static void reset(struct http_connection *conn)
{
    const struct linger at_once = {.l_onoff = 1};

    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    http_connection_kill(conn);
}

static void enforce(struct http_connection *conn, uint64_t now_ms)
{
    struct http_request *req = conn->req;

    if (now_ms > conn->header_deadline_ms) {
        http_connection_kill(conn);
    } else if (req && too_slow(conn, now_ms)) {
        if (req->answered) {
            reset(conn);
        } else {
            req->config->error(req, MHD_HTTP_REQUEST_TIMEOUT);
            http_connection_kill(conn);
        }
    }
}

/* MHD looks at no suspended connection, and overlooks the end of what a client sends when that comes together
 * with the last bytes: its epoll set tells edges, and after a short read it asks no more. */
static bool may_have_left(struct http_connection *conn, uint64_t now_ms)
{
    const struct http_request *req = conn->req;
    bool fresh = conn->fresh;

    conn->fresh = false;
    if (!req)
        return fresh;
    if (req->suspended)
        return !req->gone && now_ms >= req->suspended_since_ms + HTTP_GONE_AFTER_MS;
    return req->phase == PHASE_NEW || (req->phase == PHASE_READING && req->has_body && !req->answered);
}

static void client_left(struct http_connection *conn)
{
    if (conn->req && conn->req->suspended) {
        conn->req->gone = true;
        http_exchange_resume(conn->req);
    } else if (unread_bytes(conn) == 0) {
        http_connection_kill(conn);
    }
}

enum { GONE_BATCH = 256 };

static void find_gone(struct http_connection **conns, nfds_t n)
{
    struct pollfd fds[GONE_BATCH];

    for (nfds_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = conns[i]->fd, .events = POLLRDHUP};
    if (poll(fds, n, 0) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++)
        if (fds[i].revents)
            client_left(conns[i]);
}

void http_connection_sweep(struct http_loop *l)
{
    struct http_connection *waiting[GONE_BATCH];
    nfds_t n = 0;
    uint64_t now_ms = clock_mono_ms();

    for (struct http_connection *conn = l->connections; conn; conn = conn->next) {
        enforce(conn, now_ms);
        if (!may_have_left(conn, now_ms))
            continue;
        waiting[n++] = conn;
        if (n == GONE_BATCH) {
            find_gone(waiting, n);
            n = 0;
        }
    }
    find_gone(waiting, n);
    http_linger_sweep(l, now_ms);
}

unsigned http_connection_sweep_ms(const struct http_config *config)
{
    unsigned ms = config->header_timeout_ms / 4;

    return ms < 50 ? 50 : ms > 1000 ? 1000 : ms;
}
