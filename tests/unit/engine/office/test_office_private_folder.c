#include "engine/office/private_folder.h"

#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/decant-test-XXXXXX";

static int make_folder(void **state)
{
    assert_non_null(mkdtemp(folder));
    return setenv("TMPDIR", folder, 1);
}

static int remove_folder(void **state)
{
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return path_remove_tree(tmp, strrchr(folder, '/') + 1);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void it_is_private_and_goes_with_its_content(void **state)
{
    struct private_folder f;
    char path[sizeof f.path + 8];
    struct stat st;

    assert_int_equal(private_folder_make("a-", &f), 0);
    snprintf(path, sizeof path, "%s/sub", f.path);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(mkdir(path, 0700), 0);
    path[strlen(f.path)] = '\0';
    private_folder_remove(&f);
    assert_false(exists(path));
    private_folder_remove(&f);
}

static void the_folder_of_a_living_process_stays(void **state)
{
    struct private_folder first, second;

    assert_int_equal(private_folder_make("b-", &first), 0);
    assert_int_equal(private_folder_make("b-", &second), 0);
    assert_true(exists(first.path));
    assert_true(exists(second.path));
    private_folder_remove(&first);
    private_folder_remove(&second);
}

static void what_a_killed_process_left_is_removed(void **state)
{
    struct private_folder killed, other, next;

    assert_int_equal(private_folder_make("c-", &killed), 0);
    assert_int_equal(private_folder_make("other-", &other), 0);
    close(killed.fd);
    close(other.fd);
    assert_int_equal(private_folder_make("c-", &next), 0);
    assert_false(exists(killed.path));
    assert_true(exists(other.path));
    private_folder_remove(&next);
    close(killed.parent_fd);
    close(other.parent_fd);
}

static void no_folder_no_success(void **state)
{
    struct private_folder f;

    setenv("TMPDIR", "/nonexistent", 1);
    assert_int_equal(private_folder_make("d-", &f), -ENOENT);
    setenv("TMPDIR", folder, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_private_and_goes_with_its_content),
        cmocka_unit_test(the_folder_of_a_living_process_stays),
        cmocka_unit_test(what_a_killed_process_left_is_removed),
        cmocka_unit_test(no_folder_no_success),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
