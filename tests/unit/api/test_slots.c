#include "api/event_slots.h"

#include "core/id.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void each_session_has_its_own(void **state)
{
    struct event_slots *slots;
    char a[ID_TOKEN_LEN + 1], b[ID_TOKEN_LEN + 1];

    id_token(a);
    snprintf(b, sizeof b, "%s", a); /* of the same bucket */
    b[ID_TOKEN_LEN - 1] = a[ID_TOKEN_LEN - 1] == '0' ? '1' : '0';
    assert_int_equal(event_slots_new(5, 2, &slots), 0);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(event_slots_take(slots, a), 0);
        assert_int_equal(event_slots_take(slots, a), 0);
        assert_int_equal(event_slots_take(slots, a), -EDQUOT);
        assert_int_equal(event_slots_take(slots, b), 0);
        event_slots_release(slots, a);
        assert_int_equal(event_slots_take(slots, a), 0);
        event_slots_release(slots, a);
        event_slots_release(slots, b);
        event_slots_release(slots, a);
    }
    event_slots_free(slots);
}

static void all_together_have_a_limit(void **state)
{
    struct event_slots *slots;
    char ids[4][ID_TOKEN_LEN + 1];

    assert_int_equal(event_slots_new(3, 2, &slots), 0);
    for (int i = 0; i < 4; i++) {
        id_token(ids[i]);
        assert_int_equal(event_slots_take(slots, ids[i]), i < 3 ? 0 : -EAGAIN);
    }
    event_slots_release(slots, ids[1]);
    assert_int_equal(event_slots_take(slots, ids[3]), 0);
    event_slots_release(slots, ids[0]);
    event_slots_release(slots, ids[2]);
    event_slots_release(slots, ids[3]);
    event_slots_free(slots);
}

static void none_may_be_allowed(void **state)
{
    struct event_slots *slots;
    char id[ID_TOKEN_LEN + 1];

    id_token(id);
    assert_int_equal(event_slots_new(0, 1, &slots), 0);
    assert_int_equal(event_slots_take(slots, id), -EAGAIN);
    event_slots_free(slots);
    event_slots_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_session_has_its_own),
        cmocka_unit_test(all_together_have_a_limit),
        cmocka_unit_test(none_may_be_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
