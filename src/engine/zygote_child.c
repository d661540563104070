/* The child's side of a job: from the wait for it to the report.
 *
 * Until it has its job it is a copy of the zygote that has done all that needs no job. The job comes by the
 * report socket, which in turn comes by the channel to the zygote; when that ends instead, the child isn't
 * needed.
 *
 * The result is sent before the process ends, and it ends by _exit: tearing a quarter of a gigabyte of
 * library state down helps nobody. A child can lie in its report, but only about its own job; the worker
 * checks the output. */
#include "engine/allocations.h"
#include "engine/protocol.h"
#include "engine/zygote.h"

#include "core/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel adds the proportional set size up page by page: milliseconds for LibreOffice, and a tenth of
 * what the smallest picture takes, so that one job of many has to do. */
enum { PSS_EVERY = 16 };

static volatile sig_atomic_t output_too_large;

/* A handler rather than "ignored": libraries that overlook a failed write would call a cut-off file a result.
 * The write itself fails with EFBIG. */
static void on_file_size(int signal_number)
{
    output_too_large = 1;
}

static enum outcome refuse(struct engine_job *job)
{
    return OUTCOME_INTERNAL;
}

static engine_task_fn *task_of(const struct engine *engine, enum engine_task task)
{
    engine_task_fn *const tasks[ENGINE_TASKS_] = {
        [ENGINE_CONVERT] = engine->convert,
        [ENGINE_GATHER] = engine->gather,
        [ENGINE_SCATTER] = engine->scatter,
    };

    return tasks[task] ? tasks[task] : refuse;
}

static enum outcome convert(const struct engine *engine, enum engine_task task, struct engine_job *job)
{
    struct sigaction action = {.sa_handler = on_file_size, .sa_flags = SA_RESTART};
    enum outcome outcome;

    if (!job->from || !job->to || !json_is_object(job->options) || sigaction(SIGXFSZ, &action, NULL) < 0)
        return OUTCOME_INTERNAL;
    outcome = task_of(engine, task)(job);
    return output_too_large ? OUTCOME_TOO_COMPLEX : outcome;
}

/* 0 when it can't be read: there is no /proc in some sandboxes. */
static ssize_t read_own(const char *path, char *ret, size_t size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

    ret[n > 0 ? n : 0] = '\0';
    return n > 0 ? n : 0;
}

static uint64_t measure_pss_kib(uint64_t run)
{
    char text[2048];
    unsigned long kib;
    const char *line;

    if (run % PSS_EVERY != 1 || !read_own("/proc/self/smaps_rollup", text, sizeof text))
        return 0;
    line = strstr(text, "\nPss:");
    return line && sscanf(line, "\nPss: %lu kB", &kib) == 1 ? kib : 0;
}

/* With that of the programs that it has run. */
static void measure_usage(struct rusage *ret)
{
    struct rusage programs = {0};

    getrusage(RUSAGE_SELF, ret);
    getrusage(RUSAGE_CHILDREN, &programs);
    timeradd(&ret->ru_utime, &programs.ru_utime, &ret->ru_utime);
    timeradd(&ret->ru_stime, &programs.ru_stime, &ret->ru_stime);
    if (programs.ru_maxrss > ret->ru_maxrss)
        ret->ru_maxrss = programs.ru_maxrss;
}

/* A list that gets lost is one that is not known. */
static void tell_fonts(const struct engine_job *job)
{
    _cleanup_msg_ struct msg m;
    char text[FONTS_TEXT_MAX];

    fonts_write(&job->fonts, text);
    msg_init(&m, ENGINE_FONTS);
    msg_put_str(&m, text);
    (void)!msg_send(job->report_fd, &m);
}

_noreturn_ static void report(const struct engine_job *job, enum outcome outcome, uint64_t run)
{
    int flags = fcntl(job->report_fd, F_GETFL);
    struct rusage usage = {0};
    struct msg m;

    /* Progress may be dropped, the result may not. */
    if (flags < 0 || fcntl(job->report_fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        _exit(EXIT_FAILURE);
    if (job->fonts.known && outcome == OUTCOME_OK)
        tell_fonts(job);
    msg_init(&m, ENGINE_RESULT);
    msg_put_u64(&m, outcome);
    msg_put_str(&m, job->output_name);
    msg_put_str(&m, job->output_format);
    msg_put_u64(&m, job->pages);
    msg_put_u64(&m, measure_pss_kib(run));
    measure_usage(&usage);
    zygote_put_usage(&m, &usage);
    _exit(msg_send(job->report_fd, &m) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int tell_begun(int report_fd)
{
    _cleanup_msg_ struct msg m;

    msg_init(&m, ENGINE_BEGUN);
    return msg_send(report_fd, &m);
}

/* The report socket of the job to come. */
static int wait_for_run(int channel, uint64_t *ret_run)
{
    struct msg m;
    int report_fd, r = msg_recv(channel, &m);

    if (r == -EPIPE)
        _exit(EXIT_SUCCESS);
    if (r < 0)
        return r;
    *ret_run = msg_get_u64(&m, UINT64_MAX);
    report_fd = msg_take_fd(&m);
    r = msg_done(&m);
    msg_free(&m);
    return r < 0 ? r : report_fd;
}

_noreturn_ static void enter_and_convert(const struct engine *engine, struct sandbox *sandbox, uint64_t run,
                                         int report_fd, struct msg *m)
{
    /* One declaration a field: initialisers within braces have no order. */
    enum engine_task task = (enum engine_task)msg_get_u64(m, ENGINE_TASKS_ - 1);
    const char *from = msg_get_str(m), *to = msg_get_str(m), *options = msg_get_str(m);
    const char *input = msg_get_str(m), *output = msg_get_str(m);
    uint64_t cpu_s = msg_get_u64(m, UINT32_MAX);
    struct sandbox_job sandboxed = {
        .job_fd = msg_take_fd(m), .input = input, .output = output, .keep_fd = report_fd, .cpu_s = cpu_s};
    struct engine_job job = {.from = format_by_id(from), .to = format_by_id(to)};
    enum outcome outcome;

    if (m->type != ENGINE_JOB || msg_done(m) < 0)
        _exit(SANDBOX_EXIT_SETUP);
    sandbox_enter(sandbox, &sandboxed);
    job.input_path = sandboxed.input_path;
    job.output_path = sandboxed.output_path;
    job.report_fd = sandboxed.keep_fd;
    job.tools = sandboxed.tools;
    job.tools_left = engine->tool_runs;
    job.options = json_loads(options, JSON_REJECT_DUPLICATES, NULL);
    if (tell_begun(job.report_fd) < 0)
        _exit(EXIT_FAILURE);
    allocations_watch(job.report_fd);
    outcome = convert(engine, task, &job);
    job.output_name[sizeof job.output_name - 1] = '\0';
    job.output_format[sizeof job.output_format - 1] = '\0';
    report(&job, outcome, run);
}

void zygote_child_main(const struct engine *engine, struct sandbox *sandbox, int channel)
{
    uint64_t run;
    int report_fd = wait_for_run(channel, &run);
    struct msg m;

    if (report_fd < 0 || msg_recv(report_fd, &m) < 0)
        _exit(SANDBOX_EXIT_SETUP);
    enter_and_convert(engine, sandbox, run, report_fd, &m);
}
