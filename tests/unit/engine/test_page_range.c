#include "engine/page_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pages_are_told(void **state)
{
    static const char *const good[] = {"1",  "1-3",  "3-1",          "z",      "z-1",
                                       "r1", "r2-z", "1-3,7,z-5,r2", "1234567"};
    static const char *const bad[] = {"",     "0",  "-",  "1-", "-3",     "1,",     ",1",       "1,,2",
                                      "a",    "r",  "r0", "zz", "1-2-3",  "1 ",     "12345678", "1-3;7",
                                      "1..3", "+1", "z1", "00", "--help", "@/etc/x"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(page_range_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(page_range_is_valid(bad[i]));
}

static void pages_have_to_be_there(void **state)
{
    assert_true(page_range_fits("1-5,z,r5,3", 5));
    assert_true(page_range_fits("z-1", 1));
    assert_false(page_range_fits("6", 5));
    assert_false(page_range_fits("1-6", 5));
    assert_false(page_range_fits("z,r6-1", 5));
    assert_false(page_range_fits("1234567", 1234566));
    assert_false(page_range_fits("z", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_are_told),
                                       cmocka_unit_test(pages_have_to_be_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
