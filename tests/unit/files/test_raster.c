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
    {"apng",
     BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0abcd\0\0\0\x08"
           "acTL\0\0\0\2\0\0\0\0abcd\0\0\0\3IDATxyzabcd\0\0\0\0IENDabcd"),
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
    {"jpx",
     BYTES("\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x0c"
           "ftypjpx \0\0\0\x1ejp2h\0\0\0\x16ihdr\0\0\0\1\0\0\0\1\0\1\7\7\0\0"),
     44, 4, true},
    {"cur", BYTES("\0\0\2\0\1\0\1\1\0\0\3\0\5\0\x0c\0\0\0\x16\0\0\0\x28\0\0\0\1\0\0\0\2\0\0\0"), 26, 4, true},
    {"psb", BYTES("8BPS\0\2\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0\1\0\x08\0\3"), 18, 4, false},
    {"pnm", BYTES("P5 1 1 255\na"), 3, 1, true},
    {"icns", BYTES("icns\0\0\0\x13is32\0\0\0\x0b\xff\xff\xff"), 12, 4, true},
    {"dcx", BYTES("\xb1\x68\xde\x3a\4\x10\0\0"), 4, 4, false},
    {"dds", BYTES("DDS \x7c\0\0\0\7\x10\0\0\1\0\0\0\1\0\0\0"), 16, 4, false},
    {"j2k", BYTES("\xff\x4f\xff\x51\0\x29\0\0\0\0\0\1\0\0\0\1"), 8, 4, false},
    {"jng", BYTES("\x8bJNG\r\n\x1a\n\0\0\0\x10JHDR\0\0\0\1\0\0\0\1"), 16, 4, false},
    {"ras", BYTES("\x59\xa6\x6a\x95\0\0\0\1\0\0\0\1"), 4, 4, false},
    {"qoi", BYTES("qoif\0\0\0\1\0\0\0\1\4\0"), 4, 4, false},
    {"ff", BYTES("farbfeld\0\0\0\1\0\0\0\1"), 12, 4, false},
    {"rle", BYTES("\x52\xcc\0\0\0\0\1\0\1\0"), 6, 2, false},
    {"sgi", BYTES("\x01\xda\1\1\0\3\0\1\0\1"), 8, 2, false},
    {"xwd", BYTES("\0\0\0\x65\0\0\0\7\0\0\0\2\0\0\0\x18\0\0\0\1\0\0\0\1"), 16, 4, false},
    {"jbig", BYTES("\0\0\1\0\0\0\0\1\0\0\0\1\0\0\0\1\x08\0\3\x1c"), 4, 4, false},
    {"palm", BYTES("\0\1\0\1\0\2\0\0\x08\1\0\0\0\0\0\0"), 0, 2, false},
    {"tim", BYTES("\x10\0\0\0\2\0\0\0\x0e\0\0\0\0\0\0\0\1\0\1\0ab"), 16, 2, false},
    {"pfm", BYTES("Pf\n1 1\n-1.0\nabcd"), 3, 1, false},
    {"xbm", BYTES("#define a_width 1\n#define a_height 1\nstatic char a_bits[] = {0};"), 16, 1, false},
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
        memset(data + p->side_at, *p->data == 'P' || *p->data == '#' ? '0' : 0, (size_t)p->side_len);
        assert_int_equal(check(p->id, data, p->len, &end), -EMEDIUMTYPE);
    }
}

/* An animated PNG is a PNG, too. */
static void no_picture_is_another(void **state)
{
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(pictures); i++)
        for (size_t k = 0; k < ARRAY_SIZE(pictures); k++)
            if (!str_eq(pictures[i].id, pictures[k].id) && *pictures[i].data != 'P' &&
                !(words_have("jp2 jpx", pictures[i].id) && words_have("jp2 jpx", pictures[k].id)))
                assert_int_equal(
                    check(pictures[k].id, pictures[i].data, pictures[i].len, &end),
                    str_eq(pictures[i].id, "apng") && str_eq(pictures[k].id, "png") ? 0 : -EMEDIUMTYPE);
    assert_int_equal(check("docx", "PK", 2, &end), -EINVAL);
}

/* Those without a mark are as long as their size says, and not a byte more or less. */
static const struct picture exact[] = {
    {"aai", BYTES("\1\0\0\0\1\0\0\0rgba"), 0, 4, true},
    {"avs", BYTES("\0\0\0\1\0\0\0\1argb"), 4, 4, true},
    {"art", BYTES("\0\0\x09\0\0\0\1\0ab"), 6, 2, true},
    {"rgf", BYTES("\x09\2abcd"), 0, 1, true},
    {"wbmp", BYTES("\0\0\x81\0\1abcdefghijklmnop"), 4, 1, false},
    {"mtv", BYTES("2 1\nrgbrgb"), 0, 1, false},
    {"pix", BYTES("\0\3\0\1\0\0\0\0\0\x18\2bgr\1bgr"), 0, 2, false},
};

static void without_a_mark_the_length_tells(void **state)
{
    char data[256];
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(exact); i++) {
        const struct picture *p = &exact[i];

        assert_int_equal(check(p->id, p->data, p->len, &end), 0);
        assert_int_equal(end, p->end_known ? p->len : RASTER_END_UNKNOWN);
        assert_int_equal(check(p->id, p->data, p->len - 1, &end), -EMEDIUMTYPE);
        memcpy(data, p->data, p->len);
        data[p->len] = '\0';
        assert_int_equal(check(p->id, data, p->len + 1, &end), -EMEDIUMTYPE);
        memset(data + p->side_at, str_eq(p->id, "mtv") ? '0' : 0, (size_t)p->side_len);
        assert_int_equal(check(p->id, data, p->len, &end), -EMEDIUMTYPE);
    }
}

/* The parsers whose pictures are too long to write down here. */
static void marks_at_their_places(void **state)
{
    static const struct {
        const char *id;
        int at;
        const char *mark;
        size_t len;
        int width_at, height_at, number_len;
    } marks[] = {
        {"cin", 0, BYTES("\x80\x2a\x5f\xd7"), 200, 204, 4},
        {"dpx", 0, BYTES("SDPX"), 772, 776, 4},
        {"dpx", 0, BYTES("XPDS"), 772, 776, 4},
        {"viff", 0, BYTES("\xab\1"), 520, 524, 4},
        {"pcd", 2048, BYTES("PCD_"), 0, 0, 0},
        {"hdr", 0, BYTES("#?RADIANCE\n"), 0, 0, 0},
        {"exr", 0, BYTES("\x76\x2f\x31\1"), 0, 0, 0},
        {"fits", 0, BYTES("SIMPLE  =   T"), 0, 0, 0},
        {"miff", 0, BYTES("id=ImageMagick"), 0, 0, 0},
        {"pam", 0, BYTES("P7\nWIDTH 1"), 0, 0, 0},
        {"pgx", 0, BYTES("PG ML + 8 1 1\n"), 0, 0, 0},
        {"vicar", 0, BYTES("LBLSIZE=1"), 0, 0, 0},
        {"xpm", 0, BYTES("/* XPM */"), 0, 0, 0},
    };
    static char data[2100];
    uint64_t end;

    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        memset(data, 0, sizeof data);
        memcpy(data + marks[i].at, marks[i].mark, marks[i].len);
        if (marks[i].number_len) {
            data[marks[i].width_at] = 1;
            assert_int_equal(check(marks[i].id, data, sizeof data, &end), -EMEDIUMTYPE);
            data[marks[i].height_at] = 1;
        }
        assert_int_equal(check(marks[i].id, data, sizeof data, &end), 0);
        data[marks[i].at]++;
        assert_int_equal(check(marks[i].id, data, sizeof data, &end), -EMEDIUMTYPE);
    }
}

static void pcx_has_a_window(void **state)
{
    char data[128] = "\x0a\5\1\x08\0\0\0\0\1\0\1\0";
    uint64_t end;

    assert_int_equal(check("pcx", data, sizeof data, &end), -EMEDIUMTYPE);
    data[65] = 3;
    data[66] = 2;
    assert_int_equal(check("pcx", data, sizeof data, &end), 0);
    data[4] = 2; /* ends left of where it begins */
    assert_int_equal(check("pcx", data, sizeof data, &end), -EMEDIUMTYPE);
}

static void faxes_and_screens(void **state)
{
    static char data[6912];
    uint64_t end;

    assert_int_equal(check("scr", data, sizeof data, &end), 0);
    assert_int_equal(check("scr", data, sizeof data - 1, &end), -EMEDIUMTYPE);
    memset(data, ' ', sizeof data);
    memcpy(data, "srcdocid: NONE", 14);
    assert_int_equal(check("cals", data, sizeof data, &end), -EMEDIUMTYPE);
    memcpy(data + 128, "rtype: 1", 8);
    memcpy(data + 256, "rpelcnt: 000096,000064", 22);
    assert_int_equal(check("cals", data, sizeof data, &end), 0);
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
        cmocka_unit_test(without_a_mark_the_length_tells),
        cmocka_unit_test(marks_at_their_places),
        cmocka_unit_test(pcx_has_a_window),
        cmocka_unit_test(faxes_and_screens),
        cmocka_unit_test(any_beginning_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
