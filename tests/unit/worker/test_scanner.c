/* What is remembered, and when clamd is tried. clamd and its probe are the test's own. */
#include "worker/scanner.h"

#include "core/str.h"
#include "files/clamd_probe.h"
#include "support/fake_clamd.h"
#include "support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000 };

/* --- clamd: what it says of a file and of itself */

struct clamd_probe {
    uv_timer_t timer;
    clamd_probe_fn *fn;
    void *arg;
};

static struct {
    enum clamd_verdict verdict;
    const char *version; /* NULL: it is away */
    enum clamd_fitness fitness;
    bool holds_probe, holds_scan;
    unsigned probes, versions;
} clamd;

static struct fake_answer on_scan(int fd, uint64_t timeout_ms)
{
    return (struct fake_answer){.verdict = clamd.verdict,
                                .detail = clamd.verdict == CLAMD_INFECTED ? "Test.Signature" : "",
                                .held = &clamd.holds_scan};
}

static struct fake_answer on_version(void)
{
    clamd.versions++;
    return clamd.version ? (struct fake_answer){.verdict = CLAMD_CLEAN, .detail = clamd.version}
                         : (struct fake_answer){.verdict = CLAMD_UNAVAILABLE, .detail = "nobody there"};
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_probed(uv_timer_t *timer)
{
    struct clamd_probe *p = timer->data;

    if (clamd.holds_probe)
        return;
    uv_close((uv_handle_t *)timer, on_closed);
    p->fn(p->arg, clamd.fitness, clamd.fitness == CLAMD_FIT ? "" : "set something");
}

struct clamd_probe *clamd_probe_start(struct clamd *c, const struct clamd_demands *demands,
                                      clamd_probe_fn *fn, void *arg)
{
    struct clamd_probe *p = calloc(1, sizeof *p);

    assert_non_null(p);
    assert_int_equal(demands->file_bytes, 12345);
    assert_true(demands->refuse_encrypted);
    clamd.probes++;
    p->fn = fn;
    p->arg = arg;
    uv_timer_init(fake_clamd_loop(c), &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_probed, 1, 1);
    return p;
}

void clamd_probe_cancel(struct clamd_probe *p)
{
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

/* --- the fixture */

struct fixture {
    uv_loop_t loop;
    struct settings settings;
    struct scanner *scanner;
    int fd;
};

struct result {
    bool done;
    enum clamd_verdict verdict;
    char detail[128];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    fake_clamd = (struct fake_clamd){.scan = on_scan, .version = on_version};
    clamd = (typeof(clamd)){.verdict = CLAMD_CLEAN, .version = "ClamAV 1/1/today", .fitness = CLAMD_FIT};
    uv_loop_init(&f->loop);
    f->settings = (struct settings){.clamd = "unix:/nowhere",
                                    .scan_timeout_s = 60,
                                    .scan_cache_s = 300,
                                    .scan_encrypted = "refuse",
                                    .max_upload_bytes = 12345};
    assert_int_equal(scanner_new(&f->loop, &f->settings, &f->scanner), 0);
    f->fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(f->fd, "hello", 5), 5);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    scanner_free(f->scanner);
    loop_close(&f->loop);
    close(f->fd);
    free(f);
    return 0;
}

static enum scanner_state state_of(struct fixture *f)
{
    struct scanner_info info;

    scanner_info(f->scanner, &info);
    return info.state;
}

static void wait_state(struct fixture *f, enum scanner_state state)
{
    for (int i = 0; i < PATIENCE_MS && state_of(f) != state; i++)
        loop_for(&f->loop, 1);
    assert_int_equal(state_of(f), state);
}

static void on_changed(void *arg)
{
}

static void watch(struct fixture *f)
{
    scanner_watch(f->scanner, on_changed, f);
}

static void on_result(void *arg, enum clamd_verdict verdict, const char *detail)
{
    struct result *r = arg;

    assert_false(r->done);
    r->done = true;
    r->verdict = verdict;
    snprintf(r->detail, sizeof r->detail, "%s", detail);
}

static struct result scan(struct fixture *f)
{
    struct result r = {0};

    assert_non_null(scanner_scan(f->scanner, f->fd, PATIENCE_MS, on_result, &r));
    assert_false(r.done);
    assert_true(loop_until(&f->loop, &r.done, PATIENCE_MS));
    return r;
}

/* --- the tests */

static void a_verdict_is_remembered_by_what_was_seen(void **state)
{
    struct fixture *f = *state;

    watch(f);
    wait_state(f, SCANNER_UP);
    assert_int_equal(scan(f).verdict, CLAMD_CLEAN);
    clamd.verdict = CLAMD_INFECTED; /* were it asked again */
    assert_int_equal(scan(f).verdict, CLAMD_CLEAN);
    assert_int_equal(fake_clamd.scans, 1);

    /* other bytes are another file, whatever it is called */
    assert_int_equal(pwrite(f->fd, "H", 1, 0), 1);
    assert_int_equal(scan(f).verdict, CLAMD_INFECTED);
    assert_int_equal(fake_clamd.scans, 2);
    clamd.verdict = CLAMD_CLEAN;

    struct result r = scan(f);

    assert_int_equal(r.verdict, CLAMD_INFECTED);
    assert_string_equal(r.detail, "Test.Signature");
    assert_int_equal(fake_clamd.scans, 2);
}

static void no_verdict_is_not_remembered(void **state)
{
    static const enum clamd_verdict none[] = {CLAMD_UNAVAILABLE, CLAMD_INCOMPLETE, CLAMD_ENCRYPTED};
    struct fixture *f = *state;

    watch(f);
    wait_state(f, SCANNER_UP);
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        clamd.verdict = none[i];
        assert_int_equal(scan(f).verdict, none[i]);
        assert_int_equal(fake_clamd.scans, i + 1);
    }
}

static void it_is_forgotten_after_its_time(void **state)
{
    struct fixture *f = *state;

    f->settings.scan_cache_s = 1;
    watch(f);
    wait_state(f, SCANNER_UP);
    scan(f);
    for (int i = 0; i < 600 && fake_clamd.scans < 2; i++) {
        loop_for(&f->loop, 100);
        scan(f);
    }
    assert_int_equal(fake_clamd.scans, 2);
}

static void nothing_is_remembered_when_that_is_off(void **state)
{
    struct fixture *f = *state;

    f->settings.scan_cache_s = 0;
    watch(f);
    wait_state(f, SCANNER_UP);
    scan(f);
    scan(f);
    assert_int_equal(fake_clamd.scans, 2);
}

static void new_signatures_forget_all(void **state)
{
    struct fixture *f = *state;

    watch(f);
    wait_state(f, SCANNER_UP);
    scan(f);
    clamd.version = "ClamAV 1/2/today";
    for (int i = 0; i < PATIENCE_MS && clamd.probes < 2; i++)
        loop_for(&f->loop, 1);
    assert_int_equal(clamd.probes, 2);
    assert_int_equal(state_of(f), SCANNER_UP); /* the ones before were good as well */
    clamd.verdict = CLAMD_INFECTED;
    assert_int_equal(scan(f).verdict, CLAMD_INFECTED);
}

/* A verdict by the old signatures that comes when the new ones are there. */
static void a_late_verdict_is_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct result r = {0};

    watch(f);
    wait_state(f, SCANNER_UP);
    clamd.holds_scan = true; /* until the new ones are there */
    assert_non_null(scanner_scan(f->scanner, f->fd, PATIENCE_MS, on_result, &r));
    clamd.version = "ClamAV 1/2/today";
    for (int i = 0; i < PATIENCE_MS && clamd.probes < 2; i++)
        loop_for(&f->loop, 1);
    assert_false(r.done);
    clamd.holds_scan = false;
    assert_true(loop_until(&f->loop, &r.done, PATIENCE_MS));
    assert_int_equal(r.verdict, CLAMD_CLEAN);
    scan(f);
    assert_int_equal(fake_clamd.scans, 2);
}

static void there_is_no_verdict_before_it_was_tried(void **state)
{
    struct fixture *f = *state;

    clamd.holds_probe = true;
    watch(f);
    assert_int_equal(scan(f).verdict, CLAMD_UNAVAILABLE);
    for (int i = 0; i < PATIENCE_MS && clamd.probes == 0; i++)
        loop_for(&f->loop, 1);
    assert_int_equal(scan(f).verdict, CLAMD_UNAVAILABLE);
    assert_int_equal(fake_clamd.scans, 0);
    clamd.holds_probe = false;
    wait_state(f, SCANNER_UP);
    assert_int_equal(scan(f).verdict, CLAMD_CLEAN);
}

static void one_that_is_unfit_gives_none(void **state)
{
    struct fixture *f = *state;
    struct scanner_info info;

    clamd.fitness = CLAMD_UNFIT;
    watch(f);
    wait_state(f, SCANNER_UNFIT);
    scanner_info(f->scanner, &info);
    assert_string_equal(info.remark, "set something");
    assert_string_equal(info.detail, "ClamAV 1/1/today");

    struct result r = scan(f);

    assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
    assert_string_equal(r.detail, "set something");
    assert_int_equal(fake_clamd.scans, 0);
}

static void one_that_was_away_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct result r;

    watch(f);
    wait_state(f, SCANNER_UP);
    scan(f);
    clamd.version = NULL;
    wait_state(f, SCANNER_DOWN);
    r = scan(f);
    assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
    assert_string_equal(r.detail, "nobody there");
    clamd.version = "ClamAV 1/1/today";
    wait_state(f, SCANNER_UP);
    assert_int_equal(clamd.probes, 2);
    scan(f); /* which is not remembered from before */
    assert_int_equal(fake_clamd.scans, 2);
}

/* It may be set up otherwise, though its version is the same: its word counts again when it has been tried.
 */
static void one_that_was_started_again_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct result r = {0};

    watch(f);
    wait_state(f, SCANNER_UP);
    clamd.holds_scan = true;
    assert_non_null(scanner_scan(f->scanner, f->fd, PATIENCE_MS, on_result, &r));
    while (fake_clamd.scans == 0)
        loop_for(&f->loop, 1);
    fake_clamd.lost++;
    clamd.fitness = CLAMD_UNFIT;
    clamd.holds_scan = false;
    assert_true(loop_until(&f->loop, &r.done, PATIENCE_MS));
    assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
    wait_state(f, SCANNER_UNFIT);
    assert_int_equal(clamd.probes, 2);
    fake_clamd.lost++;
    clamd.fitness = CLAMD_FIT;
    assert_int_equal(scan(f).verdict, CLAMD_UNAVAILABLE);
    wait_state(f, SCANNER_UP);
    assert_int_equal(scan(f).verdict, CLAMD_CLEAN);
}

/* `decant convert` has no time for that. */
static void who_does_not_watch_takes_it_as_it_is(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(scan(f).verdict, CLAMD_CLEAN);
    assert_int_equal(scan(f).verdict, CLAMD_CLEAN);
    assert_int_equal(fake_clamd.scans, 2);
    assert_int_equal(clamd.probes + clamd.versions, 0);
}

static void a_cancelled_scan_is_silent(void **state)
{
    struct fixture *f = *state;
    struct result r = {0};

    watch(f);
    wait_state(f, SCANNER_UP);
    scanner_scan_cancel(scanner_scan(f->scanner, f->fd, PATIENCE_MS, on_result, &r));
    loop_for(&f->loop, 50);
    assert_int_equal(fake_clamd.scans, 0);
    clamd.holds_scan = true;

    struct scanner_scan *s = scanner_scan(f->scanner, f->fd, PATIENCE_MS, on_result, &r);

    while (fake_clamd.scans == 0)
        loop_for(&f->loop, 1);
    scanner_scan_cancel(s);
    loop_for(&f->loop, 50);
    assert_int_equal(fake_clamd.cancelled, 1);
    assert_false(r.done);
}

static void test_signatures_are_told(void **state)
{
    struct fixture *f = *state;
    struct scanner_info info;

    clamd.version = "ClamAV 1";
    watch(f);
    wait_state(f, SCANNER_UP);
    scanner_info(f->scanner, &info);
    assert_true(info.test_signatures);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_verdict_is_remembered_by_what_was_seen),
        TEST(no_verdict_is_not_remembered),
        TEST(it_is_forgotten_after_its_time),
        TEST(nothing_is_remembered_when_that_is_off),
        TEST(new_signatures_forget_all),
        TEST(a_late_verdict_is_not_remembered),
        TEST(there_is_no_verdict_before_it_was_tried),
        TEST(one_that_is_unfit_gives_none),
        TEST(one_that_was_away_is_tried_again),
        TEST(one_that_was_started_again_is_tried_again),
        TEST(who_does_not_watch_takes_it_as_it_is),
        TEST(a_cancelled_scan_is_silent),
        TEST(test_signatures_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
