/* Examples of https://www.w3.org/TR/trace-context/, and each way to be none of them. */
#include "core/trace.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void takes_what_is_well_formed(void **state)
{
    static const struct {
        const char *text;
        unsigned flags;
    } good[] = {
        {"00-" ID "-" SPAN "-01", 1},          {"00-" ID "-" SPAN "-00", 0}, {"00-" ID "-" SPAN "-ff", 0xff},
        {"01-" ID "-" SPAN "-01", 1},          /* a later version, which says nothing more … */
        {"cc-" ID "-" SPAN "-01-what.the", 1}, /* … or more, behind a dash */
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct trace t;

        assert_true(trace_parse(good[i].text, &t));
        assert_string_equal(t.id, ID);
        assert_string_equal(t.span, SPAN);
        assert_int_equal(t.flags, good[i].flags);
    }
}

static void refuses_all_else(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" ID "-" SPAN,
        "00-" ID "-" SPAN "-",
        "00-" ID "-" SPAN "-1",
        "00-" ID "-" SPAN "-011",
        "00-" ID "-" SPAN "-01-", /* version 00 says no more */
        "00-" ID "-" SPAN "-01-x",
        "01-" ID "-" SPAN "-01x",
        "ff-" ID "-" SPAN "-01", /* no version */
        "0x-" ID "-" SPAN "-01",
        "00-" ID "-" SPAN "-0g",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-" ID "-00F067AA0BA902B7-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" ID "-0000000000000000-01",
        "00_" ID "-" SPAN "-01",
        "00-" ID "_" SPAN "-01",
        "00-" ID "-" SPAN "_01",
        " 00-" ID "-" SPAN "-01",
        "00-" ID "-" SPAN "-01 ",
        "00-" ID "-" SPAN "-01,00-" ID "-" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473\xc3-" SPAN "-01",
    };
    struct trace t = {.id = "untouched"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (trace_parse(bad[i], &t))
            fail_msg("taken: %s", bad[i]);
    assert_false(trace_parse(NULL, &t));
    assert_string_equal(t.id, "untouched");
}

static void a_new_one_is_well_formed_and_goes_on(void **state)
{
    struct trace first, second, read;
    char header[TRACEPARENT_LEN + 1], another[TRACEPARENT_LEN + 1];

    trace_new(&first);
    trace_new(&second);
    assert_string_not_equal(first.id, second.id);
    trace_next(&first, header);
    trace_next(&first, another);
    assert_string_not_equal(header, another); /* each question is a span of its own */
    assert_true(trace_parse(header, &read));
    assert_string_equal(read.id, first.id);
    assert_string_not_equal(read.span, first.span);
    assert_int_equal(read.flags, 0);
    first.flags = 1;
    trace_next(&first, header);
    assert_true(trace_parse(header, &read));
    assert_int_equal(read.flags, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_well_formed),
        cmocka_unit_test(refuses_all_else),
        cmocka_unit_test(a_new_one_is_well_formed_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
