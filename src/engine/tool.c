#include "engine/tool.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

/* --- the command line */

/* -E2BIG when it is too long. */
static ssize_t join(const char *const argv[], char ret[SANDBOX_TOOL_BYTES_MAX])
{
    size_t at = 0;

    for (size_t i = 0; argv[i]; i++) {
        size_t len = strlen(argv[i]) + 1;

        if (len > SANDBOX_TOOL_BYTES_MAX - at)
            return -E2BIG;
        memcpy(ret + at, argv[i], len);
        at += len;
    }
    return (ssize_t)at;
}

static int start(const struct sandbox_tool *tool, const char *const argv[])
{
    static char text[SANDBOX_TOOL_BYTES_MAX];
    ssize_t n = join(argv, text);

    if (n < 0)
        return (int)n;
    return write(tool->socket, text, (size_t)n) == n ? 0 : -EPIPE;
}

/* --- its lines */

struct lines {
    char text[LINE_BYTES];
    size_t len;
    tool_line_fn *fn;
    void *arg;
};

static void end_line(struct lines *l)
{
    l->text[l->len] = '\0';
    if (l->fn && l->len > 0)
        l->fn(l->arg, l->text);
    l->len = 0;
}

static void take(struct lines *l, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] != '\n' && data[i] != '\r' && data[i] != '\0')
            l->text[l->len++] = data[i];
        if (data[i] == '\n' || data[i] == '\r' || l->len == sizeof l->text - 1)
            end_line(l);
    }
}

static void read_lines(int fd, tool_line_fn *fn, void *arg)
{
    struct lines lines = {.fn = fn, .arg = arg};
    char data[LINE_BYTES];
    ssize_t n;

    while ((n = read(fd, data, sizeof data)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            take(&lines, data, (size_t)n);
    end_line(&lines);
}

/* --- its end */

/* The worker has to hear of it, which it does by how the child ends. */
_noreturn_ static void end_as_it_did(void)
{
    syscall(SYS_io_uring_setup, 1, NULL);
    _exit(EXIT_FAILURE);
}

static enum outcome outcome_of_signal(int number)
{
    switch (number) {
    case SIGSYS:
        end_as_it_did();
    case SIGXFSZ:
    case SIGXCPU:
    case SIGKILL: /* by the limit on processor time, or for want of memory */
        return OUTCOME_TOO_COMPLEX;
    default:
        return OUTCOME_ENGINE_CRASHED;
    }
}

static enum outcome outcome_of_status(int status, int *ret_status)
{
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (WIFSIGNALED(status))
        return outcome_of_signal(WTERMSIG(status));
    if (*ret_status == SANDBOX_EXIT_SETUP)
        return OUTCOME_INTERNAL;
    return *ret_status == 0 ? OUTCOME_OK : OUTCOME_CORRUPT_INPUT;
}

enum outcome tool_run(struct engine_job *job, const char *const argv[], tool_line_fn *fn, void *arg,
                      int *ret_status)
{
    const struct sandbox_tool *tool;
    int status;

    *ret_status = -1;
    if (job->tools_left == 0)
        return OUTCOME_INTERNAL;
    tool = &job->tools[--job->tools_left];
    if (start(tool, argv) < 0)
        return OUTCOME_INTERNAL;
    read_lines(tool->output, fn, arg);
    while (waitpid(tool->pid, &status, 0) < 0)
        if (errno != EINTR)
            return OUTCOME_INTERNAL;
    return outcome_of_status(status, ret_status);
}

/* --- in the zygote */

static int spawn(const char *const argv[], int output, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);

    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn(ret, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static void read_first_line(int fd, char *ret, size_t size)
{
    _cleanup_fclose_ FILE *file = fdopen(fd, "r");

    if (!file)
        close(fd);
    else if (fgets(ret, (int)size, file))
        ret[strcspn(ret, "\n")] = '\0';
}

/* The first line that argv writes to standard output; "" when it can't be had. */
static void first_line(const char *const argv[], char *ret, size_t size)
{
    int fds[2], r;
    pid_t pid = -1;

    *ret = '\0';
    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    r = spawn(argv, fds[1], &pid);
    close(fds[1]);
    read_first_line(fds[0], ret, size);
    if (r == 0)
        waitpid(pid, NULL, 0);
}

void tool_version(const char *const argv[], const char *prefix, const char *name, char *ret, size_t size)
{
    char line[128];

    first_line(argv, line, sizeof line);
    if (str_starts(line, prefix))
        snprintf(ret, size, "%s %.*s", name, (int)strcspn(line + strlen(prefix), " "), line + strlen(prefix));
}

int tool_warm(const char *const *programs, const char *missing, engine_serve_fn *serve, void *arg,
              const char **ret_why)
{
    for (; *programs; programs++)
        if (access(*programs, X_OK) < 0) {
            *ret_why = missing;
            return -ENOENT;
        }
    serve(arg);
    return -ECANCELED;
}
