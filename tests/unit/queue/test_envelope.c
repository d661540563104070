#include "core/str.h"
#include "queue/envelope.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <zlib.h>

#include <cmocka.h>

#define ID  "b0410a91-1b15-49cf-9e75-98342b467ba9"
#define SID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *encode(const json_t *kwargs, unsigned priority)
{
    char *message = NULL;

    assert_int_equal(envelope_encode(&(struct envelope_task){.id = ID,
                                                             .name = "decant.convert",
                                                             .kwargs = kwargs,
                                                             .priority = priority,
                                                             .queue = "decant",
                                                             .origin = "gen1@host",
                                                             .reply_to = "r"},
                                     &message),
                     0);
    return message;
}

static void assert_object(const json_t *object, const char *expected)
{
    _cleanup_json_ json_t *e = json_loads(expected, 0, NULL);

    assert_non_null(e);
    if (!json_equal((json_t *)object, e)) {
        _cleanup_free_ char *text = json_dumps(object, JSON_INDENT(1));
        fail_msg("%s", text);
    }
}

/* Every member that Celery 5.2.6 writes, from the capture of one of its messages. */
static void test_as_celery_writes(void **state)
{
    _cleanup_json_ json_t *kwargs =
        json_pack("{s:s, s:s, s:s}", "job_id", ID, "session_id", SID, "to", "pdf");
    _cleanup_free_ char *message = encode(kwargs, 4), *again = encode(kwargs, 4);
    _cleanup_json_ json_t *m = json_loads(message, JSON_REJECT_DUPLICATES, NULL);
    const char *b64 = json_string_value(json_object_get(m, "body"));
    unsigned char body[1024] = "";
    size_t n;

    assert_object(json_object_get(m, "headers"),
                  "{\"lang\": \"c\", \"task\": \"decant.convert\", \"id\": \"" ID "\", \"shadow\": null,"
                  "\"eta\": null, \"expires\": null, \"group\": null, \"group_index\": null, \"retries\": 0,"
                  "\"timelimit\": [null, null], \"root_id\": \"" ID "\", \"parent_id\": null,"
                  "\"argsrepr\": \"()\","
                  "\"kwargsrepr\": \"{'job_id': '" ID "', 'session_id': '...', 'to': '...'}\","
                  "\"origin\": \"gen1@host\", \"ignore_result\": false}");
    assert_true(
        id_is_uuid(json_string_value(json_object_get(json_object_get(m, "properties"), "delivery_tag"))));
    json_object_del(json_object_get(m, "properties"), "delivery_tag");
    assert_object(json_object_get(m, "properties"),
                  "{\"correlation_id\": \"" ID "\", \"reply_to\": \"r\", \"delivery_mode\": 2,"
                  "\"delivery_info\": {\"exchange\": \"\", \"routing_key\": \"decant\"}, \"priority\": 4,"
                  "\"body_encoding\": \"base64\"}");
    assert_string_equal(json_string_value(json_object_get(m, "content-type")), "application/json");
    assert_string_equal(json_string_value(json_object_get(m, "content-encoding")), "utf-8");
    assert_int_equal(sodium_base642bin(body, sizeof body - 1, b64, strlen(b64), NULL, &n, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);

    _cleanup_json_ json_t *b = json_loadb((char *)body, n, 0, NULL);

    assert_object(b, "[[], {\"job_id\": \"" ID "\", \"session_id\": \"" SID "\", \"to\": \"pdf\"},"
                     "{\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]");
    assert_string_not_equal(message, again); /* the delivery tag is fresh */
}

static void test_round_trip(void **state)
{
    _cleanup_json_ json_t *kwargs =
        json_pack("{s:[], s:{}, s:s, s:n}", "list", "object", "text", "ü😀\n", "n");
    _cleanup_free_ char *message = encode(kwargs, 0);
    _cleanup_envelope_ struct envelope e = {0};
    const char *reason = NULL;

    assert_int_equal(envelope_decode(message, strlen(message), &e, &reason), 0);
    assert_string_equal(e.id, ID);
    assert_string_equal(e.name, "decant.convert");
    assert_string_equal(e.reply_to, "r");
    assert_true(json_equal(e.kwargs, kwargs));
    assert_int_equal(json_array_size(e.args), 0);
    assert_int_equal(e.eta_ms, 0);
    assert_int_equal(e.expires_ms, 0);
    assert_false(e.ignore_result);
}

/* The trace and the time go along; those of others are read where they are well-formed, and hinder nothing
 * where they aren't. */
static void test_trace_and_time(void **state)
{
    static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    _cleanup_free_ char *message = NULL, *stamped = NULL;
    _cleanup_envelope_ struct envelope e = {0};
    const char *reason = NULL;

    assert_int_equal(envelope_encode(&(struct envelope_task){.id = ID,
                                                             .name = "t",
                                                             .queue = "decant",
                                                             .origin = "o",
                                                             .reply_to = "r",
                                                             .traceparent = parent},
                                     &message),
                     0);
    assert_int_equal(asprintf(&stamped, "{\"decant\":[1795946341936,3,0],%s", message + 1) < 0, 0);
    assert_int_equal(envelope_decode(stamped, strlen(stamped), &e, &reason), 0);
    assert_string_equal(e.trace.id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(e.trace.span, "00f067aa0ba902b7");
    assert_true(e.queued_ms == 1795946341936);

    static const char *const others[] = {"[1]", "\"x\"", "null", "{}", "[-3]", "[1.5]", "[[1]]", "7"};

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        _cleanup_envelope_ struct envelope other = {0};
        _cleanup_json_ json_t *m = json_loads(message, 0, NULL),
                              *value = json_loads(others[i], JSON_DECODE_ANY, NULL);
        _cleanup_free_ char *text = NULL;
        json_t *headers = json_object_get(m, "headers");

        json_object_set(headers, "traceparent", value);
        json_object_set(m, "decant", value);
        text = json_dumps(m, 0);
        assert_int_equal(envelope_decode(text, strlen(text), &other, &reason), 0);
        assert_string_equal(other.trace.id, "");
        assert_int_equal(other.queued_ms, i == 0 ? 1 : 0);
    }
}

static void test_no_kwargs(void **state)
{
    _cleanup_free_ char *message = encode(NULL, 0);
    _cleanup_envelope_ struct envelope e = {0};
    const char *reason = NULL;

    assert_int_equal(envelope_decode(message, strlen(message), &e, &reason), 0);
    assert_int_equal(json_object_size(e.kwargs), 0);
}

static void test_steps(void **state)
{
    static const unsigned steps[] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3};

    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
        assert_int_equal(envelope_step(i), steps[i]);
}

static void test_too_large(void **state)
{
    _cleanup_free_ char *big = malloc(ENVELOPE_MAX_BYTES + 1);
    char *message = NULL;
    _cleanup_envelope_ struct envelope e = {0};
    const char *reason = NULL;

    memset(big, 'x', ENVELOPE_MAX_BYTES);
    big[ENVELOPE_MAX_BYTES] = '\0';
    assert_int_equal(envelope_decode(big, ENVELOPE_MAX_BYTES + 1, &e, &reason), -EBADMSG);
    for (size_t len = ENVELOPE_MAX_BYTES; len > ENVELOPE_MAX_BYTES / 2; len -= 100000) {
        big[len] = '\0';

        _cleanup_json_ json_t *kwargs = json_pack("{s:s}", "x", big);
        const struct envelope_task task = {
            .id = ID, .name = "n", .kwargs = kwargs, .queue = "q", .origin = "o", .reply_to = "r"};

        int r = envelope_encode(&task, &message);

        if (r == 0) {
            assert_true(strlen(message) <= ENVELOPE_MAX_BYTES);
            free(message);
            return;
        }
        assert_int_equal(r, -EMSGSIZE);
    }
    fail_msg("half a MiB does not fit");
}

static void test_not_json(void **state)
{
    char *message = NULL;

    assert_int_equal(
        envelope_encode(
            &(struct envelope_task){.id = ID, .name = "\xff", .queue = "q", .origin = "o", .reply_to = "r"},
            &message),
        -EINVAL);
    assert_null(message);
}

#define BODY "[[1], {\"a\": 2}, {\"callbacks\": null, \"errbacks\": [], \"chain\": null, \"chord\": null}]"

/* A good message with `change` merged into it and `body` in place of its own. */
static int decode_changed(const char *body, const char *change, struct envelope *e, const char **reason)
{
    char encoded[1024];
    _cleanup_json_ json_t *changes = json_loads(change, JSON_DECODE_ANY, NULL);
    _cleanup_json_ json_t *m =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s, s:i}}", "content-encoding", "utf-8", "content-type",
                  "application/json", "headers", "lang", "py", "task", "t", "id", "my-task", "properties",
                  "body_encoding", "base64", "priority", 0);

    sodium_bin2base64(encoded, sizeof encoded, (const unsigned char *)body, strlen(body),
                      sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new(m, "body", json_string(encoded));
    assert_non_null(changes);
    assert_int_equal(json_object_update_recursive(m, changes), 0);

    _cleanup_free_ char *text = json_dumps(m, 0);

    *reason = NULL;
    return envelope_decode(text, strlen(text), e, reason);
}

static void test_foreign(void **state)
{
    static const char *const fine[] = {
        "{}",
        "{\"content-encoding\": \"UTF-8\"}",
        "{\"headers\": {\"stamps\": {}, \"replaced_task_nesting\": 0, \"group\": null}}",
        "{\"properties\": {\"body_encoding\": null}, \"body\": \"[[1], {\\\"a\\\": 2}, null]\"}",
    };
    const char *reason;

    for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
        _cleanup_envelope_ struct envelope e = {0};

        assert_int_equal(decode_changed(BODY, fine[i], &e, &reason), 0);
        assert_int_equal(json_integer_value(json_array_get(e.args, 0)), 1);
        assert_int_equal(json_integer_value(json_object_get(e.kwargs, "a")), 2);
    }

    _cleanup_envelope_ struct envelope e = {0};

    assert_int_equal(
        decode_changed(BODY,
                       "{\"headers\": {\"eta\": \"1970-01-01T00:00:02\", \"expires\":"
                       "\"1970-01-01T00:00:03+00:00\", \"ignore_result\": true, \"group\": \"g\","
                       "\"parent_id\": \"p\"}}",
                       &e, &reason),
        0);
    assert_int_equal(e.eta_ms, 2000);
    assert_int_equal(e.expires_ms, 3000);
    assert_true(e.ignore_result);
    assert_string_equal(e.group_id, "g");
    assert_string_equal(e.parent_id, "p");
}

static void test_refused(void **state)
{
    static const struct {
        const char *body, *change;
    } bad[] = {
        {BODY, "{\"content-type\": \"application/x-python-serialize\"}"}, /* pickle */
        {BODY, "{\"content-type\": null}"},
        {BODY, "{\"content-encoding\": \"binary\"}"},
        {BODY, "{\"headers\": []}"},
        {BODY, "{\"headers\": {\"id\": null}}"},
        {BODY, "{\"headers\": {\"id\": \"\"}}"},
        {BODY, "{\"headers\": {\"task\": 5}}"},
        {BODY, "{\"headers\": {\"eta\": 5}}"},
        {BODY, "{\"headers\": {\"expires\": \"soon\"}}"},
        {BODY, "{\"headers\": {\"compression\": \"application/x-gzip\"}}"}, /* it is not */
        {BODY, "{\"headers\": {\"compression\": \"application/x-bz2\"}}"},
        {BODY, "{\"headers\": {\"compression\": 5}}"},
        {BODY, "{\"properties\": null}"},
        {BODY, "{\"properties\": {\"body_encoding\": \"rot13\"}}"},
        {BODY, "{\"body\": 5}"},
        {BODY, "{\"body\": null}"},
        {BODY, "{\"body\": \"?\"}"},
        {BODY, "{\"body\": \"W10=x\"}"},
        {"", "{}"},
        {"[]", "{}"},
        {"{}", "{}"},
        {"[[], {}]", "{}"},
        {"[[], {}, {}, {}]", "{}"},
        {"[{}, {}, {}]", "{}"},
        {"[[], [], {}]", "{}"},
        {"[[], {}, 1]", "{}"},
        {"[[], {\"a\": 1, \"a\": 2}, {}]", "{}"},
        {"[[], {\"a\": \"\\u0000\"}, {}]", "{}"},
        {"[[], {\"a\": \"\xff\"}, {}]", "{}"},
        {"[[], {}, {\"callbacks\": {\"task\": \"x\"}}]", "{}"},
        {"[[], {}, {\"errbacks\": \"x\"}]", "{}"},
        {"[[], {}, {\"chain\": 1}]", "{}"},
        {"[[], {}, {\"chord\": {\"task\": \"x\"}}]", "{}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_envelope_ struct envelope e = {0};
        const char *reason;

        assert_int_equal(decode_changed(bad[i].body, bad[i].change, &e, &reason), -EBADMSG);
        assert_non_null(reason);
        assert_null(e.id);
    }
}

/* The body packed as kombu packs it: `len` bytes, of which `cut` are left out at the end and `more` added. */
static int decode_packed(const char *body, size_t len, size_t cut, const char *more, struct envelope *e,
                         const char **reason)
{
    uLong room = compressBound(len);
    _cleanup_free_ unsigned char *packed = malloc(room + strlen(more));

    assert_int_equal(compress(packed, &room, (const unsigned char *)body, len), Z_OK);
    room -= cut;
    memcpy(packed + room, more, strlen(more));
    room += strlen(more);

    size_t size = sodium_base64_encoded_len(room, sodium_base64_VARIANT_ORIGINAL);
    _cleanup_free_ char *encoded = malloc(size);

    sodium_bin2base64(encoded, size, packed, room, sodium_base64_VARIANT_ORIGINAL);

    _cleanup_json_ json_t *m =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s}}", "body", encoded, "content-encoding", "utf-8",
                  "content-type", "application/json", "headers", "task", "t", "id", "my-task", "compression",
                  "application/x-gzip", "properties", "body_encoding", "base64");
    _cleanup_free_ char *text = json_dumps(m, 0);

    *reason = "";
    return envelope_decode(text, strlen(text), e, reason);
}

/* [["xxx…"], {}, {}], of that many bytes. */
static char *long_body(size_t len)
{
    static const char head[] = "[[\"", tail[] = "\"], {}, {}]";
    char *body = malloc(len + 1);

    memset(body, 'x', len);
    memcpy(body, head, strlen(head));
    strcpy(body + len - strlen(tail), tail);
    return body;
}

static void test_packed(void **state)
{
    static const size_t lengths[] = {100, 4096, 4097, 100000, ENVELOPE_MAX_BYTES};
    const char *reason;

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        _cleanup_envelope_ struct envelope e = {0};
        _cleanup_free_ char *body = long_body(lengths[i]);

        assert_int_equal(decode_packed(body, lengths[i], 0, "", &e, &reason), 0);
        assert_int_equal(json_string_length(json_array_get(e.args, 0)), lengths[i] - 14);
    }

    _cleanup_envelope_ struct envelope e = {0};

    assert_int_equal(decode_packed(BODY, strlen(BODY), 1, "", &e, &reason), -EBADMSG);
    assert_string_equal(reason, "the compressed body is damaged");
    assert_int_equal(decode_packed(BODY, strlen(BODY), strlen(BODY) / 2, "", &e, &reason), -EBADMSG);
    assert_int_equal(decode_packed(BODY, strlen(BODY), 0, "more", &e, &reason), -EBADMSG);
    assert_int_equal(decode_packed("", 0, 0, "", &e, &reason), -EBADMSG);
    assert_string_equal(reason, "the body is not JSON in base64");
}

/* Little that unpacks to much. */
static void test_bombs(void **state)
{
    static const size_t lengths[] = {ENVELOPE_MAX_BYTES + 1, 2 * ENVELOPE_MAX_BYTES,
                                     200 * ENVELOPE_MAX_BYTES};
    const char *reason;

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        _cleanup_envelope_ struct envelope e = {0};
        _cleanup_free_ char *body = long_body(lengths[i]);

        assert_int_equal(decode_packed(body, lengths[i], 0, "", &e, &reason), -EBADMSG);
        assert_string_equal(reason, "the body unpacks to more than a message may be");
    }
}

static void test_garbage(void **state)
{
    static const char *const bad[] = {"", "null", "[]", "{", "{}", "{\"headers\": {}}", "\xff\xfe", "{}{}"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_envelope_ struct envelope e = {0};
        const char *reason = NULL;

        assert_int_equal(envelope_decode(bad[i], strlen(bad[i]), &e, &reason), -EBADMSG);
        assert_non_null(reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_celery_writes), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_kwargs),        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_too_large),        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_foreign),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_packed),           cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_garbage),          cmocka_unit_test(test_trace_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
