/* One file on its way through `decant convert`: copied into a folder of its own, converted there, and its
 * result put in place (convert.c says how). */
#include "cli/convert_task.h"

#include "cli/convert_output.h"
#include "core/clock.h"
#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
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

static int publish(void *arg, const struct conversion_output *output)
{
    struct task *t = arg;
    bool other = output->format != t->item->route->to;
    _cleanup_(convert_output_close) struct convert_output to = CONVERT_OUTPUT_INIT;
    int r;

    t->result.output =
        other ? convert_output_rename(t->item->output, output->format->id) : strdup(t->item->output);
    if (!t->result.output)
        return -ENOMEM;
    r = convert_output_open(&to, t->result.output, t->run->file_mode);
    if (r == 0)
        r = copy_file(t->run, output->fd, to.fd);
    return r < 0 ? r : convert_output_commit(&to, !other || t->run->plan->force);
}

/* --- one task */

static void fail_outcome(struct task *t, enum outcome outcome, const char *message)
{
    convert_fail(&t->result, outcome_exit_status(outcome), outcome_code(outcome),
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

static void explain(struct task *t, const struct conversion_report *report)
{
    if (t->run->interrupted) {
        fail_outcome(t, OUTCOME_CANCELLED, NULL);
    } else if (report->publish_error < 0) {
        convert_fail_commit(&t->result, t->result.output ? t->result.output : t->item->output,
                            report->publish_error);
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
        if (t->item->n_inputs > 1 && *report->failed_name)
            convert_name_culprit(&t->result, convert_item_input(t->item, report->failed_input));
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
    t->inputs[i] = (struct conversion_input){t->job_fd, t->paths[i],
                                             convert_item_name(t->run->plan, t->item, i), format};
    to = path_open(t->job_fd, t->paths[i], O_RDWR | O_CREAT | O_EXCL, 0644);
    return to < 0 ? to : copy_file(t->run, from, to);
}

static void prepare_input(struct task *t, size_t i)
{
    const struct format *format = t->item->n_inputs > 0
                                      ? format_by_name(convert_item_name(t->run->plan, t->item, i))
                                      : t->item->route->from;
    _cleanup_close_ int from = convert_open_input(&t->result, convert_item_input(t->item, i), NULL);
    int r;

    if (from < 0)
        return;
    r = conversion_sniff(&t->run->conversions, from, format);
    if (sniff_refusal(r))
        convert_fail(&t->result, CONVERT_EXIT_INPUT, "type_mismatch", sniff_refusal(r));
    else if (r < 0)
        convert_fail_errno(&t->result, CONVERT_EXIT_INPUT, "input_unreadable", r);
    if (r < 0)
        return;
    r = take_input(t, i, format, from);
    if (r < 0)
        convert_fail_errno(&t->result, outcome_exit_status(OUTCOME_INTERNAL), outcome_code(OUTCOME_INTERNAL),
                           r);
}

/* On one of libuv's threads: an exit status other than 0 in the result ends the task. */
static void prepare(uv_work_t *work)
{
    struct task *t = work->data;
    int r = make_job(t);

    if (r < 0)
        convert_fail_errno(&t->result, outcome_exit_status(OUTCOME_INTERNAL), outcome_code(OUTCOME_INTERNAL),
                           r);
    for (size_t i = 0; i < t->n_inputs && t->result.exit_status == 0; i++) {
        prepare_input(t, i);
        if (t->result.exit_status != 0 && t->item->n_inputs > 1)
            convert_name_culprit(&t->result, convert_item_input(t->item, i));
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
