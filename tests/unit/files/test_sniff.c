/* Pictures are no more than their headers here. */
#include "core/str.h"
#include "files/sniff.h"
#include "ole_writer.h"
#include "zip_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#define WORD_MAIN "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
#define ODT       "application/vnd.oasis.opendocument.text"
#define PNG       "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
#define ELF                                                                                                  \
    "\x7f"                                                                                                   \
    "ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0\1\0\0\0"

static struct sniffer *sniffer;
static char mime[SNIFF_MIME_MAX];

static int setup(void **state)
{
    return sniffer_new(&sniffer);
}

static int teardown(void **state)
{
    sniffer_free(sniffer);
    return 0;
}

static int check(int fd, const char *id)
{
    const struct format *f = format_by_id(id);

    assert_non_null(f);
    return sniff_check(sniffer, fd, f, mime);
}

/* And closes it. */
static int check_once(int fd, const char *id)
{
    int r = check(fd, id);

    close(fd);
    return r;
}

static int check_bytes(const void *data, size_t len, const char *id)
{
    int fd = memfd_create("sniff", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    return check_once(fd, id);
}

#define CHECK(text, id) check_bytes(text, sizeof(text) - 1, id)

static int ooxml(const char *content_type)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add_ooxml(w, content_type);
    return zip_writer_finish(w);
}

static void add_manifest(struct zip_writer *w, const char *type)
{
    char xml[256];

    snprintf(xml, sizeof xml, "<m:manifest><m:file-entry m:full-path='/' m:media-type='%s'/></m:manifest>",
             type);
    zip_writer_add_deflated(w, "META-INF/manifest.xml", xml, strlen(xml));
}

static int odf(const char *mimetype)
{
    static const char container[] =
        "<container><rootfiles><rootfile full-path='a.opf' media-type='application/oebps-package+xml'/>"
        "</rootfiles></container>";
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "mimetype", mimetype, strlen(mimetype));
    zip_writer_add(w, "content.xml", "<office:document-content/>", 26);
    zip_writer_add(w, "META-INF/container.xml", container, strlen(container));
    add_manifest(w, mimetype);
    return zip_writer_finish(w);
}

static void ooxml_is_told_by_its_main_part(void **state)
{
    _cleanup_close_ int fd = ooxml(WORD_MAIN);

    assert_int_equal(check(fd, "docx"), 0);
    assert_string_equal(mime, "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
    assert_int_equal(check(fd, "xlsx"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "pptx"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "odt"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "pdf"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "txt"), -EMEDIUMTYPE);
}

static void macros_are_not_hidden_in_a_docx(void **state)
{
    _cleanup_close_ int fd = ooxml("application/vnd.ms-word.document.macroEnabled.main+xml");

    assert_int_equal(check(fd, "docx"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "docm"), 0);
}

static void macros_are_not_in_a_part_of_a_docx(void **state)
{
    static const char types[] =
        "<Types><Default Extension='bin' ContentType='application/vnd.ms-office.vbaProject'/>"
        "<Default Extension='xml' ContentType='" WORD_MAIN "'/></Types>";
    static const char rels[] = "<Relationships><Relationship Type='x/relationships/officeDocument' "
                               "Target='a.xml'/></Relationships>";
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "[Content_Types].xml", types, strlen(types));
    zip_writer_add(w, "_rels/.rels", rels, strlen(rels));
    zip_writer_add(w, "a.xml", "<a/>", 4);

    _cleanup_close_ int fd = zip_writer_finish(w);

    assert_int_equal(check(fd, "docx"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "docm"), 0);
}

static void content_types_with_a_doctype_are_refused(void **state)
{
    static const char xml[] =
        "<!DOCTYPE Types [<!ENTITY a \"b\">]><Types><Override ContentType=\"" WORD_MAIN "\"/></Types>";
    struct zip_writer *w = zip_writer_new();

    zip_writer_add_deflated(w, "[Content_Types].xml", xml, strlen(xml));
    assert_true(check_once(zip_writer_finish(w), "docx") < 0);
}

static int odf_with_part(const char *data, size_t len)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "mimetype", ODT, strlen(ODT));
    add_manifest(w, ODT);
    zip_writer_add_deflated(w, "content.xml", data, len);
    return check_once(zip_writer_finish(w), "odt");
}
#define PART(text) odf_with_part(text, sizeof(text) - 1)

static void parts_that_declare_entities_are_refused(void **state)
{
    _cleanup_free_ char *comment = malloc(20000);

    assert_int_equal(PART("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), -EPERM);
    assert_int_equal(PART("\xff\xfe<\0!\0D\0O\0C\0T\0Y\0P\0E\0 \0a\0[\0]\0>\0"), -EPERM);
    assert_int_equal(PART("<!DOCTYPE m SYSTEM \"Manifest.dtd\"><m/>"), 0); /* OpenOffice 2 */
    assert_int_equal(PART("<a/><!DOCTYPE b []>"), 0);
    assert_int_equal(PART("a picture [<!ENTITY"), 0);
    assert_int_equal(PART(""), 0);
    assert_non_null(comment);
    memset(comment, ' ', 20000);
    memcpy(comment, "<!--", 4);
    assert_int_equal(odf_with_part(comment, 20000), -EPERM); /* who knows what comes then */
}

static void content_types_that_inflate_too_far_are_refused(void **state)
{
    struct zip_writer *w = zip_writer_new();
    _cleanup_free_ char *xml = malloc(2 << 20);

    assert_non_null(xml);
    memset(xml, ' ', 2 << 20);
    zip_writer_add_deflated(w, "[Content_Types].xml", xml, 2 << 20);
    assert_int_equal(check_once(zip_writer_finish(w), "docx"), -EMEDIUMTYPE);
}

static void a_plain_archive_is_no_document(void **state)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "a.txt", "hello", 5);

    _cleanup_close_ int fd = zip_writer_finish(w);

    assert_int_equal(check(fd, "docx"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "odt"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "zip"), 0);
    assert_string_equal(mime, "application/zip");
}

static void odf_is_told_by_its_mimetype(void **state)
{
    _cleanup_close_ int fd = odf("application/vnd.oasis.opendocument.text");

    assert_int_equal(check(fd, "odt"), 0);
    assert_string_equal(mime, "application/vnd.oasis.opendocument.text");
    assert_int_equal(check(fd, "ods"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "ott"), -EMEDIUMTYPE);
    assert_int_equal(check_once(odf("application/epub+zip\n"), "epub"), 0);
}

static int painting(const char *type, const char *member, const char *content, const char *format)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "mimetype", type, strlen(type));
    zip_writer_add(w, member, content, strlen(content));
    return check_once(zip_writer_finish(w), format);
}

static void paintings_hang_on_their_layers(void **state)
{
    static const char ora[] = "image/openraster", kra[] = "application/x-krita";
    static const char stack[] = "<?xml version='1.0'?><image w='1' h='1'><stack/></image>";
    static const char doc[] =
        "<!DOCTYPE DOC PUBLIC '-//KDE//DTD krita 2.0//EN' 'x.dtd'><DOC editor='Krita'/>";

    assert_int_equal(painting(ora, "stack.xml", stack, "ora"), 0);
    assert_int_equal(painting(kra, "maindoc.xml", doc, "kra"), 0);
    assert_int_equal(painting(ora, "stack.xml", stack, "kra"), -EMEDIUMTYPE);
    assert_int_equal(painting(ora, "stack.xml", "<images/>", "ora"), -EMEDIUMTYPE);
    assert_int_equal(painting(kra, "stack.xml", stack, "kra"), -EMEDIUMTYPE);
    assert_int_equal(painting(ora, "stack.xml", "<!DOCTYPE image [<!ENTITY a 'b'>]><image/>", "ora"),
                     -EMEDIUMTYPE);
    assert_int_equal(painting(ora, "stack.xml", stack, "odt"), -EMEDIUMTYPE);
}

/* "a member; another one" in this order. */
static int odt_of(const char *first, const char *second, const char *manifest_type)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, first, ODT, strlen(ODT));
    zip_writer_add(w, second, ODT, strlen(ODT));
    if (manifest_type)
        add_manifest(w, manifest_type);
    return check_once(zip_writer_finish(w), "odt");
}

static void odf_begins_with_its_mimetype_and_its_manifest_agrees(void **state)
{
    assert_int_equal(odt_of("mimetype", "a", ODT), 0);
    assert_int_equal(odt_of("a", "mimetype", ODT), -EMEDIUMTYPE);
    assert_int_equal(odt_of("mimetype", "a", ODT "-template"), -EMEDIUMTYPE);
    assert_int_equal(odt_of("mimetype", "a", NULL), -EMEDIUMTYPE);
}

static void a_broken_container_is_told_apart(void **state)
{
    _cleanup_close_ int cut = ooxml(WORD_MAIN);
    static const char head[] = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and nothing";

    assert_int_equal(ftruncate(cut, 200), 0);
    assert_int_equal(check(cut, "docx"), -EBADMSG);
    assert_true(check_bytes(head, sizeof head, "doc") < 0);
}

static void old_documents_are_told_by_their_stream(void **state)
{
    _cleanup_close_ int doc = ole_write_stream("WordDocument"), xls = ole_write_stream("Workbook"),
                        ppt = ole_write_stream("PowerPoint Document");

    assert_int_equal(check(doc, "doc"), 0);
    assert_string_equal(mime, "application/msword");
    assert_int_equal(check(xls, "xls"), 0);
    assert_int_equal(check(ppt, "ppt"), 0);
    assert_int_equal(check_once(ole_write_stream("Book"), "xls"), 0); /* Excel 5 */
    assert_int_equal(check(doc, "xls"), -EMEDIUMTYPE);
    assert_int_equal(check(xls, "ppt"), -EMEDIUMTYPE);
    assert_int_equal(check(ppt, "doc"), -EMEDIUMTYPE);
    assert_int_equal(check(doc, "docx"), -EMEDIUMTYPE);
}

static void a_document_of_two_programs_is_neither(void **state)
{
    static const struct ole_entry entries[] = {{"Root Entry", OLE_ROOT, OLE_NONE, OLE_NONE, 1},
                                               {"WordDocument", OLE_STREAM, OLE_NONE, 2, OLE_NONE},
                                               {"Workbook", OLE_STREAM, OLE_NONE, OLE_NONE, OLE_NONE}};
    _cleanup_close_ int fd = ole_write(entries, ARRAY_SIZE(entries));

    assert_int_equal(check(fd, "doc"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "xls"), -EMEDIUMTYPE);
}

/* The engine will ask for the password; until then the extension is believed. */
static void an_encrypted_document_is_what_its_extension_says(void **state)
{
    static const char *const ids[] = {"docx", "xlsx", "pptx"};
    _cleanup_close_ int fd = ole_write_stream("EncryptedPackage");

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        assert_int_equal(check(fd, ids[i]), 0);
    assert_int_equal(check(fd, "doc"), -EMEDIUMTYPE);
    assert_int_equal(check(fd, "odt"), -EMEDIUMTYPE);
}

static void binaries_are_no_text(void **state)
{
    static const char *const ids[] = {"txt", "csv", "html", "rtf", "svg", "fodt"};

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        assert_int_equal(CHECK(PNG, ids[i]), -EMEDIUMTYPE);
        assert_string_equal(mime, "image/png");
        assert_int_equal(CHECK(ELF, ids[i]), -EMEDIUMTYPE);
        assert_int_equal(CHECK("%PDF-1.4\n", ids[i]), -EMEDIUMTYPE);
        assert_string_equal(mime, "application/pdf");
        assert_int_equal(CHECK("%!PS-Adobe-3.0\n", ids[i]), -EMEDIUMTYPE);
        assert_int_equal(CHECK("a\0b", ids[i]), -EMEDIUMTYPE);
    }
}

static void texts_of_all_kinds_are_text(void **state)
{
    assert_int_equal(CHECK("x", "txt"), 0);
    assert_string_equal(mime, "text/plain");
    assert_int_equal(CHECK("<html><body>page</body></html>", "txt"), 0);
    assert_int_equal(CHECK("{\"json\": 1}", "txt"), 0);
    assert_int_equal(CHECK("From: a@example.org\nTo: b@example.org\n\nmail\n", "txt"), 0);
    assert_int_equal(CHECK("#!/bin/sh\necho\n", "txt"), 0);
    assert_int_equal(CHECK("caf\xe9\n", "txt"), 0);
    assert_int_equal(CHECK("\xff\xfeh\0i\0", "txt"), 0);
    assert_int_equal(CHECK("a;b\n1;2\n", "csv"), 0);
    assert_string_equal(mime, "text/csv");
    assert_int_equal(CHECK("<p>part</p>", "html"), 0);
    assert_int_equal(CHECK("{\\rtf1 text}", "rtf"), 0);
    assert_int_equal(CHECK("plain text", "rtf"), -EMEDIUMTYPE);
}

static void html_has_a_tag_and_xhtml_its_root(void **state)
{
    assert_int_equal(CHECK("plain text, 1 < 2\n", "html"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("{\\rtf1 text}", "html"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("text <b>first</b>\n", "html"), 0);
    assert_int_equal(CHECK("<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "html"), 0);
    assert_int_equal(CHECK("<?xml version='1.0'?><office:document/>", "html"), -EMEDIUMTYPE);
}

static int check_text_bytes(const void *data, size_t len, const char *id)
{
    _cleanup_close_ int fd = memfd_create("text", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    return sniff_text(fd, format_by_id(id));
}

#define CHECK_TEXT(text, id) check_text_bytes(text, sizeof(text) - 1, id)

static void results_that_are_texts_need_no_sniffer(void **state)
{
    static const char *const ids[] = {"txt", "csv", "html"};

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        assert_int_equal(CHECK_TEXT("<p>caf\xe9; b\n", ids[i]), 0);
        assert_int_equal(CHECK_TEXT(PNG, ids[i]), -EMEDIUMTYPE);
        assert_int_equal(CHECK_TEXT(ELF, ids[i]), -EMEDIUMTYPE);
        assert_int_equal(CHECK_TEXT("a\0b", ids[i]), -EMEDIUMTYPE);
    }
    assert_int_equal(CHECK_TEXT("text", "pdf"), -EINVAL);
    assert_int_equal(CHECK_TEXT("<svg/>", "svg"), -EINVAL);
}

static void svg_is_an_xml_picture(void **state)
{
    assert_int_equal(CHECK("<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "svg"), 0);
    assert_string_equal(mime, "image/svg+xml");
    assert_int_equal(CHECK("<html/>", "svg"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", "svg"), -EPERM);
    assert_int_equal(CHECK("<svg><image href='http://example.org/a.png'/></svg>", "svg"), -EPERM);
    assert_int_equal(CHECK("<svg><image href='data:image/png;base64,AA'/></svg>", "svg"), 0);
}

static void flat_documents_say_what_they_are(void **state)
{
    static const char fodt[] = "<?xml version=\"1.0\"?><office:document office:mimetype=\"application/"
                               "vnd.oasis.opendocument.text\"/>";

    assert_int_equal(CHECK(fodt, "fodt"), 0);
    assert_int_equal(CHECK(fodt, "fods"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("<?xml version=\"1.0\"?><a/>", "fodt"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "fodt"), -EPERM);
}

static void pictures_are_told_apart(void **state)
{
    assert_int_equal(CHECK(PNG, "png"), 0);
    assert_string_equal(mime, "image/png");
    assert_int_equal(CHECK(PNG, "jpg"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("GIF89a\1\0\1\0\0\0\0;", "gif"), 0);
    assert_int_equal(CHECK("GIF89a\1\0\1\0\0\0\0;", "png"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("%PDF-1.4\n", "pdf"), 0);
}

static void a_pdf_with_an_archive_behind_is_a_pdf(void **state)
{
    _cleanup_close_ int zip = ooxml(WORD_MAIN);
    char data[4096] = "%PDF-1.4\n";
    ssize_t n = pread(zip, data + 9, sizeof data - 9, 0);

    assert_true(n > 0);
    assert_int_equal(check_bytes(data, 9 + (size_t)n, "docx"), -EMEDIUMTYPE);
    assert_string_equal(mime, "application/pdf");
}

static void a_pdf_begins_at_once(void **state)
{
    assert_int_equal(CHECK("\xef\xbb\xbf%PDF-1.4\n%%EOF", "pdf"), 0);
    assert_int_equal(CHECK("\r\n%PDF-1.4\n%%EOF", "pdf"), 0);
    assert_int_equal(CHECK("/*\n%PDF-1.4\n%%EOF", "pdf"), -EMEDIUMTYPE);
    assert_int_equal(CHECK("<html><!-- %PDF-1.4\n%%EOF", "pdf"), -EMEDIUMTYPE);
}

static void what_is_two_things_is_refused(void **state)
{
    assert_int_equal(CHECK("%PDF-1.4\n%%EOF\n<html><script>", "pdf"), -ENOTUNIQ);
    assert_int_equal(CHECK("%PDF-1.4\n%%EOF\nsigned by the scanner", "pdf"), 0);
    assert_int_equal(CHECK("GIF89a\1\0\1\0\0\0\0;PK\3\4", "gif"), -ENOTUNIQ);
    assert_int_equal(CHECK("GIF89a\1\0\1\0\0\0\0!\xfe\5%PDF-\0;", "gif"), -ENOTUNIQ);
    assert_int_equal(CHECK("{\\rtf1 text}PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "rtf"), -ENOTUNIQ);
}

static void an_empty_file_is_nothing(void **state)
{
    for (size_t i = 0; i < n_formats; i++) {
        assert_int_equal(check_bytes("", 0, formats[i].id), -EMEDIUMTYPE);
        assert_non_null(strstr(mime, "/x-empty"));
    }
}

static void the_offset_counts_for_nothing_and_stays(void **state)
{
    _cleanup_close_ int fd = memfd_create("sniff", MFD_CLOEXEC);

    assert_int_equal(write(fd, PNG, sizeof PNG), sizeof PNG);
    assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
    assert_int_equal(check(fd, "png"), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
}

static void only_regular_files_are_looked_at(void **state)
{
    int pipe_fds[2];

    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(check(pipe_fds[0], "txt") < 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_true(check(-1, "txt") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ooxml_is_told_by_its_main_part),
        cmocka_unit_test(macros_are_not_hidden_in_a_docx),
        cmocka_unit_test(macros_are_not_in_a_part_of_a_docx),
        cmocka_unit_test(content_types_with_a_doctype_are_refused),
        cmocka_unit_test(parts_that_declare_entities_are_refused),
        cmocka_unit_test(content_types_that_inflate_too_far_are_refused),
        cmocka_unit_test(a_plain_archive_is_no_document),
        cmocka_unit_test(odf_is_told_by_its_mimetype),
        cmocka_unit_test(paintings_hang_on_their_layers),
        cmocka_unit_test(odf_begins_with_its_mimetype_and_its_manifest_agrees),
        cmocka_unit_test(a_broken_container_is_told_apart),
        cmocka_unit_test(old_documents_are_told_by_their_stream),
        cmocka_unit_test(a_document_of_two_programs_is_neither),
        cmocka_unit_test(an_encrypted_document_is_what_its_extension_says),
        cmocka_unit_test(binaries_are_no_text),
        cmocka_unit_test(texts_of_all_kinds_are_text),
        cmocka_unit_test(html_has_a_tag_and_xhtml_its_root),
        cmocka_unit_test(results_that_are_texts_need_no_sniffer),
        cmocka_unit_test(svg_is_an_xml_picture),
        cmocka_unit_test(flat_documents_say_what_they_are),
        cmocka_unit_test(pictures_are_told_apart),
        cmocka_unit_test(a_pdf_with_an_archive_behind_is_a_pdf),
        cmocka_unit_test(a_pdf_begins_at_once),
        cmocka_unit_test(what_is_two_things_is_refused),
        cmocka_unit_test(an_empty_file_is_nothing),
        cmocka_unit_test(the_offset_counts_for_nothing_and_stays),
        cmocka_unit_test(only_regular_files_are_looked_at),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
