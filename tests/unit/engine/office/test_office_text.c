#include "engine/office/plain_text.h"

#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/decant-test-XXXXXX", path[64], copy[64];

static int make_folder(void **state)
{
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/text", folder);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    return 0;
}

static int remove_folder(void **state)
{
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return path_remove_tree(tmp, strrchr(folder, '/') + 1);
}

static void put(const void *data, size_t len)
{
    _cleanup_fclose_ FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
}

static void expect(const char *file, const char *content)
{
    _cleanup_free_ char *data = NULL;
    size_t len;

    assert_int_equal(path_read_file(AT_FDCWD, file, 4096, &data, &len), 0);
    assert_string_equal(data, content);
    assert_int_equal(len, strlen(content));
}

static void becomes(const void *data, size_t len, const char *utf8)
{
    put(data, len);
    assert_int_equal(plain_text_to_utf8(path, "auto", copy), 1);
    expect(copy, utf8);
}

static void utf8_stays(void **state)
{
    put("Gr\xc3\xbc\xc3\x9f"
        "e",
        7);
    assert_int_equal(plain_text_to_utf8(path, "auto", copy), 0);
    put("", 0);
    assert_int_equal(plain_text_to_utf8(path, "auto", copy), 0);
}

static void eight_bits_are_windows_1252(void **state)
{
    becomes("\xe4 \x80 \x93", 5, "ä € “");
    becomes("\x81\xff", 2, "\xc2\x81ÿ");
}

static void utf16_is_known_by_its_mark(void **state)
{
    becomes("\xff\xfeH\0\xe4\0", 6, "Hä");
    becomes("\xfe\xff\0H\0\xe4", 6, "Hä");
    becomes("\xff\xfe\x3d\xd8\x00\xde", 6, "😀");
    /* half a pair, at either end */
    becomes("\xff\xfe\x3d\xd8H\0\x00\xde", 8, "\xef\xbf\xbdH\xef\xbf\xbd");
}

static void missing_files_are_errors(void **state)
{
    assert_int_equal(plain_text_to_utf8("/nonexistent/text", "auto", copy), -ENOENT);
    assert_int_equal(plain_text_encode("/nonexistent/text", "utf-8"), -ENOENT);
}

static void an_encoding_that_is_told_is_believed(void **state)
{
    put("\xb1\xe6", 2);
    assert_int_equal(plain_text_to_utf8(path, "iso-8859-2", copy), 1);
    expect(copy, "ąć");
    put("\xc3\xa4", 2); /* also valid UTF-8 */
    assert_int_equal(plain_text_to_utf8(path, "windows-1252", copy), 1);
    expect(copy, "Ã¤");
    assert_int_equal(plain_text_to_utf8(path, "utf-8", copy), 0);
    put("H\0\xe4\0", 4); /* no mark */
    assert_int_equal(plain_text_to_utf8(path, "utf-16", copy), 1);
    expect(copy, "Hä");
    put("\xe4", 1);
    assert_int_equal(plain_text_to_utf8(path, "utf-8", copy), -EILSEQ);
    assert_int_equal(plain_text_to_utf8(path, "shift_jis", copy), -EILSEQ);
    put("", 0);
    assert_int_equal(plain_text_to_utf8(path, "shift_jis", copy), 0);
}

static void results_are_encoded(void **state)
{
    put("\xef\xbb\xbf"
        "ä€",
        8);
    assert_int_equal(plain_text_encode(path, "windows-1252"), 0);
    expect(path, "\xe4\x80");
    put("ä", 2);
    assert_int_equal(plain_text_encode(path, "utf-8-bom"), 0);
    expect(path, "\xef\xbb\xbfä");
    assert_int_equal(plain_text_encode(path, "utf-8-bom"), 0);
    expect(path, "\xef\xbb\xbfä"); /* one mark, not two */
    put("", 0);
    assert_int_equal(plain_text_encode(path, "koi8-r"), 0);
    expect(path, "");
}

static char separator_of(const char *text)
{
    put(text, strlen(text));
    return plain_text_separator(path);
}

static void separators_are_counted_in_the_first_line(void **state)
{
    assert_int_equal(separator_of("a,b,c\n1;2;3;4;5\n"), ',');
    assert_int_equal(separator_of("a;b;c\n1,2,3,4\n"), ';');
    assert_int_equal(separator_of("a\tb\r\n"), '\t');
    assert_int_equal(separator_of("a|b"), '|');
    assert_int_equal(separator_of("\"a,b,\n,c\";d"), ';');
    assert_int_equal(separator_of("nothing"), ',');
    assert_int_equal(separator_of(""), ',');
}

static void marks_are_dropped(void **state)
{
    put("\xef\xbb\xbftext", 7);
    assert_int_equal(plain_text_encode(path, "utf-8"), 0);
    expect(path, "text");
    assert_int_equal(plain_text_encode(path, "utf-8"), 0);
    expect(path, "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_stays),
        cmocka_unit_test(eight_bits_are_windows_1252),
        cmocka_unit_test(utf16_is_known_by_its_mark),
        cmocka_unit_test(an_encoding_that_is_told_is_believed),
        cmocka_unit_test(results_are_encoded),
        cmocka_unit_test(missing_files_are_errors),
        cmocka_unit_test(separators_are_counted_in_the_first_line),
        cmocka_unit_test(marks_are_dropped),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
