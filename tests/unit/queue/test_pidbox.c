/* Control messages: those of Celery 5.2.6, as captured, and everything that isn't one. */
#include "core/str.h"
#include "queue/kombu.h"
#include "queue/pidbox.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NODE   "decant@host"
#define NOW_MS UINT64_C(1795277675000)

/* {"method": …} in kombu's envelope. */
static char *wrap(const char *body, const char *headers)
{
    _cleanup_json_ json_t *b = json_loads(body, JSON_DECODE_ANY, NULL), *h = json_loads(headers, 0, NULL),
                          *p = kombu_properties("celery.pidbox", "", 2, 0);
    char *message = NULL;

    assert_non_null(b);
    assert_non_null(h);
    assert_int_equal(kombu_write(b, h, p, &message), 0);
    return message;
}

static int decode(const char *body, const char *headers, struct pidbox_request *ret, const char **why)
{
    _cleanup_free_ char *message = wrap(body, headers);

    return pidbox_decode(message, strlen(message), NOW_MS, ret, why);
}

static void test_as_celery_asks(void **state)
{
    static const char message[] =
        "{\"body\": "
        "\"eyJtZXRob2QiOiAic3RhdHMiLCAiYXJndW1lbnRzIjoge30sICJkZXN0aW5hdGlvbiI6IG51bGwsICJwYXR0ZXJu"
        "IjogbnVsbCwgIm1hdGNoZXIiOiBudWxsLCAidGlja2V0IjogImM1NGU3MTllIiwgInJlcGx5X3RvIjogeyJleGNoYW5nZSI6ICJy"
        "ZXBseS5jZWxlcnkucGlkYm94IiwgInJvdXRpbmdfa2V5IjogImQ5NTU5ZTA1In19\", \"content-encoding\": \"utf-8\","
        "\"content-type\": \"application/json\", \"headers\": {\"clock\": 7, \"expires\": 1795277677.470577},"
        "\"properties\": {\"delivery_mode\": 2, \"delivery_info\": {\"exchange\": \"celery.pidbox\","
        "\"routing_key\": \"\"}, \"priority\": 0, \"body_encoding\": \"base64\","
        "\"delivery_tag\": \"22733fe5-3ecc-4405-adcf-22b2f7380faa\"}}";
    _cleanup_pidbox_request_ struct pidbox_request r = {0};
    const char *why = NULL;

    assert_int_equal(pidbox_decode(message, strlen(message), NOW_MS, &r, &why), 0);
    assert_string_equal(r.method, "stats");
    assert_int_equal(json_object_size(r.arguments), 0);
    assert_string_equal(r.reply_exchange, "reply.celery.pidbox");
    assert_string_equal(r.reply_to, "d9559e05");
    assert_string_equal(json_string_value(r.ticket), "c54e719e");
    assert_int_equal(r.clock, 7);
    assert_true(pidbox_is_for(&r, NODE));

    /* and what is answered can be read as kombu reads it */
    _cleanup_json_ json_t *reply = json_pack("{s:s}", "ok", "pong");
    _cleanup_free_ char *text = NULL;
    _cleanup_kombu_ struct kombu k = {0};

    assert_int_equal(pidbox_encode_reply(&r, NODE, 9, reply, &text), 0);
    assert_int_equal(kombu_read(text, strlen(text), &k, &why), 0);
    assert_string_equal(json_string_value(json_object_get(k.headers, "ticket")), "c54e719e");
    assert_int_equal(json_integer_value(json_object_get(k.headers, "clock")), 9);

    _cleanup_json_ json_t *body = kombu_body(&k),
                          *expected = json_loads("{\"" NODE "\": {\"ok\": \"pong\"}}", 0, NULL);

    assert_true(json_equal(body, expected));
}

static void test_what_may_be_left_out(void **state)
{
    _cleanup_pidbox_request_ struct pidbox_request r = {0};
    _cleanup_free_ char *text = NULL;
    const char *why = NULL;

    assert_int_equal(decode("{\"method\": \"ping\", \"arguments\": null, \"reply_to\": {}}", "{}", &r, &why),
                     0);
    assert_null(r.arguments);
    assert_null(r.reply_to);
    assert_int_equal(r.clock, 0);
    r.reply_exchange = r.reply_to = "x";
    assert_int_equal(pidbox_encode_reply(&r, NODE, 1, NULL, &text), 0);
}

static void test_malformed(void **state)
{
    static const char *const bodies[] = {
        "[]",
        "{}",
        "{\"method\": 1}",
        "{\"method\": \"\"}",
        "{\"method\": \"a\\nb\"}",
        "{\"method\": \"ping\", \"arguments\": [1]}",
        "{\"method\": \"ping\", \"arguments\": \"x\"}",
        "{\"method\": \"ping\", \"reply_to\": \"x\"}",
        "{\"method\": \"ping\", \"reply_to\": {\"exchange\": \"x\"}}",
        "{\"method\": \"ping\", \"reply_to\": {\"exchange\": \"x\", \"routing_key\": \"a\\u0006b\"}}",
    };
    static const char *const messages[] = {"",
                                           "x",
                                           "[]",
                                           "{}",
                                           "{\"headers\": {}, \"properties\": {}}",
                                           "{\"headers\": 1, \"properties\": {}, \"body\": \"\"}"};
    _cleanup_pidbox_request_ struct pidbox_request r = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const char *why = NULL;

        assert_int_equal(decode(bodies[i], "{}", &r, &why), -EBADMSG);
        assert_non_null(why);
    }
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        const char *why = NULL;

        assert_int_equal(pidbox_decode(messages[i], strlen(messages[i]), NOW_MS, &r, &why), -EBADMSG);
        assert_non_null(why);
    }
    assert_null(r.body);
}

static void test_expired(void **state)
{
    static const struct {
        const char *headers;
        int r;
    } cases[] = {
        {"{\"expires\": 1795277664.0}", -ETIME},
        {"{\"expires\": 1}", -ETIME},
        {"{\"expires\": 1795277674.0}", 0}, /* a clock that is off by a second */
        {"{\"expires\": 0}", 0},
        {"{\"expires\": null}", 0},
        {"{\"expires\": \"soon\"}", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_pidbox_request_ struct pidbox_request r = {0};
        const char *why = NULL;

        assert_int_equal(decode("{\"method\": \"ping\"}", cases[i].headers, &r, &why), cases[i].r);
    }
}

static void test_who_is_meant(void **state)
{
    static const struct {
        const char *members;
        bool is;
    } cases[] = {
        {"\"destination\": null", true},
        {"\"destination\": []", true},
        {"\"destination\": [\"decant@host\"]", true},
        {"\"destination\": [\"other@host\", 1, null, \"decant@host\"]", true},
        {"\"destination\": [\"other@host\"]", false},
        {"\"destination\": [\"decant@hos\"]", false},
        {"\"destination\": \"decant@host2\"", false},
        {"\"destination\": 1", false},
        {"\"destination\": [\"other@host\"], \"pattern\": \"*\", \"matcher\": \"glob\"", false},
        {"\"pattern\": \"decant@*\", \"matcher\": \"glob\"", true},
        {"\"pattern\": \"d[a-f]cant@h?st\", \"matcher\": \"glob\"", true},
        {"\"pattern\": \"decant\", \"matcher\": \"glob\"", false},
        {"\"pattern\": \"other@*\", \"matcher\": \"glob\"", false},
        {"\"pattern\": \"decant@.+\", \"matcher\": \"pcre\"", true},
        {"\"pattern\": \"dec\", \"matcher\": \"pcre\"", true}, /* re.match() asks for no end */
        {"\"pattern\": \"host\", \"matcher\": \"pcre\"", false},
        {"\"pattern\": \"(?:celery|decant)@\\\\w+$\", \"matcher\": \"pcre\"", true},
        {"\"pattern\": \"(\", \"matcher\": \"pcre\"", false},
        {"\"pattern\": \"(((((.*)*)*)*)*)*x\", \"matcher\": \"pcre\"", false}, /* and soon */
        {"\"pattern\": \"((a{1,999}){1,999}){1,999}\", \"matcher\": \"pcre\"", false},
        {"\"pattern\": \"*\", \"matcher\": \"soundex\"", false},
        {"\"pattern\": 1, \"matcher\": \"glob\"", false},
        {"\"pattern\": \"decant@*\", \"matcher\": null", true}, /* as kombu: then it is for all */
        {"\"pattern\": \"\", \"matcher\": \"glob\"", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_pidbox_request_ struct pidbox_request r = {0};
        char body[256];
        const char *why = NULL;

        snprintf(body, sizeof body, "{\"method\": \"ping\", %s}", cases[i].members);
        assert_int_equal(decode(body, "{}", &r, &why), 0);
        if (pidbox_is_for(&r, NODE) != cases[i].is)
            fail_msg("%s", cases[i].members);
    }
}

static void test_python_truth(void **state)
{
    static const char *const truths[] = {"true", "1", "-1", "0.5", "\"0\"", "[0]", "{\"a\": 0}"};
    static const char *const lies[] = {"false", "0", "0.0", "-0.0", "\"\"", "[]", "{}", "null"};

    for (size_t i = 0; i < ARRAY_SIZE(truths); i++) {
        _cleanup_json_ json_t *value = json_loads(truths[i], JSON_DECODE_ANY, NULL);

        assert_true(pidbox_truthy(value));
    }
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        _cleanup_json_ json_t *value = json_loads(lies[i], JSON_DECODE_ANY, NULL);

        assert_false(pidbox_truthy(value));
    }
    assert_false(pidbox_truthy(NULL));
}

static void test_ids(void **state)
{
    _cleanup_json_ json_t *one = json_string("a"), *many = json_loads("[\"a\", 1, \"\", \"b\"]", 0, NULL),
                          *number = json_integer(1);

    assert_int_equal(pidbox_count_ids(one), 1);
    assert_string_equal(pidbox_id(one, 0), "a");
    assert_int_equal(pidbox_count_ids(many), 4);
    assert_string_equal(pidbox_id(many, 0), "a");
    assert_null(pidbox_id(many, 1));
    assert_null(pidbox_id(many, 2));
    assert_string_equal(pidbox_id(many, 3), "b");
    assert_int_equal(pidbox_count_ids(number), 0);
    assert_int_equal(pidbox_count_ids(NULL), 0);
}

static void test_signals(void **state)
{
    static const struct {
        const char *value;
        int number;
    } cases[] = {
        {"null", SIGTERM},     {"\"\"", SIGTERM},     {"\"TERM\"", SIGTERM}, {"\"SIGTERM\"", SIGTERM},
        {"\"KILL\"", SIGKILL}, {"\"QUIT\"", SIGQUIT}, {"9", SIGKILL},        {"\"term\"", -EINVAL},
        {"\"FOO\"", -EINVAL},  {"\"SIG\"", -EINVAL},  {"-1", -EINVAL},       {"1000000", -EINVAL},
        {"[9]", -EINVAL},      {"1.5", -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);

        if (pidbox_signal(value) != cases[i].number)
            fail_msg("%s", cases[i].value);
    }
    assert_int_equal(pidbox_signal(NULL), SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_celery_asks),
        cmocka_unit_test(test_what_may_be_left_out),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_who_is_meant),
        cmocka_unit_test(test_python_truth),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
