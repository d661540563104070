/* One file on its way through `decant convert`: copied into a folder of its own, converted there, and its
 * result put in place (convert.c says how). */
#include "cli/convert_task.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define UPLOADS "uploads"

enum { COPY_STEP = 8 << 20 };

/* --- copying */

static int copy_file(struct run *run, int from, int to)
{
    for (;;) {
        ssize_t n = sendfile(to, from, NULL, COPY_STEP);

        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (run->interrupted)
            return -ECANCELED;
    }
}

/* --- the result, on one of libuv's threads */

/* The file that a write to `path` would change: a link is followed, as cp does. */
static int resolve_output(const char *path, char ret[PATH_MAX], mode_t *mode)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        if (errno != ENOENT)
            return -errno;
        return snprintf(ret, PATH_MAX, "%s", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
    }
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    *mode = st.st_mode & 0777;
    return realpath(path, ret) ? 0 : -errno;
}

/* A file for writing in `dir`, unnamed where the filesystem can; else `temp` names it. */
static int open_temporary(int dir, const char *temp, bool *named)
{
    int fd = path_tmpfile(dir, 0600);

    *named = fd == -EOPNOTSUPP;
    return *named ? path_open(dir, temp, O_RDWR | O_CREAT | O_EXCL, 0600) : fd;
}

static int write_result(struct run *run, int from, int dir, const char *name, mode_t mode, bool replace)
{
    char temp[sizeof ".decant-" + ID_UUID_LEN] = ".decant-";
    bool named = false;
    int r;

    id_uuid(temp + strlen(temp));

    _cleanup_close_ int fd = open_temporary(dir, temp, &named);

    if (fd < 0)
        return fd;
    r = copy_file(run, from, fd);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        r = -errno;
    if (r == 0 && !named) {
        r = path_link(fd, dir, temp);
        named = r == 0;
    }
    if (r == 0 && renameat2(dir, temp, dir, name, replace ? 0 : RENAME_NOREPLACE) < 0)
        r = -errno;
    if (r < 0 && named)
        unlinkat(dir, temp, 0);
    return r;
}

/* report.png → report.zip, when the result came as another format than the one that was asked for. */
static char *rename_output(const char *output, const char *ext)
{
    const char *base = strrchr(output, '/'), *dot = strrchr(base ? base : output, '.');
    char *renamed;

    if (asprintf(&renamed, "%.*s.%s", (int)(dot ? dot - output : (ssize_t)strlen(output)), output, ext) < 0)
        return NULL;
    return renamed;
}

static int publish(void *arg, const struct conversion_output *output)
{
    struct task *t = arg;
    bool other = output->format != t->item->route->to;
    char resolved[PATH_MAX] = "";
    mode_t mode = t->run->file_mode;
    int r;

    t->result.output = other ? rename_output(t->item->output, output->format->id) : strdup(t->item->output);
    if (!t->result.output)
        return -ENOMEM;
    r = resolve_output(t->result.output, resolved, &mode);
    if (r < 0)
        return r;

    char *slash = strrchr(resolved, '/');
    const char *name = slash ? slash + 1 : resolved;

    if (slash)
        *slash = '\0';

    const char *folder = !slash ? "." : *resolved ? resolved : "/";
    _cleanup_close_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return -errno;
    return write_result(t->run, output->fd, dir, name, mode, !other || t->run->plan->force);
}

/* --- one task */

static void fail(struct task *t, int status, const char *code, const char *message)
{
    t->result.exit_status = status;
    t->result.error_code = code;
    snprintf(t->result.error_message, sizeof t->result.error_message, "%s", message);
}

static void fail_errno(struct task *t, int status, const char *code, int r)
{
    fail(t, status, code, strerror(-r)); // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

static void fail_outcome(struct task *t, enum outcome outcome, const char *message)
{
    fail(t, outcome_exit_status(outcome), outcome_code(outcome),
         message ? message : outcome_sentence(outcome));
}

static void on_task_over(struct task *t)
{
    struct run *run = t->run;

    cleanup_close(&t->job_fd);
    t->job_fd = -1;
    free(t->inputs);
    free(t->paths);
    path_remove_tree(run->workspace_fd, t->folder);
    t->percent = 100;
    t->result.ms = clock_mono_ms() - t->started_ms;
    run->running--;
    convert_view_result(&run->view, t->item, &t->result);
    run_next(run);
}

static void on_stage(void *arg, enum conversion_stage stage)
{
}

static void on_progress(void *arg, unsigned percent)
{
    struct task *t = arg;

    convert_view_progress(&t->run->view, t->item, percent - t->percent);
    t->percent = percent;
}

static const char *input_of(const struct task *t, size_t i)
{
    return t->item->n_inputs > 0 ? t->item->inputs[i] : t->item->input;
}

/* Of many, which one it was. */
static void name_culprit(struct task *t, size_t i)
{
    char message[sizeof t->result.error_message];

    if (t->item->n_inputs < 2)
        return;
    snprintf(message, sizeof message, "%.60s: %.180s", str_base_name(input_of(t, i)),
             t->result.error_message);
    memcpy(t->result.error_message, message, sizeof message);
}

static void explain(struct task *t, const struct conversion_report *report)
{
    if (t->run->interrupted) {
        fail_outcome(t, OUTCOME_CANCELLED, NULL);
    } else if (report->publish_error == -EEXIST) {
        fail(t, CONVERT_EXIT_OUTPUT, "output_unwritable",
             "The many pages come as a ZIP, and a file of that name is there; --force replaces it.");
    } else if (report->publish_error < 0) {
        char message[sizeof t->result.error_message];

        snprintf(message, sizeof message, "%s: %s", t->result.output ? t->result.output : t->item->output,
                 strerror(-report->publish_error)); // NOLINT(concurrency-mt-unsafe)
        fail(t, CONVERT_EXIT_OUTPUT, "output_unwritable", message);
    } else {
        fail_outcome(t, report->outcome,
                     report->outcome == OUTCOME_INTERNAL && *report->detail ? report->detail : NULL);
    }
}

static void on_converted(void *arg, const struct conversion_report *report)
{
    struct task *t = arg;

    t->conversion = NULL;
    t->result.pages = report->pages;
    t->result.cpu_ms = report->cpu_ms;
    t->result.peak_kib = report->peak_kib;
    t->result.pss_kib = report->pss_kib;
    if (report->fonts)
        t->result.fonts = *report->fonts;
    convert_view_progress(&t->run->view, t->item, 100 - t->percent);
    if (report->outcome != OUTCOME_OK) {
        explain(t, report);
        name_culprit(t, report->failed_input);
    }
    on_task_over(t);
}

/* Makes the job folder, open to who has a descriptor of it. */
static int make_job(struct task *t)
{
    _cleanup_close_ int uploads = -1;

    t->n_inputs = t->item->n_inputs > 0 ? t->item->n_inputs : 1;
    t->inputs = calloc(t->n_inputs, sizeof *t->inputs);
    t->paths = calloc(t->n_inputs, sizeof *t->paths);
    if (!t->inputs || !t->paths)
        return -ENOMEM;
    t->job_fd = path_make_dir(t->run->workspace_fd, t->folder, 0711);
    if (t->job_fd < 0)
        return t->job_fd;
    uploads = path_make_dir(t->job_fd, UPLOADS, 0711);
    return uploads < 0 ? uploads : 0;
}

/* A copy of it, for the engine. */
static int take_input(struct task *t, size_t i, const struct format *format, int from)
{
    _cleanup_close_ int to = -1;

    snprintf(t->paths[i], sizeof t->paths[i], UPLOADS "/input-%zu.%s", i, format->id);
    t->inputs[i] = (struct conversion_input){t->job_fd, t->paths[i], str_base_name(input_of(t, i)), format};
    to = path_open(t->job_fd, t->paths[i], O_RDWR | O_CREAT | O_EXCL, 0644);
    return to < 0 ? to : copy_file(t->run, from, to);
}

static void prepare_input(struct task *t, size_t i)
{
    const struct format *format =
        t->item->n_inputs > 0 ? format_by_name(str_base_name(input_of(t, i))) : t->item->route->from;
    _cleanup_close_ int from = open(input_of(t, i), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int r;

    if (from < 0 || fstat(from, &st) < 0) {
        fail_errno(t, CONVERT_EXIT_INPUT, "input_unreadable", -errno);
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        fail(t, CONVERT_EXIT_INPUT, "input_unreadable", "It is not a regular file.");
        return;
    }
    if (st.st_size == 0) {
        fail(t, CONVERT_EXIT_INPUT, "empty_file", "The file is empty.");
        return;
    }
    r = conversion_sniff(&t->run->conversions, from, format);
    if (sniff_refusal(r))
        fail(t, CONVERT_EXIT_INPUT, "type_mismatch", sniff_refusal(r));
    else if (r < 0)
        fail_errno(t, CONVERT_EXIT_INPUT, "input_unreadable", r);
    if (r < 0)
        return;
    r = take_input(t, i, format, from);
    if (r < 0)
        fail_errno(t, outcome_exit_status(OUTCOME_INTERNAL), outcome_code(OUTCOME_INTERNAL), r);
}

/* On one of libuv's threads: an exit status other than 0 in the result ends the task. */
static void prepare(uv_work_t *work)
{
    struct task *t = work->data;
    int r = make_job(t);

    if (r < 0)
        fail_errno(t, outcome_exit_status(OUTCOME_INTERNAL), outcome_code(OUTCOME_INTERNAL), r);
    for (size_t i = 0; i < t->n_inputs && t->result.exit_status == 0; i++) {
        prepare_input(t, i);
        if (t->result.exit_status != 0)
            name_culprit(t, i);
    }
}

static void on_prepared(uv_work_t *work, int status)
{
    static const struct conversion_events events = {on_stage, on_progress, publish, on_converted, NULL};
    struct task *t = work->data;
    struct conversion_request request = {
        .job_fd = t->job_fd, .route = t->item->route, .options = t->run->plan->options};

    if (t->run->interrupted)
        fail_outcome(t, OUTCOME_CANCELLED, NULL);
    if (t->result.exit_status == 0) {
        request.input = t->paths[0];
        request.inputs = t->inputs;
        request.n_inputs = t->item->n_inputs;
        t->conversion = conversion_start(&t->run->conversions, &request, &events, t);
        if (t->conversion)
            return;
        fail_outcome(t, OUTCOME_INTERNAL, "out of memory");
    }
    convert_view_progress(&t->run->view, t->item, 100);
    on_task_over(t);
}

void task_start(struct task *t)
{
    t->started_ms = clock_mono_ms();
    t->work.data = t;
    convert_view_progress(&t->run->view, t->item, 0);
    uv_queue_work(&t->run->loop, &t->work, prepare, on_prepared);
}
