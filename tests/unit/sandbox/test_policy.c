#include "sandbox/policy.h"

#include "core/str.h"
#include "sandbox/policy_api.h"
#include "sandbox/policy_image.h"
#include "sandbox/policy_office.h"
#include "sandbox/policy_pdf.h"
#include "sandbox/policy_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Enough for the test child itself. */
#define NEEDED "write\nexit_group\nrt_sigprocmask\nrt_sigaction\ngettid\ngetpid\n"

static void compiles_what_is_shipped(void **state)
{
    const char *const texts[] = {policy_office, policy_image, policy_pdf, policy_api, policy_worker};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct policy p;
        unsigned line;

        assert_int_equal(policy_compile(texts[i], &p, &line), 0);
        assert_true(p.n > 50);
        policy_free(&p);
    }
}

static void names_the_line_of_a_mistake(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"", 0},                                           /* no default */
        {"read\n", 1},                                     /* a rule before the default */
        {"default: errno ENOSYS\nraed\n", 2},              /* no such call */
        {"default: errno ENOSYS\n\n# x\nread write\n", 4}, /* two on a line */
        {"default: errno ENOSYS\nread:\n", 2},             /* nothing behind the colon */
        {"default: errno ENOSYS\nread: errno\n", 2},
        {"default: errno ENOSYS\nread: errno EWRONG\n", 2},
        {"default: errno ENOSYS\nread: errno 5000\n", 2},
        {"default: errno ENOSYS\nread: allow\n", 2},
        {"default: errno ENOSYS\nclone: arg0 has\n", 2},
        {"default: errno ENOSYS\nclone: arg0 has CLONE_NOTHING\n", 2},
        {"default: errno ENOSYS\nclone: arg0 lacks\n", 2},
        {"default: errno ENOSYS\nclone: arg6 in 1\n", 2},
        {"default: errno ENOSYS\nclone: arg in 1\n", 2},
        {"default: errno ENOSYS\nclone: arg0 is 1\n", 2},
        {"default: errno ENOSYS\ndefault: kill\n", 2},
        {"include bases\n", 1},
        {"include base\ninclude base\n", 1002},   /* a second default */
        {"include base\ninclude server\n", 1002}, /* here too */
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct policy p;
        unsigned line;

        assert_int_equal(policy_compile(cases[i].text, &p, &line), -EINVAL);
        if (cases[i].line < 1000)
            assert_int_equal(line, cases[i].line);
        else
            assert_true(line > 1000);
        assert_null(p.program);
    }
}

/* Runs `call` under `text` in a child: its errno, 0, or -signal. */
static int run_under(const char *text, long (*call)(void))
{
    struct policy p;
    unsigned line;
    int status;
    pid_t pid;

    assert_int_equal(policy_compile(text, &p, &line), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || policy_enter(&p, getpid(), false) < 0)
            syscall(SYS_exit_group, 255);
        syscall(SYS_exit_group, call() < 0 ? errno : 0);
    }
    policy_free(&p);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static long call_getuid(void)
{
    return syscall(SYS_getuid);
}

static long signal_self(void)
{
    return syscall(SYS_kill, syscall(SYS_getpid), 0);
}

static long signal_init(void)
{
    return syscall(SYS_kill, 1, 0);
}

static long set_name(void)
{
    return syscall(SYS_prctl, PR_SET_NAME, "x");
}

static long set_dumpable(void)
{
    return syscall(SYS_prctl, PR_SET_DUMPABLE, 1);
}

static long clone_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        syscall(SYS_exit_group, 0);
    return pid;
}

static long make_file(mode_t mode)
{
    return syscall(SYS_open, "/dev/null", O_RDONLY, mode);
}

static long make_plain_file(void)
{
    return make_file(0777);
}

static long make_file_with_user_id(void)
{
    return make_file(04700);
}

static void does_what_it_says(void **state)
{
#define BEGIN "default: errno ENOSYS\n" NEEDED
    assert_int_equal(run_under(BEGIN "getuid\n", call_getuid), 0);
    assert_int_equal(run_under(BEGIN, call_getuid), ENOSYS);
    assert_int_equal(run_under(BEGIN "getuid: errno EACCES # why\n", call_getuid), EACCES);
    assert_int_equal(run_under(BEGIN "getuid: errno 7\n", call_getuid), 7);
    assert_int_equal(run_under(BEGIN "getuid: kill\n", call_getuid), -SIGSYS);
    assert_int_equal(run_under("default: errno EPERM\n" NEEDED, call_getuid), EPERM);
    assert_int_equal(run_under("default: kill\n" NEEDED, call_getuid), -SIGSYS);
    assert_int_equal(run_under(BEGIN "kill: arg0 in SELF\n", signal_self), 0);
    assert_int_equal(run_under(BEGIN "kill: arg0 in SELF\n", signal_init), ENOSYS);
    assert_int_equal(run_under(BEGIN "prctl: arg0 in PR_GET_NAME PR_SET_NAME\n", set_name), 0);
    assert_int_equal(run_under(BEGIN "prctl: arg0 in PR_GET_NAME PR_SET_NAME\n", set_dumpable), ENOSYS);
    assert_int_equal(run_under(BEGIN "clone: arg0 has CLONE_THREAD\n", clone_process), ENOSYS);
    assert_int_equal(run_under(BEGIN "clone\n", clone_process), 0);
    assert_int_equal(run_under(BEGIN "open: arg2 lacks S_ISUID S_ISGID\n", make_plain_file), 0);
    assert_int_equal(run_under(BEGIN "open: arg2 lacks S_ISUID S_ISGID\n", make_file_with_user_id), ENOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiles_what_is_shipped),
        cmocka_unit_test(names_the_line_of_a_mistake),
        cmocka_unit_test(does_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
