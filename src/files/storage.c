/* See storage.h for the tree and its modes. Two things are not obvious:
 *
 * - An upload is an unnamed file (O_TMPFILE) until it is committed, so that a crash leaves nothing. Where the
 *   filesystem has no such files it has a random name in .incoming/ and an flock(2), which tells the cleaner
 *   of another process that starts meanwhile that it is no leftover.
 * - What storage_publish finds in a work folder was made by a process that read an untrusted document. Only a
 *   regular file with one name gets out; a link, a pipe or a folder does not. */
#include "files/storage_impl.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define UPLOADS   "uploads"
#define CONVERTED "converted"
#define PREVIEW   "preview"

enum {
    EXTENSION_MAX = 8,
    REMOVE_ATTEMPTS = 5,
    COPY_STEP = 16 << 20,
    PREVIEW_NAME_MAX = ID_UUID_LEN + sizeof "-4294967295.png"
};

struct storage {
    int root, incoming;
    mode_t session_mode;
    atomic_bool named; /* no O_TMPFILE here */
};

/* mkdir -p: the root is ours to choose, so it may be absolute and lead over links. */
static int make_root(const char *root)
{
    _cleanup_free_ char *path = strdup(root);

    if (!path)
        return -ENOMEM;
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(path, STORAGE_PRIVATE) < 0 && errno != EEXIST ? -errno : 0;
}

/* For its lock, which NFS has for files alone that are open for writing. Of another user's we may have no
 * more than a look: that one does it, at its start. */
static int open_leftover(int incoming, const char *name)
{
    int fd = path_open(incoming, name, O_RDWR | O_NONBLOCK, 0);

    return fd == -EACCES ? path_open(incoming, name, O_RDONLY | O_NONBLOCK, 0) : fd;
}

static int clean_incoming(int incoming)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int r = path_open_dir(incoming, ".", &dir);

    if (r < 0)
        return r;
    for (struct dirent *e; (e = readdir(dir));) {
        _cleanup_close_ int file = -1;

        if (!id_is_uuid(e->d_name))
            continue;
        file = open_leftover(incoming, e->d_name);
        if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0)
            unlinkat(incoming, e->d_name, 0);
    }
    return 0;
}

/* ext4 puts what is made in a folder beside it, and walks over everything that was removed there during the
 * last minutes each time: a session closed with its thousand files, and the next ones spent a sixth of their
 * CPU time on that. With this flag each folder below the root, a session's, has a place of its own, chosen by
 * its name. Other filesystems have no such flag, nor the need of one. */
static void spread_sessions(int root)
{
    unsigned flags = 0;

    if (ioctl(root, FS_IOC_GETFLAGS, &flags) == 0 && !(flags & FS_TOPDIR_FL)) {
        flags |= FS_TOPDIR_FL;
        ioctl(root, FS_IOC_SETFLAGS, &flags);
    }
}

/* Folders inherit the group and the bit. */
static mode_t session_mode(const struct stat *root)
{
    return root->st_mode & S_ISGID ? STORAGE_SHARED & 0777 : STORAGE_PRIVATE;
}

int storage_open(const char *root, struct storage **ret)
{
    _cleanup_close_ int fd = -1, incoming = -1;
    struct storage *s;
    struct stat st;
    int r = make_root(root);

    if (r < 0)
        return r;
    fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    spread_sessions(fd);
    incoming = path_make_dir(fd, INCOMING, session_mode(&st));
    if (incoming < 0)
        return incoming;
    r = clean_incoming(incoming);
    if (r < 0)
        return r;
    s = malloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (struct storage){
        .root = TAKE_FD(fd), .incoming = TAKE_FD(incoming), .session_mode = session_mode(&st)};
    *ret = s;
    return 0;
}

void storage_close(struct storage *s)
{
    if (!s)
        return;
    close(s->root);
    close(s->incoming);
    free(s);
}

void storage_use_incoming(struct storage *s)
{
    s->named = true;
}

int storage_root(const struct storage *s)
{
    return s->root;
}

int storage_clean_incoming(struct storage *s)
{
    return clean_incoming(s->incoming);
}

int storage_free_bytes(struct storage *s, uint64_t *ret)
{
    struct statvfs v;

    if (fstatvfs(s->root, &v) < 0)
        return -errno;
    if (__builtin_mul_overflow((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, ret))
        *ret = UINT64_MAX;
    return 0;
}

/* --- uploads */

static int begin_named(struct storage *s, struct storage_upload *u)
{
    for (;;) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        id_uuid(u->incoming);
        fd = path_open(s->incoming, u->incoming, O_RDWR | O_CREAT | O_EXCL, STORAGE_FILE_MODE);
        if (fd < 0)
            return fd;
        if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0) {
            int r = -errno;

            unlinkat(s->incoming, u->incoming, 0);
            return r;
        }
        if (st.st_nlink > 0) { /* else a cleaner was faster than the lock */
            u->fd = TAKE_FD(fd);
            return 0;
        }
    }
}

int storage_keeps(struct storage *s, uint64_t reserve)
{
    uint64_t available = 0;
    int r = storage_free_bytes(s, &available);

    return r < 0 ? r : available < reserve ? -ENOSPC : 0;
}

static int has_room(struct storage *s, uint64_t expected, uint64_t reserve)
{
    uint64_t needed;

    return __builtin_add_overflow(expected, reserve, &needed) ? -ENOSPC : storage_keeps(s, needed);
}

int storage_upload_begin(struct storage *s, uint64_t expected, uint64_t reserve, struct storage_upload *ret)
{
    int r = has_room(s, expected, reserve);

    *ret = (struct storage_upload){.fd = -1};
    if (r < 0)
        return r;
    if (!s->named) {
        int fd = path_tmpfile(s->root, STORAGE_FILE_MODE);

        if (fd >= 0) {
            ret->fd = fd;
            return 0;
        }
        if (fd != -EOPNOTSUPP)
            return fd;
        s->named = true;
    }
    r = begin_named(s, ret);
    if (r < 0)
        *ret = (struct storage_upload){.fd = -1};
    return r;
}

void storage_upload_abort(struct storage *s, struct storage_upload *u)
{
    if (u->fd < 0)
        return;
    if (*u->incoming)
        unlinkat(s->incoming, u->incoming, 0);
    close(u->fd);
    *u = (struct storage_upload){.fd = -1};
}

/* Up to COPY_STEP bytes from where both stand: how many, 0 at the end of `from`. */
static ssize_t copy_step(int from, int to)
{
    ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_STEP, 0);

    /* Filesystems that can't, and kernels that could not yet, refuse before the first byte. */
    if (n < 0 && (errno == EINVAL || errno == EXDEV || errno == EOPNOTSUPP || errno == ENOSYS))
        n = sendfile(to, from, NULL, COPY_STEP);
    return n < 0 ? -errno : n;
}

static int copy_all(struct storage *s, int from, uint64_t size, uint64_t reserve, const atomic_bool *stop,
                    int to)
{
    uint64_t copied = 0;

    while (copied < size) {
        ssize_t n = stop && *stop ? -ECANCELED : storage_keeps(s, reserve);

        if (n == 0)
            n = copy_step(from, to);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        copied += (uint64_t)n;
    }
    return copied == size ? 0 : -EIO;
}

int storage_upload_copy(struct storage *s, const char *path, uint64_t size, uint64_t reserve,
                        const atomic_bool *stop, struct storage_upload *ret)
{
    _cleanup_close_ int from = -1;
    struct stat st;
    int r;

    *ret = (struct storage_upload){.fd = -1};
    from = storage_open_file(s, path);
    if (from < 0)
        return from;
    if (fstat(from, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size != size)
        return -ENOENT;
    r = storage_upload_begin(s, size, reserve, ret);
    if (r < 0)
        return r;
    r = copy_all(s, from, size, reserve, stop, ret->fd);
    if (r < 0)
        storage_upload_abort(s, ret);
    return r;
}

int storage_upload_send(const struct storage_upload *u)
{
    return path_send(u->fd);
}

static bool extension_valid(const char *ext)
{
    size_t n = ext ? strspn(ext, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;

    return n > 0 && n <= EXTENSION_MAX && ext[n] == '\0';
}

/* A fresh stored path; `ret_name` receives the part behind its last slash. */
static int new_path(const char *session_id, const char *job_id, const char *folder, const char *ext,
                    char ret_path[STORAGE_PATH_MAX], const char **ret_name)
{
    char uuid[ID_UUID_LEN + 1];

    if (!id_is_token(session_id) || !id_is_uuid(job_id) || !extension_valid(ext))
        return -EINVAL;
    id_uuid(uuid);
    snprintf(ret_path, STORAGE_PATH_MAX, "%s/%s/%s/%s.%s", session_id, job_id, folder, uuid, ext);
    *ret_name = strrchr(ret_path, '/') + 1;
    return 0;
}

/* Opens, and makes, the folder of a stored path whose name begins at `name`. */
static int make_folder(struct storage *s, const char *path, const char *name)
{
    char folder[STORAGE_PATH_MAX], *below;
    _cleanup_close_ int session = -1;

    snprintf(folder, sizeof folder, "%.*s", (int)(name - 1 - path), path);
    below = strchr(folder, '/');
    *below++ = '\0';
    session = path_make_dir(s->root, folder, s->session_mode);
    return session < 0 ? session : path_make_dir(session, below, STORAGE_BELOW);
}

static int name_upload(struct storage *s, const struct storage_upload *u, const char *path, const char *name)
{
    _cleanup_close_ int dir = make_folder(s, path, name);

    if (dir < 0)
        return dir;
    if (!*u->incoming)
        return path_link(u->fd, dir, name);
    return renameat(s->incoming, u->incoming, dir, name) < 0 ? -errno : 0;
}

static int commit(struct storage *s, struct storage_upload *u, const char *session_id, const char *job_id,
                  const char *folder, const char *ext, char ret_path[STORAGE_PATH_MAX])
{
    const char *name;
    int r = u->fd < 0 ? -EBADF : new_path(session_id, job_id, folder, ext, ret_path, &name);

    if (r == 0)
        r = name_upload(s, u, ret_path, name);
    if (r == 0)
        *u->incoming = '\0'; /* it has left that folder: nothing to unlink there */
    storage_upload_abort(s, u);
    return r;
}

int storage_upload_commit(struct storage *s, struct storage_upload *u, const char *session_id,
                          const char *job_id, const char *ext, char ret_path[STORAGE_PATH_MAX])
{
    return commit(s, u, session_id, job_id, UPLOADS, ext, ret_path);
}

int storage_upload_commit_result(struct storage *s, struct storage_upload *u, const char *session_id,
                                 const char *job_id, const char *ext, char ret_path[STORAGE_PATH_MAX])
{
    return commit(s, u, session_id, job_id, CONVERTED, ext, ret_path);
}

/* --- uploads that come in pieces */

int storage_partial_create(struct storage *s, uint64_t expected, uint64_t reserve, const char *session_id,
                           const char *job_id, const char *ext, char ret_path[STORAGE_PATH_MAX])
{
    _cleanup_close_ int dir = -1, fd = -1;
    const char *name;
    int r = new_path(session_id, job_id, UPLOADS, ext, ret_path, &name);

    if (r == 0)
        r = has_room(s, expected, reserve);
    if (r < 0)
        return r;
    dir = make_folder(s, ret_path, name);
    if (dir < 0)
        return dir;
    fd = path_open(dir, name, O_RDWR | O_CREAT | O_EXCL, STORAGE_FILE_MODE);
    return fd < 0 ? fd : 0;
}

int storage_partial_open(struct storage *s, const char *path)
{
    _cleanup_close_ int fd =
        storage_path_valid(path) ? path_open(s->root, path, O_RDWR | O_NONBLOCK, 0) : -EINVAL;
    struct stat st;

    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    return st.st_nlink > 0 ? TAKE_FD(fd) : -ENOENT; /* 0: removed by who had it before */
}

/* --- the worker's side */

static int job_path(const char *session_id, const char *job_id, char ret[STORAGE_PATH_MAX])
{
    if (!id_is_token(session_id) || !id_is_uuid(job_id))
        return -EINVAL;
    snprintf(ret, STORAGE_PATH_MAX, "%s/%s", session_id, job_id);
    return 0;
}

int storage_open_job(struct storage *s, const char *session_id, const char *job_id)
{
    char path[STORAGE_PATH_MAX];
    int r = job_path(session_id, job_id, path);

    return r < 0 ? r : path_open(s->root, path, O_RDONLY | O_DIRECTORY, 0);
}

int storage_make_work(int job_fd, char ret_name[sizeof "work-" + ID_UUID_LEN])
{
    char uuid[ID_UUID_LEN + 1];

    id_uuid(uuid);
    snprintf(ret_name, sizeof WORK_PREFIX + ID_UUID_LEN, WORK_PREFIX "%s", uuid);
    return mkdirat(job_fd, ret_name, STORAGE_WORK) < 0 ? -errno : 0;
}

static bool work_valid(const char *work)
{
    return str_starts(work, WORK_PREFIX) && id_is_uuid(work + strlen(WORK_PREFIX));
}

static bool component_valid(const char *name)
{
    return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && !str_eq(name, ".") &&
           !str_eq(name, "..");
}

static int move_out(int job_fd, const char *work, const char *name, const char *folder, const char *final)
{
    _cleanup_close_ int from = -1, to = -1;
    struct stat st;

    if (!work_valid(work) || !component_valid(name))
        return -EINVAL;
    from = path_open(job_fd, work, O_RDONLY | O_DIRECTORY, 0);
    if (from < 0)
        return from;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return -EINVAL;
    to = path_make_dir(job_fd, folder, STORAGE_BELOW);
    if (to < 0)
        return to;
    return renameat(from, name, to, final) < 0 ? -errno : 0;
}

int storage_publish(struct storage *s, int job_fd, const char *work, const char *name, const char *session_id,
                    const char *job_id, const char *ext, char ret_path[STORAGE_PATH_MAX])
{
    const char *final;
    int r = new_path(session_id, job_id, CONVERTED, ext, ret_path, &final);

    return r < 0 ? r : move_out(job_fd, work, name, CONVERTED, final);
}

static void name_preview(const char *result_id, unsigned size, char ret[PREVIEW_NAME_MAX])
{
    snprintf(ret, PREVIEW_NAME_MAX, "%s-%u.png", result_id, size);
}

int storage_publish_preview(int job_fd, const char *work, const char *name, const char *result, unsigned size)
{
    char id[ID_UUID_LEN + 1], final[PREVIEW_NAME_MAX];

    if (!storage_result_id(result, id))
        return -EINVAL;
    name_preview(id, size, final);
    return move_out(job_fd, work, name, PREVIEW, final);
}

typedef bool leftover_fn(const char *name, const char *keep);

static bool is_work(const char *name, const char *keep)
{
    return str_starts(name, WORK_PREFIX);
}

static bool is_other(const char *name, const char *keep)
{
    return !str_eq(name, keep);
}

/* `keep`: the result whose pictures they have to be. */
static bool is_others(const char *name, const char *keep)
{
    return !*keep || !str_starts(name, keep);
}

/* Removes the entries of `path` (a folder below `parent_fd`) that are leftovers. */
static int sweep(int parent_fd, const char *path, leftover_fn *leftover, const char *keep)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int first = path_open_dir(parent_fd, path, &dir);

    if (first < 0)
        return first == -ENOENT ? 0 : first;
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

int storage_sweep_job(int job_fd, const char *keep)
{
    const char *slash = strrchr(keep, '/');
    char id[ID_UUID_LEN + 1] = "";
    int r = sweep(job_fd, ".", is_work, NULL), s = sweep(job_fd, CONVERTED, is_other, slash ? slash + 1 : "");
    int t = sweep(job_fd, PREVIEW, is_others, storage_result_id(keep, id) ? id : "");

    return r < 0 ? r : s < 0 ? s : t;
}

/* --- reading and removing */

/* A stored path in its parts, which point into `copy`. */
struct parts {
    char copy[STORAGE_PATH_MAX];
    const char *session_id, *job_id, *folder, *uuid, *ext;
};

static bool split(const char *path, struct parts *ret)
{
    char *rest = ret->copy;

    if (!path || strlen(path) >= sizeof ret->copy)
        return false;
    memcpy(ret->copy, path, strlen(path) + 1);
    ret->session_id = strsep(&rest, "/");
    ret->job_id = strsep(&rest, "/");
    ret->folder = strsep(&rest, "/");
    ret->uuid = strsep(&rest, ".");
    ret->ext = rest;
    return id_is_token(ret->session_id) && id_is_uuid(ret->job_id) &&
           (str_eq(ret->folder, UPLOADS) || str_eq(ret->folder, CONVERTED)) && id_is_uuid(ret->uuid) &&
           extension_valid(ret->ext);
}

bool storage_path_valid(const char *path)
{
    struct parts parts;

    return split(path, &parts);
}

static int open_regular(struct storage *s, const char *path)
{
    _cleanup_close_ int fd = path_open(s->root, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

int storage_open_result(struct storage *s, const char *session_id, const char *job_id, const char *path,
                        char ret_path[STORAGE_PATH_MAX])
{
    struct parts parts;

    if (!split(path, &parts) || !str_eq(parts.session_id, session_id) || !str_eq(parts.job_id, job_id) ||
        !str_eq(parts.folder, CONVERTED))
        return -EINVAL;
    snprintf(ret_path, STORAGE_PATH_MAX, "%s/%s/" CONVERTED "/%s.%s", session_id, job_id, parts.uuid,
             parts.ext);
    return storage_open_file(s, ret_path);
}

int storage_open_file(struct storage *s, const char *path)
{
    return storage_path_valid(path) ? open_regular(s, path) : -EINVAL;
}

bool storage_result_id(const char *path, char ret[ID_UUID_LEN + 1])
{
    struct parts parts;

    if (!split(path, &parts) || !str_eq(parts.folder, CONVERTED))
        return false;
    memcpy(ret, parts.uuid, ID_UUID_LEN + 1);
    return true;
}

int storage_open_preview(struct storage *s, const char *result, unsigned size,
                         char ret_path[STORAGE_PATH_MAX])
{
    char name[PREVIEW_NAME_MAX];
    struct parts parts;

    if (!split(result, &parts) || !str_eq(parts.folder, CONVERTED))
        return -EINVAL;
    name_preview(parts.uuid, size, name);
    snprintf(ret_path, STORAGE_PATH_MAX, "%s/%s/" PREVIEW "/%s", parts.session_id, parts.job_id, name);
    return open_regular(s, ret_path);
}

bool storage_has_file(struct storage *s, const char *path)
{
    _cleanup_close_ int fd = storage_open_file(s, path);

    return fd >= 0;
}

int storage_remove_file(struct storage *s, const char *path)
{
    char folder[STORAGE_PATH_MAX];
    const char *name;
    _cleanup_close_ int dir = -1;

    if (!storage_path_valid(path))
        return -EINVAL;
    name = strrchr(path, '/') + 1;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - 1 - path), path);
    dir = path_open(s->root, folder, O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0)
        return dir == -ENOENT ? 0 : dir;
    return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A process that is just being stopped may still write into the folder while it is emptied. */
static int remove_persistently(int dirfd, const char *name)
{
    int r = -ENOTEMPTY;

    for (int i = 0; i < REMOVE_ATTEMPTS && r == -ENOTEMPTY; i++)
        r = path_remove_tree(dirfd, name);
    return r;
}

int storage_remove_job(struct storage *s, const char *session_id, const char *job_id)
{
    _cleanup_close_ int session = -1;

    if (!id_is_token(session_id) || !id_is_uuid(job_id))
        return -EINVAL;
    session = path_open(s->root, session_id, O_RDONLY | O_DIRECTORY, 0);
    if (session < 0)
        return session == -ENOENT ? 0 : session;
    return remove_persistently(session, job_id);
}

int storage_remove_session(struct storage *s, const char *session_id)
{
    return id_is_token(session_id) ? remove_persistently(s->root, session_id) : -EINVAL;
}
