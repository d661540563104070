#include "api/outlook.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char half_and_half[] = "{\"office\": {\"state\": \"up\", \"share\": 500, \"run_ms\": 3000},"
                                    " \"image\": {\"state\": \"up\", \"share\": 500, \"run_ms\": 1000},"
                                    " \"pdf\": {\"state\": \"up\"}}";

static void assert_wait_of(const struct outlook *o, const char *family, uint64_t ahead, uint64_t claimed,
                           int64_t expected)
{
    uint64_t ms = 0;
    bool known = outlook_wait(o, family, &(struct queue_place){ahead, claimed}, &ms);

    assert_int_equal(known ? (int64_t)ms : -1, expected);
}

/* Of a family that is a half of the work. */
static void assert_wait(const struct outlook *o, uint64_t ahead, uint64_t claimed, int64_t expected)
{
    assert_wait_of(o, "images", ahead, claimed, expected);
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
    const struct worker_info worker = {.engines = "{\"image\": {}}", .slots = 2};
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
    assert_wait(&o, 0, 2, 1000); /* one of two that take 2 s ends every second */
    assert_wait(&o, 9, 2, 2000 + 8 * 500);
    assert_wait_of(&o, "documents", 9, 2, 2000 + 8 * 1500);
    assert_wait_of(&o, "pdf", 9, 2, 2000 + 8 * 1000); /* of which nothing was measured */
    assert_wait_of(&o, "others", 0, 0, -1);
}

/* One slot of three is left to the others, and a worker without the engine does not count. */
static void a_family_has_its_share_of_the_slots(void **state)
{
    const struct worker_info workers[] = {
        {.engines = half_and_half, .slots = 3, .family_slots = 2},
        {.engines = "{\"pdf\": {\"share\": 1000, \"run_ms\": 9000}}", .slots = 5, .family_slots = 5},
    };
    struct outlook o = {0};

    outlook_learn(&o, workers, ARRAY_SIZE(workers));
    assert_wait(&o, 0, 2, 0);
    assert_wait(&o, 4, 3, 3 * 2000 / 3 + 2 * 1000 / 2);
    assert_wait_of(&o, "documents", 4, 3, 3 * 2000 / 3 + 2 * 3000 / 2);
    assert_wait_of(&o, "pdf", 7, 0, 0); /* for which there are eight */
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
    assert_wait_of(&o, "pdf", 3, 0, 0); /* four slots */
    assert_wait_of(&o, "pdf", 0, 4, 2000 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_without_workers),
        cmocka_unit_test(a_free_slot_is_no_wait_whatever_was_measured),
        cmocka_unit_test(who_is_behind_waits_for_who_is_before),
        cmocka_unit_test(workers_count_by_their_slots),
        cmocka_unit_test(a_family_has_its_share_of_the_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
