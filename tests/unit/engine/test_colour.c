#include "engine/colour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void is_colour(const char *text, unsigned red, unsigned green, unsigned blue)
{
    struct colour c;

    assert_true(colour_parse(text, &c));
    assert_int_equal(c.red, red);
    assert_int_equal(c.green, green);
    assert_int_equal(c.blue, blue);
}

static void colours_are_told(void **state)
{
    is_colour("#000000", 0, 0, 0);
    is_colour("#1280fF", 0x12, 0x80, 0xff);
    is_colour("white", 255, 255, 255);
    is_colour("black", 0, 0, 0);
}

static void anything_else_is_none(void **state)
{
    static const char *const bad[] = {
        "",        "#",       "#fff",        "#fffff", "#fffffff", "#gggggg",
        "# 12345", "#+12345", "#0x1234",     "ffffff", "#ffffff ", " #ffffff",
        "##fffff", "White",   "transparent", "red",    "none",     "rgb(1,2,3)",
        "whiter",  "#-12345", "#12345\n",    "#é1234", "\xff",     "#ffffff; rm -rf /"};
    struct colour c;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(colour_parse(bad[i], &c));
}

static void greys_are_known(void **state)
{
    assert_true(colour_is_grey(&(struct colour){7, 7, 7}));
    assert_false(colour_is_grey(&(struct colour){7, 7, 8}));
    assert_false(colour_is_grey(&(struct colour){6, 7, 7}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(colours_are_told),
                                       cmocka_unit_test(anything_else_is_none),
                                       cmocka_unit_test(greys_are_known)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
