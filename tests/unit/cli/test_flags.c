#include "cli/flags.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *server, *output, *rest[16];
static bool json;
static size_t n_rest;

static int read_words(const char *const words[])
{
    static const struct flag flags[] = {
        {"server", '\0', &server, NULL},
        {"output", 'o', &output, NULL},
        {"json", 'j', NULL, &json},
    };
    char *argv[16] = {(char *)"jobs"};
    int argc = 1;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    server = output = NULL;
    json = false;
    return flags_read("decant jobs", "usage", flags, ARRAY_SIZE(flags), argc, argv, rest, &n_rest);
}

#define READ(...) read_words((const char *const[]){__VA_ARGS__, NULL})

static void flags_and_words_in_any_order(void **state)
{
    assert_int_equal(READ("list", "--server", "a", "--json", "-o", "b", "-", "--output=c=d"), 0);
    assert_string_equal(server, "a");
    assert_string_equal(output, "c=d");
    assert_true(json);
    assert_int_equal(n_rest, 2);
    assert_string_equal(rest[0], "list");
    assert_string_equal(rest[1], "-");
    assert_int_equal(READ("-j", "--server="), 0);
    assert_true(json);
    assert_string_equal(server, "");
}

static void what_is_wrong_is_refused(void **state)
{
    assert_int_equal(READ("--nonsense"), -EINVAL);
    assert_int_equal(READ("--serve", "a"), -EINVAL);
    assert_int_equal(READ("--servers", "a"), -EINVAL);
    assert_int_equal(READ("--server"), -EINVAL);
    assert_int_equal(READ("-x"), -EINVAL);
    assert_int_equal(READ("-jo"), -EINVAL);
    assert_int_equal(READ("--json=yes"), -EINVAL);
}

static void help_is_help(void **state)
{
    assert_int_equal(READ("list", "--help", "--nonsense"), -ECANCELED);
    assert_int_equal(READ("-h"), -ECANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_words_in_any_order),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(help_is_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
