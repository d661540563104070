/* The engines' client, the zygote and the sandbox together: an engine that crashes, hangs and lies
 * (fake_engine.c), run by the real pool in the real sandbox, in full and in reduced mode. What it tries in
 * vain to reach is in test_attempts.c.
 *
 * Where namespaces can't be had the tests of the full sandbox are skipped, unless DECANT_SANDBOX_MUST_WORK=1
 * says that this is a failure. */
#include "engine_fixture.h"

#include "core/path.h"
#include "core/str.h"
#include "sandbox/sandbox.h"
#include "support/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MEMORY = 512 << 20, OUTPUT = 1 << 20 };

static const char *const only_fake[] = {"fake", NULL};

/* --- set-up: one pool for all tests of a mode, one job folder for each run */

static int start(void **state, const char *mode)
{
    *state = fixture_start(BINDIR, only_fake, mode, MEMORY, OUTPUT);
    return 0;
}

static int start_full(void **state)
{
    return start(state, "full");
}

static int start_reduced(void **state)
{
    return start(state, "reduced");
}

static int stop(void **state)
{
    fixture_stop(*state);
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    struct fixture *f = *state;

    if (f->skipped)
        skip();
    return f;
}

static int make_job(struct fixture *f, char ret_name[ID_UUID_LEN + 1])
{
    return fixture_make_job(f, "input.txt", "hello", 5, ret_name);
}

static struct engine_request request_of(const char *options, int job, uint64_t timeout_ms)
{
    return (struct engine_request){.engine = "fake",
                                   .from = "txt",
                                   .to = "pdf",
                                   .options = options,
                                   .job_fd = job,
                                   .input = "uploads/input.txt",
                                   .output = "work",
                                   .timeout_ms = timeout_ms,
                                   .cpu_s = 600};
}

static struct engine_run *begin(struct fixture *f, const char *options, int job, uint64_t timeout_ms,
                                struct outcome_of_run *ret)
{
    const struct engine_request request = request_of(options, job, timeout_ms);

    return fixture_begin(f, &request, ret);
}

/* The run is the first, as both calls have the same argument. */
struct told {
    struct outcome_of_run run;
    unsigned times;
    struct engine_report early;
};

static void on_result(void *arg, const struct engine_report *report)
{
    struct told *t = arg;

    assert_false(t->run.done);
    assert_string_equal(report->output_name, "result.pdf");
    assert_string_equal(report->output_format, "pdf");
    t->times++;
    t->early = *report;
}

static void run_told(struct fixture *f, const char *options, struct told *ret)
{
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    const struct engine_request request = {.engine = "fake",
                                           .from = "txt",
                                           .to = "pdf",
                                           .options = options,
                                           .job_fd = job,
                                           .input = "uploads/input.txt",
                                           .output = "work",
                                           .timeout_ms = 50000,
                                           .cpu_s = 600,
                                           .result = on_result};

    *ret = (struct told){0};
    fixture_begin(f, &request, &ret->run);
    assert_true(loop_until(&f->loop, &ret->run.done, PATIENCE_MS));
}

static struct outcome_of_run run_in(struct fixture *f, const char *options, int job, uint64_t timeout_ms)
{
    struct outcome_of_run o;

    begin(f, options, job, timeout_ms, &o);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    return o;
}

static struct outcome_of_run run_options(struct fixture *f, const char *options, uint64_t timeout_ms)
{
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);

    return run_in(f, options, job, timeout_ms);
}

static struct outcome_of_run run_action(struct fixture *f, const char *action)
{
    char options[64];

    snprintf(options, sizeof options, "{\"do\": \"%s\"}", action);
    return run_options(f, options, 30000);
}

static void expect(struct fixture *f, const char *action, enum outcome outcome)
{
    enum outcome found = run_action(f, action).report.outcome;

    if (found != outcome)
        fail_msg("%s: %s instead of %s", action, outcome_code(found), outcome_code(outcome));
}

/* --- what works */

static void converts(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    struct outcome_of_run o = run_in(f, "{\"do\": \"ok\"}", job, 30000);
    _cleanup_free_ char *text = NULL;
    size_t len;

    assert_int_equal(o.report.outcome, OUTCOME_OK);
    assert_string_equal(o.name, "result.pdf");
    assert_string_equal(o.format, "pdf");
    assert_int_equal(o.report.pages, 3);
    assert_int_equal(o.percent, 50);
    assert_true(o.report.peak_kib > 0);
    assert_true(o.report.pss_kib > 0 && o.report.pss_kib < o.report.peak_kib);
    assert_true(o.report.layers & SANDBOX_SECCOMP);
    assert_true(o.report.layers & SANDBOX_LANDLOCK);
    assert_int_equal(!!(o.report.layers & SANDBOX_NAMESPACES), str_eq(f->settings.sandbox, "full"));
    assert_int_equal(path_read_file(job, "work/result.pdf", 100, &text, &len), 0);
    assert_string_equal(text, "hello");
}

/* As below /root: the job's folder is reached by its descriptor alone. */
static void converts_below_a_folder_it_may_not_enter(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    struct outcome_of_run o;

    assert_int_equal(fchmod(f->folder_fd, 0), 0);
    o = run_in(f, "{\"do\": \"ok\"}", job, 30000);
    assert_int_equal(fchmod(f->folder_fd, 0700), 0);
    assert_int_equal(o.report.outcome, OUTCOME_OK);
}

static void tells_the_result_before_the_end(void **state)
{
    struct fixture *f = fixture_of(state);
    struct told t;

    run_told(f, "{\"do\": \"ok\"}", &t);
    assert_int_equal(t.run.report.outcome, OUTCOME_OK);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.early.outcome, OUTCOME_OK);
    assert_int_equal(t.early.pages, 3);
    assert_in_range(t.early.peak_kib, 1, t.run.report.peak_kib);
    assert_in_range(t.early.cpu_ms, 0, t.run.report.cpu_ms + 1);
    assert_int_equal(t.early.layers, t.run.report.layers);
}

/* Who has said that it is ready has nothing more to do: it need not be waited for. */
static void ends_who_lingers(void **state)
{
    struct fixture *f = fixture_of(state);
    struct told t;

    run_told(f, "{\"do\": \"linger\"}", &t);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.run.report.outcome, OUTCOME_OK);
    assert_true(t.run.report.wall_ms < 50000);
}

static void tells_no_result_where_there_is_none(void **state)
{
    static const char *const actions[] = {"{\"do\": \"password\"}", "{\"do\": \"crash\"}",
                                          "{\"do\": \"lie_name\"}"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        struct told t;

        run_told(f, actions[i], &t);
        assert_int_equal(t.times, 0);
        assert_int_not_equal(t.run.report.outcome, OUTCOME_OK);
    }
}

static void gives_what_libraries_need(void **state)
{
    struct fixture *f = fixture_of(state);

    expect(f, "temporary_file", OUTCOME_OK);
    expect(f, "threads", OUTCOME_OK);
    expect(f, "password", OUTCOME_PASSWORD_REQUIRED);
}

static void runs_many_at_once(void **state)
{
    struct fixture *f = fixture_of(state);
    struct outcome_of_run runs[32];

    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        char name[ID_UUID_LEN + 1];
        _cleanup_close_ int job = make_job(f, name);

        begin(f, "{\"do\": \"ok\"}", job, 30000, &runs[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        assert_true(loop_until(&f->loop, &runs[i].done, PATIENCE_MS));
        assert_int_equal(runs[i].report.outcome, OUTCOME_OK);
    }
}

/* --- what a child does to itself */

static void tells_how_a_child_ended(void **state)
{
    struct fixture *f = fixture_of(state);

    expect(f, "crash", OUTCOME_ENGINE_CRASHED);
    expect(f, "abort", OUTCOME_ENGINE_CRASHED);
    expect(f, "exit", OUTCOME_ENGINE_CRASHED);
    expect(f, "ok", OUTCOME_OK); /* the zygote is still well */
}

static void believes_no_lies(void **state)
{
    static const char *const lies[] = {"lie_infected", "lie_name", "lie_format",     "lie_twice",
                                       "lie_pages",    "garbage",  "lie_fonts_twice"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
        expect(f, lies[i], OUTCOME_ENGINE_CRASHED);
}

static void tells_the_fonts(void **state)
{
    struct fixture *f = fixture_of(state);
    struct outcome_of_run o = run_action(f, "fonts");

    assert_int_equal(o.report.outcome, OUTCOME_OK);
    assert_non_null(o.report.fonts);
    assert_int_equal(o.fonts.n, 1);
    assert_string_equal(o.fonts.list[0].font, "Calibri");
    assert_string_equal(o.fonts.list[0].used, "Carlito");
    assert_null(run_action(f, "ok").report.fonts);
}

/* The result is judged by itself. */
static void leaves_out_fonts_that_are_none(void **state)
{
    static const char *const lies[] = {"lie_font_name", "lie_font_count"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        struct outcome_of_run o = run_action(f, lies[i]);

        assert_int_equal(o.report.outcome, OUTCOME_OK);
        assert_null(o.report.fonts);
    }
}

static void stops_at_the_deadline(void **state)
{
    struct fixture *f = fixture_of(state);
    struct outcome_of_run o = run_options(f, "{\"do\": \"hang\"}", 300);

    assert_int_equal(o.report.outcome, OUTCOME_TIMED_OUT);
    assert_true(o.report.wall_ms >= 300);
}

/* The child says 20 pages. */
static void gives_time_for_pages(void **state)
{
    static const struct {
        uint64_t page_ms, most_ms, expected_ms;
    } cases[] = {{0, 5000, 300}, {50, 5000, 1300}, {50, 700, 700}, {UINT64_MAX, 700, 700}, {50, 0, 300}};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char name[ID_UUID_LEN + 1];
        _cleanup_close_ int job = make_job(f, name);
        struct engine_request request = request_of("{\"do\": \"hang_in_pages\"}", job, 300);
        struct outcome_of_run o;

        request.timeout_page_ms = cases[i].page_ms;
        request.timeout_most_ms = cases[i].most_ms;
        fixture_begin(f, &request, &o);
        assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
        assert_int_equal(o.report.outcome, OUTCOME_TIMED_OUT);
        assert_int_equal(o.report.timeout_ms, cases[i].expected_ms);
        assert_true(o.report.wall_ms >= cases[i].expected_ms);
    }
}

/* However busy the machine is: two threads use up together what they have, long before the deadline. */
static void bounds_processor_time(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    struct engine_request request = request_of("{\"do\": \"burn\"}", job, PATIENCE_MS);
    struct outcome_of_run o;

    request.cpu_s = 1;
    fixture_begin(f, &request, &o);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_TOO_COMPLEX);
}

static void bounds_the_output(void **state)
{
    expect(fixture_of(state), "flood", OUTCOME_TOO_COMPLEX);
}

#if !defined(__SANITIZE_ADDRESS__) /* which needs address space without bounds */
static void bounds_memory(void **state)
{
    struct fixture *f = fixture_of(state);

    expect(f, "hog", OUTCOME_TOO_COMPLEX);
    expect(f, "gulp", OUTCOME_TOO_COMPLEX);
    expect(f, "gulp_and_go_on", OUTCOME_OK);
}
#endif

static void cancels(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    struct outcome_of_run o;
    struct engine_run *run = begin(f, "{\"do\": \"hang\"}", job, 30000, &o);

    loop_for(&f->loop, 50);
    engine_run_cancel(run);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_CANCELLED);

    engine_run_cancel(begin(f, "{\"do\": \"hang\"}", job, 30000, &o)); /* before it has a process */
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_CANCELLED);
}

static void refuses_inputs_that_are_no_plain_file(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);

    assert_int_equal(linkat(job, "uploads/input.txt", job, "second", 0), 0);
    assert_int_equal(run_in(f, "{\"do\": \"ok\"}", job, 30000).report.outcome, OUTCOME_INTERNAL);
    assert_int_equal(unlinkat(job, "second", 0), 0);
    assert_int_equal(run_in(f, "{\"do\": \"ok\"}", job, 30000).report.outcome, OUTCOME_OK);
    assert_int_equal(unlinkat(job, "uploads/input.txt", 0), 0);
    assert_int_equal(symlinkat("../canary", job, "uploads/input.txt"), 0);
    assert_int_equal(run_in(f, "{\"do\": \"ok\"}", job, 30000).report.outcome, OUTCOME_INTERNAL);
}

/* --- what must be refused */

static void keeps_the_input(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    _cleanup_free_ char *text = NULL;

    assert_int_equal(run_in(f, "{\"do\": \"remove_input\"}", job, 30000).report.outcome, OUTCOME_OK);
    assert_int_equal(path_read_file(job, "uploads/input.txt", 100, &text, NULL), 0);
    assert_string_equal(text, "hello");
}

/* A document prints what it likes of its own path: it has to be everybody's. */
static void tells_a_child_nothing_by_its_paths(void **state)
{
    struct fixture *f = fixture_of(state);
    bool full = str_eq(f->settings.sandbox, "full");
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    _cleanup_free_ char *text = NULL;

    assert_int_equal(run_in(f, "{\"do\": \"tell_paths\"}", job, 30000).report.outcome, OUTCOME_OK);
    assert_int_equal(path_read_file(job, "work/result.pdf", 1000, &text, NULL), 0);
    assert_string_equal(text,
                        full ? "/document.txt /job/out" : "/proc/self/cwd/.tmp/document.txt /proc/self/cwd");
}

/* --- the zygote's life */

/* The launcher's only child is the zygote. */
static pid_t find_zygote(void)
{
    pid_t pid;

    assert_int_equal(fixture_list_children(fixture_launcher(), &pid, 1), 1);
    return pid;
}

static void wait_for_children(struct fixture *f, pid_t parent, size_t n, pid_t *ret, size_t max)
{
    for (int i = 0; i < PATIENCE_MS / 10 && fixture_list_children(parent, ret, max) != n; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(fixture_list_children(parent, ret, max), n);
}

/* Waits until the child has said that it runs. */
static void wait_for_progress(struct fixture *f, struct outcome_of_run *o)
{
    for (int i = 0; i < PATIENCE_MS / 10 && o->percent == 0; i++)
        loop_for(&f->loop, 10);
    assert_true(o->percent > 0);
}

/* Whoever inherited it need not have noticed yet. */
static bool is_gone(pid_t pid)
{
    _cleanup_fclose_ FILE *f = NULL;
    char path[64], state = 'Z';

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    return !f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1 || state == 'Z';
}

/* A child waits for the next job, which is then another one's. */
static void keeps_a_child_waiting(void **state)
{
    struct fixture *f;
    char name[ID_UUID_LEN + 1];
    struct outcome_of_run o;
    pid_t zygote, waiting, now[2];
    int job;

    start_reduced((void **)&f);
    job = make_job(f, name);
    zygote = find_zygote();
    assert_int_equal(fixture_list_children(zygote, now, 2), 0);
    assert_int_equal(run_in(f, "{\"do\": \"ok\"}", job, 30000).report.outcome, OUTCOME_OK);
    wait_for_children(f, zygote, 1, &waiting, 1);
    begin(f, "{\"do\": \"hang_once\"}", job, 30000, &o);
    wait_for_progress(f, &o);
    wait_for_children(f, zygote, 2, now, 2);
    assert_true(now[0] == waiting || now[1] == waiting);
    close(job);
    stop((void **)&f);
    for (size_t i = 0; i < ARRAY_SIZE(now); i++) {
        for (int waited = 0; waited < PATIENCE_MS && !is_gone(now[i]); waited += 10)
            usleep(10000);
        assert_true(is_gone(now[i]));
    }
}

/* As when memory is short: it is the first to go. */
static void does_without_a_child_that_died_waiting(void **state)
{
    struct fixture *f = fixture_of(state);
    pid_t zygote = find_zygote(), waiting[8];
    size_t n;

    expect(f, "ok", OUTCOME_OK);
    for (int i = 0; i < PATIENCE_MS / 10 && fixture_list_children(zygote, waiting, 1) == 0; i++)
        loop_for(&f->loop, 10);
    n = fixture_list_children(zygote, waiting, ARRAY_SIZE(waiting));
    assert_in_range(n, 1, ARRAY_SIZE(waiting));
    for (size_t i = 0; i < n; i++)
        kill(waiting[i], SIGKILL);
    wait_for_children(f, zygote, 0, waiting, 1);
    expect(f, "ok", OUTCOME_OK);
    assert_int_equal(find_zygote(), zygote);
}

/* A fresh zygote with one child waiting, which is halted: it gets the next job, and never begins. */
static struct fixture *start_with_a_halted_child(pid_t *ret_zygote, pid_t *ret_child)
{
    struct fixture *f;

    start_reduced((void **)&f);
    expect(f, "ok", OUTCOME_OK);
    *ret_zygote = find_zygote();
    wait_for_children(f, *ret_zygote, 1, ret_child, 1);
    kill(*ret_child, SIGSTOP);
    return f;
}

/* When it has given its child away the zygote makes another one. */
static void tries_again_when_a_child_never_began(void **state)
{
    struct outcome_of_run o;
    pid_t zygote, halted, now[2];
    struct fixture *f = start_with_a_halted_child(&zygote, &halted);
    char name[ID_UUID_LEN + 1];
    int job = make_job(f, name);

    begin(f, "{\"do\": \"ok\"}", job, 30000, &o);
    wait_for_children(f, zygote, 2, now, 2);
    assert_false(o.done);
    kill(halted, SIGKILL);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_OK);
    close(job);
    stop((void **)&f);
}

static void tries_no_third_time(void **state)
{
    struct outcome_of_run o;
    pid_t zygote, first, second, now[2];
    struct fixture *f = start_with_a_halted_child(&zygote, &first);
    char name[ID_UUID_LEN + 1];
    int job = make_job(f, name);

    begin(f, "{\"do\": \"ok\"}", job, 30000, &o);
    wait_for_children(f, zygote, 2, now, 2);
    second = now[now[0] == first];
    kill(second, SIGSTOP);
    kill(first, SIGKILL);
    for (int i = 0; i < PATIENCE_MS / 10 &&
                    (fixture_list_children(zygote, now, 2) != 2 || now[0] == first || now[1] == first);
         i++)
        loop_for(&f->loop, 10);
    assert_false(o.done);
    kill(second, SIGKILL);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_INTERNAL);
    close(job);
    stop((void **)&f);
}

/* It may be the file that kills it. */
static void tries_once_who_has_begun(void **state)
{
    struct outcome_of_run o;
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);

    begin(f, "{\"do\": \"killed_once\"}", job, 30000, &o);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_ENGINE_CRASHED);
    assert_int_equal(faccessat(job, "work/marker", F_OK, 0), 0);
}

static void survives_the_death_of_a_zygote(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    struct outcome_of_run o;

    begin(f, "{\"do\": \"hang_once\"}", job, 30000, &o);
    wait_for_progress(f, &o);
    kill(find_zygote(), SIGKILL);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_OK);
}

/* Killed before it was ready: whoever waits for it goes on waiting, for the next one. */
static void survives_the_death_of_a_zygote_that_starts(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    pid_t first = find_zygote(), next, now = 0;
    struct outcome_of_run o;

    kill(first, SIGKILL);
    wait_for_children(f, fixture_launcher(), 0, &next, 1);
    begin(f, "{\"do\": \"ok\"}", job, 30000, &o);
    wait_for_children(f, fixture_launcher(), 1, &next, 1);
    kill(next, SIGKILL);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_OK);
    /* It may have been quick enough to be ready, and even done: its death must be over before the next test.
     */
    for (int i = 0;
         i < PATIENCE_MS / 10 && (fixture_list_children(fixture_launcher(), &now, 1) != 1 || now == next);
         i++)
        loop_for(&f->loop, 10);
    assert_int_not_equal(now, next);
    fixture_wait_for_engine(&f->loop, f->pool, "fake");
}

/* Nothing can be started any more, which is said once all that was running is over. */
static void tells_the_death_of_the_launcher(void **state)
{
    struct fixture *f;
    char name[ID_UUID_LEN + 1];
    struct outcome_of_run o;
    pid_t launcher;
    int job;

    start_reduced((void **)&f);
    job = make_job(f, name);
    launcher = fixture_launcher();
    begin(f, "{\"do\": \"hang_once\"}", job, 30000, &o);
    wait_for_progress(f, &o);
    assert_false(engine_pool_lost(f->pool));
    kill(launcher, SIGKILL);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_not_equal(o.report.outcome, OUTCOME_OK);
    for (int i = 0; i < PATIENCE_MS / 10 && !engine_pool_lost(f->pool); i++)
        loop_for(&f->loop, 10);
    assert_true(engine_pool_lost(f->pool));
    close(job);
    stop((void **)&f);
}

static void gives_up_at_the_second_death(void **state)
{
    struct fixture *f = fixture_of(state);
    char name[ID_UUID_LEN + 1];
    _cleanup_close_ int job = make_job(f, name);
    struct outcome_of_run o;

    for (int i = 0; i < 2; i++) {
        if (i == 0)
            begin(f, "{\"do\": \"hang_once\"}", job, 30000, &o);
        wait_for_progress(f, &o);
        o.percent = 0;
        if (i == 0)
            assert_int_equal(unlinkat(job, "work/marker", 0), 0);
        kill(find_zygote(), SIGKILL);
    }
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_ENGINE_CRASHED);
    fixture_wait_for_engine(&f->loop, f->pool, "fake");
    expect(f, "ok", OUTCOME_OK);
}

static void replaces_a_zygote_and_lets_it_end_its_runs(void **state)
{
    struct fixture *f;
    char name[ID_UUID_LEN + 1];
    struct outcome_of_run o;
    struct engine_run *run;
    pid_t old, both[2], waiting;
    int job;

    start_reduced((void **)&f);
    job = make_job(f, name);
    old = find_zygote();
    run = begin(f, "{\"do\": \"hang_once\"}", job, 30000, &o);
    wait_for_progress(f, &o);
    engine_pool_reload(f->pool);
    engine_pool_reload(f->pool); /* there is one already */
    wait_for_children(f, fixture_launcher(), 2, both, 2);
    /* A zygote that has had a job keeps a child waiting. */
    for (int i = 0; i < PATIENCE_MS / 10 && fixture_list_children(both[both[0] == old], &waiting, 1) == 0;
         i++)
        assert_int_equal(run_in(f, "{\"do\": \"ok\"}", job, 30000).report.outcome, OUTCOME_OK);
    assert_int_equal(fixture_list_children(both[both[0] == old], &waiting, 1), 1);
    assert_false(o.done);
    engine_run_cancel(run);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_CANCELLED);
    wait_for_children(f, fixture_launcher(), 1, both, 2);
    assert_int_not_equal(both[0], old);
    assert_int_equal(run_in(f, "{\"do\": \"ok\"}", job, 30000).report.outcome, OUTCOME_OK);
    close(job);
    stop((void **)&f);
}

static void keeps_a_zygote_that_nothing_can_replace(void **state)
{
    char folder[] = "/tmp/test-client-XXXXXX", program[sizeof folder + 32];
    struct fixture *f;
    struct engine_info info;
    pid_t old;

    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0); /* it is not root that looks there */
    snprintf(program, sizeof program, "%s/decant-engine-fake", folder);
    assert_int_equal(symlink(BINDIR "/decant-engine-fake", program), 0);
    f = fixture_start(folder, only_fake, "reduced", MEMORY, OUTPUT);
    old = find_zygote();
    assert_int_equal(unlink(program), 0);
    assert_int_equal(rmdir(folder), 0);
    engine_pool_reload(f->pool);
    assert_true(engine_pool_info(f->pool, "fake", &info));
    assert_int_equal(info.state, ENGINE_UP);
    assert_non_null(strstr(info.why, "can't be started"));
    expect(f, "ok", OUTCOME_OK);
    assert_int_equal(find_zygote(), old);
    stop((void **)&f);
}

static void ends_all_with_the_pool(void **state)
{
    struct fixture *f;
    char name[ID_UUID_LEN + 1];
    struct outcome_of_run o;
    int job;

    start_reduced((void **)&f);
    job = make_job(f, name);
    begin(f, "{\"do\": \"hang_once\"}", job, 30000, &o);
    wait_for_progress(f, &o);
    close(job);
    stop((void **)&f);
    assert_true(o.done);
    assert_int_equal(o.report.outcome, OUTCOME_INTERNAL);
}

static void tells_why_an_engine_is_down(void **state)
{
    static const struct {
        const char *engine, *why;
        bool sandbox_refused;
    } cases[] = {{"refusing", "there is no library today", false},
                 {"threaded", "threads", false},
                 {"absent", "can't be started", false},
                 {"outdated", "is of another version", false},
                 {"lawless", "policy can't be compiled", true}};
    static const char *const names[] = {"refusing", "threaded", "absent", "outdated", "lawless", NULL};
    struct settings settings = {.bindir = BINDIR,
                                .engine_user = "nobody",
                                .sandbox = "reduced",
                                .log_level = "error",
                                .job_memory_bytes = MEMORY,
                                .job_output_bytes = OUTPUT};
    struct engine_pool *pool;
    struct engine_info info;
    uv_loop_t loop;

    uv_loop_init(&loop);
    assert_int_equal(engine_pool_new(&loop, &settings, names, &pool), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fixture_wait_for_engine(&loop, pool, cases[i].engine);
        assert_true(engine_pool_info(pool, cases[i].engine, &info));
        assert_int_equal(info.state, ENGINE_DOWN);
        assert_non_null(strstr(info.why, cases[i].why));
        assert_int_equal(info.sandbox_refused, cases[i].sandbox_refused);
    }
    /* And goes on telling, while it is started again and again. */
    for (int i = 0; i < 50; i++) {
        loop_for(&loop, 10);
        assert_true(engine_pool_info(pool, "refusing", &info));
        assert_non_null(strstr(info.why, "there is no library today"));
    }
    assert_false(engine_pool_info(pool, "nonsense", &info));
    engine_pool_free(pool);
    loop_close(&loop);
}

static void ends_runs_of_engines_that_are_not_there(void **state)
{
    struct fixture *f = fixture_of(state);
    struct engine_request request = {.engine = "nonsense",
                                     .from = "txt",
                                     .to = "pdf",
                                     .job_fd = f->folder_fd,
                                     .input = "x",
                                     .output = "y",
                                     .timeout_ms = 1000};
    struct outcome_of_run o;

    fixture_begin(f, &request, &o);
    assert_true(loop_until(&f->loop, &o.done, PATIENCE_MS));
    assert_int_equal(o.report.outcome, OUTCOME_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest in_both_modes[] = {
        cmocka_unit_test(converts),
        cmocka_unit_test(converts_below_a_folder_it_may_not_enter),
        cmocka_unit_test(tells_the_result_before_the_end),
        cmocka_unit_test(ends_who_lingers),
        cmocka_unit_test(tells_no_result_where_there_is_none),
        cmocka_unit_test(gives_what_libraries_need),
        cmocka_unit_test(runs_many_at_once),
        cmocka_unit_test(tells_how_a_child_ended),
        cmocka_unit_test(believes_no_lies),
        cmocka_unit_test(tells_the_fonts),
        cmocka_unit_test(leaves_out_fonts_that_are_none),
        cmocka_unit_test(stops_at_the_deadline),
        cmocka_unit_test(gives_time_for_pages),
        cmocka_unit_test(bounds_processor_time),
        cmocka_unit_test(bounds_the_output),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(bounds_memory),
#endif
        cmocka_unit_test(cancels),
        cmocka_unit_test(refuses_inputs_that_are_no_plain_file),
        cmocka_unit_test(keeps_the_input),
        cmocka_unit_test(tells_a_child_nothing_by_its_paths),
        cmocka_unit_test(survives_the_death_of_a_zygote),
        cmocka_unit_test(tries_once_who_has_begun),
        cmocka_unit_test(survives_the_death_of_a_zygote_that_starts),
        cmocka_unit_test(gives_up_at_the_second_death),
        cmocka_unit_test(does_without_a_child_that_died_waiting),
        cmocka_unit_test(ends_runs_of_engines_that_are_not_there),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(ends_all_with_the_pool),
        cmocka_unit_test(keeps_a_child_waiting),
        cmocka_unit_test(tries_again_when_a_child_never_began),
        cmocka_unit_test(tries_no_third_time),
        cmocka_unit_test(tells_the_death_of_the_launcher),
        cmocka_unit_test(replaces_a_zygote_and_lets_it_end_its_runs),
        cmocka_unit_test(keeps_a_zygote_that_nothing_can_replace),
        cmocka_unit_test(tells_why_an_engine_is_down),
    };
    int failed = cmocka_run_group_tests(in_both_modes, start_full, stop);

    failed += cmocka_run_group_tests(in_both_modes, start_reduced, stop);
    return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
