#include "auth/jwt.h"

#include "core/str.h"

#include <errno.h>
#include <jwt.h>
#include <sodium.h>
#include <stddef.h>

enum { ENCODING = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static const char *const fault_names[JWT_FAULTS] = {
    [JWT_GOOD] = "good",           [JWT_MALFORMED] = "malformed",
    [JWT_ALGORITHM] = "algorithm", [JWT_KEY_UNKNOWN] = "key_unknown",
    [JWT_SIGNATURE] = "signature", [JWT_ISSUER] = "issuer",
    [JWT_AUDIENCE] = "audience",   [JWT_EXPIRED] = "expired",
    [JWT_NOT_YET] = "not_yet",     [JWT_CLAIM_MISSING] = "claim_missing",
};

const char *jwt_fault_name(enum jwt_fault fault)
{
    return fault_names[fault];
}

static void cleanup_jwt(jwt_t **jwt)
{
    if (*jwt)
        jwt_free(*jwt);
}

#define _cleanup_jwt_ _cleanup_(cleanup_jwt)

static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    {"sub", offsetof(struct jwt_claims, sub)},
    {"sid", offsetof(struct jwt_claims, sid)},
    {"plan", offsetof(struct jwt_claims, plan)},
    {"jti", offsetof(struct jwt_claims, jti)},
};

static const struct {
    const char *name;
    size_t offset;
} times[] = {
    {"iat", offsetof(struct jwt_claims, iat)},
    {"nbf", offsetof(struct jwt_claims, nbf)},
    {"exp", offsetof(struct jwt_claims, exp)},
};

/* --- signing */

struct signing {
    jwt_t *jwt;
    char **ret_token;
};

static int sign_with(void *arg, const char *kid, const char *pem)
{
    const struct signing *s = arg;
    int r = jwt_add_header(s->jwt, "kid", kid);

    if (r == 0)
        r = jwt_set_alg(s->jwt, JWT_ALG_RS256, (const unsigned char *)pem, (int)strlen(pem));
    if (r != 0)
        return -r;
    *s->ret_token = jwt_encode_str(s->jwt);
    return *s->ret_token ? 0 : -errno;
}

static int add_claims(jwt_t *jwt, const char *iss, const char *aud, const struct jwt_claims *claims)
{
    int r = jwt_add_grant(jwt, "iss", iss);

    if (r == 0)
        r = jwt_add_grant(jwt, "aud", aud);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++) {
        const char *value = (const char *)claims + texts[i].offset;

        if (*value)
            r = jwt_add_grant(jwt, texts[i].name, value);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(times); i++)
        r = jwt_add_grant_int(
            jwt, times[i].name,
            (long)*(const uint64_t *)(const void *)((const char *)claims + times[i].offset));
    return -r;
}

int jwt_sign(struct jwt_keys *keys, const char *iss, const char *aud, const struct jwt_claims *claims,
             char **ret_token)
{
    _cleanup_jwt_ jwt_t *jwt = NULL;
    struct signing signing = {.ret_token = ret_token};
    int r = -jwt_new(&jwt);

    if (r == 0)
        r = add_claims(jwt, iss, aud, claims);
    signing.jwt = jwt;
    return r < 0 ? r : jwt_keys_with_signing(keys, claims->iat, sign_with, &signing);
}

/* --- verifying */

struct part {
    const char *text;
    size_t len;
};

enum { HEADER, PAYLOAD, SIGNATURE, PARTS };

/* Exactly three, none of them empty. */
static bool split(const char *token, struct part ret[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        size_t len = strcspn(token, ".");

        if (len == 0 || token[len] != (i == PARTS - 1 ? '\0' : '.'))
            return false;
        ret[i] = (struct part){token, len};
        token += len + 1;
    }
    return true;
}

static bool decode(const struct part *part, unsigned char ret[JWT_TOKEN_MAX], size_t *ret_len)
{
    return sodium_base642bin(ret, JWT_TOKEN_MAX, part->text, part->len, NULL, ret_len, NULL, ENCODING) == 0;
}

static json_t *decode_object(const struct part *part)
{
    unsigned char bytes[JWT_TOKEN_MAX];
    _cleanup_json_ json_t *json = NULL;
    size_t len;

    if (!decode(part, bytes, &len))
        return NULL;
    json = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(json) ? TAKE_PTR(json) : NULL;
}

/* Who adds a member means something by it that we don't do (crit, b64, zip), or leads to a key that isn't
 * ours (jwk, jku, x5c, x5u). */
static enum jwt_fault check_header(const json_t *header)
{
    const json_t *alg = json_object_get(header, "alg"), *typ = json_object_get(header, "typ"),
                 *kid = json_object_get(header, "kid");

    if (!json_is_string(alg))
        return JWT_MALFORMED;
    if (!str_eq(json_string_value(alg), "RS256"))
        return JWT_ALGORITHM;
    if (!json_is_string(kid))
        return JWT_KEY_UNKNOWN;
    if (typ && !str_eq(json_string_value(typ), "JWT"))
        return JWT_MALFORMED;
    return json_object_size(header) == (typ ? 3 : 2) ? JWT_GOOD : JWT_MALFORMED;
}

static int check_signature(void *arg, const char *kid, const char *pem)
{
    const char *token = arg;
    _cleanup_jwt_ jwt_t *jwt = NULL;

    if (jwt_decode(&jwt, token, (const unsigned char *)pem, (int)strlen(pem)) != 0 ||
        jwt_get_alg(jwt) != JWT_ALG_RS256)
        return -EBADMSG;
    return 0;
}

static enum jwt_fault read_texts(const json_t *payload, struct jwt_claims *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const json_t *value = json_object_get(payload, texts[i].name);

        if (!value)
            continue;
        if (!json_is_string(value) || json_string_length(value) > JWT_CLAIM_MAX)
            return JWT_MALFORMED;
        memcpy((char *)ret + texts[i].offset, json_string_value(value), json_string_length(value) + 1);
    }
    return *ret->sub ? JWT_GOOD : JWT_CLAIM_MISSING;
}

static enum jwt_fault read_times(const json_t *payload, struct jwt_claims *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        const json_t *value = json_object_get(payload, times[i].name);

        if (!value)
            return JWT_CLAIM_MISSING;
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return JWT_MALFORMED;
        *(uint64_t *)(void *)((char *)ret + times[i].offset) = (uint64_t)json_integer_value(value);
    }
    return JWT_GOOD;
}

static enum jwt_fault check_claims(const json_t *payload, const char *iss, const char *aud, uint64_t now_s,
                                   struct jwt_claims *ret)
{
    enum jwt_fault fault = read_texts(payload, ret);

    if (!str_eq(json_string_value(json_object_get(payload, "iss")), iss))
        return JWT_ISSUER;
    if (!str_eq(json_string_value(json_object_get(payload, "aud")), aud))
        return JWT_AUDIENCE;
    if (fault == JWT_GOOD)
        fault = read_times(payload, ret);
    if (fault != JWT_GOOD)
        return fault;
    if (ret->exp + JWT_LEEWAY_S <= now_s)
        return JWT_EXPIRED;
    return ret->nbf > now_s + JWT_LEEWAY_S || ret->iat > now_s + JWT_LEEWAY_S ? JWT_NOT_YET : JWT_GOOD;
}

enum jwt_fault jwt_verify(struct jwt_keys *keys, const char *token, const char *iss, const char *aud,
                          uint64_t now_s, struct jwt_claims *ret)
{
    unsigned char signature[JWT_TOKEN_MAX];
    _cleanup_json_ json_t *header = NULL, *payload = NULL;
    struct part parts[PARTS];
    enum jwt_fault fault;
    size_t len;
    int r;

    *ret = (struct jwt_claims){0};
    if (!token || strnlen(token, JWT_TOKEN_MAX + 1) > JWT_TOKEN_MAX || !split(token, parts))
        return JWT_MALFORMED;
    header = decode_object(&parts[HEADER]);
    fault = header ? check_header(header) : JWT_MALFORMED;
    if (fault != JWT_GOOD)
        return fault;
    payload = decode_object(&parts[PAYLOAD]);
    if (!payload || !decode(&parts[SIGNATURE], signature, &len))
        return JWT_MALFORMED;
    r = jwt_keys_with_public(keys, json_string_value(json_object_get(header, "kid")), check_signature,
                             (void *)token);
    if (r < 0)
        return r == -ENOKEY ? JWT_KEY_UNKNOWN : JWT_SIGNATURE;
    return check_claims(payload, iss, aud, now_s, ret);
}
