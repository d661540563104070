#include "worker/claimer.h"

#include "core/log.h"
#include "core/str.h"

#include <assert.h>
#include <errno.h>

enum { TICK_MS = 1000, CHECK_TICKS = 5 };

struct claimer {
    struct claimer_config config;
    struct queue *queue;
    struct queue_bell *bell;
    uv_timer_t tick;
    unsigned ticks;
    struct runner **running; /* `slots` places, the first n_running taken */
    unsigned n_running;
    unsigned limit;
    unsigned paused; /* the queues that it leaves alone */
    bool claiming;   /* a claim is on its way */
    bool finishing;  /* no more claims */
    bool leaving;    /* the lease is being given up */
    unsigned missed; /* refreshes that Redis did not answer, of late */
    claimer_fn *idle;
    void *idle_arg;
};

static void on_left(void *arg, int err)
{
    struct claimer *c = arg;

    c->idle(c->idle_arg);
}

static void leave_when_idle(struct claimer *c)
{
    if (!c->finishing || c->leaving || c->claiming || c->n_running > 0)
        return;
    c->leaving = true;
    uv_timer_stop(&c->tick);
    queue_goodbye(c->queue, c->config.worker, on_left, c);
}

static void claim_more(struct claimer *c);

static unsigned open_queues(const struct claimer *c)
{
    return shares_open(c->config.context->shares) & ~c->paused;
}

static void on_over(void *arg, struct runner *r)
{
    struct claimer *c = arg;
    unsigned i = 0;

    while (i < c->n_running && c->running[i] != r)
        i++;
    assert(i < c->n_running);
    c->running[i] = c->running[--c->n_running];
    claim_more(c);
    leave_when_idle(c);
}

static void on_claim(void *arg, int err, struct queue_claim *claim)
{
    struct claimer *c = arg;

    c->claiming = false;
    if (err == 0) {
        unsigned from = claim->queue;
        struct runner *r = runner_start(c->config.context, c->config.worker, claim, on_over, c);

        c->running[c->n_running++] = r;
        if (c->finishing || c->paused & from)
            runner_release(r);
        claim_more(c);
    } else if (err == -EAGAIN && !c->finishing) {
        queue_bell_arm(c->bell, open_queues(c));
    }
    leave_when_idle(c);
}

static void claim_more(struct claimer *c)
{
    unsigned queues = open_queues(c);

    if (c->claiming || c->finishing || queues == 0 || c->n_running >= c->limit)
        return;
    c->claiming = true;
    queue_claim(c->queue, c->config.worker, queues, on_claim, c);
}

static void on_bell(void *arg, int err)
{
    claim_more(arg);
}

static void on_refreshed(void *arg, int err)
{
    struct claimer *c = arg;
    bool away = err != 0 && err != -ESTALE;

    if (err == -ESTALE)
        for (unsigned i = 0; i < c->n_running; i++)
            runner_check_claim(c->running[i]);
    /* The first may come before the connection is there, when many engines start at once. */
    if (away && c->missed == 1)
        log_warn("the queue can't be reached", LOG_E(err));
    if (!away && c->missed > 1)
        log_info("the queue can be reached again");
    c->missed = away ? c->missed + 1 : 0;
}

static void on_tick(uv_timer_t *timer)
{
    struct claimer *c = timer->data;

    queue_refresh(c->queue, c->config.worker, on_refreshed, c);
    queue_reap(c->queue, NULL, NULL);
    queue_due(c->queue, NULL, NULL);
    claim_more(c); /* the safety net below the bell */
    /* Whose session expires is told by nobody, and a conversion without progress wouldn't ask. */
    if (++c->ticks % CHECK_TICKS == 0)
        claimer_check_jobs(c);
}

int claimer_new(const struct claimer_config *config, struct claimer **ret)
{
    _cleanup_free_ struct claimer *c = calloc(1, sizeof *c);
    _cleanup_free_ struct runner **running = calloc(config->slots, sizeof(struct runner *));
    uv_loop_t *loop = config->context->loop;
    int r;

    if (!c || !running)
        return -ENOMEM;
    c->config = *config;
    c->queue = config->context->queue;
    c->limit = config->slots;
    r = queue_bell_new(loop, c->queue, config->redis, on_bell, c, &c->bell);
    if (r < 0)
        return r;
    c->running = TAKE_PTR(running);
    uv_timer_init(loop, &c->tick);
    c->tick.data = c;
    *ret = TAKE_PTR(c);
    return 0;
}

void claimer_start(struct claimer *c)
{
    if (!c->finishing)
        uv_timer_start(&c->tick, on_tick, 0, TICK_MS);
}

unsigned claimer_running(const struct claimer *c)
{
    return c->n_running;
}

void claimer_each(const struct claimer *c, void (*fn)(void *arg, struct runner *r), void *arg)
{
    for (unsigned i = 0; i < c->n_running; i++)
        fn(arg, c->running[i]);
}

unsigned claimer_limit(const struct claimer *c)
{
    return c->limit;
}

/* The next tick, or the end of a task, claims for what is free now. */
void claimer_set_limit(struct claimer *c, unsigned limit)
{
    c->limit = limit;
}

unsigned claimer_queues(const struct claimer *c)
{
    return shares_queues(c->config.context->shares);
}

unsigned claimer_consumes(const struct claimer *c)
{
    return claimer_queues(c) & ~c->paused;
}

void claimer_consume(struct claimer *c, unsigned queues, bool on)
{
    c->paused = on ? c->paused & ~queues : c->paused | queues;
}

unsigned claimer_scanning(const struct claimer *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->n_running; i++)
        n += runner_is_scanning(c->running[i]);
    return n;
}

void claimer_finish(struct claimer *c, claimer_fn *idle, void *arg)
{
    c->finishing = true;
    c->idle = idle;
    c->idle_arg = arg;
    leave_when_idle(c);
}

void claimer_release(struct claimer *c)
{
    for (unsigned i = 0; i < c->n_running; i++)
        runner_release(c->running[i]);
}

void claimer_stop(struct claimer *c, const char *id)
{
    for (unsigned i = 0; i < c->n_running; i++)
        if (str_eq(runner_job_id(c->running[i]), id) || str_eq(runner_claim(c->running[i])->id, id))
            runner_stop(c->running[i]);
}

void claimer_check_jobs(struct claimer *c)
{
    for (unsigned i = 0; i < c->n_running; i++)
        runner_check(c->running[i]);
}

static void on_closed(uv_handle_t *handle)
{
    struct claimer *c = handle->data;

    free(c->running);
    free(c);
}

void claimer_free(struct claimer *c)
{
    queue_bell_free(c->bell);
    uv_close((uv_handle_t *)&c->tick, on_closed);
}
