/* The records of an archive, byte by byte where other programs can't be asked: beyond 4 GiB and 65,535 files.
 * tests/system/test_download_all.py has whole archives read by others. */
#include "core/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)

static uint64_t number(const struct buf *b, size_t at, size_t bytes)
{
    uint64_t v = 0;

    assert_true(at + bytes <= b->len);
    for (size_t i = bytes; i > 0; i--)
        v = v << 8 | (unsigned char)b->data[at + i - 1];
    return v;
}

enum { LOCAL_BYTES = 30, CENTRAL_BYTES = 46 };

static void test_small(void **state)
{
    static const struct zip_entry e = {
        .name = "a.txt", .size = 5, .packed = 5, .offset = 77, .crc = 0x12345678};
    _cleanup_buf_ struct buf local = BUF_INIT(1000), central = BUF_INIT(1000);

    zip_put_local(&local, &e);
    assert_int_equal(local.len, LOCAL_BYTES + 5);
    assert_memory_equal(
        local.data, "PK\3\4\24\0\0\0\0\0\0\0\x21\0\x78\x56\x34\x12\5\0\0\0\5\0\0\0\5\0\0\0a.txt", local.len);
    zip_put_central(&central, &e);
    assert_int_equal(central.len, CENTRAL_BYTES + 5);
    assert_memory_equal(central.data, "PK\1\2\24\0\24\0", 8);
    assert_int_equal(number(&central, 42, 4), 77);
}

static void test_time_and_name(void **state)
{
    /* 2026-11-29T22:39:57Z */
    static const struct zip_entry e = {.name = "größe.txt", .size = 1, .packed = 1, .modified = 1795991997};
    _cleanup_buf_ struct buf local = BUF_INIT(1000), central = BUF_INIT(1000);
    const size_t extra = LOCAL_BYTES + strlen(e.name);

    zip_put_local(&local, &e);
    assert_int_equal(number(&local, 6, 2), 1 << 11);
    assert_int_equal(number(&local, 10, 2), 22 << 11 | 39 << 5 | 57 / 2);
    assert_int_equal(number(&local, 12, 2), (2026 - 1980) << 9 | 11 << 5 | 29);
    assert_int_equal(number(&local, 28, 2), 9);
    assert_int_equal(number(&local, extra, 2), 0x5455);
    assert_int_equal(number(&local, extra + 2, 2), 5);
    assert_int_equal(number(&local, extra + 4, 1), 1);
    assert_int_equal(number(&local, extra + 5, 4), 1795991997);
    assert_int_equal(local.len, extra + 9);
    zip_put_central(&central, &e);
    assert_int_equal(central.len, CENTRAL_BYTES + strlen(e.name) + 9);
}

static void test_times_that_dos_does_not_know(void **state)
{
    static const int64_t times[] = {0, 1, 315532799 /* the end of 1979 */, INT64_C(4354819200) /* 2108 */,
                                    INT64_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        _cleanup_buf_ struct buf local = BUF_INIT(1000);

        zip_put_local(&local, &(struct zip_entry){.name = "a", .modified = times[i]});
        assert_int_equal(number(&local, 10, 4), 0x00210000);
    }
}

static void test_large_entry(void **state)
{
    static const struct zip_entry e = {.name = "a", .size = 5 * GIB, .packed = 5 * GIB, .offset = 3};
    _cleanup_buf_ struct buf local = BUF_INIT(1000), central = BUF_INIT(1000);

    zip_put_local(&local, &e);
    assert_int_equal(number(&local, 4, 2), 45);
    assert_int_equal(number(&local, 18, 8), UINT64_MAX);
    assert_int_equal(number(&local, 31, 2), 1);
    assert_int_equal(number(&local, 33, 2), 16);
    assert_int_equal(number(&local, 35, 8), 5 * GIB);
    assert_int_equal(number(&local, 43, 8), 5 * GIB);
    zip_put_central(&central, &e);
    assert_int_equal(number(&central, 6, 2), 45);
    assert_int_equal(number(&central, 20, 8), UINT64_MAX);
    assert_int_equal(number(&central, 42, 4), 3);
    assert_int_equal(number(&central, 47, 4), 16 << 16 | 1);
    assert_int_equal(central.len, 47 + 4 + 16);
}

/* Behind 4 GiB of others: its own sizes are small, and where it begins is not. */
static void test_late_entry(void **state)
{
    static const struct zip_entry e = {.name = "a", .size = 10, .packed = 10, .offset = 4 * GIB};
    _cleanup_buf_ struct buf local = BUF_INIT(1000), central = BUF_INIT(1000);

    zip_put_local(&local, &e);
    assert_int_equal(local.len, LOCAL_BYTES + 1);
    assert_int_equal(number(&local, 4, 2), 20);
    zip_put_central(&central, &e);
    assert_int_equal(number(&central, 20, 4), 10);
    assert_int_equal(number(&central, 42, 4), UINT32_MAX);
    assert_int_equal(number(&central, 47, 4), 8 << 16 | 1);
    assert_int_equal(number(&central, 51, 8), 4 * GIB);
}

static void test_end(void **state)
{
    static const struct {
        uint64_t entries, offset, size;
        bool zip64;
    } rows[] = {
        {0, 0, 0, false},           {65534, 1000, 2000, false},
        {65535, 1000, 2000, true},  {1, 4 * GIB - 2, 50, false},
        {1, 4 * GIB - 1, 50, true}, {100000, 9 * GIB, 5000000, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(1000);
        size_t end = rows[i].zip64 ? 56 + 20 : 0;

        zip_put_end(&b, rows[i].entries, rows[i].offset, rows[i].size);
        assert_int_equal(b.len, end + 22);
        assert_memory_equal(b.data + end, "PK\5\6", 4);
        if (!rows[i].zip64) {
            assert_int_equal(number(&b, 10, 2), rows[i].entries);
            assert_int_equal(number(&b, 12, 4), rows[i].size);
            assert_int_equal(number(&b, 16, 4), rows[i].offset);
            continue;
        }
        assert_memory_equal(b.data, "PK\6\6", 4);
        assert_int_equal(number(&b, 4, 8), 44);
        assert_int_equal(number(&b, 24, 8), rows[i].entries);
        assert_int_equal(number(&b, 32, 8), rows[i].entries);
        assert_int_equal(number(&b, 40, 8), rows[i].size);
        assert_int_equal(number(&b, 48, 8), rows[i].offset);
        assert_memory_equal(b.data + 56, "PK\6\7", 4);
        assert_int_equal(number(&b, 64, 8), rows[i].offset + rows[i].size);
        assert_int_equal(number(&b, 72, 4), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),       cmocka_unit_test(test_time_and_name),
        cmocka_unit_test(test_large_entry), cmocka_unit_test(test_times_that_dos_does_not_know),
        cmocka_unit_test(test_late_entry),  cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
