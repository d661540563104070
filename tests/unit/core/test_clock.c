#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void times_are_written_in_utc(void **state)
{
    char text[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_rfc3339(UINT64_C(951782400007), text);
    assert_string_equal(text, "2000-02-29T00:00:00.007Z");
    clock_rfc3339(UINT64_C(253402300799999), text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void clocks_go_forward(void **state)
{
    uint64_t mono = clock_mono_ms(), real = clock_real_ms();
    struct timespec pause = {.tv_nsec = 20 * 1000000};

    assert_true(real > UINT64_C(1577836800000)); /* 2020 */
    nanosleep(&pause, NULL);
    assert_true(clock_mono_ms() >= mono + 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(clocks_go_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
