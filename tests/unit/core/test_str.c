#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers_are_read_strictly(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1a", "1.0", "1\n"};
    uint64_t n = 99;

    assert_int_equal(str_to_u64("0", 0, 10, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(str_to_u64("0010", 0, 10, &n), 0);
    assert_int_equal(n, 10);
    assert_int_equal(str_to_u64("18446744073709551615", 0, UINT64_MAX, &n), 0);
    assert_true(n == UINT64_MAX);
    n = 99;
    assert_int_equal(str_to_u64("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
    assert_int_equal(str_to_u64("99999999999999999999999999", 0, UINT64_MAX, &n), -ERANGE);
    assert_int_equal(str_to_u64("4", 5, 10, &n), -ERANGE);
    assert_int_equal(str_to_u64("11", 5, 10, &n), -ERANGE);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(str_to_u64(bad[i], 0, 10, &n), -EINVAL);
    assert_int_equal(str_to_u64(NULL, 0, 10, &n), -EINVAL);
    assert_int_equal(n, 99);
}

static void words_are_walked(void **state)
{
    const char *word, *p = words_next("  one two ", &word, &(size_t){0});
    size_t n;

    assert_memory_equal(word, "one", 3);
    p = words_next(p, &word, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(word, "two", 3);
    assert_null(words_next(p, &word, &n));
    p = words_next(", three,four", &word, &n);
    assert_int_equal(n, 5);
    assert_memory_equal(word, "three", 5);
    p = words_next(p, &word, &n);
    assert_memory_equal(word, "four", n);
    assert_null(words_next(p, &word, &n));
    assert_null(words_next("", &word, &n));
    assert_null(words_next(" , ", &word, &n));
    assert_null(words_next("   ", &word, &n));
    assert_null(words_next(NULL, &word, &n));
}

static void whole_words_are_found(void **state)
{
    assert_true(words_have("png jpg", "png"));
    assert_true(words_have("png jpg", "jpg"));
    assert_true(words_have_n("png jpg", "jpgx", 3));
    assert_false(words_have("png jpg", "jp"));
    assert_false(words_have("png jpg", "jpgx"));
    assert_false(words_have("png jpg", "PNG"));
    assert_true(words_have("png,jpg", "jpg"));
    assert_false(words_have("png jpg", "png jpg"));
    assert_false(words_have("png,jpg", "png,jpg"));
    assert_false(words_have("png jpg", ""));
    assert_false(words_have(NULL, "png"));
}

static void secrets_are_compared(void **state)
{
    assert_true(str_eq_secret("abc", "abc"));
    assert_true(str_eq_secret("", ""));
    assert_false(str_eq_secret("abc", "abd"));
    assert_false(str_eq_secret("abc", "Abc"));
    assert_false(str_eq_secret("abc", "abcd"));
    assert_false(str_eq_secret("abc", ""));
    assert_false(str_eq_secret("abc", NULL));
    assert_false(str_eq_secret(NULL, NULL));
    assert_false(str_eq(NULL, NULL));
    assert_true(str_eq("a", "a"));
}

static void text_is_cut_between_characters(void **state)
{
    assert_int_equal(utf8_clip("abc", 10), 3);
    assert_int_equal(utf8_clip("abc", 3), 3);
    assert_int_equal(utf8_clip("abc", 2), 2);
    assert_int_equal(utf8_clip("a\xc3\xa9z", 2), 1);
    assert_int_equal(utf8_clip("a\xc3\xa9z", 3), 3);
    assert_int_equal(utf8_clip("\xf0\x9f\x98\x80", 3), 0);
    assert_int_equal(utf8_clip("\xf0\x9f\x98\x80", 4), 4);
    assert_int_equal(utf8_clip("abc", 0), 0);
}

static void utf8_is_checked(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",     /* a continuation alone */
        "\xc3",     /* cut */
        "\xc3(",    /* no continuation */
        "\xc0\xaf", /* an overlong slash */
        "\xc1\xbf",
        "\xe0\x80\xaf",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\xaf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", /* surrogates */
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", /* over U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xff",
        "\xe2\x82",
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    assert_true(utf8_valid("a\0b", 3));

    static const struct {
        const char *text;
        size_t len;
        uint32_t cp;
    } first[] = {{"ab", 1, 'a'},
                 {"\xc3\xa9x", 2, 0xe9},
                 {"\xe6\x97\xa5", 3, 0x65e5},
                 {"\xf0\x9f\x98\x80x", 4, 0x1f600},
                 {"", 0, 0},
                 {"\x80", 0, 0},
                 {"\xe6\x97", 0, 0},
                 {"\xed\xa0\x80", 0, 0},
                 {"\xf4\x90\x80\x80", 0, 0},
                 {"\xc0\xaf", 0, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
        uint32_t cp = 0;

        assert_int_equal(utf8_decode(first[i].text, strlen(first[i].text), &cp), first[i].len);
        assert_int_equal(cp, first[i].cp);
    }
}

static void plain_texts_are_told(void **state)
{
    assert_true(str_is_plain("image_dpi-2.x", 13));
    assert_false(str_is_plain("image_dpi-2.x", 12));
    assert_false(str_is_plain("", 12));
    assert_false(str_is_plain("a b", 12));
    assert_false(str_is_plain("dpi\n", 12));
    assert_false(str_is_plain("\xc3\xa9", 12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_strictly),      cmocka_unit_test(words_are_walked),
        cmocka_unit_test(whole_words_are_found),          cmocka_unit_test(secrets_are_compared),
        cmocka_unit_test(text_is_cut_between_characters), cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(plain_texts_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
