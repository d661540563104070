/* Callbacks, errbacks and chains: enqueued with the end of their task, and only then. */
#include "queue_fixture.h"

#include "queue/follow.h"

static void push(struct fixture *f, const char *embed, const char *change)
{
    _cleanup_free_ char *body = NULL;

    assert_true(asprintf(&body, "[[], {}, %s]", embed) > 0);
    push_foreign(f, "first", body, change);
}

static int done(struct fixture *f, struct queue_claim *c, enum queue_state state)
{
    int err = done_as(f, f->q, W1, c, state, NULL);

    queue_claim_free(c);
    return err;
}

/* The next message, which has to be that task with those arguments. */
static struct queue_claim *expect(struct fixture *f, const char *name, const char *args)
{
    struct queue_claim *c = claim(f);
    _cleanup_json_ json_t *expected = json_loads(args, 0, NULL);

    assert_string_equal(c->name, name);
    assert_non_null(expected);
    assert_true(json_equal(c->args, expected));
    assert_string_equal(c->root_id, "first");
    return c;
}

static json_t *header(const struct queue_claim *c, const char *name)
{
    json_t *message = json_loads(c->message, 0, NULL),
           *value = json_object_get(json_object_get(message, "headers"), name);

    json_incref(value);
    json_decref(message);
    return value;
}

static const char *status_of(struct fixture *f, const char *id, char ret[32])
{
    _cleanup_json_ json_t *meta =
        json_loads(redis_server_str(f->server, "GET celery-task-meta-%s", id), 0, NULL);
    const char *status = json_string_value(json_object_get(meta, "status"));

    snprintf(ret, 32, "%s", status ? status : "PENDING");
    return ret;
}

#define VALUE "{\"pages\": 3, \"empty\": []}" /* of done_as() */

static void test_callbacks(void **state)
{
    struct fixture *f = *state;
    char text[32];

    push(f,
         "{\"callbacks\": [{\"task\": \"cb.one\", \"args\": [1, []], \"kwargs\": {\"a\": []}, \"options\": "
         "{\"task_id\": \"one\"}, "
         "\"subtask_type\": null, \"immutable\": false}, {\"task\": \"cb.two\", \"args\": [2], "
         "\"immutable\": true}],"
         "\"errbacks\": [{\"task\": \"no\"}]}",
         "{\"headers\": {\"root_id\": null, \"traceparent\": "
         "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}}");

    struct queue_claim *c = claim(f);

    assert_int_equal(length(f), 0);
    assert_int_equal(done(f, c, QUEUE_SUCCESS), 0);
    assert_int_equal(length(f), 2);
    c = expect(f, "cb.one", "[" VALUE ", 1, []]");
    assert_string_equal(c->id, "one");
    assert_string_equal(c->parent_id, "first");
    assert_string_equal(c->trace.id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_not_equal(c->trace.span, "00f067aa0ba902b7");
    assert_int_equal(c->deliveries, 1);
    assert_true(json_is_array(json_object_get(c->kwargs, "a")));
    assert_int_equal(done(f, c, QUEUE_SUCCESS), 0);
    c = expect(f, "cb.two", "[2]");
    assert_true(id_is_uuid(c->id));

    /* whoever asks the first one for its children finds them */
    _cleanup_json_ json_t *meta =
        json_loads(redis_server_str(f->server, "GET celery-task-meta-first"), 0, NULL);
    _cleanup_json_ json_t *children = json_pack("[[[s, n], n], [[s, n], n]]", "one", c->id);

    assert_true(json_equal(json_object_get(meta, "children"), children));
    assert_int_equal(done(f, c, QUEUE_SUCCESS), 0);
    assert_int_equal(length(f), 0);
    assert_string_equal(status_of(f, "one", text), "SUCCESS");
}

static void test_errbacks(void **state)
{
    struct fixture *f = *state;
    static const enum queue_state states[] = {QUEUE_FAILURE, QUEUE_REJECTED};

    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        push(f,
             "{\"callbacks\": [{\"task\": \"no\"}], \"errbacks\": [{\"task\": \"eb.one\", \"args\": [1]}, "
             "{\"task\": \"eb.two\", \"args\": [2], \"immutable\": true}]}",
             "{}");
        assert_int_equal(done(f, claim(f), states[i]), 0);
        assert_int_equal(length(f), 2);
        queue_claim_free(expect(f, "eb.one", "[\"first\", 1]"));
        queue_claim_free(expect(f, "eb.two", "[2]"));
        assert_int_equal(goodbye_as(f, f->q, W1), 0);
        redis_server_do(f->server, "DEL decant celery-task-meta-first");
    }
    push(f, "{\"errbacks\": [{\"task\": \"eb\"}]}", "{}");
    assert_int_equal(done(f, claim(f), QUEUE_REVOKED), 0); /* as Celery has it: that is no failure */
    assert_int_equal(length(f), 0);
}

#define CHAIN                                                                                                \
    "{\"chain\": [{\"task\": \"c.three\", \"args\": [3], \"options\": {\"task_id\": \"three\"}}, "           \
    "{\"task\": \"c.two\", \"args\": [2], \"options\": {\"task_id\": \"two\", \"link_error\": [{\"task\": "  \
    "\"eb\"}], "                                                                                             \
    "\"link\": [{\"task\": \"cb\"}]}}]}"

static void test_chain(void **state)
{
    struct fixture *f = *state;
    char text[32];

    push(f, CHAIN, "{}");
    assert_int_equal(done(f, claim(f), QUEUE_SUCCESS), 0);
    assert_int_equal(length(f), 1);

    struct queue_claim *c = expect(f, "c.two", "[" VALUE ", 2]");

    assert_int_equal(json_array_size(c->chain), 1);
    assert_int_equal(json_array_size(c->callbacks), 1);
    assert_int_equal(json_array_size(c->errbacks), 1);
    assert_int_equal(done(f, c, QUEUE_SUCCESS), 0);
    assert_int_equal(length(f), 2);
    queue_claim_free(expect(f, "cb", "[" VALUE "]"));
    c = expect(f, "c.three", "[" VALUE ", 3]");
    assert_string_equal(c->parent_id, "two");
    assert_null(c->chain);
    assert_int_equal(done(f, c, QUEUE_SUCCESS), 0);
    assert_string_equal(status_of(f, "three", text), "SUCCESS");
}

/* Whoever waits for the end of a chain hears that it won't come. */
static void test_chain_fails(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum queue_state state;
        const char *status;
    } cases[] = {{QUEUE_FAILURE, "FAILURE"}, {QUEUE_REJECTED, "FAILURE"}, {QUEUE_REVOKED, "REVOKED"}};
    char text[32];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        push(f, CHAIN, "{}");
        assert_int_equal(done(f, claim(f), cases[i].state), 0);
        assert_int_equal(length(f), 0);
        assert_string_equal(status_of(f, "two", text), cases[i].status);
        assert_string_equal(status_of(f, "three", text), cases[i].status);
        assert_true(redis_server_int(f->server, "TTL celery-task-meta-three") > 86000);
        redis_server_do(f->server, "DEL celery-task-meta-first celery-task-meta-two celery-task-meta-three");
    }
    redis_server_do(f->server, "SET celery-task-meta-three {\"status\":\"SUCCESS\"}");
    push(f, CHAIN, "{}");
    assert_int_equal(done(f, claim(f), QUEUE_FAILURE), 0);
    assert_string_equal(status_of(f, "three", text), "SUCCESS"); /* one that succeeded before stays so */
}

static void test_options(void **state)
{
    struct fixture *f = *state;
    int err;

    push(f,
         "{\"callbacks\": [{\"task\": \"a\", \"options\": {\"queue\": \"decant.slow\", \"priority\": 9, "
         "\"group_id\": \"g\", "
         "\"group_index\": 3, \"reply_to\": \"r\", \"ignore_result\": true, \"expires\": 1000}}, {\"task\": "
         "\"b\", \"options\": "
         "{\"countdown\": 100, \"queue\": \"celery\"}}]}",
         "{}");
    assert_int_equal(done(f, claim(f), QUEUE_SUCCESS), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN celery"), 1); /* other workers' */
    assert_int_equal(redis_server_int(f->server, "LLEN %s", "decant.slow" STEP(9)), 1);

    struct queue_claim *c = claim(f);
    _cleanup_json_ json_t *group_index = header(c, "group_index"), *expires = header(c, "expires");

    assert_string_equal(c->group_id, "g");
    assert_int_equal(json_integer_value(group_index), 3);
    assert_true(json_is_string(expires));
    assert_string_equal(c->reply_to, "r");
    assert_true(c->ignore_result);
    queue_claim_free(c);
    redis_server_do(f->server, "RENAME celery decant");
    assert_null(claim_as(f, f->q, W2, &err)); /* it waits for its time */
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), 1);
}

/* Lost claims and answers: what follows comes once, and not from who has lost the task. */
static void test_once(void **state)
{
    struct fixture *f = *state;

    push(f, "{\"callbacks\": [{\"task\": \"cb\"}]}", "{}");

    struct queue_claim *c = claim(f);

    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0); /* asked again, as no answer came */
    queue_claim_free(c);
    assert_int_equal(length(f), 1);
    redis_server_do(f->server, "DEL decant");

    push(f, "{\"callbacks\": [{\"task\": \"cb\"}]}", "{}");
    c = claim(f);
    assert_int_equal(goodbye_as(f, f->q, W1), 0);
    assert_int_equal(done(f, c, QUEUE_SUCCESS), -ESTALE);
    assert_int_equal(length(f), 1);
    c = claim(f);
    assert_string_equal(c->id, "first"); /* not the callback */
    queue_claim_free(c);
}

/* A name that is no queue's must not hinder the end of the task. */
static void test_other_key(void **state)
{
    struct fixture *f = *state;
    char text[32];

    redis_server_do(f->server, "SET taken x");
    push(f, "{\"callbacks\": [{\"task\": \"cb\", \"options\": {\"queue\": \"taken\"}}, {\"task\": \"cb2\"}]}",
         "{}");
    assert_int_equal(done(f, claim(f), QUEUE_SUCCESS), 0);
    assert_string_equal(status_of(f, "first", text), "SUCCESS");
    assert_string_equal(redis_server_str(f->server, "GET taken"), "x");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked"), 0);
}

/* Refused before anything of the task is run; who waits hears why, at a chain's end too. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "{\"callbacks\": [{}]}",
        "{\"callbacks\": [5]}",
        "{\"callbacks\": {\"task\": \"x\"}}",
        "{\"callbacks\": \"x\"}",
        "{\"errbacks\": [{\"task\": \"\"}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"args\": {}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"kwargs\": []}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": []}]}",
        "{\"callbacks\": [{\"task\": \"celery.group\", \"subtask_type\": \"group\"}]}",
        "{\"chord\": {\"task\": \"x\"}}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"chord\": {}}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"queue\": \"session:1\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"queue\": \"\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"queue\": 5}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"exchange\": \"other\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"serializer\": \"pickle\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"task_id\": \"a b\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"countdown\": \"soon\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"eta\": 5}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"expires\": []}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"priority\": \"high\"}}]}",
        "{\"callbacks\": [{\"task\": \"x\", \"options\": {\"link\": [5]}}]}",
    };
    char text[32];
    int err;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        push(f, bad[i], "{}");
        assert_null(claim_as(f, f->q, W1, &err));
        assert_int_equal(err, -EAGAIN);
        assert_string_equal(status_of(f, "first", text), "FAILURE");
        assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), i + 1);
        redis_server_do(f->server, "DEL celery-task-meta-first");
    }
    push(f, "{\"callbacks\": [5], \"chain\": [{\"task\": \"last\", \"options\": {\"task_id\": \"last\"}}]}",
         "{}");
    assert_null(claim_as(f, f->q, W1, &err));
    assert_string_equal(status_of(f, "last", text), "FAILURE");
}

static void test_bounds(void **state)
{
    struct fixture *f = *state;
    struct queue_claim c = {.callbacks = json_array()};

    for (int i = 0; i < FOLLOW_MAX; i++)
        json_array_append_new(c.callbacks, json_pack("{s:s}", "task", "x"));
    assert_null(follow_refusal(&c));
    json_array_append_new(c.callbacks, json_pack("{s:s}", "task", "x"));
    assert_non_null(follow_refusal(&c));
    json_decref(c.callbacks);

    _cleanup_free_ char *big = calloc(1, FOLLOW_MAX_BYTES + 1);

    memset(big, 'x', FOLLOW_MAX_BYTES);
    c.callbacks = json_pack("[{s:s, s:[s]}]", "task", "x", "args", big);
    assert_non_null(follow_refusal(&c));
    json_decref(c.callbacks);
    assert_int_equal(length(f), 0);
}

int main(void)
{
#define QUEUE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_callbacks),   QUEUE_TEST(test_errbacks), QUEUE_TEST(test_chain),
        QUEUE_TEST(test_chain_fails), QUEUE_TEST(test_options),  QUEUE_TEST(test_once),
        QUEUE_TEST(test_other_key),   QUEUE_TEST(test_refused),  QUEUE_TEST(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
