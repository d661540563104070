#include "files/tarball.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

/* A header of a file without a magic, as the oldest programs write it. */
static void make_header(unsigned char block[TARBALL_BLOCK])
{
    unsigned sum = 0;

    memset(block, 0, TARBALL_BLOCK);
    strcpy((char *)block, "hello.txt");
    strcpy((char *)block + 100, "0000644");
    strcpy((char *)block + 124, "00000000000");
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TARBALL_BLOCK; i++)
        sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
}

typedef int check_fn(struct window *w);

static int check(check_fn *fn, const void *data, size_t len)
{
    static struct window w;
    int fd = memfd_create("tar", MFD_CLOEXEC), r;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(window_init(&w, fd), 0);
    r = fn(&w);
    close(fd);
    return r;
}

static size_t pack(const unsigned char *data, size_t len, unsigned char *ret, size_t size)
{
    z_stream s = {
        .next_in = (z_const Bytef *)data, .avail_in = (uInt)len, .next_out = ret, .avail_out = (uInt)size};

    assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return s.total_out;
}

static void a_header_adds_up(void **state)
{
    unsigned char block[TARBALL_BLOCK];

    make_header(block);
    assert_int_equal(check(tarball_check, block, sizeof block), 0);
    assert_int_equal(check(tarball_check, block, sizeof block - 1), -EMEDIUMTYPE);
    block[0] = 'j';
    assert_int_equal(check(tarball_check, block, sizeof block), -EMEDIUMTYPE);
    memset(block, 0, sizeof block);
    assert_int_equal(check(tarball_check, block, sizeof block), -EMEDIUMTYPE);
}

static void one_is_found_in_gzip(void **state)
{
    unsigned char block[TARBALL_BLOCK], packed[1024];
    size_t len;

    make_header(block);
    len = pack(block, sizeof block, packed, sizeof packed);
    assert_int_equal(check(tarball_check_gzip, packed, len), 0);
    assert_int_equal(check(tarball_check_gzip, packed, 20), -EMEDIUMTYPE);
    assert_int_equal(check(tarball_check_gzip, block, sizeof block), -EMEDIUMTYPE);
    len = pack((const unsigned char *)"hello", 5, packed, sizeof packed);
    assert_int_equal(check(tarball_check_gzip, packed, len), -EMEDIUMTYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_adds_up),
        cmocka_unit_test(one_is_found_in_gzip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
