#include "core/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static int load(const char *text, mode_t mode, char **ret)
{
    char path[] = "/tmp/decant-test-XXXXXX";
    int fd = mkstemp(path), r;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    r = secret_load(AT_FDCWD, path, ret);
    assert_int_equal(unlink(path), 0);
    return r;
}

static void reads_the_first_line(void **state)
{
    char *secret;

    assert_int_equal(load("open sesame\nand more\n", 0600, &secret), 0);
    assert_string_equal(secret, "open sesame");
    secret_free(secret);
    assert_int_equal(load("no end of line", 0400, &secret), 0);
    assert_string_equal(secret, "no end of line");
    secret_free(secret);
}

static void refuses_what_others_may_read(void **state)
{
    char *secret;

    assert_int_equal(load("x\n", 0604, &secret), -EPERM);
    assert_int_equal(load("x\n", 0640, &secret), -EPERM);
}

static void refuses_what_is_no_secret(void **state)
{
    char long_text[SECRET_MAX + 2], *secret;

    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(load("", 0600, &secret), -EBADMSG);
    assert_int_equal(load("\nx\n", 0600, &secret), -EBADMSG);
    assert_int_equal(load(long_text, 0600, &secret), -EFBIG);
    assert_int_equal(secret_load(AT_FDCWD, "/nonexistent", &secret), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_first_line),
        cmocka_unit_test(refuses_what_others_may_read),
        cmocka_unit_test(refuses_what_is_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
