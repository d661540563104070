/* Remote control as it comes over a real Redis: commands in kombu's form on the channel, answers in the list
 * that was bound. What runs is the test's own, and nothing does. */
#include "core/buf.h"
#include "core/str.h"
#include "queue/kombu.h"
#include "queue/monitor.h"
#include "support/loop.h"
#include "support/redis_server.h"
#include "worker/control.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NODE  "decant@test"
#define REPLY "7ddaf022-8390-3046-8a25-6e503b560826.reply.celery.pidbox"

enum { PATIENCE_MS = 60000 };

/* --- what a worker would have */

static unsigned reloads, shutdowns;

struct conversion *conversion_start(struct conversion_shared *shared,
                                    const struct conversion_request *request,
                                    const struct conversion_events *events, void *arg)
{
    return NULL;
}

void conversion_cancel(struct conversion *c)
{
}

const struct catalogue_route *catalogue_find(const struct format *from, const struct format *to)
{
    return NULL;
}

const char *catalogue_route_family(const struct catalogue_route *route)
{
    return NULL;
}

const char *catalogue_route_engine(const struct catalogue_route *route)
{
    return NULL;
}

const struct catalogue_route *catalogue_preview(const struct format *result, const struct format *inside,
                                                const json_t *options)
{
    return NULL;
}

const struct catalogue_route *catalogue_find_many(const struct format *from, const struct format *to)
{
    return catalogue_find(from, to);
}

const struct catalogue_route *catalogue_route_with(const struct catalogue_route *route, const json_t *options)
{
    return route;
}

int catalogue_check_options(const struct catalogue_route *route, const json_t *options, char *ret_why,
                            size_t size)
{
    return -EINVAL;
}

int conversion_sniff(struct conversion_shared *s, int fd, const struct format *format)
{
    return -EIO;
}

void engine_pool_reload(struct engine_pool *p)
{
    reloads++;
}

/* --- the fixture */

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *redis;
    struct queue *queue;
    struct settings settings;
    struct shares shares;
    struct runner_context context;
    struct claimer *claimer;
    struct task_events *events;
    struct control *control;
    struct redis_sub *sub; /* hears events */
    struct buf heard;
};

static void on_shutdown(void *arg)
{
    shutdowns++;
}

static void on_event(void *arg, const char *channel, const char *message)
{
    struct fixture *f = arg;
    _cleanup_kombu_ struct kombu k = {0};
    const char *why;

    if (!channel) {
        buf_append_str(&f->heard, "ready\n");
        return;
    }
    assert_int_equal(kombu_read(message, strlen(message), &k, &why), 0);

    _cleanup_json_ json_t *body = kombu_body(&k);
    _cleanup_free_ char *text = json_dumps(body, JSON_SORT_KEYS);

    buf_printf(&f->heard, "%s %s\n", channel, text);
}

static const char *wait_heard(struct fixture *f, const char *text)
{
    for (int i = 0; i < PATIENCE_MS / 10 && !(f->heard.data && strstr(f->heard.data, text)); i++)
        loop_for(&f->loop, 10);
    assert_non_null(f->heard.data);
    assert_non_null(strstr(f->heard.data, text));
    return f->heard.data;
}

static int set_up(void **state)
{
    static const char *const families[] = {"documents", "images", "pdf", NULL};
    static const struct queue_config config = {
        .name = "decant", .families = families, .max_length = 100, .max_deliveries = 2, .lease_ms = 4000};
    struct fixture *f = calloc(1, sizeof *f);

    reloads = shutdowns = 0;
    f->heard = BUF_INIT(1024 * 1024);
    f->server = redis_server_start(NULL);
    f->settings = (struct settings){
        .redis = redis_server_url(f->server), .queue = "decant", .queue_prefix = "", .job_timeout_s = 120};
    uv_loop_init(&f->loop);
    assert_int_equal(redis_new(&f->loop, &(struct redis_config){.url = f->settings.redis}, &f->redis), 0);
    f->queue = queue_new(f->redis, &config);
    for (int i = 0; i < 500 && !redis_connected(f->redis); i++)
        loop_for(&f->loop, 10);
    assert_int_equal(redis_sub_new(&f->loop, &(struct redis_config){.url = f->settings.redis}, &f->sub), 0);
    redis_sub_start(f->sub, REDIS("/0.celeryev/*"), on_event, f);
    wait_heard(f, "ready");

    f->shares = (struct shares){.served = queue_family(f->queue, "images") | queue_family(f->queue, "pdf"),
                                .slots = 3};
    f->context =
        (struct runner_context){.loop = &f->loop, .redis = f->redis, .queue = f->queue, .shares = &f->shares};

    const struct redis_config redis = {.url = f->settings.redis};
    struct claimer_config claimer = {
        .context = &f->context, .redis = &redis, .worker = "decant@test:1:a", .slots = 3};
    struct task_events_config events = {.loop = &f->loop, .queue = f->queue, .node = NODE};

    assert_int_equal(claimer_new(&claimer, &f->claimer), 0);
    assert_int_equal(task_events_new(&events, &f->events), 0);

    struct control_config control = {.loop = &f->loop,
                                     .settings = &f->settings,
                                     .redis = &redis,
                                     .queue = f->queue,
                                     .claimer = f->claimer,
                                     .events = f->events,
                                     .slots = 3,
                                     .shutdown = on_shutdown};

    assert_int_equal(control_new(&control, &f->control), 0);
    wait_heard(f, "worker.online");
    redis_server_do(f->server, "SADD _kombu.binding.reply.celery.pidbox r\x06\x16\x06\x16" REPLY);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    redis_sub_free(f->sub);
    control_free(f->control);
    claimer_free(f->claimer);
    task_events_free(f->events);
    queue_free(f->queue);
    redis_free(f->redis);
    loop_close(&f->loop);
    redis_server_free(f->server);
    buf_free(&f->heard);
    free(f);
    return 0;
}

/* --- asking */

/* `more`: further members of the body, such as "\"destination\": [\"x\"],". */
static void send_command(struct fixture *f, const char *method, const char *arguments, const char *more)
{
    _cleanup_free_ char *text = NULL, *message = NULL;

    assert_true(asprintf(&text,
                         "{\"method\": \"%s\", \"arguments\": %s, %s \"ticket\": \"t\","
                         "\"reply_to\": {\"exchange\": \"reply.celery.pidbox\", \"routing_key\": \"r\"}}",
                         method, arguments, more) > 0);

    _cleanup_json_ json_t *body = json_loads(text, 0, NULL), *headers = json_pack("{s:i}", "clock", 100),
                          *properties = kombu_properties("celery.pidbox", "", 2, 0);

    assert_non_null(body);
    assert_int_equal(kombu_write(body, headers, properties, &message), 0);
    redis_server_do(f->server, "PUBLISH /0.celery.pidbox %s", message);
}

/* What this node has answered. */
static json_t *ask(struct fixture *f, const char *method, const char *arguments)
{
    _cleanup_kombu_ struct kombu k = {0};
    _cleanup_free_ char *text = NULL;
    const char *why;

    send_command(f, method, arguments, "");
    for (int i = 0; i < PATIENCE_MS / 10 && !redis_server_int(f->server, "LLEN " REPLY); i++)
        loop_for(&f->loop, 10);
    assert_int_equal(redis_server_int(f->server, "LLEN " REPLY), 1);
    text = strdup(redis_server_str(f->server, "RPOP " REPLY));
    assert_int_equal(kombu_read(text, strlen(text), &k, &why), 0);
    assert_string_equal(json_string_value(json_object_get(k.headers, "ticket")), "t");
    assert_true(json_integer_value(json_object_get(k.headers, "clock")) > 100);

    _cleanup_json_ json_t *body = kombu_body(&k);

    assert_int_equal(json_object_size(body), 1);
    return json_incref(json_object_get(body, NODE));
}

static void assert_answer(struct fixture *f, const char *method, const char *arguments, const char *expected)
{
    _cleanup_json_ json_t *reply = ask(f, method, arguments),
                          *e = json_loads(expected, JSON_DECODE_ANY, NULL);
    _cleanup_free_ char *text = json_dumps(reply, JSON_ENCODE_ANY);

    assert_non_null(e);
    if (!json_equal(reply, e))
        fail_msg("%s answers %s", method, text);
}

/* --- tests */

static void looks(void **state)
{
    struct fixture *f = *state;
    static const char *const lists[] = {"active",    "dump_active",   "reserved",     "dump_reserved",
                                        "scheduled", "dump_schedule", "dump_revoked", "revoked"};
    static const char *const objects[] = {"stats", "conf", "dump_conf", "clock", "report"};

    assert_answer(f, "ping", "{}", "{\"ok\": \"pong\"}");
    assert_answer(f, "ping", "{\"unknown\": [1]}", "{\"ok\": \"pong\"}");
    assert_answer(f, "query_task", "{\"ids\": [\"a\", 1]}", "{}");
    assert_answer(f, "query_task", "{}", "{}");
    assert_answer(f, "registered", "{\"taskinfoitems\": [\"rate_limit\"]}",
                  "[\"decant.convert\", \"decant.convert_file\", \"decant.preview\"]");
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        assert_answer(f, lists[i], "{\"safe\": 1}", "[]");
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        _cleanup_json_ json_t *reply = ask(f, objects[i], "{}");

        assert_true(json_object_size(reply) > 0 && !json_object_get(reply, "error"));
    }
}

static void stats_are_complete(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *stats = ask(f, "stats", "{}");
    const json_t *pool = json_object_get(stats, "pool"), *broker = json_object_get(stats, "broker");

    assert_int_equal(json_integer_value(json_object_get(stats, "pid")), getpid());
    assert_int_equal(json_integer_value(json_object_get(pool, "max-concurrency")), 3);
    assert_string_equal(json_string_value(json_object_get(broker, "transport")), "redis");
    assert_string_equal(json_string_value(json_object_get(broker, "hostname")), "unix");
    assert_int_equal(json_object_size(json_object_get(stats, "rusage")), 16);
    assert_true(json_is_object(json_object_get(stats, "total")));
}

static void only_who_is_meant_answers(void **state)
{
    struct fixture *f = *state;

    send_command(f, "ping", "{}", "\"destination\": [\"other@test\"],");
    send_command(f, "ping", "{}", "\"pattern\": \"other*\", \"matcher\": \"glob\",");
    /* an answer to either would have come before this one */
    assert_answer(f, "registered", "null",
                  "[\"decant.convert\", \"decant.convert_file\", \"decant.preview\"]");
}

static void malformed_messages_are_forgotten(void **state)
{
    struct fixture *f = *state;
    static const char *const messages[] = {
        "", "x", "{}", "[[[[", "{\"body\": 1, \"headers\": {}, \"properties\": {}}", "\xff\xfe", "null"};

    for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
        redis_server_do(f->server, "PUBLISH /0.celery.pidbox %s", messages[i]);
    redis_server_do(f->server, "PUBLISH /0.celery.pidbox %b", "{\0}", (size_t)3);
    send_command(f, "", "{}", "");
    send_command(f, "ping", "[1]", "");
    assert_answer(f, "ping", "{}", "{\"ok\": \"pong\"}");
    assert_answer(f, "no_such_thing", "{}", "{\"error\": \"KeyError('no_such_thing')\"}");
}

static void what_is_refused_says_why(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method, *arguments;
    } cases[] = {
        {"autoscale", "{\"max\": 3, \"min\": 1}"},
        {"election", "{\"id\": \"1\", \"topic\": \"task\"}"},
        {"objgraph", "{}"},
        {"memsample", "{}"},
        {"memdump", "{}"},
        {"time_limit", "{\"task_name\": \"decant.convert\", \"hard\": 3}"},
        {"time_limit", "{\"task_name\": \"x\"}"},
        {"rate_limit", "{\"task_name\": \"decant.convert\", \"rate_limit\": \"10/m\"}"},
        {"rate_limit", "{\"task_name\": \"x\", \"rate_limit\": 0}"},
        {"add_consumer", "{\"queue\": \"other\"}"},
        {"add_consumer", "{}"},
        {"pool_grow", "{\"n\": 1}"},
        {"pool_grow", "{\"n\": -1}"},
        {"pool_grow", "{\"n\": \"x\"}"},
        {"pool_shrink", "{\"n\": 3}"},
        {"pool_shrink", "{\"n\": 99999999999}"},
        {"revoke", "{}"},
        {"revoke", "{\"task_id\": 1}"},
        {"revoke", "{\"task_id\": \"a\", \"terminate\": 1, \"signal\": \"FOO\"}"},
        {"terminate", "{\"task_id\": \"a\", \"signal\": 1000}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *reply = ask(f, cases[i].method, cases[i].arguments);

        if (!json_string_length(json_object_get(reply, "error")))
            fail_msg("%s %s", cases[i].method, cases[i].arguments);
    }
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:revoked"), 0);
    assert_answer(f, "rate_limit", "{\"task_name\": \"decant.convert\", \"rate_limit\": \"0\"}",
                  "{\"ok\": \"rate limit disabled successfully\"}");
}

static void changes(void **state)
{
    struct fixture *f = *state;

    assert_answer(f, "pool_shrink", "{\"n\": 2}", "{\"ok\": \"pool will shrink\"}");
    assert_int_equal(claimer_limit(f->claimer), 1);
    assert_answer(f, "pool_grow", "{}", "{\"ok\": \"pool will grow\"}");
    assert_int_equal(claimer_limit(f->claimer), 2);
    assert_answer(f, "pool_restart", "{\"modules\": null}", "{\"ok\": \"reload started\"}");
    assert_int_equal(reloads, 1);
    assert_answer(f, "cancel_consumer", "{\"queue\": \"other\"}",
                  "{\"ok\": \"no longer consuming from other\"}");
    send_command(f, "shutdown", "{}", "");
    assert_answer(f, "ping", "{}", "{\"ok\": \"pong\"}"); /* and shutdown has had no answer */
    assert_int_equal(shutdowns, 1);
}

/* "decant decant.images" */
static void assert_queues(struct fixture *f, const char *expected)
{
    _cleanup_json_ json_t *queues = ask(f, "active_queues", "{}");
    _cleanup_buf_ struct buf names = BUF_INIT(200);
    const json_t *queue;
    size_t i;

    assert_true(json_is_array(queues));
    json_array_foreach(queues, i, queue)
    {
        assert_int_equal(json_object_size(queue), 15);
        buf_printf(&names, "%s%s", i > 0 ? " " : "", json_string_value(json_object_get(queue, "name")));
    }
    assert_string_equal(names.data ? names.data : "", expected);
}

static void change_consumer(struct fixture *f, const char *method, const char *queue, const char *says)
{
    char arguments[80], answer[120];

    snprintf(arguments, sizeof arguments, "{\"queue\": \"%s\"}", queue);
    snprintf(answer, sizeof answer, "{\"ok\": \"%s %s\"}", says, queue);
    assert_answer(f, method, arguments, answer);
}

static void queues_are_left_and_taken_up_again(void **state)
{
    struct fixture *f = *state;

    assert_queues(f, "decant decant.images decant.pdf");
    change_consumer(f, "cancel_consumer", "other", "no longer consuming from");
    assert_queues(f, "decant decant.images decant.pdf");
    change_consumer(f, "cancel_consumer", "decant.images", "no longer consuming from");
    assert_queues(f, "decant decant.pdf");
    change_consumer(f, "cancel_consumer", "decant", "no longer consuming from");
    change_consumer(f, "cancel_consumer", "decant.pdf", "no longer consuming from");
    assert_queues(f, "");
    assert_int_equal(claimer_consumes(f->claimer), 0);
    change_consumer(f, "add_consumer", "decant.images", "add consumer");
    change_consumer(f, "add_consumer", "decant", "add consumer");
    assert_queues(f, "decant decant.images");

    /* One that it has no engine for. */
    _cleanup_json_ json_t *reply = ask(f, "add_consumer", "{\"queue\": \"decant.documents\"}");

    assert_non_null(json_string_value(json_object_get(reply, "error")));
    assert_queues(f, "decant decant.images");
}

static void revocations_are_remembered_for_all(void **state)
{
    struct fixture *f = *state;

    assert_answer(f, "revoke", "{\"task_id\": [\"a\", \"b\"], \"terminate\": false}",
                  "{\"ok\": \"tasks a, b flagged as revoked\"}");
    assert_answer(f, "revoke", "{\"task_id\": \"c\", \"terminate\": 0, \"signal\": \"FOO\"}",
                  "{\"ok\": \"tasks c flagged as revoked\"}");
    assert_answer(f, "revoke", "{\"task_id\": [\"d\"], \"terminate\": 1, \"signal\": \"SIGKILL\"}",
                  "{\"ok\": \"terminate: tasks unknown\"}");
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:revoked"), 4);

    _cleanup_json_ json_t *ids = ask(f, "revoked", "{}");

    assert_int_equal(json_array_size(ids), 4);
}

/* A Celery worker starts beside us: each learns what the other knows. */
static void a_stock_worker_says_hello(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *first = ask(f, "hello", "{\"from_node\": \"py@test\", \"revoked\": {}}");

    assert_int_equal(json_object_size(json_object_get(first, "revoked")), 0);
    assert_true(json_integer_value(json_object_get(first, "clock")) > 100);

    _cleanup_json_ json_t *second =
        ask(f, "hello", "{\"from_node\": \"py@test\", \"revoked\": {\"a\": [12.5, \"a\"], \"b\": 3.5}}");
    const json_t *a = json_object_get(json_object_get(second, "revoked"), "a");

    assert_true(json_is_real(json_array_get(a, 0)));
    assert_string_equal(json_string_value(json_array_get(a, 1)), "a");
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:revoked"), 2);
    assert_answer(f, "hello", "{\"from_node\": \"" NODE "\"}", "null");
}

static void events_are_off_until_asked_for(void **state)
{
    struct fixture *f = *state;

    wait_heard(f, "worker.heartbeat");
    assert_non_null(strstr(f->heard.data, "\"freq\": 2.0"));
    assert_non_null(strstr(f->heard.data, "\"sw_ident\": \"decant\""));
    assert_non_null(strstr(f->heard.data, "\"hostname\": \"" NODE "\""));
    assert_answer(f, "disable_events", "{}", "{\"ok\": \"task events already disabled\"}");
    assert_false(task_events_enabled(f->events));
    assert_answer(f, "enable_events", "{}", "{\"ok\": \"task events enabled\"}");
    assert_answer(f, "enable_events", "{}", "{\"ok\": \"task events already enabled\"}");
    assert_true(task_events_enabled(f->events));
    assert_answer(f, "disable_events", "{}", "{\"ok\": \"task events disabled\"}");
    assert_answer(f, "heartbeat", "{}", "null");
    task_events_offline(f->events);
    wait_heard(f, "worker.offline");
}

static json_t *last_event(struct fixture *f, const char *type)
{
    const char *text = wait_heard(f, type), *line = strchr(strstr(text, type), ' ');
    _cleanup_json_ json_t *event = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);

    assert_non_null(event);
    return TAKE_PTR(event);
}

static const char *text_in(const json_t *event, const char *key)
{
    return json_string_value(json_object_get(event, key));
}

/* Each end of a task by its own event. */
static void tasks_are_followed(void **state)
{
    struct fixture *f = *state;
    struct queue_claim claim = {
        .id = (char *)"the-id",
        .name = (char *)"decant.convert",
        .message = (char *)"{\"headers\": {\"id\": \"the-id\", \"task\": \"decant.convert\"},"
                           "\"properties\": {}, \"body\": \"[[],{\\\"name\\\": \\\"s\\\"},{}]\","
                           "\"content-type\": \"application/json\","
                           "\"content-encoding\": \"utf-8\"}"};
    _cleanup_json_ json_t *value = json_pack("{s:i}", "pages", 3);

    task_events_started(f->events, &claim); /* counted, and not told */
    task_events_over(f->events);
    claim.name = (char *)"decant.convert_file";
    task_events_started(f->events, &claim);
    task_events_over(f->events);
    claim.name = (char *)"decant.convert";
    assert_int_equal(task_events_counts(f->events).processed, 2);
    assert_int_equal(task_events_counts(f->events).processed_of[task_index(TASK_CONVERT_FILE)], 1);
    assert_int_equal(task_events_counts(f->events).active, 0);
    task_events_enable(f->events, true);
    task_events_received(f->events, &claim);
    task_events_started(f->events, &claim);
    task_events_ended(f->events, &claim, &(struct queue_result){.state = QUEUE_SUCCESS, .result = value},
                      &(struct task_end){.begun = true, .runtime_ms = 1500});
    task_events_ended(
        f->events, &claim,
        &(struct queue_result){.state = QUEUE_FAILURE, .exc_type = "timed_out", .exc_message = "It's late."},
        &(struct task_end){.begun = true});
    task_events_ended(f->events, &claim,
                      &(struct queue_result){.state = QUEUE_REVOKED, .exc_message = QUEUE_EXPIRED},
                      &(struct task_end){0});
    task_events_ended(f->events, &claim, &(struct queue_result){.state = QUEUE_REJECTED},
                      &(struct task_end){0});
    task_events_ended(f->events, &claim, &(struct queue_result){0},
                      &(struct task_end){.begun = true, .requeued = true, .why = "it ended"});

    _cleanup_json_ json_t *retried = last_event(f, "task.retried"),
                          *received = last_event(f, "task.received"),
                          *succeeded = last_event(f, "task.succeeded"),
                          *failed = last_event(f, "task.failed"), *revoked = last_event(f, "task.revoked"),
                          *rejected = last_event(f, "task.rejected"),
                          *started = last_event(f, "task.started");

    assert_string_equal(text_in(received, "kwargs"), "{'name': '...'}");
    assert_string_equal(text_in(started, "uuid"), "the-id");
    assert_string_equal(text_in(succeeded, "result"), "{'pages': 3}");
    assert_true(json_real_value(json_object_get(succeeded, "runtime")) == 1.5);
    assert_string_equal(text_in(failed, "exception"), "timed_out('It\\'s late.')");
    assert_non_null(strstr(text_in(failed, "traceback"), "decant.convert[the-id]"));
    assert_true(json_is_true(json_object_get(revoked, "expired")));
    assert_true(json_is_false(json_object_get(revoked, "terminated")));
    assert_true(json_is_false(json_object_get(rejected, "requeue")));
    assert_string_equal(text_in(retried, "exception"), "Retry('it ended')");
    assert_null(strstr(strstr(f->heard.data, "task.started") + 1, "task.started"));
}

static void names_are_checked(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"a b", "a\n", "ü",
                                      "0123456789012345678901234567890123456789012345678901234567890123"
                                      "0123456789012345678901234567890123456789012345678901234567890123"};
    struct task_events_config config = {.loop = &f->loop, .queue = f->queue};
    struct task_events *e;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        config.node = bad[i];
        assert_int_equal(task_events_new(&config, &e), -EINVAL);
    }
    config.node = NULL;
    assert_int_equal(task_events_new(&config, &e), 0);
    assert_true(str_starts(task_events_node(e), "decant@"));
    task_events_free(e);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(looks),
        TEST(stats_are_complete),
        TEST(only_who_is_meant_answers),
        TEST(malformed_messages_are_forgotten),
        TEST(what_is_refused_says_why),
        TEST(changes),
        TEST(queues_are_left_and_taken_up_again),
        TEST(revocations_are_remembered_for_all),
        TEST(a_stock_worker_says_hello),
        TEST(events_are_off_until_asked_for),
        TEST(tasks_are_followed),
        TEST(names_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
