/* Holes of all sizes are made, filled, and no longer given to anybody. */
#include "engine/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 4000, SIZES = 40000 };

static void *make_holes(void)
{
    static void *chunks[N];
    void *last;

    srandom(1);
    for (size_t i = 0; i < N; i++) {
        chunks[i] = malloc(24 + (size_t)random() % (i % 50 ? 600 : SIZES));
        assert_non_null(chunks[i]);
    }
    last = malloc(24);
    assert_non_null(last);
    for (size_t i = 0; i < N; i += 2)
        free(chunks[i]);
    return last;
}

static void holes_are_used_up(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
    skip();
#endif
    const void *last = make_holes();
    void *low = malloc(100);

    assert_true(low < last); /* or there would be none */
    free(low);
    heap_settle();
    for (size_t size = 1; size < SIZES; size += size < 2048 ? 8 : 500) {
        void *chunk = malloc(size);

        assert_non_null(chunk);
        if (chunk <= last)
            fail_msg("%zu bytes were found among the holes", size);
        free(chunk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holes_are_used_up)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
