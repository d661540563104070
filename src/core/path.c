#include "core/path.h"

#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int path_open(int dirfd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        /* Beside O_PATH the kernel takes O_NOCTTY for a mistake. */
        .flags = (uint64_t)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY)),
        .mode = (flags & (O_CREAT | O_TMPFILE)) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

int path_make_dir(int dirfd, const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    char *rest = copy, *name;
    _cleanup_close_ int at = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);

    if (!copy)
        return -ENOMEM;
    if (at < 0)
        return -errno;
    while ((name = strsep(&rest, "/"))) {
        if (!*name)
            continue;
        if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
            return -errno;

        int next = path_open(at, name, O_DIRECTORY | O_RDONLY, 0);

        if (next < 0)
            return next;
        close(at);
        at = next;
    }
    return TAKE_FD(at);
}

/* Empties the directory `fd` (taken over) and keeps the first error. */
static int empty_dir(int fd)
{
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    int first = 0;

    if (!dir) {
        close(fd);
        return -errno;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;

        int r = path_remove_tree(dirfd(dir), e->d_name);

        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

int path_remove_tree(int dirfd, const char *name)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;

    int fd = path_open(dirfd, name, O_DIRECTORY | O_RDONLY | O_NOFOLLOW, 0);

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;

    int r = empty_dir(fd);

    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && r == 0)
        r = -errno;
    return r;
}

int path_tmpfile(int dirfd)
{
    int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EISDIR ? -EOPNOTSUPP : -errno;
    return fd;
}

/* The kernel's own name for an open file. */
struct self_path {
    char text[32];
};

static struct self_path self_path(int fd)
{
    struct self_path p;

    snprintf(p.text, sizeof p.text, "/proc/self/fd/%d", fd);
    return p;
}

int path_reopen(int fd)
{
    int again = open(self_path(fd).text, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    return again < 0 ? -errno : again;
}

int path_link(int fd, int dirfd, const char *name)
{
    return linkat(AT_FDCWD, self_path(fd).text, dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int path_read_file(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size < 0 || (size_t)st.st_size > max)
        return -EFBIG;

    size_t want = (size_t)st.st_size, got = 0;
    _cleanup_free_ char *data = malloc(want + 1);

    if (!data)
        return -ENOMEM;
    while (got < want) {
        ssize_t n = read(fd, data + got, want - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    data[got] = '\0';
    *ret_data = TAKE_PTR(data);
    if (ret_len)
        *ret_len = got;
    return 0;
}
