/* Reading is strict, because whatever can write to Redis writes here: types are checked one by one, sizes are
 * bounded by the message's own bound, and what we don't support (compressed bodies, other serializers,
 * callbacks and chains) is refused with a reason instead of being run by halves. */
#include "queue/envelope.h"

#include "core/buf.h"
#include "core/str.h"
#include "queue/iso_time.h"

#include <errno.h>
#include <sodium.h>
#include <strings.h>

enum { REPR_MAX_BYTES = 1024 };

unsigned envelope_step(unsigned priority)
{
    return priority > 9 ? 3 : priority / 3;
}

/* Monitors show this text. It tells ids (UUIDs) alone, never names, options or session ids. The form is
 * Python's. */
static char *safe_repr(const json_t *kwargs)
{
    _cleanup_buf_ struct buf b = BUF_INIT(REPR_MAX_BYTES);
    const char *key, *between = "";
    json_t *value;

    buf_append_str(&b, "{");
    json_object_foreach((json_t *)kwargs, key, value)
    {
        bool shown = id_is_uuid(json_string_value(value));

        if (strspn(key, "abcdefghijklmnopqrstuvwxyz_") != strlen(key))
            continue;
        buf_printf(&b, "%s'%s': '%s'", between, key, shown ? json_string_value(value) : "...");
        between = ", ";
    }
    buf_append_str(&b, "}");
    return buf_error(&b) ? strdup("{...}") : buf_take(&b);
}

static int encode_body(const json_t *kwargs, char **ret)
{
    /* "O" takes a reference of its own and gives it back: what the caller sees does not change. */
    _cleanup_json_ json_t *body = json_pack("[[], O, {s:n, s:n, s:n, s:n}]", (json_t *)kwargs, "callbacks",
                                            "errbacks", "chain", "chord");
    _cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (!text)
        return -EINVAL;

    size_t len = strlen(text), room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);

    if (room > ENVELOPE_MAX_BYTES)
        return -EMSGSIZE;

    char *encoded = malloc(room);

    if (!encoded)
        return -ENOMEM;
    sodium_bin2base64(encoded, room, (const unsigned char *)text, len, sodium_base64_VARIANT_ORIGINAL);
    *ret = encoded;
    return 0;
}

int envelope_encode(const struct envelope_task *task, char **ret_message)
{
    _cleanup_json_ json_t *kwargs = task->kwargs ? json_incref((json_t *)task->kwargs) : json_object();
    _cleanup_free_ char *repr = safe_repr(kwargs), *body = NULL;
    char tag[ID_UUID_LEN + 1];

    if (!repr)
        return -ENOMEM;

    int r = encode_body(kwargs, &body);

    if (r < 0)
        return r;
    id_uuid(tag);

    _cleanup_json_ json_t *headers =
        json_pack("{s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:i, s:[n, n], s:s, s:n, s:s, s:s, s:s, s:b}",
                  "lang", "c", "task", task->name, "id", task->id, "shadow", "eta", "expires", "group",
                  "group_index", "retries", 0, "timelimit", "root_id", task->id, "parent_id", "argsrepr",
                  "()", "kwargsrepr", repr, "origin", task->origin, "ignore_result", 0);
    _cleanup_json_ json_t *properties = json_pack(
        "{s:s, s:s, s:i, s:{s:s, s:s}, s:i, s:s, s:s}", "correlation_id", task->id, "reply_to",
        task->reply_to, "delivery_mode", 2, "delivery_info", "exchange", "", "routing_key", task->queue,
        "priority", (int)task->priority, "body_encoding", "base64", "delivery_tag", tag);
    _cleanup_json_ json_t *message =
        json_pack("{s:s, s:s, s:s, s:O, s:O}", "body", body, "content-encoding", "utf-8", "content-type",
                  "application/json", "headers", headers, "properties", properties);
    _cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

    if (!text)
        return -EINVAL;
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

static bool string_is(const json_t *object, const char *key, const char *expected)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value && strcasecmp(value, expected) == 0;
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

static bool has_callbacks(const json_t *embed)
{
    static const char *const keys[] = {"callbacks", "errbacks", "chain", "chord"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *value = json_object_get(embed, keys[i]);

        if (json_array_size(value) > 0 || json_object_size(value) > 0 || json_is_string(value))
            return true;
    }
    return false;
}

/* The body's text: base64 as kombu writes it, or as it stands when no encoding is named. */
static json_t *load_body(const json_t *message, const json_t *properties)
{
    const json_t *body = json_object_get(message, "body");
    const char *text = json_string_value(body), *end;
    size_t len = json_string_length(body), n;

    if (!text)
        return NULL;
    if (!given(properties, "body_encoding"))
        return json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!string_is(properties, "body_encoding", "base64"))
        return NULL;

    _cleanup_free_ unsigned char *bytes = malloc(len + 1);

    if (!bytes ||
        sodium_base642bin(bytes, len + 1, text, len, NULL, &n, &end, sodium_base64_VARIANT_ORIGINAL) < 0 ||
        end != text + len)
        return NULL;
    return json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
}

static int decode_body(const json_t *message, const json_t *properties, struct envelope *e,
                       const char **ret_reason)
{
    _cleanup_json_ json_t *body = load_body(message, properties);
    json_t *args = json_array_get(body, 0), *kwargs = json_array_get(body, 1),
           *embed = json_array_get(body, 2);

    if (!body)
        return refuse(ret_reason, "the body is not JSON in base64");
    if (json_array_size(body) != 3 || !json_is_array(args) || !json_is_object(kwargs) ||
        !(json_is_object(embed) || json_is_null(embed)))
        return refuse(ret_reason, "the body is not [args, kwargs, embed]");
    if (has_callbacks(embed))
        return refuse(ret_reason, "callbacks, chains and chords are not supported");
    e->args = json_incref(args);
    e->kwargs = json_incref(kwargs);
    return 0;
}

static int decode_headers(const json_t *headers, struct envelope *e, const char **ret_reason)
{
    if (!json_string_length(json_object_get(headers, "id")) ||
        !json_string_length(json_object_get(headers, "task")))
        return refuse(ret_reason, "no task or no id in the headers: not message protocol 2");
    if (given(headers, "compression"))
        return refuse(ret_reason, "compressed bodies are not supported");
    if (read_time(headers, "eta", &e->eta_ms) < 0 || read_time(headers, "expires", &e->expires_ms) < 0)
        return refuse(ret_reason, "eta or expires is not a time in ISO 8601");
    e->ignore_result = json_is_true(json_object_get(headers, "ignore_result"));
    if (copy_string(headers, "id", &e->id) < 0 || copy_string(headers, "task", &e->name) < 0 ||
        copy_string(headers, "group", &e->group_id) < 0 ||
        copy_string(headers, "parent_id", &e->parent_id) < 0)
        return -ENOMEM;
    return 0;
}

int envelope_decode(const char *message, size_t len, struct envelope *ret, const char **ret_reason)
{
    _cleanup_envelope_ struct envelope e = {0};

    if (len > ENVELOPE_MAX_BYTES)
        return refuse(ret_reason, "larger than a message may be");

    _cleanup_json_ json_t *m = json_loadb(message, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *headers = json_object_get(m, "headers"), *properties = json_object_get(m, "properties");

    if (!json_is_object(headers) || !json_is_object(properties))
        return refuse(ret_reason, "not a JSON object with headers and properties");
    if (!string_is(m, "content-type", "application/json") || !string_is(m, "content-encoding", "utf-8"))
        return refuse(ret_reason, "not JSON in UTF-8 by its content type");

    int r = decode_headers(headers, &e, ret_reason);

    if (r == 0)
        r = decode_body(m, properties, &e, ret_reason);
    if (r == 0)
        r = copy_string(properties, "reply_to", &e.reply_to);
    if (r < 0)
        return r;
    *ret = e;
    e = (struct envelope){0};
    return 0;
}
