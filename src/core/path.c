#include "core/path.h"

#include "core/id.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

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

int path_open(int dirfd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        /* Beside O_PATH the kernel takes O_NOCTTY for a mistake. */
        .flags = (uint64_t)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY)),
        .mode =
            (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0, /* O_TMPFILE is no single bit */
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

/* Takes `fd` over. */
static int open_stream(int fd, DIR **ret)
{
    *ret = fdopendir(fd);
    if (*ret)
        return 0;
    close(fd);
    return -ENOMEM;
}

int path_open_dir(int dirfd, const char *path, DIR **ret)
{
    int fd = path_open(dirfd, path, O_RDONLY | O_DIRECTORY, 0);

    return fd < 0 ? fd : open_stream(fd, ret);
}

int path_make_dir(int dirfd, const char *path, mode_t mode)
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
        if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
            return -errno;

        int next = path_open(at, name, O_DIRECTORY | O_RDONLY, 0);

        if (next < 0)
            return next;
        close(at);
        at = next;
    }
    return TAKE_FD(at);
}

/* A directory made without permissions (mkdir(2) with mode 0) can be removed by its owner once it has some.
 */
static int open_dir_anyway(int dirfd, const char *name)
{
    int fd = path_open(dirfd, name, O_DIRECTORY | O_RDONLY, 0);
    _cleanup_close_ int handle = -1;

    if (fd != -EACCES)
        return fd;
    handle = path_open(dirfd, name, O_DIRECTORY | O_PATH, 0);
    if (handle < 0)
        return handle;
    if (chmod(self_path(handle).text, 0700) < 0)
        return -errno;
    return path_open(dirfd, name, O_DIRECTORY | O_RDONLY, 0);
}

/* Next entry but for . and .. */
static const char *next_name(DIR *dir)
{
    for (struct dirent *e; (e = readdir(dir));)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
            return e->d_name;
    return NULL;
}

/* Moves the directory `name` of `from` up to `top`, under a random name that can't be there already. */
static int move_up(int from, const char *name, int top)
{
    char fresh[ID_UUID_LEN + 1];
    int r;

    id_uuid(fresh);
    r = renameat(from, name, top, fresh) < 0 ? -errno : 0;
    if (r == -EACCES) { /* a directory that gets another parent has to be writable itself */
        _cleanup_close_ int child = open_dir_anyway(from, name);

        if (child >= 0)
            r = renameat(from, name, top, fresh) < 0 ? -errno : 0;
    }
    return r;
}

/* Removes the directory `name` of `top` after having moved those in it up to `top`. Counts what went away. */
static int flatten(int top, const char *name, unsigned *gone)
{
    _cleanup_closedir_ DIR *dir = NULL;
    const char *entry;
    int first = 0, r, fd = open_dir_anyway(top, name);

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    r = open_stream(fd, &dir);
    if (r < 0)
        return r;
    while ((entry = next_name(dir))) {
        r = unlinkat(fd, entry, 0) < 0 && errno != ENOENT ? -errno : 0;
        if (r == -EISDIR || r == -EPERM)
            r = move_up(fd, entry, top);
        if (r == 0)
            ++*gone;
        else if (first == 0)
            first = r;
    }
    if (unlinkat(top, name, AT_REMOVEDIR) == 0)
        ++*gone;
    else if (errno != ENOENT && first == 0)
        first = -errno;
    return first;
}

/* One look at all entries of `top`: how many things went away, and the first error. */
static unsigned sweep(int top, int *ret_error)
{
    _cleanup_closedir_ DIR *dir = NULL;
    unsigned gone = 0;
    const char *entry;

    *ret_error = path_open_dir(top, ".", &dir);
    if (*ret_error < 0)
        return 0;
    while ((entry = next_name(dir))) {
        int r = unlinkat(top, entry, 0) < 0 ? -errno : 0;

        if (r == -EISDIR || r == -EPERM)
            r = flatten(top, entry, &gone);
        else if (r == 0)
            gone++;
        if (r < 0 && r != -ENOENT && *ret_error == 0)
            *ret_error = r;
    }
    return gone;
}

/* Without recursion: who can write into a tree chooses how deep it is, and neither descriptors nor the stack
 * may run out. Each directory is moved at most once, and a sweep in which nothing went away is the last. */
int path_remove_tree(int dirfd, const char *name)
{
    _cleanup_close_ int top = -1;
    int r;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    top = open_dir_anyway(dirfd, name);
    if (top < 0)
        return top == -ENOENT ? 0 : top;
    while (sweep(top, &r) > 0)
        ;
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && r == 0)
        r = -errno;
    return r;
}

int path_tmpfile(int dirfd, mode_t mode)
{
    int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

    if (fd < 0)
        return errno == EISDIR ? -EOPNOTSUPP : -errno;
    return fd;
}

int path_chmod(int fd, mode_t mode)
{
    return chmod(self_path(fd).text, mode) < 0 ? -errno : 0;
}

/* NFS does so whenever a descriptor of the file is closed, be there others or not, but not for one that only
 * reads, nor where the server has left the file to this machine (a write delegation). There an fsync(2) is
 * what close(2) would do. */
int path_send(int fd)
{
    struct statfs fs;
    int copy;

    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type == NFS_SUPER_MAGIC)
        return fsync(fd) < 0 ? -errno : 0;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 || close(copy) < 0 ? -errno : 0;
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

ssize_t path_read(int fd, uint64_t offset, void *data, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)(offset + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

int path_write(int fd, uint64_t offset, const void *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

int path_read_file(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size < 0 || (size_t)st.st_size > max)
        return -EFBIG;

    _cleanup_free_ char *data = malloc((size_t)st.st_size + 1);
    ssize_t n;

    if (!data)
        return -ENOMEM;
    n = path_read(fd, 0, data, (size_t)st.st_size);
    if (n < 0)
        return (int)n;
    data[n] = '\0';
    *ret_data = TAKE_PTR(data);
    if (ret_len)
        *ret_len = (size_t)n;
    return 0;
}
