#include "engine/office/old_table.h"

#include "core/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/decant-test-XXXXXX";
static char options[OLD_TABLE_OPTIONS];

static int make_file(void **state)
{
    int fd = mkstemp(path);

    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    return unlink(path);
}

static void write_to_file(const void *data, size_t len)
{
    _cleanup_fclose_ FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
}

static const char *options_of(const char *format, const void *data, size_t len)
{
    write_to_file(data, len);
    options[0] = '\0';
    assert_int_equal(old_table_options(format, path, options), 0);
    return options;
}

static const char *of_dbf(unsigned char driver, const char *text)
{
    char data[64] = {0};

    data[29] = (char)driver;
    memcpy(data + 32, text, strlen(text));
    return options_of("dbf", data, 32 + strlen(text));
}

static void a_dbf_may_say_its_characters(void **state)
{
    assert_string_equal(of_dbf(0x02, "caf\x82"), "4");
    assert_string_equal(of_dbf(0x57, "caf\xe9"), "1");
    assert_string_equal(of_dbf(0xc9, "\xcf"), "34");
    assert_string_equal(of_dbf(0, "caf\xc3\xa9"), "76");
    assert_string_equal(of_dbf(0, "caf\xe9"), "1");
    assert_string_equal(of_dbf(0, "cafe"), "76");
    assert_string_equal(options_of("dbf", "short", 5), "1");
}

static void others_are_looked_at_or_of_their_time(void **state)
{
    assert_string_equal(options_of("dif", "caf\xc3\xa9", 5), "76");
    assert_string_equal(options_of("dif", "caf\xe9", 4), "1");
    assert_string_equal(options_of("wk1", "", 0), "4");
    assert_string_equal(options_of("wks", "", 0), "4");
    assert_string_equal(options_of("docx", "", 0), "");
}

static void an_xml_table_has_an_end(void **state)
{
    assert_string_equal(options_of("xlml", "<Workbook></Workbook>\n", 22), "");
    assert_string_equal(options_of("xlml", "<x:Workbook></x:Workbook>", 25), "");
    write_to_file("<Workbook><Styles>", 18);
    assert_int_equal(old_table_options("xlml", path, options), -EBADMSG);
    write_to_file("", 0);
    assert_int_equal(old_table_options("xlml", path, options), -EBADMSG);
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
    assert_int_equal(old_table_options("dif", "/nowhere/at/all", options), -ENOENT);
    assert_int_equal(old_table_options("docx", "/nowhere/at/all", options), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dbf_may_say_its_characters),
        cmocka_unit_test(others_are_looked_at_or_of_their_time),
        cmocka_unit_test(an_xml_table_has_an_end),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
