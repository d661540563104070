/* System calls that valgrind 3.19 does not know and would answer with ENOSYS, for programs linked with
 * -Wl,--wrap=syscall: another program (outside.c), which valgrind does not follow, makes them and passes
 * their descriptors. So it is still the kernel who judges a path. Without valgrind all of them are made here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/valgrind.h>

enum { N_ARGUMENTS = 6, NUMBER_MAX = 24 };

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* In the child: what it inherits is `fd`, the one that the call is about, and its end of the pair. */
static void become_outside(int fd, int sock, char *const argv[])
{
    if ((fd >= 0 && fcntl(fd, F_SETFD, 0) < 0) || fcntl(sock, F_SETFD, 0) < 0)
        _exit(errno);
    execv(OUTSIDE, argv);
    _exit(errno);
}

static int receive_fd(int sock)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd;

    if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1 || !CMSG_FIRSTHDR(&m))
        return 0; /* a call that makes none */
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static long ask(char *name, int fd, char *const arguments[4])
{
    char sock_text[NUMBER_MAX], fd_text[NUMBER_MAX];
    char *const argv[] = {OUTSIDE,      name,         sock_text,    fd_text, arguments[0],
                          arguments[1], arguments[2], arguments[3], NULL};
    int pair[2], status = 0;
    long result = -1;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    snprintf(sock_text, sizeof sock_text, "%d", pair[1]);
    snprintf(fd_text, sizeof fd_text, "%d", fd);
    pid = _Fork();
    if (pid == 0)
        become_outside(fd, pair[1], argv);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        result = receive_fd(pair[0]);
    close(pair[0]);
    close(pair[1]);
    if (result < 0)
        errno = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    return result;
}

static long open_at(int dirfd, char *path, const struct open_how *how)
{
    char flags[NUMBER_MAX], mode[NUMBER_MAX], resolve[NUMBER_MAX];

    snprintf(flags, sizeof flags, "%llu", how->flags);
    snprintf(mode, sizeof mode, "%llu", how->mode);
    snprintf(resolve, sizeof resolve, "%llu", how->resolve);
    return ask("openat2", dirfd, (char *[4]){path, flags, mode, resolve});
}

static long with_number(char *name, int fd, long value)
{
    char text[NUMBER_MAX];

    snprintf(text, sizeof text, "%ld", value);
    return ask(name, fd, (char *[4]){text});
}

long __wrap_syscall(long number, ...)
{
    long a[N_ARGUMENTS];
    va_list arguments;

    va_start(arguments, number);
    for (size_t i = 0; i < N_ARGUMENTS; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (RUNNING_ON_VALGRIND && (number == SYS_landlock_create_ruleset || number == SYS_landlock_add_rule ||
                                number == SYS_landlock_restrict_self)) {
        errno = ENOSYS; /* as valgrind says, but without a warning */
        return -1;
    }
    if (RUNNING_ON_VALGRIND && number == SYS_openat2)
        return open_at((int)a[0], (char *)a[1], (const struct open_how *)a[2]);
    if (RUNNING_ON_VALGRIND && number == SYS_pidfd_open)
        return with_number("pidfd_open", -1, (int)a[0]);
    if (RUNNING_ON_VALGRIND && number == SYS_pidfd_send_signal)
        return with_number("pidfd_send_signal", (int)a[0], (int)a[1]);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
