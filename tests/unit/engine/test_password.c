#include "engine/password.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void it_is_taken_out_of_the_options(void **state)
{
    _cleanup_json_ json_t *options = json_loads("{\"password\": \"Grüße \\\"12\", \"width\": 7}", 0, NULL);
    _cleanup_json_ json_t *kept = json_incref(json_object_get(options, "password"));
    _cleanup_secret_ char *password = password_take(options);

    assert_string_equal(password, "Grüße \"12");
    assert_string_equal(json_string_value(kept), ""); /* wiped */
    assert_int_equal(json_object_size(options), 1);
    assert_null(password_take(options));
    assert_null(password_take(NULL));
}

static void what_is_no_text_is_no_password(void **state)
{
    _cleanup_json_ json_t *options = json_loads("{\"password\": 12}", 0, NULL);

    assert_null(password_take(options));
    assert_int_equal(json_object_size(options), 0);
}

static void it_is_put_back(void **state)
{
    _cleanup_secret_ char *text = NULL, *plain = NULL;

    assert_int_equal(password_join("{\"width\":7}", "Grüße \"12", &text), 0);
    assert_string_equal(text, "{\"width\":7,\"password\":\"Grüße \\\"12\"}");
    assert_int_equal(password_join("{}", NULL, &plain), 0);
    assert_string_equal(plain, "{}");
    assert_int_equal(password_join("7", "x", &text), -EINVAL);
    assert_int_equal(password_join("{}", "\xff", &text), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_taken_out_of_the_options),
        cmocka_unit_test(what_is_no_text_is_no_password),
        cmocka_unit_test(it_is_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
