/* Names in an archive: no two that are one for somebody. tests/system/test_download_all.py has whole
 * archives. */
#include "api/archive.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_numbers(void **state)
{
    static const struct {
        const char *name;
        unsigned number;
        const char *numbered;
    } rows[] = {
        {"a.pdf", 2, "a (2).pdf"}, {"a.b.pdf", 10, "a.b (10).pdf"},
        {"a", 2, "a (2)"},         {"a.tar.gz", 3, "a (3).tar.gz"},
        {".pdf", 2, ".pdf (2)"},   {"größe.pdf", 100, "größe (100).pdf"},
    };
    char name[FILENAME_MAX_BYTES + 1];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        filename_number(rows[i].name, rows[i].number, name);
        assert_string_equal(name, rows[i].numbered);
    }
}

/* It is clipped to fit, between characters. */
static void test_long_names(void **state)
{
    char name[FILENAME_MAX_BYTES + 1] = "", numbered[FILENAME_MAX_BYTES + 1];

    for (int i = 0; i < 83; i++)
        strcat(name, "\xe5\xa0\xb1"); /* 3 bytes each */
    strcat(name, "ab.pdf");
    assert_int_equal(strlen(name), FILENAME_MAX_BYTES);
    filename_number(name, 2, numbered);
    assert_true(strlen(numbered) <= FILENAME_MAX_BYTES);
    assert_string_equal(numbered + strlen(numbered) - strlen("\xb1 (2).pdf"), "\xb1 (2).pdf");
}

static void test_unique(void **state)
{
    static const char *const given[] = {"a.pdf", "a.pdf", "A.PDF", "b.pdf", "a (2).pdf", "a.pdf"},
                             *const made[] = {"a.pdf", "a (2).pdf",     "A (3).PDF",
                                              "b.pdf", "a (2) (2).pdf", "a (4).pdf"};
    char names[ARRAY_SIZE(given)][FILENAME_MAX_BYTES + 1];

    for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
        snprintf(names[i], sizeof names[i], "%s", given[i]);
        archive_name(names, i, names[i]);
        assert_string_equal(names[i], made[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_long_names),
                                       cmocka_unit_test(test_unique)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
