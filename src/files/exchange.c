#include "files/exchange.h"

#include "core/path.h"
#include "core/str.h"
#include "format/format.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define SHARED   "exchange/"
#define ATTEMPTS ".exchange"
#define RESULT   "result" /* in an attempt's folder, until it is published */

/* Nobody else passes .exchange/; engines come in by the descriptor of an attempt's folder (storage.h). */
enum { PRIVATE = 0700, ATTEMPT = 0711 };

enum {
    COPY_STEP = 8 << 20,
    DIGEST_BYTES = EXCHANGE_DIGEST_BYTES,
    SUFFIX_BYTES = 8 /* of the digest in a result's name */
};

/* exchange/ and then names, none of them empty, hidden or "..". */
static bool source_valid(const char *source)
{
    if (!source || !str_starts(source, SHARED) || strlen(source) >= EXCHANGE_PATH_MAX ||
        strlen(strrchr(source, '/') + 1) > NAME_MAX)
        return false;
    for (const char *name = source; name; name = strchr(name, '/')) {
        name += name != source;
        if (*name == '\0' || *name == '/' || *name == '.')
            return false;
    }
    return true;
}

/* The folder that it lies in, by no link. */
static int open_folder(struct storage *s, const char *source)
{
    _cleanup_free_ char *folder = strndup(source, (size_t)(strrchr(source, '/') - source));

    return folder ? path_open(storage_root(s), folder, O_RDONLY | O_DIRECTORY, 0) : -ENOMEM;
}

static int open_source(struct exchange_file *f, uint64_t max_bytes)
{
    _cleanup_close_ int fd = path_open(f->folder, f->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return -EMLINK;
    if ((uint64_t)st.st_size > max_bytes)
        return -EFBIG;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    f->mode = st.st_mode;
    return TAKE_FD(fd);
}

/* What earlier attempts of this task have left; whoever still works on one of them has lost the task. */
static void sweep(int attempts, const char *prefix)
{
    _cleanup_closedir_ DIR *dir = NULL;

    if (path_open_dir(attempts, ".", &dir) < 0)
        return;
    for (struct dirent *e; (e = readdir(dir));) // NOLINT(concurrency-mt-unsafe): a stream of our own
        if (str_starts(e->d_name, prefix))
            path_remove_tree(attempts, e->d_name);
}

static int make_attempt(struct storage *s, struct exchange_file *f)
{
    _cleanup_close_ int attempts = path_make_dir(storage_root(s), ATTEMPTS, PRIVATE);
    char prefix[2 * sizeof f->digest + 1], uuid[ID_UUID_LEN + 1];

    if (attempts < 0)
        return attempts;
    sodium_bin2hex(prefix, sizeof prefix, f->digest, sizeof f->digest);
    sweep(attempts, prefix);
    id_uuid(uuid);
    snprintf(f->attempt, sizeof f->attempt, "%s-%s", prefix, uuid);
    f->job_fd = path_make_dir(attempts, f->attempt, ATTEMPT);
    return f->job_fd < 0 ? f->job_fd : 0;
}

/* No more than was asked for, however the source grows meanwhile. */
static int copy(int from, int to, uint64_t max_bytes)
{
    uint64_t copied = 0;
    ssize_t n;

    while ((n = sendfile(to, from, NULL, COPY_STEP)) > 0)
        if ((copied += (uint64_t)n) > max_bytes)
            return -EFBIG;
    return n < 0 ? -errno : 0;
}

static void set_digest(unsigned char digest[DIGEST_BYTES], const char *task_id)
{
    crypto_generichash(digest, DIGEST_BYTES, (const unsigned char *)task_id, strlen(task_id), NULL, 0);
}

void exchange_sweep(struct storage *s, const char *task_id)
{
    _cleanup_close_ int attempts = path_open(storage_root(s), ATTEMPTS, O_RDONLY | O_DIRECTORY, 0);
    unsigned char digest[DIGEST_BYTES];
    char prefix[2 * DIGEST_BYTES + 1];

    set_digest(digest, task_id);
    sodium_bin2hex(prefix, sizeof prefix, digest, sizeof digest);
    if (attempts >= 0)
        sweep(attempts, prefix);
}

int exchange_take(struct storage *s, const char *source, const char *task_id, const char *ext,
                  uint64_t max_bytes, struct exchange_file *ret)
{
    _cleanup_close_ int from = -1;
    int r;

    *ret = (struct exchange_file){.job_fd = -1, .input_fd = -1, .folder = -1};
    if (!source_valid(source))
        return -EINVAL;
    set_digest(ret->digest, task_id);
    snprintf(ret->source, sizeof ret->source, "%s", source);
    snprintf(ret->name, sizeof ret->name, "%s", strrchr(source, '/') + 1);
    ret->folder = open_folder(s, source);
    if (ret->folder < 0)
        return ret->folder;
    from = open_source(ret, max_bytes);
    if (from < 0)
        return from;
    r = make_attempt(s, ret);
    if (r < 0)
        return r;
    snprintf(ret->input, sizeof ret->input, "input.%s", ext);
    ret->input_fd = path_open(ret->job_fd, ret->input, O_RDWR | O_CREAT | O_EXCL, STORAGE_FILE_MODE);
    return ret->input_fd < 0 ? ret->input_fd : copy(from, ret->input_fd, max_bytes);
}

/* The source's name without its extension, what no other task has, and the format's extension. */
static void name_result(struct exchange_file *f, const char *ext)
{
    char suffix[2 * SUFFIX_BYTES + 1];
    size_t stem = (size_t)(format_extension_of(f->name) - f->name),
           room = sizeof f->result_name - sizeof suffix - strlen(ext) - 2;

    sodium_bin2hex(suffix, sizeof suffix, f->digest, SUFFIX_BYTES);
    if (stem > room)
        stem = utf8_clip(f->name, room);
    snprintf(f->result_name, sizeof f->result_name, "%.*s-%s.%s", (int)stem, f->name, suffix, ext);
}

/* What the engine made, if it is a regular file with one name. */
static int open_output(const struct exchange_file *f, const char *work, const char *name)
{
    _cleanup_close_ int from = path_open(f->job_fd, work, O_RDONLY | O_DIRECTORY, 0), file = -1;
    struct stat st;

    if (from < 0)
        return from;
    file = path_open(from, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    if (file < 0)
        return file;
    if (fstat(file, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) && st.st_nlink == 1 ? TAKE_FD(file) : -EINVAL;
}

/* The file of the engine's user becomes one of ours: others have no say in its permission bits. */
static int copy_output(const struct exchange_file *f, int output)
{
    _cleanup_close_ int file = path_open(f->job_fd, RESULT, O_WRONLY | O_CREAT | O_EXCL, 0600);
    int r = file < 0 ? file : copy(output, file, UINT64_MAX);

    if (r == 0)
        r = path_send(file);
    return r < 0 ? r : path_chmod(file, 0600 | (f->mode & 0066));
}

int exchange_publish(struct exchange_file *f, const char *work, const char *name, const char *ext)
{
    _cleanup_close_ int output = open_output(f, work, name);
    int r = output < 0 ? output : copy_output(f, output);

    if (r < 0)
        return r;
    name_result(f, ext);
    if (renameat(f->job_fd, RESULT, f->folder, f->result_name) < 0)
        return -errno;
    snprintf(f->result, sizeof f->result, "%.*s/%s", (int)(strrchr(f->source, '/') - f->source), f->source,
             f->result_name);
    return 0;
}

void exchange_remove_result(struct exchange_file *f)
{
    if (f->result[0])
        unlinkat(f->folder, f->result_name, 0);
    f->result[0] = '\0';
}

void exchange_remove_source(struct exchange_file *f)
{
    struct stat st;

    if (f->folder >= 0 && fstatat(f->folder, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == f->device && st.st_ino == f->inode)
        unlinkat(f->folder, f->name, 0);
}

static void close_fd(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}

void exchange_drop(struct storage *s, struct exchange_file *f)
{
    if (f->attempt[0]) {
        _cleanup_close_ int attempts = path_open(storage_root(s), ATTEMPTS, O_RDONLY | O_DIRECTORY, 0);

        if (attempts >= 0)
            path_remove_tree(attempts, f->attempt);
        f->attempt[0] = '\0';
    }
    close_fd(&f->input_fd);
    close_fd(&f->job_fd);
    close_fd(&f->folder);
}
