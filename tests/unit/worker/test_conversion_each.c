/* Many files that become one, with an engine and a scanner that the test plays itself, and real files. */
#include "worker/conversion.h"

#include "core/path.h"
#include "core/str.h"
#include "engine/folder.h"
#include "support/fake_clamd.h"
#include "support/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char pdf[] = "%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n";
static const char zip[] = "PK\005\006\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

static void write_at(int dir, const char *name, const void *data, size_t len)
{
    _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
}

/* --- the scanner: finds something in what begins with X */

static unsigned scans;

static struct fake_answer on_scan(int fd, uint64_t timeout_ms)
{
    char c = ' ';

    assert_int_equal(pread(fd, &c, 1, 0), 1);
    scans++;
    return (struct fake_answer){.verdict = c == 'X' ? CLAMD_INFECTED : CLAMD_CLEAN,
                                .detail = "Test.Signature"};
}

/* --- the engine */

struct engine_run {
    uv_timer_t timer;
    engine_done_fn *done;
    void *arg;
    struct engine_report report;
    bool cancelled;
};

static struct {
    void (*scatter)(int work);
    const char *fails; /* the input by whose end it is known; NULL: none does */
    unsigned converted, gathered;
    bool silent;
    char names[512]; /* what was gathered, "0001.pdf=a.pdf " each */
    char problems[512];
} engine;

static void on_run_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_run(uv_timer_t *timer)
{
    struct engine_run *run = timer->data;

    if (run->cancelled)
        run->report.outcome = OUTCOME_CANCELLED;
    uv_close((uv_handle_t *)timer, on_run_closed);
    run->done(run->arg, &run->report);
}

static void look_at_folder(const struct engine_request *request)
{
    _cleanup_close_ int folder = path_open(request->job_fd, request->input, O_RDONLY | O_DIRECTORY, 0);
    _cleanup_json_ json_t *files = NULL;
    const json_t *entry;
    size_t i;

    assert_true(folder >= 0);
    assert_int_equal(folder_read(folder, &files), 0);
    json_array_foreach(files, i, entry)
    {
        const char *file = json_string_value(json_object_get(entry, "file"));
        const char *name = json_string_value(json_object_get(entry, "name"));
        size_t len = strlen(engine.names);
        int fd = openat(folder, file, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        snprintf(engine.names + len, sizeof engine.names - len, "%s=%s ", file, name);
        if (str_eq(name, "not-converted.txt"))
            assert_true(read(fd, engine.problems, sizeof engine.problems - 1) > 0);
        close(fd);
    }
}

static void set_result(struct engine_report *report, const char *name, const char *format)
{
    report->outcome = OUTCOME_OK;
    report->output_name = name;
    report->output_format = format;
}

static void act(const struct engine_request *request, int work, struct engine_report *report)
{
    size_t len = strlen(request->input), fails = engine.fails ? strlen(engine.fails) : 0;

    if (request->task == ENGINE_SCATTER) {
        engine.scatter(work);
        set_result(report, FOLDER_INDEX, "txt");
    } else if (request->task == ENGINE_GATHER) {
        engine.gathered++;
        look_at_folder(request);
        if (str_eq(request->to, "pdf"))
            write_at(work, "result.pdf", pdf, sizeof pdf - 1);
        else
            write_at(work, "result.zip", zip, sizeof zip);
        set_result(report, str_eq(request->to, "pdf") ? "result.pdf" : "result.zip", request->to);
    } else {
        engine.converted++;
        assert_string_equal(request->to, "pdf");
        if (engine.fails && len >= fails && str_eq(request->input + len - fails, engine.fails)) {
            report->outcome = OUTCOME_CORRUPT_INPUT;
            return;
        }
        write_at(work, "result.pdf", pdf, sizeof pdf - 1);
        set_result(report, "result.pdf", "pdf");
    }
}

struct engine_run *engine_pool_run(struct engine_pool *p, const struct engine_request *request,
                                   engine_progress_fn *progress, engine_done_fn *done, void *arg)
{
    struct engine_run *run = calloc(1, sizeof *run);
    _cleanup_close_ int work = path_open(request->job_fd, request->output, O_RDONLY | O_DIRECTORY, 0);

    assert_true(run && work >= 0);
    *run = (struct engine_run){.done = done, .arg = arg, .report = {.version = "Test 1"}};
    act(request, work, &run->report);
    uv_timer_init((uv_loop_t *)p, &run->timer);
    run->timer.data = run;
    if (!engine.silent)
        uv_timer_start(&run->timer, on_run, 1, 0);
    return run;
}

void engine_run_cancel(struct engine_run *run)
{
    run->cancelled = true;
    uv_timer_start(&run->timer, on_run, 1, 0);
}

bool engine_pool_info(const struct engine_pool *p, const char *name, struct engine_info *ret)
{
    return false;
}

/* --- the fixture: a job's folder, and another's */

struct fixture {
    uv_loop_t loop;
    struct settings settings;
    struct conversion_shared shared;
    char dir[64];
    int root_fd, job_fd, other_fd;
    struct catalogue_step scatter, gather;
    struct catalogue_route route;
    struct conversion_input inputs[3];
    size_t n_inputs;
    const char *options;
    struct conversion *conversion;
    bool done, converting;
    enum outcome outcome;
    size_t failed_input;
    char failed_name[CONVERSION_FAILED_NAME_MAX];
    char published[64];
    unsigned percent;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int uploads;

    fake_clamd = (struct fake_clamd){.scan = on_scan};
    engine = (typeof(engine)){0};
    scans = 0;
    uv_loop_init(&f->loop);
    strcpy(f->dir, "/tmp/test-each-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->root_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->job_fd = path_make_dir(f->root_fd, "job", 0700);
    f->other_fd = path_make_dir(f->root_fd, "other", 0700);
    uploads = path_make_dir(f->job_fd, "uploads", 0700);
    write_at(uploads, "a.txt", "hello", 5);
    write_at(uploads, "a.zip", zip, sizeof zip);
    close(uploads);
    uploads = path_make_dir(f->other_fd, "uploads", 0700);
    write_at(uploads, "b.txt", "world", 5);
    write_at(uploads, "x.txt", "Xxx", 3);
    close(uploads);
    f->settings = (struct settings){.clamd = "unix:/nowhere",
                                    .scan_encrypted = "allow",
                                    .scan_timeout_s = 60,
                                    .job_timeout_s = 10,
                                    .job_output_bytes = 1 << 20};
    f->gather = (struct catalogue_step){
        .kind = CATALOGUE_GATHER, .engine = "test", .from = format_by_id("pdf"), .to = format_by_id("pdf")};
    f->scatter = (struct catalogue_step){
        .kind = CATALOGUE_SCATTER, .engine = "test", .from = format_by_id("zip"), .to = format_by_id("zip")};
    f->route = (struct catalogue_route){.engines = "test",
                                        .from = format_by_id("txt"),
                                        .to = format_by_id("pdf"),
                                        .n_steps = 1,
                                        .steps = {&f->gather}};
    f->inputs[0] =
        (struct conversion_input){f->job_fd, "uploads/a.txt", "letters/A.txt", format_by_id("txt")};
    f->inputs[1] = (struct conversion_input){f->other_fd, "uploads/b.txt", "A.txt", format_by_id("txt")};
    f->n_inputs = 2;
    f->options = "{}";
    assert_int_equal(
        conversion_shared_init(&f->shared, &f->loop, &f->settings, (struct engine_pool *)&f->loop), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    conversion_shared_done(&f->shared);
    loop_close(&f->loop);
    path_remove_tree(parent, strrchr(f->dir, '/') + 1);
    close(f->job_fd);
    close(f->other_fd);
    close(f->root_fd);
    free(f);
    return 0;
}

static void on_stage(void *arg, enum conversion_stage stage)
{
    struct fixture *f = arg;

    f->converting = stage == CONVERSION_CONVERTING;
}

static void on_progress(void *arg, unsigned percent)
{
    struct fixture *f = arg;

    assert_true(percent > f->percent && percent < 100);
    f->percent = percent;
}

static int on_publish(void *arg, const struct conversion_output *output)
{
    struct fixture *f = arg;

    assert_true(pread(output->fd, f->published, sizeof f->published - 1, 0) > 0);
    return 0;
}

static void on_done(void *arg, const struct conversion_report *report)
{
    struct fixture *f = arg;

    f->done = true;
    f->outcome = report->outcome;
    f->failed_input = report->failed_input;
    strcpy(f->failed_name, report->failed_name);
}

static void start(struct fixture *f)
{
    static const struct conversion_events events = {on_stage, on_progress, on_publish, on_done, NULL};
    const struct conversion_request request = {.job_fd = f->job_fd,
                                               .input = "uploads/a.zip",
                                               .inputs = f->inputs,
                                               .n_inputs = f->n_inputs,
                                               .route = &f->route,
                                               .options = f->options};

    f->conversion = conversion_start(&f->shared, &request, &events, f);
    assert_non_null(f->conversion);
}

static unsigned entries(int fd, const char *path)
{
    _cleanup_closedir_ DIR *dir = NULL;
    unsigned n = 0;

    assert_int_equal(path_open_dir(fd, path, &dir), 0);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

/* What others uploaded stays as it is, and nothing else is left. */
static enum outcome run(struct fixture *f)
{
    start(f);
    assert_true(loop_until(&f->loop, &f->done, 20000));
    assert_int_equal(entries(f->other_fd, "uploads"), 2);
    assert_int_equal(entries(f->other_fd, "."), 1);
    assert_int_equal(entries(f->job_fd, "."), f->outcome == OUTCOME_INFECTED ? 0 : 1);
    return f->outcome;
}

/* --- the tests */

static void each_is_converted_and_scanned_and_gathered(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(engine.converted, 2);
    assert_int_equal(engine.gathered, 1);
    assert_int_equal(scans, 2);
    assert_string_equal(engine.names, "0001.pdf=letters/A.pdf 0002.pdf=A.pdf ");
    assert_true(str_starts(f->published, "%PDF-1.4"));
    assert_true(f->converting);
}

static void none_of_a_document_may_be_missing(void **state)
{
    struct fixture *f = *state;

    engine.fails = "0002.txt";
    assert_int_equal(run(f), OUTCOME_CORRUPT_INPUT);
    assert_int_equal(f->failed_input, 1);
    assert_string_equal(f->failed_name, "A.txt");
    assert_int_equal(engine.gathered, 0);
}

static void one_that_is_infected_ends_it(void **state)
{
    struct fixture *f = *state;

    f->inputs[1].path = "uploads/x.txt";
    assert_int_equal(run(f), OUTCOME_INFECTED);
    assert_int_equal(f->failed_input, 1);
    assert_int_equal(engine.gathered, 0);
}

/* It is the one that is removed then. */
static void one_that_failed_before_is_not_infected(void **state)
{
    struct fixture *f = *state;

    f->route.to = f->gather.from = f->gather.to = format_by_id("zip");
    f->options = "{\"each\": \"pdf\"}";
    engine.fails = "0001.txt";
    f->inputs[1].path = "uploads/x.txt";
    assert_int_equal(run(f), OUTCOME_INFECTED);
    assert_int_equal(f->failed_input, 1);
    assert_string_equal(f->failed_name, "A.txt");
}

static void one_that_is_gone_ends_it(void **state)
{
    struct fixture *f = *state;

    f->inputs[1].path = "uploads/nowhere.txt";
    assert_int_equal(run(f), OUTCOME_INTERNAL);
}

static void it_is_cancelled_in_the_middle(void **state)
{
    struct fixture *f = *state;

    engine.silent = true;
    start(f);
    while (engine.converted == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    conversion_cancel(f->conversion);
    assert_true(loop_until(&f->loop, &f->done, 20000));
    assert_int_equal(f->outcome, OUTCOME_CANCELLED);
    assert_int_equal(entries(f->job_fd, "."), 1);
}

static void add(json_t *files, int work, const char *file, const char *name, const char *text)
{
    write_at(work, file, text, strlen(text));
    assert_int_equal(folder_add(files, file, name), 0);
}

static void scatter_some(int work)
{
    _cleanup_json_ json_t *files = json_array();

    add(files, work, "0001", "letters/a.txt", "hello");
    add(files, work, "0002", "tool.exe", "MZ");
    add(files, work, "0003", "__MACOSX/._a.txt", "\1\2");
    add(files, work, "0004", "letters/a.pdf", pdf);
    add(files, work, "0005", "b.pdf", "no pdf");
    assert_int_equal(folder_write(work, files), 0);
}

static struct fixture *of_an_archive(void **state, const char *options)
{
    struct fixture *f = *state;

    engine.scatter = scatter_some;
    f->gather.from = f->gather.to = format_by_id("zip");
    f->route.from = f->route.to = format_by_id("zip");
    f->route.n_steps = 2;
    f->route.steps[0] = &f->scatter;
    f->route.steps[1] = &f->gather;
    f->n_inputs = 0;
    f->options = options;
    return f;
}

static void an_archive_says_what_is_missing(void **state)
{
    struct fixture *f = of_an_archive(state, "{\"each\": \"pdf\"}");

    assert_int_equal(run(f), OUTCOME_OK);
    assert_string_equal(engine.names,
                        "0001.pdf=letters/a.pdf 0002.pdf=letters/a (2).pdf 0003.txt=not-converted.txt ");
    assert_true(str_starts(engine.problems, "tool.exe: A file in it is of a type"));
    assert_non_null(strstr(engine.problems, "\nb.pdf: "));
    assert_int_equal(scans, 4); /* the archive, those that were converted, and what a PDF was made into */
}

static void files_may_stay_what_they_are(void **state)
{
    struct fixture *f = of_an_archive(state, "{}");

    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(engine.converted, 0);
    assert_string_equal(engine.names,
                        "0001.txt=letters/a.txt 0002.pdf=letters/a.pdf 0003.txt=not-converted.txt ");
    assert_int_equal(scans, 3);
}

static void scatter_rubbish(int work)
{
    _cleanup_json_ json_t *files = json_array();

    add(files, work, "0001", "tool.exe", "MZ");
    assert_int_equal(folder_write(work, files), 0);
}

static void an_archive_of_nothing_that_we_know_fails(void **state)
{
    struct fixture *f = of_an_archive(state, "{\"each\": \"pdf\"}");

    engine.scatter = scatter_rubbish;
    assert_int_equal(run(f), OUTCOME_UNSUPPORTED_CONTENT);
    assert_int_equal(engine.gathered, 0);
}

/* The first one that the next step takes goes on, and nothing else is looked at. */
static void one_of_an_archive_may_be_all_that_is_wanted(void **state)
{
    struct fixture *f = of_an_archive(state, "{}");
    struct catalogue_step next = {
        .engine = "test", .from = format_by_id("txt"), .to = format_by_id("pdf"), .asked_by = ""};

    f->route.to = format_by_id("pdf");
    f->route.steps[1] = &next;
    assert_int_equal(run(f), OUTCOME_OK);
    assert_int_equal(engine.converted, 1);
    assert_int_equal(engine.gathered, 0);
    assert_int_equal(scans, 1);
    assert_true(str_starts(f->published, "%PDF-1.4"));

    next.from = format_by_id("docx");
    f->done = false;
    f->percent = 0;
    assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
    assert_int_equal(engine.converted, 1);
}

static void scatter_evil(int work)
{
    static const char index[] = "{\"files\":[{\"file\":\"0001\",\"name\":\"../../evil.txt\"}]}";

    write_at(work, "0001", "hello", 5);
    write_at(work, FOLDER_INDEX, index, sizeof index - 1);
}

static void a_name_that_leads_away_is_not_believed(void **state)
{
    struct fixture *f = of_an_archive(state, "{\"each\": \"pdf\"}");

    engine.scatter = scatter_evil;
    assert_int_equal(run(f), OUTCOME_NO_OUTPUT);
}

#define EACH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_TEST(each_is_converted_and_scanned_and_gathered),
        EACH_TEST(none_of_a_document_may_be_missing),
        EACH_TEST(one_that_is_infected_ends_it),
        EACH_TEST(one_that_failed_before_is_not_infected),
        EACH_TEST(one_that_is_gone_ends_it),
        EACH_TEST(it_is_cancelled_in_the_middle),
        EACH_TEST(an_archive_says_what_is_missing),
        EACH_TEST(files_may_stay_what_they_are),
        EACH_TEST(an_archive_of_nothing_that_we_know_fails),
        EACH_TEST(one_of_an_archive_may_be_all_that_is_wanted),
        EACH_TEST(a_name_that_leads_away_is_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
