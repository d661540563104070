/* Fonts with several names, by those that are installed. */
#include "engine/office/font_use.h"

#include "core/str.h"

#include <fontconfig/fontconfig.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *family(const FcPattern *font, int i)
{
    FcChar8 *name;

    return FcPatternGetString(font, FC_FAMILY, i, &name) == FcResultMatch ? (const char *)name : NULL;
}

static void both_names_are_of_one_font(void **state)
{
    FcPattern *all = FcPatternCreate();
    FcObjectSet *objects = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
    FcFontSet *fonts = FcFontList(NULL, all, objects);
    int seen = 0;

    for (int i = 0; fonts && i < fonts->nfont; i++) {
        const char *first = family(fonts->fonts[i], 0), *second = family(fonts->fonts[i], 1);

        if (!first || !second)
            continue;
        seen++;
        assert_true(font_use_is_name_of(first, second));
        assert_true(font_use_is_name_of(second, first));
        assert_false(font_use_is_name_of("Nonexistent Sans", first));
    }
    FcFontSetDestroy(fonts);
    FcObjectSetDestroy(objects);
    FcPatternDestroy(all);
    if (seen == 0)
        skip();
}

static void a_stand_in_is_another_font(void **state)
{
    assert_true(font_use_is_name_of("dejavu sans", "DejaVu Sans"));
    assert_false(font_use_is_name_of("Calibri", "Carlito"));
    assert_false(font_use_is_name_of("Carlito", "Caladea"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_names_are_of_one_font),
        cmocka_unit_test(a_stand_in_is_another_font),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
