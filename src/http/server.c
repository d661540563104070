/* The loop: MHD's daemon inside a libuv loop.
 *
 * MHD brings an epoll descriptor of its own, which libuv polls like any other. The daemon runs in the prepare
 * phase, just before libuv would sleep, whenever its descriptor was readable, its timeout is over, or a
 * request was resumed during this turn (MHD only learns of that when it is run). When MHD has more to do at
 * once, an idle handle keeps libuv from sleeping. MHD's own threads were rejected: they stall at 128 ready
 * connections in this version, and a handler of theirs may not wait for Redis without stopping all the
 * others. */
#include "http/internal.h"

#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

enum { BACKLOG = 1024 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int parse_address(const char *text, uint16_t port, union address *ret, socklen_t *ret_len)
{
    *ret = (union address){0};
    if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        *ret_len = sizeof ret->v4;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        *ret_len = sizeof ret->v6;
        return 0;
    }
    return -EINVAL;
}

/* A bound socket of the address; `shared`: others of ours may bind it too. */
static int bind_address(const char *text, uint16_t port, bool shared)
{
    _cleanup_close_ int fd = -1;
    union address address;
    socklen_t len;
    const int on = 1, off = 0, share = shared;
    int r = parse_address(text, port, &address, &len);

    if (r < 0)
        return r;
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &share, sizeof share) < 0)
        return -errno;
    /* "::" means both families. */
    if (address.any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return -errno;
    if (bind(fd, &address.any, len) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int http_address_free(const char *text, uint16_t port)
{
    _cleanup_close_ int fd = bind_address(text, port, false);

    return fd < 0 ? fd : 0;
}

static int open_listener(const struct http_config *config, uint16_t *ret_port)
{
    _cleanup_close_ int fd = bind_address(config->listen, config->port, true);
    union address address = {0};
    socklen_t len = sizeof address;

    if (fd < 0)
        return fd;
    if (listen(fd, BACKLOG) < 0 || getsockname(fd, &address.any, &len) < 0)
        return -errno;
    *ret_port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return TAKE_FD(fd);
}

/* Paths are compared as sent and queries decoded by query.c. */
static size_t leave_escaped(void *cls, struct MHD_Connection *mhd, char *s)
{
    return strlen(s);
}

static struct MHD_Daemon *start_daemon(struct http_loop *l)
{
    /* clang-format off */
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, http_exchange_step, l,
        MHD_OPTION_EXTERNAL_LOGGER, http_exchange_log, l,
        MHD_OPTION_LISTEN_SOCKET, l->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, l->config.max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (l->config.idle_timeout_ms + 999) / 1000,
        MHD_OPTION_URI_LOG_CALLBACK, http_exchange_begin, l,
        MHD_OPTION_NOTIFY_COMPLETED, http_exchange_end, l,
        MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify, l,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        /* Without this word MHD silently falls back from sendfile to read and send. */
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
#if MHD_VERSION >= 0x01000000
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, /* as strict as request.c is with what 0.9.75 lets through */
#endif
        MHD_OPTION_END);
    /* clang-format on */
}

static void on_spin(uv_idle_t *handle)
{
    http_loop_wake(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
    http_loop_wake(handle->data);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    http_loop_wake(handle->data);
}

static void on_sweep(uv_timer_t *handle)
{
    http_connection_sweep(handle->data);
}

void http_loop_wake(struct http_loop *l)
{
    l->dirty = true;
}

/* As soon as MHD wants to run again, or later ones of its timeouts: they only move away. */
static void schedule(struct http_loop *l)
{
    MHD_UNSIGNED_LONG_LONG ms;
    bool wants = MHD_get_timeout(l->daemon, &ms) == MHD_YES;

    if (wants && ms == 0) {
        uv_idle_start(&l->spin, on_spin);
        return;
    }
    uv_idle_stop(&l->spin);
    if (!wants)
        uv_timer_stop(&l->timer);
    else if (!uv_is_active((uv_handle_t *)&l->timer) || uv_timer_get_due_in(&l->timer) > ms)
        uv_timer_start(&l->timer, on_timer, ms, 0);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct http_loop *l = handle->data;

    if (!l->dirty)
        return;
    l->dirty = false;
    MHD_run(l->daemon);
    http_connection_set_timeouts(l);
    /* A handler may have resumed another request while MHD ran. */
    if (l->dirty)
        uv_idle_start(&l->spin, on_spin);
    else
        schedule(l);
}

static void init_handles(struct http_loop *l)
{
    l->poll.data = l->prepare.data = l->spin.data = l->timer.data = l->sweep.data = l->beat.data = l;
    uv_prepare_init(l->uv, &l->prepare);
    uv_idle_init(l->uv, &l->spin);
    uv_timer_init(l->uv, &l->timer);
    uv_timer_init(l->uv, &l->sweep);
    uv_timer_init(l->uv, &l->beat);
    l->open_handles = 6;
}

int http_loop_new(uv_loop_t *loop, const struct http_config *config, struct http_loop **ret)
{
    _cleanup_free_ struct http_loop *l = calloc(1, sizeof *l);
    int epoll_fd, r;

    if (!l)
        return -ENOMEM;
    signal(SIGPIPE, SIG_IGN);
    l->uv = loop;
    l->config = *config;
    l->listen_fd = open_listener(config, &l->port);
    if (l->listen_fd < 0)
        return l->listen_fd;
    l->daemon = start_daemon(l);
    if (!l->daemon) {
        close(l->listen_fd);
        return -ENOMEM;
    }
    epoll_fd = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    r = uv_poll_init(loop, &l->poll, epoll_fd);
    if (r < 0) {
        MHD_stop_daemon(l->daemon);
        return r;
    }
    init_handles(l);
    *ret = TAKE_PTR(l);
    return 0;
}

void http_loop_begin(struct http_loop *l)
{
    unsigned sweep_ms = http_connection_sweep_ms(&l->config);

    if (l->quiescing || uv_is_active((uv_handle_t *)&l->prepare))
        return;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_timer_start(&l->sweep, on_sweep, sweep_ms, sweep_ms);
    http_loop_wake(l);
}

uint16_t http_loop_port(const struct http_loop *l)
{
    return l->port;
}

unsigned http_loop_active(const struct http_loop *l)
{
    return l->active;
}

void http_loop_quiesce(struct http_loop *l)
{
    if (l->quiescing)
        return;
    l->quiescing = true;
    close(MHD_quiesce_daemon(l->daemon));
    for (struct http_connection *conn = l->connections; conn; conn = conn->next)
        if (!conn->req)
            http_connection_kill(conn);
    http_event_stream_end_all(l);
    http_loop_wake(l);
}

void http_loop_release(struct http_loop *l)
{
    if (--l->open_handles == 0)
        free(l);
}

static void on_closed(uv_handle_t *handle)
{
    http_loop_release(handle->data);
}

void http_loop_free(struct http_loop *l)
{
    if (!l)
        return;
    uv_close((uv_handle_t *)&l->poll, on_closed);
    http_event_stream_end_all(l);
    http_event_stream_drop_all(l);
    /* MHD ends the process rather than stop with suspended connections. */
    for (struct http_connection *conn = l->connections; conn; conn = conn->next)
        if (conn->req)
            http_exchange_resume(conn->req);
    MHD_stop_daemon(l->daemon);
    http_linger_stop_all(l);
    uv_close((uv_handle_t *)&l->prepare, on_closed);
    uv_close((uv_handle_t *)&l->spin, on_closed);
    uv_close((uv_handle_t *)&l->timer, on_closed);
    uv_close((uv_handle_t *)&l->sweep, on_closed);
    uv_close((uv_handle_t *)&l->beat, on_closed);
}
