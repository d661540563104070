/* Bytes are those of the encodings' own tables, as iconv of other systems and browsers have them. */
#include "engine/office/encoding.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROOM = 256 * 1024 };

static void assert_bytes(const struct buf *b, const char *expected, size_t len)
{
    assert_int_equal(b->len, len);
    assert_memory_equal(b->data, expected, len);
}

static void reads(const char *name, const char *text, size_t len, const char *utf8)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ROOM);

    assert_int_equal(encoding_read(name, text, len, &out), 0);
    assert_bytes(&out, utf8, strlen(utf8));
}

static void writes(const char *name, const char *utf8, const char *text, size_t len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ROOM);

    assert_int_equal(encoding_write(name, utf8, strlen(utf8), &out), 0);
    assert_bytes(&out, text, len);
}

static void refuses(const char *name, const char *text, size_t len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ROOM);

    assert_int_equal(encoding_read(name, text, len, &out), -EILSEQ);
}

static void texts_are_what_their_tables_say(void **state)
{
    static const struct {
        const char *name, *text, *utf8;
    } samples[] = {
        {"windows-1252", "\xe4\x80\x93", "ä€“"},
        {"iso-8859-1", "\xe4\xff", "äÿ"},
        {"iso-8859-15", "\xa4\xe4", "€ä"},
        {"windows-1250", "\xb9\xe6\xf8", "ąćř"},
        {"iso-8859-2", "\xb1\xe6\xf8", "ąćř"},
        {"windows-1251", "\xcf\xf0\xe8", "При"},
        {"koi8-r", "\xf0\xd2\xc9", "При"},
        {"koi8-u", "\xa4\xa6", "єі"},
        {"windows-1253", "\xc1\xe8", "Αθ"},
        {"windows-1254", "\xfd\xfe", "ış"},
        {"windows-1255", "\xf9\xec", "של"},
        {"windows-1256", "\xc7\xe1", "ال"},
        {"windows-1257", "\xe0\xe8", "ąč"},
        {"windows-1258", "\xf0\xfe", "đ₫"},
        {"windows-874", "\xa1\x80", "ก€"},
        {"shift_jis", "\x83\x7c\x93\xfa\\", "ポ日\\"}, /* with a | that is none, and \ as Windows reads it */
        {"euc-jp", "\xc6\xfc\xcb\xdc", "日本"},
        {"gb18030", "\xd6\xd0\x81\x30\x84\x38", "中©"},
        {"gbk", "\xd6\xd0", "中"},
        {"big5", "\xa4\xa4", "中"},
        {"euc-kr", "\xb0\xa1", "가"},
        {"ibm850", "\x84\xe1", "äß"},
        {"macintosh", "\x8a\xa7", "äß"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        reads(samples[i].name, samples[i].text, strlen(samples[i].text), samples[i].utf8);
        writes(samples[i].name, samples[i].utf8, samples[i].text, strlen(samples[i].text));
    }
}

/* Each that is offered, and nothing that is offered by a name alone. */
static void all_names_are_known(void **state)
{
    const char *word;
    size_t len;

    for (const char *p = ENCODINGS_WRITTEN; (p = words_next(p, &word, &len));) {
        _cleanup_buf_ struct buf out = BUF_INIT(ROOM), back = BUF_INIT(ROOM);
        char name[32];

        snprintf(name, sizeof name, "%.*s", (int)len, word);
        assert_int_equal(encoding_write(name, "a,b\n", 4, &out), 0);
        if (str_eq(name, ENCODING_MARKED))
            continue;
        assert_int_equal(encoding_read(name, out.data, out.len, &back), 0);
        assert_bytes(&back, "a,b\n", 4);
    }
}

static void unicode_has_marks(void **state)
{
    reads("utf-8", "\xef\xbb\xbfä", 5, "ä");
    reads("utf-16", "\xff\xfe\xe4\0", 4, "ä");
    reads("utf-16", "\xfe\xff\0\xe4", 4, "ä");
    reads("utf-16", "\xe4\0\x3d\xd8\x00\xde", 6, "ä😀");
    writes("utf-8", "ä", "ä", 2);
    writes("utf-8-bom", "ä", "\xef\xbb\xbfä", 5);
    writes("utf-16", "ä😀", "\xff\xfe\xe4\0\x3d\xd8\x00\xde", 8);
}

static void what_an_encoding_lacks_becomes_a_question_mark(void **state)
{
    writes("iso-8859-1", "Łukasz € 😀ä", "?ukasz ? ?\xe4", 11);
    writes("windows-1252", "日本", "??", 2);
    writes("shift_jis", "ä日", "?\x93\xfa", 3);
    writes("koi8-r", "ä", "?", 1);
    writes("windows-1252",
           "a\xff"
           "b\xc3",
           "a?b?", 4); /* no UTF-8 at all */
}

static void what_is_in_another_encoding_is_refused(void **state)
{
    refuses("utf-8", "\xe4", 1);
    refuses("shift_jis", "\x93", 1); /* half a character */
    refuses("gb18030", "a\xff\xff", 3);
    refuses("euc-kr", "\xff", 1);
    refuses("windows-1253", "\xd2", 1); /* unassigned */
}

/* Longer than the pieces in which it is converted, with characters across their ends. */
static void long_texts_are_whole(void **state)
{
    enum { N = 20000 };
    _cleanup_buf_ struct buf text = BUF_INIT(ROOM), utf8 = BUF_INIT(ROOM), out = BUF_INIT(ROOM),
                             back = BUF_INIT(ROOM), little = BUF_INIT(100);

    for (int i = 0; i < N; i++) {
        buf_append_str(&text, i % 7 ? "\x93\xfa" : "a");
        buf_append_str(&utf8, i % 7 ? "日" : "a");
    }
    assert_int_equal(encoding_read("shift_jis", text.data, text.len, &out), 0);
    assert_bytes(&out, utf8.data, utf8.len);
    assert_int_equal(encoding_write("shift_jis", out.data, out.len, &back), 0);
    assert_bytes(&back, text.data, text.len);
    assert_int_equal(encoding_read("shift_jis", text.data, text.len, &little), -EMSGSIZE);
    assert_int_equal(encoding_write("shift_jis", out.data, out.len, &little), -EMSGSIZE);
}

static void texts_are_guessed(void **state)
{
    assert_string_equal(encoding_guess("", 0), "utf-8");
    assert_string_equal(encoding_guess("ä", 2), "utf-8");
    assert_string_equal(encoding_guess("\xff\xfe\xe4\0", 4), "utf-16");
    assert_string_equal(encoding_guess("\xfe\xff\0\xe4", 4), "utf-16");
    assert_string_equal(encoding_guess("\xff", 1), "windows-1252");
    assert_string_equal(encoding_guess("\xe4 \x80", 3), "windows-1252");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_what_their_tables_say),
        cmocka_unit_test(all_names_are_known),
        cmocka_unit_test(unicode_has_marks),
        cmocka_unit_test(what_an_encoding_lacks_becomes_a_question_mark),
        cmocka_unit_test(what_is_in_another_encoding_is_refused),
        cmocka_unit_test(long_texts_are_whole),
        cmocka_unit_test(texts_are_guessed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
