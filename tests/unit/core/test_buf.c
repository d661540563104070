#include "core/buf.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Whole blocks are looked through below, with what nobody has written to: valgrind is told that this is
 * meant. */
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(memory, size) ((void)(memory), (void)(size))
#endif

static void pieces_are_put_together(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000);

    assert_null(b.data);
    assert_int_equal(buf_append(&b, "ab\0c", 4), 0);
    assert_int_equal(buf_append_str(&b, "de"), 0);
    assert_int_equal(buf_printf(&b, "%d-%s", 42, "x"), 0);
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "ab\0cde42-x", 11); /* and the NUL */
}

static void it_grows_to_the_maximum_and_not_further(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000);

    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append(&b, "x", 1), 0);
    assert_int_equal(b.data[1000], '\0');
    assert_int_equal(buf_append(&b, "", 0), 0);
    assert_int_equal(buf_append(&b, "x", 1), -EMSGSIZE);
    assert_int_equal(b.len, 1000);
}

/* All that is freed comes by here (meson.build). */
void __real_free(void *memory);
void __wrap_free(void *memory);

static unsigned frees, frees_with_secrets;

void __wrap_free(void *memory)
{
    size_t size = memory ? malloc_usable_size(memory) : 0;

    frees++;
    VALGRIND_MAKE_MEM_DEFINED(memory, size);
    if (size > 0 && memmem(memory, size, "secret", 6))
        frees_with_secrets++;
    __real_free(memory);
}

static void fill(struct buf *b)
{
    frees = frees_with_secrets = 0;
    while (buf_append_str(b, "secret") == 0)
        ;
    assert_int_equal(b->len, 4092);
    assert_memory_equal(b->data + b->len - 12, "secretsecret", 13);
    buf_free(b);
    assert_null(b->data);
}

static void a_secret_leaves_nothing_behind(void **state)
{
    struct buf b = BUF_INIT(4096);

    b.secret = true;
    fill(&b);
    assert_int_equal(frees_with_secrets, 0);
    assert_true(frees > 4); /* as it grew */
    assert_true(b.secret);
    b.secret = false;
    fill(&b);
    assert_int_equal(frees_with_secrets, 1); /* so it would have been seen */
}

static void an_error_stays(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4);

    assert_int_equal(buf_append_str(&b, "12345"), -EMSGSIZE);
    assert_int_equal(buf_append_str(&b, "1"), -EMSGSIZE);
    assert_int_equal(buf_printf(&b, "1"), -EMSGSIZE);
    assert_int_equal(buf_error(&b), -EMSGSIZE);
    assert_int_equal(b.len, 0);
    assert_null(buf_take(&b));
}

static void lengths_do_not_wrap_around(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SIZE_MAX);

    assert_int_equal(buf_append(&b, "a", 1), 0);
    assert_int_equal(buf_append(&b, "b", SIZE_MAX), -EMSGSIZE);
}

static void the_front_is_dropped(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    buf_consume(&b, 5);
    buf_append_str(&b, "abcdef");
    buf_consume(&b, 2);
    assert_string_equal(b.data, "cdef");
    buf_consume(&b, 0);
    assert_int_equal(b.len, 4);
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
}

static void the_string_is_handed_over(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100), empty = BUF_INIT(100);
    _cleanup_free_ char *text = NULL, *nothing = buf_take(&empty);

    buf_append_str(&b, "text");
    text = buf_take(&b);
    assert_string_equal(text, "text");
    assert_int_equal(b.len, 0);
    assert_null(b.data);
    assert_int_equal(buf_append_str(&b, "again"), 0);
    assert_string_equal(nothing, "");
}

static void numbers_and_strings_are_json(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(200), full = BUF_INIT(4);

    buf_append_u64(&b, 0);
    buf_append(&b, ",", 1);
    buf_append_u64(&b, UINT64_MAX);
    assert_string_equal(b.data, "0,18446744073709551615");
    buf_consume(&b, 100);
    assert_int_equal(buf_append_json(&b, ""), 0);
    buf_append_json(&b, "a\"b\\c\n\x7f/ü€");
    buf_append_json(&b, "\xff\xfc");
    assert_string_equal(b.data, "\"\"\"a\\\"b\\\\c\\u000a\\u007f/ü€\"\"\\u00ff\\u00fc\"");
    assert_int_equal(buf_append_json(&full, "three"), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_put_together),
        cmocka_unit_test(it_grows_to_the_maximum_and_not_further),
        cmocka_unit_test(a_secret_leaves_nothing_behind),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(lengths_do_not_wrap_around),
        cmocka_unit_test(the_front_is_dropped),
        cmocka_unit_test(the_string_is_handed_over),
        cmocka_unit_test(numbers_and_strings_are_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
