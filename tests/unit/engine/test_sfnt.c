/* Tables go through whatever packs them as they are, and nothing is believed of where they lie. */
#include "engine/font/sfnt.h"

#include "core/str.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { TABLE_BYTES = 999 };

static char folder[] = "/tmp/decant-test-XXXXXX";

static int setup(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static const char *at(const char *name)
{
    static char path[3][64];
    static int next;
    char *p = path[next++ % 3];

    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void put(const char *name, const void *data, size_t len)
{
    FILE *file = fopen(at(name), "we");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static size_t get(const char *name, char *ret, size_t size)
{
    _cleanup_fclose_ FILE *file = fopen(at(name), "re");

    assert_non_null(file);
    return fread(ret, 1, size, file);
}

static void put32(char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

/* Two tables, the second of which lies first; how long it is. */
static size_t make_font(char *font)
{
    memset(font, 0, 44);
    memcpy(font, "\0\1\0\0\0\2\0\40\0\1\0\0", 12);
    memcpy(font + 12, "glyf", 4);
    put32(font + 20, 44 + 12);
    put32(font + 24, TABLE_BYTES);
    memcpy(font + 28, "head", 4);
    put32(font + 36, 44);
    put32(font + 40, 12);
    memset(font + 44, 'h', 12);
    memset(font + 56, 'g', TABLE_BYTES);
    memset(font + 56 + TABLE_BYTES, 0, 1);
    return 56 + TABLE_BYTES + 1;
}

static int load(const char *data, size_t len)
{
    struct sfnt *s = NULL;
    int r;

    put("a", data, len);
    r = sfnt_load(at("a"), &s);
    sfnt_free(s);
    return r;
}

static void packed_and_back_it_is_the_same(void **state)
{
    char font[2048], back[2048];
    size_t len = make_font(font);
    struct sfnt *s, *woff;

    put("a", font, len);
    assert_int_equal(sfnt_load(at("a"), &s), 0);
    assert_false(sfnt_is_postscript(s));
    assert_true(sfnt_has_outlines(s));
    assert_int_equal(sfnt_write_woff(s, at("b")), 0);
    assert_true(get("b", back, sizeof back) < len);
    assert_memory_equal(back, "wOFF\0\1\0\0", 8);
    assert_int_equal(sfnt_load(at("b"), &woff), 0);
    assert_int_equal(sfnt_write(woff, at("c")), 0);
    assert_int_equal(get("c", back, sizeof back), len);
    assert_memory_equal(back, font, len);
    sfnt_free(woff);
    sfnt_free(s);
}

static void each_cut_is_noticed(void **state)
{
    char font[2048];
    size_t len = make_font(font) - 1; /* what follows the last table is filling */

    assert_int_equal(load(font, len), 0);
    for (size_t n = 1; n < len; n++)
        assert_int_equal(load(font, n), -EBADMSG);
}

static void tables_lie_within(void **state)
{
    static const uint32_t lies[] = {0xffffffff, 0x7fffffff, 2000, 56 + TABLE_BYTES};
    char font[2048];
    size_t len = make_font(font);

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        make_font(font);
        put32(font + 20, lies[i]);
        assert_int_equal(load(font, len), -EBADMSG);
        make_font(font);
        put32(font + 24, lies[i]);
        assert_true(load(font, len) == -EBADMSG || load(font, len) == -EFBIG);
    }
    make_font(font);
    memcpy(font + 28, "glyf", 4); /* a second time */
    assert_int_equal(load(font, len), -EBADMSG);
    make_font(font);
    font[4] = font[5] = (char)0xff;
    assert_int_equal(load(font, len), -EBADMSG);
}

static void a_packed_table_is_as_long_as_it_says(void **state)
{
    char font[2048], woff[2048];
    struct sfnt *s;
    size_t len;

    put("a", font, make_font(font));
    assert_int_equal(sfnt_load(at("a"), &s), 0);
    assert_int_equal(sfnt_write_woff(s, at("b")), 0);
    sfnt_free(s);
    len = get("b", woff, sizeof woff);
    put32(woff + 44 + 12, TABLE_BYTES + 1);
    assert_int_equal(load(woff, len), -EBADMSG);
    put32(woff + 44 + 12, TABLE_BYTES - 1);
    assert_int_equal(load(woff, len), -EBADMSG);
    put32(woff + 44 + 12, 0xf0000000);
    assert_int_equal(load(woff, len), -EFBIG);
}

static void the_first_of_a_collection_adds_up(void **state)
{
    char font[2048], collection[2048], back[2048];
    size_t len = make_font(font);
    uint32_t sum = 0;
    struct sfnt *s;

    memcpy(collection, "ttcf\0\1\0\0\0\0\0\1\0\0\0\20", 16);
    memcpy(collection + 16, font, len);
    put32(collection + 16 + 20, 16 + 56); /* offsets are of the file */
    put32(collection + 16 + 36, 16 + 44);
    put("a", collection, 16 + len);
    assert_int_equal(sfnt_load(at("a"), &s), 0);
    assert_int_equal(sfnt_write(s, at("b")), 0);
    sfnt_free(s);
    assert_int_equal(get("b", back, sizeof back), len);
    for (size_t i = 0; i < len; i += 4) {
        uint32_t word;

        memcpy(&word, back + i, sizeof word);
        sum += be32toh(word);
    }
    assert_int_equal(sum, 0xb1b0afba);
    put32(collection + 12, 0xfffffff0);
    assert_int_equal(load(collection, 16 + len), -EBADMSG);
}

static void what_is_no_font_is_none(void **state)
{
    static const char *const texts[] = {
        "", "x", "true", "OTTO\0\0", "wOFF", "ttcf", "not a font at all, but long enough"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(load(texts[i], strlen(texts[i])), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_and_back_it_is_the_same),
        cmocka_unit_test(each_cut_is_noticed),
        cmocka_unit_test(tables_lie_within),
        cmocka_unit_test(a_packed_table_is_as_long_as_it_says),
        cmocka_unit_test(the_first_of_a_collection_adds_up),
        cmocka_unit_test(what_is_no_font_is_none),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
