/* The header Prefer, line by line. */
#include "http/prefer.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_lines(void **state)
{
    static const struct {
        const char *line;
        bool respond_async;
        int64_t wait_s; /* -1: none */
    } rows[] = {
        {NULL, false, -1},
        {"", false, -1},
        {",, ;", false, -1},
        {"respond-async", true, -1},
        {"Respond-Async", true, -1},
        {"respond-async, wait=10", true, 10},
        {"wait=10,respond-async", true, 10},
        {" wait = 7 ; foo=bar , handling=lenient", false, 7},
        {"wait=\"20\"", false, 20},
        {"wait=0", false, 0},
        {"wait=5, wait=6", false, 5},
        {"wait=x, wait=6", false, 6},
        {"return=minimal; respond-async", false, -1},
        {"respond-asynchronously", false, -1},
        /* malformed ones are not there */
        {"wait=", false, -1},
        {"wait=-1", false, -1},
        {"wait=1.5", false, -1},
        {"wait=99999999999999999999999999999999999999999999999", false, -1},
        {"wait=5000000000", false, -1},
        {"wait", false, -1},
        {"await=5", false, -1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct prefer p = {0};

        prefer_read(&p, rows[i].line);
        if (p.respond_async != rows[i].respond_async ||
            (p.has_wait ? (int64_t)p.wait_s : -1) != rows[i].wait_s)
            fail_msg("%s: %d, %d, %llu", rows[i].line, p.respond_async, p.has_wait,
                     (unsigned long long)p.wait_s);
    }
}

static void test_several_lines(void **state)
{
    struct prefer p = {0};

    prefer_read(&p, "wait=3");
    prefer_read(&p, "respond-async, wait=9");
    assert_true(p.respond_async && p.has_wait);
    assert_int_equal(p.wait_s, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_several_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
