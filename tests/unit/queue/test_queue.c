/* enqueue, done, started, release, goodbye, length: and that a refusal changes nothing. */
#include "queue_fixture.h"

#include "core/buf.h"

#define A "aaaaaaaa-1b15-49cf-9e75-98342b467ba9"
#define C "cccccccc-1b15-49cf-9e75-98342b467ba9"
#define B "bbbbbbbb-1b15-49cf-9e75-98342b467ba9"

static const char *const queued[] = {"status", "queued", "task_id", A, NULL};
static const struct queue_hash to_queued = {
    .key = "job", .field = "status", .expected = "uploaded failed", .channel = "decant:job:1", .set = queued};
static const char *const completed[] = {"status", "completed", "progress", "100", NULL};
static const struct queue_hash to_completed = {
    .key = "job", .field = "status", .expected = "processing", .channel = "decant:job:1", .set = completed};

/* What a subscriber hears, oldest first, one a line. */
enum { PATIENCE_MS = 30000 };

struct ear {
    struct redis_sub *sub;
    struct buf text;
    bool ready;
};

static void on_message(void *arg, const char *channel, const char *message)
{
    struct ear *e = arg;

    if (!channel)
        e->ready = true;
    else
        buf_printf(&e->text, "%s %s\n", channel, message);
}

static void ear_open(struct ear *e, struct fixture *f)
{
    *e = (struct ear){.text = BUF_INIT(64 * 1024)};
    assert_int_equal(
        redis_sub_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &e->sub), 0);
    redis_sub_start(e->sub, REDIS("decant:job:*", "celery-task-meta-*"), on_message, e);
    assert_true(loop_until(&f->loop, &e->ready, 5000));
}

/* What has been heard, as soon as `text` is in it. */
static const char *ear_text(struct ear *e, struct fixture *f, const char *text)
{
    for (int i = 0; i < PATIENCE_MS / 10 && !(e->text.data && strstr(e->text.data, text)); i++)
        loop_for(&f->loop, 10);
    return e->text.data ? e->text.data : "";
}

static void ear_close(struct ear *e)
{
    redis_sub_free(e->sub);
    buf_free(&e->text);
}

static void assert_unchanged(struct fixture *f, char *before)
{
    _cleanup_free_ char *after = snapshot(f);

    assert_string_equal(before, after);
    free(before);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "a b", "a\x06", "a\"b", "ü"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(queue_new(f->r, &(struct queue_config){.name = bad[i]}));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const char *const families[] = {"good", bad[i], NULL};

        assert_null(queue_new(f->r, &(struct queue_config){.name = "good", .families = families}));
    }

    const char *const many[QUEUE_FAMILIES_MAX + 2] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    assert_null(queue_new(f->r, &(struct queue_config){.name = "good", .families = many}));
}

/* Two installations with prefixes of their own share nothing but the results, whose names are unique. */
static void test_prefix(void **state)
{
    struct fixture *f = *state;
    static const struct queue_hash owned = {
        .key = "pfx:/{1}hash", .field = "status", .expected = "x", .channel = "c"};
    struct queue *plain = f->q, *prefixed;
    struct queue_claim *c;
    int err;

    prefixed = queue_new(f->r, &(struct queue_config){.name = "decant",
                                                      .prefix = "pfx:/{1}",
                                                      .max_length = 5,
                                                      .max_deliveries = 1,
                                                      .lease_ms = LEASE_MS});
    assert_non_null(prefixed);
    assert_null(queue_new(f->r, &(struct queue_config){.name = "decant", .prefix = "p x"}));
    f->q = prefixed;
    assert_int_equal(enqueue(f, A, 4, NULL), 0);
    assert_int_equal(enqueue(f, B, 0, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN pfx:/{1}decant" STEP(3)), 1);
    assert_int_equal(length(f), 2);
    f->q = plain;
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -EAGAIN);

    f->q = prefixed;
    c = claim(f);
    assert_string_equal(c->id, B);
    assert_int_equal(redis_server_int(f->server, "HLEN pfx:/{1}unacked"), 1);
    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_int_equal(release_as(f, f->q, W1, c, NULL), 0);
    queue_claim_free(c);
    c = claim(f);
    assert_string_equal(c->id, B);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
    redis_server_do(f->server, "HSET pfx:/{1}hash status x");
    assert_int_equal(enqueue_in(f, "pfx:/{1}crowd", 5, &owned), 0);
    assert_int_equal(enqueue_in(f, "pfx:/{1}crowd", 5, &owned), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD pfx:/{1}decant:rounds:decant"), 2);
    reap_past_lease(f, NULL, NULL);
    assert_int_equal(goodbye_as(f, f->q, W1), 0);

    redisReply *keys = redis_server_reply(f->server, "KEYS *");

    for (size_t i = 0; i < keys->elements; i++)
        assert_true(str_starts(keys->element[i]->str, "pfx:/{1}") ||
                    str_eq(keys->element[i]->str, "celery-task-meta-" B));
    freeReplyObject(keys);
    f->q = plain;
    queue_free(prefixed);
}

static void test_priority_lists(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    assert_int_equal(enqueue(f, A, 2, NULL), 0);
    assert_int_equal(enqueue(f, A, 3, NULL), 0);
    assert_int_equal(enqueue(f, A, 8, NULL), 0);
    assert_int_equal(enqueue(f, A, 9, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 2);
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant" STEP(3)), 1);
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant" STEP(6)), 1);
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant" STEP(9)), 1);
    assert_int_equal(length(f), 5);
}

static void test_full(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "HSET job status uploaded");
    for (unsigned i = 0; i < MAX_LENGTH; i++) /* the limit holds over all priorities and queues */
        assert_int_equal(enqueue_family(f, A, i % 2 ? "slow" : NULL, 2 * i), 0);

    char *before = snapshot(f);

    assert_int_equal(enqueue(f, B, 0, &to_queued), -EAGAIN);
    assert_int_equal(enqueue(f, B, 9, NULL), -EAGAIN);
    assert_unchanged(f, before);
    queue_claim_free(claim(f));
    assert_int_equal(enqueue(f, B, 0, &to_queued), 0);
}

static void test_enqueue_hash(void **state)
{
    struct fixture *f = *state;
    struct ear e;

    ear_open(&e, f);
    assert_int_equal(enqueue(f, A, 0, &to_queued), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 0);
    redis_server_do(f->server, "HSET job task_id x");
    assert_int_equal(enqueue(f, A, 0, &to_queued), -EBUSY); /* the field is missing */
    redis_server_do(f->server, "HSET job status loaded");   /* a part of a word */

    char *before = snapshot(f);

    assert_int_equal(enqueue(f, A, 0, &to_queued), -EBUSY);
    assert_unchanged(f, before);
    loop_for(&f->loop, 50);
    assert_string_equal(ear_text(&e, f, ""), "");
    redis_server_do(f->server, "HSET job status failed");
    redis_server_do(f->server, "EXPIRE job 1000");
    assert_int_equal(enqueue(f, A, 0, &to_queued), 0);
    assert_string_equal(ear_text(&e, f, "queued"), "decant:job:1 queued\n");
    assert_string_equal(redis_server_str(f->server, "HGET job status"), "queued");
    assert_string_equal(redis_server_str(f->server, "HGET job task_id"), A);
    assert_true(redis_server_int(f->server, "TTL job") > 900);
    ear_close(&e);
}

static void test_enqueue_needs(void **state)
{
    struct fixture *f = *state;
    const struct queue_task task = {.id = A, .name = "decant.convert", .needed = "session"};

    redis_server_do(f->server, "HSET job status failed");

    char *before = snapshot(f);

    assert_int_equal(enqueue_task(f, &task, &to_queued), -ENOENT);
    assert_int_equal(enqueue_task(f, &task, NULL), -ENOENT);
    assert_unchanged(f, before);
    redis_server_do(f->server, "HSET session x y");
    assert_int_equal(enqueue_task(f, &task, &to_queued), 0);
    assert_string_equal(redis_server_str(f->server, "HGET job status"), "queued");
}

/* At most so many of one owner; whoever has reached its end leaves the place to others. */
static void test_crowd(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *key;
        struct queue_hash hash;
    } jobs[] = {{"j1", {"j1", "status", "uploaded", "c", queued}},
                {"j2", {"j2", "status", "uploaded", "c", queued}},
                {"j3", {"j3", "status", "uploaded", "c", queued}}};

    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
        redis_server_do(f->server, "HSET %s status uploaded", jobs[i].key);
        redis_server_do(f->server, "PEXPIREAT %s 99999999999999", jobs[i].key);
    }
    assert_int_equal(enqueue_in(f, "crowd", 2, &jobs[0].hash), 0);
    assert_int_equal(enqueue_in(f, "crowd", 2, &jobs[1].hash), 0);

    char *before = snapshot(f);

    assert_int_equal(enqueue_in(f, "crowd", 2, &jobs[2].hash), -EDQUOT);
    redis_server_do(f->server, "HSET j1 status processing"); /* is as open as one that waits */
    assert_int_equal(enqueue_in(f, "crowd", 2, &jobs[2].hash), -EDQUOT);
    redis_server_do(f->server, "HSET j1 status queued");
    assert_unchanged(f, before);
    assert_int_equal(redis_server_int(f->server, "PEXPIRETIME crowd"), 99999999999999);

    redis_server_do(f->server, "HSET j1 status failed");
    assert_int_equal(enqueue_in(f, "crowd", 2, &jobs[2].hash), 0);
    assert_int_equal(redis_server_int(f->server, "SISMEMBER crowd j1"), 0);
    redis_server_do(f->server, "DEL j2"); /* gone counts as ended */
    redis_server_do(f->server, "HSET j1 status uploaded");
    assert_int_equal(enqueue_in(f, "crowd", 2, &jobs[0].hash), 0);
    redis_server_do(f->server, "HSET j1 status uploaded");
    assert_int_equal(enqueue_in(f, NULL, 0, &jobs[0].hash), 0);
}

/* What a result adds to the counts, once, and only while they know the name. */
static void test_tally(void **state)
{
    struct fixture *f = *state;
    struct queue_claim *c;
    const char *const names[] = {"s1", "gone"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        redis_server_do(f->server, "HSET tally s1 10 s2 5");
        redis_server_do(f->server, "SET tally:sum 15");
        redis_server_do(f->server, "HSET job status processing stored_bytes 3");
        assert_int_equal(enqueue(f, A, 0, NULL), 0);
        c = claim(f);
        for (int again = 0; again < 2; again++) { /* the first answer is kept */
            assert_int_equal(done_with_tally(f, c, names[i], 7, &to_completed), 0);
            assert_string_equal(redis_server_str(f->server, "HGET tally s1"), i == 0 ? "17" : "10");
            assert_string_equal(redis_server_str(f->server, "GET tally:sum"), i == 0 ? "22" : "15");
            assert_string_equal(redis_server_str(f->server, "HGET job stored_bytes"), i == 0 ? "10" : "3");
        }
        queue_claim_free(c);
    }
    assert_int_equal(redis_server_int(f->server, "HLEN tally"), 2);

    redis_server_do(f->server, "HSET job status cancelled");
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    c = claim(f);
    assert_int_equal(done_with_tally(f, c, "s1", 7, &to_completed), -EBUSY);
    assert_string_equal(redis_server_str(f->server, "GET tally:sum"), "15");
    queue_claim_free(c);

    /* For whom it was has been removed. */
    redis_server_do(f->server, "DEL job");
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    c = claim(f);
    assert_int_equal(done_with_tally(f, c, "s1", 7, &to_completed), -ENOENT);
    assert_string_equal(redis_server_str(f->server, "GET tally:sum"), "15");
    queue_claim_free(c);
}

static void test_unsayable(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *big = calloc(1, 1024 * 1024);

    memset(big, 'x', 1024 * 1024 - 1);
    assert_int_equal(enqueue(f, "\xff", 0, NULL), -EINVAL);
    assert_int_equal(enqueue(f, big, 0, NULL), -EMSGSIZE);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 0);
}

static void wait_meta(struct fixture *f, const char *id, const char *status)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (strstr(redis_server_str(f->server, "GET celery-task-meta-%s", id), status))
            return;
        loop_for(&f->loop, 10);
    }
}

static void assert_meta(struct fixture *f, const char *id, const char *status, const char *result)
{
    _cleanup_json_ json_t *meta =
        json_loads(redis_server_str(f->server, "GET celery-task-meta-%s", id), 0, NULL);
    _cleanup_json_ json_t *expected = json_loads(result, JSON_DECODE_ANY, NULL);

    assert_non_null(meta);
    assert_string_equal(json_string_value(json_object_get(meta, "status")), status);
    assert_true(json_equal(json_object_get(meta, "result"), expected));
    assert_string_equal(json_string_value(json_object_get(meta, "task_id")), id);
    assert_true(json_is_null(json_object_get(meta, "traceback")));
    assert_true(json_is_array(json_object_get(meta, "children")));
    assert_non_null(json_object_get(meta, "date_done"));
    assert_true(redis_server_int(f->server, "TTL celery-task-meta-%s", id) > 86000);
}

static void assert_meta_status(struct fixture *f, const char *id, const char *status)
{
    _cleanup_json_ json_t *meta =
        json_loads(redis_server_str(f->server, "GET celery-task-meta-%s", id), 0, NULL);

    assert_string_equal(json_string_value(json_object_get(meta, "status")), status);
}

/* Nothing of a task is left but its result and what expires. */
static void assert_clean(struct fixture *f)
{
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked unacked_index"), 0);
    assert_int_equal(redis_server_int(f->server, "HLEN decant:claims:%s", W1), 1); /* the owner */
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:deliveries:" A), 0);
}

static void test_done(void **state)
{
    struct fixture *f = *state;
    struct ear e;

    ear_open(&e, f);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, A);
    assert_string_equal(c->name, "decant.convert");
    assert_int_equal(c->deliveries, 1);
    assert_false(c->gave_up);
    redis_server_do(f->server, "HSET job status processing");
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, &to_completed), 0);
    assert_meta(f, A, "SUCCESS", "{\"pages\": 3, \"empty\": []}");
    assert_clean(f);
    assert_string_equal(redis_server_str(f->server, "HGET job progress"), "100");

    const char *heard = ear_text(&e, f, "completed");

    assert_true(str_starts(heard, "celery-task-meta-" A " {\"status\":\"SUCCESS\""));
    assert_non_null(strstr(heard, "\ndecant:job:1 completed\n"));
    queue_claim_free(c);
    ear_close(&e);
}

/* A worker whose connection broke asks again: it must hear what it would have heard. */
static void test_done_again(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);

    struct queue_claim *c = claim(f);

    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, &to_completed), -ENOENT);
    assert_true(redis_server_int(f->server, "TTL decant:finished:%s", c->tag) > 3500);
    redis_server_do(f->server, "HSET job status processing");

    char *before = snapshot(f);

    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_FAILURE, &to_completed), -ENOENT);
    assert_unchanged(f, before);
    assert_meta(f, A, "SUCCESS", "{\"pages\": 3, \"empty\": []}");
    queue_claim_free(c);
}

static void test_done_hash(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(enqueue(f, A, 0, NULL), 0);

        struct queue_claim *c = claim(f);

        if (i == 0)
            redis_server_do(f->server, "HSET job status cancelled");
        else
            redis_server_do(f->server, "DEL job");
        assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, &to_completed), i == 0 ? -EBUSY : -ENOENT);
        assert_clean(f); /* acknowledged all the same */
        assert_int_equal(redis_server_int(f->server, "HEXISTS job progress"), 0);
        queue_claim_free(c);
    }
}

static void test_done_failures(void **state)
{
    struct fixture *f = *state;
    char reason[200];
    static const struct {
        enum queue_state state;
        const char *status, *module;
        bool dead;
    } cases[] = {
        {QUEUE_FAILURE, "FAILURE", "decant", false},
        {QUEUE_REVOKED, "REVOKED", "celery.exceptions", false},
        {QUEUE_REJECTED, "FAILURE", "decant", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char expected[200];

        assert_int_equal(enqueue(f, A, 0, NULL), 0);

        struct queue_claim *c = claim(f);

        assert_int_equal(done_as(f, f->q, W1, c, cases[i].state, NULL), 0);
        snprintf(
            expected, sizeof expected,
            "{\"exc_type\": \"Broken\", \"exc_message\": [\"it \\\"broke\\\"\"], \"exc_module\": \"%s\"}",
            cases[i].module);
        assert_meta(f, A, cases[i].status, expected);
        assert_clean(f);
        assert_string_equal(dead_reason(f, reason), cases[i].dead ? "it \"broke\"" : "");
        if (cases[i].dead) {
            _cleanup_json_ json_t *letter =
                json_loads(redis_server_str(f->server, "LINDEX decant:dead 0"), 0, NULL);

            /* so that it can be replayed */
            assert_string_equal(json_string_value(json_object_get(letter, "message")), c->message);
            assert_true(redis_server_int(f->server, "TTL decant:dead") > 0);
        }
        queue_claim_free(c);
    }
}

static void test_success_stands(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(enqueue(f, A, 0, NULL), 0);

        struct queue_claim *c = claim(f);

        assert_int_equal(done_as(f, f->q, W1, c, i == 0 ? QUEUE_SUCCESS : QUEUE_FAILURE, NULL), 0);
        assert_meta(f, A, "SUCCESS", "{\"pages\": 3, \"empty\": []}");
        queue_claim_free(c);
    }
}

static void test_ignore_result(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, A, "[[], {}, {}]", "{\"headers\": {\"ignore_result\": true}}");

    struct queue_claim *c = claim(f);

    queue_started(f->q, W1, c, NULL);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS celery-task-meta-" A), 0);
    assert_clean(f);
    queue_claim_free(c);
}

static void test_started(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *meta = json_pack("{s:i}", "percent", 40);
    char host[256] = "", expected[400];
    struct ear e;

    gethostname(host, sizeof host - 1);
    ear_open(&e, f);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);

    struct queue_claim *c = claim(f);

    queue_started(f->q, W1, c, NULL);
    wait_meta(f, A, "STARTED");
    snprintf(expected, sizeof expected, "{\"pid\": %d, \"hostname\": \"%s\"}", (int)getpid(), host);
    assert_meta(f, A, "STARTED", expected);
    queue_started(f->q, W1, c, meta);
    wait_meta(f, A, "PROGRESS");
    assert_meta(f, A, "PROGRESS", "{\"percent\": 40}");
    assert_int_equal(redis_server_int(f->server, "HLEN unacked"), 1); /* the claim stays */
    assert_non_null(strstr(ear_text(&e, f, "PROGRESS"), "PROGRESS"));
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_started(f->q, W1, c, meta); /* too late: changes nothing */
    wait_meta(f, A, "SUCCESS");
    assert_meta(f, A, "SUCCESS", "{\"pages\": 3, \"empty\": []}");
    queue_claim_free(c);
    ear_close(&e);
}

static void test_release(void **state)
{
    struct fixture *f = *state;
    struct queue_hash hash = to_queued;

    hash.expected = "processing";
    redis_server_do(f->server, "HSET job status processing");
    assert_int_equal(enqueue(f, A, 4, NULL), 0);

    _cleanup_free_ char *before = strdup(redis_server_str(f->server, "LINDEX %s 0", "decant" STEP(3)));

    assert_int_equal(enqueue(f, B, 4, NULL), 0);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, A);
    assert_int_equal(release_as(f, f->q, W1, c, &hash), 0);
    assert_clean(f);
    assert_string_equal(redis_server_str(f->server, "HGET job status"), "queued");
    /* the very bytes, in the list of its priority, where the next claim takes from */
    assert_string_equal(redis_server_str(f->server, "LINDEX %s -1", "decant" STEP(3)), before);
    assert_int_equal(release_as(f, f->q, W1, c, NULL), -ESTALE);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), -ESTALE);
    queue_claim_free(c);
    c = claim(f);
    assert_string_equal(c->id, A);
    assert_int_equal(c->deliveries, 1);
    queue_claim_free(c);
}

static void test_goodbye(void **state)
{
    struct fixture *f = *state;
    int err;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);

    struct queue_claim *c = claim(f);

    assert_int_equal(workers(f), 1);
    assert_int_equal(goodbye_as(f, f->q, W1), 0);
    assert_int_equal(workers(f), 0);
    assert_int_equal(length(f), 1);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), -ESTALE);
    queue_claim_free(c);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:claims:%s decant:workers unacked", W1), 0);
    c = claim_as(f, f->q, W2, &err);
    assert_int_equal(err, 0);
    queue_claim_free(c);
}

/* A task that is tried later: it waits, counts its retries, and is served with its turn of priority. */
static void test_retry(void **state)
{
    struct fixture *f = *state;
    int err;

    redis_server_do(f->server, "HSET job status processing");
    push_foreign(f, "t", "[[], {\"a\": []}, {}]",
                 "{\"properties\": {\"priority\": 3}, \"headers\": {\"empty\": []}}");

    struct queue_claim *c = claim(f);

    assert_int_equal(c->retries, 0);
    assert_int_equal(retry_as(f, f->q, W1, c, 500, &to_completed), 0);
    assert_int_equal(retry_as(f, f->q, W1, c, 500, &to_completed), 0); /* asked again, as no answer came */
    assert_meta_status(f, "t", "RETRY");
    assert_non_null(strstr(redis_server_str(f->server, "GET celery-task-meta-t"), "It was away."));
    assert_string_equal(redis_server_str(f->server, "HGET job progress"), "100"); /* the hash went with it */
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked decant:deliveries:t"), 0);
    assert_int_equal(due(f), 0);
    assert_null(claim_as(f, f->q, W1, &err));
    loop_for(&f->loop, 600);
    assert_int_equal(due(f), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant" STEP(3)), 1);
    queue_claim_free(c);

    c = claim(f);
    assert_string_equal(c->id, "t");
    assert_int_equal(c->retries, 1);
    assert_int_equal(c->deliveries, 1);
    assert_true(json_is_array(json_object_get(c->kwargs, "a")));
    assert_non_null(strstr(c->message, "\"empty\":[]"));
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
}

static void test_no_retry(void **state)
{
    struct fixture *f = *state;

    /* whose hash has moved on is acknowledged */
    redis_server_do(f->server, "HSET job status cancelled");
    assert_int_equal(enqueue(f, A, 0, NULL), 0);

    struct queue_claim *c = claim(f);

    assert_int_equal(retry_as(f, f->q, W1, c, 500, &to_completed), -EBUSY);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked decant:delayed celery-task-meta-" A), 0);
    queue_claim_free(c);

    /* a success stands */
    redis_server_do(f->server, "SET celery-task-meta-%s {\"status\":\"SUCCESS\"}", A);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    c = claim(f);
    assert_int_equal(retry_as(f, f->q, W1, c, 500, NULL), 0);
    assert_meta_status(f, A, "SUCCESS");
    queue_claim_free(c);

    /* somebody else has it */
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    c = claim(f);
    assert_int_equal(goodbye_as(f, f->q, W1), 0);
    assert_int_equal(retry_as(f, f->q, W1, c, 500, NULL), -ESTALE);
    queue_claim_free(c);

    /* there is no room: it stays claimed, and can end in another way */
    redis_server_do(f->server, "EVAL %s 0",
                    "for i = 1, 10 do redis.call('ZADD', 'decant:delayed', 1, 'decant ' .. i) end");
    c = claim(f);

    char *before = snapshot(f);

    assert_int_equal(retry_as(f, f->q, W1, c, 500, NULL), -EAGAIN);
    assert_unchanged(f, before);
    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_FAILURE, NULL), 0);
    queue_claim_free(c);
}

/* Each key expires, but for the lists of the queue and what is claimed. */
static void test_everything_expires(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    assert_int_equal(enqueue(f, B, 0, NULL), 0);

    struct queue_claim *c = claim(f), *d = claim(f);

    assert_int_equal(refresh_as(f, f->q, W1), 0);
    assert_int_equal(done_as(f, f->q, W1, d, QUEUE_REJECTED, NULL), 0);
    assert_int_equal(reap(f), 0);
    assert_int_equal(enqueue(f, B, 0, NULL), 0);

    redisReply *keys = redis_server_reply(f->server, "KEYS *");

    assert_int_equal(keys->elements, 11);
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str;
        bool lasting = str_eq(key, "decant") || str_eq(key, "unacked") || str_eq(key, "unacked_index");

        assert_int_equal(redis_server_int(f->server, "PTTL %s", key) < 0, lasting);
    }
    freeReplyObject(keys);
    queue_claim_free(c);
    queue_claim_free(d);
}

/* Where it was put is said in the same breath: what is served before, and what workers have. */
static void test_place(void **state)
{
    struct fixture *f = *state;
    struct queue_place place = {.ahead = 99, .claimed = 99};

    assert_int_equal(enqueue_placed(f, A, NULL, 0, &place), 0);
    assert_int_equal(place.ahead, 0);
    assert_int_equal(enqueue_placed(f, B, NULL, 9, &place), 0);
    assert_int_equal(place.ahead, 1);
    assert_int_equal(enqueue_placed(f, C, NULL, 3, &place), 0); /* before B */
    assert_int_equal(place.ahead, 1);
    assert_int_equal(enqueue_placed(f, C, "slow", 0, &place), 0); /* in a queue of its own */
    assert_int_equal(place.ahead, 0);
    assert_int_equal(enqueue_placed(f, C, "slow", 0, &place), 0);
    assert_int_equal(place.ahead, 1);
    assert_int_equal(place.claimed, 0);

    struct queue_claim *c = claim(f);

    assert_string_equal(c->id, A);
    assert_int_equal(enqueue_placed(f, A, NULL, 0, &place), 0);
    assert_int_equal(place.ahead, 0);
    assert_int_equal(place.claimed, 1);
    queue_claim_free(c);
}

static void test_look(void **state)
{
    struct fixture *f = *state;
    struct queue_look l = look(f);
    uint64_t first_ms;

    assert_int_equal(l.waiting + l.oldest_ms + l.claimed + l.delayed + l.dead, 0);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    first_ms = look(f).oldest_ms;
    loop_for(&f->loop, 20);
    assert_int_equal(enqueue(f, B, 0, NULL), 0);
    assert_int_equal(enqueue(f, C, 9, NULL), 0);
    l = look(f);
    assert_int_equal(l.waiting, 3);
    assert_true(first_ms > 0 && l.oldest_ms == first_ms && l.now_ms >= first_ms);

    struct queue_claim *c = claim(f); /* A: now B waits longest */

    assert_true(c->queued_ms == first_ms && c->trace.id[0] == '\0');
    l = look(f);
    assert_true(l.waiting == 2 && l.claimed == 1 && l.oldest_ms >= first_ms + 20);
    assert_int_equal(release_as(f, f->q, W1, c, NULL), 0);
    assert_int_equal(look(f).oldest_ms, first_ms); /* what comes back waits since it came first */
    queue_claim_free(c);

    /* each queue by itself, and all together */
    assert_int_equal(enqueue_family(f, A, "slow", 3), 0);
    l = look(f);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.queues[0].name, "decant");
    assert_string_equal(l.queues[1].name, "decant.slow");
    assert_string_equal(l.queues[2].name, "decant.quick");
    assert_true(l.queues[0].waiting == 3 && l.queues[0].oldest_ms == first_ms);
    assert_true(l.queues[1].waiting == 1 && l.queues[1].oldest_ms >= first_ms + 20);
    assert_true(l.queues[2].waiting == 0 && l.queues[2].oldest_ms == 0);
    assert_true(l.waiting == 4 && l.oldest_ms == first_ms);

    /* whatever others put there */
    redis_server_do(f->server, "DEL decant decant" STEP(9) " decant.slow" STEP(3));
    redis_server_do(f->server, "RPUSH decant %s", "{\"decant\":[\"1\",1,1],\"body\":\"\"}");
    redis_server_do(f->server, "RPUSH decant" STEP(3) " %s", "no JSON");
    redis_server_do(f->server, "RPUSH decant" STEP(6) " %s", "{\"decant\":[1e300,1,1],\"body\":\"\"}");
    redis_server_do(f->server, "RPUSH decant" STEP(9) " %s", "{\"decant\":[-5,1,1],\"body\":\"\"}");
    assert_int_equal(look(f).oldest_ms, 0);
}

static void test_no_redis(void **state)
{
    struct fixture *f = *state;
    int err;

    redis_server_kill(f->server);
    loop_for(&f->loop, 50);
    assert_int_equal(enqueue(f, A, 0, NULL), -ENOTCONN);
    assert_int_equal(enqueue(f, "\xff", 0, NULL), -EINVAL);
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(err, -ENOTCONN);
    assert_int_equal(refresh_as(f, f->q, W1), -ENOTCONN);
}

int main(void)
{
#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_names),
        QUEUE_TEST(test_prefix),
        QUEUE_TEST(test_priority_lists),
        QUEUE_TEST(test_full),
        QUEUE_TEST(test_enqueue_hash),
        QUEUE_TEST(test_enqueue_needs),
        QUEUE_TEST(test_unsayable),
        QUEUE_TEST(test_done),
        QUEUE_TEST(test_done_again),
        QUEUE_TEST(test_done_hash),
        QUEUE_TEST(test_done_failures),
        QUEUE_TEST(test_success_stands),
        QUEUE_TEST(test_ignore_result),
        QUEUE_TEST(test_started),
        QUEUE_TEST(test_release),
        QUEUE_TEST(test_goodbye),
        QUEUE_TEST(test_everything_expires),
        QUEUE_TEST(test_crowd),
        QUEUE_TEST(test_tally),
        QUEUE_TEST(test_no_redis),
        QUEUE_TEST(test_retry),
        QUEUE_TEST(test_no_retry),
        QUEUE_TEST(test_place),
        QUEUE_TEST(test_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
