/* Every format that the office engine reads and writes, from small flat documents, and what must not go wrong
 * with documents that come from outside. */
#include "engine/office/office.h"
#include "media/run.h"

#include "core/cleanup.h"
#include "core/str.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

#define NAMESPACES                                                                                           \
    "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" "                                     \
    "xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\" "                                         \
    "xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" "                                       \
    "xmlns:draw=\"urn:oasis:names:tc:opendocument:xmlns:drawing:1.0\" "                                      \
    "xmlns:svg=\"urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0\" "                                \
    "xmlns:xlink=\"http://www.w3.org/1999/xlink\" office:version=\"1.3\""
#define DOCUMENT(type, body)                                                                                 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document " NAMESPACES                                 \
    " office:mimetype=\"application/vnd.oasis.opendocument." type "\"><office:body>" body                    \
    "</office:body></office:document>"
#define PAGE                                                                                                 \
    "<draw:page draw:name=\"p\"><draw:rect svg:width=\"5cm\" svg:height=\"3cm\" svg:x=\"2cm\" "              \
    "svg:y=\"2cm\"><text:p>Grüße</text:p></draw:rect></draw:page>"

/* One source for each kind of document; the other formats of the kind are made from it. */
static const struct family {
    const char *source, *content, *formats;
} families[] = {
    {"fodt", DOCUMENT("text", "<office:text><text:p>Grüße</text:p></office:text>"),
     "docx dotx odt doc rtf txt html ott wordml"},
    {"fods",
     DOCUMENT("spreadsheet", "<office:spreadsheet><table:table table:name=\"A\"><table:table-row>"
                             "<table:table-cell office:value-type=\"string\"><text:p>Grüße, 1</text:p>"
                             "</table:table-cell><table:table-cell office:value-type=\"float\" "
                             "office:value=\"1.5\"/></table:table-row></table:table>"
                             "<table:table table:name=\"B\"><table:table-row><table:table-cell "
                             "office:value-type=\"string\"><text:p>second</text:p></table:table-cell>"
                             "</table:table-row></table:table></office:spreadsheet>"),
     "xlsx xltx ods xls csv tsv ots dbf dif slk"},
    {"fodp", DOCUMENT("presentation", "<office:presentation>" PAGE PAGE "</office:presentation>"),
     "pptx ppsx potx odp ppt otp"},
    {"fodg", DOCUMENT("graphics", "<office:drawing>" PAGE "</office:drawing>"), "odg otg emf wmf"},
};

static struct run good(const char *folder, const char *from, const char *to, const char *input)
{
    setenv("TMPDIR", folder, 1); /* as the sandbox does; where LibreOffice's temporary files go */
    return run_good(&engine_office, folder, from, to, input, "{}");
}

static enum outcome outcome_of(const char *folder, const char *from, const void *data, size_t len)
{
    char name[32];

    snprintf(name, sizeof name, "outcome.%s", from);
    write_file(in(folder, name), data, len);
    setenv("TMPDIR", folder, 1);
    return run_convert(&engine_office, folder, from, "pdf", in(folder, name), "{}").outcome;
}

static char *converted(const char *folder, const char *from, const char *to, const void *data, size_t len)
{
    char name[32];
    size_t result_len;

    snprintf(name, sizeof name, "input.%s", from);
    write_file(in(folder, name), data, len);

    struct run run = good(folder, from, to, in(folder, name));

    return read_file(run.path, &result_len);
}

static char *converted_text(const char *folder, const char *from, const char *to, const char *text)
{
    return converted(folder, from, to, text, strlen(text));
}

static void to_every_target(const char *folder, const char *from, const char *input)
{
    for (const struct engine_conversions *c = engine_office.conversions; c->from; c++) {
        const char *word;
        size_t len;

        if (!words_have(c->from, from))
            continue;
        for (const char *p = c->to; (p = words_next(p, &word, &len));) {
            _cleanup_free_ char *to = strndup(word, len);

            if (!str_eq(from, to))
                good(folder, from, to, input);
        }
    }
}

/* Each format is loaded, each is saved. Loading knows nothing of saving, so that the formats made here need
 * not go to every target. */
static void every_format_gives_files_of_their_type(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        const struct family *f = &families[i];
        char name[32];
        const char *word;
        size_t len;

        snprintf(name, sizeof name, "source.%s", f->source);
        write_file(in(*state, name), f->content, strlen(f->content));
        to_every_target(*state, f->source, in(*state, name));
        for (const char *p = f->formats; (p = words_next(p, &word, &len));) {
            _cleanup_free_ char *format = strndup(word, len);
            struct run made = good(*state, f->source, format, in(*state, name));

            good(*state, format, "pdf", made.path);
        }
    }
}

static void html_becomes_a_text_document(void **state)
{
    _cleanup_free_ char *odt =
        converted_text(*state, "html", "fodt", "<!DOCTYPE html><meta charset=utf-8><h1>Grüße</h1><p>a<p>b");
    _cleanup_free_ char *txt =
        converted_text(*state, "html", "txt", "<!DOCTYPE html><meta charset=utf-8><h1>Grüße</h1><p>a<p>b");

    assert_non_null(strstr(odt, "office:mimetype=\"application/vnd.oasis.opendocument.text\""));
    assert_string_equal(txt, "Grüße\na\nb\n");
}

static bool has_notes(const char *folder, const char *from, const char *text)
{
    char name[32];
    size_t len;

    snprintf(name, sizeof name, "notes.%s", from);
    write_file(in(folder, name), text, strlen(text));

    _cleanup_free_ char *pdf = read_file(good(folder, from, "pdf", in(folder, name)).path, &len);

    return memmem(pdf, len, "/Subtype /Text", strlen("/Subtype /Text"));
}

/* What LibreOffice can't place in an HTML page becomes a comment, too. */
static void comments_stay_with_the_author(void **state)
{
    assert_false(
        has_notes(*state, "fodt",
                  DOCUMENT("text", "<office:text><text:p>Seen<office:annotation><text:p>Not to be seen"
                                   "</text:p></office:annotation></text:p></office:text>")));
    assert_false(has_notes(*state, "html",
                           "<!DOCTYPE html><meta http-equiv=Content-Security-Policy content=x><p>Seen"));
}

static void texts_and_csv_are_read_in_their_encoding(void **state)
{
    _cleanup_free_ char *latin1 = converted_text(*state, "txt", "html",
                                                 "Gr\xfc\xdf"
                                                 "e\n");
    _cleanup_free_ char *utf16 = converted(*state, "txt", "html", "\xff\xfe\xe4\0\xf6\0", 6);
    _cleanup_free_ char *csv = converted_text(*state, "csv", "fods", "a;b\n\xe4;\"x;y\"\n");

    assert_non_null(strstr(latin1, "Grüße"));
    assert_non_null(strstr(utf16, "äö"));
    assert_non_null(strstr(csv, ">ä<"));
    assert_non_null(strstr(csv, ">x;y<"));
}

/* With a LibreOfficeKit in the process their filters would ask for it. */
static void tables_of_old_keep_their_characters(void **state)
{
    static const char *const kinds[] = {"dbf", "dif", "slk", "tsv"};
    static const char text[] = "name,town\nJörg,Žilina\n";

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t len;

        write_file(in(*state, "old.csv"), text, strlen(text));

        _cleanup_free_ char *table =
            read_file(good(*state, "csv", kinds[i], in(*state, "old.csv")).path, &len);
        _cleanup_free_ char *csv = converted(*state, kinds[i], "csv", table, len);

        assert_non_null(strstr(csv, "Jörg"));
        assert_non_null(strstr(csv, "Žilina"));
    }
}

static void a_picture_is_as_large_as_its_page(void **state)
{
    _cleanup_free_ char *svg = converted_text(
        *state, "dxf", "svg",
        "0\nSECTION\n2\nENTITIES\n0\nLINE\n8\n0\n10\n0\n20\n0\n11\n200\n21\n100\n0\nENDSEC\n0\nEOF\n");
    int width, height;

    assert_non_null(strstr(svg, "viewBox=\"0 0 "));
    assert_int_equal(sscanf(strstr(svg, "viewBox=\"0 0 "), "viewBox=\"0 0 %d %d\"", &width, &height), 2);
    assert_in_range(width, 2 * height - 50, 2 * height + 50);
}

#define MATHML "http://www.w3.org/1998/Math/MathML"

/* One row, though LibreOffice would make three lines of it. */
static void a_formula_becomes_an_equation_of_a_text(void **state)
{
    static const char text[] = "<?xml version=\"1.0\"?><!-- <math> --><m:math xmlns:m=\"" MATHML "\" a=\">\">"
                               "<m:mi>xyz</m:mi><m:mo>=</m:mo><m:mn>42</m:mn></m:math>\n";
    _cleanup_free_ char *fodt = converted_text(*state, "mml", "fodt", text);
    _cleanup_free_ char *odf = converted_text(*state, "mml", "odf", text);
    const char *frame = strstr(fodt, "<draw:frame"), *width, *height;

    assert_memory_equal(odf, "PK", 2);
    assert_non_null(frame);
    assert_non_null(strstr(frame, "<mn>42</mn>"));
    width = strstr(frame, "svg:width=\"");
    height = strstr(frame, "svg:height=\"");
    assert_true(width && height);
    assert_true(strtod(width + strlen("svg:width=\""), NULL) >
                2 * strtod(height + strlen("svg:height=\""), NULL));
    write_file(in(*state, "formula.mml"), text, strlen(text));
    assert_int_equal(good(*state, "mml", "pdf", in(*state, "formula.mml")).pages, 1);
}

static void csv_has_the_first_sheet(void **state)
{
    _cleanup_free_ char *csv = converted_text(*state, "fods", "csv", families[1].content);

    assert_string_equal(csv, "\"Grüße, 1\",1.5\n");
}

static void pages_are_counted_but_not_of_sheets(void **state)
{
    write_file(in(*state, "pages.fodp"), families[2].content, strlen(families[2].content));
    write_file(in(*state, "pages.fods"), families[1].content, strlen(families[1].content));
    assert_int_equal(good(*state, "fodp", "pdf", in(*state, "pages.fodp")).pages, 2);
    assert_int_equal(good(*state, "fods", "pdf", in(*state, "pages.fods")).pages, 0);
}

static void pictures_of_sheets_are_in_the_page(void **state)
{
    /* a green pixel */
    static const char content[] = DOCUMENT(
        "spreadsheet",
        "<office:spreadsheet><table:table table:name=\"A\"><table:shapes><draw:frame svg:width=\"1cm\" "
        "svg:height=\"1cm\" svg:x=\"0cm\" svg:y=\"0cm\"><draw:image><office:binary-data>"
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNg+M8AAAICAQB7CYF4AAAAAElFTkSuQmCC"
        "</office:binary-data></draw:image></draw:frame></table:shapes><table:table-row><table:table-cell "
        "office:value-type=\"string\"><text:p>cell</text:p></table:table-cell></table:table-row>"
        "</table:table></office:spreadsheet>");
    _cleanup_free_ char *html = converted_text(*state, "fods", "html", content);

    assert_non_null(strstr(html, "src=\"data:image/png;base64,iVBOR"));
    assert_null(strstr(html, "result_html_"));
}

static void add(zip_t *zip, const char *name, const char *content)
{
    zip_int64_t i = zip_file_add(zip, name, zip_source_buffer(zip, content, strlen(content), 0), 0);

    assert_true(i >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0), 0);
}

/* What LibreOffice asks the password for; no password would open it. */
static void write_encrypted(const char *path)
{
    static const char manifest[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><manifest:manifest "
        "xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\" manifest:version=\"1.2\">"
        "<manifest:file-entry manifest:full-path=\"/\" manifest:version=\"1.2\" "
        "manifest:media-type=\"application/vnd.oasis.opendocument.text\"/>"
        "<manifest:file-entry manifest:full-path=\"content.xml\" manifest:media-type=\"text/xml\" "
        "manifest:size=\"64\"><manifest:encryption-data "
        "manifest:checksum-type=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#sha256-1k\" "
        "manifest:checksum=\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\">"
        "<manifest:algorithm manifest:algorithm-name=\"http://www.w3.org/2001/04/xmlenc#aes256-cbc\" "
        "manifest:initialisation-vector=\"AAAAAAAAAAAAAAAAAAAAAA==\"/>"
        "<manifest:key-derivation manifest:key-derivation-name=\"PBKDF2\" manifest:key-size=\"32\" "
        "manifest:iteration-count=\"1000\" manifest:salt=\"AAAAAAAAAAAAAAAAAAAAAA==\"/>"
        "<manifest:start-key-generation manifest:start-key-generation-name="
        "\"http://www.w3.org/2000/09/xmldsig#sha256\" manifest:key-size=\"32\"/>"
        "</manifest:encryption-data></manifest:file-entry></manifest:manifest>";
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);

    assert_non_null(zip);
    add(zip, "mimetype", "application/vnd.oasis.opendocument.text");
    add(zip, "content.xml", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    add(zip, "META-INF/manifest.xml", manifest);
    assert_int_equal(zip_close(zip), 0);
}

static void a_password_is_told_from_damage(void **state)
{
    write_encrypted(in(*state, "secret.odt"));
    assert_int_equal(
        run_convert(&engine_office, *state, "odt", "pdf", in(*state, "secret.odt"), "{}").outcome,
        OUTCOME_PASSWORD_REQUIRED);
    assert_int_equal(outcome_of(*state, "odt", "PK\3\4 and no more", 15), OUTCOME_CORRUPT_INPUT);
    assert_int_equal(outcome_of(*state, "fodt", "<?xml version=\"1.0\"?><office:document", 38),
                     OUTCOME_CORRUPT_INPUT);
}

/* Nor is it read as the plain text that LibreOffice would see in it. */
static void what_its_name_does_not_say_is_corrupt(void **state)
{
    static const char *const kinds[] = {"abw",    "dbf", "dxf", "emf",  "gnumeric", "mml",
                                        "pct",    "pdb", "sxw", "vdx",  "wk1",      "wmf",
                                        "wordml", "wpd", "wri", "xlml", "xlsb"};
    static const char text[] = "Nothing but words, and of no kind.\n";

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (outcome_of(*state, kinds[i], text, strlen(text)) != OUTCOME_CORRUPT_INPUT)
            fail_msg("%s", kinds[i]);
}

static enum outcome open_with(const char *folder, const char *format, const char *options)
{
    char name[32];

    snprintf(name, sizeof name, "secret.%s", format);
    setenv("TMPDIR", folder, 1);
    return run_convert(&engine_office, folder, format, str_eq(format, "xlsx") ? "csv" : "txt",
                       in(folder, name), options)
        .outcome;
}

/* Documents that LibreOffice itself has protected, one of each kind of protection: ODF packages, OOXML in a
 * compound file, and the formats of 97. */
static void the_right_password_opens_and_no_other(void **state)
{
    static const char *const protected[] = {"odt", "docx", "xlsx", "doc"};
    _cleanup_free_ char *nothing = output_of(PROTECT, *state);

    for (size_t i = 0; i < ARRAY_SIZE(protected); i++) {
        assert_int_equal(open_with(*state, protected[i], "{}"), OUTCOME_PASSWORD_REQUIRED);
        assert_int_equal(open_with(*state, protected[i], "{\"password\": \"grüße 12\"}"),
                         OUTCOME_PASSWORD_REQUIRED);
        assert_int_equal(open_with(*state, protected[i], "{\"password\": \"Grüße 12\"}"), OUTCOME_OK);
    }
}

static void half_a_document_is_corrupt(void **state)
{
    _cleanup_free_ char *data = NULL;
    size_t len;

    write_file(in(*state, "half.fodt"), families[0].content, strlen(families[0].content));
    data = read_file(good(*state, "fodt", "docx", in(*state, "half.fodt")).path, &len);
    assert_int_equal(outcome_of(*state, "docx", data, len / 2), OUTCOME_CORRUPT_INPUT);
    assert_int_equal(outcome_of(*state, "docx", data, 0), OUTCOME_CORRUPT_INPUT);
}

static void links_are_not_followed(void **state)
{
    char html[512];

    write_file(in(*state, "canary.txt"), "the canary sings", 16);
    snprintf(html, sizeof html,
             "<!DOCTYPE html><p>before</p><iframe src=\"file://%s\"></iframe><object data=\"file://%s\">"
             "</object><img src=\"file://%s\"><p>after</p>",
             in(*state, "canary.txt"), in(*state, "canary.txt"), in(*state, "canary.txt"));

    _cleanup_free_ char *fodt = converted_text(*state, "html", "fodt", html);

    assert_non_null(strstr(fodt, "after"));
    assert_null(strstr(fodt, "the canary sings"));
}

static void the_version_needs_no_start(void **state)
{
    char version[64];

    engine_office.version(version, sizeof version);
    assert_true(str_starts(version, "LibreOffice "));
    assert_true(version[strlen("LibreOffice ")] >= '0' && version[strlen("LibreOffice ")] <= '9');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_needs_no_start),
        cmocka_unit_test(every_format_gives_files_of_their_type),
        cmocka_unit_test(html_becomes_a_text_document),
        cmocka_unit_test(comments_stay_with_the_author),
        cmocka_unit_test(texts_and_csv_are_read_in_their_encoding),
        cmocka_unit_test(tables_of_old_keep_their_characters),
        cmocka_unit_test(a_picture_is_as_large_as_its_page),
        cmocka_unit_test(a_formula_becomes_an_equation_of_a_text),
        cmocka_unit_test(what_its_name_does_not_say_is_corrupt),
        cmocka_unit_test(csv_has_the_first_sheet),
        cmocka_unit_test(pages_are_counted_but_not_of_sheets),
        cmocka_unit_test(pictures_of_sheets_are_in_the_page),
        cmocka_unit_test(a_password_is_told_from_damage),
        cmocka_unit_test(the_right_password_opens_and_no_other),
        cmocka_unit_test(half_a_document_is_corrupt),
        cmocka_unit_test(links_are_not_followed),
    };

    return run_engine_tests(&engine_office, tests, ARRAY_SIZE(tests));
}
