#include "core/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

static int keep_the_end_of_the_parent(void)
{
    struct privilege_ids ids;
    int signal_number = 0;

    if (privilege_lookup("nobody", &ids.uid, &ids.gid) < 0)
        return NOBODY_KNOWN;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || privilege_become(&ids) < 0 ||
        prctl(PR_GET_PDEATHSIG, &signal_number) < 0)
        return REFUSED;
    return signal_number == SIGTERM ? DROPPED : ROOT_LEFT;
}

/* The kernel forgets it at a change of user. */
static void dies_with_its_parent_as_before(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(keep_the_end_of_the_parent), DROPPED);
}

/* In a folder that its owner alone may enter, as who has no right to pass. */
static int pass_as_its_owner(void)
{
    static const int kept[] = {CAP_SETUID, CAP_SETGID, -1};
    char folder[] = "/tmp/test-privilege-XXXXXX", inside[sizeof folder + 8];
    struct privilege_ids nobody;
    bool before, during, after;

    if (privilege_lookup("nobody", &nobody.uid, &nobody.gid) < 0 || !mkdtemp(folder))
        return NOBODY_KNOWN;
    snprintf(inside, sizeof inside, "%s/.", folder);
    if (chown(folder, nobody.uid, nobody.gid) < 0 || privilege_keep(kept) < 0)
        return REFUSED;
    before = open(inside, O_PATH | O_CLOEXEC) >= 0;
    privilege_borrow(&nobody);
    during = open(inside, O_PATH | O_CLOEXEC) >= 0;
    privilege_return();
    after = open(inside, O_PATH | O_CLOEXEC) >= 0;
    privilege_borrow(&nobody); /* whose folder may go, in spite of /tmp's sticky bit */
    rmdir(folder);
    privilege_return();
    return !before && during && !after ? DROPPED : ROOT_LEFT;
}

static void files_are_reached_as_somebody_else(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(pass_as_its_owner), DROPPED);
}

/* Of all capabilities, in each set. */
static int count_capabilities(uint64_t expected)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, now) < 0)
        return REFUSED;
    for (int one = 0; one <= CAP_LAST_CAP; one++) {
        bool in = now[CAP_TO_INDEX(one)].effective & CAP_TO_MASK(one);
        bool may = now[CAP_TO_INDEX(one)].permitted & CAP_TO_MASK(one);
        bool wanted = expected >> one & 1;

        if (in != wanted || may != wanted || prctl(PR_CAPBSET_READ, one) != wanted)
            return ROOT_LEFT;
    }
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? DROPPED : ROOT_LEFT;
}

static int keep_two(void)
{
    static const int kept[] = {CAP_KILL, CAP_SETUID, -1};
    const uint64_t expected = 1 << CAP_KILL | 1 << CAP_SETUID;
    int r = privilege_keep(kept) < 0 ? REFUSED : count_capabilities(expected);

    return r == DROPPED && setpriority(PRIO_PROCESS, 0, -1) == 0 ? ROOT_LEFT : r;
}

static void root_keeps_what_it_names(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(keep_two), DROPPED);
}

static void missing_users_are_named(void **state)
{
    struct privilege_ids ids;

    assert_int_equal(privilege_find("DECANT_USER", "no-such-user-here", &ids), -ENOENT);
    assert_int_equal(privilege_find("DECANT_USER", "root", &ids), -EINVAL);
    assert_int_equal(privilege_find("DECANT_USER", "nobody", &ids), 0);
    assert_int_not_equal(ids.uid, 0);
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
        cmocka_unit_test(missing_users_are_named),
        cmocka_unit_test(dies_with_its_parent_as_before),
        cmocka_unit_test(files_are_reached_as_somebody_else),
        cmocka_unit_test(root_keeps_what_it_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
