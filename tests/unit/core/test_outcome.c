#include "core/outcome.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Clients are written against these. */
static void codes_are_the_contract(void **state)
{
    static const char *const codes[OUTCOME_COUNT_] = {
        [OUTCOME_OK] = "ok",
        [OUTCOME_INFECTED] = "infected",
        [OUTCOME_SCANNER_UNAVAILABLE] = "scanner_unavailable",
        [OUTCOME_PASSWORD_REQUIRED] = "password_required",
        [OUTCOME_CORRUPT_INPUT] = "corrupt_input",
        [OUTCOME_TOO_COMPLEX] = "too_complex",
        [OUTCOME_TIMED_OUT] = "timed_out",
        [OUTCOME_ENGINE_CRASHED] = "engine_crashed",
        [OUTCOME_NO_OUTPUT] = "no_output",
        [OUTCOME_CANCELLED] = "cancelled_by_user",
        [OUTCOME_INTERNAL] = "internal",
        [OUTCOME_SCAN_INCOMPLETE] = "too_complex",
        [OUTCOME_SCAN_ENCRYPTED] = "too_complex",
        [OUTCOME_REVOKED] = "cancelled_by_operator",
        [OUTCOME_UNSUPPORTED_CONTENT] = "unsupported_content",
        [OUTCOME_BAD_OPTIONS] = "bad_options",
        [OUTCOME_LANGUAGE_MISSING] = "language_missing",
    };

    for (enum outcome o = OUTCOME_OK; o < OUTCOME_COUNT_; o++)
        assert_string_equal(outcome_code(o), codes[o]);
}

/* Each code an exit status. */
static void each_has_a_sentence_of_its_own(void **state)
{
    assert_int_equal(outcome_exit_status(OUTCOME_OK), 0);
    for (enum outcome o = OUTCOME_OK; o < OUTCOME_COUNT_; o++) {
        const char *sentence = outcome_sentence(o);

        assert_true(sentence[0] >= 'A' && sentence[0] <= 'Z');
        assert_int_equal(sentence[strlen(sentence) - 1], '.');
        for (enum outcome other = OUTCOME_OK; other < o; other++) {
            assert_string_not_equal(sentence, outcome_sentence(other));
            assert_int_equal(outcome_exit_status(o) == outcome_exit_status(other),
                             str_eq(outcome_code(o), outcome_code(other)));
        }
        if (o != OUTCOME_OK)
            assert_in_range(outcome_exit_status(o), 10, 63);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_the_contract),
        cmocka_unit_test(each_has_a_sentence_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
