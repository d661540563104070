#include "api/outlook.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char half_and_half[] = "{\"office\": {\"state\": \"up\", \"share\": 500, \"run_ms\": 3000},"
                                    " \"image\": {\"state\": \"up\", \"share\": 500, \"run_ms\": 1000},"
                                    " \"pdf\": {\"state\": \"up\"}}";

static void assert_wait(const struct outlook *o, uint64_t ahead, uint64_t claimed, int64_t expected)
{
    uint64_t ms = 0;
    bool known = outlook_wait(o, &(struct queue_place){ahead, claimed}, &ms);

    assert_int_equal(known ? (int64_t)ms : -1, expected);
}

static void nothing_is_known_without_workers(void **state)
{
    struct outlook o = {0};

    assert_wait(&o, 0, 0, -1);
    outlook_learn(&o, NULL, 0);
    assert_wait(&o, 3, 0, -1);
}

static void a_free_slot_is_no_wait_whatever_was_measured(void **state)
{
    const struct worker_info worker = {.engines = "{}", .slots = 2};
    struct outlook o = {0};

    outlook_learn(&o, &worker, 1);
    assert_wait(&o, 0, 0, 0);
    assert_wait(&o, 1, 0, 0);
    assert_wait(&o, 0, 1, 0);
    assert_wait(&o, 1, 1, -1);
}

static void who_is_behind_waits_for_who_is_before(void **state)
{
    const struct worker_info worker = {.engines = half_and_half, .slots = 2};
    struct outlook o = {0};

    outlook_learn(&o, &worker, 1);
    assert_int_equal(o.run_ms, 2000);
    assert_wait(&o, 0, 2, 1000); /* one of two that take 2 s ends every second */
    assert_wait(&o, 9, 2, 10000);
}

static void workers_count_by_their_slots(void **state)
{
    const struct worker_info workers[] = {
        {.engines = "{\"pdf\": {\"share\": 1000, \"run_ms\": 1000}}", .slots = 3},
        {.engines = "{\"pdf\": {\"share\": 1000, \"run_ms\": 5000}}", .slots = 1},
        {.engines = "no JSON", .slots = 4},
        {.engines = "{\"pdf\": {\"share\": -3, \"run_ms\": 1e9}, \"x\": 3, \"y\": {\"share\": \"a\"}}",
         .slots = 0},
    };
    struct outlook o = {0};

    outlook_learn(&o, workers, ARRAY_SIZE(workers));
    assert_int_equal(o.slots, 8);
    assert_int_equal(o.run_ms, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_without_workers),
        cmocka_unit_test(a_free_slot_is_no_wait_whatever_was_measured),
        cmocka_unit_test(who_is_behind_waits_for_who_is_before),
        cmocka_unit_test(workers_count_by_their_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
