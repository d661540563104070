#include "core/plans.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct settings base(const char *premium)
{
    return (struct settings){.max_upload_bytes = 100 << 20,
                             .session_quota_bytes = UINT64_C(2) << 30,
                             .max_jobs = 200,
                             .session_queue = 100,
                             .session_ttl_s = 86400,
                             .plan_free = "upload=50M",
                             .plan_premium = premium};
}

static void test_what_is_absent(void **state)
{
    const struct settings s = base("jobs=5000, retention=30d rate=4");
    struct plan plans[PLANS];
    const char *variable;

    assert_int_equal(plans_load(&s, plans, &variable), 0);
    assert_string_equal(plans[PLAN_FREE].name, "free");
    assert_int_equal(plans[PLAN_FREE].max_upload_bytes, 50 << 20);
    assert_int_equal(plans[PLAN_FREE].stored_bytes, UINT64_C(2) << 30);
    assert_int_equal(plans[PLAN_FREE].max_jobs, 200);
    assert_int_equal(plans[PLAN_FREE].queue, 100);
    assert_int_equal(plans[PLAN_FREE].priority, 3);
    assert_int_equal(plans[PLAN_FREE].retention_s, 86400);
    assert_int_equal(plans[PLAN_FREE].rate, 1);
    assert_int_equal(plans[PLAN_PREMIUM].max_upload_bytes, 100 << 20);
    assert_int_equal(plans[PLAN_PREMIUM].max_jobs, 5000);
    assert_int_equal(plans[PLAN_PREMIUM].retention_s, 30 * 86400);
    assert_int_equal(plans[PLAN_PREMIUM].rate, 4);
}

static void test_retention(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } cases[] = {
        {"retention=90", 90}, {"retention=90s", 90}, {"retention=15m", 900}, {"retention=24h", 86400}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct settings s = base(cases[i].text);
        struct plan plans[PLANS];
        const char *variable;

        assert_int_equal(plans_load(&s, plans, &variable), 0);
        assert_int_equal(plans[PLAN_PREMIUM].retention_s, cases[i].seconds);
    }
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "upload",      "upload=",     "upload=101M" /* more than the server */,
        "upload=1x",   "color=green", "=5",
        "priority=1",  "priority=12", "priority=-3",
        "retention=5", "rate=0",      "jobs=0",
        "rate=1.5",    "retention=1w"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const struct settings s = base(texts[i]);
        struct plan plans[PLANS];
        const char *variable = "";

        assert_int_equal(plans_load(&s, plans, &variable), -EINVAL);
        assert_string_equal(variable, "DECANT_PLAN_PREMIUM");
    }
}

static void test_by_name(void **state)
{
    const struct settings s = base("");
    struct plan plans[PLANS];
    const char *variable;

    assert_int_equal(plans_load(&s, plans, &variable), 0);
    assert_ptr_equal(plan_by_name(plans, "premium"), &plans[PLAN_PREMIUM]);
    assert_null(plan_by_name(plans, "Premium"));
    assert_null(plan_by_name(plans, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_absent),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
