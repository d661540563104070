#include "files/opc.h"
#include "zip_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAIN "/relationships/officeDocument"

static int check(const char *types, const char *relations)
{
    struct zip_writer *w = zip_writer_new();
    struct zipdir *z;
    int r;

    zip_writer_add_deflated(w, "[Content_Types].xml", types, strlen(types));
    if (relations)
        zip_writer_add_deflated(w, "_rels/.rels", relations, strlen(relations));
    zip_writer_add(w, "word/a.xml", "<a/>", 4);
    zip_writer_add(w, "b.xml", "<b/>", 4);

    _cleanup_close_ int fd = zip_writer_finish(w);

    assert_int_equal(zipdir_open(fd, &z), 0);
    r = opc_check(z, "t/right|t/other");
    zipdir_close(z);
    return r;
}

static void the_main_part_counts(void **state)
{
    static const char types[] = "<?xml version='1.0'?><Types><Default Extension='xml' ContentType='t/xml'/>"
                                "<Override PartName=\"/word/a.xml\" ContentType=\"t/right\"/></Types>";

    assert_int_equal(check(types, "<r:Relationships><r:Relationship Type='http://x" MAIN
                                  "' Target='word/a.xml' /></r:Relationships>"),
                     0);
    assert_int_equal(check(types, "<Relationship\n Target = \"/WORD/a.xml\"\tType=\"" MAIN "\"/>"), 0);
    assert_int_equal(check(types, "<Relationship Type='" MAIN "' Target='b.xml'/>"), -EMEDIUMTYPE);
    assert_int_equal(check(types, "<Relationship Type='/relationships/thumbnail' Target='word/a.xml'/>"),
                     -EMEDIUMTYPE);
    assert_int_equal(
        check(types, "<Relationship Type='" MAIN "' TargetMode='External' Target='word/a.xml'/>"),
        -EMEDIUMTYPE);
    assert_int_equal(check(types, "<Relationship Type='" MAIN "'/>"), -EMEDIUMTYPE);
    assert_int_equal(check(types, "<!-- <Relationship Type='" MAIN "' Target='word/a.xml'/> -->"),
                     -EMEDIUMTYPE);
    assert_int_equal(check(types, NULL), -ENOENT);
}

static void visio_has_a_relation_of_its_own(void **state)
{
    static const char types[] = "<Override PartName=\"/word/a.xml\" ContentType=\"t/right\"/>";

    assert_int_equal(check(types, "<Relationship Type='http://schemas.microsoft.com/visio/2010/relationships/"
                                  "document' Target='word/a.xml'/>"),
                     0);
    assert_int_equal(check(types, "<Relationship Type='/relationships/document' Target='word/a.xml'/>"),
                     -EMEDIUMTYPE);
    assert_int_equal(check(types, "<Relationship Type='http://schemas.microsoft.com/visio/2010/relationships/"
                                  "document' Target='word/a.xml'/>"
                                  "<Relationship Type='" MAIN "' Target='b.xml'/>"),
                     -EMEDIUMTYPE);
}

static void an_extension_may_tell_the_type(void **state)
{
    static const char relation[] = "<Relationship Type='" MAIN "' Target='b.xml'/>";

    assert_int_equal(check("<Default Extension='XML' ContentType='t/other'/>", relation), 0);
    assert_int_equal(check("<Default Extension='xml' ContentType='t/right+xml'/>", relation), -EMEDIUMTYPE);
    assert_int_equal(check("<Default Extension='xml' ContentType='t/other'/><Override ContentType='t/wrong' "
                           "PartName='/b.xml'/>",
                           relation),
                     -EMEDIUMTYPE);
    assert_int_equal(check("<Types/>", relation), -EMEDIUMTYPE);
}

static void a_second_main_part_is_refused(void **state)
{
    assert_int_equal(check("<Default Extension='xml' ContentType='t/right'/>",
                           "<Relationship Type='" MAIN "' Target='b.xml'/>"
                           "<Relationship Type='" MAIN "' Target='word/a.xml'/>"),
                     -EMEDIUMTYPE);
}

static void a_main_part_that_is_missing_is_none(void **state)
{
    assert_int_equal(check("<Default Extension='xml' ContentType='t/right'/>",
                           "<Relationship Type='" MAIN "' Target='c.xml'/>"),
                     -EMEDIUMTYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_main_part_counts),
        cmocka_unit_test(visio_has_a_relation_of_its_own),
        cmocka_unit_test(an_extension_may_tell_the_type),
        cmocka_unit_test(a_second_main_part_is_refused),
        cmocka_unit_test(a_main_part_that_is_missing_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
