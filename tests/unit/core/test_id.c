#include "core/id.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void ids_have_their_form(void **state)
{
    char token[ID_TOKEN_LEN + 1], uuid[ID_UUID_LEN + 1];

    for (int i = 0; i < 1000; i++) {
        id_token(token);
        id_uuid(uuid);
        assert_int_equal(strlen(token), ID_TOKEN_LEN);
        assert_int_equal(strlen(uuid), ID_UUID_LEN);
        assert_true(id_is_token(token));
        assert_true(id_is_uuid(uuid));
        assert_false(id_is_token(uuid));
        assert_false(id_is_uuid(token));
    }
}

static void ids_from_a_stock(void **state)
{
    struct id_stock stock = {0};
    char ids[100][ID_UUID_LEN + 1];

    for (int i = 0; i < 100; i++) {
        id_uuid_from(&stock, ids[i]);
        assert_true(id_is_uuid(ids[i]));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
}

/* Each hex digit of many ids takes many values: no part is constant but for the version and variant. */
static void ids_are_random(void **state)
{
    char first[ID_UUID_LEN + 1], uuid[ID_UUID_LEN + 1];
    bool differs[ID_UUID_LEN] = {false};

    id_uuid(first);
    for (int i = 0; i < 200; i++) {
        id_uuid(uuid);
        for (size_t j = 0; j < ID_UUID_LEN; j++)
            differs[j] |= uuid[j] != first[j];
    }
    for (size_t j = 0; j < ID_UUID_LEN; j++)
        assert_int_equal(differs[j], first[j] != '-' && j != 14);
}

static void other_forms_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "00000000-0000-4000-8000-00000000000",   /* short */
        "00000000-0000-4000-8000-0000000000000", /* long */
        "00000000-0000-1000-8000-000000000000",  /* version 1 */
        "00000000-0000-4000-7000-000000000000",  /* variant */
        "00000000-0000-4000-8000-00000000000G",
        "00000000-0000-4000-8000-00000000000A", /* upper case */
        "00000000x0000-4000-8000-000000000000",
        "{0000000-0000-4000-8000-00000000000}",
        "../../../../../../../../etc/passwd..",
    };
    char token[ID_TOKEN_LEN + 2];

    assert_true(id_is_uuid("00000000-0000-4000-8000-000000000000"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(id_is_uuid(bad[i]));
        assert_false(id_is_token(bad[i]));
    }
    assert_false(id_is_uuid(NULL));
    assert_false(id_is_token(NULL));
    id_token(token);
    for (size_t i = 0; i < ID_TOKEN_LEN; i++) {
        char kept = token[i];

        token[i] = "/.A g"[i % 5];
        assert_false(id_is_token(token));
        token[i] = kept;
    }
    strcpy(token + ID_TOKEN_LEN, "0");
    assert_false(id_is_token(token));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_their_form),
        cmocka_unit_test(ids_from_a_stock),
        cmocka_unit_test(ids_are_random),
        cmocka_unit_test(other_forms_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
