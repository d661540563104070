#include "api/limiter.h"

#include "core/str.h"
#include "support/loop.h"
#include "support/redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void rates_are_read(void **state)
{
    struct rate r[CLIENT_KINDS];

    assert_int_equal(limits_parse("120/m", r), 0);
    for (int kind = 0; kind < CLIENT_KINDS; kind++) {
        assert_int_equal(r[kind].count, 120);
        assert_int_equal(r[kind].period_ms, 60000);
        assert_int_equal(r[kind].burst, 120);
    }
    assert_int_equal(limits_parse("5/h:2", r), 0);
    assert_int_equal(r[CLIENT_SESSION].period_ms, 3600000);
    assert_int_equal(r[CLIENT_SESSION].burst, 2);
    assert_int_equal(limits_parse(" address=7/d  session=1/s:9 ", r), 0);
    assert_int_equal(r[CLIENT_SESSION].period_ms, 1000);
    assert_int_equal(r[CLIENT_SESSION].burst, 9);
    assert_int_equal(r[CLIENT_ADDRESS].period_ms, 86400000);
    assert_int_equal(r[CLIENT_USER].burst, 0);
    assert_int_equal(limits_parse("user=1000000/s", r), 0);
    assert_int_equal(r[CLIENT_USER].count, 1000000);
    assert_int_equal(limits_parse("off", r), 0);
    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        assert_int_equal(r[kind].burst, 0);
}

static void malformed_rates_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "120",
        "120/",
        "/m",
        "120/m:",
        "120/m:0",
        "0/m",
        "-1/m",
        "120/w",
        "120/mm",
        "120/m:5x",
        "120 /m",
        "1e3/m",
        "off off",
        "on",
        "1000001/s",
        "120/m 5/s",
        "session=120/m off",
        "session=",
        "session=off",
        "sessions=1/m",
        "ip=1/m",
        "session=1/m session=2/m",
        "=1/m",
        "1/d:1000",
        "99999999999999999999999/m",
    };
    struct rate r[CLIENT_KINDS];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (limits_parse(bad[i], r) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void the_variable_is_named(void **state)
{
    struct settings s = {.rate_session = "off",
                         .rate_upload = "session=1/m",
                         .rate_convert = "many",
                         .rate_read = "off",
                         .rate_download = "off",
                         .rate_page = "off",
                         .rate_login = "off",
                         .rate_guess = "off"};
    struct limits limits;
    const char *variable = NULL;

    assert_int_equal(limits_load(&s, &limits, &variable), -EINVAL);
    assert_string_equal(variable, "DECANT_RATE_CONVERT");
    s.rate_convert = "2/m";
    assert_int_equal(limits_load(&s, &limits, &variable), 0);
    assert_int_equal(limits.of[LIMIT_CONVERT][CLIENT_ADDRESS].count, 2);
    assert_int_equal(limits.of[LIMIT_UPLOAD][CLIENT_SESSION].count, 1);
    assert_int_equal(limits.of[LIMIT_UPLOAD][CLIENT_ADDRESS].burst, 0);
}

/* --- with Redis */

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *r;
    struct limits limits;
    struct limiter *limiter;
    char session[ID_TOKEN_LEN + 1], address[ID_TOKEN_LEN + 1];
    struct client_names client;
    struct limit_verdict verdict;
    int asked; /* times that Redis was */
    bool done;
};

static int setup(void **state)
{
    struct fixture *f = *state = calloc(1, sizeof *f);

    signal(SIGPIPE, SIG_IGN);
    f->server = redis_server_start(NULL);
    uv_loop_init(&f->loop);
    assert_int_equal(redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &f->r),
                     0);
    while (!redis_connected(f->r))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(limits_parse("session=40/h address=60/h", f->limits.of[LIMIT_READ]), 0);
    assert_int_equal(limits_parse("session=3/h", f->limits.of[LIMIT_UPLOAD]), 0);
    f->limiter = limiter_new(f->r, &f->limits);
    id_token(f->session);
    id_token(f->address);
    f->client = (struct client_names){{[CLIENT_SESSION] = f->session, [CLIENT_ADDRESS] = f->address}};
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    redis_free(f->r);
    limiter_free(f->limiter);
    loop_close(&f->loop);
    redis_server_free(f->server);
    free(f);
    return 0;
}

static void on_verdict(void *arg, int err, const struct limit_verdict *verdict)
{
    struct fixture *f = arg;

    assert_int_equal(err, 0);
    f->verdict = *verdict;
    f->done = true;
}

static bool may(struct fixture *f, enum limit_class limit)
{
    if (!limiter_knows(f->limiter, limit, &f->client, &f->verdict)) {
        f->asked++;
        f->done = false;
        limiter_ask(f->limiter, limit, &f->client, on_verdict, f);
        while (!f->done)
            uv_run(&f->loop, UV_RUN_ONCE);
    }
    return f->verdict.granted;
}

static void a_costly_class_is_counted_one_by_one(void **state)
{
    struct fixture *f = *state;

    for (int i = 1; i <= 3; i++) {
        assert_true(may(f, LIMIT_UPLOAD));
        assert_true(f->verdict.counted);
        assert_int_equal(f->verdict.kind, CLIENT_SESSION);
        assert_int_equal(f->verdict.remaining, 3 - i);
        assert_int_equal(f->asked, i);
    }
    assert_false(may(f, LIMIT_UPLOAD));
    assert_in_range(f->verdict.retry_ms, 600 * 1000, 1200 * 1000);
    assert_true(strlen(redis_server_str(f->server, "RANDOMKEY")) > strlen("decant:rate:upload:session:"));
    assert_null(strstr(redis_server_str(f->server, "RANDOMKEY"), f->session)); /* it must leave no trace */
    id_token(f->session);
    assert_true(may(f, LIMIT_UPLOAD));
}

static void a_cheap_class_asks_now_and_then(void **state)
{
    struct fixture *f = *state;

    for (int i = 1; i <= 40; i++) {
        assert_true(may(f, LIMIT_READ));
        assert_int_equal(f->verdict.remaining, 40 - i);
    }
    assert_int_equal(f->asked, 3); /* 16, 16 and the 8 that are left */
    assert_false(may(f, LIMIT_READ));
    assert_int_equal(f->verdict.kind, CLIENT_SESSION);
    assert_int_equal(f->asked, 4);

    id_token(f->session); /* another one at the same address */
    for (int i = 1; i <= 20; i++)
        assert_true(may(f, LIMIT_READ));
    assert_false(may(f, LIMIT_READ));
    assert_int_equal(f->verdict.kind, CLIENT_ADDRESS);
}

/* Asked by several requests at once, while the bucket is full again within microseconds. */
static void no_more_is_left_than_a_bucket_holds(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(limits_parse("session=1000000/s:20", f->limits.of[LIMIT_READ]), 0);
    for (int i = 0; i < 10; i++) {
        f->done = false;
        limiter_ask(f->limiter, LIMIT_READ, &f->client, on_verdict, f);
        while (!f->done)
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_true(f->verdict.granted);
    }
    assert_true(limiter_knows(f->limiter, LIMIT_READ, &f->client, &f->verdict));
    assert_in_range(f->verdict.remaining, 0, 19);
}

static void a_refusal_is_remembered(void **state)
{
    struct fixture *f = *state;
    int before;

    while (may(f, LIMIT_UPLOAD))
        ;
    before = f->asked;
    for (int i = 0; i < 1000; i++)
        assert_false(may(f, LIMIT_UPLOAD));
    /* Once a second at most; on a machine that stalls, as often as it does. */
    assert_in_range(f->asked - before, 0, 100);
    for (int i = 0; i < 100 && !limiter_refuses(f->limiter, LIMIT_UPLOAD, &f->client, &f->verdict); i++)
        assert_false(may(f, LIMIT_UPLOAD));
    assert_true(f->verdict.counted && !f->verdict.granted);
    assert_false(limiter_refuses(f->limiter, LIMIT_READ, &f->client, &f->verdict));
    assert_true(may(f, LIMIT_READ)); /* other classes have buckets of their own */
}

/* Of that class alone, and although the refusal was remembered. */
static void what_was_used_up_is_given_back(void **state)
{
    struct fixture *f = *state;

    while (may(f, LIMIT_UPLOAD))
        ;
    while (may(f, LIMIT_READ))
        ;
    limiter_forget(f->limiter, LIMIT_UPLOAD, &f->client);
    for (int i = 1; i <= 3; i++)
        assert_true(may(f, LIMIT_UPLOAD));
    assert_false(may(f, LIMIT_UPLOAD));
    assert_false(may(f, LIMIT_READ));
    limiter_forget(f->limiter, LIMIT_NONE, &f->client); /* has no limit */
}

static void without_a_limit_nothing_is_asked(void **state)
{
    struct fixture *f = *state;

    f->client.of[CLIENT_SESSION] = NULL; /* uploads are limited by session alone here */
    for (int i = 0; i < 100; i++) {
        assert_true(may(f, LIMIT_UPLOAD));
        assert_true(may(f, LIMIT_NONE));
        assert_false(f->verdict.counted);
    }
    assert_int_equal(f->asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read),
        cmocka_unit_test(malformed_rates_are_refused),
        cmocka_unit_test(the_variable_is_named),
        cmocka_unit_test_setup_teardown(a_costly_class_is_counted_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cheap_class_asks_now_and_then, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_is_left_than_a_bucket_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_used_up_is_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_limit_nothing_is_asked, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
