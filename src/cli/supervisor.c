#include "cli/supervisor.h"

#include "core/clock.h"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { BACKOFF_FIRST_MS = 200, BACKOFF_MAX_MS = 10000, STEADY_MS = 30000 };
enum { NEEDS_POLL_MS = 50, NEEDS_MAX_MS = 60000 };

/* To become the parts' users, and to end who is another user. */
static const int rights[] = {CAP_SETUID, CAP_SETGID, CAP_KILL, -1};

/* In the child. Each part gets a process group of its own: Ctrl-C on the terminal reaches the supervisor
 * alone, which ends the parts in their order. If the supervisor dies, so do they. */
static _noreturn_ void become(const struct part *p, pid_t parent)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    umask(077);
    if (geteuid() == 0 && !p->drops_itself && privilege_become(&p->user) < 0)
        _exit(PART_REFUSES);
    if (p->quiet) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
            _exit(EXIT_FAILURE);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* after the change of user, which clears it */
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    execveat(p->program_fd, "", (char *const *)p->argv, environ, AT_EMPTY_PATH);
    fprintf(stderr, "%s: %s\n", p->name, strerror(errno));
    _exit(EXIT_FAILURE);
}

static void on_part_timer(uv_timer_t *timer);

static void restart_later(struct part *p)
{
    if (clock_mono_ms() - p->started_ms >= STEADY_MS)
        p->backoff_ms = 0;
    p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_FIRST_MS : p->backoff_ms * 2;
    if (p->backoff_ms > BACKOFF_MAX_MS)
        p->backoff_ms = BACKOFF_MAX_MS;
    uv_timer_start(&p->timer, on_part_timer, p->backoff_ms, 0);
}

/* Does a server listen there? A socket's file may be left over from one that is gone. */
static bool answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

/* As the part would find it: as ourselves we can't pass its folders. */
static bool misses(const struct part *p)
{
    bool missing = false;

    if (geteuid() == 0)
        privilege_borrow(&p->user);
    for (size_t i = 0; i < ARRAY_SIZE(p->needs); i++)
        missing = missing || (p->needs[i] && !answers(p->needs[i]));
    if (geteuid() == 0)
        privilege_return();
    return missing;
}

/* A worker that starts before Redis answers complains, and one that starts before clamd has read its
 * signatures fails the jobs that waited for it. Past NEEDS_MAX_MS the part may say itself what it misses. */
static bool must_wait(struct part *p)
{
    if (!misses(p)) {
        p->waiting_ms = 0;
        return false;
    }
    if (p->waiting_ms == 0)
        p->waiting_ms = clock_mono_ms();
    return clock_mono_ms() - p->waiting_ms < NEEDS_MAX_MS;
}

static void part_start(struct part *p)
{
    if (must_wait(p)) {
        uv_timer_start(&p->timer, on_part_timer, NEEDS_POLL_MS, 0);
        return;
    }

    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        become(p, parent);
    p->started_ms = clock_mono_ms();
    if (pid < 0) {
        log_error("part not started", LOG_S("part", p->name), LOG_E(-errno));
        restart_later(p);
        return;
    }
    setpgid(pid, pid);
    p->pid = pid;
}

/* Time to start again, or, while ending, the end of patience. */
static void on_part_timer(uv_timer_t *timer)
{
    struct part *p = timer->data;

    if (!p->supervisor->ending) {
        part_start(p);
    } else if (p->pid > 0) {
        log_warn("part did not end in time", LOG_S("part", p->name));
        kill(p->pid, SIGKILL);
    }
}

static void finish(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_parts; i++)
        uv_close((uv_handle_t *)&s->parts[i].timer, NULL);
    uv_close((uv_handle_t *)&s->child, NULL);
    s->ended(s->arg, s->status);
}

/* Tells the parts of the present order to end, or moves on when none of them is left. */
static void end_next(struct supervisor *s)
{
    unsigned next = UINT_MAX;

    for (size_t i = 0; i < s->n_parts; i++) {
        const struct part *p = &s->parts[i];

        if (p->pid > 0 && p->end_order < next)
            next = p->end_order;
    }
    if (next == UINT_MAX) {
        finish(s);
        return;
    }
    if (s->order == next)
        return; /* told already */
    s->order = next;
    for (size_t i = 0; i < s->n_parts; i++) {
        struct part *p = &s->parts[i];

        if (p->pid > 0 && p->end_order == next) {
            kill(p->pid, SIGTERM);
            uv_timer_start(&p->timer, on_part_timer, p->end_timeout_ms, 0);
        }
    }
}

void supervisor_end(struct supervisor *s)
{
    if (s->ending) {
        for (size_t i = 0; i < s->n_parts; i++)
            if (s->parts[i].pid > 0)
                kill(s->parts[i].pid, SIGKILL);
        return;
    }
    s->ending = true;
    s->order = UINT_MAX;
    for (size_t i = 0; i < s->n_parts; i++)
        uv_timer_stop(&s->parts[i].timer);
    end_next(s);
}

static void part_ended(struct part *p, int status)
{
    struct supervisor *s = p->supervisor;

    p->pid = 0;
    uv_timer_stop(&p->timer);
    if (s->ending) {
        end_next(s);
        return;
    }
    if (WIFSIGNALED(status))
        log_warn("part died", LOG_S("part", p->name), LOG_S("signal", strsignal(WTERMSIG(status))));
    else
        log_warn("part ended", LOG_S("part", p->name), LOG_U("status", WEXITSTATUS(status)));
    if (WIFEXITED(status) && WEXITSTATUS(status) == PART_REFUSES) {
        s->status = PART_REFUSES;
        supervisor_end(s);
        return;
    }
    restart_later(p);
}

static void on_child(uv_signal_t *handle, int signum)
{
    struct supervisor *s = handle->data;

    for (size_t i = 0; i < s->n_parts; i++) {
        struct part *p = &s->parts[i];
        int status;

        if (p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid)
            part_ended(p, status);
    }
}

int supervisor_start(struct supervisor *s)
{
    int r = uv_signal_init(s->loop, &s->child);

    if (r == 0 && fchdir(s->dir_fd) < 0)
        r = -errno;
    if (r == 0 && geteuid() == 0)
        r = privilege_keep(rights);
    if (r == 0)
        r = uv_signal_start(&s->child, on_child, SIGCHLD);
    if (r < 0)
        return r;
    s->child.data = s;
    for (size_t i = 0; i < s->n_parts; i++) {
        struct part *p = &s->parts[i];

        uv_timer_init(s->loop, &p->timer);
        p->timer.data = p;
        p->supervisor = s;
        part_start(p);
    }
    return 0;
}
