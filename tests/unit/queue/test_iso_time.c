#include "core/clock.h"
#include "queue/iso_time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_accepted(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00", 0},
        {"1970-01-01T00:00:01Z", 1000},
        {"2026-11-21T16:14:29.908600+00:00", 1795277669908},
        {"2026-11-21T16:14:29.908600", 1795277669908},
        {"2026-11-21 16:14:29", 1795277669000},
        {"2026-11-21T17:14:29+01:00", 1795277669000},
        {"2026-11-21T10:44:29-0530", 1795277669000},
        {"2024-02-29T00:00:00.5Z", 1709164800500},
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        uint64_t ms = 1;

        assert_int_equal(iso_time_parse(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "2026",
        "2026-11-21",
        "2026-11-21T16:14",
        "2026-11-21T16:14:29.",
        "2026-11-21T16:14:29+1",
        "2026-11-21T16:14:29+25:00",
        "2026-11-21T16:14:29+01:00x",
        "2026-13-21T16:14:29",
        "2026-02-29T16:14:29",
        "2026-11-21T24:00:00",
        "1969-12-31T23:59:59",
        "1970-01-01T00:00:00+01:00",
        "2026-11-21T16:14:29.1234567890",
        "-026-11-21T16:14:29",
    };
    uint64_t ms = 7;

    assert_int_equal(iso_time_parse(NULL, &ms), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(iso_time_parse(bad[i], &ms), -EINVAL);
    assert_int_equal(ms, 7);
}

static void test_our_own(void **state)
{
    char text[CLOCK_RFC3339_LEN + 1];
    uint64_t now = clock_real_ms(), ms;

    clock_rfc3339(now, text);
    assert_int_equal(iso_time_parse(text, &ms), 0);
    assert_int_equal(ms, now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_our_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
