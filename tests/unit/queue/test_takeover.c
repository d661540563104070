/* Workers that die, stall, or lose their connection; and many at once. */
#include "queue_fixture.h"

#define BODY "[[], {}, {}]"

static int lost_done(struct fixture *f, struct queue *q, struct queue_claim *c, const char *worker)
{
    _cleanup_free_ char *before = snapshot(f);
    int err = done_as(f, q, worker, c, QUEUE_SUCCESS, NULL);
    _cleanup_free_ char *after = snapshot(f);

    assert_string_equal(before, after);
    return err;
}

static void test_dead_worker(void **state)
{
    struct fixture *f = *state;
    int err;

    push_foreign(f, "other", BODY, "{}");
    push_foreign(f, "t", BODY, "{\"properties\": {\"priority\": 3}}");

    struct queue_claim *other = claim_as(f, f->q, W2, &err), *c = claim(f);

    assert_string_equal(c->id, "t");
    reap_past_lease(f, f->q, W2); /* W1 says nothing any more */
    assert_int_equal(length(f), 1);
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant" STEP(3)), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:claims:%s", W1), 0);
    assert_int_equal(workers(f), 1);

    struct queue_claim *taken = claim_as(f, f->q, W2, &err);

    assert_string_equal(taken->id, "t");
    assert_int_equal(taken->deliveries, 2);
    assert_int_equal(refresh_as(f, f->q, W1), -ESTALE); /* it was only stalled, and hears of it */
    assert_true(c->lost);
    assert_false(taken->lost);
    assert_int_equal(lost_done(f, f->q, c, W1), -ESTALE);
    assert_int_equal(release_as(f, f->q, W1, c, NULL), -ESTALE);
    assert_int_equal(done_as(f, f->q, W2, taken, QUEUE_SUCCESS, NULL), 0);
    assert_int_equal(done_as(f, f->q, W2, other, QUEUE_SUCCESS, NULL), 0);
    assert_int_equal(lost_done(f, f->q, c, W1), -ESTALE);
    queue_claim_free(c);
    queue_claim_free(other);
    queue_claim_free(taken);
}

static void test_renewed(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "t", BODY, "{}");

    struct queue_claim *c = claim(f);
    _cleanup_free_ char *score = strdup(redis_server_str(f->server, "ZSCORE unacked_index %s", c->tag));

    reap_past_lease(f, f->q, W1);
    assert_int_equal(length(f), 0);
    /* stock consumers sweep by this score */
    assert_true(atof(redis_server_str(f->server, "ZSCORE unacked_index %s", c->tag)) > atof(score));
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
}

/* After Redis was away all leases have ended, but nobody has watched them end. */
static void test_no_hurry(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "t", BODY, "{}");

    struct queue_claim *c = claim(f);

    loop_for(&f->loop, 2 * LEASE_MS);
    assert_int_equal(workers(f), 0);
    assert_int_equal(reap(f), 0);
    assert_int_equal(length(f), 0);
    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_int_equal(workers(f), 1);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
}

/* A stock consumer's sweep takes it out of `unacked` behind our back. */
static void test_swept_by_others(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "a", BODY, "{}");
    push_foreign(f, "b", BODY, "{}");

    struct queue_claim *a = claim(f), *b = claim(f);

    redis_server_do(f->server, "HDEL unacked %s", a->tag);
    redis_server_do(f->server, "ZREM unacked_index %s", a->tag);
    assert_int_equal(refresh_as(f, f->q, W1), -ESTALE);
    assert_true(a->lost);
    assert_false(b->lost);
    assert_int_equal(lost_done(f, f->q, a, W1), -ESTALE);
    assert_int_equal(redis_server_int(f->server, "ZCARD unacked_index"), 1); /* and it was not put back */
    queue_claim_free(a);
    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_int_equal(done_as(f, f->q, W1, b, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(b);
}

/* Redis has given a message out, and the worker never heard: it must not stay claimed while we live. */
static void test_answer_lost(void **state)
{
    struct fixture *f = *state;
    struct queue_claim *c;

    push_foreign(f, "t", BODY, "{}");
    redis_server_do(f->server, "HSET decant:claims:%s decant:unheard t", W1);
    redis_server_do(f->server, "EVAL %s 0",
                    "local m = redis.call('RPOP', 'decant') "
                    "redis.call('HSET', 'unacked', 'decant:unheard', '[' .. m .. ', \"\", \"decant\"]') "
                    "redis.call('ZADD', 'unacked_index', 1, 'decant:unheard')");
    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked unacked_index"), 0);
    c = claim(f);
    assert_string_equal(c->id, "t");
    queue_claim_free(c);
}

struct both {
    int left;
    bool done;
    int err;
};

static void on_one(void *arg, int err)
{
    struct both *b = arg;

    if (err < 0)
        b->err = err;
    b->done = --b->left == 0;
}

struct claimed {
    struct both *both;
    struct queue_claim *c;
};

static void on_one_claim(void *arg, int err, struct queue_claim *c)
{
    struct claimed *got = arg;

    got->c = c;
    on_one(got->both, err);
}

/* A claim that is on its way while a refresh runs is neither lost nor unknown. */
static void test_claim_and_refresh_together(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++) {
        struct both b = {.left = 3};
        struct claimed got = {.both = &b};

        push_foreign(f, "t", BODY, "{}");
        if (i % 2) /* the claim is sent twice, the second time after the refresh */
            redis_server_do(f->server, "SCRIPT FLUSH");
        queue_refresh(f->q, W1, on_one, &b);
        queue_claim(f->q, W1, QUEUE_ALL, on_one_claim, &got);
        queue_refresh(f->q, W1, on_one, &b);
        assert_true(loop_until(&f->loop, &b.done, 5000));
        assert_int_equal(b.err, 0);
        assert_int_equal(done_as(f, f->q, W1, got.c, QUEUE_SUCCESS, NULL), 0);
        queue_claim_free(got.c);
    }
}

static void on_never(void *arg, int err, struct queue_claim *c)
{
    fail();
}

static void on_cut_off(void *arg, int err, struct queue_claim *c)
{
    assert_int_equal(err, -ENOTCONN);
    assert_null(c);
    ++*(int *)arg;
}

/* Freed with a claim on its way and another one out, in both orders. */
static void test_free_early(void **state)
{
    struct fixture *f = *state;
    struct peer p;
    int err, cut_off = 0;

    for (int i = 0; i < 2; i++) {
        push_foreign(f, "t", BODY, "{}");
        push_foreign(f, "t", BODY, "{}");
        peer_open(&p, f);

        struct queue_claim *c = claim_as(f, p.q, i == 0 ? W1 : W2, &err);

        queue_claim(p.q, i == 0 ? W1 : W2, QUEUE_ALL, i == 0 ? on_never : on_cut_off, &cut_off);
        if (i == 0) {
            queue_free(p.q);
            loop_for(&f->loop, 50); /* the answer comes, for nobody */
            redis_free(p.r);
        } else {
            peer_close(&p);
        }
        queue_claim_free(c);
        assert_int_equal(cut_off, i);
    }
    loop_for(&f->loop, 1);
}

static void test_done_and_refresh_together(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++) {
        struct both b = {.left = 2};

        push_foreign(f, "t", BODY, "{}");

        struct queue_claim *c = claim(f);

        if (i % 2)
            redis_server_do(f->server, "SCRIPT FLUSH");
        queue_done(f->q, W1, c, &(struct queue_result){.state = QUEUE_SUCCESS}, NULL, on_one, &b);
        queue_claim_free(c); /* at once: the answer finds its way without it */
        queue_refresh(f->q, W1, on_one, &b);
        assert_true(loop_until(&f->loop, &b.done, 5000));
        assert_int_equal(b.err, 0);
        assert_int_equal(length(f), 0);
        assert_int_equal(redis_server_int(f->server, "EXISTS unacked"), 0);
    }
}

/* Nobody remembers who claimed it, long ago; what a stock consumer claimed is not ours to take. */
static void test_orphans(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "t", BODY, "{}");

    struct queue_claim *c = claim(f);

    redis_server_do(f->server, "DEL decant:workers decant:claims:%s", W1);
    redis_server_do(f->server, "ZADD unacked_index 1000 %s", c->tag);
    redis_server_do(f->server, "ZADD unacked_index 1000 5f1c3b1e-0000-4000-8000-000000000000");
    redis_server_do(f->server, "HSET unacked 5f1c3b1e-0000-4000-8000-000000000000 x");
    reap_past_lease(f, NULL, NULL);
    assert_int_equal(length(f), 1);
    assert_int_equal(redis_server_int(f->server, "HLEN unacked"), 1);
    queue_claim_free(c);
}

static void test_many_reapers(void **state)
{
    struct fixture *f = *state;
    struct both b = {.left = 8};
    struct peer p;
    int err;

    peer_open(&p, f);
    for (int i = 0; i < 4; i++)
        push_foreign(f, "t", BODY, "{}");
    for (int i = 0; i < 4; i++)
        queue_claim_free(claim_as(f, p.q, W2, &err));
    redis_server_do(f->server, "ZADD decant:workers 1000 %s", W2);
    redis_server_do(f->server, "SET decant:watch 1000");
    for (int i = 0; i < 8; i++)
        queue_reap(i % 2 ? f->q : p.q, on_one, &b);
    assert_true(loop_until(&f->loop, &b.done, 5000));
    assert_int_equal(b.err, 0);
    assert_int_equal(length(f), 4); /* each once */
    peer_close(&p);
}

enum { TASKS = 1000, CLAIMERS = 4 };

struct claimer {
    struct peer p;
    char name[32];
    int *left;
    unsigned char *seen;
    bool *done;
    int claimed;
    struct queue_claim *c;
};

static void ask(struct claimer *w);

static void on_acknowledged(void *arg, int err)
{
    struct claimer *w = arg;

    assert_int_equal(err, 0);
    queue_claim_free(TAKE_PTR(w->c));
    if (--*w->left == 0)
        *w->done = true;
    else
        ask(w);
}

static void on_claimed(void *arg, int err, struct queue_claim *c)
{
    struct claimer *w = arg;

    if (err == -EAGAIN)
        return;
    assert_int_equal(err, 0);
    w->c = c;
    w->claimed++;
    w->seen[atoi(c->id)]++;
    queue_done(w->p.q, w->name, c, &(struct queue_result){.state = QUEUE_SUCCESS}, NULL, on_acknowledged, w);
}

static void ask(struct claimer *w)
{
    queue_claim(w->p.q, w->name, QUEUE_ALL, on_claimed, w);
}

static void test_each_once(void **state)
{
    struct fixture *f = *state;
    struct claimer w[CLAIMERS];
    unsigned char seen[TASKS] = {0};
    int left = TASKS;
    bool done = false;

    for (int i = 0; i < TASKS; i++) {
        char id[16], change[64];

        snprintf(id, sizeof id, "%d", i);
        snprintf(change, sizeof change, "{\"properties\": {\"priority\": %d}}", i % 10);
        push_foreign(f, id, BODY, change);
    }
    for (int i = 0; i < CLAIMERS; i++) {
        w[i] = (struct claimer){.left = &left, .seen = seen, .done = &done};
        snprintf(w[i].name, sizeof w[i].name, "decant@w:%d:x", i);
        peer_open(&w[i].p, f);
    }
    for (int i = 0; i < CLAIMERS; i++)
        ask(&w[i]);
    assert_true(loop_until(&f->loop, &done, 30000));
    loop_for(&f->loop, 20);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(seen[i], 1);
    for (int i = 0; i < CLAIMERS; i++) {
        assert_true(w[i].claimed > 0);
        peer_close(&w[i].p);
    }
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked unacked_index decant"), 0);
}

int main(void)
{
#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_dead_worker), QUEUE_TEST(test_renewed),
        QUEUE_TEST(test_no_hurry),    QUEUE_TEST(test_swept_by_others),
        QUEUE_TEST(test_answer_lost), QUEUE_TEST(test_claim_and_refresh_together),
        QUEUE_TEST(test_free_early),  QUEUE_TEST(test_done_and_refresh_together),
        QUEUE_TEST(test_orphans),     QUEUE_TEST(test_many_reapers),
        QUEUE_TEST(test_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
