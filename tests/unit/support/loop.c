#include "support/loop.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLOSE_MS = 60000 };

static void on_timer(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

bool loop_until(uv_loop_t *loop, const bool *done, uint64_t timeout_ms)
{
    bool late = false;
    uv_timer_t timer;

    uv_timer_init(loop, &timer);
    timer.data = &late;
    uv_update_time(loop);
    uv_timer_start(&timer, on_timer, timeout_ms, 0);
    while (!*done && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return *done;
}

void loop_for(uv_loop_t *loop, uint64_t ms)
{
    bool never = false;

    loop_until(loop, &never, ms);
}

void loop_close(uv_loop_t *loop)
{
    bool closed = false;

    /* A thread may still be at work, on a busy machine for a while. */
    for (int i = 0; i < CLOSE_MS && !closed; i++) {
        uv_run(loop, UV_RUN_NOWAIT);
        closed = uv_loop_close(loop) == 0;
        if (!closed)
            usleep(1000);
    }
    assert_true(closed);
}
