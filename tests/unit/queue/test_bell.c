#include "queue_fixture.h"

#include "core/clock.h"

struct ring {
    struct queue_bell *b;
    unsigned queues;
    bool rung;
    int times;
};

static void on_ring(void *arg, int err)
{
    struct ring *g = arg;

    assert_int_equal(err, 0);
    g->rung = true;
    g->times++;
}

static void ring_open(struct ring *g, struct fixture *f)
{
    *g = (struct ring){.queues = QUEUE_ALL};
    assert_int_equal(queue_bell_new(&f->loop, f->q,
                                    &(struct redis_config){.url = redis_server_url(f->server)}, on_ring, g,
                                    &g->b),
                     0);
    loop_for(&f->loop, 100);
}

/* The next look is 450 ms away where a test waits for the bell. */
enum { AT_ONCE_MS = 400 };

/* Armed and tracking: more than one look's round trip, less than the time to the second look. */
static void arm(struct ring *g, struct fixture *f)
{
    g->rung = false;
    queue_bell_arm(g->b, g->queues);
    assert_false(g->rung);
    loop_for(&f->loop, 50);
}

/* Pushes by another client, and how long it takes to hear of it. */
static uint64_t push_and_wait(struct ring *g, struct fixture *f, const char *list)
{
    uint64_t start;

    assert_false(g->rung);
    redis_server_do(f->server, "LPUSH %s x", list);
    start = clock_mono_ms();
    assert_true(loop_until(&f->loop, &g->rung, 5000));
    return clock_mono_ms() - start;
}

static void test_each_list(void **state)
{
    struct fixture *f = *state;
    static const char *const lists[] = {
        "decant",      "decant" STEP(3),      "decant" STEP(6),      "decant" STEP(9),
        "decant.slow", "decant.slow" STEP(9), "decant.quick" STEP(3)};
    struct ring g;

    ring_open(&g, f);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        arm(&g, f);
        assert_true(push_and_wait(&g, f, lists[i]) < AT_ONCE_MS);
        redis_server_do(f->server, "DEL %s", lists[i]);
    }
    assert_int_equal(g.times, ARRAY_SIZE(lists));
    queue_bell_free(g.b);
}

static void test_once(void **state)
{
    struct fixture *f = *state;
    struct ring g;

    ring_open(&g, f);
    redis_server_do(f->server, "LPUSH decant x");
    loop_for(&f->loop, 50);
    assert_false(g.rung); /* not armed */
    arm(&g, f);
    assert_true(g.rung); /* something was there already */
    redis_server_do(f->server, "LPUSH decant x");
    loop_for(&f->loop, 1200);
    assert_int_equal(g.times, 1);
    queue_bell_free(g.b);
}

/* What a worker has no room for does not wake it. */
static void test_some_queues(void **state)
{
    struct fixture *f = *state;
    struct ring g;

    ring_open(&g, f);
    g.queues = queue_family(f->q, "quick") | QUEUE_BASE;
    redis_server_do(f->server, "LPUSH decant.slow x");
    arm(&g, f);
    redis_server_do(f->server, "LPUSH decant.slow x");
    loop_for(&f->loop, 1200); /* past the second look */
    assert_false(g.rung);
    assert_true(push_and_wait(&g, f, "decant.quick") < AT_ONCE_MS);
    redis_server_do(f->server, "DEL decant.quick");
    arm(&g, f);
    assert_true(push_and_wait(&g, f, "decant") < AT_ONCE_MS);
    g.queues = 0;
    arm(&g, f);
    assert_false(g.rung);
    queue_bell_free(g.b);
}

static void test_quiet(void **state)
{
    struct fixture *f = *state;
    struct ring g;

    ring_open(&g, f);
    arm(&g, f);
    redis_server_do(f->server, "LPUSH other x");
    redis_server_do(f->server, "SET decantx x");
    loop_for(&f->loop, 1200); /* past the second look */
    assert_false(g.rung);
    assert_true(push_and_wait(&g, f, "decant") < AT_ONCE_MS);
    queue_bell_free(g.b);
}

/* Either connection breaks while the bell is armed. */
static void test_reconnections(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type;
        unsigned back_ms; /* the commands' connection is missed by the next look, the subscriber's at once */
    } kinds[] = {{"normal", 1500}, {"pubsub", 500}};
    struct ring g;

    ring_open(&g, f);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        arm(&g, f);
        redis_server_do(f->server, "CLIENT KILL TYPE %s", kinds[i].type);
        loop_for(&f->loop, kinds[i].back_ms);
        assert_true(push_and_wait(&g, f, "decant") < AT_ONCE_MS);
        redis_server_do(f->server, "DEL decant");
        loop_for(&f->loop, 50);
    }
    queue_bell_free(g.b);
}

static void test_restart(void **state)
{
    struct fixture *f = *state;
    struct ring g;

    ring_open(&g, f);
    arm(&g, f);
    redis_server_restart(f->server);
    loop_for(&f->loop, 2500);
    assert_true(push_and_wait(&g, f, "decant" STEP(9)) < AT_ONCE_MS);
    queue_bell_free(g.b);
}

static void on_ring_free(void *arg, int err)
{
    struct ring *g = arg;

    g->rung = true;
    queue_bell_free(g->b);
}

static void test_free_in_ring(void **state)
{
    struct fixture *f = *state;
    struct ring g = {0};

    redis_server_do(f->server, "LPUSH decant x");
    assert_int_equal(queue_bell_new(&f->loop, f->q,
                                    &(struct redis_config){.url = redis_server_url(f->server)}, on_ring_free,
                                    &g, &g.b),
                     0);
    queue_bell_arm(g.b, QUEUE_ALL);
    assert_true(loop_until(&f->loop, &g.rung, 1000));
}

static void test_bad_url(void **state)
{
    struct fixture *f = *state;
    struct queue_bell *b = NULL;

    assert_int_equal(
        queue_bell_new(&f->loop, f->q, &(struct redis_config){.url = "nowhere"}, on_ring, NULL, &b), -EINVAL);
    assert_null(b);
}

int main(void)
{
#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_each_list),     QUEUE_TEST(test_once),        QUEUE_TEST(test_quiet),
        QUEUE_TEST(test_reconnections), QUEUE_TEST(test_restart),     QUEUE_TEST(test_free_in_ring),
        QUEUE_TEST(test_bad_url),       QUEUE_TEST(test_some_queues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
