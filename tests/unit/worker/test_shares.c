/* How a worker's slots are shared. */
#include "worker/shares.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SLOW = 2, QUICK = 4, OTHER = 8 };

static void one_family_leaves_a_slot(void **state)
{
    struct shares s = {.served = SLOW | QUICK, .slots = 3, .spare = 1};

    assert_int_equal(shares_most(&s), 2);
    assert_int_equal(shares_open(&s), QUEUE_BASE | SLOW | QUICK);
    shares_take(&s, SLOW);
    shares_take(&s, SLOW);
    assert_int_equal(shares_open(&s), QUEUE_BASE | QUICK);
    shares_take(&s, QUICK);
    assert_int_equal(shares_open(&s), 0);
    shares_give(&s, SLOW);
    assert_int_equal(shares_open(&s), QUEUE_BASE | SLOW | QUICK);
}

static void nobody_to_leave_it_to(void **state)
{
    struct shares one_slot = {.served = SLOW | QUICK, .slots = 1, .spare = 1},
                  one_family = {.served = SLOW, .slots = 2, .spare = 1},
                  all_spare = {.served = SLOW | QUICK, .slots = 2, .spare = 9},
                  none_spare = {.served = SLOW | QUICK, .slots = 2, .spare = 0};

    assert_int_equal(shares_most(&one_slot), 1);
    assert_int_equal(shares_most(&one_family), 2);
    assert_int_equal(shares_most(&all_spare), 1);
    assert_int_equal(shares_most(&none_spare), 2);
    assert_int_equal(shares_open(&one_slot), QUEUE_BASE | SLOW | QUICK);
    shares_take(&one_family, SLOW);
    assert_int_equal(shares_open(&one_family), QUEUE_BASE | SLOW);
    assert_int_equal(shares_open(&all_spare), QUEUE_BASE | SLOW | QUICK);
    shares_take(&all_spare, SLOW);
    assert_int_equal(shares_open(&all_spare), QUEUE_BASE | QUICK);
    shares_take(&none_spare, SLOW);
    assert_int_equal(shares_open(&none_spare), QUEUE_BASE | SLOW | QUICK);
}

/* What is short waits for a slot, but keeps none from those who had it alone before. */
static void what_is_apart_is_no_family(void **state)
{
    struct shares one = {.served = SLOW | OTHER, .apart = OTHER, .slots = 2, .spare = 1},
                  two = {.served = SLOW | QUICK | OTHER, .apart = OTHER, .slots = 3, .spare = 1};

    assert_int_equal(shares_most(&one), 2);
    assert_int_equal(shares_open(&one), QUEUE_BASE | SLOW | OTHER);
    assert_int_equal(shares_most(&two), 2);
    shares_take(&two, OTHER);
    shares_take(&two, OTHER);
    assert_int_equal(shares_open(&two), QUEUE_BASE | SLOW | QUICK); /* it leaves a slot to them */
}

/* A task from the base queue counts for nobody until its route is known. */
static void a_route_becomes_known(void **state)
{
    struct shares s = {.served = SLOW | QUICK, .slots = 2, .spare = 1};

    shares_take(&s, QUEUE_BASE);
    assert_true(shares_move(&s, QUEUE_BASE, QUEUE_BASE));
    assert_true(shares_move(&s, QUEUE_BASE, SLOW));
    assert_int_equal(shares_open(&s), QUEUE_BASE | QUICK);
    shares_take(&s, QUEUE_BASE);
    assert_false(shares_move(&s, QUEUE_BASE, SLOW));  /* the last slot is not for it */
    assert_false(shares_move(&s, QUEUE_BASE, OTHER)); /* not served here */
    assert_true(shares_move(&s, QUEUE_BASE, QUICK));
    assert_true(shares_move(&s, QUICK, QUEUE_BASE)); /* an engine of no family */
    shares_give(&s, QUEUE_BASE);
    shares_give(&s, SLOW);
    assert_int_equal(shares_open(&s), QUEUE_BASE | SLOW | QUICK);
    assert_int_equal(s.n_held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_family_leaves_a_slot),
        cmocka_unit_test(nobody_to_leave_it_to),
        cmocka_unit_test(what_is_apart_is_no_family),
        cmocka_unit_test(a_route_becomes_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
