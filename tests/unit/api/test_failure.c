#include "api/failure.h"

#include "core/outcome.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_every_failure_has_a_status(void **state)
{
    for (unsigned i = OUTCOME_OK + 1; i < OUTCOME_COUNT_; i++) {
        const struct api_error_info *info = failure_info(outcome_code((enum outcome)i));

        assert_string_equal(info->code, outcome_code((enum outcome)i));
        assert_in_range(info->status, 400, 599);
        assert_true(*info->title);
        assert_int_equal(info->retry_after_s > 0, info->status == 503);
    }
}

static void test_what_is_not_known(void **state)
{
    assert_string_equal(failure_info("")->code, "internal");
    assert_string_equal(failure_info("of_another_version")->code, "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failure_has_a_status),
        cmocka_unit_test(test_what_is_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
