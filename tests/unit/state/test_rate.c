#include "fixture.h"

#include "core/str.h"
#include "state/rate.h"

struct taken {
    bool done;
    int err;
    struct rate_answer answer;
};

static void on_taken(void *arg, int err, const struct rate_answer *answer)
{
    struct taken *t = arg;

    t->done = true;
    t->err = err;
    if (answer)
        t->answer = *answer;
}

static struct rate_answer take_all(struct fixture *f, const struct rate_bucket buckets[], size_t n,
                                   uint64_t wanted)
{
    struct taken t = {0};

    rate_take(f->r, buckets, n, wanted, on_taken, &t);
    assert_false(t.done);
    while (!t.done)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(t.err, 0);
    return t.answer;
}

static struct rate_answer take(struct fixture *f, const char *name, struct rate rate, uint64_t wanted)
{
    return take_all(f, &(struct rate_bucket){name, rate}, 1, wanted);
}

/* An hour between two units: no test is that slow. */
static const struct rate slow = {.count = 5, .period_ms = 5 * 3600 * 1000, .burst = 5};

static void a_bucket_has_its_burst(void **state)
{
    struct fixture *f = *state;
    struct rate_answer a;

    for (uint64_t i = 1; i <= 5; i++) {
        a = take(f, "a", slow, 1);
        assert_int_equal(a.granted, 1);
        assert_int_equal(a.remaining, 5 - i);
        assert_int_equal(a.retry_ms, 0);
        assert_in_range(a.reset_ms, i * 3600000 - 1800000, i * 3600000);
    }
    for (int i = 0; i < 3; i++) { /* a refusal costs nothing */
        a = take(f, "a", slow, 1);
        assert_int_equal(a.granted, 0);
        assert_int_equal(a.remaining, 0);
        assert_in_range(a.retry_ms, 1800000, 3600000);
        assert_in_range(a.reset_ms, 4 * 3600000, 5 * 3600000);
    }
    assert_int_equal(take(f, "b", slow, 1).granted, 1);
}

static void a_bucket_is_filled_again(void **state)
{
    struct fixture *f = *state;
    const struct rate quick = {.count = 10, .period_ms = 1000, .burst = 2};

    assert_int_equal(take(f, "a", quick, 2).granted, 2);
    for (int i = 0; i < 5; i++) {
        for (struct rate_answer a = {0}; a.granted == 0;) { /* it says itself how long to wait */
            a = take(f, "a", quick, 1);
            uv_sleep((unsigned)a.retry_ms);
            assert_in_range(a.retry_ms, 0, 100);
        }
    }
    while (redis_server_int(f->server, "EXISTS decant:rate:a")) /* a full bucket is no key */
        uv_sleep(10);
    assert_int_equal(take(f, "a", quick, 5).granted, 2);
}

static void on_filled(void *arg, int err, const redisReply *reply)
{
    assert_int_equal(err, 0);
    *(bool *)arg = true;
}

static void buckets_are_filled_at_once(void **state)
{
    struct fixture *f = *state;
    const char *const names[] = {"a", "b"};
    bool done = false;

    assert_int_equal(take(f, "a", slow, 5).granted, 5);
    assert_int_equal(take(f, "b", slow, 2).granted, 2);
    assert_int_equal(take(f, "c", slow, 5).granted, 5);
    rate_fill(f->r, names, 2, on_filled, &done);
    while (!done)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(take(f, "a", slow, 5).granted, 5);
    assert_int_equal(take(f, "b", slow, 5).granted, 5);
    assert_int_equal(take(f, "c", slow, 1).granted, 0);
}

static void as_many_as_there_are(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(take(f, "a", slow, 3).granted, 3);
    assert_int_equal(take(f, "a", slow, 3).granted, 2);
    assert_int_equal(take(f, "a", slow, 3).granted, 0);
}

/* Nothing is taken from one bucket when another one refuses. */
static void all_or_none(void **state)
{
    struct fixture *f = *state;
    const struct rate small = {.count = 1, .period_ms = 3600 * 1000, .burst = 2};
    const struct rate_bucket both[] = {{"large", slow}, {"small", small}};
    struct rate_answer a = take_all(f, both, 2, 4);

    assert_int_equal(a.granted, 2);
    assert_int_equal(a.bucket, 1);
    assert_int_equal(a.remaining, 0);
    for (int i = 0; i < 3; i++) {
        a = take_all(f, both, 2, 1);
        assert_int_equal(a.granted, 0);
        assert_int_equal(a.bucket, 1);
    }
    assert_int_equal(take(f, "large", slow, 10).granted, 3);
    a = take_all(f, both, 2, 1);
    assert_int_equal(a.granted, 0);
    assert_in_range(a.retry_ms, 1800000, 3600000);
}

static void a_clock_set_back_locks_nobody_out(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(take(f, "a", slow, 1).granted, 1);
    redis_server_do(f->server, "SET decant:rate:a 99999999999999999");
    assert_in_range(take(f, "a", slow, 1).retry_ms, 1, 3600000);
    redis_server_do(f->server, "SET decant:rate:a 1000");
    assert_int_equal(take(f, "a", slow, 9).granted, 5);
}

static void every_key_expires(void **state)
{
    struct fixture *f = *state;
    const struct rate fine = {.count = 1000000, .period_ms = 1000, .burst = 1000000};

    take(f, "a", slow, 2);
    assert_in_range(redis_server_int(f->server, "PTTL decant:rate:a"), 3600000, 2 * 3600000);
    assert_int_equal(take(f, "b", fine, 16).granted, 16);
    while (redis_server_int(f->server, "EXISTS decant:rate:b"))
        uv_sleep(1);
}

static void without_redis(void **state)
{
    struct fixture *f = *state;
    struct taken t = {0};

    rate_take(f->r, &(struct rate_bucket){"a", slow}, 1, 1, on_taken, &t);
    redis_free(TAKE_PTR(f->r));
    assert_true(t.done);
    assert_int_equal(t.err, -ENOTCONN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bucket_has_its_burst, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_bucket_is_filled_again, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(buckets_are_filled_at_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(as_many_as_there_are, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(all_or_none, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_clock_set_back_locks_nobody_out, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(every_key_expires, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(without_redis, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
