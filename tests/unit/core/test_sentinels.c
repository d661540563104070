#include "core/sentinels.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_list_names_each(void **state)
{
    struct sentinels s;

    assert_int_equal(
        sentinels_parse("sentinel://a.example:1;sentinel://[::1]:65535;sentinel://10.0.0.1/0", &s), 0);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.places[0], "tcp:a.example:1");
    assert_string_equal(s.places[1], "tcp:[::1]:65535");
    assert_string_equal(s.places[2], "tcp:10.0.0.1:26379");
}

static void each_may_name_the_database(void **state)
{
    static const char *const good[] = {"sentinel://a", "sentinel://a/", "sentinel://a/0",
                                       "sentinel://a:26379/0", "sentinel://a:026379/"};
    struct sentinels s;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(sentinels_parse(good[i], &s), 0);
        assert_string_equal(s.places[0], "tcp:a:26379");
    }
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "sentinel:",
                                      "sentinel://",
                                      "sentinel:///0",
                                      "sentinel://:26379",
                                      "sentinel://a:",
                                      "sentinel://a:0",
                                      "sentinel://a:65536",
                                      "sentinel://a:99999999999",
                                      "sentinel://a:x",
                                      "sentinel://a/1",
                                      "sentinel://a/00",
                                      "sentinel://a/0/0",
                                      "sentinel://a;",
                                      ";sentinel://a",
                                      "sentinel://a;;sentinel://b",
                                      "sentinel://a;b:26379",
                                      "sentinel://a;tcp:b:6379",
                                      "sentinel://:secret@a:26379",
                                      "sentinel://user:secret@a",
                                      "sentinel://a?x=1",
                                      "sentinel://a b",
                                      "sentinel://[::1",
                                      "sentinel://[]:1",
                                      "sentinel://::1:26379",
                                      "redis-sentinel://a",
                                      "SENTINEL://a"};
    struct sentinels s;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(sentinels_parse(bad[i], &s), -EINVAL);
}

static void a_list_is_bounded(void **state)
{
    char url[SENTINELS_MAX * 16 + 64] = "sentinel://a", name[400] = "sentinel://";
    struct sentinels s;

    for (int i = 1; i < SENTINELS_MAX; i++)
        strcat(url, ";sentinel://a");
    assert_int_equal(sentinels_parse(url, &s), 0);
    assert_int_equal(s.n, SENTINELS_MAX);
    strcat(url, ";sentinel://a");
    assert_int_equal(sentinels_parse(url, &s), -EINVAL);
    memset(name + strlen(name), 'x', 253);
    assert_int_equal(sentinels_parse(name, &s), 0);
    memset(name + strlen(name), 'x', 100);
    assert_int_equal(sentinels_parse(name, &s), -EINVAL);
}

static void ports_are_a_list(void **state)
{
    static const char *const bad[] = {"",       " ",         "0",   "65536",       "x",
                                      "6379,x", "6379;6380", "1-9", "123456789012"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(ports_valid(bad[i]));
    assert_true(ports_valid("6379"));
    assert_true(ports_valid("6379, 6380 1,65535"));
    assert_true(ports_have("6379, 6380 1,65535", 6380));
    assert_true(ports_have("6379, 6380 1,65535", 65535));
    assert_false(ports_have("6379, 6380 1,65535", 637));
    assert_false(ports_have("6379", 63790));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_names_each),          cmocka_unit_test(each_may_name_the_database),
        cmocka_unit_test(what_is_no_list_is_refused), cmocka_unit_test(a_list_is_bounded),
        cmocka_unit_test(ports_are_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
