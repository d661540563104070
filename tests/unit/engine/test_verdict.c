#include "engine/verdict.h"

#include "core/cleanup.h"
#include "sandbox/sandbox.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB    UINT64_C(1024) /* of KiB */
#define LIMITS .begun = true, .cpu_limit_s = 10, .memory_limit_bytes = UINT64_C(1) << 30

static void says_how_a_run_ended(void **state)
{
    static const struct {
        struct verdict_facts facts;
        enum outcome outcome;
    } cases[] = {
        {{LIMITS, .has_status = true, .has_result = true, .result = OUTCOME_OK}, OUTCOME_OK},
        {{LIMITS, .has_status = true, .has_result = true, .result = OUTCOME_CORRUPT_INPUT},
         OUTCOME_CORRUPT_INPUT},
        /* A report counts, however the process ended after it; but not a false one, nor a cancelled one. */
        {{LIMITS, .has_status = true, .status = SIGKILL, .has_result = true, .timed_out = true}, OUTCOME_OK},
        {{LIMITS, .has_status = true, .has_result = true, .misbehaved = true}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .has_result = true, .cancelled = true}, OUTCOME_CANCELLED},
        {{LIMITS, .has_status = true, .status = SIGKILL, .timed_out = true}, OUTCOME_TIMED_OUT},
        {{LIMITS, .has_status = true, .status = 0}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .status = SANDBOX_EXIT_SETUP << 8}, OUTCOME_INTERNAL},
        {{LIMITS, .has_status = true, .status = SIGSEGV, .peak_kib = 10 * MIB}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .status = SIGSEGV, .peak_kib = 511 * MIB}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .status = SIGSEGV, .peak_kib = 512 * MIB}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGABRT, .peak_kib = 900 * MIB}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGSYS, .peak_kib = 900 * MIB}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .status = SIGXCPU}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGKILL, .cpu_ms = 7000}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGKILL, .cpu_ms = 4000}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .status = SIGKILL, .peak_kib = 600 * MIB}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGKILL, .out_of_memory = true}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGKILL, .out_of_memory = true, .cancelled = true},
         OUTCOME_CANCELLED},
        {{LIMITS}, OUTCOME_ENGINE_CRASHED},
        /* It had asked for more than there is, however little it had. */
        {{LIMITS, .has_status = true, .status = SIGABRT, .allocation_failed = true}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGSEGV, .allocation_failed = true}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = 1 << 8, .allocation_failed = true}, OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_status = true, .status = SIGSYS, .allocation_failed = true}, OUTCOME_ENGINE_CRASHED},
        {{LIMITS, .has_status = true, .has_result = true, .result = OUTCOME_OK, .allocation_failed = true},
         OUTCOME_OK},
        {{LIMITS, .has_result = true, .result = OUTCOME_CORRUPT_INPUT, .allocation_failed = true},
         OUTCOME_TOO_COMPLEX},
        {{LIMITS, .has_result = true, .result = OUTCOME_PASSWORD_REQUIRED, .allocation_failed = true},
         OUTCOME_PASSWORD_REQUIRED},
        /* Before it could read. */
        {{.has_status = true, .status = SIGKILL}, OUTCOME_INTERNAL},
        {{.has_status = true, .status = SIGSYS}, OUTCOME_INTERNAL},
        {{.has_status = true, .status = SIGKILL, .out_of_memory = true}, OUTCOME_INTERNAL},
        {{.has_status = true, .status = SIGKILL, .timed_out = true}, OUTCOME_TIMED_OUT},
        {{.has_status = true, .status = SIGKILL, .misbehaved = true}, OUTCOME_ENGINE_CRASHED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(verdict(&cases[i].facts), cases[i].outcome);
}

static void children_speak_for_themselves_only(void **state)
{
    assert_true(verdict_may_report(OUTCOME_OK));
    assert_true(verdict_may_report(OUTCOME_PASSWORD_REQUIRED));
    assert_true(verdict_may_report(OUTCOME_BAD_OPTIONS));
    assert_false(verdict_may_report(OUTCOME_INFECTED));
    assert_false(verdict_may_report(OUTCOME_SCANNER_UNAVAILABLE));
    assert_false(verdict_may_report(OUTCOME_CANCELLED));
    assert_false(verdict_may_report(OUTCOME_TIMED_OUT));
}

/* Killed by somebody else: neither by us, nor by a limit, nor by itself. */
static void some_deaths_may_be_tried_again(void **state)
{
    static const struct {
        struct verdict_facts facts;
        bool transient;
    } cases[] = {
        {{LIMITS, .has_status = true, .status = SIGKILL}, true},
        {{.has_status = true, .status = SIGKILL}, true}, /* before it had begun */
        {{.has_status = true, .status = SIGTERM}, true},
        {{LIMITS, .has_status = true, .status = SIGTERM}, false},
        {{LIMITS, .has_status = true, .status = SIGSEGV}, false},
        {{LIMITS, .has_status = true, .status = SIGSYS}, false},
        {{LIMITS, .has_status = true, .status = 0}, false},
        {{LIMITS, .has_status = false}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .cpu_ms = 7000}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .peak_kib = 600 * MIB}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .out_of_memory = true}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .allocation_failed = true}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .timed_out = true}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .cancelled = true}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .misbehaved = true}, false},
        {{LIMITS, .has_status = true, .status = SIGKILL, .has_result = true}, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(verdict_is_transient(&cases[i].facts), cases[i].transient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_how_a_run_ended),
        cmocka_unit_test(some_deaths_may_be_tried_again),
        cmocka_unit_test(children_speak_for_themselves_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
