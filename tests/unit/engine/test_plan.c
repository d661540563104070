/* The planner over steps made by hand: which way it takes, and what it says of it. */
#include "engine/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { STEPS_MAX = 8 };

static struct {
    struct catalogue_step steps[STEPS_MAX];
    size_t n;
    struct plan plan;
} made;

static void step(const char *engine, const char *from, const char *to, unsigned cost, unsigned fidelity,
                 const char *follows)
{
    assert_true(made.n < STEPS_MAX);
    made.steps[made.n++] = (struct catalogue_step){CATALOGUE_CONVERT,
                                                   engine,
                                                   format_by_id(from),
                                                   format_by_id(to),
                                                   cost,
                                                   fidelity,
                                                   true,
                                                   follows,
                                                   "",
                                                   0};
}

/* A step from a format into itself. */
static void insert(const char *engine, const char *format, unsigned turn, unsigned cost)
{
    step(engine, format, format, cost, 90, "");
    made.steps[made.n - 1].asked_by = "something";
    made.steps[made.n - 1].turn = turn;
}

static const struct catalogue_route *find(const char *from, const char *to)
{
    return plan_find(&made.plan, format_by_id(from), format_by_id(to));
}

static void plan_now(void)
{
    plan_make(made.steps, made.n, &made.plan);
}

static int set_up(void **state)
{
    made = (typeof(made)){0};
    return 0;
}

static int tear_down(void **state)
{
    plan_free(&made.plan);
    return 0;
}

static void one_step_is_a_route(void **state)
{
    step("a", "docx", "pdf", 7, 95, "");
    plan_now();
    assert_int_equal(made.plan.n_routes, 1);
    assert_ptr_equal(find("docx", "pdf")->steps[0], &made.steps[0]);
    assert_int_equal(find("docx", "pdf")->n_steps, 1);
    assert_int_equal(find("docx", "pdf")->cost, 7);
    assert_int_equal(find("docx", "pdf")->fidelity, 95);
    assert_null(find("pdf", "docx"));
    assert_null(find("docx", "nonsense"));
    assert_null(plan_find(&made.plan, NULL, NULL));
}

static void no_steps_are_no_routes(void **state)
{
    plan_now();
    assert_int_equal(made.plan.n_routes, 0);
    assert_null(find("docx", "pdf"));
}

static void what_is_lost_and_paid_adds_up(void **state)
{
    step("a", "docx", "pdf", 30, 90, "");
    step("b", "pdf", "png", 10, 80, "document");
    plan_now();

    const struct catalogue_route *route = find("docx", "png");

    assert_int_equal(route->n_steps, 2);
    assert_ptr_equal(route->from, format_by_id("docx"));
    assert_ptr_equal(route->to, format_by_id("png"));
    assert_int_equal(route->cost, 40);
    assert_int_equal(route->fidelity, 72);
    assert_string_equal(route->engines, "a+b");
    assert_true(route->copies_embedded);
    made.steps[1].copies_embedded = false;
    plan_free(&made.plan);
    plan_now();
    assert_false(find("docx", "png")->copies_embedded);
}

static void an_engine_is_named_once(void **state)
{
    step("a", "docx", "pdf", 30, 90, "");
    step("a", "pdf", "png", 10, 80, "document");
    plan_now();
    assert_string_equal(find("docx", "png")->engines, "a");
}

static void the_most_faithful_way_is_taken(void **state)
{
    step("a", "docx", "png", 1, 40, ""); /* the first page only */
    step("a", "docx", "pdf", 30, 90, "");
    step("b", "pdf", "png", 10, 97, "document");
    plan_now();
    assert_int_equal(find("docx", "png")->n_steps, 2);
}

static void of_equal_ones_the_shorter_is_taken(void **state)
{
    step("a", "docx", "pdf", 1, 90, "");
    step("b", "pdf", "png", 1, 100, "document");
    step("a", "docx", "png", 50, 90, "");
    plan_now();
    assert_int_equal(find("docx", "png")->n_steps, 1);
}

static void then_the_cheaper(void **state)
{
    step("a", "docx", "pdf", 20, 90, "");
    step("b", "docx", "pdf", 10, 90, "");
    step("c", "docx", "pdf", 10, 90, "");
    plan_now();
    assert_string_equal(find("docx", "pdf")->engines, "b");
}

/* A PDF of a picture has no text, and a second step is none for whoever doesn't say so. */
static void only_what_may_follow_does(void **state)
{
    step("a", "docx", "pdf", 1, 90, "");
    step("a", "jpg", "pdf", 1, 90, "");
    step("b", "pdf", "txt", 1, 90, "document spreadsheet");
    step("b", "pdf", "png", 1, 90, "");
    plan_now();
    assert_non_null(find("docx", "txt"));
    assert_null(find("jpg", "txt"));
    assert_null(find("docx", "png"));
    assert_non_null(find("pdf", "png"));
}

static void nothing_becomes_itself_and_nothing_takes_three_steps(void **state)
{
    step("a", "docx", "pdf", 1, 90, "");
    step("b", "pdf", "docx", 1, 90, "document pdf");
    step("b", "pdf", "png", 1, 90, "document pdf");
    step("c", "png", "gif", 1, 90, "document pdf");
    plan_now();
    assert_null(find("docx", "docx"));
    assert_non_null(find("docx", "png"));
    assert_non_null(find("pdf", "gif"));
    assert_null(find("docx", "gif"));
}

/* The pair docx → png is taken over pdf; as a first step the direct one still leads on. */
static void a_single_step_still_leads_on(void **state)
{
    step("a", "docx", "png", 1, 40, "");
    step("a", "docx", "pdf", 1, 90, "");
    step("b", "pdf", "png", 1, 90, "document");
    step("c", "png", "gif", 1, 100, "document");
    plan_now();
    assert_int_equal(find("docx", "png")->n_steps, 2);
    assert_ptr_equal(find("docx", "gif")->steps[0], &made.steps[0]);
}

static void steps_are_inserted_where_their_format_comes_by(void **state)
{
    const struct catalogue_route *route;

    step("a", "docx", "pdf", 1, 90, "");
    step("b", "pdf", "png", 2, 90, "document");
    insert("c", "pdf", 7, 10);
    insert("d", "pdf", 3, 20);
    plan_now();
    assert_int_equal(made.plan.n_inserts, 2);
    assert_ptr_equal(made.plan.inserts[0], &made.steps[3]); /* by their turns */
    assert_int_equal(find("docx", "png")->n_steps, 2);      /* nobody has asked */

    route = plan_insert(&made.plan, find("docx", "png"), made.plan.inserts, 2);
    assert_int_equal(route->n_steps, 4);
    assert_ptr_equal(route->steps[1], &made.steps[3]);
    assert_ptr_equal(route->steps[2], &made.steps[2]);
    assert_string_equal(route->engines, "a+d+c+b");
    assert_int_equal(route->cost, 33);
    assert_ptr_equal(plan_insert(&made.plan, find("docx", "png"), made.plan.inserts, 2), route);
    assert_ptr_not_equal(plan_insert(&made.plan, find("docx", "png"), made.plan.inserts, 1), route);

    route = plan_insert(&made.plan, find("pdf", "png"), made.plan.inserts, 1);
    assert_ptr_equal(route->steps[0], &made.steps[3]);
    assert_int_equal(route->n_steps, 2);
}

static void a_format_into_itself_is_a_route(void **state)
{
    const struct catalogue_route *route;

    insert("c", "pdf", 7, 10);
    insert("d", "pdf", 3, 20);
    insert("e", "png", 0, 20);
    plan_now();
    assert_int_equal(made.plan.n_inserts, 2);
    assert_ptr_equal(find("pdf", "pdf")->steps[0], &made.steps[0]); /* the cheapest */
    assert_ptr_equal(find("png", "png")->steps[0], &made.steps[2]);
    route = plan_insert(&made.plan, find("pdf", "pdf"), made.plan.inserts, 1);
    assert_int_equal(route->n_steps, 1);
    assert_ptr_equal(route->steps[0], &made.steps[1]);
}

static void routes_are_joined(void **state)
{
    const struct catalogue_route *route;

    step("a", "md", "docx", 1, 90, "");
    step("b", "docx", "pdf", 2, 90, "text");
    step("c", "pdf", "png", 3, 50, "");
    step("d", "zip", "zip", 4, 100, "");
    made.steps[3].kind = CATALOGUE_SCATTER;
    plan_now();
    assert_null(find("md", "png"));
    route = plan_join(&made.plan, find("md", "pdf"), find("pdf", "png"));
    assert_string_equal(route->from->id, "md");
    assert_string_equal(route->to->id, "png");
    assert_string_equal(route->engines, "a+b+c");
    assert_int_equal(route->cost, 6);
    assert_ptr_equal(plan_join(&made.plan, find("md", "pdf"), find("pdf", "png")), route);

    route = plan_unpack(&made.plan, format_by_id("zip"), find("pdf", "png"));
    assert_string_equal(route->from->id, "zip");
    assert_string_equal(route->engines, "d+c");
    assert_null(plan_unpack(&made.plan, format_by_id("tar"), find("pdf", "png")));
}

#define PLAN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAN_TEST(one_step_is_a_route),
        PLAN_TEST(no_steps_are_no_routes),
        PLAN_TEST(what_is_lost_and_paid_adds_up),
        PLAN_TEST(an_engine_is_named_once),
        PLAN_TEST(the_most_faithful_way_is_taken),
        PLAN_TEST(of_equal_ones_the_shorter_is_taken),
        PLAN_TEST(then_the_cheaper),
        PLAN_TEST(only_what_may_follow_does),
        PLAN_TEST(nothing_becomes_itself_and_nothing_takes_three_steps),
        PLAN_TEST(a_single_step_still_leads_on),
        PLAN_TEST(steps_are_inserted_where_their_format_comes_by),
        PLAN_TEST(a_format_into_itself_is_a_route),
        PLAN_TEST(routes_are_joined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
