/* A clamd is tried whose configuration the test chooses. */
#include "files/clamd_probe.h"

#include "core/str.h"
#include "support/clamd_server.h"
#include "support/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 60000 };
enum { SMALL = 1 << 20, OVER_FILE_MAX = CLAMD_SERVER_FILE_MAX + (1 << 20), OVER_STREAM_MAX = 10 << 20 };

struct result {
    bool done;
    enum clamd_fitness fitness;
    char text[400];
};

static void on_tried(void *arg, enum clamd_fitness fitness, const char *text)
{
    struct result *r = arg;

    assert_false(r->done);
    r->done = true;
    r->fitness = fitness;
    snprintf(r->text, sizeof r->text, "%s", text);
}

static struct result probe(const char *url, uint64_t file_bytes, bool refuse_encrypted)
{
    struct clamd_demands demands = {file_bytes, refuse_encrypted, TIMEOUT_MS};
    struct result r = {0};
    struct clamd *c;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    c = clamd_new(&loop, url, 2);
    assert_non_null(clamd_probe_start(c, &demands, on_tried, &r));
    assert_false(r.done);
    assert_true(loop_until(&loop, &r.done, 4 * TIMEOUT_MS));
    clamd_free(c);
    loop_close(&loop);
    return r;
}

/* Over both ways. */
static void assert_tried(struct clamd_server *s, uint64_t file_bytes, bool refuse_encrypted,
                         enum clamd_fitness fitness, const char *word)
{
    const char *const urls[] = {clamd_server_unix_url(s), clamd_server_tcp_url(s)};

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct result r = probe(urls[i], file_bytes, refuse_encrypted);

        assert_int_equal(r.fitness, fitness);
        if (*word)
            assert_non_null(strstr(r.text, word));
        else
            assert_string_equal(r.text, "");
    }
}

static void one_that_is_set_up_well_is_fit(void **state)
{
    struct clamd_server *s = clamd_server_start();

    assert_tried(s, SMALL, false, CLAMD_FIT, "");
    assert_tried(s, 1, false, CLAMD_FIT, "");
    /* what it will refuse is said */
    assert_tried(s, OVER_FILE_MAX, false, CLAMD_FIT, "MaxFileSize");
    assert_int_equal(probe(clamd_server_tcp_url(s), OVER_STREAM_MAX, false).fitness, CLAMD_FIT);
    assert_non_null(strstr(probe(clamd_server_tcp_url(s), OVER_STREAM_MAX, false).text, "StreamMaxLength"));
    /* a policy that it does not keep */
    assert_tried(s, SMALL, true, CLAMD_UNFIT, "AlertEncrypted");
    clamd_server_free(s);
}

static void one_that_passes_what_it_did_not_see_is_unfit(void **state)
{
    struct clamd_server *s = clamd_server_start_with("AlertExceedsMax no\n");

    assert_tried(s, SMALL, false, CLAMD_UNFIT, "AlertExceedsMax");
    clamd_server_free(s);
    /* deep enough for what the probe packs, but not large enough */
    s = clamd_server_start_with("AlertExceedsMax no\nMaxRecursion 100\n");
    assert_tried(s, SMALL, false, CLAMD_UNFIT, "AlertExceedsMax");
    clamd_server_free(s);
}

static void one_that_tells_what_is_encrypted_keeps_the_policy(void **state)
{
    struct clamd_server *s = clamd_server_start_with("AlertExceedsMax yes\nAlertEncrypted yes\n");

    assert_tried(s, SMALL, true, CLAMD_FIT, "");
    assert_tried(s, SMALL, false, CLAMD_FIT, "encrypted files will be refused");
    clamd_server_free(s);
}

static void one_without_signatures_is_unfit(void **state)
{
    struct clamd_server *s = clamd_server_start_without_eicar();

    assert_tried(s, SMALL, false, CLAMD_UNFIT, "EICAR");
    clamd_server_free(s);
}

static void one_that_is_away_is_neither(void **state)
{
    struct result r = probe("unix:/nonexistent/clamd.sock", SMALL, false);

    assert_int_equal(r.fitness, CLAMD_UNTRIED);
    assert_true(strlen(r.text) > 0);
}

static void a_cancelled_probe_is_silent(void **state)
{
    struct clamd_demands demands = {SMALL, false, TIMEOUT_MS};
    struct clamd_server *s = clamd_server_start();
    struct result r = {0};
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);

    struct clamd *c = clamd_new(&loop, clamd_server_unix_url(s), 2);
    struct clamd_probe *p = clamd_probe_start(c, &demands, on_tried, &r);

    clamd_probe_cancel(p);
    loop_for(&loop, 50);
    assert_false(r.done);
    clamd_free(c);
    loop_close(&loop);
    clamd_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_set_up_well_is_fit),
        cmocka_unit_test(one_that_passes_what_it_did_not_see_is_unfit),
        cmocka_unit_test(one_that_tells_what_is_encrypted_keeps_the_policy),
        cmocka_unit_test(one_without_signatures_is_unfit),
        cmocka_unit_test(one_that_is_away_is_neither),
        cmocka_unit_test(a_cancelled_probe_is_silent),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
