/* As bubblewrap does it: a tmpfs on /tmp becomes the root by pivot_root(2), with the old root below it for as
 * long as things are taken over from there, and is then detached from it.
 *
 * Binds go by open_tree(2), mount_setattr(2) and move_mount(2) rather than mount(2): they take descriptors,
 * so that the job's folder may lie below a folder that we may not traverse, and they set read-only, nosuid
 * and nodev on a whole tree without touching the flags that the kernel has locked. A descriptor has to be
 * opened in this very mount namespace to be bound: those that the worker passed are not. */
#include "sandbox/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

const char *const root_common_paths[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/fonts",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/var/cache/fontconfig",
    NULL,
};

static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", NULL};

enum {
    READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
    READ_ONLY_DATA = READ_ONLY | MOUNT_ATTR_NOEXEC,
    /* Without NODEV, of course; a read-only mount still lets a device be written. */
    DEVICE = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
    WRITABLE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
};

static int make_parents(const char *path)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return -ENAMETOOLONG;
    for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    return 0;
}

static int make_file(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* Binds what `from_fd` and `from` name to `to`, which exists. */
static int bind_at(int from_fd, const char *from, unsigned flags, const char *to, uint64_t attributes)
{
    struct mount_attr attr = {.attr_set = attributes};
    _cleanup_close_ int tree =
        open_tree(from_fd, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | flags);

    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
        move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

static int bind_fd(int fd, const char *to, uint64_t attributes)
{
    return bind_at(fd, "", AT_EMPTY_PATH, to, attributes);
}

static int copy_link(const char *from, const char *to)
{
    char target[PATH_MAX];
    ssize_t n = readlink(from, target, sizeof target - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    return symlink(target, to) < 0 ? -errno : 0;
}

/* Takes `path` over from the old root; nothing to do when it isn't there or already part of another. */
static int share(const char *path, uint64_t attributes)
{
    char old[PATH_MAX];
    struct stat st;
    int r;

    if (snprintf(old, sizeof old, "/old%s", path) >= (int)sizeof old)
        return -ENAMETOOLONG;
    if (lstat(old, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
    if (access(path, F_OK) == 0)
        return 0;
    r = make_parents(path);
    if (r < 0)
        return r;
    if (S_ISLNK(st.st_mode))
        return copy_link(old, path);
    if (S_ISDIR(st.st_mode))
        r = mkdir(path, 0755) < 0 ? -errno : 0;
    else
        r = make_file(path);
    return r < 0 ? r : bind_at(AT_FDCWD, old, AT_SYMLINK_NOFOLLOW, path, attributes);
}

static int share_all(const char *const *paths, uint64_t attributes)
{
    int r = 0;

    for (; r == 0 && paths && *paths; paths++)
        r = share(*paths, attributes);
    return r;
}

static int mount_new(const char *type, const char *at, unsigned long flags, const char *options)
{
    if (mkdir(at, 0700) < 0 && errno != EEXIST)
        return -errno;
    return mount(type, at, type, MS_NOSUID | MS_NODEV | flags, options) < 0 ? -errno : 0;
}

static int pivot(void)
{
    int r;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    r = mount_new("tmpfs", "/tmp", 0, "mode=0755,size=1m,nr_inodes=1k");
    if (r < 0)
        return r;
    if (chdir("/tmp") < 0 || mkdir("old", 0700) < 0 || syscall(SYS_pivot_root, ".", "old") < 0 ||
        chdir("/") < 0)
        return -errno;
    return 0;
}

static int make_folder(const char *path)
{
    return mkdir(path, 0755) < 0 ? -errno : 0;
}

static int bind_job(const struct root *root)
{
    struct stat st;
    int r;

    if (root->input_fd < 0)
        return 0;
    if (fstat(root->input_fd, &st) < 0)
        return -errno;
    r = S_ISDIR(st.st_mode) ? make_folder(root->input_path) : make_file(root->input_path);
    if (r == 0)
        r = bind_fd(root->input_fd, root->input_path, READ_ONLY_DATA);
    if (r == 0)
        r = make_parents(ROOT_OUTPUT);
    if (r == 0)
        r = mkdir(ROOT_OUTPUT, 0700) < 0 ? -errno : 0;
    return r < 0 ? r : bind_fd(root->output_fd, ROOT_OUTPUT, WRITABLE);
}

/* Where the host's /proc is partly covered, as in a container, a fresh one can't be had: none is given then.
 * Engines do without. */
static int mount_proc(void)
{
    int r = mount_new("proc", "/proc", MS_NOEXEC, "subset=pid");

    return r == -EPERM || r == -EINVAL ? 0 : r;
}

static int mount_tmp(const struct root *root)
{
    char options[96];

    snprintf(options, sizeof options, "mode=0700,size=%llu,nr_inodes=16k",
             (unsigned long long)root->tmp_bytes);
    return mount_new("tmpfs", "/tmp", MS_NOEXEC, options);
}

static int leave_old_root(void)
{
    struct mount_attr attr = {.attr_set = READ_ONLY_DATA};

    if (umount2("/old", MNT_DETACH) < 0 || rmdir("/old") < 0 ||
        mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof attr) < 0)
        return -errno;
    return 0;
}

int root_enter(const struct root *root)
{
    int r = pivot();

    if (r == 0)
        r = share_all(root_common_paths, READ_ONLY);
    if (r == 0)
        r = share_all(root->read_paths, READ_ONLY);
    if (r == 0)
        r = share_all(root->programs, READ_ONLY);
    if (r == 0)
        r = share_all(devices, DEVICE);
    if (r == 0)
        r = bind_job(root);
    if (r == 0)
        r = mount_proc();
    if (r == 0)
        r = mount_tmp(root);
    return r < 0 ? r : leave_old_root();
}
