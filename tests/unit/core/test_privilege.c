#include "core/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { NOBODY_KNOWN = 10, DROPPED = 11, ROOT_LEFT = 12, REFUSED = 13 };

/* In a process of its own, as there is no way back. */
static int in_child(int (*fn)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (null < 0 || dup2(null, STDERR_FILENO) < 0)
            _exit(1);
        _exit(fn());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int drop_to_nobody(void)
{
    uid_t uid;
    gid_t gid;

    if (privilege_lookup("nobody", &uid, &gid) < 0)
        return NOBODY_KNOWN;
    if (privilege_drop("nobody") < 0)
        return REFUSED;
    if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid ||
        getgroups(0, NULL) != 0 || setuid(0) == 0 || setgid(0) == 0)
        return ROOT_LEFT;
    return DROPPED;
}

static int drop_to_root(void)
{
    return privilege_drop("root") < 0 ? REFUSED : ROOT_LEFT;
}

static int drop_to_a_stranger(void)
{
    return privilege_drop("no-such-user-here") == -ENOENT && getuid() == 0 ? REFUSED : ROOT_LEFT;
}

static int drop_nothing(void)
{
    uid_t before = getuid();

    return privilege_drop("no-such-user-here") == 0 && getuid() == before ? DROPPED : REFUSED;
}

static void root_is_given_away_for_good(void **state)
{
    if (geteuid() != 0) {
        assert_int_equal(in_child(drop_nothing), DROPPED);
        return;
    }
    assert_int_equal(in_child(drop_to_nobody), DROPPED);
    assert_int_equal(in_child(drop_to_root), REFUSED);
    assert_int_equal(in_child(drop_to_a_stranger), REFUSED);
}

static void missing_users_are_nobody(void **state)
{
    uid_t uid = 0, nobody = 0;
    gid_t gid = 0;

    assert_int_equal(privilege_lookup("nobody", &nobody, &gid), 0);
    assert_int_not_equal(nobody, 0);
    assert_int_equal(privilege_lookup("no-such-user-here", &uid, &gid), 0);
    assert_int_equal(uid, nobody);
    assert_int_equal(privilege_lookup("root", &uid, &gid), 0);
    assert_int_equal(uid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_is_given_away_for_good),
        cmocka_unit_test(missing_users_are_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
