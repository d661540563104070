/* Each file is sent, converted, fetched and removed from the server by a thread of libuv's, a few of them at
 * a time, or without a login by one call that is all of this, one at a time; the loop only shows how far they
 * are, and hears signals. A result is written beside its destination and takes its place when it is whole, as
 * with a conversion here. */
#include "cli/remote_convert.h"

#include "cli/convert_output.h"
#include "cli/convert_standard.h"
#include "cli/convert_view.h"
#include "cli/remote_fault.h"
#include "client/jobs.h"
#include "core/clock.h"
#include "core/str.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <uv.h>

enum {
    SLOTS = 3, /* of what one server is asked for at once; -j says another number */
    SLOTS_MAX = 16,
    SHOW_MS = 100,
    SENT_AT = 40, /* percent of the way: a file is sent, converted, fetched */
    CONVERTED_AT = 80,
};

struct remote_run;

struct remote_task {
    struct remote_run *run;
    const struct convert_item *item;
    uv_work_t work;
    struct jobs_caller caller;
    char (*ids)[ID_UUID_LEN + 1]; /* of its jobs on the server */
    size_t n_ids, n_inputs;
    struct convert_result result;
    uint64_t started_ms;
    /* From its thread to the loop's. */
    _Atomic(const char *) stage;
    atomic_uint percent;
    unsigned shown;
    bool running;
};

struct remote_run {
    struct convert_plan *plan;
    struct convert_view view;
    struct remote remote;
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_timer_t timer;
    struct remote_task *tasks;
    size_t next, running, slots;
    mode_t file_mode;
    atomic_int interrupted; /* the signal, or 0 */
};

/* --- on a thread */

/* What the server says of a file, or of its options, is as if it had been said here. */
static void fail_call(struct remote_task *t)
{
    static const struct {
        const char *code;
        int status;
    } ours[] = {
        {"bad_request", CONVERT_EXIT_USAGE},      {"unsupported_target", CONVERT_EXIT_USAGE},
        {"unsupported_type", CONVERT_EXIT_INPUT}, {"type_mismatch", CONVERT_EXIT_INPUT},
        {"empty_file", CONVERT_EXIT_INPUT},       {"too_large", CONVERT_EXIT_INPUT},
    };
    const struct remote_fault *fault = &t->caller.fault;
    int status = REMOTE_EXIT_SERVER;

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (str_eq(fault->code, ours[i].code))
            status = ours[i].status;
    convert_fail(&t->result, remote_exit_status(fault, status), fault->code,
                 str_eq(fault->code, "unsupported_target") ? "The server can't convert it into that format."
                                                           : fault->message);
}

/* The part from..to of its way is done in the proportion done/total. */
static void show(struct remote_task *t, unsigned from, unsigned to, uint64_t done, uint64_t total)
{
    unsigned percent = total ? from + (unsigned)((to - from) * (done < total ? done : total) / total) : from;

    if (percent > atomic_load(&t->percent))
        atomic_store(&t->percent, percent);
}

static void on_sent(void *arg, uint64_t done, uint64_t total)
{
    struct remote_task *t = arg;
    unsigned n = (unsigned)t->n_inputs, i = (unsigned)t->n_ids;

    show(t, SENT_AT * i / n, SENT_AT * (i + 1) / n, done, total);
}

static void on_change(void *arg, const char *status, unsigned percent)
{
    struct remote_task *t = arg;

    t->stage = str_eq(status, "queued") ? "waiting:" : "converting";
    show(t, SENT_AT, CONVERTED_AT, percent, 100);
}

static void on_fetched(void *arg, uint64_t done, uint64_t total)
{
    show(arg, CONVERTED_AT, 100, done, total);
}

static int send_input(struct remote_task *t, size_t i)
{
    uint64_t size = 0;
    _cleanup_close_ int fd = convert_open_input(&t->result, convert_item_input(t->item, i), &size);
    int r;

    if (fd < 0)
        return -EINVAL;
    r = jobs_upload(&t->caller, fd, convert_item_name(t->run->plan, t->item, i), size, on_sent, t, t->ids[i]);
    if (r < 0)
        fail_call(t);
    else
        t->n_ids++;
    return r;
}

/* Before a file is sent whose result could go nowhere. */
static int check_output(struct remote_task *t)
{
    struct convert_output to;
    int r = convert_output_open(&to, t->item->output, t->run->file_mode);

    convert_output_close(&to);
    if (r < 0)
        convert_fail_commit(&t->result, t->item->output, r);
    return r;
}

static int send_inputs(struct remote_task *t)
{
    t->stage = "sending";
    for (size_t i = 0; i < t->n_inputs; i++) {
        if (send_input(t, i) < 0) {
            if (t->n_inputs > 1)
                convert_name_culprit(&t->result, convert_item_input(t->item, i));
            return -EINVAL;
        }
    }
    return 0;
}

static void take_fonts(struct convert_result *result, const json_t *fonts)
{
    const json_t *pair;
    size_t i;

    result->fonts.known = json_is_array(fonts);
    json_array_foreach(fonts, i, pair)
    {
        const char *font = json_string_value(json_object_get(pair, "font")),
                   *used = json_string_value(json_object_get(pair, "used"));

        if (font && used)
            fonts_add(&result->fonts, font, used);
    }
}

static uint64_t number_in(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void take_figures(struct convert_result *result, const json_t *job)
{
    result->pages = number_in(json_object_get(job, "output"), "pages");
    result->cpu_ms = number_in(job, "cpu_ms");
    result->peak_kib = number_in(job, "peak_kib");
    result->pss_kib = number_in(job, "pss_kib");
    take_fonts(result, json_object_get(job, "fonts_substituted"));
}

static int convert(struct remote_task *t, json_t **ret_job)
{
    int r = jobs_convert(&t->caller, t->ids, t->n_ids, t->item->to->id, t->run->plan->options);

    if (r == 0)
        r = jobs_wait(&t->caller, t->ids[0], on_change, t, ret_job);
    if (r < 0) {
        fail_call(t);
        return r;
    }
    take_figures(&t->result, *ret_job);
    if (str_eq(json_string_value(json_object_get(*ret_job, "status")), "completed"))
        return 0;

    const char *code = json_string_value(json_object_get(*ret_job, "error_code"));
    const char *message = json_string_value(json_object_get(*ret_job, "error_message"));

    code = code ? code : "cancelled_by_user";
    convert_fail(&t->result, remote_outcome_status(code, REMOTE_EXIT_SERVER), code,
                 message ? message : "The conversion was cancelled.");
    return -ECANCELED;
}

static int write_output(struct remote_task *t, const json_t *job, bool replace)
{
    _cleanup_(convert_output_close) struct convert_output to = CONVERT_OUTPUT_INIT;
    int r = convert_output_open(&to, t->result.output, t->run->file_mode);

    if (r == 0) {
        r = jobs_fetch(&t->caller, job, to.fd, on_fetched, t);
        if (r < 0) {
            if (str_eq(t->caller.fault.code, "output_unwritable"))
                convert_fail_output(&t->result, t->result.output, t->caller.fault.message);
            else
                fail_call(t);
            return r;
        }
        r = convert_output_commit(&to, replace);
    }
    if (r < 0)
        convert_fail_commit(&t->result, t->result.output, r);
    return r;
}

static void fail_internal(struct remote_task *t, int err)
{
    convert_fail_errno(&t->result, remote_outcome_status("internal", EXIT_FAILURE), "internal", err);
}

/* Many pages come as a ZIP. `ret_replace`: what may be there already can go. */
static int name_output(struct remote_task *t, bool zip, bool *ret_replace)
{
    bool other = zip && !str_eq(t->item->to->id, "zip");

    *ret_replace = !other || t->run->plan->force;
    t->result.output = other ? convert_output_rename(t->item->output, "zip") : strdup(t->item->output);
    if (t->result.output)
        return 0;
    fail_internal(t, -ENOMEM);
    return -ENOMEM;
}

static int fetch(struct remote_task *t, const json_t *job)
{
    const char *type = json_string_value(json_object_get(json_object_get(job, "output"), "mime_type"));
    bool replace;
    int r = name_output(t, str_eq(type, "application/zip"), &replace);

    t->stage = "fetching";
    return r < 0 ? r : write_output(t, job, replace);
}

/* --- without a login */

static void on_sent_all(void *arg, uint64_t done, uint64_t total)
{
    struct remote_task *t = arg;

    if (done == total)
        t->stage = "converting";
    show(t, 0, SENT_AT, done, total);
}

static void put_output(struct remote_task *t, int result, bool replace)
{
    _cleanup_(convert_output_close) struct convert_output to = CONVERT_OUTPUT_INIT;
    int r = convert_output_open(&to, t->result.output, t->run->file_mode);

    if (r == 0)
        r = convert_standard_copy(result, to.fd);
    if (r == 0)
        r = convert_output_commit(&to, replace);
    if (r < 0)
        convert_fail_commit(&t->result, t->result.output, r);
}

/* Only when the result is here it is known which file it belongs into. */
static void convert_at_once(struct remote_task *t)
{
    struct jobs_call call = {.name = convert_item_name(t->run->plan, t->item, 0),
                             .target = t->item->to->id,
                             .options = t->run->plan->options,
                             .sent = on_sent_all,
                             .arg = t};
    _cleanup_close_ int input = convert_open_input(&t->result, t->item->input, &call.size), result = -1;
    bool zip, replace;

    if (input < 0)
        return;
    result = convert_standard_file();
    if (result < 0) {
        fail_internal(t, result);
        return;
    }
    t->stage = "sending";
    call.fd = input;
    call.sink = result;
    if (jobs_convert_at_once(&t->caller, &call, &zip) < 0)
        fail_call(t);
    else if (name_output(t, zip, &replace) == 0)
        put_output(t, result, replace);
}

/* The first job of many is the one that runs, and when it is gone the others can go. What is left behind
 * after all, as the server is away, ends with the account's retention. */
static void clean_up(struct remote_task *t)
{
    struct jobs_caller caller;
    bool kept = t->run->plan->keep && t->result.exit_status == 0;

    if (kept)
        t->result.job_id = t->ids[0];
    if (kept || !*t->ids[0] || jobs_caller_open(&caller, &t->run->remote) < 0)
        return;
    caller.line.stop = NULL;                               /* also after a signal */
    for (size_t i = 0; i < t->n_inputs && *t->ids[i]; i++) /* the last one may not have come whole */
        if (jobs_delete(&caller, t->ids[i], NULL) < 0)
            break;
    jobs_caller_close(&caller);
}

static void convert_in_steps(struct remote_task *t)
{
    _cleanup_json_ json_t *job = NULL;

    if (send_inputs(t) == 0 && convert(t, &job) == 0)
        (void)fetch(t, job);
}

static void run_task(uv_work_t *work)
{
    struct remote_task *t = work->data;

    t->n_inputs = t->item->n_inputs > 0 ? t->item->n_inputs : 1;
    t->ids = calloc(t->n_inputs, sizeof *t->ids);
    if (!t->ids || jobs_caller_open(&t->caller, &t->run->remote) < 0) {
        fail_internal(t, -ENOMEM);
        return;
    }
    if (check_output(t) == 0)
        (t->run->remote.anonymous ? convert_at_once : convert_in_steps)(t);
    clean_up(t);
    jobs_caller_close(&t->caller);
}

/* --- on the loop */

static void run_next(struct remote_run *run);

static void show_task(struct remote_task *t)
{
    unsigned percent = atomic_load(&t->percent);

    if (percent == t->shown)
        return;
    t->run->view.stage = t->stage;
    convert_view_progress(&t->run->view, t->item, percent - t->shown);
    t->shown = percent;
}

static void on_show(uv_timer_t *timer)
{
    struct remote_run *run = timer->data;

    for (size_t i = 0; i < run->next; i++)
        if (run->tasks[i].running)
            show_task(&run->tasks[i]);
}

static void on_task_over(uv_work_t *work, int status)
{
    struct remote_task *t = work->data;
    struct remote_run *run = t->run;

    t->percent = 100;
    show_task(t);
    t->running = false;
    t->result.ms = clock_mono_ms() - t->started_ms;
    run->running--;
    convert_view_result(&run->view, t->item, &t->result);
    run_next(run);
}

static void end_loop(struct remote_run *run)
{
    uv_close((uv_handle_t *)&run->timer, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(run->signals); i++)
        uv_close((uv_handle_t *)&run->signals[i], NULL);
}

static void run_next(struct remote_run *run)
{
    while (!run->interrupted && run->running < run->slots && run->next < run->plan->n_items) {
        struct remote_task *t = &run->tasks[run->next];

        t->run = run;
        t->item = &run->plan->items[run->next++];
        t->work.data = t;
        t->started_ms = clock_mono_ms();
        t->running = true;
        run->running++;
        uv_queue_work(&run->loop, &t->work, run_task, on_task_over);
    }
    if (run->running == 0)
        end_loop(run);
}

/* The first one breaks off what is under way, and has it removed from the server; the second does not wait.
 */
static void on_signal(uv_signal_t *handle, int number)
{
    struct remote_run *run = handle->data;

    if (run->interrupted)
        _exit(128 + number);
    run->interrupted = number;
}

static void set_up(struct remote_run *run)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    mode_t mask = umask(0);
    char threads[8];

    umask(mask);
    run->file_mode = 0666 & ~mask;
    run->slots = run->plan->settings.jobs ? run->plan->settings.jobs : run->remote.anonymous ? 1 : SLOTS;
    if (run->slots > SLOTS_MAX)
        run->slots = SLOTS_MAX;
    snprintf(threads, sizeof threads, "%zu", run->slots);
    setenv("UV_THREADPOOL_SIZE", threads, 1); // NOLINT(concurrency-mt-unsafe): there is no thread yet
    uv_loop_init(&run->loop);
    uv_timer_init(&run->loop, &run->timer);
    run->timer.data = run;
    uv_timer_start(&run->timer, on_show, 0, SHOW_MS);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uv_signal_init(&run->loop, &run->signals[i]);
        run->signals[i].data = run;
        uv_signal_start(&run->signals[i], on_signal, numbers[i]);
    }
}

static int exit_status(const struct remote_run *run)
{
    if (run->interrupted)
        return 128 + run->interrupted;
    for (size_t i = 0; i < run->next; i++)
        if (run->tasks[i].result.exit_status)
            return run->tasks[i].result.exit_status;
    return EXIT_SUCCESS;
}

static int convert_all(struct remote_run *run)
{
    int status;

    run->tasks = calloc(run->plan->n_items, sizeof *run->tasks);
    if (!run->tasks) {
        fprintf(stderr, "decant convert: out of memory\n");
        return EXIT_FAILURE;
    }
    set_up(run);
    convert_view_init(&run->view, run->plan);
    run_next(run);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
    convert_view_end(&run->view);
    status = exit_status(run);
    for (size_t i = 0; i < run->next; i++) {
        free(run->tasks[i].result.output);
        free(run->tasks[i].ids);
    }
    free(run->tasks);
    return status;
}

int remote_convert(struct convert_plan *plan)
{
    const struct remote_options options = {.server = plan->server,
                                           .ca_file = plan->ca_file,
                                           .insecure_http = plan->insecure_http,
                                           .may_be_anonymous = !plan->keep && plan->items[0].n_inputs == 0};
    struct remote_run run = {.plan = plan};
    struct remote_fault fault;
    int status;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = remote_open(&run.remote, &options, &run.interrupted, &fault) < 0
                 ? remote_complain("decant convert", &fault)
                 : convert_all(&run);
    remote_close(&run.remote);
    return status;
}
