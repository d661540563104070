/* decant convert: a worker without a queue in front.
 *
 * Each input is copied into a private job folder (the sandbox shows the engine that and nothing else),
 * checked like an upload, and goes through worker/conversion.h. The result is copied into an unnamed file
 * beside its destination, flushed, and renamed into place: what stood there before stands there until the
 * very moment when the whole result does. Nothing but the folder in $TMPDIR is ever left behind, and that
 * only by SIGKILL.
 *
 * Started as root the engines still run as settings.engine_user, who comes into a job's folder by its
 * descriptor and can't pass the one above; files are read and written as root, as cp would. */
#include "cli/commands.h"
#include "cli/convert_plan.h"
#include "cli/convert_view.h"

#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "core/path.h"
#include "core/seal.h"
#include "core/str.h"
#include "sandbox/cgroup.h"
#include "worker/conversion.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define WORKSPACE "decant-"
#define UPLOADS   "uploads"

enum { COPY_STEP = 8 << 20, ENGINES_MAX = 32, PATH_BYTES = 64 };

struct run;

/* One file on its way. */
struct task {
    struct run *run;
    const struct convert_item *item;
    char folder[24];                 /* in the workspace */
    struct conversion_input *inputs; /* in the folder */
    char (*paths)[PATH_BYTES];       /* theirs */
    size_t n_inputs;
    int job_fd;
    uv_work_t work;
    struct conversion *conversion;
    struct convert_result result;
    unsigned percent;
    uint64_t started_ms;
};

struct run {
    struct convert_plan *plan;
    struct convert_view view;
    uv_loop_t loop;
    uv_signal_t signals[3];
    struct cgroup_place *cgroups; /* NULL: none can be had */
    struct engine_pool *engines;
    const char *engine_names[ENGINES_MAX + 1];
    struct conversion_shared conversions;

    char workspace[sizeof WORKSPACE + ID_UUID_LEN]; /* its name below tmp_fd, "" until it is there */
    int tmp_fd, workspace_fd;
    mode_t file_mode; /* of new results: 0666 less the umask */

    struct task *tasks;
    size_t next, running, slots;
    atomic_int interrupted; /* the signal, or 0 */
};

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

static void start_tasks(struct run *run);

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
    start_tasks(run);
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

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Of many, which one it was. */
static void name_culprit(struct task *t, size_t i)
{
    char message[sizeof t->result.error_message];

    if (t->item->n_inputs < 2)
        return;
    snprintf(message, sizeof message, "%.60s: %.180s", base_name(input_of(t, i)), t->result.error_message);
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
    t->inputs[i] = (struct conversion_input){t->job_fd, t->paths[i], base_name(input_of(t, i)), format};
    to = path_open(t->job_fd, t->paths[i], O_RDWR | O_CREAT | O_EXCL, 0644);
    return to < 0 ? to : copy_file(t->run, from, to);
}

static void prepare_input(struct task *t, size_t i)
{
    const struct format *format =
        t->item->n_inputs > 0 ? format_by_name(base_name(input_of(t, i))) : t->item->route->from;
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

static void on_handle_closed(uv_handle_t *handle)
{
}

static void end_loop(struct run *run)
{
    engine_pool_free(TAKE_PTR(run->engines));
    for (size_t i = 0; i < ARRAY_SIZE(run->signals); i++)
        uv_close((uv_handle_t *)&run->signals[i], on_handle_closed);
}

static void start_tasks(struct run *run)
{
    while (!run->interrupted && run->running < run->slots && run->next < run->plan->n_items) {
        struct task *t = &run->tasks[run->next];

        *t = (struct task){.run = run, .item = &run->plan->items[run->next], .job_fd = -1};
        snprintf(t->folder, sizeof t->folder, "job-%zu", run->next++);
        t->started_ms = clock_mono_ms();
        t->work.data = t;
        run->running++;
        convert_view_progress(&run->view, t->item, 0);
        uv_queue_work(&run->loop, &t->work, prepare, on_prepared);
    }
    if (run->running == 0 && run->engines)
        end_loop(run);
}

/* --- the whole run */

static void remove_workspace(struct run *run)
{
    if (run->workspace[0])
        path_remove_tree(run->tmp_fd, run->workspace);
}

/* The first signal ends the conversions and then the program, in good order; the second at once. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;

    if (run->interrupted) {
        remove_workspace(run);
        cgroup_place_free(run->cgroups);
        _exit(128 + number);
    }
    run->interrupted = number;
    for (size_t i = 0; i < run->next; i++)
        if (run->tasks[i].conversion)
            conversion_cancel(run->tasks[i].conversion);
}

static int watch_signals(struct run *run)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uv_signal_init(&run->loop, &run->signals[i]);
        run->signals[i].data = run;
        if (r == 0)
            r = uv_signal_start(&run->signals[i], on_signal, numbers[i]);
    }
    return r;
}

static int make_workspace(struct run *run)
{
    const char *tmp = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nothing runs yet
    char name[sizeof run->workspace] = WORKSPACE;

    id_uuid(name + strlen(WORKSPACE));
    run->tmp_fd = open(tmp && *tmp ? tmp : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->tmp_fd < 0 || mkdirat(run->tmp_fd, name, 0700) < 0)
        return -errno;
    memcpy(run->workspace, name, sizeof name);
    run->workspace_fd = path_open(run->tmp_fd, name, O_RDONLY | O_DIRECTORY, 0);
    return run->workspace_fd < 0 ? run->workspace_fd : 0;
}

static void name_engine(struct run *run, const char *name)
{
    size_t k = 0;

    while (k < ENGINES_MAX && run->engine_names[k] && !str_eq(run->engine_names[k], name))
        k++;
    if (k < ENGINES_MAX)
        run->engine_names[k] = name;
}

static void name_route(struct run *run, const struct catalogue_route *route)
{
    for (size_t k = 0; route && k < route->n_steps; k++)
        name_engine(run, route->steps[k]->engine);
}

/* What is in an archive is known to nobody yet. */
static void name_all(struct run *run)
{
    for (const char *const *name = catalogue_engines(); *name; name++)
        name_engine(run, *name);
}

/* Only the engines that are needed are started. */
static void name_engines(struct run *run)
{
    for (size_t i = 0; i < run->plan->n_items; i++) {
        const struct convert_item *item = &run->plan->items[i];
        const struct format *each = item->n_inputs > 0 ? run->plan->each : NULL;

        name_route(run, item->route);
        for (size_t k = 0; each && k < item->n_inputs; k++)
            name_route(run, catalogue_find(format_by_name(base_name(item->inputs[k])), each));
        if (catalogue_gathers(item->route) && item->n_inputs == 0)
            name_all(run);
    }
}

static void prepare_cgroups(struct run *run)
{
    struct settings *s = &run->plan->settings;
    const char *why;

    if (cgroup_place_make(s->cgroup, s->engine_user, &run->cgroups, &why) < 0)
        log_debug("conversions run without cgroups", LOG_S("why", why));
    s->cgroup = cgroup_place_folders(run->cgroups);
}

static int set_up(struct run *run)
{
    const struct settings *s = &run->plan->settings;
    mode_t mask = umask(0); /* from here on all modes are said */
    int r;

    run->file_mode = 0666 & ~mask;
    run->slots = s->jobs ? s->jobs : uv_available_parallelism();
    run->tasks = calloc(run->plan->n_items, sizeof *run->tasks);
    if (!run->tasks)
        return -ENOMEM;
    r = uv_loop_init(&run->loop);
    if (r == 0)
        r = watch_signals(run);
    /* After that: whoever interrupts us once there is a folder will not leave it behind. */
    if (r == 0)
        r = make_workspace(run);
    if (r < 0)
        return r;
    name_engines(run);
    prepare_cgroups(run);
    r = engine_pool_new(&run->loop, s, run->engine_names, &run->engines);
    return r < 0 ? r : conversion_shared_init(&run->conversions, &run->loop, s, run->engines);
}

static int exit_status(const struct run *run)
{
    if (run->interrupted)
        return 128 + run->interrupted;
    for (size_t i = 0; i < run->next; i++)
        if (run->tasks[i].result.exit_status)
            return run->tasks[i].result.exit_status;
    return EXIT_SUCCESS;
}

static void tear_down(struct run *run)
{
    remove_workspace(run);
    cgroup_place_free(run->cgroups);
    for (size_t i = 0; i < run->next; i++)
        free(run->tasks[i].result.output);
    free(run->tasks);
    cleanup_close(&run->workspace_fd);
    cleanup_close(&run->tmp_fd);
}

/* The folder of -o is made if it is missing; its parents are not. */
static int make_output_folder(const struct convert_plan *plan)
{
    if (!plan->output_dir || mkdir(plan->output_dir, 0777) == 0 || errno == EEXIST)
        return 0;
    fprintf(stderr, "decant convert: %s: %s\n", plan->output_dir, strerror(errno));
    return CONVERT_EXIT_OUTPUT;
}

static int convert_all(struct convert_plan *plan)
{
    struct run run = {.plan = plan, .tmp_fd = -1, .workspace_fd = -1};
    int status = make_output_folder(plan), r;

    if (status != 0)
        return status;
    convert_view_init(&run.view, plan);
    r = set_up(&run);
    if (r < 0) {
        fprintf(stderr, "decant convert: it can't be started: %s\n", strerror(-r));
        status = outcome_exit_status(OUTCOME_INTERNAL);
    } else {
        start_tasks(&run);
        uv_run(&run.loop, UV_RUN_DEFAULT);
        conversion_shared_done(&run.conversions);
        uv_run(&run.loop, UV_RUN_DEFAULT);
        uv_loop_close(&run.loop);
        convert_view_end(&run.view);
        status = exit_status(&run);
    }
    tear_down(&run);
    return status;
}

int cmd_convert(int argc, char **argv)
{
    struct convert_plan plan;
    int r, status;

    seal_wipe_json();
    catalogue_leave_out_missing();
    r = convert_plan_make(&plan, argc, argv);
    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : CONVERT_EXIT_USAGE;
    settings_log_init(&plan.settings, "decant");
    signal(SIGPIPE, SIG_IGN); /* so that a closed pipe can't keep us from cleaning up */
    status = convert_all(&plan);
    convert_plan_free(&plan);
    return status;
}
