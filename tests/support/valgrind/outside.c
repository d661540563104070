/* outside CALL SOCKET FD WORDS…: makes a system call for a process under valgrind (syscalls.c). A descriptor
 * that it returns goes through the socket; the exit status is the errno, or 0. */
#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAME = 1, SOCKET, FD, FIRST };

static long call(int argc, char **argv)
{
    int fd = atoi(argv[FD]);

    if (strcmp(argv[NAME], "openat2") == 0 && argc == FIRST + 4) {
        struct open_how how = {.flags = strtoull(argv[FIRST + 1], NULL, 10),
                               .mode = strtoull(argv[FIRST + 2], NULL, 10),
                               .resolve = strtoull(argv[FIRST + 3], NULL, 10)};

        return syscall(SYS_openat2, fd, argv[FIRST], &how, sizeof how);
    }
    if (strcmp(argv[NAME], "pidfd_open") == 0 && argc == FIRST + 1)
        return syscall(SYS_pidfd_open, atoi(argv[FIRST]), 0);
    if (strcmp(argv[NAME], "pidfd_send_signal") == 0 && argc == FIRST + 1)
        return syscall(SYS_pidfd_send_signal, fd, atoi(argv[FIRST]), NULL, 0);
    errno = ENOSYS;
    return -1;
}

static int send_fd(int sock, int fd)
{
    char control[CMSG_SPACE(sizeof fd)] = "";
    struct iovec data = {"", 1};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    long r;

    if (argc < FIRST)
        return ENOSYS;
    r = call(argc, argv);
    if (r > 0)
        r = send_fd(atoi(argv[SOCKET]), (int)r);
    return r < 0 ? errno : 0;
}
