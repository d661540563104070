#include "core/webhook.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

static void urls_that_mean_one_thing_are_read(void **state)
{
    static const struct {
        const char *url, *host;
        unsigned port;
    } good[] = {
        {"https://hooks.example.com", "hooks.example.com", 443},
        {"https://Hooks.EXAMPLE.com/", "hooks.example.com", 443},
        {"https://hooks.example.com:8443/a/b?c=d&e=%20", "hooks.example.com", 8443},
        {"https://hooks.example.com?x=1", "hooks.example.com", 443},
        {"https://8.8.8.8/x", "8.8.8.8", 443},
        {"https://[2001:4860::1]:444/x", "2001:4860::1", 444},
        {"https://[::1]", "::1", 443},
        {"https://h/@me:80", "h", 443},
    };
    struct webhook_place place;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(webhook_url_parse(good[i].url, &place), 0);
        assert_string_equal(place.host, good[i].host);
        assert_int_equal(place.port, good[i].port);
    }
}

static void all_others_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "https://",
                                      "https:///x",
                                      "http://a.example/",
                                      "HTTPS://a.example/",
                                      "ftp://a.example",
                                      "//a.example/",
                                      "https:a.example",
                                      "https://user@a.example/",
                                      "https://u:p@a.example/",
                                      "https://a.example@b.example/",
                                      "https://a.example#x",
                                      "https://a.example/x#y",
                                      "https://a.example\\@b.example/",
                                      "https://a.example /",
                                      "https://a.example/\r\nX: y",
                                      "https://a.example/\t",
                                      "https://a..example/",
                                      "https://.a.example/",
                                      "https://a.example./",
                                      "https://-a.example/",
                                      "https://a.example:/",
                                      "https://a.example:0/",
                                      "https://a.example:65536/",
                                      "https://a.example:44x/",
                                      "https://a.example:443:443/",
                                      "https://[::1/",
                                      "https://[a.example]/",
                                      "https://[::1]x/",
                                      "https://::1/",
                                      "https://[fe80::1%25eth0]/",
                                      "https://a%2eexample/",
                                      "https://\xc3\xa4.example/",
                                      "https://a.example/\xc3\xa4",
                                      "https://a.example/<x>",
                                      "https://*/",
                                      "https://127.1/",
                                      "https://0x7f.1/",
                                      "https://2130706433/",
                                      "https://0177.0.0.1/",
                                      "https://1.2.3.4.5/",
                                      "https://a.0X7F/",
                                      "https://256.1.1.1/"};
    struct webhook_place place;
    char endless[WEBHOOK_URL_MAX + 32], name[300];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (webhook_url_parse(bad[i], &place) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    memcpy(endless, "https://a.example/", strlen("https://a.example/"));
    assert_int_equal(webhook_url_parse(endless, &place), -EINVAL);
    endless[WEBHOOK_URL_MAX] = '\0';
    assert_int_equal(webhook_url_parse(endless, &place), 0);
    snprintf(name, sizeof name, "https://%0*d.example/", WEBHOOK_HOST_MAX - 7, 0);
    assert_int_equal(webhook_url_parse(name, &place), -EINVAL);
}

static void the_list_and_the_ports_decide(void **state)
{
    static const struct {
        const char *hosts, *ports, *url;
        int r;
    } cases[] = {
        {"a.example b.example", "443", "https://b.example/x", 0},
        {"a.example", "443", "https://A.example/x", 0},
        {"a.example", "443 8443", "https://a.example:8443/x", 0},
        {"::1", "443", "https://[::1]/x", 0},
        {"a.example", "443", "https://a.example:8443/x", -EACCES},
        {"a.example", "443", "https://b.a.example/x", -EACCES},
        {"b.a.example", "443", "https://a.example/x", -EACCES},
        {"", "443", "https://a.example/x", -EACCES},
        {"a.example", "443", "http://a.example/x", -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *why = NULL;

        assert_int_equal(webhook_url_allowed(cases[i].hosts, cases[i].ports, cases[i].url, &why), cases[i].r);
        assert_int_equal(!!why, cases[i].r != 0);
    }
    assert_true(webhook_host_valid("a.example"));
    assert_true(webhook_host_valid("::1"));
    assert_false(webhook_host_valid("a.example:443"));
    assert_false(webhook_host_valid("https://a.example"));
    assert_false(webhook_host_valid("a b"));
    assert_false(webhook_host_valid(""));
}

/* The example of Standard Webhooks' own libraries. */
static void the_signature_is_the_standard_one(void **state)
{
    static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body[] = "{\"test\": 2432232314}";
    char signature[WEBHOOK_SIGNATURE_LEN + 1];

    assert_int_equal(
        webhook_sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, sizeof body - 1, signature),
        0);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_int_equal(webhook_sign("", "m", 1, "", 0, signature), -EINVAL);
    assert_int_equal(webhook_sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "m", 1, "", 0, signature), -EINVAL);
    assert_int_equal(webhook_sign("whsec_", "m", 1, "", 0, signature), -EINVAL);
    assert_int_equal(webhook_sign("whsec_not base64", "m", 1, "", 0, signature), -EINVAL);
}

static void a_new_secret_signs_and_is_new(void **state)
{
    char a[WEBHOOK_SECRET_LEN + 1], b[WEBHOOK_SECRET_LEN + 1];
    char one[WEBHOOK_SIGNATURE_LEN + 1], other[WEBHOOK_SIGNATURE_LEN + 1];

    webhook_secret_new(a);
    webhook_secret_new(b);
    assert_int_equal(strlen(a), WEBHOOK_SECRET_LEN);
    assert_string_not_equal(a, b);
    assert_int_equal(webhook_sign(a, "m", 1, "x", 1, one), 0);
    assert_int_equal(webhook_sign(b, "m", 1, "x", 1, other), 0);
    assert_int_equal(strlen(one), WEBHOOK_SIGNATURE_LEN);
    assert_string_not_equal(one, other);
}

static void attempts_take_about_a_day(void **state)
{
    uint64_t sum = 0, last = 0;
    unsigned n = 1;

    for (; webhook_delay_ms(n, 0) > 0; n++) {
        uint64_t least = webhook_delay_ms(n, 0), most = webhook_delay_ms(n, UINT32_MAX);

        assert_true(least >= last);
        assert_true(most == least + least / 5);
        assert_in_range(webhook_delay_ms(n, UINT32_MAX / 2), least, most);
        last = least;
        sum += least;
    }
    assert_int_equal(webhook_delay_ms(1, 0), 5000);
    assert_int_equal(webhook_delay_ms(0, 0), 0);
    assert_int_equal(webhook_delay_ms(UINT32_MAX, 7), 0);
    assert_int_equal(n, 11);
    assert_in_range(sum, 22 * 3600000, 26 * 3600000);
}

static int setup(void **state)
{
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_mean_one_thing_are_read),
        cmocka_unit_test(all_others_are_refused),
        cmocka_unit_test(the_list_and_the_ports_decide),
        cmocka_unit_test(the_signature_is_the_standard_one),
        cmocka_unit_test(a_new_secret_signs_and_is_new),
        cmocka_unit_test(attempts_take_about_a_day),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
