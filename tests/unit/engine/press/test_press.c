/* What the press engine does itself, without Ghostscript; results are read by Poppler. */
#include "engine/press/archival.h"

#include "engine/pages/work.h"
#include "engine/press/press.h"
#include "media/run.h"

#include <poppler.h>
#include <stdio.h>

static void assert_time(const char *text, const char *pdf, const char *xmp)
{
    struct archival_time t;

    assert_true(archival_parse_time(text, &t));
    assert_string_equal(t.pdf, pdf);
    assert_string_equal(t.xmp, xmp);
}

static void times_are_told_twice(void **state)
{
    static const char *const bad[] = {"",
                                      "D:",
                                      "D:2026",
                                      "2026-01-31",
                                      "D:20261301120000Z",
                                      "D:20260132120000Z",
                                      "D:20260131250000Z",
                                      "D:20260131120500-0930",
                                      "D:20260131120500 Z",
                                      "yesterday"};
    struct archival_time t;

    assert_time("D:20260131120500Z", "D:20260131120500Z", "2026-01-31T12:05:00Z");
    assert_time("D:20260131120500", "D:20260131120500Z", "2026-01-31T12:05:00Z");
    assert_time("D:20260131120500+01'00'", "D:20260131120500+01'00'", "2026-01-31T12:05:00+01:00");
    assert_time("D:20260131120500+01", "D:20260131120500+01'00'", "2026-01-31T12:05:00+01:00");
    assert_time("D:20260131120500-09'30", "D:20260131120500-09'30'", "2026-01-31T12:05:00-09:30");
    assert_time("D:20260131120500Z00'00'", "D:20260131120500Z", "2026-01-31T12:05:00Z");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(archival_parse_time(bad[i], &t));
}

#define PDF_WITH(info, catalog)                                                                              \
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R" catalog ">>endobj\n"                                      \
    "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"                                                     \
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"                                           \
    "4 0 obj<<" info ">>endobj\n"                                                                            \
    "trailer<</Root 1 0 R/Info 4 0 R/Size 5>>\nstartxref\n0\n%%EOF\n"

static PopplerDocument *read_pdf(const char *path)
{
    char *uri = g_filename_to_uri(path, NULL, NULL);
    PopplerDocument *document = poppler_document_new_from_file(uri, NULL, NULL);

    g_free(uri);
    assert_non_null(document);
    return document;
}

static void what_the_source_says_is_in_both_places(void **state)
{
    static const char said[] = PDF_WITH("/Title (\376\377\0G\0r\0\374\0\337\0e) /Author (A & <B>)"
                                        "/Keywords ( ) /CreationDate (D:20240102030405+01'00')"
                                        "/ModDate (never)",
                                        "");
    static const char mute[] = PDF_WITH("", "/Names<</EmbeddedFiles<</Names[(a)<<>>]>>>>");
    const char *source = in(*state, "source.pdf"), *path = in(*state, "made.pdf");
    PopplerDocument *document;
    char *title, *author, *keywords, *xmp;

    write_file(source, said, sizeof said - 1);
    write_file(path, mute, sizeof mute - 1);
    assert_int_equal(archival_describe(path, source, '1'), OUTCOME_OK);
    assert_true(work_is_archive_of_1_4(path));
    assert_false(work_is_archive_of_1_4(source));

    document = read_pdf(path);
    title = poppler_document_get_title(document);
    author = poppler_document_get_author(document);
    keywords = poppler_document_get_keywords(document);
    xmp = poppler_document_get_metadata(document);
    assert_string_equal(title, "Grüße");
    assert_string_equal(author, "A & <B>");
    assert_null(keywords);
    assert_non_null(strstr(xmp, "<rdf:li xml:lang='x-default'>Grüße</rdf:li>"));
    assert_non_null(strstr(xmp, "<rdf:li>A &amp; &lt;B&gt;</rdf:li>"));
    assert_non_null(strstr(xmp, "<pdfaid:part>1</pdfaid:part>"));
    assert_non_null(strstr(xmp, "<xmp:CreateDate>2024-01-02T03:04:05+01:00</xmp:CreateDate>"));
    assert_null(strstr(xmp, "ModifyDate"));
    assert_false(poppler_document_has_attachments(document));
    g_free(title);
    g_free(author);
    g_free(xmp);
    g_object_unref(document);
}

static void what_can_not_be_read_is_not_described(void **state)
{
    const char *path = in(*state, "none.pdf");

    write_file(path, "%PDF-1.4\n", 9);
    assert_int_equal(archival_describe(path, path, '2'), OUTCOME_INTERNAL);
    assert_false(work_is_archive_of_1_4(path));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_told_twice),
        cmocka_unit_test(what_the_source_says_is_in_both_places),
        cmocka_unit_test(what_can_not_be_read_is_not_described),
    };

    return run_engine_tests(&engine_press, tests, sizeof tests / sizeof tests[0]);
}
