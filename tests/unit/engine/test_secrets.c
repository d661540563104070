#include "engine/secrets.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void they_are_taken_out_of_the_options(void **state)
{
    _cleanup_json_ json_t *options =
        json_loads("{\"new_password\": \"n\", \"password\": \"Grüße \\\"12\", \"width\": 7}", 0, NULL);
    _cleanup_json_ json_t *kept = json_incref(json_object_get(options, "password"));

    assert_true(secrets_among(options));

    _cleanup_secret_ char *secrets = secrets_take(options);

    assert_string_equal(secrets, "{\"password\":\"Grüße \\\"12\",\"new_password\":\"n\"}");
    assert_string_equal(json_string_value(kept), ""); /* wiped */
    assert_int_equal(json_object_size(options), 1);
    assert_false(secrets_among(options));
    assert_null(secrets_take(options));
    assert_null(secrets_take(NULL));
    assert_false(secrets_among(NULL));
}

static void they_are_masked(void **state)
{
    _cleanup_json_ json_t *options = json_loads("{\"password\": \"x\", \"width\": 7}", 0, NULL);
    _cleanup_json_ json_t *masked = secrets_masked(options);

    assert_true(json_is_true(json_object_get(masked, "password")));
    assert_int_equal(json_integer_value(json_object_get(masked, "width")), 7);
    assert_int_equal(json_object_size(masked), 2);
    assert_string_equal(json_string_value(json_object_get(options, "password")), "x");
}

static void they_are_named(void **state)
{
    static const struct {
        const char *options, *names;
    } cases[] = {{"{}", ""},
                 {"{\"width\": 7}", ""},
                 {"{\"width\": 7, \"password\": \"x\"}", "password"},
                 {"{\"new_password\": \"x\"}", "new_password"},
                 {"{\"new_password\": \"x\", \"password\": \"y\"}", "password new_password"}};
    char names[SECRETS_NAMES_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_json_ json_t *options = json_loads(cases[i].options, 0, NULL);

        secrets_names(options, names);
        assert_string_equal(names, cases[i].names);
    }
    secrets_names(NULL, names);
    assert_string_equal(names, "");
}

static void they_are_put_back(void **state)
{
    _cleanup_secret_ char *text = NULL, *plain = NULL, *none = NULL;

    assert_int_equal(secrets_join("{\"width\":7}", "{\"password\":\"Grüße\"}", &text), 0);
    assert_string_equal(text, "{\"width\":7,\"password\":\"Grüße\"}");
    assert_int_equal(secrets_join("{}", NULL, &plain), 0);
    assert_string_equal(plain, "{}");
    assert_int_equal(secrets_join("7", "{}", &none), -EINVAL);
    assert_int_equal(secrets_join("{}", "x", &none), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_taken_out_of_the_options),
        cmocka_unit_test(they_are_masked),
        cmocka_unit_test(they_are_named),
        cmocka_unit_test(they_are_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
