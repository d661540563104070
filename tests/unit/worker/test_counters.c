/* What workers tell Redis: added up over all of them, each thing once, whatever is told again. */
#include "worker/counters.h"

#include "core/str.h"
#include "state/job.h"
#include "support/loop.h"
#include "support/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15000 };

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *redis;
    struct counters *counters;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->server = redis_server_start(NULL);
    uv_loop_init(&f->loop);
    assert_int_equal(
        redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &f->redis), 0);
    f->counters = counters_new(f->redis, "decant@a:1:x");
    assert_non_null(f->counters);
    for (int i = 0; i < PATIENCE_MS / 10 && !redis_connected(f->redis); i++)
        loop_for(&f->loop, 10);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    redis_free(f->redis);
    loop_close(&f->loop);
    counters_free(f->counters);
    redis_server_free(f->server);
    free(f);
    return 0;
}

static void on_told(void *arg, int err, const redisReply *reply)
{
    *(bool *)arg = true;
}

static void tell(struct fixture *f, struct counters *c)
{
    bool told = false;

    counters_tell(c, on_told, &told);
    assert_false(told);
    assert_true(loop_until(&f->loop, &told, PATIENCE_MS));
}

static void assert_count(struct fixture *f, const char *field, const char *expected)
{
    redisReply *reply = redis_server_reply(f->server, "HGET decant:counts %s", field);

    assert_string_equal(reply->type == REDIS_REPLY_STRING ? reply->str : "none", expected);
    freeReplyObject(reply);
}

static const struct counted_job job = {.engine = "pdf",
                                       .source = "pdf",
                                       .target = "png",
                                       .outcome = "ok",
                                       .queue_ms = 5,
                                       .duration_ms = 70,
                                       .cpu_ms = 33,
                                       .peak_kib = 40 << 10};

static void a_job_is_counted_in_all_its_families(void **state)
{
    struct fixture *f = *state;
    struct counted_job killed = job;

    counters_job(f->counters, &job);
    killed.outcome = killed.kill = "timed_out";
    killed.killed = "image"; /* the second step's */
    killed.queue_ms = JOB_UNKNOWN;
    killed.peak_kib = 0;
    counters_job(f->counters, &killed);
    tell(f, f->counters);
    assert_count(f, "jobs pdf pdf png ok", "1");
    assert_count(f, "jobs pdf pdf png timed_out", "1");
    assert_count(f, "kills image timed_out", "1");
    assert_count(f, "wait pdf pdf png 0", "1");
    assert_count(f, "wait pdf pdf png sum", "5");
    assert_count(f, "run pdf pdf png 1", "2");
    assert_count(f, "run pdf pdf png sum", "140");
    assert_count(f, "cpu pdf pdf png", "66");
    assert_count(f, "memory pdf 1", "1");
    assert_count(f, "memory pdf sum", "41943040");
}

static void what_is_told_twice_counts_once(void **state)
{
    struct fixture *f = *state;

    counters_add(f->counters, WORK_TASKS, "completed", 3);
    tell(f, f->counters);
    tell(f, f->counters);
    assert_count(f, "tasks completed", "3");
    /* as when the answer was lost: what this worker remembers to have told is not what Redis does */
    redis_server_do(f->server, "HSET decant:counts:decant@a:1:x %s 5", "tasks completed");
    counters_add(f->counters, WORK_TASKS, "completed", 4);
    tell(f, f->counters);
    assert_count(f, "tasks completed", "5");
    assert_true(redis_server_int(f->server, "TTL decant:counts") > 2000000);
    assert_true(redis_server_int(f->server, "TTL decant:counts:decant@a:1:x") > 80000);
}

/* A worker that was started again is another one, from zero, and the sum goes on. */
static void a_sum_survives_its_workers(void **state)
{
    struct fixture *f = *state;
    struct counters *next;

    counters_add(f->counters, WORK_TASKS, "failed", 2);
    tell(f, f->counters);
    next = counters_new(f->redis, "decant@a:2:y");
    counters_add(next, WORK_TASKS, "failed", 1);
    tell(f, next);
    assert_count(f, "tasks failed", "3");
    redis_measure(f->redis, NULL);
    counters_free(next);
}

/* While Redis is away nothing is lost, and a Redis that has lost everything begins with what is known. */
static void what_was_not_heard_is_told_again(void **state)
{
    struct fixture *f = *state;

    counters_add(f->counters, WORK_TASKS, "completed", 2);
    redis_server_kill(f->server);
    loop_for(&f->loop, 50);
    tell(f, f->counters);
    redis_server_restart(f->server);
    for (int i = 0; i < PATIENCE_MS / 10 && !redis_connected(f->redis); i++)
        loop_for(&f->loop, 10);
    tell(f, f->counters);
    assert_count(f, "tasks completed", "2");
    assert_true(redis_server_int(f->server, "HEXISTS decant:counts redis_failed") == 1);
}

static void many_series_go_in_several_messages(void **state)
{
    enum { MANY = 2 * WORK_TOLD_MAX + 7 };
    struct fixture *f = *state;
    char name[24];

    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "e%d", i);
        counters_add(f->counters, WORK_TASKS, name, 1);
    }
    tell(f, f->counters);
    assert_true(redis_server_int(f->server, "HLEN decant:counts") >= MANY);
    assert_count(f, "tasks e0", "1");
}

static void the_pace_is_of_late_and_by_engine(void **state)
{
    struct fixture *f = *state;
    struct counted_job slow = job;
    uint64_t share, run_ms;

    assert_false(counters_pace(f->counters, "pdf", &share, &run_ms));
    counters_job(f->counters, &job);
    assert_true(counters_pace(f->counters, "pdf", &share, &run_ms));
    assert_int_equal(share, 1000);
    assert_int_equal(run_ms, 70);
    slow.engine = "office";
    slow.duration_ms = 4000;
    for (int i = 0; i < 200; i++)
        counters_job(f->counters, &slow);
    assert_true(counters_pace(f->counters, "pdf", &share, &run_ms));
    assert_int_equal(share, 0);
    assert_int_equal(run_ms, 70);
    assert_true(counters_pace(f->counters, "office", &share, &run_ms));
    assert_int_equal(share, 1000);
    assert_int_equal(run_ms, 4000);
    slow.duration_ms = 1000;
    for (int i = 0; i < 100; i++)
        counters_job(f->counters, &slow);
    assert_true(counters_pace(f->counters, "office", &share, &run_ms));
    assert_in_range(run_ms, 1000, 1100);
}

static void nobody_counts_without_a_place(void **state)
{
    counters_add(NULL, WORK_TASKS, "completed", 1);
    counters_observe(NULL, WORK_SCAN, "", 1);
    counters_set(NULL, WORK_RESTARTS, "pdf", 1);
    counters_job(NULL, &job);
    counters_free(NULL);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_counted_in_all_its_families),
        TEST(what_is_told_twice_counts_once),
        TEST(a_sum_survives_its_workers),
        TEST(what_was_not_heard_is_told_again),
        TEST(many_series_go_in_several_messages),
        TEST(the_pace_is_of_late_and_by_engine),
        cmocka_unit_test(nobody_counts_without_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
