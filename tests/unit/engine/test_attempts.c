/* What a converter that has been taken over might try (attempts.def), each in a child of its own of each
 * engine, in full and in reduced mode: of the engines that are shipped, by intruder.c, and of the fake one,
 * which is there under sanitizers too.
 *
 * An attempt passes when its report says that it began inside the engine's library, and how it was refused.
 * One that never ran, crashed by itself or was refused for a mistake of its own fails. That a refusal is the
 * sandbox's is shown by the control: the same functions, by a process of the same user that has no sandbox,
 * where they succeed. Afterwards the test looks from outside: at the files that were aimed at, at its
 * listeners, and for processes that are left.
 *
 * Where the sandbox can't be had all is skipped, unless DECANT_SANDBOX_MUST_WORK=1 says that this is a
 * failure. */
#include "attempts.h"
#include "engine_fixture.h"

#include "core/path.h"
#include "core/privilege.h"
#include "core/str.h"
#include "sandbox/root.h"
#include "support/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { AT_ONCE = 8, LISTENERS = 3, MEMORY = 1 << 30, OUTPUT = 8 << 20 };

/* --- the engines, each with a small document of its own */

#define FODT                                                                                                 \
    "<?xml version='1.0'?><office:document xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' " \
    "xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0' office:version='1.3' "                      \
    "office:mimetype='application/vnd.oasis.opendocument.text'><office:body><office:text>"                   \
    "<text:p>Hello</text:p></office:text></office:body></office:document>"
/* Poppler finds the objects without a table. */
#define PDF                                                                                                  \
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>"       \
    "endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
#define PPM "P6 1 1 255\nabc" /* libvips 8.16 finds nothing behind another blank than this */

#define WARC                                                                                                 \
    "WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: http://a.test/a.txt\r\nWARC-Date: "                 \
    "2024-01-02T03:04:05Z\r\nWARC-Record-ID: <urn:uuid:1>\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n"

/* Rather than in a program: LibreOffice's, libvips, GLib for Poppler, libarchive. */
#define IN_A_LIBRARY "lib"

static const struct engine_case {
    const char *name, *from, *to, *document;
    const char *began; /* how the report says where the document was opened */
} engines[] = {
    {"fake", "txt", "pdf", "hello", "fake"},
    {"tooled", "txt", "pdf", "hello", "tooled"}, /* in a program that it executes */
#if defined(REAL_ENGINES)
    {"office", "fodt", "pdf", FODT, IN_A_LIBRARY},
    {"image", "ppm", "png", PPM, IN_A_LIBRARY},
    {"pdf", "pdf", "png", PDF, IN_A_LIBRARY},
    {"archive", "warc", "zip", WARC, IN_A_LIBRARY},
    {"pages", "pdf", "pdf", PDF, IN_A_LIBRARY},
#endif
};

static const struct {
    const char *from, *to;
} programs[] = {
    {FAKE_ENGINE, "decant-engine-fake"},
    {TOOLED_ENGINE, "decant-engine-tooled"},
#if defined(REAL_ENGINES)
    {INTRUDER, "intruder.so"},
    {LAUNCHER, "decant-engine-office"},
    {LAUNCHER, "decant-engine-image"},
    {LAUNCHER, "decant-engine-pdf"},
    {LAUNCHER, "decant-engine-archive"},
    {LAUNCHER, "decant-engine-pages"},
    {OFFICE_ENGINE, "real/decant-engine-office"},
    {IMAGE_ENGINE, "real/decant-engine-image"},
    {PDF_ENGINE, "real/decant-engine-pdf"},
    {ARCHIVE_ENGINE, "real/decant-engine-archive"},
    {PAGES_ENGINE, "real/decant-engine-pages"},
#endif
};

/* How it went with one; "outside" is none of the engines. */
struct ending {
    const struct attempt *attempt;
    const struct engine_case *engine;
    bool reduced;
    char name[128];
    bool input_is_intact, has_result;
    int status; /* of the control's process */
    enum outcome outcome;
    bool forbidden_call;
    char report[256];
};

/* Everything there is of one mode, and of the control. */
static struct {
    struct fixture *fixture;
    char bindir[64], outside[64], neighbour[160], abstract[32];
    int listeners[LISTENERS], port;
    pid_t victim;
    bool skipped;
    struct ending *endings;
    size_t n_endings;
} world;

/* --- a world outside, for the attempts to aim at */

static int make_folder(char path[64], mode_t mode)
{
    int fd;

    strcpy(path, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    return fd;
}

static void remove_folder(const char *path)
{
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(path_remove_tree(tmp, path + strlen("/tmp/")), 0);
}

static void copy_program(const char *from, const char *to)
{
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    assert_int_equal(fchmod(out, 0755), 0);
    while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
        ;
    assert_int_equal(n, 0);
}

/* Where the engines' user may look. */
static void copy_programs(void)
{
    _cleanup_close_ int fd = make_folder(world.bindir, 0755);

    assert_int_equal(mkdirat(fd, "real", 0755), 0);
    assert_int_equal(fchmodat(fd, "real", 0755, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        char to[256];

        snprintf(to, sizeof to, "%s/%s", world.bindir, programs[i].to);
        copy_program(programs[i].from, to);
    }
    copy_program(TOOL, TOOL_PATH);
}

static void listen_on(int at, int family, const void *address, size_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, address, (socklen_t)len), 0);
    assert_int_equal(listen(fd, 10), 0);
    world.listeners[at] = fd;
}

static void listen_everywhere(void)
{
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof loopback;
    static unsigned turn; /* a process that was left may still hold the socket of the one before */
    int n;

    listen_on(0, AF_INET, &loopback, sizeof loopback);
    assert_int_equal(getsockname(world.listeners[0], (struct sockaddr *)&loopback, &len), 0);
    world.port = ntohs(loopback.sin_port);
    snprintf(world.abstract, sizeof world.abstract, "decant-test-%d-%u", (int)getpid(), turn++);
    n = snprintf(unix_address.sun_path + 1, sizeof unix_address.sun_path - 1, "%s", world.abstract);
    listen_on(1, AF_UNIX, &unix_address, offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    snprintf(unix_address.sun_path, sizeof unix_address.sun_path, "%s/socket", world.outside);
    listen_on(2, AF_UNIX, &unix_address, sizeof unix_address);
    assert_int_equal(chmod(unix_address.sun_path, 0777), 0);
}

/* How many called since it was last asked. */
static size_t count_contacts(void)
{
    size_t n = 0;

    for (size_t i = 0; i < LISTENERS; i++)
        for (int fd; (fd = accept4(world.listeners[i], NULL, NULL, SOCK_CLOEXEC)) >= 0; n++)
            close(fd);
    return n;
}

/* As engines do. */
static void become_nobody(void)
{
    uid_t uid;
    gid_t gid;

    if (geteuid() == 0 && (privilege_lookup("nobody", &uid, &gid) < 0 || setgroups(0, NULL) < 0 ||
                           setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
        _exit(EXIT_FAILURE);
    /* The change clears it; the sandbox must not be spared by that. */
    prctl(PR_SET_DUMPABLE, 1);
}

static pid_t start_victim(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    become_nobody();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

static void make_outside(void)
{
    _cleanup_close_ int fd = make_folder(world.outside, 0755), folder = -1;

    fixture_change_owner(fd);
    fixture_write_file(fd, "secret", "secret", 6);
    folder = path_make_dir(fd, "folder", 0700);
    assert_true(folder >= 0);
    fixture_change_owner(folder);
    listen_everywhere();
}

static void remove_outside(void)
{
    for (size_t i = 0; i < LISTENERS; i++)
        close(world.listeners[i]);
    remove_folder(world.outside);
}

static size_t count_entries(const char *path)
{
    _cleanup_closedir_ DIR *dir = opendir(path);
    size_t n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

static void check_outside(const struct stat *before)
{
    _cleanup_close_ int fd = open(world.outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    struct stat st;

    assert_int_equal(path_read_file(fd, "secret", 100, &text, NULL), 0);
    assert_string_equal(text, "secret");
    assert_int_equal(fstatat(fd, "secret", &st, 0), 0);
    assert_int_equal(st.st_mode, before->st_mode);
    assert_int_equal(st.st_nlink, 1);
    assert_memory_equal(&st.st_mtim, &before->st_mtim, sizeof st.st_mtim);
    assert_memory_equal(&st.st_ctim, &before->st_ctim, sizeof st.st_ctim);
    assert_int_equal(count_entries(world.outside), 3);
}

/* --- running them */

static void add_ending(const struct attempt *attempt, const struct engine_case *engine, bool reduced)
{
    struct ending *e;

    world.endings = reallocarray(world.endings, world.n_endings + 1, sizeof *world.endings);
    assert_non_null(world.endings);
    e = &world.endings[world.n_endings++];
    *e = (struct ending){.attempt = attempt, .engine = engine, .reduced = reduced};
    snprintf(e->name, sizeof e->name, "%s %s: %s",
             reduced  ? "reduced"
             : engine ? "full"
                      : "no",
             engine ? engine->name : "sandbox", attempt ? attempt->name : "converts");
}

/* The job's folder with what a run leaves in it. */
struct job {
    struct ending *ending;
    struct outcome_of_run run;
    char name[ID_UUID_LEN + 1], input[32];
    int fd;
};

static void make_job(struct job *j, const struct engine_case *engine)
{
    char target[128];

    snprintf(j->input, sizeof j->input, "uploads/input.%s", engine->from);
    j->fd = fixture_make_job(world.fixture, j->input + strlen("uploads/"), engine->document,
                             strlen(engine->document), j->name);
    snprintf(target, sizeof target, "%s/secret", world.outside);
    assert_int_equal(symlinkat(target, j->fd, "work/link"), 0);
}

static char *make_options(const struct job *j, const char *name, bool full, bool carry_on, pid_t zygote)
{
    char input[160], output[160];
    const struct attempt_place place = {
        .real_input = input,
        .output = full ? ROOT_OUTPUT : output,
        .outside = world.outside,
        .data = world.fixture->folder,
        .neighbour = world.neighbour,
        .victim = world.victim,
        .zygote = zygote,
        .port = world.port,
        .abstract = world.abstract,
        .memory_bytes = MEMORY,
        .output_bytes = OUTPUT,
        .full = full,
    };
    _cleanup_json_ json_t *options = NULL;
    struct stat st;
    char *text;

    snprintf(input, sizeof input, "%s/%s/%s", world.fixture->folder, j->name, j->input);
    snprintf(output, sizeof output, "%s/%s/work", world.fixture->folder, j->name);
    assert_int_equal(fstatat(j->fd, j->input, &st, 0), 0);
    options = attempt_options(name, &place);
    assert_int_equal(json_object_set_new(options, "bytes", json_integer(st.st_size)), 0);
    assert_int_equal(json_object_set_new(options, "carry_on", json_boolean(carry_on)), 0);
    text = json_dumps(options, JSON_COMPACT);
    assert_non_null(text);
    return text;
}

/* As the engine is called in listings. */
static pid_t find_zygote(const char *engine)
{
    pid_t children[32];
    size_t n = fixture_list_children(fixture_launcher(), children, ARRAY_SIZE(children));
    char path[64], title[64];

    snprintf(title, sizeof title, "decant-engine-%s", engine);
    for (size_t i = 0; i < n; i++) {
        _cleanup_fclose_ FILE *f = NULL;
        char text[64] = "";

        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)children[i]);
        f = fopen(path, "re");
        if (f && fgets(text, sizeof text, f) && str_eq(text, title))
            return children[i];
    }
    fail_msg("no zygote of %s", engine);
    return -1;
}

static void begin_job(struct job *j, struct ending *e)
{
    const struct attempt *a = e->attempt;
    _cleanup_free_ char *options = NULL;
    struct engine_request request = {.engine = e->engine->name,
                                     .from = e->engine->from,
                                     .to = e->engine->to,
                                     .input = j->input,
                                     .output = "work",
                                     .timeout_ms = a && a->end == ATTEMPT_ENDLESS ? 1500 : 30000,
                                     .cpu_s = 30};

    j->ending = e;
    make_job(j, e->engine);
    options = make_options(j, a ? a->name : "read_input", !e->reduced, !a, find_zygote(e->engine->name));
    request.options = options;
    request.job_fd = j->fd;
    fixture_begin(world.fixture, &request, &j->run);
}

static void end_job(struct job *j)
{
    const struct engine_case *engine = j->ending->engine ?: &engines[0];
    _cleanup_free_ char *report = NULL, *input = NULL;
    char result[80];

    j->ending->outcome = j->run.report.outcome;
    j->ending->forbidden_call = j->run.report.forbidden_call;
    snprintf(result, sizeof result, "work/%s", j->run.name);
    j->ending->has_result = j->run.name[0] && faccessat(j->fd, result, F_OK, 0) == 0;
    if (path_read_file(j->fd, "work/" ATTEMPT_REPORT, 1000, &report, NULL) == 0)
        snprintf(j->ending->report, sizeof j->ending->report, "%s", report);
    j->ending->input_is_intact =
        path_read_file(j->fd, j->input, 10000, &input, NULL) == 0 && str_eq(input, engine->document);
    close(j->fd);
    assert_int_equal(path_remove_tree(world.fixture->folder_fd, j->name), 0);
    j->ending = NULL;
}

/* All of world.endings, several at a time. */
static void run_jobs(void)
{
    struct job jobs[AT_ONCE] = {0};
    size_t next = 0, running = 0;

    while (next < world.n_endings || running > 0) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            if (jobs[i].ending && jobs[i].run.done) {
                end_job(&jobs[i]);
                running--;
            }
            if (!jobs[i].ending && next < world.n_endings) {
                begin_job(&jobs[i], &world.endings[next++]);
                running++;
            }
        }
        loop_for(&world.fixture->loop, 2);
    }
}

static void make_neighbour(void)
{
    struct job j;

    make_job(&j, &engines[0]);
    close(j.fd);
    snprintf(world.neighbour, sizeof world.neighbour, "%s/%s/%s", world.fixture->folder, j.name, j.input);
}

/* --- after them */

/* Zygotes keep children that wait; they are told by having nothing to do, and end with the pool. */
static void check_nobody_is_left(void)
{
    pid_t children[32];
    size_t n = 0;

    for (int waited = 0; waited < PATIENCE_MS; waited += 20) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        n = fixture_list_children(getpid(), children, ARRAY_SIZE(children));
        if (n == 1)
            break;
        usleep(20000);
    }
    assert_int_equal(n, 1);
    assert_int_equal(children[0], world.victim);
}

static int run_mode(bool reduced)
{
    const char *names[ARRAY_SIZE(engines) + 1] = {0};
    struct stat before;
    char secret[80];

    for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
        names[i] = engines[i].name;
    make_outside();
    snprintf(secret, sizeof secret, "%s/secret", world.outside);
    assert_int_equal(stat(secret, &before), 0);
    world.victim = start_victim();
    world.fixture = fixture_start(world.bindir, names, reduced ? "reduced" : "full", MEMORY, OUTPUT);
    make_neighbour();
    world.skipped = world.fixture->skipped;
    if (!world.skipped)
        run_jobs();
    fixture_stop(world.fixture);
    assert_int_equal(count_contacts(), 0);
    check_outside(&before);
    check_nobody_is_left();
    kill(world.victim, SIGKILL);
    assert_int_equal(waitpid(world.victim, NULL, 0), world.victim);
    remove_outside();
    return 0;
}

static int run_full(void **state)
{
    return run_mode(false);
}

static int run_reduced(void **state)
{
    return run_mode(true);
}

/* --- the control: without a sandbox */

static void run_outside(struct ending *e)
{
    struct job j = {.ending = e};
    _cleanup_free_ char *options = NULL;
    char folder[160], input[160];
    pid_t pid;

    make_outside();
    make_job(&j, &engines[0]);
    options = make_options(&j, e->attempt->name, false, false, world.victim);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        snprintf(folder, sizeof folder, "%s/%s/work", world.fixture->folder, j.name);
        snprintf(input, sizeof input, "%s/%s/%s", world.fixture->folder, j.name, j.input);
        become_nobody();
        if (setenv("TMPDIR", folder, 1) < 0 || chdir("/") < 0)
            _exit(EXIT_FAILURE);
        attempt_run(json_loads(options, 0, NULL), input, "no sandbox");
        _exit(EXIT_FAILURE);
    }
    assert_int_equal(waitpid(pid, &e->status, 0), pid);
    end_job(&j);
}

static int run_control(void **state)
{
    static const char *const none[] = {NULL};
    size_t contacts = 0;

    world.victim = start_victim();
    world.fixture = fixture_start(world.bindir, none, "reduced", MEMORY, OUTPUT);
    make_neighbour();
    for (size_t i = 0; i < world.n_endings; i++) {
        run_outside(&world.endings[i]);
        contacts += count_contacts();
        remove_outside();
    }
    fixture_stop(world.fixture);
    check_nobody_is_left(); /* those that got away become our children, and end by themselves */
    kill(world.victim, SIGKILL);
    assert_int_equal(waitpid(world.victim, NULL, 0), world.victim);
    assert_int_equal(contacts, LISTENERS); /* they hear */
    return 0;
}

/* --- what they must come to */

/* The first line says that it began. */
static const char *words(const struct ending *e)
{
    const char *end = strchr(e->report, '\n');

    return end ? end + 1 : "";
}

/* By an error that means no, not by one that means nonsense. */
static bool is_refused(const struct ending *e)
{
    static const char *const errors[] = {"EPERM", "EACCES", "ENOSYS", "ENOENT", "ESRCH",
                                         "EROFS", "EMFILE", "ENOSPC", "EFBIG",  "ENOMEM"};
    char line[64];

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        snprintf(line, sizeof line, "refused %s\n", errors[i]);
        if (str_eq(words(e), line))
            return true;
    }
    return false;
}

/* Nothing is there that a sandbox could forbid: it ends by SIGSEGV in a process of its own, too. */
static bool is_lacking(const struct attempt *a)
{
    int status;
    pid_t pid;

    if (a->control != OPTIONAL)
        return false;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        a->run(NULL);
        _exit(EXIT_SUCCESS);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static bool is_forbidden_call(const struct ending *e)
{
    const struct attempt *a = e->attempt;

    return a && a->end == ATTEMPT_DEADLY && !(e->reduced && a->where & REDUCED) && !is_lacking(a);
}

static bool is_as_expected(const struct ending *e)
{
    const struct attempt *a = e->attempt;
    bool succeeded = str_eq(words(e), "succeeded\n"), crashed = e->outcome == OUTCOME_ENGINE_CRASHED;

    if (e->forbidden_call != is_forbidden_call(e))
        return false;
    if (!a)
        return succeeded && e->outcome == OUTCOME_OK && e->has_result;
    if (a->end == ATTEMPT_ALLOWED || (e->reduced && a->where & REDUCED))
        return succeeded && crashed;
    if (a->end == ATTEMPT_DEADLY)
        return str_eq(words(e), "") && crashed;
    if (a->end == ATTEMPT_ENDLESS)
        return str_eq(words(e), "") && (e->outcome == OUTCOME_TIMED_OUT || e->outcome == OUTCOME_TOO_COMPLEX);
    return is_refused(e) && crashed;
}

static void ends_as_expected(void **state)
{
    const struct ending *e = *state;
    char began[64];

    if (world.skipped)
        skip();
    snprintf(began, sizeof began, "began %s", e->engine->began);
    if (!str_starts(e->report, began) || !is_as_expected(e))
        fail_msg("%s: %s, after \"%s\"", e->name, outcome_code(e->outcome), e->report);
    assert_true(e->input_is_intact);
}

/* A program that took the process's place says nothing, and ends well. */
static void succeeds_outside(void **state)
{
    const struct ending *e = *state;
    bool executed = str_eq(words(e), "") && WIFEXITED(e->status) && WEXITSTATUS(e->status) == 0;

    if (!str_starts(e->report, "began no sandbox\n") || (!str_eq(words(e), "succeeded\n") && !executed))
        fail_msg("%s: status %d, after \"%s\"", e->name, e->status, e->report);
}

/* What is allowed, and where a refusal is not to be had, has a reason. */
static void exceptions_have_reasons(void **state)
{
    for (size_t i = 0; i < n_attempts; i++)
        assert_int_equal(attempts[i].why != NULL, attempts[i].where || attempts[i].end == ATTEMPT_ALLOWED);
}

/* --- groups */

static int run_group(const char *name, CMFixtureFunction run, CMUnitTestFunction judge)
{
    struct CMUnitTest *tests = calloc(world.n_endings, sizeof *tests);
    int failed;

    for (size_t i = 0; i < world.n_endings; i++)
        tests[i] = (struct CMUnitTest){
            .name = world.endings[i].name, .test_func = judge, .initial_state = &world.endings[i]};
    failed = _cmocka_run_group_tests(name, tests, world.n_endings, run, NULL);
    free(tests);
    free(world.endings);
    world.endings = NULL;
    world.n_endings = 0;
    return failed;
}

static int run_engines(bool reduced)
{
    for (size_t e = 0; e < ARRAY_SIZE(engines); e++) {
        add_ending(NULL, &engines[e], reduced);
        for (size_t i = 0; i < n_attempts; i++)
            if (!reduced || !(attempts[i].where & REDUCED_UNTRIED))
                add_ending(&attempts[i], &engines[e], reduced);
    }
    return run_group(reduced ? "reduced" : "full", reduced ? run_reduced : run_full, ends_as_expected);
}

static int run_controls(void)
{
    for (size_t i = 0; i < n_attempts; i++)
        if (attempts[i].control == OUTSIDE)
            add_ending(&attempts[i], NULL, false);
    return run_group("no sandbox", run_control, succeeds_outside);
}

static int prepare(void **state)
{
    assert_int_equal(setenv(ATTEMPT_VARIABLE, "secret", 1), 0);
    /* Whoever gets away from its parent becomes our child. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    copy_programs();
    return 0;
}

int main(void)
{
    const struct CMUnitTest table[] = {cmocka_unit_test_setup(exceptions_have_reasons, prepare)};
    int failed = cmocka_run_group_tests(table, NULL, NULL);

    failed += run_controls();
    failed += run_engines(false);
    failed += run_engines(true);
    remove_folder(world.bindir);
    unlink(TOOL_PATH);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS; /* there are more tests than an exit status can count */
}
