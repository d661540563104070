#include "queue/kombu.h"

#include "core/id.h"
#include "core/str.h"
#include "queue/inflate.h"

#include <errno.h>
#include <sodium.h>
#include <strings.h>

void kombu_free(struct kombu *k)
{
    json_decref(k->whole);
    *k = (struct kombu){0};
}

static bool string_is(const json_t *object, const char *key, const char *expected)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value && strcasecmp(value, expected) == 0;
}

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

int kombu_read(const char *message, size_t len, struct kombu *ret, const char **ret_reason)
{
    if (len > KOMBU_MAX_BYTES)
        return refuse(ret_reason, "larger than a message may be");

    _cleanup_json_ json_t *whole = json_loadb(message, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *headers = json_object_get(whole, "headers"),
                 *properties = json_object_get(whole, "properties");

    if (!json_is_object(headers) || !json_is_object(properties))
        return refuse(ret_reason, "not a JSON object with headers and properties");
    if (!string_is(whole, "content-type", "application/json") ||
        !string_is(whole, "content-encoding", "utf-8"))
        return refuse(ret_reason, "not JSON in UTF-8 by its content type");
    *ret = (struct kombu){.whole = TAKE_PTR(whole), .headers = headers, .properties = properties};
    return 0;
}

/* The body's bytes: base64 as kombu writes it, or as they stand when no encoding is named. */
static int load_bytes(const struct kombu *k, unsigned char **ret, size_t *ret_len)
{
    const json_t *body = json_object_get(k->whole, "body"),
                 *encoding = json_object_get(k->properties, "body_encoding");
    const char *text = json_string_value(body), *end;
    size_t len = json_string_length(body);
    _cleanup_free_ unsigned char *bytes = text ? malloc(len + 1) : NULL;

    if (text && !bytes)
        return -ENOMEM;
    if (!text)
        return -EBADMSG;
    if (!encoding || json_is_null(encoding)) {
        memcpy(bytes, text, len);
        *ret_len = len;
    } else if (!string_is(k->properties, "body_encoding", "base64") ||
               sodium_base642bin(bytes, len + 1, text, len, NULL, ret_len, &end,
                                 sodium_base64_VARIANT_ORIGINAL) < 0 ||
               end != text + len) {
        return -EBADMSG;
    }
    *ret = TAKE_PTR(bytes);
    return 0;
}

static int unpack(const struct kombu *k, unsigned char **bytes, size_t *len, const char **ret_reason)
{
    const json_t *compression = json_object_get(k->headers, "compression");
    unsigned char *unpacked;
    int r;

    if (!compression || json_is_null(compression))
        return 0;
    if (!string_is(k->headers, "compression", "application/x-gzip"))
        return refuse(ret_reason, "compressed in another way than gzip (zlib)");
    r = inflate_bytes(*bytes, *len, KOMBU_MAX_BYTES, &unpacked, len);
    if (r == -EMSGSIZE)
        return refuse(ret_reason, "the body unpacks to more than a message may be");
    if (r < 0)
        return r == -ENOMEM ? r : refuse(ret_reason, "the compressed body is damaged");
    free(*bytes);
    *bytes = unpacked;
    return 0;
}

int kombu_load_body(const struct kombu *k, json_t **ret, const char **ret_reason)
{
    _cleanup_free_ unsigned char *bytes = NULL;
    size_t len = 0;
    int r = load_bytes(k, &bytes, &len);

    *ret_reason = "the body is not JSON in base64";
    if (r == 0)
        r = unpack(k, &bytes, &len, ret_reason);
    if (r < 0)
        return r;
    *ret = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    return *ret ? 0 : -EBADMSG;
}

json_t *kombu_body(const struct kombu *k)
{
    json_t *body = NULL;
    const char *why;

    return kombu_load_body(k, &body, &why) < 0 ? NULL : body;
}

json_t *kombu_properties(const char *exchange, const char *routing_key, int delivery_mode, unsigned priority)
{
    char tag[ID_UUID_LEN + 1];

    id_uuid(tag);
    return json_pack("{s:i, s:{s:s, s:s}, s:i, s:s, s:s}", "delivery_mode", delivery_mode, "delivery_info",
                     "exchange", exchange, "routing_key", routing_key, "priority", (int)priority,
                     "body_encoding", "base64", "delivery_tag", tag);
}

static int encode_body(const json_t *body, char **ret)
{
    _cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (!text)
        return -EINVAL;

    size_t len = strlen(text), room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);

    if (room > KOMBU_MAX_BYTES)
        return -EMSGSIZE;

    char *encoded = malloc(room);

    if (!encoded)
        return -ENOMEM;
    sodium_bin2base64(encoded, room, (const unsigned char *)text, len, sodium_base64_VARIANT_ORIGINAL);
    *ret = encoded;
    return 0;
}

int kombu_write(const json_t *body, const json_t *headers, const json_t *properties, char **ret_message)
{
    _cleanup_free_ char *encoded = NULL;
    int r = encode_body(body, &encoded);

    if (r < 0)
        return r;

    /* "O" takes a reference of its own and gives it back: what the caller sees does not change. */
    _cleanup_json_ json_t *message =
        json_pack("{s:s, s:s, s:s, s:O, s:O}", "body", encoded, "content-encoding", "utf-8", "content-type",
                  "application/json", "headers", (json_t *)headers, "properties", (json_t *)properties);
    _cleanup_free_ char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

    if (!text)
        return -EINVAL;
    if (strlen(text) > KOMBU_MAX_BYTES)
        return -EMSGSIZE;
    *ret_message = TAKE_PTR(text);
    return 0;
}
