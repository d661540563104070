/* One run: from the request to done(). client.c says which states it goes through. */
#include "engine/client_parts.h"
#include "engine/handles.h"
#include "engine/launcher.h"
#include "engine/protocol.h"

#include "core/clock.h"
#include "format/format.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { SPAWN_MAX_MS = 30000 /* from RUN to SPAWNED */ };

/* --- the end of a run */

/* Back to what it was before it was sent. */
static void unsend(struct engine_run *r)
{
    handle_unwatch(&r->report_watch);
    handle_unwatch(&r->pidfd_watch);
    handle_close_fd(&r->report);
    handle_close_fd(&r->pidfd);
    uv_timer_stop(r->timer);
}

static void free_run(struct engine_run *r)
{
    unsend(r);
    handle_close_fd(&r->job_fd);
    handle_free_timer(&r->timer);
    free(r->from);
    free(r->to);
    cleanup_secret(&r->options);
    free(r->input);
    free(r->output);
    free(r);
}

/* Without the process that starts engines nothing was learnt of the file: the next worker may convert it. */
static bool is_transient(const struct engine_run *r)
{
    const struct verdict_facts *f = &r->facts;

    if (launcher_lost(r->pool->launcher) && !f->has_status)
        return !f->has_result && !f->cancelled && !f->timed_out && !f->misbehaved;
    return verdict_is_transient(f);
}

static struct engine_report make_report(const struct engine_run *r)
{
    return (struct engine_report){
        .outcome = r->outcome,
        .output_name = r->output_name,
        .output_format = r->output_format,
        .pages = r->pages,
        .pss_kib = r->pss_kib,
        .timeout_ms = r->deadline_ms,
        .cpu_ms = r->facts.cpu_ms,
        .peak_kib = r->facts.peak_kib,
        .wall_ms = r->wall_ms,
        .fonts = r->fonts.known ? &r->fonts : NULL,
        .version = r->zygote ? r->zygote->version : "",
        .layers = r->zygote ? r->zygote->layers : 0,
        .transient = is_transient(r),
        .forbidden_call =
            r->facts.has_status && WIFSIGNALED(r->facts.status) && WTERMSIG(r->facts.status) == SIGSYS,
    };
}

void run_call_done(struct engine_run *r)
{
    struct engine_pool *p = r->pool;
    char version[sizeof r->zygote->version] = "";
    struct engine_report report = make_report(r);

    if (r->zygote)
        memcpy(version, r->zygote->version, sizeof version);
    report.version = version;
    for (struct engine_run **at = &p->runs; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    zygote_dismiss_retired(p);
    r->done(r->arg, &report);
    free_run(r);
}

static void on_ended(uv_timer_t *timer)
{
    run_call_done(timer->data);
}

/* Once, for every run that ends well. What the child says after it is of no interest. */
static void call_result(struct engine_run *r)
{
    struct engine_report report = make_report(r);

    if (!r->result || !r->facts.has_result || verdict(&r->facts) != OUTCOME_OK)
        return;
    launcher_kill(r->pool->launcher, r->pidfd);
    report.outcome = OUTCOME_OK;
    report.cpu_ms = r->said_cpu_ms;
    report.peak_kib = r->said_peak_kib;
    report.wall_ms = r->started_ms ? clock_mono_ms() - r->started_ms : 0;
    TAKE_PTR(r->result)(r->arg, &report);
}

void run_conclude(struct engine_run *r, enum outcome outcome)
{
    if (r->state == ENDED)
        return;
    if (outcome == OUTCOME_OK)
        call_result(r);
    if (r->started_ms)
        r->wall_ms = clock_mono_ms() - r->started_ms;
    unsend(r);
    r->state = ENDED;
    r->outcome = outcome;
    uv_timer_start(r->timer, on_ended, 0, 0);
}

static void on_deadline(uv_timer_t *timer)
{
    struct engine_run *r = timer->data;

    if (r->state == RUNNING) {
        r->facts.timed_out = true;
        launcher_kill(r->pool->launcher, r->pidfd);
    } else if (r->state == SENT) {
        launcher_kill(r->pool->launcher, r->zygote->pidfd);
    }
}

/* --- what a child says */

static void misbehaves(struct engine_run *r)
{
    r->facts.misbehaved = true;
    launcher_kill(r->pool->launcher, r->pidfd);
    handle_unwatch(&r->report_watch);
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
    uint64_t pages = msg_get_u64(m, UINT32_MAX), pss_kib = msg_get_u64(m, UINT64_MAX >> 10);
    uint64_t cpu_ms = msg_get_u64(m, UINT64_MAX), peak_kib = msg_get_u64(m, UINT64_MAX >> 10);

    if (msg_done(m) < 0 || r->facts.has_result || !verdict_may_report(outcome) ||
        strlen(name) >= sizeof r->output_name || strlen(format) >= sizeof r->output_format)
        return -EBADMSG;
    if (outcome == OUTCOME_OK && (!name_is_harmless(name) || !format_by_id(format)))
        return -EBADMSG;
    r->facts.has_result = true;
    r->facts.result = outcome;
    r->pages = pages;
    r->pss_kib = pss_kib;
    r->said_cpu_ms = cpu_ms;
    r->said_peak_kib = peak_kib;
    snprintf(r->output_name, sizeof r->output_name, "%s", outcome == OUTCOME_OK ? name : "");
    snprintf(r->output_format, sizeof r->output_format, "%s", outcome == OUTCOME_OK ? format : "");
    return 0;
}

static int take_begun(struct engine_run *r, struct msg *m)
{
    if (msg_done(m) < 0 || r->facts.begun)
        return -EBADMSG;
    r->facts.begun = true;
    return 0;
}

static int take_allocation_failed(struct engine_run *r, struct msg *m)
{
    r->facts.allocation_failed = true;
    return msg_done(m);
}

/* A child that lies gets no more time than the largest file may have. */
static int take_pages(struct engine_run *r, struct msg *m)
{
    uint64_t pages = msg_get_u64(m, UINT32_MAX), more, taken;

    if (msg_done(m) < 0 || r->pages_told || r->facts.has_result)
        return -EBADMSG;
    r->pages_told = true;
    if (__builtin_mul_overflow(pages, r->timeout_page_ms, &more) || more > r->timeout_most_ms - r->timeout_ms)
        more = r->timeout_most_ms - r->timeout_ms;
    r->deadline_ms = r->timeout_ms + more;
    if (r->state != RUNNING ||
        r->facts.timed_out) /* SPAWNED, which comes by another socket, starts the timer */
        return 0;
    taken = clock_mono_ms() - r->started_ms;
    uv_update_time(r->pool->loop);
    uv_timer_start(r->timer, on_deadline, r->deadline_ms > taken ? r->deadline_ms - taken : 0, 0);
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

static int take_fonts(struct engine_run *r, struct msg *m)
{
    const char *text = msg_get_str(m);

    if (msg_done(m) < 0 || r->fonts_told || r->facts.has_result)
        return -EBADMSG;
    r->fonts_told = true;
    /* What they were worth to the reader is gone with them, but the result is judged by itself. */
    (void)!fonts_parse(text, &r->fonts);
    return 0;
}

static int take_report(struct engine_run *r, struct msg *m)
{
    switch (m->type) {
    case ENGINE_BEGUN:
        return take_begun(r, m);
    case ENGINE_ALLOCATION_FAILED:
        return take_allocation_failed(r, m);
    case ENGINE_PAGES:
        return take_pages(r, m);
    case ENGINE_PROGRESS:
        return take_progress(r, m);
    case ENGINE_RESULT:
        return take_result(r, m);
    case ENGINE_FONTS:
        return take_fonts(r, m);
    default:
        return -EBADMSG;
    }
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
        e = m.n_fds > 0 ? -EBADMSG : take_report(r, &m);
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
        handle_unwatch(&r->report_watch);
    if (r->state == RUNNING)
        call_result(r);
    /* A child that nobody told us about is gone when its end of the pair is. */
    if (!r->report_watch && r->state == ORPHANED && r->pidfd < 0)
        settle_orphan(r);
}

/* --- sending a run, and what the zygote says of it */

/* Into the pair, whose other end then travels to the child. */
static int send_job(struct engine_run *r)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_JOB);
    msg_put_u64(&m, r->task);
    msg_put_str(&m, r->from);
    msg_put_str(&m, r->to);
    msg_put_str(&m, r->options);
    msg_put_str(&m, r->input);
    msg_put_str(&m, r->output);
    msg_put_u64(&m, r->facts.cpu_limit_s);
    msg_put_fd(&m, r->job_fd);
    return msg_send(r->report, &m);
}

static int send_run(struct engine_run *r, int report)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_RUN);
    msg_put_u64(&m, r->id);
    msg_put_fd(&m, report);
    return msg_send(r->zygote->control, &m);
}

/* 0, -EAGAIN when the zygote has too much to read, or another error. */
int run_send(struct engine_run *r)
{
    _cleanup_close_ int theirs = -1;
    int pair[2], e;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    r->report = pair[0];
    theirs = pair[1];
    r->id = r->pool->next_run++;
    e = send_job(r);
    if (e == -EAGAIN) /* an empty socket that is too small for it will not get larger */
        e = -EMSGSIZE;
    if (e == 0)
        e = handle_watch(r->pool->loop, r->report, on_report, r, &r->report_watch);
    if (e == 0)
        e = send_run(r, theirs);
    if (e < 0) {
        unsend(r);
        return e;
    }
    r->state = SENT;
    uv_timer_start(r->timer, on_deadline, SPAWN_MAX_MS, 0);
    return 0;
}

static struct engine_run *run_find(struct zygote *z, uint64_t id)
{
    for (struct engine_run *r = z->pool->runs; r; r = r->next)
        if (r->zygote == z && r->id == id && (r->state == SENT || r->state == RUNNING))
            return r;
    return NULL;
}

int run_take_spawned(struct zygote *z, struct msg *m)
{
    uint64_t id = msg_get_u64(m, UINT64_MAX);
    _cleanup_close_ int pidfd = -1;
    struct engine_run *r = run_find(z, id);

    msg_get_u64(m, INT32_MAX);
    pidfd = msg_take_fd(m);
    if (msg_done(m) < 0 || !r || r->state != SENT)
        return -EBADMSG;
    r->pidfd = TAKE_FD(pidfd);
    r->state = RUNNING;
    r->started_ms = clock_mono_ms();
    if (r->facts.cancelled || r->facts.misbehaved)
        launcher_kill(r->pool->launcher, r->pidfd);
    uv_update_time(r->pool->loop); /* or the deadline counts from when this turn of the loop began */
    uv_timer_start(r->timer, on_deadline, r->deadline_ms, 0);
    call_result(r); /* it may have been read before this */
    return 0;
}

/* From the beginning, by the zygote that is now there for it. */
static void try_again(struct engine_run *r)
{
    if (r->zygote->retired)
        r->zygote = zygote_find(r->pool, r->zygote->name);
    if (r->zygote->state == ENGINE_DOWN) {
        run_conclude(r, OUTCOME_INTERNAL);
        return;
    }
    unsend(r);
    r->facts.has_status = r->facts.begun = r->facts.allocation_failed = false;
    r->pages_told = r->fonts_told = false;
    r->fonts = (struct font_list){0};
    r->deadline_ms = r->timeout_ms;
    r->retried = true;
    r->state = QUEUED;
    if (r->zygote->state == ENGINE_UP)
        zygote_pump(r->zygote);
}

int run_take_exited(struct zygote *z, struct msg *m)
{
    uint64_t id = msg_get_u64(m, UINT64_MAX), status = msg_get_u64(m, INT32_MAX);
    uint64_t cpu_ms = msg_get_u64(m, UINT64_MAX), peak_kib = msg_get_u64(m, UINT64_MAX);
    bool out_of_memory = msg_get_u64(m, 1);
    struct engine_run *r = run_find(z, id);
    bool end;

    if (msg_done(m) < 0 || !r)
        return -EBADMSG;
    r->facts.has_status = true;
    r->facts.status = (int)status;
    r->facts.cpu_ms = cpu_ms;
    r->facts.peak_kib = peak_kib;
    r->facts.out_of_memory = out_of_memory;
    /* The report came by another socket, and may not have been read yet. */
    if (!r->facts.misbehaved && drain_report(r, &end) < 0)
        r->facts.misbehaved = true;
    if (!r->retried && verdict_is_no_fault_of_the_file(&r->facts))
        try_again(r);
    else
        run_conclude(r, verdict(&r->facts));
    return 0;
}

/* --- when the zygote has died */

/* The child of a run whose zygote died is gone too. */
static void settle_orphan(struct engine_run *r)
{
    bool end;

    if (!r->facts.misbehaved && drain_report(r, &end) < 0)
        r->facts.misbehaved = true;
    if (r->retried || r->facts.cancelled || r->facts.timed_out || r->facts.misbehaved ||
        r->facts.has_result) {
        run_conclude(r, verdict(&r->facts));
        return;
    }
    try_again(r);
}

static void on_orphan_gone(uv_poll_t *handle, int status, int events)
{
    settle_orphan(handle->data);
}

void run_orphan(struct engine_run *r)
{
    r->state = ORPHANED;
    uv_timer_stop(r->timer);
    launcher_kill(r->pool->launcher, r->pidfd);
    if (r->pidfd >= 0) {
        if (handle_watch(r->pool->loop, r->pidfd, on_orphan_gone, r, &r->pidfd_watch) < 0)
            run_conclude(r, OUTCOME_INTERNAL);
    } else if (!r->report_watch) {
        settle_orphan(r);
    }
}

/* --- asking for one */

static int copy_request(struct engine_run *r, const struct engine_request *request)
{
    r->from = strdup(request->from);
    r->to = strdup(request->to);
    r->options = strdup(request->options ? request->options : "{}");
    r->input = strdup(request->input);
    r->output = strdup(request->output);
    r->timer = handle_new_timer(r->pool->loop, r);
    r->job_fd = fcntl(request->job_fd, F_DUPFD_CLOEXEC, 0);
    return r->from && r->to && r->options && r->input && r->output && r->timer && r->job_fd >= 0 ? 0
                                                                                                 : -ENOMEM;
}

struct engine_run *engine_pool_run(struct engine_pool *p, const struct engine_request *request,
                                   engine_progress_fn *progress, engine_done_fn *done, void *arg)
{
    struct engine_run *r = calloc(1, sizeof *r), **end = &p->runs;
    uint64_t most_ms =
        request->timeout_most_ms > request->timeout_ms ? request->timeout_most_ms : request->timeout_ms;

    if (!r)
        return NULL;
    *r = (struct engine_run){
        .pool = p,
        .zygote = zygote_find(p, request->engine),
        .state = QUEUED,
        .task = request->task,
        .timeout_ms = request->timeout_ms,
        .timeout_page_ms = request->timeout_page_ms,
        .timeout_most_ms = most_ms,
        .deadline_ms = request->timeout_ms,
        .job_fd = -1,
        .report = -1,
        .pidfd = -1,
        .facts = {.cpu_limit_s = request->cpu_s, .memory_limit_bytes = p->settings->job_memory_bytes},
        .progress = progress,
        .result = request->result,
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
        run_conclude(r, OUTCOME_INTERNAL);
    else if (r->zygote->state == ENGINE_UP)
        zygote_pump(r->zygote);
    return r;
}

void engine_run_cancel(struct engine_run *r)
{
    r->facts.cancelled = true;
    if (r->state == ENDED)
        r->outcome = OUTCOME_CANCELLED;
    else if (r->state == QUEUED)
        run_conclude(r, OUTCOME_CANCELLED);
    else
        launcher_kill(r->pool->launcher, r->pidfd);
}
