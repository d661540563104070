#include "core/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct histogram_scale scale = {.unit = 1, .n_bounds = 3, .bounds = {10, 20, 40}};

static void bounds_belong_to_their_bucket(void **state)
{
    assert_int_equal(histogram_bucket(&scale, 0), 0);
    assert_int_equal(histogram_bucket(&scale, 10), 0);
    assert_int_equal(histogram_bucket(&scale, 11), 1);
    assert_int_equal(histogram_bucket(&scale, 40), 2);
    assert_int_equal(histogram_bucket(&scale, 41), 3);
    assert_int_equal(histogram_bucket(&scale, UINT64_MAX), 3);
}

static void observations_are_counted_once(void **state)
{
    static struct histogram h;
    static const uint64_t values[] = {1, 10, 11, 500};
    static const uint64_t expected[] = {2, 1, 0, 1};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        histogram_observe(&h, &scale, values[i]);
    for (size_t i = 0; i <= scale.n_bounds; i++)
        assert_int_equal(counter_read(&h.buckets[i]), expected[i]);
    assert_int_equal(counter_read(&h.sum), 522);
}

static void the_latency_scale_rises_and_fits(void **state)
{
    const struct histogram_scale *s = &histogram_latency;

    assert_true(s->n_bounds <= HISTOGRAM_BOUNDS_MAX);
    for (size_t i = 1; i < s->n_bounds; i++)
        assert_true(s->bounds[i] > s->bounds[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_belong_to_their_bucket),
        cmocka_unit_test(observations_are_counted_once),
        cmocka_unit_test(the_latency_scale_rises_and_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
