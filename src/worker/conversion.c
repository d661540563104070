#include "worker/conversion_parts.h"

#include "core/clock.h"
#include "core/str.h"
#include "engine/engine.h"
#include "files/storage.h"
#include "worker/deadline.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

enum { RETRY_FIRST_MS = 250, RETRY_LAST_MS = 5000 };

int conversion_shared_init(struct conversion_shared *s, uv_loop_t *loop, const struct settings *settings,
                           struct engine_pool *engines)
{
    *s = (struct conversion_shared){.loop = loop, .settings = settings, .engines = engines};
    int r = sniffer_new(&s->sniffer);

    if (r < 0)
        return r;
    r = scanner_new(loop, settings, &s->scanner);
    if (r < 0)
        sniffer_free(s->sniffer);
    return r;
}

void conversion_shared_done(struct conversion_shared *s)
{
    scanner_free(s->scanner);
    sniffer_free(s->sniffer);
}

int conversion_sniff(struct conversion_shared *s, int fd, const struct format *format)
{
    char mime[SNIFF_MIME_MAX];

    return sniff_check(s->sniffer, fd, format, mime);
}

static void conversion_free(struct conversion *c)
{
    conversion_close(&c->upload_fd);
    conversion_close(&c->result_fd);
    free(c->input);
    free(c->step_input);
    each_free(c->each);
    cleanup_secret(&c->options);
    free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct conversion *c = handle->data;

    if (!c->reported)
        c->events.done(c->arg, &c->report);
    if (c->events.gone)
        c->events.gone(c->arg);
    conversion_free(c);
}

static void leave_work(uv_work_t *work)
{
    conversion_remove_work(work->data);
}

static void on_left(uv_work_t *work, int status)
{
    struct conversion *c = work->data;

    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

/* When the result is out and the process is gone. */
static void leave(struct conversion *c)
{
    if (!c->reported || c->run)
        return;
    c->state = LEAVING;
    uv_queue_work(c->shared->loop, &c->work, leave_work, on_left);
}

static void scan_result(struct conversion *c);

static void on_finished(uv_work_t *work, int status)
{
    struct conversion *c = work->data;

    if (c->result_fd >= 0) {
        scan_result(c);
        return;
    }
    if (!c->early) {
        uv_close((uv_handle_t *)&c->timer, on_timer_closed);
        return;
    }
    c->reported = true;
    c->events.done(c->arg, &c->report);
    leave(c);
}

static void finish(struct conversion *c, enum outcome outcome)
{
    assert(c->state != FINISHING);
    c->state = FINISHING;
    c->report.outcome = outcome;
    c->report.detail = c->detail;
    c->report.engine_version = c->version;
    c->report.fonts = c->fonts.known ? &c->fonts : NULL;
    uv_timer_stop(&c->timer);
    conversion_close(&c->upload_fd);
    c->early = c->run;
    c->work.data = c;
    uv_queue_work(c->shared->loop, &c->work, conversion_finish_work, on_finished);
}

/* --- converting: the steps of the route, one after the other */

static bool is_last_step(const struct conversion *c)
{
    return c->step + 1 == c->route->n_steps;
}

void conversion_tell_progress(struct conversion *c, unsigned percent)
{
    if (percent > 99)
        percent = 99;
    if (c->cancelled || percent <= c->percent)
        return;
    c->percent = percent;
    c->events.progress(c->arg, percent);
}

static void on_engine_progress(void *arg, unsigned percent)
{
    struct conversion *c = arg;

    conversion_tell_progress(c, ((unsigned)c->step * 100 + percent) / (unsigned)c->route->n_steps);
}

void conversion_add_report(struct conversion *c, const struct conversion_report *report)
{
    struct conversion_report *own = &c->report;

    own->scanned = own->scanned || report->scanned;
    own->cpu_ms += report->cpu_ms;
    own->wall_ms += report->wall_ms;
    own->peak_kib = MAX(own->peak_kib, report->peak_kib);
    own->pss_kib = MAX(own->pss_kib, report->pss_kib);
    own->layers = own->layers ? own->layers & report->layers : report->layers;
    own->transient = report->transient;
    own->forbidden_call = report->forbidden_call;
    if (!report->fonts)
        return;
    c->fonts.known = true;
    for (size_t i = 0; i < report->fonts->n; i++)
        fonts_add(&c->fonts, report->fonts->list[i].font, report->fonts->list[i].used);
}

static void add_version(struct conversion *c, const char *version)
{
    size_t len = strlen(c->version);

    if (version && *version)
        snprintf(c->version + len, sizeof c->version - len, "%s%s", len ? ", " : "", version);
}

/* Of two steps: their sum, the peak of both, and what holds for both. */
static void take_report(struct conversion *c, const struct engine_report *engine)
{
    struct conversion_report *report = &c->report;

    report->pages = engine->pages ? engine->pages : report->pages;
    report->deadline_ms = engine->timeout_ms;
    report->cpu_ms += engine->cpu_ms;
    report->peak_kib = engine->peak_kib > report->peak_kib ? engine->peak_kib : report->peak_kib;
    report->forbidden_call = engine->forbidden_call;
    report->transient = engine->transient;
    report->pss_kib = engine->pss_kib > report->pss_kib ? engine->pss_kib : report->pss_kib;
    report->wall_ms += engine->wall_ms;
    report->layers = report->layers ? report->layers & engine->layers : engine->layers;
    add_version(c, engine->version);
    if (engine->fonts && !c->fonts.known)
        c->fonts = *engine->fonts;
    if (engine->outcome == OUTCOME_OK) {
        report->format = engine->output_format ? format_by_id(engine->output_format) : NULL;
        if (engine->output_name && strlen(engine->output_name) < sizeof c->output_name)
            snprintf(c->output_name, sizeof c->output_name, "%s", engine->output_name);
    }
}

static void on_engine_result(void *arg, const struct engine_report *engine)
{
    struct conversion *c = arg;

    /* What may turn out to be infected must not lie where a process still lives. */
    if (c->cancelled || c->scans_result || !conversion_is_small(c, engine->output_name))
        return;
    take_report(c, engine);
    finish(c, OUTCOME_OK);
}

static void start_step(struct conversion *c);

static void on_step_checked(uv_work_t *work, int status)
{
    struct conversion *c = work->data;

    if (c->cancelled || c->report.outcome != OUTCOME_OK)
        finish(c, c->cancelled ? OUTCOME_CANCELLED : c->report.outcome);
    else
        start_step(c);
}

static bool is_scatter(const struct conversion *c)
{
    return c->route->steps[c->step]->kind == CATALOGUE_SCATTER;
}

/* What was taken apart is theirs now. */
static void start_each(struct conversion *c)
{
    char scattered[CONVERSION_WORK_MAX] = "";

    c->state = EACH;
    if (c->route->steps[c->step]->kind == CATALOGUE_SCATTER) {
        memcpy(scattered, c->work_name, sizeof scattered);
        c->work_name[0] = '\0';
        c->step++;
    }
    each_start(c->each, scattered[0] ? scattered : NULL);
}

void conversion_each_done(struct conversion *c, enum outcome outcome, const char *folder, uint64_t content)
{
    char *input = folder ? strdup(folder) : NULL;

    if (outcome == OUTCOME_OK && !input)
        outcome = OUTCOME_INTERNAL;
    if (outcome != OUTCOME_OK) {
        free(input);
        finish(c, outcome);
        return;
    }
    free(c->step_input);
    c->step_input = input;
    c->content = content;
    start_step(c);
}

static void on_engine_done(void *arg, const struct engine_report *engine)
{
    struct conversion *c = arg;
    struct engine_info info;

    c->run = NULL;
    if (c->state == FINISHING) {
        leave(c);
        return;
    }
    take_report(c, engine);
    if (engine->outcome == OUTCOME_OK && is_scatter(c) && c->each && !c->cancelled) {
        start_each(c);
        return;
    }
    if (engine->outcome == OUTCOME_OK && !is_last_step(c) && !c->cancelled) {
        c->state = CHECKING;
        c->work.data = c;
        uv_queue_work(c->shared->loop, &c->work, is_scatter(c) ? conversion_pick_work : conversion_step_work,
                      on_step_checked);
        return;
    }
    if (engine->outcome == OUTCOME_INTERNAL &&
        engine_pool_info(c->shared->engines, c->route->steps[c->step]->engine, &info) &&
        info.state == ENGINE_DOWN)
        conversion_set_detail(c, info.why);
    finish(c, c->cancelled ? OUTCOME_CANCELLED : engine->outcome);
}

static uint64_t limited_ms(const struct conversion *c, uint64_t ms)
{
    return c->most_ms > 0 ? MIN(ms, c->most_ms) : ms;
}

/* What opens with a password is packed tight below it: neither its size nor its directory tell what it holds.
 * The options are searched as text, which leaves no further copy of the password; one that another option
 * would feign only buys what every file may be given. */
static uint64_t step_deadline_ms(const struct conversion *c, const char *engine)
{
    bool packed = c->step == 0 && strstr(c->options, "\"" ENGINE_PASSWORD "\"");

    return limited_ms(
        c, deadline_ms(c->shared->settings, engine, packed ? DEADLINE_CONTENT_UNKNOWN : c->content));
}

static void start_step(struct conversion *c)
{
    static const enum engine_task tasks[] = {[CATALOGUE_CONVERT] = ENGINE_CONVERT,
                                             [CATALOGUE_SCATTER] = ENGINE_SCATTER,
                                             [CATALOGUE_GATHER] = ENGINE_GATHER};
    const struct catalogue_step *step = c->route->steps[c->step];
    const uint64_t most_ms = limited_ms(c, c->shared->settings->job_timeout_s * 1000);
    const uint64_t page_ms = deadline_page_ms(step->engine);
    _cleanup_secret_ char *options = NULL;
    int r = storage_make_work(c->job_fd, c->work_name);

    if (r < 0) {
        c->work_name[0] = '\0';
        conversion_note_error(c, r);
        finish(c, OUTCOME_INTERNAL);
        return;
    }
    if (catalogue_step_options(c->route, c->step, c->options, &options) < 0) {
        conversion_set_detail(c, "the options can't be read");
        finish(c, OUTCOME_INTERNAL);
        return;
    }
    c->report.deadline_ms = step_deadline_ms(c, step->engine);
    c->report.last_engine = step->engine;

    struct engine_request request = {
        .task = tasks[step->kind],
        .engine = step->engine,
        .from = step->from->id,
        .to = step->to->id,
        .options = options,
        .job_fd = c->job_fd,
        .input = c->step_input,
        .output = c->work_name,
        .timeout_ms = c->report.deadline_ms,
        .timeout_page_ms = page_ms,
        .timeout_most_ms = most_ms,
        /* The child may be given more time later, but no more processor time. */
        .cpu_s = deadline_cpu_s(page_ms ? most_ms : c->report.deadline_ms, (unsigned)get_nprocs()),
        .result = c->events.gone && is_last_step(c) ? on_engine_result : NULL,
    };

    c->state = CONVERTING;
    c->run = engine_pool_run(c->shared->engines, &request, on_engine_progress, on_engine_done, c);
    if (!c->run) {
        conversion_set_detail(c, "out of memory");
        finish(c, OUTCOME_INTERNAL);
    }
}

static void on_kept(uv_work_t *work, int status)
{
    struct conversion *c = work->data;

    finish(c, c->cancelled ? OUTCOME_CANCELLED : c->report.outcome);
}

static void keep(struct conversion *c)
{
    c->state = CHECKING;
    c->work.data = c;
    uv_queue_work(c->shared->loop, &c->work, conversion_keep_work, on_kept);
}

static void start_converting(struct conversion *c)
{
    conversion_close(&c->upload_fd);
    c->state = CONVERTING;
    c->events.stage(c->arg, CONVERSION_CONVERTING);
    if (c->cancelled) /* by that event */
        finish(c, OUTCOME_CANCELLED);
    else if (c->route->n_steps == 0)
        keep(c);
    else if (c->route->steps[0]->kind == CATALOGUE_GATHER)
        start_each(c);
    else
        start_step(c);
}

/* --- scanning: the upload, and the result where it holds what was embedded in the upload */

static void on_retry(uv_timer_t *timer);

/* There is no verdict: ask again as long as the job may wait for one, and with more patience, as it may have
 * been slow only. */
static void scan_again(struct conversion *c, const char *why)
{
    uint64_t now = clock_mono_ms();

    conversion_set_detail(c, why);
    if (now + c->retry_ms >= c->scan_deadline_ms) {
        c->report.transient = true;
        finish(c, OUTCOME_SCANNER_UNAVAILABLE);
        return;
    }
    c->state = WAITING;
    uv_timer_start(&c->timer, on_retry, c->retry_ms, 0);
    c->retry_ms = c->retry_ms * 2 < RETRY_LAST_MS ? c->retry_ms * 2 : RETRY_LAST_MS;
    c->scan_ms *= 2;
}

static void on_clean(struct conversion *c)
{
    conversion_set_detail(c, "");
    if (c->result_fd >= 0) {
        c->scans_result = false;
        finish(c, OUTCOME_OK);
    } else {
        c->report.scanned = true;
        start_converting(c);
    }
}

static void on_verdict(void *arg, enum clamd_verdict verdict, const char *detail)
{
    static const enum outcome refusals[] = {
        [CLAMD_INFECTED] = OUTCOME_INFECTED,
        /* by what another try would meet again */
        [CLAMD_INCOMPLETE] = OUTCOME_SCAN_INCOMPLETE,
        [CLAMD_ENCRYPTED] = OUTCOME_SCAN_ENCRYPTED,
    };
    struct conversion *c = arg;

    c->scan = NULL;
    if (verdict == CLAMD_CLEAN) {
        on_clean(c);
    } else if (verdict == CLAMD_UNAVAILABLE) {
        scan_again(c, detail);
    } else {
        c->report.scanned = c->report.scanned || verdict == CLAMD_INFECTED;
        conversion_set_detail(c, detail);
        finish(c, refusals[verdict]);
    }
}

static void start_scan(struct conversion *c)
{
    uint64_t now = clock_mono_ms(), left = c->scan_deadline_ms > now ? c->scan_deadline_ms - now : 1;

    c->state = SCANNING;
    c->scan = scanner_scan(c->shared->scanner, c->result_fd >= 0 ? c->result_fd : c->upload_fd,
                           c->scan_ms < left ? c->scan_ms : left, on_verdict, c);
    if (!c->scan)
        scan_again(c, "out of memory");
}

static void on_retry(uv_timer_t *timer)
{
    start_scan(timer->data);
}

static void begin_scan(struct conversion *c, uint64_t content)
{
    const struct settings *settings = c->shared->settings;

    c->scan_ms = deadline_scan_ms(settings, content);
    c->scan_deadline_ms = clock_mono_ms() + settings->scan_timeout_s * 1000;
    c->retry_ms = RETRY_FIRST_MS;
    start_scan(c);
}

static void scan_result(struct conversion *c)
{
    if (c->cancelled) {
        c->state = WAITING;
        finish(c, OUTCOME_CANCELLED);
    } else {
        begin_scan(c, deadline_content(c->result_fd, c->report.format));
    }
}

/* The first turn: nothing is reported before conversion_start has returned. */
static void on_start(uv_timer_t *timer)
{
    struct conversion *c = timer->data;
    struct stat st;

    if (c->each && c->route->steps[0]->kind == CATALOGUE_GATHER) { /* each is scanned in its turn */
        start_converting(c);
        return;
    }
    c->upload_fd = conversion_open_regular(c->job_fd, c->input, &st);
    if (c->upload_fd < 0) {
        conversion_set_detail(c, "the upload is missing or no regular file");
        c->upload_fd = -1;
        finish(c, OUTCOME_INTERNAL);
        return;
    }
    c->content = deadline_content(c->upload_fd, c->route->from);
    if (c->scanned_before || str_eq(c->shared->settings->clamd, "off")) {
        start_converting(c);
        return;
    }
    c->scans_result = c->route->copies_embedded;
    c->events.stage(c->arg, CONVERSION_SCANNING);
    if (!c->cancelled)
        begin_scan(c, c->content);
}

struct conversion *conversion_start(struct conversion_shared *shared,
                                    const struct conversion_request *request,
                                    const struct conversion_events *events, void *arg)
{
    struct conversion *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    *c = (struct conversion){
        .shared = shared,
        .events = *events,
        .arg = arg,
        .job_fd = request->job_fd,
        .input = strdup(request->input ? request->input : ""),
        .step_input = strdup(request->input ? request->input : ""),
        .options = strdup(request->options && *request->options ? request->options : "{}"),
        .route = request->route,
        .state = WAITING,
        .scanned_before = request->scanned,
        .most_ms = request->most_ms,
        .started_ms = clock_mono_ms(),
        .upload_fd = -1,
        .result_fd = -1,
        .report = {.detail = "",
                   .failed_name = "",
                   .engine = request->route->engines,
                   .engine_version = "",
                   .last_engine = request->route->n_steps > 0 ? request->route->steps[0]->engine : ""},
    };
    if (!c->input || !c->step_input || !c->options) {
        conversion_free(c);
        return NULL;
    }
    if (catalogue_gathers(c->route) && !(c->each = each_new(c, request))) {
        conversion_free(c);
        return NULL;
    }
    uv_timer_init(shared->loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_start, 0, 0);
    return c;
}

void conversion_cancel(struct conversion *c)
{
    if (c->cancelled)
        return;
    c->cancelled = true;
    switch (c->state) {
    case SCANNING:
        if (c->scan)
            scanner_scan_cancel(TAKE_PTR(c->scan));
        finish(c, OUTCOME_CANCELLED);
        break;
    case WAITING:
        finish(c, OUTCOME_CANCELLED);
        break;
    case CONVERTING:
        if (c->run)
            engine_run_cancel(c->run);
        break;
    case EACH:
        each_cancel(c->each);
        break;
    case CHECKING:
    case FINISHING:
    case LEAVING:
        break;
    }
}
