#include "support/fake_clamd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct clamd {
    uv_loop_t *loop;
};

struct clamd_scan {
    uv_timer_t timer;
    clamd_fn *fn;
    void *arg;
    struct fake_answer answer;
};

struct fake_clamd fake_clamd;

struct clamd *clamd_new(uv_loop_t *loop, const char *url, unsigned connections)
{
    struct clamd *c = malloc(sizeof *c);

    assert_non_null(c);
    c->loop = loop;
    return c;
}

uv_loop_t *fake_clamd_loop(const struct clamd *c)
{
    return c->loop;
}

unsigned clamd_lost(const struct clamd *c)
{
    return fake_clamd.lost;
}

void clamd_free(struct clamd *c)
{
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_time(uv_timer_t *timer)
{
    struct clamd_scan *s = timer->data;

    if (s->answer.held && *s->answer.held)
        return;
    uv_close((uv_handle_t *)timer, on_closed);
    s->fn(s->arg, s->answer.verdict, s->answer.detail);
}

static struct clamd_scan *answer(struct clamd *c, struct fake_answer given, clamd_fn *fn, void *arg)
{
    struct clamd_scan *s = calloc(1, sizeof *s);

    assert_non_null(s);
    *s = (struct clamd_scan){.fn = fn, .arg = arg, .answer = given};
    uv_timer_init(c->loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_time, 1, 1);
    return s;
}

struct clamd_scan *clamd_scan_start(struct clamd *c, int fd, uint64_t timeout_ms, clamd_fn *fn, void *arg)
{
    fake_clamd.scans++;
    return answer(c, fake_clamd.scan(fd, timeout_ms), fn, arg);
}

struct clamd_scan *clamd_version(struct clamd *c, uint64_t timeout_ms, clamd_fn *fn, void *arg)
{
    return answer(c, fake_clamd.version(), fn, arg);
}

void clamd_scan_cancel(struct clamd_scan *s)
{
    fake_clamd.cancelled++;
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
