#include "files/ole.h"
#include "ole_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static bool has(int fd, const char *name)
{
    struct ole *o;
    bool found;

    assert_int_equal(ole_open(fd, &o), 0);
    found = ole_has_stream(o, name);
    ole_close(o);
    return found;
}

static void patch(int fd, off_t at, uint32_t value)
{
    assert_int_equal(pwrite(fd, &value, sizeof value, at), sizeof value);
}

static void streams_below_the_root_are_found(void **state)
{
    static const struct ole_entry entries[] = {
        {"Root Entry", OLE_ROOT, OLE_NONE, OLE_NONE, 2},
        {"WordDocument", OLE_STREAM, OLE_NONE, 3, OLE_NONE},
        {"ObjectPool", OLE_STORAGE, 1, 4, 5},
        {"1Table", OLE_STREAM, OLE_NONE, OLE_NONE, OLE_NONE},
        {"PowerPoint Document", OLE_STREAM, OLE_NONE, OLE_NONE, OLE_NONE},
        {"Workbook", OLE_STREAM, OLE_NONE, OLE_NONE, OLE_NONE},
    };
    _cleanup_close_ int fd = ole_write(entries, 6);

    assert_true(has(fd, "WordDocument"));
    assert_true(has(fd, "worddocument"));
    assert_true(has(fd, "1Table"));
    assert_true(has(fd, "PowerPoint Document"));
    assert_false(has(fd, "Workbook"));   /* that of an embedded object */
    assert_false(has(fd, "ObjectPool")); /* no stream */
    assert_false(has(fd, "Word"));
    assert_false(has(fd, "WordDocument2"));
    assert_false(has(fd, ""));
}

static void a_directory_of_many_sectors_is_followed(void **state)
{
    struct ole_entry entries[400];
    char names[400][16];

    for (int i = 0; i < 400; i++) {
        snprintf(names[i], sizeof names[i], "s%d", i);
        entries[i] = (struct ole_entry){names[i], OLE_STREAM, OLE_NONE, i < 399 ? i + 1 : OLE_NONE, OLE_NONE};
    }
    entries[0] = (struct ole_entry){"Root Entry", OLE_ROOT, OLE_NONE, OLE_NONE, 1};

    _cleanup_close_ int fd = ole_write(entries, 400);

    assert_true(has(fd, "s1"));
    assert_true(has(fd, "s399"));
    assert_false(has(fd, "s400"));
}

static void a_tree_in_a_circle_ends(void **state)
{
    static const struct ole_entry entries[] = {
        {"Root Entry", OLE_ROOT, OLE_NONE, OLE_NONE, 1},
        {"a", OLE_STREAM, 2, 2, OLE_NONE},
        {"b", OLE_STREAM, 1, 1, OLE_NONE},
    };
    static const struct ole_entry astray[] = {{"Root Entry", OLE_ROOT, OLE_NONE, OLE_NONE, 1000000}};
    _cleanup_close_ int fd = ole_write(entries, 3), far = ole_write(astray, 1);

    assert_true(has(fd, "b"));
    assert_false(has(fd, "c"));
    assert_false(has(far, "c"));
}

static void assert_refused(int fd, int error)
{
    struct ole *o;

    assert_int_equal(ole_open(fd, &o), error);
}

static void broken_files_are_refused(void **state)
{
    _cleanup_close_ int circle = ole_write_stream("Workbook"), wild = ole_write_stream("Workbook"),
                        far = ole_write_stream("Workbook"), cut = ole_write_stream("Workbook"),
                        unsized = ole_write_stream("Workbook"), rootless = ole_write_stream("Workbook"),
                        none = memfd_create("none", MFD_CLOEXEC), short_header = ole_write_stream("Workbook");

    patch(circle, OLE_FAT_OF_DIRECTORY, 1);
    assert_refused(circle, -EMEDIUMTYPE);
    patch(wild, OLE_FAT_OF_DIRECTORY, 0x00ffffff);
    assert_refused(wild, -EBADMSG);
    patch(far, OLE_DIRECTORY_START, 0x7ffffff0);
    assert_refused(far, -EBADMSG);
    assert_int_equal(ftruncate(cut, 1100), 0);
    assert_refused(cut, -EBADMSG);
    patch(unsized, 0x1e, 0x001f);
    assert_refused(unsized, -EBADMSG);
    patch(rootless, OLE_DIRECTORY_START, 0xfffffffe);
    assert_refused(rootless, -EBADMSG);
    assert_refused(none, -EBADMSG);
    assert_int_equal(ftruncate(short_header, 100), 0);
    assert_refused(short_header, -EBADMSG);
    assert_refused(-1, -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_below_the_root_are_found),
        cmocka_unit_test(a_directory_of_many_sectors_is_followed),
        cmocka_unit_test(a_tree_in_a_circle_ends),
        cmocka_unit_test(broken_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
