#include "state/courier.h"

#include "fixture.h"

static void on_lives(void *arg, int err, bool lives)
{
    struct answer *a = arg;

    answer_on(a, err, NULL);
    a->number = lives;
}

static bool lives(struct fixture *f, unsigned works)
{
    struct answer a = {0};

    courier_lives(f->r, works, on_lives, &a);
    answer_wait(f, &a);
    assert_int_equal(a.err, 0);
    return a.number != 0;
}

/* One that does the one is none for the other; and for both there may be two. */
static void each_work_has_a_courier_of_its_own(void **state)
{
    struct fixture *f = *state;
    const unsigned both = COURIER_WEBHOOKS | COURIER_SIGN_ON;

    assert_false(lives(f, COURIER_WEBHOOKS));
    courier_alive(f->r, COURIER_SIGN_ON, "a");
    assert_false(lives(f, COURIER_WEBHOOKS));
    assert_true(lives(f, COURIER_SIGN_ON));
    assert_false(lives(f, both));
    courier_alive(f->r, COURIER_WEBHOOKS, "b");
    assert_true(lives(f, both));
    assert_in_range(redis_server_int(f->server, "TTL decant:courier:webhooks"), 1, 15);
    redis_server_do(f->server, "DEL decant:courier:sign-on"); /* a has died */
    assert_false(lives(f, both));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_work_has_a_courier_of_its_own, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
