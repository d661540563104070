/* What a claim takes, in which order, and what it does with messages that can't be run now or ever. */
#include "queue_fixture.h"

#include "core/clock.h"

#define BODY "[[], {\"a\": []}, {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]"

static const char *id_of(unsigned n, char ret[ID_UUID_LEN + 1])
{
    snprintf(ret, ID_UUID_LEN + 1, "%08u-1b15-49cf-9e75-98342b467ba9", n);
    return ret;
}

static void test_empty(void **state)
{
    struct fixture *f = *state;
    int err;

    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 0);
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    static const unsigned priorities[] = {9, 3, 0, 0, 6}, expected[] = {2, 3, 1, 4, 0};
    char id[ID_UUID_LEN + 1];

    for (unsigned i = 0; i < ARRAY_SIZE(priorities); i++)
        assert_int_equal(enqueue(f, id_of(i, id), priorities[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        struct queue_claim *c = claim(f);

        assert_string_equal(c->id, id_of(expected[i], id));
        queue_claim_free(c);
    }
}

/* Of a higher priority first, whichever queue it is in; then each queue in its turn. */
static void test_queues_in_turn(void **state)
{
    struct fixture *f = *state;
    const unsigned slow = queue_family(f->q, "slow"), quick = queue_family(f->q, "quick");
    unsigned taken[8] = {0};
    char id[ID_UUID_LEN + 1];
    int err;

    assert_int_equal(queue_family(f->q, NULL), QUEUE_BASE);
    assert_int_equal(queue_family(f->q, "unknown"), QUEUE_BASE);
    assert_int_equal(enqueue_family(f, id_of(9, id), "slow", 3), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(enqueue_family(f, id_of(i, id), "slow", 0), 0);
        assert_int_equal(enqueue_family(f, id_of(i + 10, id), "quick", 0), 0);
    }
    push_foreign(f, "foreign", BODY, "{}");
    assert_int_equal(length(f), 6);

    for (unsigned i = 0; i < 6; i++) {
        struct queue_claim *c = claim(f);

        if (i < 3) /* the first of each before the second of any */
            taken[c->queue]++;
        assert_int_equal(str_eq(c->id, "foreign"), c->queue == QUEUE_BASE);
        if (i == 5)
            assert_string_equal(c->id, id_of(9, id));
        queue_claim_free(c);
    }
    assert_int_equal(taken[QUEUE_BASE], 1);
    assert_int_equal(taken[slow], 1);
    assert_int_equal(taken[quick], 1);
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);
}

/* What lies behind empty queues has no turns of theirs. */
static void test_turns_of_empty_queues(void **state)
{
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1];
    unsigned last = 0;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(enqueue_family(f, id_of(i, id), NULL, 0), 0);
        assert_int_equal(enqueue_family(f, id_of(i + 10, id), "quick", 0), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        struct queue_claim *c = claim(f);

        assert_int_not_equal(c->queue, last);
        last = c->queue;
        queue_claim_free(c);
    }
}

static void test_some_queues(void **state)
{
    struct fixture *f = *state;
    const unsigned slow = queue_family(f->q, "slow"), quick = queue_family(f->q, "quick");
    char id[ID_UUID_LEN + 1];
    int err;

    assert_int_equal(enqueue_family(f, id_of(0, id), "slow", 0), 0);
    assert_null(claim_of(f, f->q, W1, quick | QUEUE_BASE, &err));
    assert_int_equal(err, -EAGAIN);
    assert_null(claim_of(f, f->q, W1, 0, &err));
    assert_int_equal(err, -EAGAIN);

    struct queue_claim *c = claim_of(f, f->q, W1, slow, &err);

    assert_int_equal(c->queue, slow);
    /* it goes back where it came from, however it is given back */
    assert_int_equal(release_as(f, f->q, W1, c, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant.slow"), 1);
    queue_claim_free(c);
    queue_claim_free(claim_of(f, f->q, W1, slow, &err));
    assert_int_equal(goodbye_as(f, f->q, W1), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant.slow"), 1);
}

/* What turns out to belong elsewhere is the next there, with nothing of it changed. */
static void test_move(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "t", BODY, "{\"properties\": {\"priority\": 9}}");

    struct queue_claim *c = claim(f);

    assert_int_equal(move_as(f, f->q, W1, c, "slow"), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant.slow" STEP(9)), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked decant:deliveries:t"), 0);
    assert_int_equal(move_as(f, f->q, W1, c, "slow"), -ESTALE);

    struct queue_claim *again = claim(f);

    assert_string_equal(again->message, c->message);
    assert_int_equal(again->queue, queue_family(f->q, "slow"));
    assert_int_equal(again->deliveries, 1);
    queue_claim_free(c);
    queue_claim_free(again);
}

/* kombu's own form, so that a stock consumer can sweep it; and the message's very bytes. */
static void test_unacked(void **state)
{
    struct fixture *f = *state;
    char expected[4096];

    push_foreign(f, "my-task", BODY, "{\"headers\": {\"empty\": []}}");

    struct queue_claim *c = claim(f);

    assert_true(str_starts(c->tag, "decant:"));
    assert_non_null(strstr(c->message, "\"empty\": []"));
    snprintf(expected, sizeof expected, "[%s, \"\", \"decant\"]", c->message);
    assert_string_equal(redis_server_str(f->server, "HGET unacked %s", c->tag), expected);

    double score = atof(redis_server_str(f->server, "ZSCORE unacked_index %s", c->tag));

    assert_true(score > (double)clock_real_ms() / 1000 - 5 && score < (double)clock_real_ms() / 1000 + 5);
    assert_string_equal(redis_server_str(f->server, "HGET decant:claims:%s %s", W1, c->tag), "my-task");
    assert_string_equal(redis_server_str(f->server, "GET decant:deliveries:my-task"), "1");
    assert_non_null(redis_server_str(f->server, "ZSCORE decant:workers %s", W1));
    assert_int_equal(workers(f), 1);
    assert_int_equal(json_array_size(json_object_get(c->kwargs, "a")), 0);
    assert_true(json_is_array(json_object_get(c->kwargs, "a")));
    queue_claim_free(c);
}

static void test_fresh_tags(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "t", BODY, "{}");

    struct queue_claim *c = claim(f);

    assert_int_equal(release_as(f, f->q, W1, c, NULL), 0);

    struct queue_claim *again = claim(f);

    assert_string_equal(again->message, c->message);
    assert_string_not_equal(again->tag, c->tag);
    queue_claim_free(c);
    queue_claim_free(again);
}

/* Malformed messages of all kinds before a good one: the good one is what the claim brings. */
static void test_poison(void **state)
{
    struct fixture *f = *state;
    static const char *const raw[] = {
        "",
        "poison",
        "[]",
        "{}",
        "{\"headers\": {\"id\": 5, \"task\": \"x\"}}",
        "{\"headers\": {\"id\": \"a b\", \"task\": \"x\"}}",
        "{\"headers\": {\"id\": \"x\", \"task\": \"x\"}}",
        "{\"headers\": {\"id\": \"x\", \"task\": \"x\", \"n\": 0x10}, \"properties\": {}}",
        "{\"headers\": {\"id\": \"\xff\", \"task\": \"x\"}, \"properties\": {\"priority\": \"nan\"}}",
        "{\"headers\": {\"id\": \"x\", \"task\": \"x\"}} trailing",
        "\xff\xfe\x01\"\\",
    };
    char reason[200];

    for (size_t i = 0; i < ARRAY_SIZE(raw); i++)
        redis_server_do(f->server, "LPUSH decant %s", raw[i]);
    redis_server_do(f->server, "LPUSH decant %b", "nul\0byte", (size_t)8);
    push_foreign(f, "pickled", BODY, "{\"content-type\": \"application/x-python-serialize\"}");
    push_foreign(f, "zipped", BODY, "{\"headers\": {\"compression\": \"application/x-bz2\"}}");
    push_foreign(f, "good", BODY, "{}");

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, "good");
    queue_claim_free(c);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), ARRAY_SIZE(raw) + 3);
    assert_string_equal(dead_reason(f, reason), "compressed in another way than gzip (zlib)");
    assert_int_equal(redis_server_int(f->server, "HLEN unacked"), 1);

    /* whoever waits for the result hears of it */
    assert_non_null(strstr(redis_server_str(f->server, "GET celery-task-meta-zipped"), "\"FAILURE\""));
    assert_non_null(strstr(redis_server_str(f->server, "GET celery-task-meta-pickled"), "\"FAILURE\""));

    /* an operator's tool gets JSON in UTF-8, and the very bytes as code points */
    for (size_t i = 0; i < ARRAY_SIZE(raw) + 3; i++) {
        _cleanup_json_ json_t *letter =
            json_loads(redis_server_str(f->server, "LINDEX decant:dead %d", (int)i), JSON_ALLOW_NUL, NULL);

        assert_non_null(letter);
        if (json_integer_value(json_object_get(letter, "bytes")) == 5)
            assert_string_equal(json_string_value(json_object_get(letter, "message")), "ÿþ\x01\"\\");
    }
}

static void test_much_poison(void **state)
{
    struct fixture *f = *state;
    int err;

    redis_server_do(f->server, "EVAL %s 0",
                    "for i = 1, 10500 do redis.call('LPUSH', 'decant', 'poison ' .. i) end");
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 10000); /* bounded: the newest stay */
    assert_non_null(strstr(redis_server_str(f->server, "LINDEX decant:dead 0"), "poison 10500"));
}

static void test_huge(void **state)
{
    struct fixture *f = *state;
    int err;

    redis_server_do(f->server, "EVAL %s 0",
                    "redis.call('LPUSH', 'decant', string.rep('x', 1024 * 1024 + 1))");
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);
    assert_true(redis_server_int(f->server, "STRLEN nothing") == 0);

    const char *entry = redis_server_str(f->server, "LINDEX decant:dead 0");

    assert_true(strlen(entry) < 70000); /* cut */
    assert_non_null(strstr(entry, "\"bytes\":1048577"));
}

static void test_gave_up(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "t", BODY, "{}");
    for (unsigned i = 1; i <= MAX_DELIVERIES + 1; i++) {
        struct queue_claim *c = claim(f);

        assert_int_equal(c->deliveries, i);
        assert_int_equal(c->gave_up, i > MAX_DELIVERIES);
        if (c->gave_up) {
            assert_int_equal(done_as(f, f->q, W1, c, QUEUE_REJECTED, NULL), 0);
            assert_int_equal(redis_server_int(f->server, "EXISTS decant:deliveries:t"), 0);
        }
        queue_claim_free(c);
        assert_int_equal(refresh_as(f, f->q, W1), 0); /* gives back what was dropped */
    }
    assert_int_equal(length(f), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
}

static void in_ms(int64_t ms, const char *header, char *ret, size_t size)
{
    char at[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339((uint64_t)((int64_t)clock_real_ms() + ms), at);
    snprintf(ret, size, "{\"headers\": {\"%s\": \"%s\"}, \"properties\": {\"priority\": 6}}", header, at);
}

static void test_eta(void **state)
{
    struct fixture *f = *state;
    char change[200];
    int err;

    in_ms(700, "eta", change, sizeof change);
    push_foreign(f, "later", BODY, change);

    _cleanup_free_ char *message = strdup(redis_server_str(f->server, "LINDEX decant 0"));

    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked unacked_index decant:deliveries:later"), 0);
    assert_int_equal(due(f), 0);
    assert_int_equal(length(f), 0);
    loop_for(&f->loop, 800);
    assert_int_equal(due(f), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:delayed"), 0);
    assert_string_equal(redis_server_str(f->server, "LINDEX %s 0", "decant" STEP(6)), message);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, "later");
    assert_int_equal(c->deliveries, 1);
    queue_claim_free(c);
}

static void test_eta_order(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"second", "third", "first"};
    static const int64_t after[] = {200, 300, 100};
    static const char *const expected[] = {"first", "second", "third"};
    char change[200];
    int err;

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        in_ms(after[i], "eta", change, sizeof change);
        push_foreign(f, ids[i], BODY, change);
    }
    assert_null(claim_as(f, f->q, W1, &err));
    loop_for(&f->loop, 400);
    assert_int_equal(due(f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        struct queue_claim *c = claim(f);

        assert_string_equal(c->id, expected[i]);
        queue_claim_free(c);
    }
}

static void test_too_many_etas(void **state)
{
    struct fixture *f = *state;
    char change[200], id[ID_UUID_LEN + 1], reason[200];
    int err;

    in_ms(60000, "eta", change, sizeof change);
    for (unsigned i = 0; i < MAX_LENGTH + 1; i++)
        push_foreign(f, id_of(i, id), BODY, change);
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), MAX_LENGTH);
    assert_string_equal(dead_reason(f, reason), "too many tasks are waiting for their ETA");
}

static void test_past_eta(void **state)
{
    struct fixture *f = *state;
    char change[200];

    in_ms(-1000, "eta", change, sizeof change);
    push_foreign(f, "t", BODY, change);
    queue_claim_free(claim(f));
}

static void test_expired(void **state)
{
    struct fixture *f = *state;
    char change[200];

    in_ms(-1000, "expires", change, sizeof change);
    push_foreign(f, "late", BODY, change);
    in_ms(60000, "expires", change, sizeof change);
    push_foreign(f, "in-time", BODY, change);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, "in-time");
    queue_claim_free(c);

    _cleanup_json_ json_t *meta =
        json_loads(redis_server_str(f->server, "GET celery-task-meta-late"), 0, NULL);
    const json_t *result = json_object_get(meta, "result");

    assert_string_equal(json_string_value(json_object_get(meta, "status")), "REVOKED");
    assert_string_equal(json_string_value(json_object_get(result, "exc_type")), "TaskRevokedError");
    assert_string_equal(json_string_value(json_array_get(json_object_get(result, "exc_message"), 0)),
                        "expired");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 0);
}

static void test_same_name(void **state)
{
    struct fixture *f = *state;
    struct peer p;
    int err;

    peer_open(&p, f);
    push_foreign(f, "one", BODY, "{}");
    push_foreign(f, "two", BODY, "{}");

    struct queue_claim *c = claim(f);

    assert_null(claim_as(f, p.q, W1, &err));
    assert_int_equal(err, -EEXIST);
    assert_int_equal(refresh_as(f, p.q, W1), -EEXIST);
    assert_int_equal(goodbye_as(f, p.q, W1), -EEXIST);
    assert_int_equal(length(f), 1);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
    peer_close(&p);
}

int main(void)
{
#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_empty),
        QUEUE_TEST(test_order),
        QUEUE_TEST(test_unacked),
        QUEUE_TEST(test_fresh_tags),
        QUEUE_TEST(test_poison),
        QUEUE_TEST(test_much_poison),
        QUEUE_TEST(test_huge),
        QUEUE_TEST(test_gave_up),
        QUEUE_TEST(test_eta),
        QUEUE_TEST(test_eta_order),
        QUEUE_TEST(test_too_many_etas),
        QUEUE_TEST(test_past_eta),
        QUEUE_TEST(test_expired),
        QUEUE_TEST(test_same_name),
        QUEUE_TEST(test_queues_in_turn),
        QUEUE_TEST(test_turns_of_empty_queues),
        QUEUE_TEST(test_some_queues),
        QUEUE_TEST(test_move),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
