#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int tmp, dir;
static char name[32];

static int setup(void **state)
{
    char path[] = "/tmp/decant-test-XXXXXX";

    assert_non_null(mkdtemp(path));
    strcpy(name, path + strlen("/tmp/"));
    tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return tmp < 0 || dir < 0;
}

static int teardown(void **state)
{
    int r = path_remove_tree(tmp, name);

    close(dir);
    close(tmp);
    return r;
}

static void write_file(int at, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(at, path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool exists(int at, const char *path)
{
    return faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int try_open(const char *path, int flags)
{
    int fd = path_open(dir, path, flags, 0600);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static void paths_stay_below(void **state)
{
    write_file(dir, "file", "x");
    assert_int_equal(mkdirat(dir, "sub", 0700), 0);
    assert_int_equal(symlinkat("/etc/passwd", dir, "absolute"), 0);
    assert_int_equal(symlinkat("file", dir, "inside"), 0);
    assert_int_equal(symlinkat("..", dir, "up"), 0);
    assert_int_equal(symlinkat("sub", dir, "to-sub"), 0);

    assert_int_equal(try_open("file", O_RDONLY), 0);
    assert_int_equal(try_open("sub/../file", O_RDONLY), 0);
    assert_int_equal(try_open("..", O_RDONLY), -EXDEV);
    assert_int_equal(try_open("sub/../../etc", O_RDONLY), -EXDEV);
    assert_int_equal(try_open("/etc/passwd", O_RDONLY), -EXDEV);
    assert_int_equal(try_open("absolute", O_RDONLY), -ELOOP);
    assert_int_equal(try_open("inside", O_RDONLY), -ELOOP);
    assert_int_equal(try_open("up/x", O_RDONLY), -ELOOP);
    assert_int_equal(try_open("to-sub/new", O_CREAT | O_WRONLY), -ELOOP);
    assert_int_equal(try_open("../decant-escaped", O_CREAT | O_WRONLY), -EXDEV);
    assert_int_equal(try_open("missing", O_RDONLY), -ENOENT);
}

static void open_files_are_not_inherited(void **state)
{
    _cleanup_close_ int fd = path_open(dir, "new", O_CREAT | O_WRONLY, 0640);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(try_open(".", O_RDONLY | O_DIRECTORY), 0); /* with a mode that counts for nothing */
}

static void folders_are_made(void **state)
{
    _cleanup_close_ int deep = path_make_dir(dir, "a/b/c", 0700), again = path_make_dir(dir, "a//b/c/", 0700),
                        here = path_make_dir(dir, "", 0700);
    struct stat st;

    assert_true(deep >= 0 && again >= 0 && here >= 0);
    assert_int_equal(fstat(deep, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(exists(dir, "a/b/c"));
}

static void folders_are_not_made_elsewhere(void **state)
{
    write_file(dir, "file", "x");
    assert_int_equal(symlinkat("/tmp", dir, "link"), 0);
    assert_int_equal(path_make_dir(dir, "../decant-escaped", 0700), -EXDEV);
    assert_int_equal(path_make_dir(dir, "a/../../decant-escaped", 0700), -EXDEV);
    assert_int_equal(path_make_dir(dir, "link/decant-escaped", 0700), -ELOOP);
    assert_int_equal(path_make_dir(dir, "file/x", 0700), -ENOTDIR);
    assert_false(exists(tmp, "decant-escaped"));
}

static void trees_are_removed(void **state)
{
    close(path_make_dir(dir, "tree/a/b", 0700));
    close(path_make_dir(dir, "tree/a/c", 0700));
    write_file(dir, "tree/file", "x");
    write_file(dir, "tree/a/b/file", "x");
    assert_int_equal(mkfifoat(dir, "tree/a/c/pipe", 0600), 0);
    write_file(dir, "other", "x");
    assert_int_equal(path_remove_tree(dir, "tree"), 0);
    assert_false(exists(dir, "tree"));
    assert_true(exists(dir, "other"));
    assert_int_equal(path_remove_tree(dir, "other"), 0);
    assert_false(exists(dir, "other"));
    assert_int_equal(path_remove_tree(dir, "tree"), 0); /* which isn't there any more */
}

static void links_are_removed_and_not_followed(void **state)
{
    char target[64];

    close(path_make_dir(dir, "tree/sub", 0700));
    close(path_make_dir(dir, "kept", 0700));
    write_file(dir, "kept/file", "x");
    snprintf(target, sizeof target, "/tmp/%s/kept", name);
    assert_int_equal(symlinkat(target, dir, "tree/absolute"), 0);
    assert_int_equal(symlinkat("../../kept", dir, "tree/sub/relative"), 0);
    assert_int_equal(symlinkat(target, dir, "top"), 0);
    assert_int_equal(path_remove_tree(dir, "tree"), 0);
    assert_int_equal(path_remove_tree(dir, "top"), 0);
    assert_false(exists(dir, "tree"));
    assert_false(exists(dir, "top"));
    assert_true(exists(dir, "kept/file"));
}

/* Deeper than there are descriptors, and longer than any path may be. */
static void deep_trees_are_removed(void **state)
{
    static const char level[] = "level-name";
    enum { DEPTH = 600 };
    struct rlimit few = {64, 64}, before;
    int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);

    for (int i = 0; i < DEPTH; i++) {
        int next;

        assert_int_equal(mkdirat(at, level, 0700), 0);
        write_file(at, "file", "x");
        next = openat(at, level, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(path_remove_tree(dir, level), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(exists(dir, level));
}

/* As an ordinary user, since permissions stop nobody else. */
static void folders_without_permissions_are_removed(void **state)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        if (getuid() == 0 && (fchown(dir, 65534, 65534) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
            _exit(10);
        close(path_make_dir(dir, "tree/a/b/c", 0700));
        if (fchmodat(dir, "tree/a/b", 0, 0) < 0 || fchmodat(dir, "tree/a", 0, 0) < 0 ||
            fchmodat(dir, "tree", 0, 0) < 0)
            _exit(11);
        _exit(path_remove_tree(dir, "tree") == 0 && !exists(dir, "tree") ? 0 : 12);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void what_cannot_be_removed_is_an_error_and_the_rest_goes(void **state)
{
    pid_t pid;
    int status;

    close(path_make_dir(dir, "tree/foreign/sub", 0700));
    write_file(dir, "tree/file", "x");
    if (getuid() != 0)
        skip(); /* only root can make what another can't remove */
    assert_int_equal(fchown(dir, 65534, 65534), 0);
    assert_int_equal(fchownat(dir, "tree", 65534, 65534, 0), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(10);
        _exit(path_remove_tree(dir, "tree") == -EPERM && !exists(dir, "tree/file") ? 0 : 12);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(exists(dir, "tree/foreign"));
}

static void unnamed_files_get_a_name(void **state)
{
    _cleanup_close_ int fd = path_tmpfile(dir, 0600);
    _cleanup_free_ char *data = NULL;
    size_t len;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello", 5), 5);
    write_file(dir, "taken", "x");
    assert_int_equal(path_link(fd, dir, "taken"), -EEXIST);
    assert_int_equal(path_link(fd, dir, "name"), 0);
    assert_int_equal(path_read_file(dir, "name", 5, &data, &len), 0);
    assert_int_equal(len, 5);
    assert_string_equal(data, "hello");
}

static void a_reopened_file_is_read_only_and_from_the_start(void **state)
{
    _cleanup_close_ int fd = path_tmpfile(dir, 0600), again = -1;
    char data[8] = "";

    assert_int_equal(write(fd, "hello", 5), 5);
    again = path_reopen(fd);
    assert_true(again >= 0);
    assert_int_equal(read(again, data, sizeof data), 5);
    assert_string_equal(data, "hello");
    assert_int_equal(write(again, "x", 1), -1);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
    assert_int_equal(path_reopen(-1), -ENOENT);
}

static void what_is_sent_stays_open(void **state)
{
    _cleanup_close_ int fd = path_tmpfile(dir, 0600);

    assert_int_equal(write(fd, "hello", 5), 5);
    assert_int_equal(path_send(fd), 0);
    assert_int_equal(write(fd, "x", 1), 1);

    _cleanup_close_ int reading = path_reopen(fd);

    assert_int_equal(path_send(reading), 0);
    assert_int_equal(path_send(-1), -EBADF);
}

static void only_regular_files_of_bounded_size_are_read(void **state)
{
    _cleanup_free_ char *data = NULL;

    write_file(dir, "file", "12345");
    write_file(dir, "empty", "");
    assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
    assert_int_equal(path_read_file(dir, "file", 4, &data, NULL), -EFBIG);
    assert_int_equal(path_read_file(dir, "pipe", 4, &data, NULL),
                     -EINVAL); /* and doesn't wait for a writer */
    assert_int_equal(path_read_file(dir, ".", 4, &data, NULL), -EINVAL);
    assert_int_equal(path_read_file(dir, "missing", 4, &data, NULL), -ENOENT);
    assert_null(data);
    assert_int_equal(path_read_file(dir, "empty", 0, &data, NULL), 0);
    assert_string_equal(data, "");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(paths_stay_below),
        TEST(open_files_are_not_inherited),
        TEST(folders_are_made),
        TEST(folders_are_not_made_elsewhere),
        TEST(trees_are_removed),
        TEST(links_are_removed_and_not_followed),
        TEST(deep_trees_are_removed),
        TEST(folders_without_permissions_are_removed),
        TEST(what_cannot_be_removed_is_an_error_and_the_rest_goes),
        TEST(unnamed_files_get_a_name),
        TEST(a_reopened_file_is_read_only_and_from_the_start),
        TEST(what_is_sent_stays_open),
        TEST(only_regular_files_of_bounded_size_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
