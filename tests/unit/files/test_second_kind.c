#include "core/str.h"
#include "files/second_kind.h"
#include "zip_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct window w;

/* Is there a second kind behind the 5 bytes that we know, `padding` bytes later? */
static int behind(const void *data, size_t len, size_t padding)
{
    _cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);
    _cleanup_free_ char *nothing = calloc(1, padding + 1);

    assert_true(fd >= 0 && nothing);
    assert_int_equal(write(fd, "known", 5), 5);
    assert_int_equal(write(fd, nothing, padding), padding);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(window_init(&w, fd), 0);
    return second_kind_behind(&w, 5);
}
#define BEHIND(text) behind(text, sizeof(text) - 1, 0)

static void cameras_may_append(void **state)
{
    assert_int_equal(BEHIND(""), 0);
    assert_int_equal(BEHIND("\0\0\0\0"), 0);
    assert_int_equal(BEHIND("\0\0\0\x18"
                            "ftypmp42\0\0\0\0MZ PK\3\4 \x7f"
                            "ELF"),
                     0);
    assert_int_equal(BEHIND("\xff\xd8\xff\xe1 another one \xff\xd9SEFT"), 0);
}

static void other_kinds_are_found(void **state)
{
    assert_int_equal(BEHIND("PK\3\4"), -ENOTUNIQ);
    assert_int_equal(BEHIND("\0\0 \r\nMZ"), -ENOTUNIQ);
    assert_int_equal(BEHIND("\x7f"
                            "ELF"),
                     -ENOTUNIQ);
    assert_int_equal(BEHIND("#!/bin/sh"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx <?PHP echo"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx <Script>"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx <!DOCTYPE html>"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx %PDF-1.4"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx Rar!\x1a\7\0"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx 7z\xbc\xaf\x27\x1c"), -ENOTUNIQ);
    assert_int_equal(BEHIND("xx __HALT_COMPILER();"), -ENOTUNIQ);
}

/* Wherever it falls among the pieces that are read. */
static void padding_hides_nothing(void **state)
{
    for (size_t padding = WINDOW_SIZE - 40; padding < WINDOW_SIZE + 10; padding++)
        assert_int_equal(behind("<script>", 8, padding), -ENOTUNIQ);
    assert_int_equal(behind("PK\3\4", 4, 3 * WINDOW_SIZE), -ENOTUNIQ);
}

static void an_archive_is_found_from_its_end(void **state)
{
    struct zip_writer *writer = zip_writer_new();
    char data[2048], junk[] = "\1\2\3 something first";
    ssize_t n;

    zip_writer_add(writer, "a", "b", 1);
    memcpy(data, junk, sizeof junk);

    _cleanup_close_ int zip = zip_writer_finish(writer), whole = memfd_create("file", MFD_CLOEXEC);

    n = pread(zip, data + sizeof junk, sizeof data - sizeof junk - 5, 0);
    assert_true(n > 0);
    memcpy(data + sizeof junk + n, "after", 5);
    n += sizeof junk;
    assert_int_equal(behind(data, (size_t)n, 0), -ENOTUNIQ);
    assert_int_equal(behind(data, (size_t)n + 5, 0), -ENOTUNIQ);
    /* Where it is unknown what is behind, only one that ends with the file counts. */
    assert_int_equal(write(whole, data, (size_t)n), n);
    assert_int_equal(window_init(&w, whole), 0);
    assert_int_equal(second_kind_behind(&w, UINT64_MAX), -ENOTUNIQ);
    assert_int_equal(write(whole, "after", 5), 5);
    assert_int_equal(window_init(&w, whole), 0);
    assert_int_equal(second_kind_behind(&w, UINT64_MAX), 0);
}

static uint64_t pdf_end(const char *text, size_t padding)
{
    _cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);
    _cleanup_free_ char *nothing = calloc(1, padding + 1);
    uint64_t end;

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(write(fd, nothing, padding), padding);
    assert_int_equal(window_init(&w, fd), 0);
    assert_int_equal(second_kind_pdf_end(&w, &end), 0);
    return end;
}

static void the_last_end_of_a_pdf_counts(void **state)
{
    assert_int_equal(pdf_end("", 0), UINT64_MAX);
    assert_int_equal(pdf_end("%PDF-1.4", 100), UINT64_MAX);
    assert_int_equal(pdf_end("%%EOF", 0), 5);
    assert_int_equal(pdf_end("a%%EOF b%%EOF c", 0), 13);
    for (size_t padding = WINDOW_SIZE - 10; padding < WINDOW_SIZE + 10; padding++)
        assert_int_equal(pdf_end("a%%EOF", padding), 6);
}

static void a_pdf_is_seen_where_its_readers_look(void **state)
{
    for (size_t at = 0; at < 2; at++) {
        _cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);

        assert_int_equal(pwrite(fd, "%PDF-1.4", 8, at ? 1024 : 1016), 8);
        assert_int_equal(window_init(&w, fd), 0);
        assert_int_equal(second_kind_pdf_ahead(&w), at ? 0 : -ENOTUNIQ);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cameras_may_append),
        cmocka_unit_test(other_kinds_are_found),
        cmocka_unit_test(padding_hides_nothing),
        cmocka_unit_test(an_archive_is_found_from_its_end),
        cmocka_unit_test(the_last_end_of_a_pdf_counts),
        cmocka_unit_test(a_pdf_is_seen_where_its_readers_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
