/* Events, and what they and `celery inspect` tell of a task. */
#include "core/clock.h"
#include "core/str.h"
#include "queue/describe.h"
#include "queue/envelope.h"
#include "queue/event.h"
#include "queue/lamport.h"
#include "queue/repr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define ID  "b0410a91-1b15-49cf-9e75-98342b467ba9"
#define SID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void assert_same(const json_t *object, const char *expected)
{
    _cleanup_json_ json_t *e = json_loads(expected, 0, NULL);

    assert_non_null(e);
    if (!json_equal((json_t *)object, e)) {
        _cleanup_free_ char *text = json_dumps(object, JSON_INDENT(1));
        fail_msg("%s", text);
    }
}

/* Every member that Celery 5.2.6 writes; the two that change are looked at apart. */
static void test_event(void **state)
{
    _cleanup_json_ json_t *fields = json_pack("{s:s}", "uuid", ID);
    struct event e = {.type = "task-started", .node = "decant@host", .clock = 42, .fields = fields};
    _cleanup_kombu_ struct kombu k = {0};
    _cleanup_free_ char *text = NULL;
    const char *why;

    setenv("TZ", "Asia/Kolkata", 1);
    tzset();
    assert_int_equal(event_encode(&e, &text), 0);
    unsetenv("TZ");
    tzset();
    assert_int_equal(kombu_read(text, strlen(text), &k, &why), 0);
    assert_same(k.headers, "{\"hostname\": \"decant@host\"}");
    json_object_del((json_t *)k.properties, "delivery_tag");
    assert_same(k.properties,
                "{\"delivery_mode\": 1, \"delivery_info\": {\"exchange\": \"celeryev\","
                "\"routing_key\": \"task.started\"}, \"priority\": 0, \"body_encoding\": \"base64\"}");

    _cleanup_json_ json_t *body = kombu_body(&k);
    double seconds = json_real_value(json_object_get(body, "timestamp"));

    assert_true(seconds <= (double)clock_real_ms() / 1000 + 1 &&
                seconds > (double)clock_real_ms() / 1000 - 60);
    assert_int_equal(json_integer_value(json_object_get(body, "pid")), getpid());
    json_object_del(body, "timestamp");
    json_object_del(body, "pid");
    /* five and a half hours east are -6, as Python's // has it */
    assert_same(body, "{\"hostname\": \"decant@host\", \"utcoffset\": -6, \"clock\": 42,"
                      "\"type\": \"task-started\", \"uuid\": \"" ID "\"}");
}

static void test_topics(void **state)
{
    char topic[EVENT_TOPIC_MAX];

    event_topic("task-started", topic);
    assert_string_equal(topic, "/0.celeryev/task.started");
    event_topic("worker-heartbeat", topic);
    assert_string_equal(topic, "/0.celeryev/worker.heartbeat");
}

static void test_clock(void **state)
{
    struct lamport l = {0};

    assert_int_equal(lamport_forward(&l), 1);
    assert_int_equal(lamport_adjust(&l, 10), 11);
    assert_int_equal(lamport_adjust(&l, 3), 12);
    assert_int_equal(lamport_adjust(&l, -5), 13);
    assert_int_equal(lamport_adjust(&l, INT64_MAX), 14);
    assert_int_equal(lamport_adjust(&l, LAMPORT_MAX - 1), LAMPORT_MAX);
    assert_int_equal(lamport_forward(&l), LAMPORT_MAX);
}

static void test_python_words(void **state)
{
    static const struct {
        const char *json, *python;
    } cases[] = {
        {"{\"a\": [1, -2, true, false, null, \"x\"]}", "{'a': [1, -2, True, False, None, 'x']}"},
        {"\"it's a \\\\ and a \\n\"", "'it\\'s a \\\\ and a \\x0a'"},
        {"[[[[[[[[[1]]]]]]]]]", "[[[[[[[[...]]]]]]]]"},
        {"{}", "{}"},
        {"0.5", "0.5"},
    };
    char large[REPR_MAX_BYTES + 2] = "";

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *value = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        _cleanup_free_ char *text = repr_python(value);

        assert_string_equal(text, cases[i].python);
    }
    memset(large, 'x', sizeof large - 1);

    _cleanup_json_ json_t *value = json_pack("{s:s}", "a", large);
    _cleanup_free_ char *text = repr_python(value);

    assert_string_equal(text, "{...}");
}

/* A message of a stranger's, who says more in it than anybody should read. */
static char *message(void)
{
    _cleanup_json_ json_t *body =
        json_pack("[[s, s, i], {s:s, s:s, s:s, s:[], s:s}, {}]", ID, "Secret.docx", 7, "job_id", ID,
                  "session_id", SID, "name", "Secret.docx", "options", "Not/a/Name", "x");
    _cleanup_json_ json_t *headers =
        json_pack("{s:s, s:s, s:s, s:n, s:s, s:s, s:i, s:s, s:s}", "task", "decant.convert", "id", ID, "eta",
                  "2026-11-21T16:14:29+00:00", "expires", "root_id", ID, "parent_id", "p", "retries", 2,
                  "argsrepr", "('Secret.docx',)", "kwargsrepr", "{'name': 'Secret.docx'}");
    _cleanup_json_ json_t *properties = kombu_properties("", "decant", 2, 4);
    char *text = NULL;

    assert_int_equal(kombu_write(body, headers, properties, &text), 0);
    return text;
}

static void test_descriptions(void **state)
{
    _cleanup_free_ char *text = message();
    _cleanup_json_ json_t *task = describe_task(text, strlen(text), false),
                          *as_text = describe_task(text, strlen(text), true),
                          *received = describe_received(text, strlen(text)),
                          *sent = describe_sent(text, strlen(text));

    assert_same(task, "{\"id\": \"" ID "\", \"name\": \"decant.convert\", \"type\": \"decant.convert\","
                      "\"args\": [\"" ID "\", \"...\", \"...\"], \"kwargs\": {\"job_id\": \"" ID "\","
                      "\"session_id\": \"...\", \"name\": \"...\", \"options\": \"...\"},"
                      "\"delivery_info\": {\"exchange\": \"\", \"routing_key\": \"decant\", \"priority\": 4,"
                      "\"redelivered\": false}}");
    assert_string_equal(json_string_value(json_object_get(as_text, "args")), "['" ID "', '...', '...']");
    assert_string_equal(json_string_value(json_object_get(as_text, "kwargs")),
                        "{'job_id': '" ID "', 'session_id': '...', 'name': '...', 'options': '...'}");
    assert_same(received,
                "{\"uuid\": \"" ID "\", \"name\": \"decant.convert\", \"args\": \"['" ID "', '...', '...']\","
                "\"kwargs\": \"{'job_id': '" ID "', 'session_id': '...', 'name': '...', 'options': '...'}\","
                "\"root_id\": \"" ID "\", \"parent_id\": \"p\", \"retries\": 2,"
                "\"eta\": \"2026-11-21T16:14:29+00:00\", \"expires\": null}");
    assert_string_equal(json_string_value(json_object_get(sent, "queue")), "decant");
    assert_null(describe_task("x", 1, false));
    assert_null(describe_received("{}", 2));
    assert_null(describe_sent("[]", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event),        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_clock),        cmocka_unit_test(test_python_words),
        cmocka_unit_test(test_descriptions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
