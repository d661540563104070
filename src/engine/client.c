/* The pool of engines, on a libuv loop.
 *
 * A zygote is starting, up or down. It starts, says READY or REFUSED, and is started again when it dies: at
 * once the first time, then ever later. Its process is watched by pidfd; whatever else goes wrong with it (a
 * bad message, a start that takes too long, a run that never gets a child) is turned into that one event by
 * killing it.
 *
 * A run is QUEUED (its zygote isn't up), SENT, RUNNING (its child has a pidfd), ORPHANED (its zygote died;
 * the child will follow) or ENDED. There is one way out of each state, conclude(), and done() is only ever
 * called from a timer that conclude() starts: never within a call of ours, so that whoever is called may do
 * anything, free the pool included. Changes of state are announced the same way.
 *
 * Nothing a child says counts before its process is gone: until then it could still write to its output. */
#include "engine/client.h"
#include "engine/catalogue.h"
#include "engine/launch.h"
#include "engine/protocol.h"
#include "engine/verdict.h"

#include "core/clock.h"
#include "core/msg.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 10000,
    STEADY_MS = 10000,       /* up for so long: the next death starts from the first back-off again */
    WARM_UP_MAX_MS = 120000, /* from the start to READY */
    SPAWN_MAX_MS = 30000,    /* from RUN to SPAWNED */
    KILL_WAIT_MS = 5000,     /* for killed processes at engine_pool_free */
};

struct engine_pool {
    uv_loop_t *loop;
    const struct settings *settings;
    struct zygote *zygotes;
    size_t n_zygotes;
    struct engine_run *runs; /* oldest first */
    uint64_t next_run;
    uv_timer_t *announcement;
    void (*on_change)(void *arg);
    void *on_change_arg;
};

struct zygote {
    struct engine_pool *pool;
    const char *name;
    enum engine_state state;
    char version[128], why[512];
    unsigned layers;
    pid_t pid; /* 0: no process */
    int pidfd, control;
    uv_poll_t *pidfd_watch, *control_watch;
    uv_timer_t *timer; /* until READY: the deadline; without a process: the back-off */
    unsigned backoff_ms;
    uint64_t up_since_ms;
};

enum run_state { QUEUED, SENT, RUNNING, ORPHANED, ENDED };

struct engine_run {
    struct engine_pool *pool;
    struct engine_run *next;
    struct zygote *zygote; /* NULL: there is no such engine */
    enum run_state state;
    bool retried;
    uint64_t id;
    char *from, *to, *options, *input, *output;
    uint64_t timeout_ms;
    int job_fd, report, pidfd;
    uv_poll_t *report_watch, *pidfd_watch;
    uv_timer_t *timer;
    uint64_t started_ms, wall_ms;
    struct verdict_facts facts;
    uint64_t pages;
    char output_name[64], output_format[16];
    enum outcome outcome;
    engine_progress_fn *progress;
    engine_done_fn *done;
    void *arg;
};

static void start_zygote(struct zygote *z);
static void pump(struct zygote *z);

/* --- handles: on the heap, as libuv needs them until its close callback */

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void unwatch(uv_poll_t **watch)
{
    if (*watch)
        uv_close((uv_handle_t *)TAKE_PTR(*watch), free_handle);
}

static int watch(uv_loop_t *loop, int fd, uv_poll_cb fn, void *arg, uv_poll_t **ret)
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

static uv_timer_t *new_timer(uv_loop_t *loop, void *arg)
{
    uv_timer_t *timer = calloc(1, sizeof *timer);

    if (!timer)
        return NULL;
    uv_timer_init(loop, timer); /* can't fail */
    timer->data = arg;
    return timer;
}

static void free_timer(uv_timer_t **timer)
{
    if (*timer)
        uv_close((uv_handle_t *)TAKE_PTR(*timer), free_handle);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(TAKE_FD(*fd));
}

static void kill_pidfd(int pidfd)
{
    if (pidfd >= 0)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* --- the end of a run */

/* Back to what it was before it was sent. */
static void unsend(struct engine_run *r)
{
    unwatch(&r->report_watch);
    unwatch(&r->pidfd_watch);
    close_fd(&r->report);
    close_fd(&r->pidfd);
    uv_timer_stop(r->timer);
}

static void free_run(struct engine_run *r)
{
    unsend(r);
    close_fd(&r->job_fd);
    free_timer(&r->timer);
    free(r->from);
    free(r->to);
    free(r->options);
    free(r->input);
    free(r->output);
    free(r);
}

static void call_done(struct engine_run *r)
{
    struct engine_pool *p = r->pool;
    struct engine_report report = {
        .outcome = r->outcome,
        .output_name = r->output_name,
        .output_format = r->output_format,
        .pages = r->pages,
        .cpu_ms = r->facts.cpu_ms,
        .peak_kib = r->facts.peak_kib,
        .wall_ms = r->wall_ms,
        .version = r->zygote ? r->zygote->version : "",
        .layers = r->zygote ? r->zygote->layers : 0,
    };

    for (struct engine_run **at = &p->runs; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    r->done(r->arg, &report);
    free_run(r);
}

static void on_ended(uv_timer_t *timer)
{
    call_done(timer->data);
}

static void conclude(struct engine_run *r, enum outcome outcome)
{
    if (r->state == ENDED)
        return;
    if (r->started_ms)
        r->wall_ms = clock_mono_ms() - r->started_ms;
    unsend(r);
    r->state = ENDED;
    r->outcome = outcome;
    uv_timer_start(r->timer, on_ended, 0, 0);
}

/* --- what a child says */

static void misbehaves(struct engine_run *r)
{
    r->facts.misbehaved = true;
    kill_pidfd(r->pidfd);
    unwatch(&r->report_watch);
}

static bool name_is_harmless(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    return *name && *name != '.' && name[strspn(name, allowed)] == '\0';
}

static int take_result(struct engine_run *r, struct msg *m)
{
    enum outcome outcome = (enum outcome)msg_get_u64(m, OUTCOME_COUNT_ - 1);
    const char *name = msg_get_str(m), *format = msg_get_str(m);
    uint64_t pages = msg_get_u64(m, UINT32_MAX);

    if (msg_done(m) < 0 || r->facts.has_result || !verdict_may_report(outcome) ||
        strlen(name) >= sizeof r->output_name || strlen(format) >= sizeof r->output_format)
        return -EBADMSG;
    if (outcome == OUTCOME_OK && (!name_is_harmless(name) || !format_by_id(format)))
        return -EBADMSG;
    r->facts.has_result = true;
    r->facts.result = outcome;
    r->pages = pages;
    strcpy(r->output_name, outcome == OUTCOME_OK ? name : "");
    strcpy(r->output_format, outcome == OUTCOME_OK ? format : "");
    return 0;
}

static int take_progress(struct engine_run *r, struct msg *m)
{
    unsigned percent = (unsigned)msg_get_u64(m, 99);

    if (msg_done(m) < 0 || r->facts.has_result)
        return -EBADMSG;
    if (r->progress)
        r->progress(r->arg, percent);
    return 0;
}

/* All that has come so far. The end of the stream is no news: the process tells when it is gone. */
static int drain_report(struct engine_run *r, bool *ret_end)
{
    int e = 0;

    *ret_end = false;
    while (e == 0 && r->report >= 0) {
        struct msg m;

        e = msg_recv(r->report, &m);
        if (e == -EAGAIN)
            return 0;
        if (e == -EPIPE) {
            *ret_end = true;
            return 0;
        }
        if (e < 0)
            return e;
        if (m.n_fds > 0)
            e = -EBADMSG;
        else if (m.type == ENGINE_PROGRESS)
            e = take_progress(r, &m);
        else
            e = m.type == ENGINE_RESULT ? take_result(r, &m) : -EBADMSG;
        msg_free(&m);
    }
    return e;
}

static void settle_orphan(struct engine_run *r);

static void on_report(uv_poll_t *handle, int status, int events)
{
    struct engine_run *r = handle->data;
    bool end;

    if (drain_report(r, &end) < 0)
        misbehaves(r);
    else if (end)
        unwatch(&r->report_watch);
    /* A child that nobody told us about is gone when its end of the pair is. */
    if (!r->report_watch && r->state == ORPHANED && r->pidfd < 0)
        settle_orphan(r);
}

/* --- sending a run, and what the zygote says of it */

static void on_deadline(uv_timer_t *timer)
{
    struct engine_run *r = timer->data;

    if (r->state == RUNNING) {
        r->facts.timed_out = true;
        kill_pidfd(r->pidfd);
    } else if (r->state == SENT) {
        kill_pidfd(r->zygote->pidfd);
    }
}

static int make_message(struct engine_run *r, int report, struct msg *m)
{
    msg_init(m, ENGINE_RUN);
    msg_put_u64(m, r->id);
    msg_put_str(m, r->from);
    msg_put_str(m, r->to);
    msg_put_str(m, r->options);
    msg_put_str(m, r->input);
    msg_put_str(m, r->output);
    msg_put_u64(m, r->facts.cpu_limit_s);
    msg_put_fd(m, r->job_fd);
    msg_put_fd(m, report);
    return buf_error(&m->body);
}

/* 0, -EAGAIN when the zygote has too much to read, or another error. */
static int send_run(struct engine_run *r)
{
    struct zygote *z = r->zygote;
    _cleanup_msg_ struct msg m = {0};
    _cleanup_close_ int theirs = -1;
    int pair[2], e;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    r->report = pair[0];
    theirs = pair[1];
    r->id = r->pool->next_run++;
    e = make_message(r, theirs, &m);
    if (e == 0)
        e = watch(r->pool->loop, r->report, on_report, r, &r->report_watch);
    if (e == 0)
        e = msg_send(z->control, &m);
    if (e < 0) {
        unsend(r);
        return e;
    }
    r->state = SENT;
    uv_timer_start(r->timer, on_deadline, SPAWN_MAX_MS, 0);
    return 0;
}

static struct engine_run *find_run(struct zygote *z, uint64_t id)
{
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == z && r->id == id && (r->state == SENT || r->state == RUNNING))
            return r;
    return NULL;
}

static int take_spawned(struct zygote *z, struct msg *m)
{
    uint64_t id = msg_get_u64(m, UINT64_MAX);
    _cleanup_close_ int pidfd = -1;
    struct engine_run *r = find_run(z, id);

    msg_get_u64(m, INT32_MAX);
    pidfd = msg_take_fd(m);
    if (msg_done(m) < 0 || !r || r->state != SENT)
        return -EBADMSG;
    r->pidfd = TAKE_FD(pidfd);
    r->state = RUNNING;
    r->started_ms = clock_mono_ms();
    if (r->facts.cancelled || r->facts.misbehaved)
        kill_pidfd(r->pidfd);
    uv_timer_start(r->timer, on_deadline, r->timeout_ms, 0);
    return 0;
}

static int take_exited(struct zygote *z, struct msg *m)
{
    uint64_t id = msg_get_u64(m, UINT64_MAX), status = msg_get_u64(m, INT32_MAX);
    uint64_t cpu_ms = msg_get_u64(m, UINT64_MAX), peak_kib = msg_get_u64(m, UINT64_MAX);
    struct engine_run *r = find_run(z, id);
    bool end;

    if (msg_done(m) < 0 || !r)
        return -EBADMSG;
    r->facts.has_status = true;
    r->facts.status = (int)status;
    r->facts.cpu_ms = cpu_ms;
    r->facts.peak_kib = peak_kib;
    /* The report came by another socket, and may not have been read yet. */
    if (!r->facts.misbehaved && drain_report(r, &end) < 0)
        r->facts.misbehaved = true;
    conclude(r, verdict(&r->facts));
    return 0;
}

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
    if (why != z->why)
        snprintf(z->why, sizeof z->why, "%s", why);
    uv_timer_start(z->pool->announcement, on_announce, 0, 0);
}

static int take_ready(struct zygote *z, struct msg *m)
{
    uint64_t layers = msg_get_u64(m, UINT32_MAX);
    const char *version = msg_get_str(m);

    if (msg_done(m) < 0 || z->up_since_ms)
        return -EBADMSG;
    z->layers = (unsigned)layers;
    snprintf(z->version, sizeof z->version, "%s", version);
    z->up_since_ms = clock_mono_ms();
    uv_timer_stop(z->timer);
    set_state(z, ENGINE_UP, "");
    pump(z);
    return 0;
}

static int take_refused(struct zygote *z, struct msg *m)
{
    const char *why = msg_get_str(m);

    if (msg_done(m) < 0 || z->up_since_ms)
        return -EBADMSG;
    snprintf(z->why, sizeof z->why, "%s", why);
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
        return take_spawned(z, m);
    case ENGINE_EXITED:
        return take_exited(z, m);
    default:
        return -EBADMSG;
    }
}

/* 0 when all that was there is read; -EPIPE at the end; -EBADMSG for nonsense. */
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
        kill_pidfd(z->pidfd);
        unwatch(&z->control_watch);
    } else if (z->state == ENGINE_UP) {
        pump(z);
    }
}

/* Sends what waits for this zygote, oldest first. */
static void pump(struct zygote *z)
{
    int e = 0;

    for (struct engine_run *r = z->pool->runs; r && e != -EAGAIN; r = r->next) {
        if (r->zygote != z || r->state != QUEUED)
            continue;
        e = send_run(r);
        /* A zygote that is going down is not the run's fault: it waits for the next one. */
        if (e < 0 && e != -EAGAIN && e != -EPIPE)
            conclude(r, OUTCOME_INTERNAL);
    }
    if (z->control_watch)
        uv_poll_start(z->control_watch, UV_READABLE | (e == -EAGAIN ? UV_WRITABLE : 0), on_control);
}

/* The child of a run whose zygote died is gone too. */
static void settle_orphan(struct engine_run *r)
{
    bool end;

    if (!r->facts.misbehaved && drain_report(r, &end) < 0)
        r->facts.misbehaved = true;
    if (r->retried || r->facts.cancelled || r->facts.timed_out || r->facts.misbehaved ||
        r->facts.has_result) {
        conclude(r, verdict(&r->facts));
        return;
    }
    if (r->zygote->state == ENGINE_DOWN) {
        conclude(r, OUTCOME_INTERNAL);
        return;
    }
    unsend(r);
    r->retried = true;
    r->state = QUEUED;
    if (r->zygote->state == ENGINE_UP)
        pump(r->zygote);
}

static void on_orphan_gone(uv_poll_t *handle, int status, int events)
{
    settle_orphan(handle->data);
}

static void orphan(struct engine_run *r)
{
    r->state = ORPHANED;
    uv_timer_stop(r->timer);
    kill_pidfd(r->pidfd);
    if (r->pidfd >= 0) {
        if (watch(r->pool->loop, r->pidfd, on_orphan_gone, r, &r->pidfd_watch) < 0)
            conclude(r, OUTCOME_INTERNAL);
    } else if (!r->report_watch) {
        settle_orphan(r);
    }
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
            conclude(r, OUTCOME_INTERNAL);
    start_later(z, false);
}

static void forget_process(struct zygote *z)
{
    unwatch(&z->pidfd_watch);
    unwatch(&z->control_watch);
    close_fd(&z->pidfd);
    close_fd(&z->control);
    z->pid = 0;
}

static void describe_death(struct zygote *z, int status)
{
    if (WIFSIGNALED(status))
        snprintf(z->why, sizeof z->why, "the engine was ended by signal %d while it started",
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) == LAUNCH_EXIT_EXEC)
        snprintf(z->why, sizeof z->why, "the program decant-engine-%s could not be executed", z->name);
    else
        snprintf(z->why, sizeof z->why, "the engine ended with status %d while it started",
                 WEXITSTATUS(status));
}

static void on_zygote_gone(uv_poll_t *handle, int poll_status, int events)
{
    struct zygote *z = handle->data;
    uint64_t up_since_ms;
    int status = 0;

    /* Its last words: results of children, or a refusal. What doesn't decode changes nothing now. */
    if (z->control >= 0 && drain_control(z) == -EBADMSG)
        z->why[0] = '\0';
    if (waitpid(z->pid, &status, WNOHANG) == 0)
        return;
    forget_process(z);
    up_since_ms = z->up_since_ms;
    z->up_since_ms = 0;
    if (up_since_ms) {
        set_state(z, ENGINE_STARTING, "");
        start_later(z, clock_mono_ms() - up_since_ms > STEADY_MS);
    } else {
        if (!z->why[0])
            describe_death(z, status);
        go_down(z, z->why);
    }
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == z && (r->state == SENT || r->state == RUNNING))
            orphan(r);
}

static void on_warm_up_too_long(uv_timer_t *timer)
{
    struct zygote *z = timer->data;

    snprintf(z->why, sizeof z->why, "the engine was not ready within %d s", WARM_UP_MAX_MS / 1000);
    kill_pidfd(z->pidfd);
}

static int watch_zygote(struct zygote *z)
{
    int r;

    z->pidfd = (int)syscall(SYS_pidfd_open, z->pid, 0);
    if (z->pidfd < 0)
        return -errno;
    r = watch(z->pool->loop, z->pidfd, on_zygote_gone, z, &z->pidfd_watch);
    return r < 0 ? r : watch(z->pool->loop, z->control, on_control, z, &z->control_watch);
}

static void start_zygote(struct zygote *z)
{
    char why[128];
    int r = launch_engine(z->pool->settings, z->name, &z->pid, &z->control);

    z->why[0] = '\0';
    if (r == 0) {
        r = watch_zygote(z);
        if (r < 0) {
            kill(z->pid, SIGKILL);
            waitpid(z->pid, NULL, 0);
            forget_process(z);
        }
    }
    if (r < 0) {
        snprintf(why, sizeof why, "decant-engine-%s can't be started: %s", z->name, strerror(-r));
        go_down(z, why);
        return;
    }
    uv_timer_start(z->timer, on_warm_up_too_long, WARM_UP_MAX_MS, 0);
}

/* --- the pool */

static size_t count(const char *const *names)
{
    size_t n = 0;

    while (names[n])
        n++;
    return n;
}

static int init_zygotes(struct engine_pool *p, const char *const *names)
{
    size_t n = count(names);

    p->zygotes = calloc(n ? n : 1, sizeof *p->zygotes);
    p->announcement = new_timer(p->loop, p);
    if (!p->zygotes || !p->announcement)
        return -ENOMEM;
    for (; p->n_zygotes < n; p->n_zygotes++) {
        struct zygote *z = &p->zygotes[p->n_zygotes];

        *z = (struct zygote){.pool = p, .name = names[p->n_zygotes], .pidfd = -1, .control = -1};
        z->timer = new_timer(p->loop, z);
        if (!z->timer)
            return -ENOMEM;
    }
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
    r = init_zygotes(p, engines ? engines : catalogue_engines());
    if (r < 0) {
        engine_pool_free(p);
        return r;
    }
    for (size_t i = 0; i < p->n_zygotes; i++)
        start_zygote(&p->zygotes[i]);
    *ret = p;
    return 0;
}

static void await(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};

    if (pidfd >= 0)
        poll(&fd, 1, KILL_WAIT_MS);
}

/* Children first: a zygote that dies before them would take them along too, but later than we return. */
static void kill_all(struct engine_pool *p)
{
    for (struct engine_run *r = p->runs; r; r = r->next)
        kill_pidfd(r->pidfd);
    for (size_t i = 0; i < p->n_zygotes; i++)
        kill_pidfd(p->zygotes[i].pidfd);
    for (struct engine_run *r = p->runs; r; r = r->next)
        await(r->pidfd);
    for (size_t i = 0; i < p->n_zygotes; i++) {
        if (p->zygotes[i].pid)
            waitpid(p->zygotes[i].pid, NULL, 0);
    }
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
        call_done(r);
    }
    for (size_t i = 0; i < p->n_zygotes; i++) {
        forget_process(&p->zygotes[i]);
        free_timer(&p->zygotes[i].timer);
    }
    free_timer(&p->announcement);
    free(p->zygotes);
    free(p);
}

static struct zygote *find_zygote(const struct engine_pool *p, const char *name)
{
    for (size_t i = 0; i < p->n_zygotes; i++)
        if (str_eq(p->zygotes[i].name, name))
            return &p->zygotes[i];
    return NULL;
}

bool engine_pool_info(const struct engine_pool *p, const char *engine, struct engine_info *ret)
{
    const struct zygote *z = find_zygote(p, engine);

    if (!z)
        return false;
    *ret = (struct engine_info){
        .name = z->name, .version = z->version, .why = z->why, .state = z->state, .layers = z->layers};
    return true;
}

void engine_pool_on_change(struct engine_pool *p, void (*fn)(void *arg), void *arg)
{
    p->on_change = fn;
    p->on_change_arg = arg;
}

static int copy_request(struct engine_run *r, const struct engine_request *request)
{
    r->from = strdup(request->from);
    r->to = strdup(request->to);
    r->options = strdup(request->options ? request->options : "{}");
    r->input = strdup(request->input);
    r->output = strdup(request->output);
    r->timer = new_timer(r->pool->loop, r);
    r->job_fd = fcntl(request->job_fd, F_DUPFD_CLOEXEC, 0);
    return r->from && r->to && r->options && r->input && r->output && r->timer && r->job_fd >= 0 ? 0
                                                                                                 : -ENOMEM;
}

struct engine_run *engine_pool_run(struct engine_pool *p, const struct engine_request *request,
                                   engine_progress_fn *progress, engine_done_fn *done, void *arg)
{
    struct engine_run *r = calloc(1, sizeof *r), **end = &p->runs;

    if (!r)
        return NULL;
    *r = (struct engine_run){
        .pool = p,
        .zygote = find_zygote(p, request->engine),
        .state = QUEUED,
        .timeout_ms = request->timeout_ms,
        .job_fd = -1,
        .report = -1,
        .pidfd = -1,
        .facts = {.cpu_limit_s = (request->timeout_ms + 999) / 1000,
                  .memory_limit_bytes = p->settings->job_memory_bytes},
        .progress = progress,
        .done = done,
        .arg = arg,
    };
    if (copy_request(r, request) < 0) {
        if (r->timer)
            free_run(r);
        else
            free(r);
        return NULL;
    }
    while (*end)
        end = &(*end)->next;
    *end = r;
    if (!r->zygote || r->zygote->state == ENGINE_DOWN)
        conclude(r, OUTCOME_INTERNAL);
    else if (r->zygote->state == ENGINE_UP)
        pump(r->zygote);
    return r;
}

void engine_run_cancel(struct engine_run *r)
{
    r->facts.cancelled = true;
    if (r->state == ENDED)
        r->outcome = OUTCOME_CANCELLED;
    else if (r->state == QUEUED)
        conclude(r, OUTCOME_CANCELLED);
    else
        kill_pidfd(r->pidfd);
}
