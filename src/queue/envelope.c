/* Reading is strict, because whatever can write to Redis writes here: types are checked one by one, sizes are
 * bounded by the message's own bound, and what we don't support (other serializers and compressions,
 * chords) is refused with a reason instead of being run by halves. */
#include "queue/envelope.h"

#include "core/str.h"
#include "queue/iso_time.h"
#include "queue/repr.h"

#include <errno.h>

enum { RETRIES_MAX = 1000000 };

unsigned envelope_step(unsigned priority)
{
    return priority > 9 ? 3 : priority / 3;
}

/* "O" takes a reference of its own and gives it back: what the caller sees does not change. */
static json_t *make_body(const struct envelope_task *task, const json_t *kwargs)
{
    _cleanup_json_ json_t *args = task->args ? json_incref((json_t *)task->args) : json_array();

    return json_pack("[O, O, {s:O?, s:O?, s:O?, s:n}]", args, (json_t *)kwargs, "callbacks",
                     (json_t *)task->callbacks, "errbacks", (json_t *)task->errbacks, "chain",
                     (json_t *)task->chain, "chord");
}

int envelope_encode(const struct envelope_task *task, char **ret_message)
{
    _cleanup_json_ json_t *kwargs = task->kwargs ? json_incref((json_t *)task->kwargs) : json_object();
    _cleanup_json_ json_t *shown = repr_kwargs(kwargs);
    _cleanup_free_ char *repr = repr_python(shown);

    if (!repr)
        return -ENOMEM;

    _cleanup_json_ json_t *body = make_body(task, kwargs);
    _cleanup_json_ json_t *headers = json_pack(
        "{s:s, s:s, s:s, s:n, s:s?, s:s?, s:s?, s:O?, s:i, s:[n, n], s:s, s:s?, s:s, s:s, s:s, s:b}", "lang",
        "c", "task", task->name, "id", task->id, "shadow", "eta", task->eta, "expires", task->expires,
        "group", task->group_id, "group_index", (json_t *)task->group_index, "retries", 0, "timelimit",
        "root_id", task->root_id ? task->root_id : task->id, "parent_id", task->parent_id, "argsrepr",
        json_array_size(task->args) > 0 ? "(...)" : "()", "kwargsrepr", repr, "origin", task->origin,
        "ignore_result", task->ignore_result);
    if (task->traceparent) /* where OpenTelemetry's instrumentation of Celery has it */
        json_object_set_new(headers, "traceparent", json_string(task->traceparent));

    _cleanup_json_ json_t *properties = kombu_properties("", task->queue, 2, task->priority);

    if (!properties || json_object_set_new(properties, "correlation_id", json_string(task->id)) < 0 ||
        json_object_set_new(properties, "reply_to", json_string(task->reply_to)) < 0)
        return -EINVAL;

    _cleanup_free_ char *text = NULL;
    int r = kombu_write(body, headers, properties, &text);

    if (r < 0)
        return r;
    if (strlen(text) > ENVELOPE_MAX_BYTES - ENVELOPE_STAMP_BYTES)
        return -EMSGSIZE;
    *ret_message = TAKE_PTR(text);
    return 0;
}

int envelope_encode_retry(const char *message, char **ret_message)
{
    _cleanup_json_ json_t *m = json_loads(message, JSON_REJECT_DUPLICATES, NULL);
    json_t *headers = json_object_get(m, "headers");
    json_int_t retries = json_integer_value(json_object_get(headers, "retries"));

    if (!headers || json_object_set_new(headers, "retries", json_integer(retries + 1)) < 0)
        return -EINVAL;

    _cleanup_free_ char *text = json_dumps(m, JSON_COMPACT);

    if (!text)
        return -ENOMEM;
    if (strlen(text) > ENVELOPE_MAX_BYTES)
        return -EMSGSIZE;
    *ret_message = TAKE_PTR(text);
    return 0;
}

void envelope_free(struct envelope *e)
{
    free(e->id);
    free(e->name);
    free(e->reply_to);
    free(e->group_id);
    free(e->parent_id);
    free(e->root_id);
    json_decref(e->callbacks);
    json_decref(e->errbacks);
    json_decref(e->chain);
    json_decref(e->args);
    json_decref(e->kwargs);
    *e = (struct envelope){0};
}

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

/* Absent and null are the same to Celery. */
static bool given(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value && !json_is_null(value);
}

static int copy_string(const json_t *object, const char *key, char **ret)
{
    const char *value = json_string_value(json_object_get(object, key));

    if (value && !(*ret = strdup(value)))
        return -ENOMEM;
    return 0;
}

static int read_time(const json_t *headers, const char *key, uint64_t *ret)
{
    if (!given(headers, key))
        return 0;
    return iso_time_parse(json_string_value(json_object_get(headers, key)), ret);
}

/* Lists of signatures, which follow.h looks at more closely. */
static int read_embed(const json_t *embed, struct envelope *e, const char **ret_reason)
{
    const struct {
        const char *key;
        json_t **list;
    } lists[] = {{"callbacks", &e->callbacks}, {"errbacks", &e->errbacks}, {"chain", &e->chain}};

    if (given(embed, "chord"))
        return refuse(ret_reason, "chords are not supported");
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        json_t *list = json_object_get(embed, lists[i].key);

        if (given(embed, lists[i].key) && !json_is_array(list))
            return refuse(ret_reason, "callbacks, errbacks and chain have to be lists");
        *lists[i].list = json_array_size(list) > 0 ? json_incref(list) : NULL;
    }
    return 0;
}

static int decode_body(const struct kombu *k, struct envelope *e, const char **ret_reason)
{
    _cleanup_json_ json_t *body = NULL;
    int r = kombu_load_body(k, &body, ret_reason);
    json_t *args = json_array_get(body, 0), *kwargs = json_array_get(body, 1),
           *embed = json_array_get(body, 2);

    if (r < 0)
        return r;
    if (json_array_size(body) != 3 || !json_is_array(args) || !json_is_object(kwargs) ||
        !(json_is_object(embed) || json_is_null(embed)))
        return refuse(ret_reason, "the body is not [args, kwargs, embed]");
    r = read_embed(embed, e, ret_reason);
    if (r < 0)
        return r;
    e->args = json_incref(args);
    e->kwargs = json_incref(kwargs);
    return 0;
}

static int decode_headers(const json_t *headers, struct envelope *e, const char **ret_reason)
{
    json_int_t retries;

    if (!json_string_length(json_object_get(headers, "id")) ||
        !json_string_length(json_object_get(headers, "task")))
        return refuse(ret_reason, "no task or no id in the headers: not message protocol 2");
    if (read_time(headers, "eta", &e->eta_ms) < 0 || read_time(headers, "expires", &e->expires_ms) < 0)
        return refuse(ret_reason, "eta or expires is not a time in ISO 8601");
    if (!trace_parse(json_string_value(json_object_get(headers, "traceparent")), &e->trace))
        e->trace = (struct trace){0};
    e->ignore_result = json_is_true(json_object_get(headers, "ignore_result"));
    retries = json_integer_value(json_object_get(headers, "retries"));
    e->retries = retries > 0 && retries < RETRIES_MAX ? (uint64_t)retries : 0;
    if (copy_string(headers, "id", &e->id) < 0 || copy_string(headers, "task", &e->name) < 0 ||
        copy_string(headers, "group", &e->group_id) < 0 ||
        copy_string(headers, "parent_id", &e->parent_id) < 0 ||
        copy_string(headers, "root_id", &e->root_id) < 0)
        return -ENOMEM;
    return 0;
}

/* What the queue has put at the message's front: [milliseconds, round, place] (scripts/common.lua). */
static uint64_t read_stamp(const json_t *whole)
{
    json_int_t ms = json_integer_value(json_array_get(json_object_get(whole, "decant"), 0));

    return ms > 0 ? (uint64_t)ms : 0;
}

int envelope_decode(const char *message, size_t len, struct envelope *ret, const char **ret_reason)
{
    _cleanup_envelope_ struct envelope e = {0};
    _cleanup_kombu_ struct kombu k = {0};
    int r = kombu_read(message, len, &k, ret_reason);

    e.queued_ms = read_stamp(k.whole);
    if (r == 0)
        r = decode_headers(k.headers, &e, ret_reason);
    if (r == 0)
        r = decode_body(&k, &e, ret_reason);
    if (r == 0)
        r = copy_string(k.properties, "reply_to", &e.reply_to);
    if (r < 0)
        return r;
    *ret = e;
    e = (struct envelope){0};
    return 0;
}
