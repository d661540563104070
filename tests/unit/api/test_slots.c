#include "api/slots.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NO_LIMIT UINT64_MAX

static struct slots *make(uint64_t all, uint64_t of_session, uint64_t of_address)
{
    const struct slots_max max = {
        .all = all,
        .of = {[CLIENT_SESSION] = of_session, [CLIENT_ADDRESS] = of_address, [CLIENT_USER] = NO_LIMIT}};
    struct slots *slots;

    assert_int_equal(slots_new(&max, &slots), 0);
    return slots;
}

static void each_session_has_its_own(void **state)
{
    struct slots *slots = make(5, 2, NO_LIMIT);
    char a[ID_TOKEN_LEN + 1], b[ID_TOKEN_LEN + 1];
    const struct client_names one = {{[CLIENT_SESSION] = a}}, other = {{[CLIENT_SESSION] = b}};

    id_token(a);
    snprintf(b, sizeof b, "%s", a); /* of the same bucket */
    b[ID_TOKEN_LEN - 1] = a[ID_TOKEN_LEN - 1] == '0' ? '1' : '0';
    for (int round = 0; round < 3; round++) {
        assert_int_equal(slots_take(slots, &one), 0);
        assert_int_equal(slots_take(slots, &one), 0);
        assert_int_equal(slots_take(slots, &one), -EDQUOT);
        assert_int_equal(slots_take(slots, &other), 0);
        slots_release(slots, &one);
        assert_int_equal(slots_take(slots, &one), 0);
        slots_release(slots, &one);
        slots_release(slots, &other);
        slots_release(slots, &one);
    }
    slots_free(slots);
}

/* What one name refuses is not kept of another. */
static void all_names_of_a_client_count(void **state)
{
    struct slots *slots = make(NO_LIMIT, 2, 3);
    char a[ID_TOKEN_LEN + 1], b[ID_TOKEN_LEN + 1], c[ID_TOKEN_LEN + 1];
    const struct client_names first = {{a, c, NULL}}, second = {{b, c, NULL}}, bare = {{NULL, c, NULL}};

    id_token(a);
    id_token(b);
    id_token(c);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(slots_take(slots, &first), 0);
        assert_int_equal(slots_take(slots, &first), 0);
        assert_int_equal(slots_take(slots, &first), -EDQUOT); /* the session */
        assert_int_equal(slots_take(slots, &second), 0);
        assert_int_equal(slots_take(slots, &second), -EDQUOT); /* the address */
        assert_int_equal(slots_take(slots, &bare), -EDQUOT);
        slots_release(slots, &first);
        assert_int_equal(slots_take(slots, &second), 0);
        slots_release(slots, &second);
        assert_int_equal(slots_take(slots, &bare), 0);
        slots_release(slots, &bare);
        slots_release(slots, &second);
        slots_release(slots, &first);
    }
    slots_free(slots);
}

static void all_together_have_a_limit(void **state)
{
    struct slots *slots = make(3, 2, NO_LIMIT);
    char ids[4][ID_TOKEN_LEN + 1];
    struct client_names clients[4];

    for (int i = 0; i < 4; i++) {
        id_token(ids[i]);
        clients[i] = (struct client_names){{[CLIENT_SESSION] = ids[i]}};
        assert_int_equal(slots_take(slots, &clients[i]), i < 3 ? 0 : -EAGAIN);
    }
    slots_release(slots, &clients[1]);
    assert_int_equal(slots_take(slots, &clients[3]), 0);
    slots_release(slots, &clients[0]);
    slots_release(slots, &clients[2]);
    slots_release(slots, &clients[3]);
    slots_free(slots);
}

static void none_may_be_allowed(void **state)
{
    struct slots *none = make(0, 1, 1), *none_of_it = make(1, 0, 1);
    char id[ID_TOKEN_LEN + 1];
    const struct client_names client = {{[CLIENT_SESSION] = id}};

    id_token(id);
    assert_int_equal(slots_take(none, &client), -EAGAIN);
    assert_int_equal(slots_take(none_of_it, &client), -EDQUOT);
    slots_free(none);
    slots_free(none_of_it);
    slots_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_session_has_its_own),
        cmocka_unit_test(all_names_of_a_client_count),
        cmocka_unit_test(all_together_have_a_limit),
        cmocka_unit_test(none_may_be_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
