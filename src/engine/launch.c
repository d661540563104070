/* The program is opened first and executed by descriptor: its folder may lie where we can't walk (a build
 * below /root), and it can't be exchanged in between. Between fork and exec only bare system calls are made,
 * and it is _Fork(): fork() runs libuv's handler in the child, which closes the descriptors of libuv's pipe
 * by their numbers. In the launcher these have long been closed, and are what the engine gets. */
#include "engine/launch.h"
#include "engine/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { ENVIRONMENT_MAX = 16, FIRST_FREE_FD = 16 };

struct environment {
    char *strings[ENVIRONMENT_MAX + 1];
    size_t n;
};

struct plan {
    char *title; /* as process listings show it */
    int program, control, null;
    pid_t parent;
    struct environment environment;
};

static void free_plan(struct plan *p)
{
    for (size_t i = 0; i < p->environment.n; i++)
        free(p->environment.strings[i]);
    free(p->title);
    cleanup_close(&p->program);
    cleanup_close(&p->control);
    cleanup_close(&p->null);
}

static int add(struct environment *e, const char *name, const char *value)
{
    if (!value)
        return 0;
    if (e->n == ENVIRONMENT_MAX || asprintf(&e->strings[e->n], "%s=%s", name, value) < 0)
        return -ENOMEM;
    e->n++;
    return 0;
}

static int add_number(struct environment *e, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return add(e, name, text);
}

/* All that an engine gets to know: nothing of Redis, the storage or whoever started us. Functions of
 * libraries are looked up once, at the start, or each child would do so again for those that it is the first
 * to call, and write to pages that it shares. */
static int make_environment(const struct settings *s, struct environment *e)
{
    if (add(e, "PATH", "/usr/bin:/bin") < 0 || add(e, "LANG", "C.UTF-8") < 0 || add(e, "HOME", "/tmp") < 0 ||
        add(e, "LD_BIND_NOW", "1") < 0 || add(e, "TMPDIR", "/tmp") < 0 || add(e, "TZ", getenv("TZ")) < 0 ||
        add(e, "DECANT_LIBREOFFICE", s->libreoffice) < 0 || add(e, "DECANT_SANDBOX", s->sandbox) < 0 ||
        add(e, "DECANT_CGROUP", s->cgroup) < 0 || add(e, "DECANT_LOG_LEVEL", s->log_level) < 0 ||
        add(e, "DECANT_LOG_FORMAT", s->log_format) < 0 ||
        add_number(e, "DECANT_JOB_MEMORY", s->job_memory_bytes) < 0 ||
        add_number(e, "DECANT_JOB_OUTPUT", s->job_output_bytes) < 0 ||
        add_number(e, "DECANT_JOBS", s->jobs) < 0)
        return -ENOMEM;
    return 0;
}

static int own_folder(char *ret, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);
    char *slash;

    if (n < 0)
        return -errno;
    ret[n] = '\0';
    slash = strrchr(ret, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

int launch_open_programs(const struct settings *s)
{
    char folder[PATH_MAX];
    int r = s->bindir ? 0 : own_folder(folder, sizeof folder);

    if (r < 0)
        return r;
    r = open(s->bindir ? s->bindir : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return r < 0 ? -errno : r;
}

/* A descriptor above those that the program will find in their places. */
static int open_program(int programs, const char *name)
{
    char file[NAME_MAX + 1];
    _cleanup_close_ int fd = -1;
    int r;

    if (snprintf(file, sizeof file, "decant-engine-%s", name) >= (int)sizeof file)
        return -ENAMETOOLONG;
    fd = openat(programs, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    return r < 0 ? -errno : r;
}

_noreturn_ static void run_child(const struct plan *p)
{
    char *const argv[] = {p->title, NULL};
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(p->null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
        dup2(p->control, ENGINE_CONTROL_FD) < 0 ||
        syscall(SYS_close_range, ENGINE_CONTROL_FD + 1, ~0U, 1 << 2 /* CLOSE_RANGE_CLOEXEC */) < 0)
        _exit(LAUNCH_EXIT_EXEC);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != p->parent)
        _exit(LAUNCH_EXIT_EXEC);
    syscall(SYS_execveat, p->program, "", argv, p->environment.strings, AT_EMPTY_PATH);
    _exit(LAUNCH_EXIT_EXEC);
}

/* Above the numbers that run_child assigns, or assigning one would close another. */
static int make_pair(int *ret_ours, int *ret_theirs)
{
    int pair[2], theirs;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    close(pair[1]);
    if (theirs < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
        cleanup_close(&pair[0]);
        cleanup_close(&theirs);
        return -EMFILE;
    }
    *ret_ours = pair[0];
    *ret_theirs = theirs;
    return 0;
}

static int prepare(const struct settings *s, int programs, const char *name, struct plan *p)
{
    int r = make_environment(s, &p->environment);

    if (r < 0)
        return r;
    p->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (p->null < 0)
        return -errno;
    p->program = open_program(programs, name);
    return p->program < 0 ? p->program : 0;
}

int launch_engine(const struct settings *settings, int programs, const char *name, pid_t *ret_pid,
                  int *ret_control)
{
    _cleanup_(free_plan) struct plan plan = {.program = -1, .control = -1, .null = -1, .parent = getpid()};
    _cleanup_close_ int ours = -1;
    pid_t pid;
    int r = prepare(settings, programs, name, &plan);

    if (r == 0 && asprintf(&plan.title, "decant-engine-%s", name) < 0) {
        plan.title = NULL;
        r = -ENOMEM;
    }
    if (r == 0)
        r = make_pair(&ours, &plan.control);
    if (r < 0)
        return r;
    pid = _Fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        run_child(&plan);
    *ret_pid = pid;
    *ret_control = TAKE_FD(ours);
    return 0;
}
