/* Files of other programs: nothing but what lies in exchange/ can be named, and nothing of it is overwritten.
 */
#include "files/exchange.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MAX_BYTES = 100 };

struct fixture {
    struct storage *storage;
    char root[64];
    int fd;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->root, "/tmp/test-exchange-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_int_equal(storage_open(f->root, &f->storage), 0);
    f->fd = storage_root(f->storage);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    storage_close(f->storage);
    path_remove_tree(parent, strrchr(f->root, '/') + 1);
    close(parent);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, const char *path, const char *text, mode_t mode)
{
    _cleanup_free_ char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    _cleanup_close_ int dir = path_make_dir(f->fd, folder, 0700);
    int fd = openat(dir, strrchr(path, '/') + 1, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static const char *read_file(struct fixture *f, const char *path, char ret[256])
{
    _cleanup_close_ int fd = openat(f->fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, ret, 255);

    ret[n] = '\0';
    return fd < 0 ? NULL : ret;
}

static unsigned attempts(struct fixture *f)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int fd = openat(f->fd, ".exchange", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned n = 0;

    dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

static int take(struct fixture *f, const char *source, struct exchange_file *ret)
{
    return exchange_take(f->storage, source, "task", "txt", MAX_BYTES, ret);
}

/* As a conversion does it. */
static int publish(struct exchange_file *x, const char *text)
{
    char work[sizeof "work-" + ID_UUID_LEN];

    assert_int_equal(storage_make_work(x->job_fd, work), 0);

    _cleanup_close_ int folder = path_open(x->job_fd, work, O_RDONLY | O_DIRECTORY, 0);
    int fd = path_open(folder, "out.pdf", O_WRONLY | O_CREAT, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return exchange_publish(x, work, "out.pdf", "pdf");
}

static void copies_and_publishes(void **state)
{
    struct fixture *f = *state;
    struct exchange_file x;
    char text[256], first[sizeof x.result];
    struct stat st;

    write_file(f, "exchange/in/a report.v2.txt", "hello", 0664);
    assert_int_equal(take(f, "exchange/in/a report.v2.txt", &x), 0);
    write_file(f, "exchange/in/a report.v2.txt", "changed", 0664); /* what is converted is the copy */
    assert_int_equal(pread(x.input_fd, text, 5, 0), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(fstatat(x.job_fd, x.input, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0644);

    assert_int_equal(publish(&x, "%PDF"), 0);
    assert_true(str_starts(x.result, "exchange/in/a report.v2-"));
    assert_string_equal(x.result + strlen(x.result) - 4, ".pdf");
    assert_int_equal(strlen(x.result), strlen("exchange/in/a report.v2-.pdf") + 16);
    assert_string_equal(read_file(f, x.result, text), "%PDF");
    assert_int_equal(fstatat(f->fd, x.result, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0664);
    assert_int_equal(attempts(f), 1);
    strcpy(first, x.result);
    exchange_drop(f->storage, &x);
    assert_int_equal(attempts(f), 0);

    /* the same task once more: its own result is replaced */
    assert_int_equal(take(f, "exchange/in/a report.v2.txt", &x), 0);
    assert_int_equal(publish(&x, "%PDF2"), 0);
    assert_string_equal(x.result, first);
    assert_string_equal(read_file(f, first, text), "%PDF2");
    exchange_remove_result(&x);
    assert_null(read_file(f, first, text));
    exchange_drop(f->storage, &x);

    /* another task: another name */
    assert_int_equal(exchange_take(f->storage, "exchange/in/a report.v2.txt", "other", "txt", MAX_BYTES, &x),
                     0);
    assert_int_equal(publish(&x, "%PDF"), 0);
    assert_string_not_equal(x.result, first);
    exchange_drop(f->storage, &x);
}

static void nothing_else_can_be_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *source;
        int err;
    } bad[] = {
        {NULL, -EINVAL},
        {"", -EINVAL},
        {"exchange", -EINVAL},
        {"exchange/", -EINVAL},
        {"/exchange/a.txt", -EINVAL},
        {"exchange//a.txt", -EINVAL},
        {"exchange/a.txt/", -EINVAL},
        {"session/secret.txt", -EINVAL},
        {"exchange/../session/secret.txt", -EINVAL},
        {"exchange/./a.txt", -EINVAL},
        {"exchange/.hidden.txt", -EINVAL},
        {".exchange/a.txt", -EINVAL},
        {"exchanged/a.txt", -EINVAL},
        {"exchange/none.txt", -ENOENT},
        {"exchange/none/a.txt", -ENOENT},
        {"exchange/a.txt/b.txt", -ENOTDIR},
        {"exchange/link.txt", -ELOOP},
        {"exchange/away/secret.txt", -ELOOP},
        {"exchange/hard.txt", -EMLINK},
        {"exchange/folder", -EMLINK},
        {"exchange/pipe.txt", -EMLINK},
        {"exchange/large.txt", -EFBIG},
    };
    char text[256], large[MAX_BYTES + 2];

    memset(large, 'x', sizeof large - 1);
    large[MAX_BYTES + 1] = '\0';
    write_file(f, "session/secret.txt", "secret", 0600);
    write_file(f, "exchange/a.txt", "a", 0600);
    write_file(f, "exchange/large.txt", large, 0600);
    write_file(f, "exchange/folder/b.txt", "b", 0600);
    assert_int_equal(symlinkat("../session/secret.txt", f->fd, "exchange/link.txt"), 0);
    assert_int_equal(symlinkat("../session", f->fd, "exchange/away"), 0);
    assert_int_equal(linkat(f->fd, "session/secret.txt", f->fd, "exchange/hard.txt", 0), 0);
    assert_int_equal(mkfifoat(f->fd, "exchange/pipe.txt", 0600), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct exchange_file x;

        assert_int_equal(take(f, bad[i].source, &x), bad[i].err);
        exchange_drop(f->storage, &x);
    }
    assert_int_equal(attempts(f), 0);
    assert_string_equal(read_file(f, "session/secret.txt", text), "secret");
}

static void long_names(void **state)
{
    struct fixture *f = *state;
    char path[512], name[260];
    struct exchange_file x;

    memset(name, 'n', sizeof name);
    strcpy(name + 251, ".txt"); /* 255 */
    snprintf(path, sizeof path, "exchange/%s", name);
    write_file(f, path, "a", 0600);
    assert_int_equal(take(f, path, &x), 0);
    assert_int_equal(publish(&x, "%PDF"), 0);
    assert_true(strlen(strrchr(x.result, '/') + 1) <= 255);
    exchange_drop(f->storage, &x);
    strcat(path, "x");
    assert_int_equal(take(f, path, &x), -EINVAL);
    exchange_drop(f->storage, &x);
}

static void earlier_attempts_go(void **state)
{
    struct fixture *f = *state;
    struct exchange_file dead, other, x;

    write_file(f, "exchange/a.txt", "a", 0600);
    assert_int_equal(take(f, "exchange/a.txt", &dead), 0);
    assert_int_equal(exchange_take(f->storage, "exchange/a.txt", "other", "txt", MAX_BYTES, &other), 0);
    assert_int_equal(attempts(f), 2);
    assert_int_equal(take(f, "exchange/a.txt", &x), 0);
    assert_int_equal(attempts(f), 2); /* that of the other task stays */
    assert_int_equal(faccessat(other.job_fd, other.input, F_OK, 0), 0);
    exchange_drop(f->storage, &dead);
    exchange_drop(f->storage, &other);
    assert_int_equal(attempts(f), 1);
    exchange_sweep(f->storage, "task");
    assert_int_equal(attempts(f), 0);
    exchange_drop(f->storage, &x);
}

/* The infected file goes, but not another one that has come in its place. */
static void source_is_removed_if_it_is_the_same(void **state)
{
    struct fixture *f = *state;
    struct exchange_file x;
    char text[256];

    write_file(f, "exchange/a.txt", "bad", 0600);
    assert_int_equal(take(f, "exchange/a.txt", &x), 0);
    write_file(f, "exchange/b.txt", "good", 0600);
    assert_int_equal(renameat(f->fd, "exchange/b.txt", f->fd, "exchange/a.txt"), 0);
    exchange_remove_source(&x);
    assert_string_equal(read_file(f, "exchange/a.txt", text), "good");
    exchange_drop(f->storage, &x);

    assert_int_equal(take(f, "exchange/a.txt", &x), 0);
    exchange_remove_source(&x);
    assert_null(read_file(f, "exchange/a.txt", text));
    exchange_drop(f->storage, &x);
}

/* What an engine's child leaves in the place of a result. */
static void only_a_plain_result(void **state)
{
    struct fixture *f = *state;
    char work[sizeof "work-" + ID_UUID_LEN];
    struct exchange_file x;

    write_file(f, "exchange/a.txt", "a", 0600);
    assert_int_equal(take(f, "exchange/a.txt", &x), 0);
    assert_int_equal(storage_make_work(x.job_fd, work), 0);

    _cleanup_close_ int folder = path_open(x.job_fd, work, O_RDONLY | O_DIRECTORY, 0);

    assert_int_equal(symlinkat("/etc/passwd", folder, "link"), 0);
    assert_int_equal(mkdirat(folder, "folder", 0700), 0);
    assert_int_equal(exchange_publish(&x, work, "link", "pdf"), -ELOOP);
    assert_int_equal(exchange_publish(&x, work, "folder", "pdf"), -EINVAL);
    assert_int_equal(exchange_publish(&x, work, "none", "pdf"), -ENOENT);
    assert_string_equal(x.result, "");
    exchange_drop(f->storage, &x);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(copies_and_publishes), TEST(nothing_else_can_be_named),
        TEST(long_names),           TEST(earlier_attempts_go),
        TEST(only_a_plain_result),  TEST(source_is_removed_if_it_is_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
