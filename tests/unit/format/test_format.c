#include "core/str.h"
#include "format/format.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void found_by_id_and_name(void **state)
{
    const struct format *docx = format_by_id("docx");

    assert_non_null(docx);
    assert_string_equal(docx->label, "Word document");
    assert_ptr_equal(format_by_name("Report.DOCX"), docx);
    assert_ptr_equal(format_by_name("a.tar.docx"), docx);
    assert_ptr_equal(format_by_name("photo.JpEg"), format_by_id("jpg"));
    assert_ptr_equal(format_by_name("scan.tif"), format_by_id("tiff"));
    assert_ptr_equal(format_by_name("a.TAR.gz"), format_by_id("tgz"));
    assert_ptr_equal(format_by_name("atar.gz"), format_by_id("gz"));
    assert_string_equal(format_extension_of("a.b.tar.xz"), ".tar.xz");
    assert_string_equal(format_extension_of("a.b.unknown"), ".unknown");
    assert_string_equal(format_extension_of(".unknown"), "");
    assert_null(format_by_name(".pdf"));
    assert_null(format_by_name("/home/a/.pdf"));
}

static void unknown_names_have_none(void **state)
{
    static const char *const names[] = {"",        "docx",       "docx.",   "a.exe",       "a.docx ",
                                        "a.doc x", "a.pdf/x",    "a.pdf.b", "a.docx docm", "a.pdf\\b",
                                        ".pdf",    "folder/.pdf"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_null(format_by_name(names[i]));
    assert_null(format_by_name(NULL));
    assert_null(format_by_id(NULL));
    assert_null(format_by_id(""));
    assert_null(format_by_id("DOCX"));
}

static void mime_is_the_first(void **state)
{
    char mime[128];

    format_mime(format_by_id("heic"), mime);
    assert_string_equal(mime, "image/heic");
    format_mime(format_by_id("docx"), mime);
    assert_string_equal(mime, "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
}

/* Ids become extensions of stored files and JSON keys; an extension must mean one format. */
static void the_table_is_sound(void **state)
{
    for (size_t i = 0; i < n_formats; i++) {
        const struct format *f = &formats[i];
        const char *word;
        char mime[128];
        size_t n, words = 0;

        assert_ptr_equal(format_by_id(f->id), f);
        for (const char *c = f->id; *c; c++)
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c));
        assert_in_range(strlen(f->id), 1, 8);
        for (const char *p = f->extensions; (p = words_next(p, &word, &n)); words++) {
            char name[32];

            snprintf(name, sizeof name, "x.%.*s", (int)n, word);
            assert_ptr_equal(format_by_name(name), f);
        }
        assert_true(words > 0);
        assert_true(words_have(f->extensions, f->id));
        format_mime(f, mime);
        assert_non_null(strchr(mime, '/'));
        assert_true(strlen(f->magic) > 0);
        assert_true(strlen(format_category_name(f->category)) > 0);
        if (f->structure == STRUCTURE_OOXML || f->structure == STRUCTURE_ODF || f->structure == STRUCTURE_OLE)
            assert_non_null(f->marker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_id_and_name),
        cmocka_unit_test(unknown_names_have_none),
        cmocka_unit_test(mime_is_the_first),
        cmocka_unit_test(the_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
