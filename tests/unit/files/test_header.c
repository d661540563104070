#include "files/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static bool adds_up(const void *data, size_t len, const char *format)
{
    static struct window w;
    _cleanup_close_ int fd = memfd_create("header", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(window_init(&w, fd), 0);
    return header_adds_up(&w, format);
}
#define ADDS_UP(bytes, format) adds_up(bytes, sizeof(bytes) - 1, format)

/* One field of three letters, and as many records as it says. */
struct dbf {
    unsigned char bytes[32 + 32 + 1 + 4 + 4];
};

static struct dbf dbf(void)
{
    struct dbf d = {{0x03, 124, 6, 1, 2, 0, 0, 0, 65, 0, 4, 0}};

    memcpy(d.bytes + 32, "NAME\0\0\0\0\0\0\0C\0\0\0\0\3", 17);
    memcpy(d.bytes + 64, "\r abc xyz", 9);
    return d;
}

static bool is_dbf(const struct dbf *d)
{
    return adds_up(d->bytes, sizeof d->bytes, "dbf");
}

static void fields_make_the_records_of_a_dbf(void **state)
{
    static const struct {
        size_t at;
        unsigned char wrong;
    } mistakes[] = {{0, 0x99}, {2, 13}, {3, 32},   {4, 3},  {8, 64},
                    {9, 1},    {10, 5}, {43, '!'}, {48, 4}, {64, 0}};
    struct dbf d = dbf();

    assert_true(is_dbf(&d));
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        d = dbf();
        d.bytes[mistakes[i].at] = mistakes[i].wrong;
        assert_false(is_dbf(&d));
    }
    d = dbf();
    assert_false(adds_up(d.bytes, sizeof d.bytes - 1, "dbf"));
    assert_false(adds_up(d.bytes, 20, "dbf"));
}

static void a_placeable_metafile_has_a_sum(void **state)
{
    static const char plain[] = "\1\0\x09\0\0\3\x0c\0\0\0\0\0\0\0\0\0\0\0";
    unsigned char placeable[22 + 18] = "\xd7\xcd\xc6\x9a\0\0\1\0\2\0\3\0\4\0\xe8\3\0\0\0\0";
    uint16_t sum = 0;

    for (size_t i = 0; i < 20; i += 2)
        sum ^= (uint16_t)(placeable[i] | placeable[i + 1] << 8);
    placeable[20] = (unsigned char)sum;
    placeable[21] = (unsigned char)(sum >> 8);
    memcpy(placeable + 22, plain, 18);
    assert_true(ADDS_UP(plain, "wmf"));
    assert_true(adds_up(placeable, sizeof placeable, "wmf"));
    placeable[20] ^= 1;
    assert_false(adds_up(placeable, sizeof placeable, "wmf"));
    assert_false(ADDS_UP("\1\0\x0a\0\0\3\x0c\0\0\0\0\0\0\0\0\0\0\0", "wmf"));
    assert_false(ADDS_UP("\1\0\x09\0\0\4\x0c\0\0\0\0\0\0\0\0\0\0\0", "wmf"));
    assert_false(ADDS_UP("\1\0\x09\0\0\3", "wmf"));
}

static bool is_pict(const void *frame_and_version, size_t len)
{
    char file[512 + 2 + 12] = {0};

    memcpy(file + 514, frame_and_version, len);
    return adds_up(file, 514 + len, "pct");
}

static void a_quickdraw_picture_has_a_frame_and_a_version(void **state)
{
    assert_true(is_pict("\0\0\0\0\0\1\0\1\x11\x01\0\0", 12));
    assert_true(is_pict("\xff\xff\xff\xff\0\0\0\0\0\x11\x02\xff", 12));
    assert_false(is_pict("\0\0\0\0\0\0\0\1\x11\x01\0\0", 12)); /* no height */
    assert_false(is_pict("\0\0\0\2\0\1\0\1\x11\x01\0\0", 12)); /* less than no width */
    assert_false(is_pict("\0\0\0\0\0\1\0\1\x11\x03\0\0", 12));
    assert_false(is_pict("\0\0\0\0\0\1\0\1", 8));
}

static void a_drawing_begins_with_a_section(void **state)
{
    assert_true(ADDS_UP("  0\r\nSECTION\r\n", "dxf"));
    assert_true(ADDS_UP("999\na comment\n0\nSECTION\n", "dxf"));
    assert_true(ADDS_UP("AutoCAD Binary DXF\r\n\x1a\0\0\0SECTION", "dxf"));
    assert_false(ADDS_UP("0\nEOF\n", "dxf"));
    assert_false(ADDS_UP("1\nSECTION\n", "dxf"));
    assert_false(ADDS_UP("0\nSECTION", "dxf")); /* of nothing */
    assert_false(ADDS_UP("999\nand so on\n", "dxf"));
    assert_false(ADDS_UP("", "dxf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_make_the_records_of_a_dbf),
        cmocka_unit_test(a_placeable_metafile_has_a_sum),
        cmocka_unit_test(a_quickdraw_picture_has_a_frame_and_a_version),
        cmocka_unit_test(a_drawing_begins_with_a_section),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
