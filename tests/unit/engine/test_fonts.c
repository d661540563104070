/* The list of fonts that were replaced: what it takes, what it refuses, how it is shown. */
#include "engine/fonts.h"

#include "core/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void families_are_the_same_however_they_are_written(void **state)
{
    assert_true(fonts_same("Times New Roman", "TimesNewRoman"));
    assert_true(fonts_same("ARIAL", "arial"));
    assert_true(fonts_same("Liberation-Sans ", "liberation_sans"));
    assert_false(fonts_same("Arial", "Arial Narrow"));
    assert_false(fonts_same("", "Arial"));
    assert_false(fonts_same("宋体", "宋"));
}

static void widths_are_known(void **state)
{
    assert_true(fonts_metric_compatible("Calibri", "Carlito"));
    assert_true(fonts_metric_compatible("Cambria", "Caladea"));
    assert_true(fonts_metric_compatible("ARIAL", "Liberation Sans"));
    assert_true(fonts_metric_compatible("Helvetica", "Liberation Sans"));
    assert_true(fonts_metric_compatible("Times New Roman", "Liberation Serif"));
    assert_true(fonts_metric_compatible("Courier New", "Liberation Mono"));
    assert_false(fonts_metric_compatible("Calibri", "Liberation Sans"));
    assert_false(fonts_metric_compatible("Arial Narrow", "Liberation Sans"));
    assert_false(fonts_metric_compatible("Calibri Light", "Carlito"));
    assert_false(fonts_metric_compatible("Nonexistent Sans", "Noto Sans"));
}

static void a_list_has_each_pair_once_by_names(void **state)
{
    struct font_list fonts = {0};

    fonts_add(&fonts, "Nonexistent Sans", "Noto Sans CJK SC");
    fonts_add(&fonts, "Calibri", "Carlito");
    fonts_add(&fonts, "Nonexistent Sans", "Noto Sans");
    fonts_add(&fonts, "CALIBRI", "Carlito");
    fonts_add(&fonts, "Arial", "Liberation Sans");
    assert_int_equal(fonts.n, 4);
    assert_string_equal(fonts.list[0].font, "Arial");
    assert_string_equal(fonts.list[1].font, "Calibri");
    assert_string_equal(fonts.list[2].used, "Noto Sans");
    assert_string_equal(fonts.list[3].used, "Noto Sans CJK SC");
}

static void names_are_made_harmless(void **state)
{
    struct font_list fonts = {0};
    char umlauts[2 * FONT_NAME_MAX + 2] = "x", cut[FONT_NAME_MAX + 1] = "x";

    for (int i = 0; i < FONT_NAME_MAX; i++)
        strcat(umlauts, "ü");
    for (int i = 0; i < (FONT_NAME_MAX - 1) / 2; i++)
        strcat(cut, "ü");
    fonts_add(&fonts, "a\nb\x1b[2J\x7f",
              "\xc2\x9b"
              "c");
    fonts_add(&fonts, umlauts, "Noto Sans");
    fonts_add(&fonts, "", "Noto Sans");
    fonts_add(&fonts, "\xff\xfe", "Noto Sans");
    assert_int_equal(fonts.n, 2);
    assert_string_equal(fonts.list[0].font, "a?b?[2J?");
    assert_string_equal(fonts.list[0].used, "?c");
    assert_string_equal(fonts.list[1].font, cut);
}

static struct font_list full_list(void)
{
    struct font_list fonts = {.known = true};

    for (unsigned i = 0; i < FONTS_MAX + 5; i++) {
        char name[FONT_NAME_MAX + 1];

        snprintf(name, sizeof name, "%064u", i);
        fonts_add(&fonts, name, name);
    }
    return fonts;
}

static void goes_through_a_message(void **state)
{
    const struct font_list full = full_list(), empty = {.known = true};
    struct font_list back;
    char text[FONTS_TEXT_MAX];

    assert_int_equal(full.n, FONTS_MAX);
    fonts_write(&full, text);
    assert_int_equal(fonts_parse(text, &back), 0);
    assert_true(back.known);
    assert_int_equal(back.n, full.n);
    assert_memory_equal(back.list, full.list, sizeof full.list);

    fonts_write(&empty, text);
    assert_string_equal(text, "");
    assert_int_equal(fonts_parse(text, &back), 0);
    assert_true(back.known);
    assert_int_equal(back.n, 0);
}

static void lies_are_refused(void **state)
{
    static const char *const lies[] = {
        "Calibri",                     /* no end of line */
        "Calibri\n",                   /* no stand-in */
        "Calibri\nCarlito",            /* cut off */
        "Calibri\n\n",                 /* an empty name */
        "\nCarlito\n",                 /* the same */
        "Cal\tibri\nCarlito\n",        /* C0 */
        "Cal\x7fibri\nCarlito\n",      /* DEL */
        "Cal\xc2\x85\nCarlito\n",      /* C1 */
        "Cal\xff\nCarlito\n",          /* no UTF-8 */
        "Cal\xc0\xaf\nCarlito\n",      /* overlong */
        "Calibri\nCarl\xed\xa0\x80\n", /* a surrogate */
        "0123456789012345678901234567890123456789012345678901234567890123x\nCarlito\n",
    };
    const struct font_list full = full_list();
    char many[2 * FONTS_TEXT_MAX];
    struct font_list back;

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        back.known = true;
        back.n = 7;
        assert_int_equal(fonts_parse(lies[i], &back), -EBADMSG);
        assert_false(back.known);
        assert_int_equal(back.n, 0);
    }
    fonts_write(&full, many);
    strcat(many, "One\nmore\n");
    assert_int_equal(fonts_parse(many, &back), -EBADMSG);
    assert_false(back.known);
}

static void is_shown_as_json(void **state)
{
    struct font_list fonts = {.known = true};
    const struct font_list unknown = {0};
    _cleanup_json_ json_t *none = fonts_json(&unknown), *empty = fonts_json(&fonts), *two = NULL;

    assert_true(json_is_null(none));
    assert_true(json_is_array(empty));
    assert_int_equal(json_array_size(empty), 0);
    fonts_add(&fonts, "Calibri", "Carlito");
    fonts_add(&fonts, "Nonexistent \"Sans\"", "Noto Sans");
    two = fonts_json(&fonts);

    _cleanup_free_ char *text = json_dumps(two, JSON_COMPACT);

    assert_string_equal(text, "[{\"font\":\"Calibri\",\"used\":\"Carlito\",\"metric_compatible\":true},"
                              "{\"font\":\"Nonexistent \\\"Sans\\\"\",\"used\":\"Noto Sans\","
                              "\"metric_compatible\":false}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_the_same_however_they_are_written),
        cmocka_unit_test(widths_are_known),
        cmocka_unit_test(a_list_has_each_pair_once_by_names),
        cmocka_unit_test(names_are_made_harmless),
        cmocka_unit_test(goes_through_a_message),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(is_shown_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
