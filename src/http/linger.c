/* Closing while the client still sends.
 *
 * An answer given before the body was read (413, 401) is followed by closing the connection. If bytes of the
 * body are unread or still coming when the last descriptor goes, Linux answers them with RST, and the
 * client's kernel throws away the answer that it had not read yet: the client sees "connection reset" instead
 * of 413. So a duplicate of the socket stays behind here, its sending side shut, and what comes in is
 * discarded (MSG_TRUNC: the kernel copies nothing) until the client closes, or a limit of bytes or time is
 * reached. */
#include "http/internal.h"

#include "core/clock.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    LINGER_MAX = 1024, /* at once; more are closed without ceremony */
    LINGER_MS = 30 * 1000,
    LINGER_IDLE_MS = 5 * 1000,
    LINGER_TURN_BYTES = 1024 * 1024, /* per wake-up, so that other clients get their turn */
};
#define LINGER_BYTES_MAX (512ULL * 1024 * 1024)

struct http_linger {
    uv_poll_t poll;
    struct http_loop *loop;
    struct http_linger *prev, *next;
    int fd;
    uint64_t since_ms, last_ms, bytes;
};

static void on_closed(uv_handle_t *handle)
{
    struct http_linger *linger = handle->data;
    struct http_loop *l = linger->loop;

    close(linger->fd);
    free(linger);
    http_loop_release(l);
}

static void stop(struct http_linger *linger)
{
    struct http_loop *l = linger->loop;

    if (linger->prev)
        linger->prev->next = linger->next;
    else
        l->lingers = linger->next;
    if (linger->next)
        linger->next->prev = linger->prev;
    l->n_lingers--;
    uv_close((uv_handle_t *)&linger->poll, on_closed);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct http_linger *linger = poll->data;
    ssize_t n = recv(linger->fd, NULL, LINGER_TURN_BYTES, MSG_TRUNC | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR) && status == 0)
        return;
    if (n > 0) {
        linger->bytes += (uint64_t)n;
        linger->last_ms = clock_mono_ms();
    }
    if (n <= 0 || linger->bytes > LINGER_BYTES_MAX)
        stop(linger);
}

void http_linger_start(struct http_loop *l, int fd)
{
    struct http_linger *linger = l->n_lingers < LINGER_MAX ? calloc(1, sizeof *linger) : NULL;

    if (!linger || uv_poll_init(l->uv, &linger->poll, fd) < 0) {
        free(linger);
        close(fd);
        return;
    }
    shutdown(fd, SHUT_WR);
    linger->poll.data = linger;
    linger->loop = l;
    linger->fd = fd;
    linger->since_ms = linger->last_ms = clock_mono_ms();
    linger->next = l->lingers;
    if (l->lingers)
        l->lingers->prev = linger;
    l->lingers = linger;
    l->n_lingers++;
    l->open_handles++;
    uv_poll_start(&linger->poll, UV_READABLE, on_readable);
}

void http_linger_sweep(struct http_loop *l, uint64_t now_ms)
{
    for (struct http_linger *linger = l->lingers, *next; linger; linger = next) {
        next = linger->next;
        if (now_ms > linger->since_ms + LINGER_MS || now_ms > linger->last_ms + LINGER_IDLE_MS)
            stop(linger);
    }
}

void http_linger_stop_all(struct http_loop *l)
{
    while (l->lingers)
        stop(l->lingers);
}
