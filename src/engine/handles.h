/* libuv's handles on the heap, where they have to stay until their close callback, and descriptors. */
#pragma once

#include "core/cleanup.h"

#include <uv.h>

/* Calls `fn` with handle->data = arg while `fd` is readable. On failure the caller unwatches all the same. */
int handle_watch(uv_loop_t *loop, int fd, uv_poll_cb fn, void *arg, uv_poll_t **ret) _warn_unused_;
/* The descriptor may be closed right after. NULL is fine, here and below. */
void handle_unwatch(uv_poll_t **watch);

/* NULL when there is no memory. */
uv_timer_t *handle_new_timer(uv_loop_t *loop, void *arg);
void handle_free_timer(uv_timer_t **timer);

/* Closes *fd unless it is -1, which it is afterwards. */
void handle_close_fd(int *fd);
