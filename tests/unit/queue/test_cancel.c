/* queue_cancel: what waits leaves the queue, what is claimed may end in one way alone. */
#include "queue_fixture.h"

#define A "aaaaaaaa-1b15-49cf-9e75-98342b467ba9"
#define B "bbbbbbbb-1b15-49cf-9e75-98342b467ba9"

static const char *const queued[] = {"status", "queued", "task_id", A, NULL};
static const struct queue_hash to_queued = {.key = "job",
                                            .field = "status",
                                            .expected = "uploaded cancelled",
                                            .channel = "decant:job:1",
                                            .set = queued};
static const char *const cancelled[] = {"status", "cancelled", "worker", "", "cancelling", "", NULL};
static const struct queue_hash to_cancelled = {.key = "job",
                                               .field = "status",
                                               .expected = "queued scanning processing",
                                               .channel = "decant:job:1",
                                               .set = cancelled};
static const char *const completed[] = {"status", "completed", NULL};
static const struct queue_hash to_completed = {.key = "job",
                                               .field = "status",
                                               .expected = "queued scanning processing",
                                               .channel = "decant:job:1",
                                               .set = completed};

static int cancel(struct fixture *f)
{
    return cancel_in(f, A, "", &to_cancelled);
}

static const char *status(struct fixture *f)
{
    return redis_server_str(f->server, "HGET job status");
}

static bool is_revoked(struct fixture *f)
{
    return strstr(redis_server_str(f->server, "GET celery-task-meta-" A), "\"REVOKED\"");
}

static void enqueue_job(struct fixture *f, unsigned priority)
{
    redis_server_do(f->server, "HSET job status uploaded");
    assert_int_equal(enqueue(f, A, priority, &to_queued), 0);
}

/* Marked as the runner does it. */
static struct queue_claim *claim_job(struct fixture *f)
{
    struct queue_claim *c = claim(f);

    redis_server_do(f->server, "HSET job status scanning worker " W1);
    return c;
}

static void assert_empty(struct fixture *f)
{
    assert_int_equal(length(f), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked unacked_index decant:delayed decant:dead"),
                     0);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:deliveries:" A), 0);
}

static void test_what_waits_leaves_the_queue(void **state)
{
    static const unsigned priorities[] = {0, 4, 9};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
        enqueue_job(f, priorities[i]);
        assert_int_equal(enqueue(f, B, priorities[i], NULL), 0);
        assert_int_equal(cancel(f), 0);
        assert_string_equal(status(f), "cancelled");
        assert_true(is_revoked(f));
        assert_non_null(strstr(redis_server_str(f->server, "GET celery-task-meta-" A), "It was cancelled."));
        assert_int_equal(redis_server_int(f->server, "TTL celery-task-meta-" A) > 0, 1);

        struct queue_claim *c = claim(f); /* the other one is still there */

        assert_string_equal(c->id, B);
        assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
        queue_claim_free(c);
        assert_empty(f);
        redis_server_do(f->server, "DEL celery-task-meta-" A);
    }
}

static void test_from_the_queue_of_a_family(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "HSET job status queued task_id " A);
    assert_int_equal(enqueue_family(f, A, "slow", 0), 0);
    assert_int_equal(cancel(f), 0);
    assert_empty(f);
}

static void test_what_waits_for_its_time(void **state)
{
    struct fixture *f = *state;
    static const char *const again[] = {"status", "queued", "worker", "", NULL};
    struct queue_hash to_again = to_completed;

    to_again.set = again;
    enqueue_job(f, 3);

    struct queue_claim *c = claim_job(f);

    assert_int_equal(retry_as(f, f->q, W1, c, 60000, &to_again), 0);
    queue_claim_free(c);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), 1);
    assert_int_equal(cancel(f), 0);
    assert_string_equal(status(f), "cancelled");
    assert_true(is_revoked(f));
    assert_empty(f);
}

/* Whatever a claim's holder says, but that it has stopped: it is told, and nothing has changed. */
static void test_what_runs_ends_in_one_way(void **state)
{
    struct fixture *f = *state;

    enqueue_job(f, 0);

    struct queue_claim *c = claim_job(f);

    redis_server_do(f->server, "HSET job sealed_secrets x");
    assert_int_equal(cancel(f), -EINPROGRESS);
    assert_int_equal(cancel(f), -EINPROGRESS); /* twice */
    assert_string_equal(status(f), "scanning");
    assert_string_equal(redis_server_str(f->server, "HGET job cancelling"), A);
    assert_string_equal(redis_server_str(f->server, "HGET job sealed_secrets"), "");
    assert_int_equal(redis_server_int(f->server, "EXISTS celery-task-meta-" A), 0);

    char *before = snapshot(f), *after;

    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, &to_completed), -ECANCELED);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_FAILURE, &to_completed), -ECANCELED);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_REJECTED, &to_completed), -ECANCELED);
    assert_int_equal(retry_as(f, f->q, W1, c, 1, &to_completed), -ECANCELED);
    assert_int_equal(release_as(f, f->q, W1, c, &to_completed), -ECANCELED);
    after = snapshot(f);
    assert_string_equal(before, after);
    free(before);
    free(after);
    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_false(c->lost);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_REVOKED, &to_cancelled), 0);
    assert_string_equal(status(f), "cancelled");
    assert_true(is_revoked(f));
    queue_claim_free(c);
    assert_empty(f);
    assert_int_equal(cancel(f), -EBUSY);
}

/* Claimed, but not marked: no process is there, so it is over at once, and the worker finds out. */
static void test_what_is_not_begun(void **state)
{
    struct fixture *f = *state;

    enqueue_job(f, 0);

    struct queue_claim *c = claim(f);

    assert_int_equal(cancel(f), 0);
    assert_string_equal(status(f), "cancelled");
    assert_true(is_revoked(f));
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, &to_completed), -EBUSY);
    assert_string_equal(status(f), "cancelled");
    queue_claim_free(c);
    assert_empty(f);
}

/* The worker has died before it could stop it, and nobody has taken it over yet. */
static void test_what_nobody_holds(void **state)
{
    struct fixture *f = *state;

    enqueue_job(f, 0);

    struct queue_claim *c = claim_job(f);

    assert_int_equal(cancel(f), -EINPROGRESS);
    assert_int_equal(goodbye_as(f, f->q, W1), 0);
    queue_claim_free(c);
    assert_int_equal(length(f), 1);
    assert_int_equal(cancel(f), 0);
    assert_string_equal(status(f), "cancelled");
    assert_string_equal(redis_server_str(f->server, "HGET job worker"), "");
    assert_empty(f);
}

/* It has another task by now, which this one's holder and whoever cancels it must leave alone. */
static void test_an_old_task(void **state)
{
    struct fixture *f = *state;

    enqueue_job(f, 0);

    struct queue_claim *c = claim_job(f);

    redis_server_do(f->server, "HSET job status processing task_id " B);
    assert_int_equal(cancel(f), -EBUSY);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, &to_completed), -EBUSY);
    assert_string_equal(status(f), "processing");
    queue_claim_free(c);
    assert_empty(f);
}

static void test_what_can_not_be_cancelled(void **state)
{
    struct fixture *f = *state;
    static const char *const states[] = {"uploaded", "completed", "failed", "cancelled"};

    assert_int_equal(cancel(f), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        redis_server_do(f->server, "HSET job status %s task_id " A, states[i]);
        assert_int_equal(enqueue(f, A, 0, NULL), 0);
        assert_int_equal(cancel(f), -EBUSY);
        assert_int_equal(length(f), i + 1);
    }
}

/* Its id in another message, as the parent of another task, doesn't make it this one. */
static void test_another_task_that_names_it(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "child", "[[], {}, {}]", "{\"headers\": {\"parent_id\": \"" A "\"}}");
    enqueue_job(f, 0);
    assert_int_equal(length(f), 2);
    assert_int_equal(cancel(f), 0);
    assert_int_equal(length(f), 1);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, "child");
    queue_claim_free(c);
}

/* What is put back by an operator is that of the job's present task alone. */
static void test_no_old_letter(void **state)
{
    struct fixture *f = *state;

    enqueue_job(f, 0);

    struct queue_claim *c = claim_job(f);

    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_REJECTED, &to_completed), 0);
    queue_claim_free(c);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
    redis_server_do(f->server, "HSET job status failed task_id " B);
    assert_int_equal(
        replay_letter(
            f, 1,
            &(struct queue_hash){
                .key = "job", .field = "status", .expected = "failed", .channel = "c", .set = queued}),
        -EBUSY);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
    assert_int_equal(length(f), 0);
    redis_server_do(f->server, "HSET job task_id " A);
    assert_int_equal(
        replay_letter(
            f, 1,
            &(struct queue_hash){
                .key = "job", .field = "status", .expected = "failed", .channel = "c", .set = queued}),
        0);
    assert_int_equal(length(f), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_waits_leaves_the_queue),
        TEST(test_from_the_queue_of_a_family),
        TEST(test_what_waits_for_its_time),
        TEST(test_what_runs_ends_in_one_way),
        TEST(test_what_is_not_begun),
        TEST(test_what_nobody_holds),
        TEST(test_an_old_task),
        TEST(test_what_can_not_be_cancelled),
        TEST(test_another_task_that_names_it),
        TEST(test_no_old_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
