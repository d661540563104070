#include "api/tus_header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect_text(const char *header, const char *value)
{
    char text[64];

    assert_int_equal(tus_metadata_get(header, "filename", text, sizeof text), 0);
    assert_string_equal(text, value);
}

static int metadata(const char *header)
{
    char text[12];

    return tus_metadata_get(header, "filename", text, sizeof text);
}

static void metadata_is_names_and_base64(void **state)
{
    expect_text("filename YS5wbmc=", "a.png");
    expect_text("filetype aW1hZ2UvcG5n,filename YS5wbmc=", "a.png");
    expect_text("is_confidential, filename YS5wbmc=,x", "a.png");
    expect_text("filenamed eA==,file eA==,filename w5xiZXIucG5n", "\u00dcber.png");
    expect_text("filename", "");
    expect_text("filename ", "");
    assert_int_equal(metadata("filetype aW1hZ2UvcG5n"), -ENOENT);
    assert_int_equal(metadata("Filename YS5wbmc="), -ENOENT);
}

static void other_metadata_is_refused(void **state)
{
    assert_int_equal(metadata(""), -EINVAL);
    assert_int_equal(metadata(",filename YS5wbmc="), -EINVAL);
    assert_int_equal(metadata("x ,,filename YS5wbmc="), -EINVAL);
    assert_int_equal(metadata("filename a.png"), -EINVAL);
    assert_int_equal(metadata("filename YS5wbmc"), -EINVAL); /* cut off */
    assert_int_equal(metadata("filename YS5 wbmc="), -EINVAL);
    assert_int_equal(metadata("filename YQBi"), -EINVAL); /* a NUL in it */
    assert_int_equal(metadata("filename YWJjZGVmZ2hpams="), 0);
    assert_int_equal(metadata("filename YWJjZGVmZ2hpamts"), -EMSGSIZE);
}

static bool holds(const char *header, const char *body)
{
    struct tus_checksum c;

    assert_int_equal(tus_checksum_begin(&c, header), 0);
    for (; *body; body++)
        tus_checksum_update(&c, body, 1);
    return tus_checksum_holds(&c);
}

static void checksums_are_compared(void **state)
{
    assert_true(holds(NULL, "anything"));
    assert_true(holds("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "hello world"));
    assert_false(holds("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "hello World"));
    assert_true(holds("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", "hello world"));
    assert_false(holds("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", ""));
}

static void other_checksums_are_refused(void **state)
{
    static const char *const headers[] = {"",
                                          "sha1",
                                          "sha1 ",
                                          "sha1 AAAA",
                                          "sha1 !",
                                          "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                          "md5 XrY7u+Ae7tCTyyK7j1rNww==",
                                          "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                          "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                          "sha1 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
                                          "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzekA"};
    struct tus_checksum c;

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(tus_checksum_begin(&c, headers[i]), -EINVAL);
}

static void numbers_are_decimal(void **state)
{
    uint64_t number = 1;

    assert_int_equal(tus_number("0", &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(tus_number("9223372036854775807", &number), 0);
    assert_true(number == INT64_MAX);
    assert_true(tus_number("9223372036854775808", &number) < 0);
    assert_true(tus_number("-1", &number) < 0);
    assert_true(tus_number("", &number) < 0);
    assert_true(tus_number("1 ", &number) < 0);
    assert_true(tus_number(NULL, &number) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_is_names_and_base64), cmocka_unit_test(other_metadata_is_refused),
        cmocka_unit_test(checksums_are_compared),       cmocka_unit_test(other_checksums_are_refused),
        cmocka_unit_test(numbers_are_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
