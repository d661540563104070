#include "files/gzip.h"

#include "core/path.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include <cmocka.h>

/* `bits`: of the window; 16 more for gzip. */
static int compress_to_file(const void *data, size_t len, int bits, size_t cut)
{
    z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len};
    int fd = memfd_create("gzip", MFD_CLOEXEC);
    unsigned char *out = malloc(len + 1024);

    assert_non_null(out);
    z.next_out = out;
    z.avail_out = (uInt)len + 1024;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(write(fd, out, z.total_out - cut), z.total_out - cut);
    deflateEnd(&z);
    free(out);
    return fd;
}

static void its_beginning_is_read(void **state)
{
    _cleanup_close_ int fd = compress_to_file("hello world", 11, MAX_WBITS + 16, 0);
    char data[64];

    assert_int_equal(gzip_peek(fd, data, sizeof data), 11);
    assert_memory_equal(data, "hello world", 11);
    assert_int_equal(gzip_peek(fd, data, 5), 5);
    assert_int_equal(lseek(fd, 0, SEEK_CUR) > 0, 1); /* where it was */
}

static void no_more_than_wanted_is_inflated(void **state)
{
    enum { MUCH = 8 << 20 };
    _cleanup_free_ char *zeros = calloc(1, MUCH);
    char data[1000];

    assert_non_null(zeros);

    _cleanup_close_ int fd = compress_to_file(zeros, MUCH, MAX_WBITS + 16, 0);

    assert_int_equal(gzip_peek(fd, data, sizeof data), sizeof data);
}

static void what_is_cut_off_or_no_gzip_is_refused(void **state)
{
    _cleanup_close_ int cut = compress_to_file("hello world", 11, MAX_WBITS + 16, 12),
                        other = compress_to_file("hello world", 11, MAX_WBITS, 0),
                        empty = memfd_create("empty", MFD_CLOEXEC);
    char data[64];

    assert_int_equal(gzip_peek(cut, data, sizeof data), -EBADMSG);
    assert_int_equal(gzip_peek(other, data, sizeof data), -EBADMSG);
    assert_int_equal(gzip_peek(empty, data, sizeof data), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_beginning_is_read),
        cmocka_unit_test(no_more_than_wanted_is_inflated),
        cmocka_unit_test(what_is_cut_off_or_no_gzip_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
