/* Cgroups as the host has them, v1 or v2: a place, and processes that take more than they may. Where none can
 * be had these tests are skipped, unless DECANT_SANDBOX_MUST_WORK=1 says that it is a failure: it is one for
 * root, if the hierarchies are mounted for writing. */
#include "sandbox/cgroup.h"
#include "sandbox/cgroup_mounts.h"

#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { MEMORY = 24 << 20, TASKS = 12, PATIENCE_MS = 10000 };

static const struct cgroup_limits limits = {.memory_bytes = MEMORY, .tasks = TASKS};

/* --- where the folders are */

static void expect_mounts(const char *mountinfo, const char *cgroup, const char *memory, const char *cpu,
                          const char *v2)
{
    _cleanup_fclose_ FILE *mounts = fmemopen((void *)(uintptr_t)mountinfo, strlen(mountinfo), "r");
    _cleanup_fclose_ FILE *memberships = fmemopen((void *)(uintptr_t)cgroup, strlen(cgroup), "r");
    struct cgroup_mounts found;

    assert_int_equal(cgroup_mounts_parse(mounts, memberships, &found), 0);
    assert_string_equal(found.v1[CGROUP_V1_MEMORY], memory);
    assert_string_equal(found.v1[CGROUP_V1_CPU], cpu);
    assert_string_equal(found.v2, v2);
}

static void finds_our_folders(void **state)
{
    static const char v1[] =
        "33 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
        "34 30 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory\n"
        "35 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

    expect_mounts(v1, "4:memory:/\n3:cpu,cpuacct:/a/b\n0::/init.scope\n", "/sys/fs/cgroup/memory",
                  "/sys/fs/cgroup/cpu,cpuacct/a/b", "/sys/fs/cgroup/unified/init.scope");
    expect_mounts("26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/user.slice/x.scope\n", "", "",
                  "/sys/fs/cgroup/user.slice/x.scope");
    /* A container without a cgroup namespace: the mount begins with us. */
    expect_mounts("26 25 0:23 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                  "4:memory:/docker/abc/d\n", "/sys/fs/cgroup/memory/d", "", "");
    /* And of whoever is elsewhere it shows nothing. */
    expect_mounts("26 25 0:23 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                  "4:memory:/docker/abc\n", "", "", "");
    expect_mounts("26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/../elsewhere\n", "", "", "");
    expect_mounts("26 25 0:23 / /a\\040b rw - cgroup2 cgroup2 rw\nnonsense\n", "0::/\nnonsense\n", "", "",
                  "");
}

/* --- a place for the others */

struct fixture {
    struct cgroup_place *place; /* NULL: there can be none here */
    struct cgroups *cgroups;
};

static bool is_writable(const char *path)
{
    struct statvfs st;

    return statvfs(path, &st) == 0 && !(st.f_flag & ST_RDONLY) && access(path, W_OK) == 0;
}

static bool must_work(void)
{
    struct cgroup_mounts mounts;
    const char *must = getenv("DECANT_SANDBOX_MUST_WORK");

    if (!str_eq(must, "1") || geteuid() != 0 || cgroup_mounts_find(&mounts) < 0)
        return false;
    return is_writable(*mounts.v1[CGROUP_V1_MEMORY] ? mounts.v1[CGROUP_V1_MEMORY] : mounts.v2);
}

static struct cgroup_place *make_place(void)
{
    struct cgroup_place *place;
    const char *why;

    if (cgroup_place_make("auto", "nobody", &place, &why) == 0)
        return place;
    print_message("%s\n", why);
    if (must_work())
        fail();
    return NULL;
}

static int start(void **state)
{
    static struct fixture f;

    f = (struct fixture){.place = make_place()};
    if (f.place)
        assert_int_equal(cgroups_open(cgroup_place_folders(f.place), &limits, &f.cgroups), 0);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;

    cgroups_free(f->cgroups);
    cgroup_place_free(f->place);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    struct fixture *f = *state;

    if (!f->place)
        skip();
    return f;
}

/* The folder of the place in the first hierarchy, or one below it. */
static bool is_there(const struct cgroup_place *place, const char *name)
{
    const char *folders = cgroup_place_folders(place);
    char path[2 * PATH_MAX];

    snprintf(path, sizeof path, "%.*s/%s", (int)strcspn(folders, ":"), folders, name);
    return access(path, F_OK) == 0;
}

/* Runs fn in a process of its own that is a member: its wait status. */
static int run_member(const struct cgroups *c, int number, void (*fn)(void))
{
    _cleanup_close_ int birthplace = -1;
    int tid = 0, pidfd = -1, status;
    pid_t pid;

    assert_int_equal(cgroups_birthplace(c, number, &birthplace), 0);
    pid = birthplace < 0 ? fork() : cgroup_clone_into(birthplace, 0, &tid, &pidfd);
    assert_true(pid >= 0);
    if (pid == 0) {
        if (cgroups_join(c, number) < 0)
            _exit(255);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* --- bounds */

static void take(size_t bytes)
{
    volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < bytes; i += 4096)
        p[i] = 1;
}

static void take_half(void)
{
    take(MEMORY / 2);
}

/* Each has less than it may have. */
static void take_with_others(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            take(MEMORY / 2);
            pause();
        }
    for (;;)
        if (waitpid(-1, NULL, 0) > 0)
            raise(SIGKILL); /* one of them was taken: to the kernel it is all the same whom */
}

static void take_temporary_files(void)
{
    static char block[1 << 20];
    int fd = memfd_create("temporary", MFD_CLOEXEC);

    for (int i = 0; i < 2 * MEMORY / (int)sizeof block; i++)
        if (write(fd, block, sizeof block) < 0)
            _exit(1);
}

static void fork_without_end(void)
{
    int made = 0;

    for (; made < 4 * TASKS; made++) {
        pid_t pid = fork();

        if (pid < 0)
            _exit(made < TASKS && errno == EAGAIN ? 0 : 1);
        if (pid == 0)
            for (;;)
                pause();
    }
    _exit(2);
}

/* The same once more: until those whom the kernel ends in it are gone, another one is given. */
static int take_again(struct cgroups *c, int number)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
        int other = cgroups_take(c);

        if (other == number)
            return number;
        cgroups_give_back(c, other);
        usleep(10000);
    }
    fail();
    return -1;
}

static void bounds_memory_of_all_kinds(void **state)
{
    struct cgroups *c = fixture_of(state)->cgroups;
    int number = cgroups_take(c), status;

    assert_true(number >= 0);
    assert_int_equal(run_member(c, number, take_half), 0);
    assert_false(cgroups_give_back(c, number));

    take_again(c, number);
    status = run_member(c, number, take_with_others);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(cgroups_give_back(c, number));

    take_again(c, number);
    status = run_member(c, number, take_temporary_files);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(cgroups_give_back(c, number));
    /* The next one doesn't answer for it. */
    take_again(c, number);
    assert_int_equal(run_member(c, number, take_half), 0);
    assert_false(cgroups_give_back(c, number));
}

static void bounds_processes(void **state)
{
    struct cgroups *c = fixture_of(state)->cgroups;
    int number = cgroups_take(c);

    assert_int_equal(run_member(c, number, fork_without_end), 0);
    assert_false(cgroups_give_back(c, number));
}

static int left_behind[2];

/* The write end is held by the grandchild until its end. */
static void leave_a_process(void)
{
    if (fork() == 0)
        for (;;)
            pause();
}

static void ends_what_a_child_leaves(void **state)
{
    struct cgroups *c = fixture_of(state)->cgroups;
    int number = cgroups_take(c);
    char byte;

    assert_int_equal(pipe2(left_behind, O_CLOEXEC), 0);
    assert_int_equal(run_member(c, number, leave_a_process), 0);
    close(left_behind[1]);
    cgroups_give_back(c, number);
    assert_int_equal(read(left_behind[0], &byte, 1), 0);
    close(left_behind[0]);
}

static void gives_each_its_own(void **state)
{
    struct cgroups *c = fixture_of(state)->cgroups;
    int first = cgroups_take(c), second = cgroups_take(c);

    assert_true(first >= 0 && second >= 0 && first != second);
    cgroups_give_back(c, first);
    take_again(c, first);
    cgroups_give_back(c, first);
    cgroups_give_back(c, second);
}

static void signal_self(void)
{
    raise(SIGKILL);
}

static void tells_a_crash_from_want_of_memory(void **state)
{
    struct cgroups *c = fixture_of(state)->cgroups;
    int number = cgroups_take(c), status = run_member(c, number, signal_self);

    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_false(cgroups_give_back(c, number));
}

/* --- proofs */

static void proves_what_holds(void **state)
{
    const char *why = "";

    assert_int_equal(cgroups_probe(cgroup_place_folders(fixture_of(state)->place), &why), 0);
    assert_null(why);
}

/* Folders that can be made, and hold nothing. */
static void proves_what_does_not_hold(void **state)
{
    char folder[] = "/tmp/decant-test-XXXXXX", path[64];
    const char *why = NULL;

    assert_non_null(mkdtemp(folder));
    assert_true(cgroups_probe(folder, &why) < 0);
    assert_non_null(why);
    snprintf(path, sizeof path, "%s/%d.0", folder, (int)getpid());
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(folder), 0);
    assert_true(cgroups_probe("/nonexistent", &why) < 0);
    assert_non_null(why);
}

/* One hierarchy of v1 bounds one thing: not what the layer's name promises. */
static void wants_all_bounds(void **state)
{
    const char *folders = cgroup_place_folders(fixture_of(state)->place), *why = NULL;
    _cleanup_free_ char *first = strndup(folders, strcspn(folders, ":"));

    if (!strchr(folders, ':'))
        skip(); /* v2, or one hierarchy for all */
    assert_int_equal(cgroups_probe(first, &why), -ENOTSUP);
    assert_non_null(why);
}

/* --- the place's life */

static void goes_without_a_trace(void **state)
{
    struct cgroup_place *place = make_place();
    _cleanup_free_ char *folders = place ? strdup(cgroup_place_folders(place)) : NULL;
    struct cgroups *c;
    char *rest = folders, *path;

    if (!place)
        skip();
    assert_int_equal(cgroups_open(folders, &limits, &c), 0);
    assert_true(cgroups_take(c) >= 0); /* and not freed: as an engine that was killed */
    cgroup_place_free(place);
    while ((path = strsep(&rest, ":")))
        assert_int_equal(access(path, F_OK), -1);
    cgroups_free(c);
}

/* Makes a place with a job in it, tells, and is killed. */
_noreturn_ static void run_maker(int out)
{
    struct cgroup_place *place = make_place();
    const char *folders = place ? cgroup_place_folders(place) : "";
    struct cgroups *c;
    int number;

    if (!place || cgroups_open(folders, &limits, &c) < 0 || (number = cgroups_take(c)) < 0)
        _exit(1);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* less than its end: it is the next maker's to kill */
        signal(SIGTERM, SIG_IGN);
        if (cgroups_join(c, number) < 0 || write(out, folders, strlen(folders)) < 0)
            _exit(1);
        /* The maker's lock among others, as whatever it starts in earnest does. */
        if (dup2(out, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    for (;;)
        pause();
}

/* Its pid, and the first of its folders. */
static pid_t start_maker(char *ret, size_t size, int *ret_pipe)
{
    int out[2];
    pid_t pid;
    ssize_t n;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(out[0]);
        run_maker(out[1]);
    }
    close(out[1]);
    n = read(out[0], ret, size - 1);
    assert_true(n > 0);
    ret[n] = '\0';
    ret[strcspn(ret, ":")] = '\0';
    *ret_pipe = out[0];
    return pid;
}

static void clears_what_the_killed_left(void **state)
{
    struct cgroup_place *place = make_place();
    char folder[4096], byte;
    pid_t maker;
    int out;

    if (!place)
        skip();
    cgroup_place_free(place);
    maker = start_maker(folder, sizeof folder, &out);
    place = make_place();
    assert_int_equal(access(folder, F_OK), 0); /* it lives */
    cgroup_place_free(place);

    kill(maker, SIGKILL);
    waitpid(maker, NULL, 0);
    assert_int_equal(access(folder, F_OK), 0);
    /* Whoever is still dying on a busy machine is left to the next start. */
    for (int i = 0; i < 50 && access(folder, F_OK) == 0; i++) {
        place = make_place();
        assert_non_null(place);
        assert_true(is_there(place, ""));
        cgroup_place_free(place);
        usleep(100 * 1000);
    }
    assert_int_equal(access(folder, F_OK), -1);
    assert_int_equal(read(out, &byte, 1), 0); /* the job that it left was ended */
    close(out);
}

static void says_why_not(void **state)
{
    struct cgroup_place *place = NULL;
    const char *why = NULL;

    assert_int_equal(cgroup_place_make("off", "nobody", &place, &why), -ECANCELED);
    assert_non_null(why);
    assert_null(place);
    assert_string_equal(cgroup_place_folders(NULL), "off");
    assert_int_equal(cgroup_place_make("/some/where:/else", "nobody", &place, &why), 0);
    assert_string_equal(cgroup_place_folders(place), "/some/where:/else");
    cgroup_place_free(place);
}

int main(void)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(finds_our_folders),           cmocka_unit_test(says_why_not),
        cmocka_unit_test(proves_what_does_not_hold),   cmocka_unit_test(goes_without_a_trace),
        cmocka_unit_test(clears_what_the_killed_left),
    };
    const struct CMUnitTest in_a_place[] = {
        cmocka_unit_test(proves_what_holds),
        cmocka_unit_test(wants_all_bounds),
        cmocka_unit_test(gives_each_its_own),
        cmocka_unit_test(bounds_memory_of_all_kinds),
        cmocka_unit_test(bounds_processes),
        cmocka_unit_test(ends_what_a_child_leaves),
        cmocka_unit_test(tells_a_crash_from_want_of_memory),
    };

    return cmocka_run_group_tests(alone, NULL, NULL) + cmocka_run_group_tests(in_a_place, start, stop);
}
