#include "files/zipdir.h"
#include "zip_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Offsets in a directory entry (APPNOTE.TXT 4.3.12). */
enum { METHOD = 10, PACKED_AT = 20, INFLATED = 24, MODE = 40, OFFSET = 42 };

static void put32(unsigned char *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static int open_archive(struct zip_writer *w)
{
    _cleanup_close_ int fd = zip_writer_finish(w);
    struct zipdir *z = NULL;
    int r = zipdir_open(fd, &z);

    zipdir_close(z);
    return r;
}

static struct zip_writer *with_member(const char *name)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "first", "1", 1);
    zip_writer_add(w, name, "2", 1);
    return w;
}

static void assert_member(struct zipdir *z, const char *name, const char *expected)
{
    _cleanup_free_ char *data = NULL;
    size_t len;

    assert_int_equal(zipdir_read(z, name, 1000, &data, &len), 0);
    assert_int_equal(len, strlen(expected));
    assert_string_equal(data, expected);
}

static void members_are_read(void **state)
{
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct zip_writer *w = zip_writer_new();
        struct zipdir *z;
        _cleanup_free_ char *data = NULL;
        size_t len;

        zip_writer_add(w, "stored", "as it is", 8);
        zip_writer_add_deflated(w, "Folder/Deflated.xml", "aaaaaaaaaaaaaaaaaaaa", 20);
        zip_writer_add(w, "empty", "", 0);
        if (zip64)
            zip_writer_zip64(w);

        _cleanup_close_ int fd = zip_writer_finish(w);

        assert_int_equal(zipdir_open(fd, &z), 0);
        assert_int_equal(zipdir_inflated(z), 8 + 20);
        assert_member(z, "stored", "as it is");
        assert_member(z, "folder/deflated.XML", "aaaaaaaaaaaaaaaaaaaa");
        assert_member(z, "empty", "");
        assert_int_equal(zipdir_read(z, "other", 1000, &data, &len), -ENOENT);
        assert_int_equal(zipdir_read(z, "Folder/Deflated.xml", 19, &data, &len), -EFBIG);
        assert_null(data);
        zipdir_close(z);
    }
}

/* The sizes stand in an extra field, before which others may be. */
static int open_with_sizes_in_extra(unsigned others, uint16_t sizes_len)
{
    static const uint64_t sizes[] = {4, 4};
    struct zip_writer *w = zip_writer_new();

    zip_writer_add(w, "m", "text", 4);
    put32(zip_writer_entry(w) + INFLATED, 0xffffffff);
    put32(zip_writer_entry(w) + PACKED_AT, 0xffffffff);
    for (unsigned i = 0; i < others; i++)
        zip_writer_extra(w, 0x5455, "abcdefghijklmnopqrstuvwxyz", (uint16_t)(5 * i));
    zip_writer_extra(w, 1, sizes, sizes_len);

    _cleanup_close_ int fd = zip_writer_finish(w);
    struct zipdir *z;
    int r = zipdir_open(fd, &z);

    if (r == 0) {
        assert_member(z, "m", "text");
        zipdir_close(z);
    }
    return r;
}

static void large_sizes_are_found_among_other_fields(void **state)
{
    for (unsigned others = 0; others < 4; others++) {
        assert_int_equal(open_with_sizes_in_extra(others, 16), 0);
        assert_int_equal(open_with_sizes_in_extra(others, 15), -EBADMSG);
        assert_int_equal(open_with_sizes_in_extra(others, 0), -EBADMSG);
    }
}

static void an_empty_archive_is_one(void **state)
{
    assert_int_equal(open_archive(zip_writer_new()), 0);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const bad[] = {"/etc/passwd", "../up",    "a/../../b", "a\\..\\b",        "..",
                                      "a/..",        "C:\\boot", "c:boot",    "\\\\host\\share", ""};
    static const char *const good[] = {"a..b", "...", "..a", "a/..b/c", ".hidden"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(open_archive(with_member(bad[i])), -EMEDIUMTYPE);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(open_archive(with_member(good[i])), 0);
}

static void a_name_with_a_nul_is_refused(void **state)
{
    struct zip_writer *w = zip_writer_new();

    zip_writer_add_named(w, "a\0b", 3, "1", 1);
    assert_int_equal(open_archive(w), -EMEDIUMTYPE);
}

static void a_name_that_occurs_twice_is_refused(void **state)
{
    assert_int_equal(open_archive(with_member("first")), -EMEDIUMTYPE);
    assert_int_equal(open_archive(with_member("firs")), 0);
}

/* Office programs compare part names without case, others don't. */
static void names_that_differ_by_case_are_refused(void **state)
{
    assert_int_equal(open_archive(with_member("FIRST")), -EMEDIUMTYPE);
}

static void two_names_for_one_member_are_refused(void **state)
{
    _cleanup_close_ int fd = zip_writer_finish(with_member("second"));
    struct zipdir *z;

    assert_int_equal(pwrite(fd, "F", 1, 30), 1); /* "first" is now "First" where it begins */
    assert_int_equal(zipdir_open(fd, &z), -EMEDIUMTYPE);
    assert_int_equal(pwrite(fd, "f", 1, 30), 1);
    assert_int_equal(zipdir_open(fd, &z), 0);
    zipdir_close(z);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1); /* no header at all */
    assert_int_equal(zipdir_open(fd, &z), -EMEDIUMTYPE);
}

static int open_inflating(unsigned members, uint32_t packed, uint32_t inflated)
{
    struct zip_writer *w = zip_writer_new();
    _cleanup_free_ char *data = calloc(1, packed);

    assert_non_null(data);
    for (unsigned i = 0; i < members; i++) {
        char name[16];

        snprintf(name, sizeof name, "%u", i);
        zip_writer_add(w, name, data, packed);
        put32(zip_writer_entry(w) + INFLATED, inflated);
    }
    return open_archive(w);
}

static void bombs_are_refused(void **state)
{
    enum { LARGE = ZIPDIR_RATIO_FROM + 1000, PACKED = LARGE / ZIPDIR_RATIO_MAX + 1 };

    assert_int_equal(open_inflating(1, PACKED, LARGE), 0);
    assert_int_equal(open_inflating(1, PACKED - 2, LARGE), -EMEDIUMTYPE);
    assert_int_equal(open_inflating(1, 100, ZIPDIR_RATIO_FROM), 0); /* small is no harm */
    assert_int_equal(open_inflating(2, 100, ZIPDIR_RATIO_FROM), -EMEDIUMTYPE);
}

static void assert_peek(struct zipdir *z, size_t i, size_t size, const char *expected)
{
    char data[64];

    assert_int_equal(zipdir_peek(z, i, data, size), strlen(expected));
    assert_memory_equal(data, expected, strlen(expected));
}

static void beginnings_are_read(void **state)
{
    struct zip_writer *w = zip_writer_new();
    struct zipdir *z;

    zip_writer_add(w, "stored", "stored text", 11);
    zip_writer_add_deflated(w, "packed", "aaaaaaaaaaaaaaaaaaaabc", 22);
    zip_writer_add(w, "empty", "", 0);
    zip_writer_add_deflated(w, "unknown", "x", 1);
    zip_writer_entry(w)[METHOD] = 99;

    _cleanup_close_ int fd = zip_writer_finish(w);

    assert_int_equal(zipdir_open(fd, &z), 0);
    assert_int_equal(zipdir_count(z), 4);
    assert_peek(z, 0, 6, "stored");
    assert_peek(z, 0, 60, "stored text");
    assert_peek(z, 1, 3, "aaa");
    assert_peek(z, 1, 60, "aaaaaaaaaaaaaaaaaaaabc");
    assert_peek(z, 2, 60, "");
    assert_peek(z, 3, 60, "");
    zipdir_close(z);
}

static void a_symbolic_link_is_refused(void **state)
{
    struct zip_writer *w = with_member("link");
    uint16_t mode = S_IFLNK | 0777;

    memcpy(zip_writer_entry(w) + MODE, &mode, sizeof mode);
    assert_int_equal(open_archive(w), -EMEDIUMTYPE);
}

static void overlapping_members_are_refused(void **state)
{
    struct zip_writer *same = with_member("second"), *inside = with_member("second"),
                      *behind = with_member("second");

    put32(zip_writer_entry(same) + OFFSET, 0);
    assert_int_equal(open_archive(same), -EMEDIUMTYPE);
    put32(zip_writer_entry(inside) + PACKED_AT, 1000);
    assert_int_equal(open_archive(inside), -EMEDIUMTYPE);
    put32(zip_writer_entry(behind) + OFFSET, 0x7fffffff);
    assert_int_equal(open_archive(behind), -EMEDIUMTYPE);
}

static void too_much_is_refused(void **state)
{
    struct zip_writer *many = zip_writer_new(), *most = zip_writer_new(), *large = zip_writer_new();

    for (unsigned i = 0; i <= ZIPDIR_ENTRIES_MAX; i++) {
        char name[16];

        snprintf(name, sizeof name, "%u", i);
        zip_writer_add(many, name, "", 0);
        if (i < ZIPDIR_ENTRIES_MAX)
            zip_writer_add(most, name, "", 0);
    }
    assert_int_equal(open_archive(many), -EMEDIUMTYPE);
    assert_int_equal(open_archive(most), 0);

    for (unsigned i = 0; i < 2; i++) {
        zip_writer_add(large, i ? "b" : "a", "", 0);
        put32(zip_writer_entry(large) + INFLATED, 0xfffffff0);
    }
    assert_int_equal(open_archive(large), -EMEDIUMTYPE);
}

static void lies_about_a_member_are_found(void **state)
{
    static const struct {
        unsigned field;
        uint32_t value;
    } lies[] = {{INFLATED, 19}, {INFLATED, 21}, {PACKED_AT, 2}, {METHOD, 12}};

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        struct zip_writer *w = zip_writer_new();
        _cleanup_free_ char *data = NULL;
        struct zipdir *z;
        size_t len;

        zip_writer_add_deflated(w, "m", "abcdefghijklmnopqrst", 20);
        memcpy(zip_writer_entry(w) + lies[i].field, &lies[i].value, lies[i].field == METHOD ? 2 : 4);

        _cleanup_close_ int fd = zip_writer_finish(w);

        assert_int_equal(zipdir_open(fd, &z), 0);
        assert_int_equal(zipdir_read(z, "m", 1000, &data, &len), -EBADMSG);
        zipdir_close(z);
    }
}

static void more_entries_than_there_are_is_broken(void **state)
{
    struct zip_writer *w = with_member("second");

    zip_writer_claim(w, 3);
    assert_int_equal(open_archive(w), -EBADMSG);
}

/* Every length that a cut can leave. */
static void a_cut_archive_is_broken(void **state)
{
    _cleanup_close_ int fd = zip_writer_finish(with_member("second"));
    struct zipdir *z;
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    for (off_t len = st.st_size - 1; len >= 0; len--) {
        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_equal(zipdir_open(fd, &z), -EBADMSG);
    }
}

static int with_bytes_behind(const char *bytes, size_t n)
{
    _cleanup_close_ int fd = zip_writer_finish(with_member("second"));
    struct zipdir *z = NULL;
    int r;

    assert_true(lseek(fd, 0, SEEK_END) > 0);
    assert_int_equal(write(fd, bytes, n), n);
    r = zipdir_open(fd, &z);
    zipdir_close(z);
    return r;
}

static void only_zeros_may_follow_an_archive(void **state)
{
    assert_int_equal(with_bytes_behind("\0\0\0\0", 4), 0);
    assert_int_equal(with_bytes_behind("\0\0\0x", 4), -EBADMSG);
}

static void nothing_is_ahead_of_an_archive(void **state)
{
    static const char ahead[] = "MZ";
    struct zip_writer *w = with_member("second");
    _cleanup_close_ int fd = -1, moved = memfd_create("moved", MFD_CLOEXEC);
    struct zipdir *z = NULL;
    char data[1024];
    ssize_t n;
    uint32_t offset;

    fd = zip_writer_finish(w);
    n = pread(fd, data, sizeof data, 0);
    assert_true(n > 22);
    /* As a program would write it whose offsets count from the file's start. */
    for (char *p = data; (p = memmem(p, (size_t)(data + n - p), "PK\1\2", 4)); p++) {
        memcpy(&offset, p + OFFSET, 4);
        put32((unsigned char *)p + OFFSET, offset + 2);
    }
    memcpy(&offset, data + n - 6, 4);
    put32((unsigned char *)data + n - 6, offset + 2);
    assert_int_equal(write(moved, ahead, 2), 2);
    assert_int_equal(write(moved, data, (size_t)n), n);
    assert_int_equal(zipdir_open(moved, &z), -EMEDIUMTYPE);
}

/* What an engine makes safe may be in an archive that is taken as one; what is around it may not. */
static void any_archive_is_checked(void **state)
{
    struct zip_writer *w = with_member("../b");
    _cleanup_close_ int fd = zip_writer_finish(w), behind = memfd_create("zip", MFD_CLOEXEC);
    static const char empty[22] = "PK\5\6";
    char data[4096] = {'x'};
    ssize_t n = pread(fd, data + 1, sizeof data - 1, 0);

    assert_true(n > 0);
    assert_int_equal(zipdir_check(fd, NULL), 0);
    assert_int_equal(zipdir_check(fd, "../b"), 0);
    assert_int_equal(zipdir_check(fd, "b"), -EMEDIUMTYPE);
    assert_int_equal(write(behind, data, (size_t)n + 1), n + 1);
    assert_int_equal(zipdir_check(behind, NULL), -EMEDIUMTYPE);
    assert_int_equal(ftruncate(behind, 0), 0);
    assert_int_equal(pwrite(behind, data + 1, (size_t)n - 30, 0), n - 30);
    assert_int_equal(zipdir_check(behind, NULL), -EBADMSG);
    assert_int_equal(ftruncate(behind, 0), 0);
    assert_int_equal(pwrite(behind, empty, sizeof empty, 0), sizeof empty);
    assert_int_equal(zipdir_check(behind, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(large_sizes_are_found_among_other_fields),
        cmocka_unit_test(an_empty_archive_is_one),
        cmocka_unit_test(names_that_lead_elsewhere_are_refused),
        cmocka_unit_test(a_name_with_a_nul_is_refused),
        cmocka_unit_test(a_name_that_occurs_twice_is_refused),
        cmocka_unit_test(names_that_differ_by_case_are_refused),
        cmocka_unit_test(two_names_for_one_member_are_refused),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(beginnings_are_read),
        cmocka_unit_test(a_symbolic_link_is_refused),
        cmocka_unit_test(overlapping_members_are_refused),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(lies_about_a_member_are_found),
        cmocka_unit_test(more_entries_than_there_are_is_broken),
        cmocka_unit_test(a_cut_archive_is_broken),
        cmocka_unit_test(only_zeros_may_follow_an_archive),
        cmocka_unit_test(any_archive_is_checked),
        cmocka_unit_test(nothing_is_ahead_of_an_archive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
