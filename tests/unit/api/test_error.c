#include "api/error.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_table_is_whole(void **state)
{
    for (unsigned i = 0; i < API_ERROR_COUNT_; i++) {
        const struct api_error_info *info = api_error_info((enum api_error)i);

        assert_in_range(info->status, 400, 599);
        assert_true(*info->code && *info->title);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(info->code, api_error_info((enum api_error)k)->code);
        /* RFC 9110, section 15.5.2 */
        assert_true(info->status != 401 || info->challenge);
        /* "Come back later" without saying when helps nobody (RFC 9110, section 10.2.3). */
        assert_int_equal(info->retry_after_s > 0,
                         info->status == 429 || info->status == 503 || i == API_IDEMPOTENCY_BUSY);
    }
}

static void test_for_status(void **state)
{
    static const struct {
        unsigned status;
        const char *code;
    } cases[] = {{400, "bad_request"},           {404, "not_found"},
                 {405, "method_not_allowed"},    {413, "too_large"},
                 {416, "range_not_satisfiable"}, {431, "headers_too_large"},
                 {499, "bad_request"},           {500, "internal"},
                 {503, "unavailable"},           {599, "internal"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_string_equal(api_error_info(api_error_for_status(cases[i].status))->code, cases[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_whole),
        cmocka_unit_test(test_for_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
