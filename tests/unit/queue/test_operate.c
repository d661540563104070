/* What an operator sees and mends. */
#include "queue_fixture.h"

#include "queue/operate.h"

#define BODY "[[], {}, {}]"
#define A    "aaaaaaaa-1b15-49cf-9e75-98342b467ba9"

enum { PATIENCE_MS = 15000 };

struct told {
    bool done;
    int err;
    json_t *json;
};

static void on_json(void *arg, int err, json_t *json)
{
    struct told *t = arg;

    *t = (struct told){.done = true, .err = err, .json = json};
}

static void on_done(void *arg, int err)
{
    on_json(arg, err, NULL);
}

static json_t *wait_told(struct fixture *f, struct told *t, int err)
{
    assert_true(loop_until(&f->loop, &t->done, PATIENCE_MS));
    assert_int_equal(t->err, err);
    assert_int_equal(err == 0, t->json != NULL);
    return t->json;
}

static json_t *status_of(struct fixture *f)
{
    struct told t = {0};

    queue_status(f->q, on_json, &t);
    return wait_told(f, &t, 0);
}

static json_t *list_of(struct fixture *f, uint64_t from, uint64_t n)
{
    struct told t = {0};

    queue_dead_list(f->q, from, n, on_json, &t);
    return wait_told(f, &t, 0);
}

static json_t *show(struct fixture *f, uint64_t id, int err)
{
    struct told t = {0};

    queue_dead_show(f->q, id, on_json, &t);
    return wait_told(f, &t, err);
}

static int replay(struct fixture *f, uint64_t id, const struct queue_hash *hash)
{
    struct told t = {0};

    queue_dead_replay(f->q, id, hash, on_done, &t);
    assert_true(loop_until(&f->loop, &t.done, PATIENCE_MS));
    return t.err;
}

static int drop(struct fixture *f, uint64_t id)
{
    struct told t = {0};

    queue_dead_drop(f->q, id, on_done, &t);
    assert_true(loop_until(&f->loop, &t.done, PATIENCE_MS));
    return t.err;
}

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void test_status_of_nothing(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *status = status_of(f);

    assert_int_equal(json_array_size(json_object_get(status, "queues")), 3);
    assert_int_equal(json_array_size(json_object_get(status, "workers")), 0);
    assert_int_equal(number(status, "waiting"), 0);
    assert_true(json_is_null(json_object_get(status, "oldest_s")));
    assert_true(json_is_null(json_object_get(status, "next_due_s")));
}

static void test_status(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(enqueue_family(f, "old", "slow", 4), 0);
    loop_for(&f->loop, 1100);
    assert_int_equal(enqueue_family(f, "young", "slow", 0), 0);
    assert_int_equal(enqueue_family(f, "claimed", "quick", 0), 0);
    push_foreign(f, "foreign", BODY, "{}");
    push_foreign(f, "later", BODY, "{\"headers\": {\"eta\": \"2999-01-01T00:00:00+00:00\"}}");
    redis_server_do(f->server, "RPUSH decant poison");

    struct queue_claim *c = claim_of(f, f->q, W1, queue_family(f->q, "quick"), &(int){0});
    int err;

    assert_string_equal(c->id, "claimed");
    queue_claim_free(claim_of(f, f->q, W1, QUEUE_BASE, &err));
    assert_null(claim_of(f, f->q, W1, QUEUE_BASE, &err));
    assert_int_equal(refresh_as(f, f->q, W1), 0); /* "foreign" goes back, as we have forgotten it */

    _cleanup_json_ json_t *status = status_of(f);
    const json_t *base = json_array_get(json_object_get(status, "queues"), 0),
                 *slow = json_array_get(json_object_get(status, "queues"), 1),
                 *worker = json_array_get(json_object_get(status, "workers"), 0);

    assert_string_equal(text(base, "name"), "decant");
    assert_int_equal(number(base, "waiting"), 1);
    assert_true(json_is_null(json_object_get(base, "oldest_s"))); /* a stranger's does not say */
    assert_string_equal(text(slow, "name"), "decant.slow");
    assert_int_equal(number(slow, "waiting"), 2);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(slow, "priorities"), 0)), 1);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(slow, "priorities"), 1)), 1);
    assert_true(json_real_value(json_object_get(slow, "oldest_s")) >= 1.1);
    assert_true(json_equal(json_object_get(slow, "oldest_s"), json_object_get(status, "oldest_s")));
    assert_int_equal(number(status, "waiting"), 3);
    assert_int_equal(number(status, "claimed"), 1);
    assert_int_equal(number(status, "delayed"), 1);
    assert_true(json_real_value(json_object_get(status, "next_due_s")) > 1e9);
    assert_int_equal(number(status, "dead"), 1);
    assert_int_equal(json_array_size(json_object_get(status, "workers")), 1);
    assert_string_equal(text(worker, "id"), W1);
    assert_int_equal(number(worker, "claims"), 1);
    queue_claim_free(c);
}

static void test_list_and_show(void **state)
{
    struct fixture *f = *state;
    int err;

    redis_server_do(f->server, "LPUSH decant poison");
    push_foreign(f, "pickled", BODY,
                 "{\"content-type\": \"application/x-python-serialize\", \"properties\": {\"priority\": 9}}");
    redis_server_do(f->server, "LPUSH decant.slow %b", "nul\0and\xff\xc2\x80", (size_t)10);
    assert_null(claim_as(f, f->q, W1, &err));

    _cleanup_json_ json_t *all = list_of(f, 0, 10), *page = list_of(f, 1, 1), *beyond = list_of(f, 3, 10);

    assert_int_equal(json_array_size(all), 3);
    assert_int_equal(json_array_size(page), 1);
    assert_int_equal(json_array_size(beyond), 0);
    assert_true(json_equal(json_array_get(page, 0), json_array_get(all, 1)));
    for (size_t i = 0; i < 3; i++) {
        const json_t *row = json_array_get(all, i);
        _cleanup_json_ json_t *letter = show(f, (uint64_t)number(row, "id"), 0);

        assert_int_equal(number(row, "id"), 3 - i); /* the newest first */
        assert_string_equal(text(letter, "reason"), text(row, "reason"));
        assert_int_equal(number(letter, "bytes"), number(row, "bytes"));
        assert_true(number(row, "time") > 1700000000);
        assert_string_equal(text(row, "queue"), number(row, "bytes") == 10 ? "decant.slow" : "decant");
        assert_string_equal(text(row, "task"), number(row, "bytes") > 10 ? "test.echo" : "");
        assert_string_equal(text(row, "task_id"), number(row, "bytes") > 10 ? "pickled" : "");
        if (number(row, "bytes") == 10) {
            const json_t *message = json_object_get(letter, "message");

            assert_int_equal(json_string_length(message), 13);
            assert_memory_equal(json_string_value(message), "nul\0andÿÂ\xc2\x80", 13);
        }
    }
    show(f, 4, -ENOENT);
    show(f, 0, -ENOENT);
}

/* The very bytes go back into the very list. */
static void test_replay_bytes(void **state)
{
    struct fixture *f = *state;
    char all[257];
    int err;

    for (unsigned i = 0; i < 256; i++)
        all[i] = (char)i;
    all[256] = '\xc3'; /* and the first half of a code point at the end */
    redis_server_do(f->server, "LPUSH decant.quick %b", all, sizeof all);
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
    assert_int_equal(replay(f, 1, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:dead"), 0);

    redisReply *message = redis_server_reply(f->server, "LINDEX decant.quick 0");

    assert_int_equal(message->len, sizeof all);
    assert_memory_equal(message->str, all, sizeof all);
    freeReplyObject(message);
    assert_int_equal(replay(f, 1, NULL), -ENOENT); /* once */
}

static void give_up(struct fixture *f, const char *id)
{
    redis_server_do(f->server, "SET decant:deliveries:%s %d", id, MAX_DELIVERIES);

    struct queue_claim *c = claim(f);

    assert_true(c->gave_up);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_REJECTED, NULL), 0);
    queue_claim_free(c);
}

/* As if it had never been tried. */
static void test_replay_of_a_task(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, A, BODY, "{\"properties\": {\"priority\": 6}}");
    give_up(f, A);
    redis_server_do(f->server, "SET decant:deliveries:%s 9", A); /* whatever has counted since */
    push_foreign(f, "waits", BODY, "{\"properties\": {\"priority\": 6}}");
    redis_server_do(f->server, "LMOVE decant %s LEFT LEFT", "decant" STEP(6));
    assert_int_equal(replay(f, 1, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant" STEP(6)), 2);
    assert_int_equal(redis_server_int(f->server, "EXISTS celery-task-meta-%s", A), 0);

    struct queue_claim *first = claim(f), *second = claim(f);

    assert_string_equal(first->id, "waits");
    assert_string_equal(second->id, A);
    assert_int_equal(second->deliveries, 1);
    queue_claim_free(first);
    queue_claim_free(second);
}

/* It waits from then on. */
static void test_replay_has_a_new_time(void **state)
{
    struct fixture *f = *state;
    uint64_t first_ms;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    first_ms = look(f).oldest_ms;
    give_up(f, A);
    loop_for(&f->loop, 20);
    assert_int_equal(replay(f, 1, NULL), 0);
    assert_true(first_ms > 0 && look(f).oldest_ms >= first_ms + 20);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, A);
    assert_true(c->queued_ms >= first_ms + 20);
    queue_claim_free(c);
}

static void assert_nothing_changes(struct fixture *f, const struct queue_hash *hash, int err)
{
    _cleanup_free_ char *before = snapshot(f);
    int r = replay(f, 1, hash);
    _cleanup_free_ char *after = snapshot(f);

    assert_int_equal(r, err);
    assert_string_equal(before, after);
}

static void test_replay_with_a_hash(void **state)
{
    struct fixture *f = *state;
    static const char *const queued[] = {"status", "queued", NULL};
    const struct queue_hash hash = {
        .key = "job", .field = "status", .expected = "failed", .channel = "c", .set = queued};

    push_foreign(f, A, BODY, "{}");
    give_up(f, A);
    assert_nothing_changes(f, &hash, -ENOENT);
    redis_server_do(f->server, "HSET job status completed");
    assert_nothing_changes(f, &hash, -EBUSY);
    redis_server_do(f->server, "HSET job status failed");
    for (unsigned i = 0; i < MAX_LENGTH; i++)
        push_foreign(f, "waits", BODY, "{}");
    assert_nothing_changes(f, &hash, -EAGAIN);
    redis_server_do(f->server, "RPOP decant");
    assert_int_equal(replay(f, 1, &hash), 0);
    assert_string_equal(redis_server_str(f->server, "HGET job status"), "queued");
}

static void test_no_replay(void **state)
{
    struct fixture *f = *state;
    int err;

    redis_server_do(f->server, "EVAL %s 0", "redis.call('LPUSH', 'decant', string.rep('x', 100000))");
    assert_null(claim_as(f, f->q, W1, &err));
    assert_nothing_changes(f, NULL, -EMSGSIZE); /* cut */
    /* one from before letters had an id or a queue */
    redis_server_do(f->server,
                    "RPUSH decant:dead {\"reason\":\"r\",\"time\":1.5,\"bytes\":1,\"message\":\"x\"}");

    _cleanup_json_ json_t *all = list_of(f, 0, 10);

    assert_int_equal(json_array_size(all), 2);
    assert_int_equal(number(json_array_get(all, 1), "id"), 0);
    assert_int_equal(drop(f, 0), -ENOENT);
    assert_int_equal(drop(f, 1), 0);
}

/* Ids stay in order, whatever was taken out between. */
static void test_drop(void **state)
{
    struct fixture *f = *state;
    int err;

    for (int i = 1; i <= 20; i++)
        redis_server_do(f->server, "LPUSH decant poison%d", i);
    assert_null(claim_as(f, f->q, W1, &err));
    for (uint64_t id = 1; id <= 20; id += 3)
        assert_int_equal(drop(f, id), 0);
    for (uint64_t id = 1; id <= 20; id++) {
        char expected[16];
        _cleanup_json_ json_t *letter = show(f, id, id % 3 == 1 ? -ENOENT : 0);

        snprintf(expected, sizeof expected, "poison%d", (int)id);
        if (letter)
            assert_string_equal(text(letter, "message"), expected);
        assert_int_equal(drop(f, id), id % 3 == 1 ? -ENOENT : 0);
    }
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:dead"), 0);
    assert_int_equal(drop(f, 5), -ENOENT);
    redis_server_do(f->server, "LPUSH decant again");
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(drop(f, 21), 0); /* no id is used twice */
}

static void test_no_redis(void **state)
{
    struct fixture *f = *state;
    struct told t = {0};

    redis_server_kill(f->server);
    loop_for(&f->loop, 50);
    queue_status(f->q, on_json, &t);
    assert_null(wait_told(f, &t, -ENOTCONN));
    assert_int_equal(replay(f, 1, NULL), -ENOTCONN);
}

int main(void)
{
#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_status_of_nothing),
        QUEUE_TEST(test_status),
        QUEUE_TEST(test_list_and_show),
        QUEUE_TEST(test_replay_bytes),
        QUEUE_TEST(test_replay_of_a_task),
        QUEUE_TEST(test_replay_has_a_new_time),
        QUEUE_TEST(test_replay_with_a_hash),
        QUEUE_TEST(test_no_replay),
        QUEUE_TEST(test_drop),
        QUEUE_TEST(test_no_redis),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
