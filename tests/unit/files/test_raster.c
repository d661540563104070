/* Each picture is the least that its format takes. */
#include "core/str.h"
#include "files/raster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BYTES(s) s, sizeof(s) - 1

static const struct picture {
    const char *id, *data;
    size_t len;
    int side_at, side_len; /* where its width is told: 0 there, and it is none any more */
    bool end_known;
} pictures[] = {
    {"png",
     BYTES(
         "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0abcd\0\0\0\3IDATxyzabcd\0\0\0\0IENDabcd"),
     16, 4, true},
    {"gif", BYTES("GIF89a\1\0\1\0\x80\0\0abcdef!\xfe\2hi\0,\0\0\0\0\1\0\1\0\0\2\1x\0;"), 6, 2, true},
    {"jpg",
     BYTES("\xff\xd8\xff\xe0\0\4ab\xff\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0\xff\xda\0\x08\1\1\0\0\x3f\0"
           "ab\xff\0\xff\xd0\xff\xc4\0\4\xff\xd9\xff\xda\0\x08\1\1\0\0\x3f\0x\xff\xd9"),
     16, 2, true},
    {"webp", BYTES("RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0abc\x9d\1\x2a\1\0\1\0"), 26, 2, true},
    {"bmp",
     BYTES(
         "BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
         "\0\0\0\0\0\0\0\0abcd"),
     18, 4, true},
    {"ico", BYTES("\0\0\1\0\1\0\1\1\0\0\1\0\x18\0\x0c\0\0\0\x16\0\0\0\x28\0\0\0\1\0\0\0\2\0\0\0"), 26, 4,
     true},
    {"psd", BYTES("8BPS\0\1\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0\1\0\x08\0\3"), 18, 4, false},
    {"tga", BYTES("\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1\0\x18\0abc"), 12, 2, true},
    {"ppm", BYTES("P6\n# a comment\n1 1\n255\nabc"), 15, 1, true},
    {"pbm", BYTES("P1 1 1 0"), 3, 1, false},
    {"tiff", BYTES("II*\0\x08\0\0\0\2\0\0\1\3\0\1\0\0\0\1\0\0\0\1\1\4\0\1\0\0\0\1\0\0\0\0\0\0\0"), 18, 2,
     false},
    {"tiff", BYTES("MM\0*\0\0\0\x08\0\2\1\0\0\3\0\0\0\1\0\1\0\0\1\1\0\4\0\0\0\1\0\0\0\1\0\0\0\0"), 18, 2,
     false},
    {"jp2",
     BYTES("\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x0c"
           "ftypjp2 \0\0\0\x1ejp2h\0\0\0\x16ihdr\0\0\0\1\0\0\0\1\0\1\7\7\0\0"),
     44, 4, true},
    {"avif",
     BYTES("\0\0\0\x10"
           "ftypavif\0\0\0\0\0\0\0\x20meta\0\0\0\0\0\0\0\x14ispe\0\0\0\0\0\0\0\1\0\0\0\1"),
     40, 4, true},
    {"jxl", BYTES("\xff\x0a\1\2"), 0, 2, false},
    {"jxl", BYTES("\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x0ajxlc\xff\x0a"), 16, 4, true},
};

static int check(const char *id, const void *data, size_t len, uint64_t *ret_end)
{
    _cleanup_close_ int fd = memfd_create("picture", MFD_CLOEXEC);
    static struct window w;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(window_init(&w, fd), 0);
    return raster_check(&w, id, ret_end);
}

static void pictures_are_found_and_their_end(void **state)
{
    char data[256];
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(pictures); i++) {
        const struct picture *p = &pictures[i];

        assert_int_equal(check(p->id, p->data, p->len, &end), 0);
        if (p->end_known)
            assert_int_equal(end, p->len);
        memcpy(data, p->data, p->len);
        memcpy(data + p->len, "behind it", 9);
        assert_int_equal(check(p->id, data, p->len + 9, &end), 0);
        assert_int_equal(end, p->end_known ? p->len : RASTER_END_UNKNOWN);
    }
}

static void a_picture_without_a_side_is_none(void **state)
{
    char data[256];
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(pictures); i++) {
        const struct picture *p = &pictures[i];

        memcpy(data, p->data, p->len);
        memset(data + p->side_at, *p->data == 'P' ? '0' : 0, (size_t)p->side_len);
        assert_int_equal(check(p->id, data, p->len, &end), -EMEDIUMTYPE);
    }
}

static void no_picture_is_another(void **state)
{
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(pictures); i++)
        for (size_t k = 0; k < ARRAY_SIZE(pictures); k++)
            if (!str_eq(pictures[i].id, pictures[k].id) && *pictures[i].data != 'P')
                assert_int_equal(check(pictures[k].id, pictures[i].data, pictures[i].len, &end),
                                 -EMEDIUMTYPE);
    assert_int_equal(check("docx", "PK", 2, &end), -EINVAL);
}

/* Never past the end of what is there, and never an end that isn't. */
static void any_beginning_is_looked_at(void **state)
{
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(pictures); i++)
        for (size_t n = 0; n < pictures[i].len; n++)
            if (check(pictures[i].id, pictures[i].data, n, &end) == 0 && end != RASTER_END_UNKNOWN)
                assert_true(end <= n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_found_and_their_end),
        cmocka_unit_test(a_picture_without_a_side_is_none),
        cmocka_unit_test(no_picture_is_another),
        cmocka_unit_test(any_beginning_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
