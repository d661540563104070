#include "engine/handles.h"

#include <errno.h>

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

void handle_unwatch(uv_poll_t **watch)
{
    if (*watch)
        uv_close((uv_handle_t *)TAKE_PTR(*watch), free_handle);
}

int handle_watch(uv_loop_t *loop, int fd, uv_poll_cb fn, void *arg, uv_poll_t **ret)
{
    uv_poll_t *poll_handle = calloc(1, sizeof *poll_handle);
    int r;

    if (!poll_handle)
        return -ENOMEM;
    r = uv_poll_init(loop, poll_handle, fd);
    if (r < 0) {
        free(poll_handle);
        return r;
    }
    poll_handle->data = arg;
    *ret = poll_handle;
    return uv_poll_start(poll_handle, UV_READABLE, fn);
}

uv_timer_t *handle_new_timer(uv_loop_t *loop, void *arg)
{
    uv_timer_t *timer = calloc(1, sizeof *timer);

    if (!timer)
        return NULL;
    uv_timer_init(loop, timer); /* can't fail */
    timer->data = arg;
    return timer;
}

void handle_free_timer(uv_timer_t **timer)
{
    if (*timer)
        uv_close((uv_handle_t *)TAKE_PTR(*timer), free_handle);
}

void handle_close_fd(int *fd)
{
    if (*fd >= 0)
        close(TAKE_FD(*fd));
}
