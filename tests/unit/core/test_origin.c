#include "core/origin.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void an_origin_has_one_form(void **state)
{
    static const char *const good[] = {"https://example.com",           "http://localhost:8080",
                                       "https://a-b.c_d.example:8443",  "http://[::1]:8080",
                                       "https://xn--bcher-kva.example", "https://[2001:db8::1]"};
    static const char *const bad[] = {
        "",
        "null",
        "*",
        "example.com",
        "https://",
        "https://*",
        "https://*.example.com",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?x",
        "https://example.com#x",
        "https://user@example.com",
        "https://Example.com",
        "HTTPS://example.com",
        "ftp://example.com",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:0",
        "https://example.com:08443",
        "https://example.com:65536",
        "https://example.com:",
        "https://:8443",
        "https://b\xc3\xbc"
        "cher.example",
        "https://example.com ",
        "https://a\r\nb",
        "https://[::1",
        "http://127.0.0.1:80a",
        "https://https://a",
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (!origin_valid(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (origin_valid(bad[i]))
            fail_msg("%s", bad[i]);
}

static void a_long_one_is_none(void **state)
{
    char text[2048] = "https://", list[4096];

    memset(text + 8, 'a', sizeof text - 9);
    assert_false(origin_valid(text));
    snprintf(list, sizeof list, "https://b %s", text);
    assert_false(origins_valid(list));
    assert_false(origins_have(list, text));
    text[300] = '\0'; /* as much as is looked at of a word */
    assert_false(origins_have(list, text));
}

static void lists(void **state)
{
    static const char list[] = " https://a.example, http://b.example:8080,https://c.example ";

    assert_true(origins_valid(list) && origins_valid("") && origins_valid(" , "));
    assert_false(origins_valid("https://a.example *"));
    assert_false(origins_valid("https://a.example;https://b.example"));
    assert_true(origins_have(list, "https://a.example"));
    assert_true(origins_have(list, "http://b.example:8080"));
    assert_true(origins_have(list, "https://c.example"));
    assert_false(origins_have(list, "http://a.example"));
    assert_false(origins_have(list, "http://b.example"));
    assert_false(origins_have(list, "https://a.exampl"));
    assert_false(origins_have(list, "https://a.example.evil.example"));
    assert_false(origins_have(list, "https://a.example, http://b.example:8080"));
    assert_false(origins_have(list, "") || origins_have("", "") || origins_have("", "null"));
}

static void a_request_was_sent_to_it(void **state)
{
    static const struct {
        const char *origin, *scheme, *host;
        bool is;
    } cases[] = {
        {"http://127.0.0.1:8080", NULL, "127.0.0.1:8080", true},
        {"https://example.com", NULL, "example.com", true}, /* behind TLS */
        {"https://example.com", NULL, "EXAMPLE.com", true},
        {"https://example.com", NULL, "example.com:443", true},
        {"http://example.com", NULL, "example.com:80", true},
        {"https://example.com:8443", NULL, "example.com:8443", true},
        {"http://[::1]:8080", NULL, "[::1]:8080", true},
        {"https://[::1]", NULL, "[::1]", true},
        {"https://example.com", "https", "example.com", true},
        {"https://example.com", "HTTPS", "example.com", true},
        {"http://example.com", "https", "example.com", false}, /* the page came without TLS */
        {"https://example.com", "http", "example.com", false},
        {"https://example.com", NULL, "example.com:80", false},
        {"https://example.com", NULL, "example.com:8443", false},
        {"https://example.com:8443", NULL, "example.com", false},
        {"https://example.com", NULL, "www.example.com", false},
        {"https://example.com.evil.example", NULL, "example.com", false},
        {"https://evil.example", NULL, "example.com", false},
        {"https://example.com", NULL, "example.com.", false},
        {"https://example.com", NULL, NULL, false},
        {"https://example.com", NULL, "", false},
        {"https://example.com", NULL, "example.com:", false},
        {"https://example.com", NULL, "example.com:x", false},
        {"null", NULL, "null", false},
        {"", NULL, "", false},
        {"example.com", NULL, "example.com", false},
        {"https://", NULL, "", false},
        {"chrome-extension://abc", NULL, "abc", false},
        {"https://[::1", NULL, "[::1", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (origin_is(cases[i].origin, cases[i].scheme, cases[i].host) != cases[i].is)
            fail_msg("%s at %s", cases[i].origin, cases[i].host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_has_one_form),
        cmocka_unit_test(a_long_one_is_none),
        cmocka_unit_test(lists),
        cmocka_unit_test(a_request_was_sent_to_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
