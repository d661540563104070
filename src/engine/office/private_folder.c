#include "engine/office/private_folder.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Is `name` a folder of ours whose process is gone? */
static bool is_dead(int parent_fd, const char *name)
{
    struct stat st;
    _cleanup_close_ int fd = path_open(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);

    return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void remove_dead(int parent_fd, const char *prefix)
{
    int fd = path_open(parent_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    _cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir && fd >= 0)
        close(fd);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (str_starts(e->d_name, prefix) && is_dead(parent_fd, e->d_name))
            path_remove_tree(parent_fd, e->d_name);
}

int private_folder_make(const char *prefix, struct private_folder *ret)
{
    const char *parent = getenv("TMPDIR");
    struct private_folder f = {.parent_fd = -1, .fd = -1};

    if (!parent || parent[0] != '/')
        parent = "/tmp";

    int n = snprintf(f.path, sizeof f.path, "%s/%sXXXXXX", parent, prefix);

    if (n < 0 || (size_t)n >= sizeof f.path)
        return -ENAMETOOLONG;

    _cleanup_close_ int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (parent_fd < 0)
        return -errno;
    remove_dead(parent_fd, prefix);
    if (!mkdtemp(f.path))
        return -errno;

    _cleanup_close_ int fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    *ret = f;
    ret->name = strrchr(ret->path, '/') + 1;
    ret->parent_fd = TAKE_FD(parent_fd);
    ret->fd = TAKE_FD(fd);
    return 0;
}

void private_folder_remove(struct private_folder *f)
{
    if (!f->name)
        return;
    path_remove_tree(f->parent_fd, f->name);
    close(f->parent_fd);
    close(f->fd);
    *f = (struct private_folder){.parent_fd = -1, .fd = -1};
}
