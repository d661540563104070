#include "files/storage_list.h"

#include "core/path.h"
#include "core/str.h"
#include "files/storage_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct storage_walk {
    DIR *dir;
};

int storage_walk_new(struct storage *s, struct storage_walk **ret)
{
    _cleanup_free_ struct storage_walk *w = malloc(sizeof *w);
    int r = w ? path_open_dir(storage_root(s), ".", &w->dir) : -ENOMEM;

    if (r < 0)
        return r;
    *ret = TAKE_PTR(w);
    return 0;
}

size_t storage_walk_next(struct storage_walk *w, char (*ret)[ID_TOKEN_LEN + 1], size_t max)
{
    size_t n = 0;
    struct dirent *e;

    while (n < max && (e = readdir(w->dir))) // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (id_is_token(e->d_name))
            memcpy(ret[n++], e->d_name, ID_TOKEN_LEN + 1);
    return n;
}

void storage_walk_free(struct storage_walk *w)
{
    if (!w)
        return;
    closedir(w->dir);
    free(w);
}

static bool is_settled(int dirfd, const char *name, time_t settled_s)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - st.st_ctime >= settled_s;
}

static bool is_littered(int dirfd, const char *name)
{
    _cleanup_closedir_ DIR *dir = NULL;

    if (path_open_dir(dirfd, name, &dir) < 0)
        return false;
    for (struct dirent *e; (e = readdir(dir));) // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (str_starts(e->d_name, WORK_PREFIX))
            return true;
    return false;
}

int storage_list_jobs(struct storage *s, const char *session_id, time_t settled_s, struct storage_job **ret,
                      size_t *ret_n)
{
    _cleanup_closedir_ DIR *dir = NULL;
    _cleanup_free_ struct storage_job *jobs = NULL;
    size_t n = 0, size = 0;
    int r = id_is_token(session_id) ? path_open_dir(storage_root(s), session_id, &dir) : -EINVAL;

    if (r < 0 && r != -ENOENT)
        return r;
    for (struct dirent *e; r == 0 && (e = readdir(dir));) { // NOLINT(concurrency-mt-unsafe)
        if (!id_is_uuid(e->d_name))
            continue;
        if (n == size) {
            struct storage_job *more = reallocarray(jobs, size = size ? 2 * size : 32, sizeof *more);

            if (!more)
                return -ENOMEM;
            jobs = more;
        }
        memcpy(jobs[n].id, e->d_name, sizeof jobs[n].id);
        jobs[n].settled = is_settled(dirfd(dir), e->d_name, settled_s);
        jobs[n].littered = jobs[n].settled && is_littered(dirfd(dir), e->d_name);
        n++;
    }
    *ret = TAKE_PTR(jobs);
    *ret_n = n;
    return 0;
}

int storage_sweep_settled(struct storage *s, const char *session_id, const char *job_id, time_t settled_s,
                          const char *keep)
{
    _cleanup_close_ int fd = storage_open_job(s, session_id, job_id);

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    return is_settled(fd, ".", settled_s) ? storage_sweep_job(fd, keep) : 0;
}
