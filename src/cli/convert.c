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
#include "cli/convert_standard.h"
#include "cli/convert_task.h"
#include "cli/remote_convert.h"

#include "core/log.h"
#include "core/path.h"
#include "core/seal.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static void on_handle_closed(uv_handle_t *handle)
{
}

static void end_loop(struct run *run)
{
    engine_pool_free(TAKE_PTR(run->engines));
    for (size_t i = 0; i < ARRAY_SIZE(run->signals); i++)
        uv_close((uv_handle_t *)&run->signals[i], on_handle_closed);
}

void run_next(struct run *run)
{
    while (!run->interrupted && run->running < run->slots && run->next < run->plan->n_items) {
        struct task *t = &run->tasks[run->next];

        *t = (struct task){.run = run, .item = &run->plan->items[run->next], .job_fd = -1};
        snprintf(t->folder, sizeof t->folder, "job-%zu", run->next++);
        run->running++;
        task_start(t);
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
    char name[sizeof run->workspace] = CONVERT_WORKSPACE;

    id_uuid(name + strlen(CONVERT_WORKSPACE));
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

    while (k < CONVERT_ENGINES_MAX && run->engine_names[k] && !str_eq(run->engine_names[k], name))
        k++;
    if (k < CONVERT_ENGINES_MAX)
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
            name_route(run, catalogue_find(format_by_name(str_base_name(item->inputs[k])), each));
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

/* While signals still end us: it may be long in coming. */
static int take_input(const struct convert_plan *plan)
{
    int r = convert_is_standard(plan->items[0].input) ? convert_standard_take_input() : 0;

    if (r == 0)
        return 0;
    fprintf(stderr, "decant convert: -: %s (input_unreadable)\n", strerror(-r));
    return CONVERT_EXIT_INPUT;
}

static int convert_all(struct convert_plan *plan)
{
    struct run run = {.plan = plan, .tmp_fd = -1, .workspace_fd = -1};
    int status, r;

    convert_view_init(&run.view, plan);
    r = set_up(&run);
    if (r < 0) {
        fprintf(stderr, "decant convert: it can't be started: %s\n", strerror(-r));
        status = outcome_exit_status(OUTCOME_INTERNAL);
    } else {
        run_next(&run);
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
    status = make_output_folder(&plan);
    if (status == 0)
        status = take_input(&plan);
    if (status == 0)
        status = plan.server ? remote_convert(&plan) : convert_all(&plan);
    convert_plan_free(&plan);
    return status;
}
