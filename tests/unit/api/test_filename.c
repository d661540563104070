#include "api/filename.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_clean(const char *raw, const char *kept)
{
    char name[FILENAME_MAX_BYTES + 1];

    filename_clean(raw, name);
    assert_string_equal(name, kept);
}

static void test_clean(void **state)
{
    expect_clean("report.docx", "report.docx");
    expect_clean("/etc/passwd.txt", "passwd.txt");
    expect_clean("..\\..\\a.txt", "a.txt");
    expect_clean("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt");
    expect_clean("invoice\xe2\x80\xae"
                 "fdp.exe",
                 "invoicefdp.exe");
    expect_clean("\xc2\x85"
                 "a.txt",
                 "a.txt");
    expect_clean("\xd9\x86\xd8\xa7\xd9\x85\xd9\x87\xe2\x80\x8c\xd9\x87\xd8\xa7.pdf",
                 "\xd9\x86\xd8\xa7\xd9\x85\xd9\x87\xe2\x80\x8c\xd9\x87\xd8\xa7.pdf"); /* Persian needs its
                                                                                         non-joiner */
    expect_clean("\xff\xfe.txt", "__.txt");
    expect_clean("", "");
    expect_clean("dir/", "");
    expect_clean("..", "");
    expect_clean("\x01\x02", "");
}

static void test_clean_clips_the_stem_and_keeps_the_extension(void **state)
{
    char raw[1024], name[FILENAME_MAX_BYTES + 1];

    for (size_t i = 0; i < 400; i += 2)
        memcpy(raw + i, "\xc3\xa9", 2);
    strcpy(raw + 400, ".docx");
    filename_clean(raw, name);
    assert_true(strlen(name) <= FILENAME_MAX_BYTES);
    assert_true(utf8_valid(name, strlen(name)));
    assert_string_equal(name + strlen(name) - 5, ".docx");

    memset(raw, 'x', 600);
    raw[0] = 'a';
    raw[1] = '.';
    raw[600] = '\0';
    filename_clean(raw, name);
    assert_true(strlen(name) <= FILENAME_MAX_BYTES);
}

static void expect_extension(const char *name, const char *ext, const char *result)
{
    char ret[FILENAME_MAX_BYTES + 1];

    filename_replace_extension(name, ext, ret);
    assert_string_equal(ret, result);
}

static void test_replace_extension(void **state)
{
    expect_extension("a.docx", "pdf", "a.pdf");
    expect_extension("a.b.docx", "pdf", "a.b.pdf");
    expect_extension("noext", "pdf", "noext.pdf");
    expect_extension(".hidden", "pdf", ".hidden.pdf");
    expect_extension("", "zip", ".zip");
}

static void expect_disposition(const char *name, const char *header)
{
    char ret[FILENAME_DISPOSITION_MAX];

    filename_disposition(name, ret);
    assert_string_equal(ret, header);
}

static void test_disposition(void **state)
{
    expect_disposition("a.pdf", "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf");
    expect_disposition(
        "a \"b\"\\%41;.pdf",
        "attachment; filename=\"a _b___41;.pdf\"; filename*=UTF-8''a%20%22b%22%5C%2541%3B.pdf");
    expect_disposition("\xe6\x97\xa5.pdf", "attachment; filename=\"_.pdf\"; filename*=UTF-8''%E6%97%A5.pdf");
}

static void test_disposition_of_the_longest_name(void **state)
{
    char name[FILENAME_MAX_BYTES + 1] = {0}, ret[FILENAME_DISPOSITION_MAX];

    for (size_t i = 0; i < FILENAME_MAX_BYTES; i += 3)
        memcpy(name + i, "\xe6\x97\xa5", 3);
    filename_disposition(name, ret);
    assert_true(str_starts(ret, "attachment; filename=\""));
    memset(name, '"', FILENAME_MAX_BYTES);
    filename_disposition(name, ret);
    assert_true(str_starts(ret, "attachment; filename=\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_clean_clips_the_stem_and_keeps_the_extension),
        cmocka_unit_test(test_replace_extension),
        cmocka_unit_test(test_disposition),
        cmocka_unit_test(test_disposition_of_the_longest_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
