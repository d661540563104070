#include "worker/janitor.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>

#define WORK_PREFIX "work-"
#define RESULTS     "converted"

typedef bool leftover_fn(const char *name, const char *keep);

static bool is_work(const char *name, const char *keep)
{
    return str_starts(name, WORK_PREFIX);
}

static bool is_other(const char *name, const char *keep)
{
    return !str_eq(name, keep);
}

/* Removes the entries of `path` (a folder below `dirfd_`) that are leftovers. */
static int sweep(int parent_fd, const char *path, leftover_fn *leftover, const char *keep)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int first = 0, fd = path_open(parent_fd, path, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    dir = fdopendir(fd);
    if (!dir) {
        first = -errno;
        close(fd);
        return first;
    }
    for (struct dirent *e; (e = readdir(dir));) { // NOLINT(concurrency-mt-unsafe): a stream of our own
        int r;

        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || !leftover(e->d_name, keep))
            continue;
        r = path_remove_tree(dirfd(dir), e->d_name);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

int janitor_sweep_job(int job_fd, const char *keep)
{
    const char *slash = strrchr(keep, '/');
    int r = sweep(job_fd, ".", is_work, NULL), s = sweep(job_fd, RESULTS, is_other, slash ? slash + 1 : "");

    return r < 0 ? r : s;
}
