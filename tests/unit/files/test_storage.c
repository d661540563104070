#include "core/path.h"
#include "core/str.h"
#include "files/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cmocka.h>

struct fixture {
    char dir[32], root[64], session[ID_TOKEN_LEN + 1], job[ID_UUID_LEN + 1];
    struct storage *storage;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->dir, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->root, sizeof f->root, "%s/new/root", f->dir);
    assert_int_equal(storage_open(f->root, &f->storage), 0);
    id_token(f->session);
    id_uuid(f->job);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    storage_close(f->storage);
    assert_int_equal(path_remove_tree(tmp, f->dir + strlen("/tmp/")), 0);
    free(f);
    return 0;
}

/* Entries of a folder below the root, but for . and .. */
static unsigned count(const struct fixture *f, const char *folder)
{
    char path[512];
    _cleanup_closedir_ DIR *dir = NULL;
    unsigned n = 0;

    snprintf(path, sizeof path, "%s/%s", f->root, folder);
    dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    return n - 2;
}

static bool exists(const struct fixture *f, const char *stored)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", f->root, stored);
    return access(path, F_OK) == 0;
}

static void upload(struct fixture *f, const char *text, char ret_path[STORAGE_PATH_MAX])
{
    struct storage_upload u;

    assert_int_equal(storage_upload_begin(f->storage, strlen(text), 0, &u), 0);
    assert_int_equal(write(u.fd, text, strlen(text)), strlen(text));
    assert_int_equal(storage_upload_send(&u), 0);
    assert_int_equal(storage_upload_commit(f->storage, &u, f->session, f->job, "docx", ret_path), 0);
    assert_int_equal(u.fd, -1);
    assert_int_equal(storage_upload_send(&u), -EBADF);
}

static void assert_content(struct fixture *f, const char *path, const char *expected)
{
    char data[64] = "";
    _cleanup_close_ int fd = storage_open_file(f->storage, path);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, STORAGE_FILE_MODE);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(read(fd, data, sizeof data - 1), strlen(expected));
    assert_string_equal(data, expected);
}

static void an_upload_appears_when_it_is_committed(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], prefix[STORAGE_PATH_MAX];
    struct storage_upload u;

    assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
    assert_string_equal(u.incoming, ""); /* these tests run where there is O_TMPFILE */
    assert_int_equal(write(u.fd, "hello", 5), 5);
    assert_int_equal(count(f, ""), 1); /* .incoming */
    assert_int_equal(storage_upload_commit(f->storage, &u, f->session, f->job, "docx", path), 0);
    snprintf(prefix, sizeof prefix, "%s/%s/uploads/", f->session, f->job);
    assert_true(str_starts(path, prefix));
    assert_true(str_eq(strrchr(path, '.'), ".docx"));
    assert_true(storage_path_valid(path));
    assert_content(f, path, "hello");
}

static void without_unnamed_files_it_has_a_random_name(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];
    struct storage_upload u;

    storage_use_incoming(f->storage);
    assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
    assert_true(id_is_uuid(u.incoming));
    assert_int_equal(count(f, ".incoming"), 1);
    assert_int_equal(write(u.fd, "hello", 5), 5);
    assert_int_equal(storage_upload_commit(f->storage, &u, f->session, f->job, "docx", path), 0);
    assert_int_equal(count(f, ".incoming"), 0);
    assert_content(f, path, "hello");
}

static ino_t inode(struct fixture *f, const char *path)
{
    _cleanup_close_ int fd = storage_open_file(f->storage, path);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void a_copy_is_a_file_of_its_own(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], copy[STORAGE_PATH_MAX], other[ID_UUID_LEN + 1];
    struct storage_upload u;

    upload(f, "hello", path);
    for (unsigned i = 0; i < 2; i++) {
        id_uuid(other);
        assert_int_equal(storage_upload_copy(f->storage, path, 5, 0, NULL, &u), 0);
        assert_int_equal(storage_upload_commit(f->storage, &u, f->session, other, "docx", copy), 0);
        assert_content(f, path, "hello");
        assert_content(f, copy, "hello");
        assert_true(inode(f, path) != inode(f, copy));
        assert_int_equal(count(f, ".incoming"), 0);
        storage_use_incoming(f->storage);
    }
    assert_int_equal(storage_remove_file(f->storage, path), 0);
    assert_content(f, copy, "hello");
}

static void a_copy_becomes_a_result(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], copy[STORAGE_PATH_MAX], opened[STORAGE_PATH_MAX], other[ID_UUID_LEN + 1];
    struct storage_upload u;
    _cleanup_close_ int fd = -1;

    upload(f, "hello", path);
    id_uuid(other);
    assert_int_equal(storage_upload_copy(f->storage, path, 5, 0, NULL, &u), 0);
    assert_int_equal(storage_upload_commit_result(f->storage, &u, f->session, other, "pdf", copy), 0);
    assert_content(f, copy, "hello");
    fd = storage_open_result(f->storage, f->session, other, copy, opened);
    assert_true(fd >= 0);
    assert_string_equal(opened, copy);
    assert_int_equal(storage_upload_commit_result(f->storage, &u, f->session, other, "pdf", copy), -EBADF);
}

static void what_can_not_be_copied_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];
    struct storage_upload u;

    storage_use_incoming(f->storage);
    upload(f, "hello", path);
    assert_true(storage_has_file(f->storage, path));
    assert_int_equal(storage_upload_copy(f->storage, path, 6, 0, NULL, &u),
                     -ENOENT); /* a part of it is lost */
    assert_int_equal(storage_upload_copy(f->storage, path, 5, UINT64_MAX / 2, NULL, &u), -ENOSPC);
    assert_int_equal(storage_upload_copy(f->storage, path, 5, 0, &(atomic_bool){true}, &u), -ECANCELED);
    assert_int_equal(storage_upload_copy(f->storage, "../../etc/passwd", 5, 0, NULL, &u), -EINVAL);
    assert_int_equal(storage_remove_file(f->storage, path), 0);
    assert_false(storage_has_file(f->storage, path));
    assert_int_equal(storage_upload_copy(f->storage, path, 5, 0, NULL, &u), -ENOENT);
    assert_int_equal(u.fd, -1);
    assert_int_equal(count(f, ".incoming"), 0);
}

static void a_broken_upload_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct storage_upload u;

    for (int named = 0; named < 2; named++) {
        assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
        storage_upload_abort(f->storage, &u);
        assert_int_equal(u.fd, -1);
        storage_upload_abort(f->storage, &u); /* again is fine */
        assert_int_equal(count(f, ".incoming"), 0);
        assert_int_equal(count(f, ""), 1);
        storage_use_incoming(f->storage);
    }
}

static void a_commit_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];
    struct storage_upload u;

    for (int named = 0; named < 2; named++) {
        assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
        assert_int_equal(storage_upload_commit(f->storage, &u, f->session, f->job, "../x", path), -EINVAL);
        assert_int_equal(u.fd, -1);
        assert_int_equal(storage_upload_commit(f->storage, &u, f->session, f->job, "docx", path), -EBADF);
        assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
        assert_int_equal(storage_upload_commit(f->storage, &u, "../..", f->job, "docx", path), -EINVAL);
        assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
        assert_int_equal(storage_upload_commit(f->storage, &u, f->session, "..", "docx", path), -EINVAL);
        assert_int_equal(count(f, ".incoming"), 0);
        assert_int_equal(count(f, ""), 1);
        storage_use_incoming(f->storage);
    }
}

static void a_full_disk_is_told_in_advance(void **state)
{
    struct fixture *f = *state;
    struct storage_upload u;
    uint64_t available;

    assert_int_equal(storage_free_bytes(f->storage, &available), 0);
    assert_true(available > 0);
    assert_int_equal(storage_upload_begin(f->storage, UINT64_MAX / 2, 0, &u), -ENOSPC);
    assert_int_equal(u.fd, -1);
    assert_int_equal(storage_upload_begin(f->storage, 0, UINT64_MAX / 2, &u), -ENOSPC);
    assert_int_equal(storage_upload_begin(f->storage, UINT64_MAX, UINT64_MAX, &u), -ENOSPC);
    storage_upload_abort(f->storage, &u);
}

/* Another process that opens the same storage removes what nobody holds, and nothing else. */
static void leftovers_are_removed_and_uploads_under_way_are_not(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], leftover[256], foreign[256];
    struct storage_upload u;
    struct storage *again;
    char uuid[ID_UUID_LEN + 1];

    storage_use_incoming(f->storage);
    assert_int_equal(storage_upload_begin(f->storage, 5, 0, &u), 0);
    id_uuid(uuid);
    snprintf(leftover, sizeof leftover, "%s/.incoming/%s", f->root, uuid);
    snprintf(foreign, sizeof foreign, "%s/.incoming/README", f->root);
    close(open(leftover, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(open(foreign, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(storage_open(f->root, &again), 0);
    assert_int_equal(access(leftover, F_OK), -1);
    assert_int_equal(access(foreign, F_OK), 0);
    assert_int_equal(storage_upload_commit(f->storage, &u, f->session, f->job, "docx", path), 0);
    storage_close(again);
}

static int make_result(struct fixture *f, char work[48], const char *name)
{
    int job = storage_open_job(f->storage, f->session, f->job);
    _cleanup_close_ int dir = -1, fd = -1;

    assert_true(job >= 0);
    assert_int_equal(storage_make_work(job, work), 0);
    assert_true(str_starts(work, "work-"));
    dir = openat(job, work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "result", 6), 6);
    return job;
}

static void a_result_is_published(void **state)
{
    struct fixture *f = *state;
    char source[STORAGE_PATH_MAX], path[STORAGE_PATH_MAX], prefix[STORAGE_PATH_MAX], work[48];

    upload(f, "hello", source);

    _cleanup_close_ int job = make_result(f, work, "result.pdf");

    assert_int_equal(storage_publish(f->storage, job, work, "result.pdf", f->session, f->job, "pdf", path),
                     0);
    snprintf(prefix, sizeof prefix, "%s/%s/converted/", f->session, f->job);
    assert_true(str_starts(path, prefix));
    assert_true(storage_path_valid(path));
    assert_content(f, path, "result");
    assert_int_equal(path_remove_tree(job, work), 0);
    assert_content(f, source, "hello");
}

static void only_a_plain_file_of_its_own_is_published(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"link", "hard", "folder", "pipe", "missing", "..", ".", "", "a/b"};
    char source[STORAGE_PATH_MAX], path[STORAGE_PATH_MAX], work[48];

    upload(f, "hello", source);

    _cleanup_close_ int job = make_result(f, work, "plain");
    _cleanup_close_ int dir = openat(job, work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(symlinkat("/etc/passwd", dir, "link"), 0);
    assert_int_equal(linkat(dir, "plain", dir, "hard", 0), 0);
    assert_int_equal(mkdirat(dir, "folder", 0700), 0);
    assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_true(storage_publish(f->storage, job, work, names[i], f->session, f->job, "pdf", path) < 0);
    assert_int_equal(storage_publish(f->storage, job, "..", "plain", f->session, f->job, "pdf", path),
                     -EINVAL);
    assert_int_equal(storage_publish(f->storage, job, "work-x", "plain", f->session, f->job, "pdf", path),
                     -EINVAL);
    assert_int_equal(storage_publish(f->storage, job, work, "hard", f->session, f->job, "PDF", path),
                     -EINVAL);
}

static void paths_that_we_do_not_build_are_refused(void **state)
{
    struct fixture *f = *state;
    char good[STORAGE_PATH_MAX], bad[2 * STORAGE_PATH_MAX];
    static const char *const forms[] = {"/%s", "%s/", "../%s", "./%s", "%s.x", "%sX", "%s/..", "%s ", "%s\n"};

    upload(f, "hello", good);
    assert_true(storage_path_valid(good));
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(bad, sizeof bad, forms[i], good);
#pragma GCC diagnostic pop
        assert_false(storage_path_valid(bad));
        assert_int_equal(storage_open_file(f->storage, bad), -EINVAL);
        assert_int_equal(storage_remove_file(f->storage, bad), -EINVAL);
    }
    assert_false(storage_path_valid(NULL));
    assert_false(storage_path_valid(""));
    for (size_t i = 0; i < strlen(good); i++) { /* any character replaced by a slash or a dot */
        if (good[i] != '/') {
            strcpy(bad, good);
            bad[i] = '/';
            assert_false(storage_path_valid(bad));
        }
        if (good[i] != '.') {
            strcpy(bad, good);
            bad[i] = '.';
            assert_false(storage_path_valid(bad));
        }
    }
    strcpy(bad, good);
    memcpy(strstr(bad, "/uploads/"), "/Uploads/", 9);
    assert_false(storage_path_valid(bad));
    assert_true(exists(f, good));
}

/* What a download opens: whatever Redis says, a result of the job that the link was made for. */
static void only_a_result_of_that_job_is_handed_out(void **state)
{
    struct fixture *f = *state;
    char source[STORAGE_PATH_MAX], path[STORAGE_PATH_MAX], again[STORAGE_PATH_MAX], bad[2 * STORAGE_PATH_MAX];
    char other_session[ID_TOKEN_LEN + 1], other_job[ID_UUID_LEN + 1], work[48];
    static const char *const tampered[] = {"/etc/passwd", "../../etc/passwd", "", "converted",
                                           "a/b/converted/c.pdf"};

    id_token(other_session);
    id_uuid(other_job);
    upload(f, "hello", source);

    _cleanup_close_ int job = make_result(f, work, "r.pdf");

    assert_int_equal(storage_publish(f->storage, job, work, "r.pdf", f->session, f->job, "pdf", path), 0);
    _cleanup_close_ int fd = storage_open_result(f->storage, f->session, f->job, path, again);

    assert_true(fd >= 0);
    assert_string_equal(again, path);
    assert_int_equal(storage_open_result(f->storage, other_session, f->job, path, again), -EINVAL);
    assert_int_equal(storage_open_result(f->storage, f->session, other_job, path, again), -EINVAL);
    assert_int_equal(storage_open_result(f->storage, f->session, f->job, source, again), -EINVAL);
    assert_int_equal(storage_open_result(f->storage, f->session, f->job, NULL, again), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(tampered); i++)
        assert_int_equal(storage_open_result(f->storage, f->session, f->job, tampered[i], again), -EINVAL);
    snprintf(bad, sizeof bad, "%s\nSet-Cookie: x", path);
    assert_int_equal(storage_open_result(f->storage, f->session, f->job, bad, again), -EINVAL);
    snprintf(bad, sizeof bad, "/%s", path);
    assert_int_equal(storage_open_result(f->storage, f->session, f->job, bad, again), -EINVAL);
}

static void a_link_in_the_tree_is_not_followed(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], full[512];

    upload(f, "hello", path);
    snprintf(full, sizeof full, "%s/%s", f->root, path);
    assert_int_equal(unlink(full), 0);
    assert_int_equal(symlink("/etc/passwd", full), 0);
    assert_int_equal(storage_open_file(f->storage, path), -ELOOP);
}

static void files_are_removed(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];

    upload(f, "hello", path);
    assert_int_equal(storage_remove_file(f->storage, path), 0);
    assert_false(exists(f, path));
    assert_int_equal(storage_open_file(f->storage, path), -ENOENT);
    assert_int_equal(storage_remove_file(f->storage, path), 0);
    assert_int_equal(storage_remove_job(f->storage, f->session, f->job), 0);
    assert_int_equal(storage_remove_file(f->storage, path), 0);
}

static void jobs_and_sessions_are_removed(void **state)
{
    struct fixture *f = *state;
    char first[STORAGE_PATH_MAX], second[STORAGE_PATH_MAX], work[48];

    upload(f, "one", first);
    close(make_result(f, work, "left over"));
    id_uuid(f->job);
    upload(f, "two", second);
    first[ID_TOKEN_LEN + 1 + ID_UUID_LEN] = '\0';
    assert_int_equal(storage_remove_job(f->storage, f->session, first + ID_TOKEN_LEN + 1), 0);
    assert_false(exists(f, first));
    assert_true(exists(f, second));
    assert_int_equal(storage_open_job(f->storage, f->session, first + ID_TOKEN_LEN + 1), -ENOENT);
    assert_int_equal(storage_remove_session(f->storage, f->session), 0);
    assert_false(exists(f, f->session));
    assert_int_equal(storage_remove_session(f->storage, f->session), 0);
    assert_int_equal(storage_remove_job(f->storage, f->session, f->job), 0);
    assert_int_equal(count(f, ""), 1);
}

static void nothing_but_jobs_and_sessions_is_removed(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];

    upload(f, "hello", path);
    assert_int_equal(storage_remove_session(f->storage, ".."), -EINVAL);
    assert_int_equal(storage_remove_session(f->storage, ".incoming"), -EINVAL);
    assert_int_equal(storage_remove_session(f->storage, NULL), -EINVAL);
    assert_int_equal(storage_remove_job(f->storage, f->session, ".."), -EINVAL);
    assert_int_equal(storage_remove_job(f->storage, f->session, ""), -EINVAL);
    assert_int_equal(storage_remove_job(f->storage, "", f->job), -EINVAL);
    assert_int_equal(storage_open_job(f->storage, "..", f->job), -EINVAL);
    assert_true(exists(f, path));
}

/* The root, the session, the job, its folders, a file; below them a work folder. */
static void check_modes(struct fixture *f, const mode_t expected[5], mode_t work)
{
    char path[STORAGE_PATH_MAX], full[512], name[sizeof "work-" + ID_UUID_LEN];
    _cleanup_close_ int job = -1;
    struct stat st;

    upload(f, "hello", path);
    for (size_t level = 4; level > 0; level--) {
        snprintf(full, sizeof full, "%s/%s", f->root, path);
        assert_int_equal(stat(full, &st), 0);
        assert_int_equal(st.st_mode & 07777, expected[level]);
        *(strrchr(path, '/') ? strrchr(path, '/') : path) = '\0';
    }
    assert_int_equal(stat(f->root, &st), 0);
    assert_int_equal(st.st_mode & 07777, expected[0]);
    job = storage_open_job(f->storage, f->session, f->job);
    assert_int_equal(storage_make_work(job, name), 0);
    assert_int_equal(fstatat(job, name, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, work);
}

static void sessions_are_private(void **state)
{
    check_modes(*state, (const mode_t[]){0700, 0700, 0771, 0771, 0644}, 0777);
}

/* As an older version left everything, and a stranger something. */
static void make_old_tree(struct fixture *f, const char *path)
{
    _cleanup_close_ int root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), stray = -1;
    char part[STORAGE_PATH_MAX];

    assert_int_equal(fchmodat(root, path, 0600, 0), 0);
    strcpy(part, path);
    for (char *slash; (slash = strrchr(part, '/'));) {
        *slash = '\0';
        assert_int_equal(fchmodat(root, part, 0700, 0), 0);
    }
    assert_int_equal(fchmodat(root, ".incoming", 0700, 0), 0);
    stray = path_make_dir(root, "stray", 0700);
    assert_true(stray >= 0);
    assert_int_equal(symlinkat(f->dir, root, "link"), 0);
}

static void a_tree_becomes_the_groups(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], full[512];
    struct stat st;

    upload(f, "hello", path);
    make_old_tree(f, path);
    storage_close(f->storage);
    assert_int_equal(storage_share(f->root), 0);
    assert_int_equal(storage_open(f->root, &f->storage), 0);
    assert_content(f, path, "hello");
    id_token(f->session);
    check_modes(f, (const mode_t[]){02770, 02770, 02771, 02771, 0644}, 02777);
    for (size_t i = 0; i < 4; i++) {
        const mode_t modes[] = {0644, 02771, 02771, 02770};

        snprintf(full, sizeof full, "%s/%s", f->root, path);
        assert_int_equal(stat(full, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        *(strrchr(path, '/') ? strrchr(path, '/') : path) = '\0';
    }
    snprintf(full, sizeof full, "%s/.incoming", f->root);
    assert_int_equal(stat(full, &st), 0);
    assert_int_equal(st.st_mode & 07777, 02770);
    snprintf(full, sizeof full, "%s/stray", f->root);
    assert_int_equal(stat(full, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(f->dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(storage_share(f->root), 0); /* again is fine */
}

/* What was shared once is not looked through again, and a foreign root is nobody's to share. */
static void only_the_owner_shares_it(void **state)
{
    struct fixture *f = *state;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(f->root, 65534, 65534), 0);
    assert_int_equal(storage_share(f->root), -EPERM);
    assert_int_equal(chown(f->root, 65534, getegid()), 0);
    assert_int_equal(chmod(f->root, 02770), 0);
    assert_int_equal(storage_share(f->root), 0);
}

/* Where the filesystem has a word for it. */
static void sessions_lie_apart(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;
    unsigned flags = 0;

    assert_int_equal(fstatfs(root, &fs), 0);
    if (fs.f_type != EXT4_SUPER_MAGIC)
        skip();
    assert_int_equal(ioctl(root, FS_IOC_GETFLAGS, &flags), 0);
    assert_true(flags & FS_TOPDIR_FL);
}

static void a_root_that_cannot_be_is_refused(void **state)
{
    struct storage *s;

    assert_int_equal(storage_open("/proc/decant", &s), -ENOENT);
    assert_int_equal(storage_open("/etc/passwd/x", &s), -ENOTDIR);
    assert_int_equal(storage_open("/etc/passwd", &s), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void touch(int dirfd, const char *path)
{
    _cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
}

static void a_sweep_leaves_the_upload_and_the_result_that_counts(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX], work[sizeof "work-" + ID_UUID_LEN], kept[STORAGE_PATH_MAX];
    char inside[STORAGE_PATH_MAX];
    _cleanup_close_ int job = -1;

    upload(f, "x", path);
    job = storage_open_job(f->storage, f->session, f->job);
    assert_true(job >= 0);
    assert_int_equal(storage_sweep_job(job, ""), 0); /* no result yet */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(storage_make_work(job, work), 0);
        snprintf(inside, sizeof inside, "%s/out.pdf", work);
        touch(job, inside);
        assert_int_equal(storage_publish(f->storage, job, work, "out.pdf", f->session, f->job, "pdf", kept),
                         0);
    }
    touch(job, inside); /* of an attempt that was cut short */
    assert_int_equal(storage_sweep_job(job, kept), 0);
    assert_true(exists(f, path));
    assert_true(exists(f, kept));
    snprintf(inside, sizeof inside, "%s/%s", f->session, f->job);
    assert_int_equal(count(f, inside), 2); /* uploads, converted */
    snprintf(inside, sizeof inside, "%s/%s/converted", f->session, f->job);
    assert_int_equal(count(f, inside), 1);
    assert_int_equal(storage_sweep_job(job, ""), 0);
    assert_int_equal(count(f, inside), 0);
    assert_true(exists(f, path));
}

/* A result under its final name. */
static void publish_result(struct fixture *f, char ret_path[STORAGE_PATH_MAX])
{
    char work[48];
    _cleanup_close_ int job = make_result(f, work, "r.pdf");

    assert_int_equal(storage_publish(f->storage, job, work, "r.pdf", f->session, f->job, "pdf", ret_path), 0);
}

static void publish_preview(struct fixture *f, const char *result, unsigned size)
{
    char work[48];
    _cleanup_close_ int job = make_result(f, work, "p.png");

    assert_int_equal(storage_publish_preview(job, work, "p.png", result, size), 0);
}

static int open_preview(struct fixture *f, const char *result, unsigned size)
{
    char path[STORAGE_PATH_MAX], full[512];
    int fd = storage_open_preview(f->storage, result, size, path);

    if (fd < 0)
        return fd;
    close(fd);
    snprintf(full, sizeof full, "%s/%s/preview/", f->session, f->job);
    assert_true(str_starts(path, full));
    assert_true(exists(f, path));
    return 0;
}

static void pictures_belong_to_one_result(void **state)
{
    struct fixture *f = *state;
    char upload_path[STORAGE_PATH_MAX], first[STORAGE_PATH_MAX], second[STORAGE_PATH_MAX], work[48];
    char id[ID_UUID_LEN + 1], folder[STORAGE_PATH_MAX];

    upload(f, "x", upload_path);
    publish_result(f, first);
    publish_result(f, second);
    assert_int_equal(open_preview(f, first, 256), -ENOENT);
    publish_preview(f, first, 256);
    publish_preview(f, first, 256); /* again: it takes the place of the other */
    publish_preview(f, first, 1024);
    assert_int_equal(open_preview(f, first, 256), 0);
    assert_int_equal(open_preview(f, first, 1024), 0);
    assert_int_equal(open_preview(f, first, 25), -ENOENT);
    assert_int_equal(open_preview(f, second, 256), -ENOENT);
    publish_preview(f, second, 256);

    assert_int_equal(open_preview(f, upload_path, 256), -EINVAL);
    assert_int_equal(open_preview(f, "../../etc/passwd", 256), -EINVAL);
    assert_false(storage_result_id(upload_path, id));
    assert_true(storage_result_id(first, id));
    assert_non_null(strstr(first, id));

    _cleanup_close_ int job = make_result(f, work, "p.png");

    assert_int_equal(storage_publish_preview(job, work, "p.png", upload_path, 256), -EINVAL);
    assert_int_equal(storage_publish_preview(job, work, "..", second, 256), -EINVAL);
    assert_int_equal(storage_sweep_job(job, second), 0);
    assert_int_equal(open_preview(f, first, 256), -ENOENT);
    assert_int_equal(open_preview(f, first, 1024), -ENOENT);
    assert_int_equal(open_preview(f, second, 256), 0);
    assert_int_equal(storage_sweep_job(job, ""), 0);
    assert_int_equal(open_preview(f, second, 256), -ENOENT);
    snprintf(folder, sizeof folder, "%s/%s/preview", f->session, f->job);
    assert_int_equal(count(f, folder), 0);
}

static void an_upload_in_pieces_is_one_writers_at_a_time(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];
    int fd;

    assert_int_equal(storage_partial_create(f->storage, 0, 0, f->session, f->job, "png", path), 0);
    assert_true(storage_has_file(f->storage, path));
    fd = storage_partial_open(f->storage, path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "ab", 2), 2);
    assert_int_equal(storage_partial_open(f->storage, path), -EBUSY);
    close(fd);
    fd = storage_partial_open(f->storage, path);
    assert_int_equal(lseek(fd, 0, SEEK_END), 2); /* what has come stays */
    close(fd);
    assert_int_equal(storage_remove_job(f->storage, f->session, f->job), 0);
    assert_int_equal(storage_partial_open(f->storage, path), -ENOENT);
    assert_int_equal(storage_partial_open(f->storage, "../x"), -EINVAL);
    assert_int_equal(storage_partial_create(f->storage, UINT64_MAX, 1, f->session, f->job, "png", path),
                     -ENOSPC);
    assert_int_equal(storage_partial_create(f->storage, 0, 0, f->session, "x", "png", path), -EINVAL);
    assert_int_equal(count(f, f->session), 0);
}

int main(void)
{
    umask(0); /* as those who use it */

    const struct CMUnitTest tests[] = {
        TEST(an_upload_appears_when_it_is_committed),
        TEST(without_unnamed_files_it_has_a_random_name),
        TEST(a_copy_is_a_file_of_its_own),
        TEST(a_copy_becomes_a_result),
        TEST(what_can_not_be_copied_leaves_nothing),
        TEST(a_broken_upload_leaves_nothing),
        TEST(a_commit_that_fails_leaves_nothing),
        TEST(a_full_disk_is_told_in_advance),
        TEST(an_upload_in_pieces_is_one_writers_at_a_time),
        TEST(leftovers_are_removed_and_uploads_under_way_are_not),
        TEST(pictures_belong_to_one_result),
        TEST(a_sweep_leaves_the_upload_and_the_result_that_counts),
        TEST(a_result_is_published),
        TEST(only_a_plain_file_of_its_own_is_published),
        TEST(paths_that_we_do_not_build_are_refused),
        TEST(only_a_result_of_that_job_is_handed_out),
        TEST(a_link_in_the_tree_is_not_followed),
        TEST(files_are_removed),
        TEST(jobs_and_sessions_are_removed),
        TEST(nothing_but_jobs_and_sessions_is_removed),
        TEST(sessions_are_private),
        TEST(a_tree_becomes_the_groups),
        TEST(only_the_owner_shares_it),
        TEST(sessions_lie_apart),
        TEST(a_root_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
