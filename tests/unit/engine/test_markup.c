/* The markup engine's tables: what it offers it can name to Pandoc. */
#include "engine/markup/markup.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void all_that_is_offered_has_a_name(void **state)
{
    for (const struct engine_conversions *c = engine_markup.conversions; c->from; c++)
        for (size_t i = 0; i < n_formats; i++) {
            if (words_have(c->from, formats[i].id))
                assert_non_null(markup_reader(formats[i].id));
            if (words_have(c->to, formats[i].id))
                assert_non_null(markup_writer(formats[i].id));
        }
}

static void names_are_pandocs(void **state)
{
    assert_string_equal(markup_reader("md"), "markdown");
    assert_string_equal(markup_writer("tex"), "latex");
    assert_string_equal(markup_reader("rst"), "rst");
    assert_null(markup_reader("rtf"));
    assert_null(markup_writer("creole"));
    assert_null(markup_reader("pdf"));
    assert_null(markup_writer("pdf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_offered_has_a_name),
        cmocka_unit_test(names_are_pandocs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
