/* The conversion with a scanner and an engine that the test plays itself, and real files. */
#include "worker/conversion.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"
#include "support/fake_clamd.h"
#include "support/loop.h"
#include "worker/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cmocka.h>

/* --- the scanner: answers `verdicts` one after the other, the last one for ever; ' ' stays silent */

static struct {
    const char *verdicts; /* c, i, l, e, u */
    uint64_t timeout_ms;  /* of the last one */
    char seen[64];        /* what it held */
} scanner;

static struct fake_answer on_scan(int fd, uint64_t timeout_ms)
{
    static const char letters[] = {[CLAMD_CLEAN] = 'c',
                                   [CLAMD_INFECTED] = 'i',
                                   [CLAMD_INCOMPLETE] = 'l',
                                   [CLAMD_ENCRYPTED] = 'e',
                                   [CLAMD_UNAVAILABLE] = 'u'};
    static const bool for_ever = true;
    char letter = *scanner.verdicts;
    struct fake_answer answer = {.verdict = CLAMD_UNAVAILABLE, .held = letter == ' ' ? &for_ever : NULL};
    ssize_t n = pread(fd, scanner.seen, sizeof scanner.seen - 1, 0);

    assert_true(n > 0 && timeout_ms > 0);
    scanner.seen[n] = '\0';
    scanner.timeout_ms = timeout_ms;
    if (scanner.verdicts[1])
        scanner.verdicts++;
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
        if (letters[i] == letter)
            answer.verdict = (enum clamd_verdict)i;
    answer.detail = answer.verdict == CLAMD_INFECTED ? "Test.Signature" : "no answer";
    return answer;
}

static const char pdf[] = "%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n";

static const char svg[] = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n";

static void assert_holds(int job_fd, const char *path, const char *expected)
{
    _cleanup_close_ int fd = path_open(job_fd, path, O_RDONLY | O_NOFOLLOW, 0);
    char held[128] = "";

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, held, sizeof held - 1, 0), strlen(expected));
    assert_string_equal(held, expected);
}

/* --- the engine: does `act` in the output folder, then reports */

struct engine_run {
    uv_timer_t timer;
    engine_progress_fn *progress;
    engine_done_fn *result, *done;
    void *arg;
    const struct engine_report *report;
    bool cancelled;
};

static struct {
    void (*act)(int work_fd);
    struct engine_report report;
    bool silent;  /* until it is cancelled */
    bool lingers; /* after its result, until end_lingering() */
    struct engine_run *lingering;
    int result_fd;
    unsigned runs;
    /* the second step of a route, from pdf */
    void (*second_act)(int work_fd);
    struct engine_report second_report;
    bool second_silent;
    uint64_t timeout_ms, timeout_page_ms, timeout_most_ms; /* of the last one */
} engine;

static void on_run_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_run(uv_timer_t *timer)
{
    struct engine_run *run = timer->data;
    struct engine_report cancelled = {.outcome = OUTCOME_CANCELLED};

    if (!run->cancelled && run != engine.lingering) {
        run->progress(run->arg, 40);
        run->progress(run->arg, 30);
        run->progress(run->arg, 100);
        if (engine.lingers) {
            engine.lingering = run;
            if (run->result)
                run->result(run->arg, run->report);
            return;
        }
    }
    engine.lingering = NULL;
    uv_close((uv_handle_t *)timer, on_run_closed);
    run->done(run->arg, run->cancelled ? &cancelled : run->report);
}

struct engine_run *engine_pool_run(struct engine_pool *p, const struct engine_request *request,
                                   engine_progress_fn *progress, engine_done_fn *done, void *arg)
{
    uv_loop_t *loop = (uv_loop_t *)p;
    struct engine_run *run = calloc(1, sizeof *run);
    _cleanup_close_ int work = path_open(request->job_fd, request->output, O_RDONLY | O_DIRECTORY, 0);
    bool second = str_eq(request->from, "pdf");
    void (*act)(int work_fd) = second ? engine.second_act : engine.act;

    assert_true(work >= 0);
    if (second)
        assert_holds(request->job_fd, request->input, pdf);
    else
        assert_string_equal(request->input, "uploads/input.txt");
    assert_string_equal(request->to, second ? "svg" : "pdf");
    engine.runs++;
    engine.timeout_ms = engine.report.timeout_ms = request->timeout_ms;
    engine.timeout_page_ms = request->timeout_page_ms;
    engine.timeout_most_ms = request->timeout_most_ms;
    assert_true(request->cpu_s * 1000 >= request->timeout_ms);
    *run = (struct engine_run){.progress = progress,
                               .result = request->result,
                               .done = done,
                               .arg = arg,
                               .report = second ? &engine.second_report : &engine.report};
    if (act)
        act(work);
    uv_timer_init(loop, &run->timer);
    run->timer.data = run;
    if (second ? !engine.second_silent : !engine.silent)
        uv_timer_start(&run->timer, on_run, 1, 0);
    return run;
}

void engine_run_cancel(struct engine_run *run)
{
    run->cancelled = true;
    uv_timer_start(&run->timer, on_run, 1, 0);
}

static void end_lingering(void)
{
    assert_non_null(engine.lingering);
    uv_timer_start(&engine.lingering->timer, on_run, 0, 0);
}

bool engine_pool_info(const struct engine_pool *p, const char *name, struct engine_info *ret)
{
    *ret = (struct engine_info){.name = name, .state = ENGINE_DOWN, .why = "not installed"};
    return true;
}

/* --- the disk: has so much room, and is another machine's that answers when it is sent something */

static struct {
    unsigned room;
    int sent; /* what it says of the result; of a copy, 0 */
    unsigned sends;
    bool silent; /* tells nothing of its room */
} disk;

int __wrap_path_send(int fd);
int __wrap_fstatvfs64(int fd, struct statvfs *ret);

int __wrap_path_send(int fd)
{
    return disk.sends++ == 0 ? disk.sent : 0;
}

int __wrap_fstatvfs64(int fd, struct statvfs *ret)
{
    *ret = (struct statvfs){.f_frsize = 1, .f_blocks = disk.silent ? 0 : 1 << 30, .f_bavail = disk.room};
    return 0;
}

/* --- the fixture */

struct fixture {
    uv_loop_t loop;
    struct settings settings;
    struct conversion_shared shared;
    struct catalogue_step steps[CATALOGUE_STEPS_MAX];
    struct catalogue_route route;
    char dir[64];
    int job_fd;
    struct conversion *conversion;

    enum conversion_stage stages[8];
    size_t n_stages;
    unsigned percents[16];
    size_t n_percents;
    bool cancel_at_stage;
    int publish_error;
    bool early, gone, scanned_before;
    uint64_t most_ms;
    char published_from[64];
    char published[64]; /* what the result held when it was handed over */
    bool done;
    enum outcome outcome;
    bool transient;
    char detail[64];
    bool scanned;
    const char *options;
    uint64_t deadline_ms;
    const struct format *made; /* what the result has to be */
    uint64_t engine_cpu_ms, peak_kib;
    unsigned layers;
    char version[64];
    struct font_list fonts;
};

static void write_at(int dir, const char *name, const char *text)
{
    _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void write_pdf(int work)
{
    write_at(work, "result.pdf", pdf);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    _cleanup_close_ int uploads = -1;

    fake_clamd = (struct fake_clamd){.scan = on_scan}; /* nobody asks for its version here */
    scanner = (typeof(scanner)){.verdicts = "c"};
    disk = (typeof(disk)){.room = 1 << 30};
    engine = (typeof(engine)){.act = write_pdf,
                              .report = {.outcome = OUTCOME_OK,
                                         .output_name = "result.pdf",
                                         .output_format = "pdf",
                                         .pages = 3,
                                         .version = "Test 1"}};
    uv_loop_init(&f->loop);
    strcpy(f->dir, "/tmp/test-conversion-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->job_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->job_fd >= 0);
    uploads = path_make_dir(f->job_fd, "uploads", 0700);
    write_at(uploads, "input.txt", "hello");
    f->settings = (struct settings){.clamd = "unix:/nowhere",
                                    .scan_encrypted = "allow",
                                    .scan_timeout_s = 60,
                                    .job_timeout_s = 10,
                                    .job_output_bytes = 1 << 20};
    f->steps[0] = (struct catalogue_step){
        .engine = "test", .from = format_by_id("txt"), .to = format_by_id("pdf"), .cost = 1};
    f->route = (struct catalogue_route){.engines = "test",
                                        .from = format_by_id("txt"),
                                        .to = format_by_id("pdf"),
                                        .n_steps = 1,
                                        .steps = {&f->steps[0]},
                                        .cost = 1};
    assert_int_equal(
        conversion_shared_init(&f->shared, &f->loop, &f->settings, (struct engine_pool *)&f->loop), 0);
    f->options = "";
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    conversion_shared_done(&f->shared);
    loop_close(&f->loop);
    path_remove_tree(parent, strrchr(f->dir, '/') + 1);
    close(parent);
    close(f->job_fd);
    free(f);
    return 0;
}

static void on_stage(void *arg, enum conversion_stage stage)
{
    struct fixture *f = arg;

    f->stages[f->n_stages++] = stage;
    if (f->cancel_at_stage)
        conversion_cancel(f->conversion);
}

static void on_progress(void *arg, unsigned percent)
{
    struct fixture *f = arg;

    f->percents[f->n_percents++] = percent;
}

static int on_publish(void *arg, const struct conversion_output *output)
{
    struct fixture *f = arg;
    ssize_t n = pread(output->fd, f->published, sizeof f->published - 1, 0);

    assert_true(n > 0);
    assert_int_equal(output->size, n);
    snprintf(f->published_from, sizeof f->published_from, "%s", output->work);
    return f->publish_error;
}

static void on_done(void *arg, const struct conversion_report *report)
{
    struct fixture *f = arg;

    assert_false(f->done);
    f->done = true;
    f->outcome = report->outcome;
    f->transient = report->transient;
    f->scanned = report->scanned;
    f->deadline_ms = report->deadline_ms;
    snprintf(f->detail, sizeof f->detail, "%s", report->detail);
    f->engine_cpu_ms = report->cpu_ms;
    f->peak_kib = report->peak_kib;
    f->layers = report->layers;
    snprintf(f->version, sizeof f->version, "%s", report->engine_version);
    f->fonts = report->fonts ? *report->fonts : (struct font_list){0};
    if (report->outcome == OUTCOME_OK) {
        assert_ptr_equal(report->format, f->made);
        assert_int_equal(report->pages, 3);
        assert_int_equal(strncmp(report->engine_version, "Test 1", 6), 0);
    } else {
        assert_null(report->format);
    }
}

static void on_gone(void *arg)
{
    struct fixture *f = arg;

    assert_true(f->done);
    assert_false(f->gone);
    f->gone = true;
}

static void start(struct fixture *f)
{
    static const struct conversion_events events = {on_stage, on_progress, on_publish, on_done, NULL};
    static const struct conversion_events early = {on_stage, on_progress, on_publish, on_done, on_gone};
    struct conversion_request request = {.job_fd = f->job_fd,
                                         .input = "uploads/input.txt",
                                         .route = &f->route,
                                         .options = f->options,
                                         .scanned = f->scanned_before,
                                         .most_ms = f->most_ms};

    f->made = format_by_id(f->route.n_steps == 2 ? engine.second_report.output_format
                                                 : engine.report.output_format);
    f->conversion = conversion_start(&f->shared, &request, f->early ? &early : &events, f);
    assert_non_null(f->conversion);
    assert_false(f->done);
}

static unsigned entries(struct fixture *f, const char *path)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int fd = path_open(f->job_fd, path, O_RDONLY | O_DIRECTORY, 0);
    unsigned n = 0;

    if (fd < 0)
        return 0;
    dir = fdopendir(fd);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

/* Runs it to its end, after which nothing but the upload may be in the job's folder. */
static enum outcome finish(struct fixture *f)
{
    assert_true(loop_until(&f->loop, &f->done, 10000));
    assert_int_equal(entries(f, "."), f->outcome == OUTCOME_INFECTED ? 0 : 1);
    assert_int_equal(entries(f, "uploads"), f->outcome == OUTCOME_INFECTED ? 0 : 1);
    return f->outcome;
}

static enum outcome run(struct fixture *f)
{
    start(f);
    return finish(f);
}

/* --- the tests */

static void converts_what_is_clean(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f), OUTCOME_OK);
    assert_true(f->scanned);
    assert_true(str_starts(f->published, "%PDF-1.4"));
    assert_int_equal(f->n_stages, 2);
    assert_int_equal(f->stages[0], CONVERSION_SCANNING);
    assert_int_equal(f->stages[1], CONVERSION_CONVERTING);
    /* It rises, and the engine's 100 is not the job's. */
    assert_int_equal(f->n_percents, 2);
    assert_int_equal(f->percents[0], 40);
    assert_int_equal(f->percents[1], 99);
}

/* What the engine is given is what is reported, with a scan before it and without. */
static void the_deadline_fits_the_file(void **state)
{
    static const struct {
        const char *engine, *clamd, *options;
        uint64_t expected_ms;
    } cases[] = {
        {"office", "unix:/nowhere", "", 30000},
        {"office", "off", "", 30000},
        {"office", "off", "{\"quality\":9}", 30000},
        {"office", "off", "{\"password\":\"x\"}", 90000}, /* what it holds can't be told */
        {"test", "off", "", 90000},                       /* nor how fast that one is */
    };
    struct fixture *f = *state;

    f->settings.job_timeout_min_s = 30;
    f->settings.job_timeout_s = 90;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        f->steps[0].engine = cases[i].engine;
        f->settings.clamd = cases[i].clamd;
        f->options = cases[i].options;
        f->done = false;
        f->n_stages = f->n_percents = 0;
        assert_int_equal(run(f), OUTCOME_OK);
        assert_int_equal(engine.timeout_ms, cases[i].expected_ms);
        assert_int_equal(f->deadline_ms, cases[i].expected_ms);
        assert_int_equal(engine.timeout_page_ms, deadline_page_ms(cases[i].engine));
        assert_int_equal(engine.timeout_most_ms, 90000);
    }
}

static void says_when_nothing_was_scanned(void **state)
{
    struct fixture *f = *state;

    f->settings.clamd = "off";
    assert_int_equal(run(f), OUTCOME_OK);
    assert_false(f->scanned);
    assert_int_equal(fake_clamd.scans, 0);
}

/* Not even where the result would be scanned. */
static void what_was_scanned_before_is_not_scanned_again(void **state)
{
    struct fixture *f = *state;

    f->scanned_before = f->route.copies_embedded = true;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(fake_clamd.scans, 0);
}

static void whoever_asks_may_want_it_sooner(void **state)
{
    struct fixture *f = *state;

    f->settings.job_timeout_min_s = 30;
    f->settings.job_timeout_s = 90;
    f->most_ms = 20000;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(engine.timeout_ms, 20000);
    assert_int_equal(engine.timeout_most_ms, 20000);
}

static void infected_bytes_are_gone_and_never_converted(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = "i";
    assert_int_equal(run(f), OUTCOME_INFECTED);
    assert_string_equal(f->detail, "Test.Signature");
    assert_int_equal(engine.runs, 0);
    assert_int_equal(f->deadline_ms, 0);
}

/* Nobody knows what it holds: it is not converted, but it is nobody's malware either. */
static void what_was_not_looked_through_is_no_pass(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = "lc";
    assert_int_equal(run(f), OUTCOME_SCAN_INCOMPLETE);
    assert_int_equal(fake_clamd.scans, 1);
    assert_int_equal(engine.runs, 0);
    assert_false(f->scanned);
}

static void asks_the_scanner_again(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = "uuc";
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(fake_clamd.scans, 3);
    assert_int_equal(engine.runs, 1);
    assert_string_equal(f->detail, "");
}

static void no_verdict_is_no_pass(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = "u";
    f->settings.scan_timeout_s = 1;
    assert_int_equal(run(f), OUTCOME_SCANNER_UNAVAILABLE);
    assert_true(fake_clamd.scans >= 2);
    assert_int_equal(engine.runs, 0);
    assert_string_equal(f->detail, "no answer");
}

static void what_is_encrypted_is_refused_where_clamd_tells(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = "ec";
    assert_int_equal(run(f), OUTCOME_SCAN_ENCRYPTED);
    assert_int_equal(fake_clamd.scans, 1);
    assert_int_equal(engine.runs, 0);
    assert_false(f->scanned);
}

/* Each try has what the file is worth, the next one more, all of them no more than the whole. */
static void a_try_is_given_what_its_file_is_worth(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(scanner.timeout_ms, 10000);
    scanner.verdicts = "uc";
    f->done = false;
    f->n_stages = f->n_percents = 0;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(scanner.timeout_ms, 20000);
    f->settings.scan_timeout_s = 5;
    scanner.verdicts = "c";
    f->done = false;
    f->n_stages = f->n_percents = 0;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_in_range(scanner.timeout_ms, 1, 5000);
}

/* --- results that hold what was embedded */

static void a_result_with_embedded_files_is_scanned(void **state)
{
    struct fixture *f = *state;

    f->route.copies_embedded = true;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(fake_clamd.scans, 2);
    assert_true(str_starts(scanner.seen, "%PDF-1.4"));
    assert_true(str_starts(f->published, "%PDF-1.4"));
    assert_int_equal(f->n_stages, 2);
}

/* Clean when it came, infected when it was unpacked: neither of them stays. */
static void an_infected_result_is_never_handed_over(void **state)
{
    struct fixture *f = *state;

    f->route.copies_embedded = true;
    scanner.verdicts = "ci";
    assert_int_equal(run(f), OUTCOME_INFECTED);
    assert_string_equal(f->detail, "Test.Signature");
    assert_string_equal(f->published, "");
    assert_int_equal(engine.runs, 1);
}

static void a_result_without_verdict_is_never_handed_over(void **state)
{
    static const struct {
        const char *verdicts;
        enum outcome outcome;
    } cases[] = {
        {"cu", OUTCOME_SCANNER_UNAVAILABLE}, {"cl", OUTCOME_SCAN_INCOMPLETE}, {"ce", OUTCOME_SCAN_ENCRYPTED}};
    struct fixture *f = *state;

    f->route.copies_embedded = true;
    f->settings.scan_timeout_s = 1;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        scanner.verdicts = cases[i].verdicts;
        f->done = false;
        f->n_stages = f->n_percents = 0;
        assert_int_equal(run(f), cases[i].outcome);
        assert_string_equal(f->published, "");
    }
}

static void a_result_waits_for_the_scanner(void **state)
{
    struct fixture *f = *state;

    f->route.copies_embedded = true;
    scanner.verdicts = "cuuc";
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(fake_clamd.scans, 4);
    assert_int_equal(engine.runs, 1);
}

/* Nothing infected lies where its process could still reach it. */
static void a_result_to_be_scanned_waits_for_its_process(void **state)
{
    struct fixture *f = *state;

    f->early = engine.lingers = true;
    f->route.copies_embedded = true;
    scanner.verdicts = "ci";
    start(f);
    while (!engine.lingering)
        loop_for(&f->loop, 1);
    loop_for(&f->loop, 20);
    assert_false(f->done);
    assert_int_equal(fake_clamd.scans, 1);
    end_lingering();
    assert_int_equal(finish(f), OUTCOME_INFECTED);
}

static void cancels_the_scan_of_a_result(void **state)
{
    struct fixture *f = *state;

    f->route.copies_embedded = true;
    scanner.verdicts = "c ";
    start(f);
    while (fake_clamd.scans < 2)
        loop_for(&f->loop, 1);
    conversion_cancel(f->conversion);
    assert_int_equal(finish(f), OUTCOME_CANCELLED);
    assert_int_equal(fake_clamd.cancelled, 1);
    assert_string_equal(f->published, "");
}

static void the_engines_failure_is_the_outcome(void **state)
{
    struct fixture *f = *state;

    engine.report.outcome = OUTCOME_PASSWORD_REQUIRED;
    assert_int_equal(run(f), OUTCOME_PASSWORD_REQUIRED);
    assert_string_equal(f->published, "");
}

static void says_why_there_is_no_engine(void **state)
{
    struct fixture *f = *state;

    engine.report.outcome = OUTCOME_INTERNAL;
    assert_int_equal(run(f), OUTCOME_INTERNAL);
    assert_string_equal(f->detail, "not installed");
}

static void make_link(int work)
{
    assert_int_equal(symlinkat("/etc/passwd", work, "result.pdf"), 0);
}

static void make_hard_link(int work)
{
    write_pdf(work);
    assert_int_equal(linkat(work, "result.pdf", work, "second.pdf", 0), 0);
}

static void make_fifo(int work)
{
    assert_int_equal(mkfifoat(work, "result.pdf", 0600), 0);
}

static void make_folder(int work)
{
    assert_int_equal(mkdirat(work, "result.pdf", 0700), 0);
}

static void make_empty(int work)
{
    write_at(work, "result.pdf", "");
}

static void make_other_type(int work)
{
    write_at(work, "result.pdf", "this is no PDF at all\n");
}

static void refuses_results_that_are_none(void **state)
{
    struct fixture *f = *state;
    void (*const acts[])(int) = {NULL,        make_link,  make_hard_link, make_fifo,
                                 make_folder, make_empty, make_other_type};

    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        engine.act = acts[i];
        f->done = false;
        assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
        assert_string_equal(f->published, "");
        f->n_stages = f->n_percents = 0;
    }
}

static void make_text(int work)
{
    write_at(work, "result.txt", "caf\xc3\xa9\n");
}

static void make_binary(int work)
{
    write_at(work, "result.txt", "caf\x01\n");
}

static void texts_are_checked_too(void **state)
{
    struct fixture *f = *state;

    engine.report.output_name = "result.txt";
    engine.report.output_format = "txt";
    engine.act = make_text;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_string_equal(f->published, "caf\xc3\xa9\n");
    f->done = false;
    f->n_stages = f->n_percents = 0;
    f->published[0] = '\0';
    engine.act = make_binary;
    assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
    assert_string_equal(f->published, "");
}

static off_t size_of(struct fixture *f, const char *folder)
{
    char path[sizeof f->published_from + sizeof "/result.pdf"];
    struct stat st;

    snprintf(path, sizeof path, "%s/result.pdf", folder);
    assert_int_equal(fstatat(f->job_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_size;
}

static void write_and_keep_open(int work)
{
    write_at(work, "result.pdf", pdf);
    engine.result_fd = openat(work, "result.pdf", O_WRONLY | O_CLOEXEC);
    assert_true(engine.result_fd >= 0);
}

/* What the process does to its own folder after its result changes nothing of what was handed over. */
static void a_result_is_copied_from_a_process_that_lingers(void **state)
{
    struct fixture *f = *state;

    f->early = engine.lingers = true;
    engine.act = write_and_keep_open;
    start(f);
    assert_true(loop_until(&f->loop, &f->done, 10000));
    assert_int_equal(f->outcome, OUTCOME_OK);
    assert_string_equal(f->published, pdf);
    assert_int_equal(entries(f, "."), 3); /* the upload, what is being made, and the copy */
    assert_int_equal(ftruncate(engine.result_fd, 0), 0);
    assert_true(size_of(f, f->published_from) == (off_t)strlen(pdf));
    loop_for(&f->loop, 20);
    assert_false(f->gone);
    end_lingering();
    assert_true(loop_until(&f->loop, &f->gone, 10000));
    assert_int_equal(entries(f, "."), 1);
    close(engine.result_fd);
}

static void a_copy_is_judged_as_any_result(void **state)
{
    struct fixture *f = *state;

    f->early = engine.lingers = true;
    engine.act = make_other_type;
    start(f);
    assert_true(loop_until(&f->loop, &f->done, 10000));
    assert_int_equal(f->outcome, OUTCOME_NO_OUTPUT);
    end_lingering();
    assert_true(loop_until(&f->loop, &f->gone, 10000));
    assert_int_equal(entries(f, "."), 1);
}

static void make_large(int work)
{
    _cleanup_close_ int fd = -1;

    write_at(work, "result.pdf", pdf);
    fd = openat(work, "result.pdf", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 5 << 20), 0);
}

static void a_large_result_waits_for_its_process(void **state)
{
    struct fixture *f = *state;

    f->early = engine.lingers = true;
    f->settings.job_output_bytes = 1 << 20;
    engine.act = make_large;
    start(f);
    while (!engine.lingering)
        loop_for(&f->loop, 1);
    loop_for(&f->loop, 20);
    assert_false(f->done);
    end_lingering();
    assert_true(loop_until(&f->loop, &f->gone, 10000));
    assert_int_equal(f->outcome, OUTCOME_TOO_COMPLEX);
    assert_int_equal(entries(f, "."), 1);
}

static void who_asks_for_no_copy_gets_none(void **state)
{
    struct fixture *f = *state;

    engine.lingers = true;
    start(f);
    while (!engine.lingering)
        loop_for(&f->loop, 1);
    loop_for(&f->loop, 20);
    assert_false(f->done);
    end_lingering();
    assert_int_equal(finish(f), OUTCOME_OK);
}

static void refuses_names_that_lead_elsewhere(void **state)
{
    struct fixture *f = *state;
    const char *const names[] = {"", "../uploads/input.txt", "..", ".hidden", NULL};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        engine.report.output_name = names[i];
        f->done = false;
        assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
        f->n_stages = f->n_percents = 0;
    }
}

static void refuses_results_that_are_too_large(void **state)
{
    struct fixture *f = *state;

    f->settings.job_output_bytes = strlen(pdf) - 1;
    assert_int_equal(run(f), OUTCOME_TOO_COMPLEX);
    assert_string_equal(f->published, "");
}

static void a_failed_publication_is_internal(void **state)
{
    struct fixture *f = *state;

    f->publish_error = -ENOSPC;
    assert_int_equal(run(f), OUTCOME_INTERNAL);
    assert_string_equal(f->detail, strerror(ENOSPC));
}

static void a_missing_upload_is_internal(void **state)
{
    struct fixture *f = *state;
    int uploads = path_open(f->job_fd, "uploads", O_RDONLY | O_DIRECTORY, 0);

    assert_int_equal(unlinkat(uploads, "input.txt", 0), 0);
    start(f);
    assert_true(loop_until(&f->loop, &f->done, 10000));
    assert_int_equal(f->outcome, OUTCOME_INTERNAL);
    assert_int_equal(engine.runs + fake_clamd.scans, 0);
    close(uploads);
}

static void reset(struct fixture *f)
{
    f->done = f->gone = f->early = engine.lingers = false;
    f->n_stages = f->n_percents = 0;
    f->published[0] = '\0';
    disk.sends = 0;
}

/* As when NFS has told of it at the close, which libraries overlook. */
static void a_result_that_could_not_be_sent_is_not_handed_over(void **state)
{
    static const struct {
        int error;
        bool transient;
    } cases[] = {{-ENOSPC, true}, {-EDQUOT, true}, {-EIO, false}};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int early = 0; early < 2; early++) {
            reset(f);
            f->shared.full_ms = 0;
            f->early = engine.lingers = early;
            disk.sent = cases[i].error;
            start(f);
            assert_true(loop_until(&f->loop, &f->done, 10000));
            assert_int_equal(f->outcome, OUTCOME_INTERNAL);
            assert_int_equal(f->transient, cases[i].transient);
            assert_string_equal(f->detail, strerror(-cases[i].error));
            assert_string_equal(f->published, "");
            if (early)
                end_lingering();
            assert_true(!early || loop_until(&f->loop, &f->gone, 10000));
            assert_int_equal(entries(f, "."), 1);
        }
}

static void a_full_disk_is_no_fault_of_the_file(void **state)
{
    static const enum outcome others[] = {OUTCOME_PASSWORD_REQUIRED},
                              faults[] = {OUTCOME_CORRUPT_INPUT,  OUTCOME_TOO_COMPLEX, OUTCOME_TIMED_OUT,
                                          OUTCOME_ENGINE_CRASHED, OUTCOME_NO_OUTPUT,   OUTCOME_INTERNAL};
    struct fixture *f = *state;

    disk.room = 1000;
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        reset(f);
        engine.report.outcome = faults[i];
        assert_int_equal(run(f), OUTCOME_INTERNAL);
        assert_true(f->transient);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        reset(f);
        engine.report.outcome = others[i];
        assert_int_equal(run(f), others[i]);
        assert_false(f->transient);
    }
    reset(f);
    engine.report.outcome = OUTCOME_ENGINE_CRASHED;
    engine.report.forbidden_call = true;
    assert_int_equal(run(f), OUTCOME_ENGINE_CRASHED);
    assert_false(f->transient);
}

/* But one that was seen full while this ran is: what filled it may have gone first. */
static void a_disk_that_was_full_before_is_no_excuse(void **state)
{
    struct fixture *f = *state;

    engine.report.outcome = OUTCOME_TOO_COMPLEX;
    f->shared.full_ms = clock_mono_ms() - 1;
    assert_int_equal(run(f), OUTCOME_TOO_COMPLEX);
    reset(f);
    disk.room = 0;
    disk.silent = true;
    assert_int_equal(run(f), OUTCOME_TOO_COMPLEX);
    reset(f);
    start(f);
    f->shared.full_ms = clock_mono_ms() + 1;
    assert_int_equal(finish(f), OUTCOME_INTERNAL);
    assert_true(f->transient);
}

static void cancels_before_the_first_turn(void **state)
{
    struct fixture *f = *state;

    start(f);
    conversion_cancel(f->conversion);
    assert_false(f->done);
    assert_int_equal(finish(f), OUTCOME_CANCELLED);
    assert_int_equal(fake_clamd.scans, 0);
}

static void cancels_a_scan(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = " ";
    start(f);
    for (int i = 0; i < 1000 && fake_clamd.scans == 0; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(fake_clamd.scans, 1);
    conversion_cancel(f->conversion);
    conversion_cancel(f->conversion);
    assert_int_equal(finish(f), OUTCOME_CANCELLED);
    assert_int_equal(fake_clamd.cancelled, 1);
}

static void cancels_the_wait_for_the_scanner(void **state)
{
    struct fixture *f = *state;

    scanner.verdicts = "u";
    start(f);
    loop_for(&f->loop, 50);
    conversion_cancel(f->conversion);
    assert_int_equal(finish(f), OUTCOME_CANCELLED);
    assert_int_equal(engine.runs, 0);
}

static void cancels_the_engine(void **state)
{
    struct fixture *f = *state;

    engine.silent = true;
    start(f);
    for (int i = 0; i < 1000 && engine.runs == 0; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(engine.runs, 1);
    conversion_cancel(f->conversion);
    assert_int_equal(finish(f), OUTCOME_CANCELLED);
    assert_string_equal(f->published, "");
}

static void cancels_from_within_an_event(void **state)
{
    struct fixture *f = *state;

    f->cancel_at_stage = true;
    assert_int_equal(run(f), OUTCOME_CANCELLED);
    assert_int_equal(fake_clamd.scans, 0);

    f->done = false;
    f->settings.clamd = "off"; /* so that the first stage is converting */
    assert_int_equal(run(f), OUTCOME_CANCELLED);
    assert_int_equal(engine.runs, 0);
}

/* --- over two engines */

static void write_svg(int work)
{
    write_at(work, "result.svg", svg);
}

static const struct font_list laid_out = {
    .known = true, .n = 1, .list = {{.font = "Calibri", .used = "Carlito"}}};

static struct fixture *over_two(void **state)
{
    struct fixture *f = *state;

    f->steps[1] = (struct catalogue_step){
        .engine = "second", .from = format_by_id("pdf"), .to = format_by_id("svg"), .cost = 1};
    f->route.steps[1] = &f->steps[1];
    f->route.n_steps = 2;
    f->route.to = f->steps[1].to;
    engine.report.cpu_ms = 40;
    engine.report.peak_kib = 2000;
    engine.report.layers = 7;
    engine.report.fonts = &laid_out;
    engine.second_act = write_svg;
    engine.second_report = (struct engine_report){.outcome = OUTCOME_OK,
                                                  .output_name = "result.svg",
                                                  .output_format = "svg",
                                                  .version = "Second 2",
                                                  .cpu_ms = 2,
                                                  .peak_kib = 1000,
                                                  .layers = 5};
    return f;
}

static void what_the_first_made_goes_to_the_second(void **state)
{
    struct fixture *f = over_two(state);

    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(engine.runs, 2);
    assert_string_equal(f->published, svg);
    assert_string_equal(f->version, "Test 1, Second 2");
    assert_int_equal(f->engine_cpu_ms, 42);
    assert_int_equal(f->peak_kib, 2000);
    assert_int_equal(f->layers, 5);
    assert_int_equal(fake_clamd.scans, 1);
    /* 40 %, 30 % and 100 % of each half; and stages are told once */
    assert_int_equal(f->n_percents, 4);
    assert_int_equal(f->percents[0], 20);
    assert_int_equal(f->percents[1], 50);
    assert_int_equal(f->percents[2], 70);
    assert_int_equal(f->percents[3], 99);
    assert_int_equal(f->n_stages, 2);
    assert_true(f->fonts.known);
    assert_int_equal(f->fonts.n, 1);
    assert_string_equal(f->fonts.list[0].used, "Carlito");
}

/* Only what leaves is worth a copy; between the steps there is nobody who waits. */
static void the_last_step_alone_may_linger(void **state)
{
    struct fixture *f = over_two(state);

    f->early = true;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_true(loop_until(&f->loop, &f->gone, 10000));
    assert_string_equal(f->published, svg);
}

static void a_first_step_that_fails_is_the_last(void **state)
{
    struct fixture *f = over_two(state);

    engine.report.outcome = OUTCOME_PASSWORD_REQUIRED;
    assert_int_equal(run(f), OUTCOME_PASSWORD_REQUIRED);
    assert_int_equal(engine.runs, 1);
}

static void the_second_steps_failure_is_the_outcome(void **state)
{
    struct fixture *f = over_two(state);

    engine.second_report.outcome = OUTCOME_TOO_COMPLEX;
    assert_int_equal(run(f), OUTCOME_TOO_COMPLEX);
    assert_string_equal(f->published, "");
}

static void write_no_pdf(int work)
{
    write_at(work, "result.pdf", "GIF89a");
}

static void what_goes_to_the_second_is_judged(void **state)
{
    struct fixture *f = over_two(state);

    engine.act = write_no_pdf;
    assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
    assert_int_equal(engine.runs, 1);

    f->done = false;
    engine.act = write_svg;
    engine.report.output_name = "result.svg";
    engine.report.output_format = "svg"; /* a good one, but none that the second takes */
    assert_int_equal(run(f), OUTCOME_INTERNAL);
    assert_int_equal(engine.runs, 2);

    f->done = false;
    engine.report.output_name = "../uploads/input.txt";
    assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
    assert_int_equal(engine.runs, 3);
}

static void cancels_the_second_step(void **state)
{
    struct fixture *f = over_two(state);
    bool begun = false;

    engine.second_silent = true;
    start(f);
    for (int i = 0; i < 1000 && engine.runs < 2; i++)
        loop_until(&f->loop, &begun, 10);
    assert_int_equal(engine.runs, 2);
    conversion_cancel(f->conversion);
    assert_int_equal(finish(f), OUTCOME_CANCELLED);
    assert_string_equal(f->published, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(converts_what_is_clean),
        TEST(the_deadline_fits_the_file),
        TEST(says_when_nothing_was_scanned),
        TEST(what_was_scanned_before_is_not_scanned_again),
        TEST(whoever_asks_may_want_it_sooner),
        TEST(infected_bytes_are_gone_and_never_converted),
        TEST(what_was_not_looked_through_is_no_pass),
        TEST(asks_the_scanner_again),
        TEST(no_verdict_is_no_pass),
        TEST(what_is_encrypted_is_refused_where_clamd_tells),
        TEST(a_try_is_given_what_its_file_is_worth),
        TEST(a_result_with_embedded_files_is_scanned),
        TEST(an_infected_result_is_never_handed_over),
        TEST(a_result_without_verdict_is_never_handed_over),
        TEST(a_result_waits_for_the_scanner),
        TEST(a_result_to_be_scanned_waits_for_its_process),
        TEST(cancels_the_scan_of_a_result),
        TEST(the_engines_failure_is_the_outcome),
        TEST(says_why_there_is_no_engine),
        TEST(refuses_results_that_are_none),
        TEST(texts_are_checked_too),
        TEST(a_result_is_copied_from_a_process_that_lingers),
        TEST(a_copy_is_judged_as_any_result),
        TEST(a_large_result_waits_for_its_process),
        TEST(who_asks_for_no_copy_gets_none),
        TEST(refuses_names_that_lead_elsewhere),
        TEST(refuses_results_that_are_too_large),
        TEST(a_failed_publication_is_internal),
        TEST(a_missing_upload_is_internal),
        TEST(a_result_that_could_not_be_sent_is_not_handed_over),
        TEST(a_full_disk_is_no_fault_of_the_file),
        TEST(a_disk_that_was_full_before_is_no_excuse),
        TEST(cancels_before_the_first_turn),
        TEST(cancels_a_scan),
        TEST(cancels_the_wait_for_the_scanner),
        TEST(cancels_the_engine),
        TEST(cancels_from_within_an_event),
        TEST(what_the_first_made_goes_to_the_second),
        TEST(the_last_step_alone_may_linger),
        TEST(a_first_step_that_fails_is_the_last),
        TEST(the_second_steps_failure_is_the_outcome),
        TEST(what_goes_to_the_second_is_judged),
        TEST(cancels_the_second_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
