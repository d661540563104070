/* An engine without a library, whose "conversions" are what a test asks for by its options: to work, to hang,
 * to crash, to lie, or to try what a converter should not ("attempt", attempts.def). It is run by the real
 * zygote in the real sandbox. */
#include "attempts.h"

#include "engine/engine.h"
#include "engine/protocol.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include "core/msg.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const char *text_option(const struct engine_job *job, const char *name)
{
    const char *text = json_string_value(json_object_get(job->options, name));

    return text ? text : "";
}

static enum outcome attempt(bool succeeded)
{
    return succeeded ? OUTCOME_OK : OUTCOME_CORRUPT_INPUT;
}

static bool can_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool write_result(const struct engine_job *job, const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", job->output_path, name);
    f = fopen(path, "we");
    if (!f)
        return false;
    fputs(text, f);
    return fclose(f) == 0;
}

/* --- what a job may do */

static enum outcome do_ok(struct engine_job *job)
{
    char text[64] = "";
    int in = open(job->input_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = in < 0 ? -1 : read(in, text, sizeof text - 1);

    engine_progress(job, 50);
    engine_progress(job, 60); /* too soon: is left out */
    return n > 0 && write_result(job, "result.pdf", text) ? OUTCOME_OK : OUTCOME_INTERNAL;
}

static enum outcome do_temporary_file(struct engine_job *job)
{
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/fake-XXXXXX", getenv("TMPDIR"));
    fd = mkostemp(path, O_CLOEXEC);
    return attempt(fd >= 0 && write(fd, "x", 1) == 1 && unlink(path) == 0 &&
                   str_eq(getenv("HOME"), getenv("TMPDIR")));
}

static volatile sig_atomic_t raised;

static void on_signal(int number)
{
    raised = 1;
}

/* NULL when it works. */
static void *lock_twice(void *mutex)
{
    for (int i = 0; i < 2; i++)
        if (pthread_mutex_lock(mutex) != 0)
            return mutex;
    for (int i = 0; i < 2; i++)
        if (pthread_mutex_unlock(mutex) != 0)
            return mutex;
    return NULL;
}

/* A wrong cached thread id shows in recursive mutexes and in raise(). */
static enum outcome do_threads(struct engine_job *job)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t mutex;
    pthread_t thread;
    void *failed;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attr);
    signal(SIGUSR1, on_signal);
    if (lock_twice(&mutex) || raise(SIGUSR1) != 0 || !raised || gettid() != getpid())
        return OUTCOME_INTERNAL;
    if (pthread_create(&thread, NULL, lock_twice, &mutex) != 0 || pthread_join(thread, &failed) != 0)
        return OUTCOME_INTERNAL;
    return failed ? OUTCOME_INTERNAL : OUTCOME_OK;
}

static enum outcome do_password(struct engine_job *job)
{
    return OUTCOME_PASSWORD_REQUIRED;
}

/* --- what a job does to itself */

static enum outcome do_crash(struct engine_job *job)
{
    volatile char *guard = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    signal(SIGSEGV, SIG_DFL);
    *guard = 1;
    return OUTCOME_OK;
}

static enum outcome do_abort(struct engine_job *job)
{
    abort();
}

static enum outcome do_exit(struct engine_job *job)
{
    _exit(0);
}

static enum outcome do_hang(struct engine_job *job)
{
    while (pause() != 0)
        ;
    return OUTCOME_INTERNAL;
}

static enum outcome do_hang_in_pages(struct engine_job *job)
{
    engine_pages(job, 20);
    return do_hang(job);
}

static enum outcome do_hang_once(struct engine_job *job)
{
    char path[512];

    snprintf(path, sizeof path, "%s/marker", job->output_path);
    if (can_open(path, O_RDONLY))
        return OUTCOME_OK;
    if (!write_result(job, "marker", "x"))
        return OUTCOME_INTERNAL;
    engine_progress(job, 1);
    return do_hang(job);
}

/* As by the kernel; a second time it would do. */
static enum outcome do_killed_once(struct engine_job *job)
{
    char path[512];

    snprintf(path, sizeof path, "%s/marker", job->output_path);
    if (can_open(path, O_RDONLY))
        return write_result(job, "result.pdf", "x") ? OUTCOME_OK : OUTCOME_INTERNAL;
    if (!write_result(job, "marker", "x"))
        return OUTCOME_INTERNAL;
    syscall(SYS_mount, "none", "/", "none", 0, NULL); /* which the policy answers with death */
    return OUTCOME_INTERNAL;
}

static void *spin(void *arg)
{
    for (volatile unsigned i = 0;; i++)
        ;
    return NULL;
}

static enum outcome do_burn(struct engine_job *job)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, spin, NULL) != 0)
        return OUTCOME_INTERNAL;
    spin(NULL);
    return OUTCOME_OK;
}

static enum outcome do_hog(struct engine_job *job)
{
    enum { CHUNK = 8 << 20 };

    for (;;) {
        char *p = malloc(CHUNK);

        if (!p)
            abort();
        memset(p, 1, CHUNK);
    }
}

/* Asks for more than there is while it has next to nothing. */
static enum outcome do_gulp(struct engine_job *job)
{
    volatile size_t much = SIZE_MAX / 4;
    char *volatile p = calloc(much, 2);

    if (!p)
        abort();
    return OUTCOME_OK;
}

/* As a library does that can do with less. */
static enum outcome do_gulp_and_go_on(struct engine_job *job)
{
    volatile size_t much = SIZE_MAX / 4;
    char *volatile p = malloc(much);

    return p ? OUTCOME_INTERNAL : do_ok(job);
}

/* As a library does that overlooks failed writes. */
static enum outcome do_flood(struct engine_job *job)
{
    static char block[64 * 1024];
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/result.pdf", job->output_path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    for (int i = 0; i < 64; i++)
        if (write(fd, block, sizeof block) < 0)
            return OUTCOME_OK;
    return OUTCOME_INTERNAL;
}

/* --- lies */

static void send_result(const struct engine_job *job, enum outcome outcome, const char *name,
                        const char *format)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_RESULT);
    msg_put_u64(&m, outcome);
    msg_put_str(&m, name);
    msg_put_str(&m, format);
    msg_put_u64(&m, 1);
    msg_put_u64(&m, 0);
    msg_put_u64(&m, 1);
    msg_put_u64(&m, 1);
    if (msg_send(job->report_fd, &m) < 0)
        abort();
}

static enum outcome do_lie_infected(struct engine_job *job)
{
    send_result(job, OUTCOME_INFECTED, "", "");
    return do_hang(job);
}

static enum outcome do_lie_name(struct engine_job *job)
{
    send_result(job, OUTCOME_OK, "../escaped.pdf", "pdf");
    return do_hang(job);
}

static enum outcome do_lie_format(struct engine_job *job)
{
    send_result(job, OUTCOME_OK, "result.pdf", "nonsense");
    return do_hang(job);
}

static enum outcome do_lie_twice(struct engine_job *job)
{
    send_result(job, OUTCOME_OK, "result.pdf", "pdf");
    send_result(job, OUTCOME_OK, "other.pdf", "pdf");
    return do_hang(job);
}

static enum outcome do_linger(struct engine_job *job)
{
    send_result(job, OUTCOME_OK, "result.pdf", "pdf");
    return do_hang(job);
}

static enum outcome do_lie_pages(struct engine_job *job)
{
    engine_pages(job, 20);
    engine_pages(job, 21);
    return do_hang(job);
}

/* Its document had fonts that aren't there. */
static enum outcome do_fonts(struct engine_job *job)
{
    job->fonts.known = true;
    fonts_add(&job->fonts, "Calibri", "Carlito");
    return do_ok(job);
}

static void send_fonts(const struct engine_job *job, const char *text)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_FONTS);
    msg_put_str(&m, text);
    if (msg_send(job->report_fd, &m) < 0)
        abort();
}

static enum outcome do_lie_font_name(struct engine_job *job)
{
    send_fonts(job, "Calibri\nCar\xffito\n");
    return do_ok(job);
}

static enum outcome do_lie_font_count(struct engine_job *job)
{
    char text[(FONTS_MAX + 1) * 4 + 1] = "";

    for (int i = 0; i <= FONTS_MAX; i++)
        strcat(text, "a\nb\n");
    send_fonts(job, text);
    return do_ok(job);
}

static enum outcome do_lie_fonts_twice(struct engine_job *job)
{
    send_fonts(job, "");
    send_fonts(job, "Calibri\nCarlito\n");
    return do_hang(job);
}

static enum outcome do_garbage(struct engine_job *job)
{
    if (write(job->report_fd, "garbage", 7) != 7)
        return OUTCOME_INTERNAL;
    return do_hang(job);
}

/* --- what a job sees of itself */

/* Whether that is refused or what goes is a copy: the file itself has to be there afterwards. */
static enum outcome do_remove_input(struct engine_job *job)
{
    unlink(job->input_path);
    return write_result(job, "result.pdf", "x") ? OUTCOME_OK : OUTCOME_INTERNAL;
}

/* Answers with where it sees its job. */
static enum outcome do_tell_paths(struct engine_job *job)
{
    char text[1024];

    snprintf(text, sizeof text, "%s %s", job->input_path, job->output_path);
    return write_result(job, "result.pdf", text) ? OUTCOME_OK : OUTCOME_INTERNAL;
}

#define DO(name)                                                                                             \
    {                                                                                                        \
#name, do_##name                                                                                     \
    }
static const struct {
    const char *name;
    enum outcome (*fn)(struct engine_job *job);
} actions[] = {
    DO(ok),
    DO(temporary_file),
    DO(threads),
    DO(password),
    DO(crash),
    DO(abort),
    DO(exit),
    DO(hang),
    DO(hang_once),
    DO(killed_once),
    DO(burn),
    DO(hog),
    DO(gulp),
    DO(gulp_and_go_on),
    DO(flood),
    DO(lie_infected),
    DO(lie_name),
    DO(lie_format),
    DO(lie_twice),
    DO(garbage),
    DO(remove_input),
    DO(tell_paths),
    DO(lie_pages),
    DO(hang_in_pages),
    DO(linger),
    DO(fonts),
    DO(lie_font_name),
    DO(lie_font_count),
    DO(lie_fonts_twice),
};

#if defined(TOOL)
static const char *const programs[] = {TOOL, NULL};

static enum outcome attempt_by_program(struct engine_job *job)
{
    _cleanup_free_ char *options = json_dumps(job->options, JSON_COMPACT);
    const char *const argv[] = {TOOL, options, job->input_path, NULL};
    int status;
    enum outcome outcome = tool_run(job, argv, NULL, NULL, &status);

    if (status == 3) /* it was told to carry on */
        return do_ok(job);
    /* An attempt ends its process without a word, which in the other engines is a crash. */
    return outcome == OUTCOME_OK ? OUTCOME_ENGINE_CRASHED : outcome;
}
#endif

static enum outcome convert(struct engine_job *job)
{
    const char *name = attempt_is_wanted(job->options) ? "ok" : text_option(job, "do");

    snprintf(job->output_name, sizeof job->output_name, "result.pdf");
    snprintf(job->output_format, sizeof job->output_format, "%s", job->to->id);
    job->pages = 3;
    if (attempt_is_wanted(job->options)) {
#if defined(TOOL)
        return attempt_by_program(job);
#else
        attempt_run(job->options, job->input_path, ENGINE_NAME);
#endif
    }
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (str_eq(actions[i].name, name))
            return actions[i].fn(job);
    return OUTCOME_INTERNAL;
}

static void version(char *ret, size_t size)
{
    snprintf(ret, size, "Fake 1.0");
}

static void *stay(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    if (str_eq(ENGINE_NAME, "refusing")) {
        *ret_why = "there is no library today";
        return -ENOENT;
    }
    if (str_eq(ENGINE_NAME, "threaded")) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, stay, NULL) != 0)
            return -EAGAIN;
    }
    if (str_eq(ENGINE_NAME, "outdated")) {
        _cleanup_msg_ struct msg m;

        msg_init(&m, ENGINE_READY);
        msg_put_u64(&m, ENGINE_PROTOCOL + 1);
        msg_put_str(&m, "what READY may come to hold");
        if (msg_send(ENGINE_CONTROL_FD, &m) < 0)
            return -EIO;
        stay(NULL);
    }
    serve(arg);
    return 0;
}

static const struct engine_conversions conversions[] = {{"txt html", "pdf txt", 7, 90, false, NULL}, {0}};
static const struct engine_option options[] = {{"dpi", "pdf", 18, 600, 150, "Resolution"}, {0}};
static const char *const read_paths[] = {"/nonexistent/folder", "/etc/ssl/openssl.cnf", NULL};

static const struct engine fake = {
    .name = ENGINE_NAME,
#if defined(TOOL)
    .policy = policy_keeper,
    .tool_policy = policy_tool,
    .programs = programs,
    .tool_runs = 1,
#else
    .policy = "include base\ninclude noexec\n",
#endif
    .read_paths = read_paths,
    .conversions = conversions,
    .options = options,
    .version = version,
    .warm = warm,
    .convert = convert,
};

int main(int argc, char **argv)
{
    struct engine engine = fake;

    if (str_eq(ENGINE_NAME, "lawless"))
        engine.policy = "a mistake\n";
    return engine_main(&engine, argc, argv);
}
