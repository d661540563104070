/* The pool of engines, on a libuv loop.
 *
 * A zygote is starting, up or down. It starts, says READY or REFUSED, and is started again when it dies: at
 * once the first time, then ever later. At a reload a second one is started beside it, which takes its place
 * when it is READY; the old one is retired, and ends when its runs are over. Its process is watched by pidfd;
 * whatever else goes wrong with it (a bad message, a start that takes too long, a run that never gets a
 * child) is turned into that one event by killing it.
 *
 * A run is QUEUED (its zygote isn't up), SENT, RUNNING (its child has a pidfd), ORPHANED (its zygote died;
 * the child will follow) or ENDED. There is one way out of each state, run_conclude(), and done() is only
 * ever called from a timer that run_conclude() starts: never within a call of ours, so that whoever is called
 * may do anything, free the pool included. Changes of state are announced the same way.
 *
 * Nothing a child says counts before its process is gone: until then it could still write to its output. Only
 * who asks for the result at once has it earlier, and must take a copy. */
#include "engine/client.h"
#include "engine/catalogue.h"
#include "engine/client_parts.h"
#include "engine/handles.h"
#include "engine/launch.h"
#include "engine/launcher.h"
#include "engine/protocol.h"

#include "core/clock.h"
#include "core/str.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 10000,
    KILLED_STARTS_MAX = 3,
    STEADY_MS = 10000,       /* up for so long: the next death starts from the first back-off again */
    WARM_UP_MAX_MS = 300000, /* from the start to READY: 3 s when idle, a hundred on a busy machine */
    KILL_WAIT_MS = 5000,     /* for killed processes at engine_pool_free */
};

static void start_zygote(struct zygote *z);

/* --- the zygote */

static void on_announce(uv_timer_t *timer)
{
    struct engine_pool *p = timer->data;

    if (p->on_change)
        p->on_change(p->on_change_arg);
}

static void set_state(struct zygote *z, enum engine_state state, const char *why)
{
    z->state = state;
    snprintf(z->why, sizeof z->why, "%s", why);
    uv_timer_start(z->pool->announcement, on_announce, 0, 0);
}

static bool has_runs(const struct zygote *z)
{
    for (const struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == z)
            return true;
    return false;
}

/* What waits for the old one is taken over; what it has begun it ends. */
static void take_place(struct zygote *z)
{
    struct zygote *old = TAKE_PTR(z->replaces);

    old->retired = true;
    z->restarts += old->restarts;
    uv_timer_stop(old->timer);
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == old && r->state == QUEUED)
            r->zygote = z;
    zygote_dismiss_retired(z->pool);
}

static int take_ready(struct zygote *z, struct msg *m)
{
    uint64_t protocol = msg_get_u64(m, UINT64_MAX);

    if (protocol != ENGINE_PROTOCOL) {
        snprintf(z->said, sizeof z->said,
                 "decant-engine-%s is of another version than this program (it speaks protocol %llu, and not "
                 "%d): install both together",
                 z->name, (unsigned long long)protocol, ENGINE_PROTOCOL);
        return -EPROTO;
    }

    uint64_t layers = msg_get_u64(m, UINT32_MAX);
    const char *version = msg_get_str(m);

    if (msg_done(m) < 0 || z->up_since_ms)
        return -EBADMSG;
    z->layers = (unsigned)layers;
    snprintf(z->version, sizeof z->version, "%s", version);
    z->up_since_ms = clock_mono_ms();
    z->killed_starts = 0;
    z->sandbox_refused = false;
    uv_timer_stop(z->timer);
    set_state(z, ENGINE_UP, "");
    if (z->replaces)
        take_place(z);
    zygote_pump(z);
    return 0;
}

static int take_refused(struct zygote *z, struct msg *m)
{
    uint64_t sandbox = msg_get_u64(m, 1);
    const char *why = msg_get_str(m);

    if (msg_done(m) < 0 || z->up_since_ms)
        return -EBADMSG;
    z->sandbox_refused = sandbox;
    snprintf(z->said, sizeof z->said, "%s", why);
    return 0;
}

static int take_message(struct zygote *z, struct msg *m)
{
    switch (m->type) {
    case ENGINE_READY:
        return take_ready(z, m);
    case ENGINE_REFUSED:
        return take_refused(z, m);
    case ENGINE_SPAWNED:
        return run_take_spawned(z, m);
    case ENGINE_EXITED:
        return run_take_exited(z, m);
    default:
        return -EBADMSG;
    }
}

/* 0 when all that was there is read; -EPIPE at the end; -EBADMSG for nonsense; -EPROTO for one that is not to
 * be talked to, with the reason in z->said. */
static int drain_control(struct zygote *z)
{
    for (;;) {
        struct msg m;
        int e = msg_recv(z->control, &m);

        if (e < 0)
            return e == -EAGAIN ? 0 : e;
        e = take_message(z, &m);
        msg_free(&m);
        if (e < 0)
            return e;
    }
}

static void on_control(uv_poll_t *handle, int status, int events)
{
    struct zygote *z = handle->data;

    if (drain_control(z) < 0) {
        launcher_kill(z->pool->launcher, z->pidfd);
        handle_unwatch(&z->control_watch);
    } else if (z->state == ENGINE_UP) {
        zygote_pump(z);
    }
}

/* Sends what waits for this zygote, oldest first. */
void zygote_pump(struct zygote *z)
{
    int e = 0;

    for (struct engine_run *r = z->pool->runs; r && e != -EAGAIN; r = r->next) {
        if (r->zygote != z || r->state != QUEUED)
            continue;
        e = run_send(r);
        /* A zygote that is going down is not the run's fault: it waits for the next one. */
        if (e < 0 && e != -EAGAIN && e != -EPIPE)
            run_conclude(r, OUTCOME_INTERNAL);
    }
    if (z->control_watch)
        uv_poll_start(z->control_watch, UV_READABLE | (e == -EAGAIN ? UV_WRITABLE : 0), on_control);
}

static void on_backoff_over(uv_timer_t *timer)
{
    start_zygote(timer->data);
}

static void start_later(struct zygote *z, bool was_steady)
{
    if (was_steady || z->backoff_ms == 0)
        z->backoff_ms = BACKOFF_FIRST_MS;
    uv_timer_start(z->timer, on_backoff_over, z->backoff_ms, 0);
    z->backoff_ms = z->backoff_ms * 2 < BACKOFF_LAST_MS ? z->backoff_ms * 2 : BACKOFF_LAST_MS;
}

/* It never came up: whoever waits for it is told. */
static void go_down(struct zygote *z, const char *why)
{
    set_state(z, ENGINE_DOWN, why);
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == z && r->state == QUEUED)
            run_conclude(r, OUTCOME_INTERNAL);
    start_later(z, false);
}

static void forget_process(struct zygote *z)
{
    handle_unwatch(&z->pidfd_watch);
    handle_unwatch(&z->control_watch);
    handle_close_fd(&z->pidfd);
    handle_close_fd(&z->control);
    z->pid = 0;
}

static void describe_death(struct zygote *z, int status)
{
    z->sandbox_refused = false;
    if (WIFSIGNALED(status))
        snprintf(z->said, sizeof z->said, "the engine was ended by signal %d while it started",
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) == LAUNCH_EXIT_EXEC)
        snprintf(z->said, sizeof z->said, "the program decant-engine-%s could not be executed", z->name);
    else
        snprintf(z->said, sizeof z->said, "the engine ended with status %d while it started",
                 WEXITSTATUS(status));
}

static void free_zygote(struct zygote *z)
{
    for (struct zygote **at = &z->pool->zygotes; *at; at = &(*at)->next)
        if (*at == z) {
            *at = z->next;
            break;
        }
    forget_process(z);
    handle_free_timer(&z->timer);
    free(z);
}

void zygote_dismiss_retired(struct engine_pool *p)
{
    for (struct zygote *z = p->zygotes, *next; z; z = next) {
        next = z->next;
        if (!z->retired || has_runs(z))
            continue;
        if (z->pid)
            launcher_kill(z->pool->launcher, z->pidfd); /* on_zygote_gone comes back here */
        else
            free_zygote(z);
    }
}

/* The one that it should have replaced stays. */
static void give_replacement_up(struct zygote *z)
{
    set_state(z->replaces, z->replaces->state, z->said);
    free_zygote(z);
}

static void orphan_runs(struct zygote *z)
{
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == z && (r->state == SENT || r->state == RUNNING))
            run_orphan(r);
}

static void on_zygote_gone(uv_poll_t *handle, int poll_status, int events)
{
    struct zygote *z = handle->data;
    uint64_t up_since_ms;
    int status = 0;

    /* Its last words: results of children, or a refusal. What doesn't decode changes nothing now. */
    if (z->control >= 0 && drain_control(z) == -EBADMSG)
        z->said[0] = '\0';
    if (launcher_reap(z->pool->launcher, z->pid, &status) < 0)
        status = SIGKILL; /* it went with the launcher */
    forget_process(z);
    up_since_ms = z->up_since_ms;
    z->up_since_ms = 0;
    if (z->retired) {
        orphan_runs(z);
        zygote_dismiss_retired(z->pool);
        return;
    }
    if (up_since_ms) {
        z->restarts++;
        set_state(z, ENGINE_STARTING, "");
        start_later(z, clock_mono_ms() - up_since_ms > STEADY_MS);
    } else {
        /* Killed from outside (short of memory, an operator) is no word of its own: that is worth another
         * try. */
        bool killed = !z->said[0] && WIFSIGNALED(status);

        if (!z->said[0])
            describe_death(z, status);
        if (z->replaces) {
            give_replacement_up(z);
            return;
        }
        if (killed && ++z->killed_starts < KILLED_STARTS_MAX)
            start_later(z, false);
        else
            go_down(z, z->said);
    }
    orphan_runs(z);
}

static void on_warm_up_too_long(uv_timer_t *timer)
{
    struct zygote *z = timer->data;

    snprintf(z->said, sizeof z->said, "the engine was not ready within %d s", WARM_UP_MAX_MS / 1000);
    launcher_kill(z->pool->launcher, z->pidfd);
}

static int watch_zygote(struct zygote *z)
{
    int r = handle_watch(z->pool->loop, z->pidfd, on_zygote_gone, z, &z->pidfd_watch);

    return r < 0 ? r : handle_watch(z->pool->loop, z->control, on_control, z, &z->control_watch);
}

static void await(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};

    if (pidfd >= 0)
        poll(&fd, 1, KILL_WAIT_MS);
}

/* Killed, and gone. */
static void end_zygote(struct zygote *z)
{
    int status;

    launcher_kill(z->pool->launcher, z->pidfd);
    if (launcher_reap(z->pool->launcher, z->pid, &status) < 0)
        await(z->pidfd);
    z->pid = 0;
}

static void start_zygote(struct zygote *z)
{
    struct launched process;
    int r = launcher_launch(z->pool->launcher, z->name, &process);

    z->said[0] = '\0';
    if (r == 0) {
        z->pid = process.pid;
        z->pidfd = process.pidfd;
        z->control = process.control;
        r = watch_zygote(z);
        if (r < 0) {
            end_zygote(z);
            forget_process(z);
        }
    }
    if (r < 0) {
        snprintf(z->said, sizeof z->said, "decant-engine-%s can't be started: %s", z->name, strerror(-r));
        if (z->replaces)
            give_replacement_up(z);
        else
            go_down(z, z->said);
        return;
    }
    uv_timer_start(z->timer, on_warm_up_too_long, WARM_UP_MAX_MS, 0);
}

/* --- the pool */

/* At the end of the list. */
static struct zygote *new_zygote(struct engine_pool *p, const char *name)
{
    struct zygote *z = calloc(1, sizeof *z), **end = &p->zygotes;

    if (!z)
        return NULL;
    *z = (struct zygote){.pool = p, .name = name, .pidfd = -1, .control = -1};
    z->timer = handle_new_timer(p->loop, z);
    if (!z->timer) {
        free(z);
        return NULL;
    }
    while (*end)
        end = &(*end)->next;
    *end = z;
    return z;
}

static int init_zygotes(struct engine_pool *p, const char *const *names)
{
    p->announcement = handle_new_timer(p->loop, p);
    if (!p->announcement)
        return -ENOMEM;
    for (; *names; names++)
        if (!new_zygote(p, *names))
            return -ENOMEM;
    return 0;
}

int engine_pool_new(uv_loop_t *loop, const struct settings *settings, const char *const *engines,
                    struct engine_pool **ret)
{
    struct engine_pool *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return -ENOMEM;
    *p = (struct engine_pool){.loop = loop, .settings = settings, .next_run = 1};
    r = launcher_start(settings, &p->launcher);
    if (r == 0)
        r = init_zygotes(p, engines ? engines : catalogue_engines());
    if (r < 0) {
        engine_pool_free(p);
        return r;
    }
    for (struct zygote *z = p->zygotes, *next; z; z = next) {
        next = z->next;
        start_zygote(z);
    }
    *ret = p;
    return 0;
}

static bool is_being_replaced(const struct zygote *old)
{
    for (const struct zygote *z = old->pool->zygotes; z; z = z->next)
        if (z->replaces == old)
            return true;
    return false;
}

void engine_pool_reload(struct engine_pool *p)
{
    for (struct zygote *old = p->zygotes, *next; old; old = next) {
        struct zygote *z;

        next = old->next;
        /* One that isn't up is being started anyway. */
        if (old->retired || old->state != ENGINE_UP || is_being_replaced(old))
            continue;
        z = new_zygote(p, old->name);
        if (!z)
            continue;
        z->replaces = old;
        start_zygote(z);
    }
}

/* Children first: a zygote that dies before them would take them along too, but later than we return. */
static void kill_all(struct engine_pool *p)
{
    for (struct engine_run *r = p->runs; r; r = r->next)
        launcher_kill(r->pool->launcher, r->pidfd);
    for (struct zygote *z = p->zygotes; z; z = z->next)
        launcher_kill(z->pool->launcher, z->pidfd);
    for (struct engine_run *r = p->runs; r; r = r->next)
        await(r->pidfd);
    for (struct zygote *z = p->zygotes; z; z = z->next)
        if (z->pid)
            end_zygote(z);
}

void engine_pool_free(struct engine_pool *p)
{
    if (!p)
        return;
    kill_all(p);
    while (p->runs) {
        struct engine_run *r = p->runs;

        if (r->state != ENDED)
            r->outcome = OUTCOME_INTERNAL;
        run_call_done(r);
    }
    while (p->zygotes)
        free_zygote(p->zygotes);
    handle_free_timer(&p->announcement);
    launcher_free(p->launcher);
    free(p);
}

struct zygote *zygote_find(const struct engine_pool *p, const char *name)
{
    for (struct zygote *z = p->zygotes; z; z = z->next)
        if (!z->retired && !z->replaces && str_eq(z->name, name))
            return z;
    return NULL;
}

bool engine_pool_info(const struct engine_pool *p, const char *engine, struct engine_info *ret)
{
    const struct zygote *z = zygote_find(p, engine);

    if (!z)
        return false;
    *ret = (struct engine_info){.name = z->name,
                                .version = z->version,
                                .why = z->why,
                                .state = z->state,
                                .layers = z->layers,
                                .restarts = z->restarts,
                                .sandbox_refused = z->sandbox_refused};
    return true;
}

bool engine_pool_lost(const struct engine_pool *p)
{
    return launcher_lost(p->launcher);
}

void engine_pool_on_change(struct engine_pool *p, void (*fn)(void *arg), void *arg)
{
    p->on_change = fn;
    p->on_change_arg = arg;
}
