#include "sandbox/tools.h"
#include "sandbox/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { ARGUMENTS_MAX = 256, SOCKET_FD = 3 };

/* The first object of the list is the program itself. */
static int find_loader(struct dl_phdr_info *info, size_t size, void *ret)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            // NOLINTNEXTLINE(performance-no-int-to-ptr): so the format has it
            *(const char **)ret = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1;
}

const char *tools_loader(void)
{
    const char *path = "/nonexistent"; /* a static program, which none of ours is */

    dl_iterate_phdr(find_loader, &path);
    return path;
}

static void close_pair(int pair[2])
{
    cleanup_close(&pair[0]);
    cleanup_close(&pair[1]);
}

/* Its socket and, in the places of standard output and error, the pipe: all else is closed. */
static int keep_own(int socket, int output)
{
    if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        return -errno;
    if (socket != SOCKET_FD && dup3(socket, SOCKET_FD, O_CLOEXEC) < 0)
        return -errno;
    return syscall(SYS_close_range, SOCKET_FD + 1, ~0U, 0) < 0 ? -errno : SOCKET_FD;
}

static int make_one(struct sandbox_tool *tool, int *ret_socket)
{
    int sockets[2], pipes[2];
    pid_t parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return -errno;
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        close_pair(sockets);
        return -EMFILE;
    }
    tool->pid = _Fork();
    if (tool->pid == 0) {
        /* fork(2) clears it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            return -EPERM;
        *ret_socket = keep_own(sockets[1], pipes[1]);
        return *ret_socket < 0 ? *ret_socket : 1;
    }
    close(sockets[1]);
    close(pipes[1]);
    tool->socket = sockets[0];
    tool->output = pipes[0];
    return tool->pid < 0 ? -EAGAIN : 0;
}

int tools_make(const struct sandbox *s, struct sandbox_job *job, int *ret_socket)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < s->config.tools; i++)
        r = make_one(&job->tools[i], ret_socket);
    return r;
}

/* Arguments one after the other, each with its end. */
static int split(char *text, size_t len, char *argv[ARGUMENTS_MAX + 1])
{
    size_t n = 0;

    if (len == 0 || text[len - 1] != '\0')
        return -EINVAL;
    for (char *p = text; p < text + len; p += strlen(p) + 1) {
        if (n == ARGUMENTS_MAX)
            return -E2BIG;
        argv[n++] = p;
    }
    argv[n] = NULL;
    return 0;
}

void tools_become(int socket)
{
    static char text[SANDBOX_TOOL_BYTES_MAX];
    char *argv[ARGUMENTS_MAX + 1];
    ssize_t n = read(socket, text, sizeof text);

    if (n <= 0) /* it isn't needed */
        _exit(EXIT_SUCCESS);
    if (split(text, (size_t)n, argv) == 0)
        execv(argv[0], argv);
    _exit(SANDBOX_EXIT_SETUP);
}
