/* What Redis says that workers have counted: nothing of it is believed but what can be. */
#include "api/metrics.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PAIRS_MAX = 16 };

/* The text for a hash of these fields and values. */
static char *written(const char *const pairs[])
{
    redisReply strings[2 * PAIRS_MAX], *elements[2 * PAIRS_MAX];
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .element = elements};
    struct buf out = BUF_INIT(1 << 20);

    for (size_t n = 0; pairs[n]; n++) {
        assert_true(n < 2 * (size_t)PAIRS_MAX);
        strings[n] = (redisReply){
            .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)pairs[n], .len = strlen(pairs[n])};
        elements[n] = &strings[n];
        reply.elements = n + 1;
    }
    metrics_write_work(&out, &reply);
    assert_int_equal(buf_error(&out), 0);
    return buf_take(&out);
}

#define WRITTEN(...) written((const char *const[]){__VA_ARGS__, NULL})

static void assert_has(const char *text, const char *line)
{
    const char *at = strstr(text, line);

    if (!at || (at > text && at[-1] != '\n') || at[strlen(line)] != '\n')
        fail_msg("no line %s in:\n%s", line, text);
}

static void counters_have_their_unit(void **state)
{
    _cleanup_free_ char *text = WRITTEN("jobs pdf pdf png ok", "3", "cpu pdf pdf png", "1500");

    assert_has(text, "# TYPE decant_jobs_finished_total counter");
    assert_has(text,
               "decant_jobs_finished_total{engine=\"pdf\",source=\"pdf\",target=\"png\",outcome=\"ok\"} 3");
    assert_has(text, "decant_job_cpu_seconds_total{engine=\"pdf\",source=\"pdf\",target=\"png\"} 1.5");
}

static void histograms_are_cumulative(void **state)
{
    _cleanup_free_ char *text = WRITTEN("run pdf pdf png sum", "100260", "run pdf pdf png 11", "1",
                                        "run pdf pdf png 0", "2", "run image png jpg 1", "4");

    assert_has(text,
               "decant_job_run_seconds_bucket{engine=\"pdf\",source=\"pdf\",target=\"png\",le=\"0.05\"} 2");
    assert_has(text,
               "decant_job_run_seconds_bucket{engine=\"pdf\",source=\"pdf\",target=\"png\",le=\"120\"} 2");
    assert_has(text,
               "decant_job_run_seconds_bucket{engine=\"pdf\",source=\"pdf\",target=\"png\",le=\"+Inf\"} 3");
    assert_has(text, "decant_job_run_seconds_sum{engine=\"pdf\",source=\"pdf\",target=\"png\"} 100.26");
    assert_has(text, "decant_job_run_seconds_count{engine=\"pdf\",source=\"pdf\",target=\"png\"} 3");
    assert_has(text, "decant_job_run_seconds_count{engine=\"image\",source=\"png\",target=\"jpg\"} 4");
}

/* What is watched for its first step begins with a zero, once. */
static void few_series_are_there_from_the_first(void **state)
{
    _cleanup_free_ char *text = WRITTEN("kills pdf timed_out", "2");

    assert_has(text, "decant_sandbox_kills_total{engine=\"pdf\",reason=\"timed_out\"} 2");
    assert_has(text, "decant_sandbox_kills_total{engine=\"office\",reason=\"forbidden_call\"} 0");
    assert_has(text, "decant_engine_restarts_total{engine=\"image\"} 0");
    assert_has(text, "decant_scanner_verdicts_total{verdict=\"unavailable\",origin=\"none\"} 0");
    assert_has(text, "decant_webhook_attempts_total{delivery=\"dropped\"} 0");
    assert_has(text, "decant_tasks_ended_total{ending=\"lost\"} 0");
    assert_has(text, "decant_worker_redis_command_failures_total 0");
    assert_null(strstr(text, "decant_sandbox_kills_total{engine=\"pdf\",reason=\"timed_out\"} 0"));
    assert_null(strstr(text, "decant_jobs_finished_total{"));
}

static void what_is_not_ours_is_left_out(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "jobs",
        "jobs pdf pdf png",
        "jobs pdf pdf png ok more",
        "jobs pdf pdf nothing ok",
        "jobs nobody pdf png ok",
        "jobs pdf pdf png \"} 1\nevil 1",
        "jobs  pdf pdf png ok",
        "run pdf pdf png",
        "run pdf pdf png 12", /* there are 11 bounds, so 12 buckets, from 0 */
        "run pdf pdf png -1",
        "run pdf pdf png sum sum",
        "tasks secret",
        "other pdf",
        "a b c d e f g h i j k l m n",
        "jobs pdf pdf png "
        "okokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokokok"
        "okokokokokokokokokokokokokokok",
    };
    _cleanup_free_ char *nothing = WRITTEN("x", "1");

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_free_ char *text = WRITTEN(bad[i], "1");

        assert_string_equal(text, nothing);
    }

    static const char *const no_numbers[] = {"", "-1", "1.5", "x", "18446744073709551616", " 1"};

    for (size_t i = 0; i < ARRAY_SIZE(no_numbers); i++) {
        _cleanup_free_ char *text = WRITTEN("jobs pdf pdf png ok", no_numbers[i]);

        assert_string_equal(text, nothing);
    }
}

static void an_answer_of_another_shape_is_none(void **state)
{
    const redisReply nil = {.type = REDIS_REPLY_NIL};
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
    _cleanup_free_ char *nothing = WRITTEN("x", "1");

    metrics_write_work(&out, &nil);
    assert_string_equal(out.data, nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_have_their_unit),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(few_series_are_there_from_the_first),
        cmocka_unit_test(what_is_not_ours_is_left_out),
        cmocka_unit_test(an_answer_of_another_shape_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
