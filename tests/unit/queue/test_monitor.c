/* What monitors ask of the queue: revocations, replies, what is scheduled, and events. */
#include "queue_fixture.h"

#include "core/buf.h"
#include "core/clock.h"
#include "queue/monitor.h"

#define A     "aaaaaaaa-1b15-49cf-9e75-98342b467ba9"
#define B     "bbbbbbbb-1b15-49cf-9e75-98342b467ba9"
#define ASKER "7ddaf022-8390-3046-8a25-6e503b560826"
#define BODY  "[[], {}, {}]"

enum { PATIENCE_MS = 30000 };

struct answer {
    bool done;
    int err;
    json_t *value;
};

static void on_answer(void *arg, int err)
{
    struct answer *a = arg;

    a->done = true;
    a->err = err;
}

static void on_json(void *arg, int err, const json_t *value)
{
    ((struct answer *)arg)->value = json_incref((json_t *)value);
    on_answer(arg, err);
}

static int call_off(struct fixture *f, const char *ids)
{
    struct answer a = {0};
    _cleanup_json_ json_t *list = json_loads(ids, JSON_DECODE_ANY, NULL);

    queue_revoke(f->q, list, on_answer, &a);
    assert_false(a.done);
    assert_true(loop_until(&f->loop, &a.done, PATIENCE_MS));
    return a.err;
}

static json_t *revoked(struct fixture *f)
{
    struct answer a = {0};

    queue_revoked(f->q, on_json, &a);
    assert_true(loop_until(&f->loop, &a.done, PATIENCE_MS));
    assert_int_equal(a.err, 0);
    return a.value;
}

static void claim_and_check(struct fixture *f, struct queue *q, const char *worker, const char *id, bool is)
{
    int err;
    struct queue_claim *c = claim_as(f, q, worker, &err);

    assert_int_equal(err, 0);
    assert_string_equal(c->id, id);
    assert_int_equal(c->revoked, is);
    assert_int_equal(done_as(f, q, worker, c, is ? QUEUE_REVOKED : QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
}

/* --- revocations */

static void test_claims_know_what_is_revoked(void **state)
{
    struct fixture *f = *state;
    struct peer later;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    assert_int_equal(enqueue(f, B, 0, NULL), 0);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    assert_int_equal(call_off(f, "[\"" A "\"]"), 0);
    claim_and_check(f, f->q, W1, A, true);
    claim_and_check(f, f->q, W1, B, false);
    peer_open(&later, f); /* a worker that has not heard of it */
    claim_and_check(f, later.q, W2, A, true);
    peer_close(&later);
}

/* It is not put aside until its time has come. */
static void test_a_revoked_task_with_an_eta(void **state)
{
    struct fixture *f = *state;

    push_foreign(f, "later", BODY, "{\"headers\": {\"eta\": \"2099-01-01T00:00:00+00:00\"}}");
    assert_int_equal(call_off(f, "\"later\""), 0);
    claim_and_check(f, f->q, W1, "later", true);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:delayed"), 0);
}

static void test_what_is_remembered(void **state)
{
    struct fixture *f = *state;
    char long_id[300] = "";
    _cleanup_free_ char *odd = NULL;
    const char *id;
    json_t *age;

    memset(long_id, 'x', sizeof long_id - 1);
    assert_true(asprintf(&odd, "[\"%s\", 1, null, \"\", [\"x\"], \"b\", \"a\"]", long_id) > 0);
    assert_int_equal(call_off(f, odd), 0);
    assert_int_equal(call_off(f, "[]"), 0);
    assert_int_equal(call_off(f, "1"), 0);

    _cleanup_json_ json_t *ids = revoked(f);

    assert_int_equal(json_object_size(ids), 2);
    json_object_foreach(ids, id, age)
    {
        assert_true(str_eq(id, "a") || str_eq(id, "b"));
        assert_true(json_real_value(age) >= 0 && json_real_value(age) < 60);
    }
    assert_in_range(redis_server_int(f->server, "TTL decant:revoked"), 86000, QUEUE_REVOKED_TTL_S);
}

static void test_what_is_forgotten(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *none = NULL, *many = json_array();

    redis_server_do(f->server, "ZADD decant:revoked %llu " A,
                    (unsigned long long)(clock_real_ms() - (QUEUE_REVOKED_TTL_S + 60) * UINT64_C(1000)));
    none = revoked(f);
    assert_int_equal(json_object_size(none), 0);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    claim_and_check(f, f->q, W1, A, false);

    for (int i = 0; i < QUEUE_REVOKED_MAX; i++) {
        char id[16];

        snprintf(id, sizeof id, "%d", i);
        json_array_append_new(many, json_string(id));
    }

    struct answer a = {0};

    assert_int_equal(call_off(f, "[\"x\"]"), 0);
    loop_for(&f->loop, 5);
    queue_revoke(f->q, many, on_answer, &a);
    assert_true(loop_until(&f->loop, &a.done, PATIENCE_MS));
    assert_int_equal(a.err, 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:revoked"), QUEUE_REVOKED_MAX);
    assert_int_equal(redis_server_int(f->server, "EXISTS celery-task-meta-x"), 0);
    assert_string_equal(redis_server_str(f->server, "ZSCORE decant:revoked x"), ""); /* the oldest */

    json_array_append_new(many, json_string("one more"));
    a = (struct answer){0};
    queue_revoke(f->q, many, on_answer, &a);
    assert_true(loop_until(&f->loop, &a.done, PATIENCE_MS));
    assert_int_equal(a.err, -E2BIG);

    _cleanup_json_ json_t *shown = revoked(f);

    assert_int_equal(json_object_size(shown), QUEUE_REVOKED_SHOWN);
}

/* Who has asked hears of the end, whatever went first. */
static void test_answers_come_in_any_case(void **state)
{
    struct fixture *f = *state;
    struct answer a[3] = {0};
    _cleanup_json_ json_t *id = json_string(A);

    queue_revoke(f->q, id, on_answer, &a[0]);
    queue_revoked(f->q, on_json, &a[1]);
    queue_scheduled(f->q, false, on_json, &a[2]);
    queue_free(TAKE_PTR(f->q));
    for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
        assert_true(loop_until(&f->loop, &a[i].done, PATIENCE_MS));
        json_decref(a[i].value);
    }
}

/* --- replies */

static void reply(struct fixture *f, const char *exchange, const char *routing_key)
{
    struct pidbox_request request = {.reply_exchange = exchange, .reply_to = routing_key};
    _cleanup_json_ json_t *pong = json_pack("{s:s}", "ok", "pong");

    queue_reply(f->q, &request, "decant@host", 1, pong);
    redis_server_do(f->server, "PING");
    loop_for(&f->loop, 30);
}

static void bind_list(struct fixture *f, const char *routing_key, const char *list)
{
    redis_server_do(f->server, "SADD _kombu.binding.reply.celery.pidbox %s\x06\x16\x06\x16%s", routing_key,
                    list);
}

static void test_replies(void **state)
{
    struct fixture *f = *state;

    reply(f, "reply.celery.pidbox", ASKER); /* nobody has bound anything */
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 0);

    bind_list(f, ASKER, ASKER ".reply.celery.pidbox");
    bind_list(f, "other", "other.reply.celery.pidbox");
    bind_list(f, ASKER "x", "third");
    redis_server_do(f->server, "SADD _kombu.binding.reply.celery.pidbox odd");
    reply(f, "reply.celery.pidbox", ASKER);
    for (int i = 0; i < 500 && !redis_server_int(f->server, "LLEN " ASKER ".reply.celery.pidbox"); i++)
        loop_for(&f->loop, 10);
    assert_int_equal(redis_server_int(f->server, "LLEN " ASKER ".reply.celery.pidbox"), 1);
    assert_in_range(redis_server_int(f->server, "TTL " ASKER ".reply.celery.pidbox"), 1, 60);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 2);
}

static void test_reply_lists_are_bounded(void **state)
{
    struct fixture *f = *state;

    bind_list(f, ASKER, "list");
    redis_server_do(f->server, "EVAL %s 0",
                    "for i = 1, 999 do redis.call('LPUSH', 'list', 'x') end return 1");
    for (int i = 0; i < 3; i++)
        reply(f, "reply.celery.pidbox", ASKER);
    loop_for(&f->loop, 100);
    assert_int_equal(redis_server_int(f->server, "LLEN list"), 1000);
}

/* --- what is scheduled */

static void test_scheduled(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    int err;

    push_foreign(
        f, "later", BODY,
        "{\"headers\": {\"eta\": \"2099-01-01T00:00:00+00:00\"}, \"properties\": {\"priority\": 4}}");
    push_foreign(f, "sooner", "[[\"Secret.docx\"], {\"name\": \"Secret.docx\"}, {}]",
                 "{\"headers\": {\"eta\": \"2098-01-01T00:00:00.5+00:00\"}}");
    assert_null(claim_as(f, f->q, W1, &err));
    redis_server_do(f->server, "ZADD decant:delayed 5000000000000 odd");

    queue_scheduled(f->q, true, on_json, &a);
    assert_true(loop_until(&f->loop, &a.done, PATIENCE_MS));
    assert_int_equal(a.err, 0);
    assert_int_equal(json_array_size(a.value), 2);

    const json_t *first = json_array_get(a.value, 0), *request = json_object_get(first, "request");

    assert_string_equal(json_string_value(json_object_get(first, "eta")), "2098-01-01T00:00:00.500Z");
    assert_string_equal(json_string_value(json_object_get(request, "id")), "sooner");
    assert_string_equal(json_string_value(json_object_get(request, "args")), "['...']");
    assert_string_equal(json_string_value(json_object_get(request, "kwargs")), "{'name': '...'}");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(a.value, 1), "priority")), 4);
    json_decref(a.value);
}

/* --- events */

struct ear {
    struct redis_sub *sub;
    struct buf channels;
    bool ready;
};

static void on_message(void *arg, const char *channel, const char *message)
{
    struct ear *e = arg;

    if (channel)
        buf_printf(&e->channels, "%s\n", channel);
    else
        e->ready = true;
}

static void ear_open(struct ear *e, struct fixture *f)
{
    *e = (struct ear){.channels = BUF_INIT(64 * 1024)};
    assert_int_equal(
        redis_sub_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &e->sub), 0);
    redis_sub_start(e->sub, REDIS("/0.celeryev/*", "pfx:/0.celeryev/*"), on_message, e);
    assert_true(loop_until(&f->loop, &e->ready, PATIENCE_MS));
}

static void wait_heard(struct ear *e, struct fixture *f, const char *text)
{
    for (int i = 0; i < PATIENCE_MS / 10 && !(e->channels.data && strstr(e->channels.data, text)); i++)
        loop_for(&f->loop, 10);
    assert_non_null(e->channels.data);
    assert_non_null(strstr(e->channels.data, text));
}

static void ear_close(struct ear *e)
{
    redis_sub_free(e->sub);
    buf_free(&e->channels);
}

/* Only when the task is really in the queue, and only for those who want it. */
static void test_sent_events(void **state)
{
    struct fixture *f = *state;
    struct queue *quiet = f->q;
    static const struct queue_hash gone = {.key = "gone", .field = "status", .expected = "x", .channel = "c"};
    struct ear e;

    ear_open(&e, f);
    f->q = queue_new(f->r, &(struct queue_config){.name = "decant",
                                                  .prefix = "pfx:",
                                                  .max_length = 1,
                                                  .max_deliveries = 1,
                                                  .lease_ms = LEASE_MS,
                                                  .sent_events = true});
    assert_int_equal(enqueue(f, A, 0, &gone), -ENOENT);
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    assert_int_equal(enqueue(f, A, 0, NULL), -EAGAIN);
    queue_publish_event(f->q, &(struct event){.type = "worker-heartbeat", .node = "decant@host"});
    wait_heard(&e, f, "heartbeat");
    assert_string_equal(e.channels.data, "pfx:/0.celeryev/task.sent\npfx:/0.celeryev/worker.heartbeat\n");

    queue_free(f->q);
    f->q = quiet;
    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    queue_publish_event(f->q, &(struct event){.type = "worker-offline", .node = "decant@host"});
    wait_heard(&e, f, "offline");
    assert_null(strstr(e.channels.data, "\n/0.celeryev/task.sent"));
    ear_close(&e);
}

struct unrun {
    unsigned refused, expired;
};

static void on_unrun(void *arg, const struct queue_claim *claim, const struct queue_result *result)
{
    struct unrun *u = arg;

    if (result->state == QUEUE_REJECTED && str_eq(claim->id, "compressed"))
        u->refused++;
    if (result->state == QUEUE_REVOKED && str_eq(result->exc_message, QUEUE_EXPIRED))
        u->expired++;
}

static void test_what_never_ran_is_told(void **state)
{
    struct fixture *f = *state;
    struct unrun u = {0};
    int err;

    queue_on_unrun(f->q, on_unrun, &u);
    push_foreign(f, "compressed", BODY, "{\"headers\": {\"compression\": \"x\"}}");
    push_foreign(f, "late", BODY, "{\"headers\": {\"expires\": \"2001-01-01T00:00:00+00:00\"}}");
    assert_null(claim_as(f, f->q, W1, &err));
    assert_int_equal(u.refused, 1);
    assert_int_equal(u.expired, 1);
}

static void test_retried(void **state)
{
    struct fixture *f = *state;
    struct queue_claim *c;

    assert_int_equal(enqueue(f, A, 0, NULL), 0);
    c = claim(f);
    queue_retried(f->q, W1, c, "it ended");
    assert_int_equal(release_as(f, f->q, W1, c, NULL), 0);
    queue_claim_free(c);

    _cleanup_json_ json_t *meta = json_loads(redis_server_str(f->server, "GET celery-task-meta-" A), 0, NULL);

    assert_string_equal(json_string_value(json_object_get(meta, "status")), "RETRY");
    assert_string_equal(json_string_value(json_object_get(json_object_get(meta, "result"), "exc_type")),
                        "Retry");
    assert_true(json_is_null(json_object_get(meta, "date_done")));
}

#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_claims_know_what_is_revoked),
        QUEUE_TEST(test_a_revoked_task_with_an_eta),
        QUEUE_TEST(test_what_is_remembered),
        QUEUE_TEST(test_what_is_forgotten),
        QUEUE_TEST(test_answers_come_in_any_case),
        QUEUE_TEST(test_replies),
        QUEUE_TEST(test_reply_lists_are_bounded),
        QUEUE_TEST(test_scheduled),
        QUEUE_TEST(test_sent_events),
        QUEUE_TEST(test_what_never_ran_is_told),
        QUEUE_TEST(test_retried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
