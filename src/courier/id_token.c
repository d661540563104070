#include "courier/id_token.h"

#include "core/str.h"

#include <rhonabwy.h>
#include <sodium.h>

enum {
    ENCODING = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
    RSA_BYTES_MIN = 256, /* RFC 7518, section 3.3 */
    NUMBER_MAX = 1024,   /* bytes of a key's largest number: RSA of 8192 bits */
    SUBJECT_MAX = 255,
};

static const char *const fault_names[ID_TOKEN_FAULTS] = {
    [ID_TOKEN_GOOD] = "good",
    [ID_TOKEN_MALFORMED] = "malformed",
    [ID_TOKEN_ALGORITHM] = "algorithm",
    [ID_TOKEN_KEY_UNKNOWN] = "key_unknown",
    [ID_TOKEN_SIGNATURE] = "signature",
    [ID_TOKEN_ISSUER] = "issuer",
    [ID_TOKEN_AUDIENCE] = "audience",
    [ID_TOKEN_EXPIRED] = "expired",
    [ID_TOKEN_NOT_YET] = "not_yet",
    [ID_TOKEN_NONCE] = "nonce",
    [ID_TOKEN_ACCESS_TOKEN] = "access_token",
    [ID_TOKEN_CLAIM_MISSING] = "claim_missing",
};

const char *id_token_fault_name(enum id_token_fault fault)
{
    return fault_names[fault];
}

/* What is taken, and what its keys have to be. */
static const struct algorithm {
    const char *name;
    jwa_alg alg;
    const char *kty, *crv; /* crv NULL: it has none */
    const char *numbers[2];
    bool sha512; /* of at_hash */
} algorithms[] = {
    {"RS256", R_JWA_ALG_RS256, "RSA", NULL, {"n", "e"}, false},
    {"PS256", R_JWA_ALG_PS256, "RSA", NULL, {"n", "e"}, false},
    {"ES256", R_JWA_ALG_ES256, "EC", "P-256", {"x", "y"}, false},
    {"EdDSA", R_JWA_ALG_EDDSA, "OKP", "Ed25519", {"x"}, true},
};

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* --- the parts */

static json_t *decode_object(const char *part, size_t len)
{
    unsigned char bytes[ID_TOKEN_MAX];
    _cleanup_json_ json_t *json = NULL;
    size_t n;

    if (sodium_base642bin(bytes, sizeof bytes, part, len, NULL, &n, NULL, ENCODING) != 0)
        return NULL;
    json = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(json) ? TAKE_PTR(json) : NULL;
}

static enum id_token_fault split(const char *token, json_t **ret_header, json_t **ret_claims)
{
    size_t header = strcspn(token, "."), claims, signature;

    if (strlen(token) >= ID_TOKEN_MAX || token[header] != '.')
        return ID_TOKEN_MALFORMED;
    claims = strcspn(token + header + 1, ".");
    if (token[header + 1 + claims] != '.')
        return ID_TOKEN_MALFORMED;
    signature = strcspn(token + header + claims + 2, ".");
    if (token[header + claims + 2 + signature])
        return ID_TOKEN_MALFORMED;
    *ret_header = decode_object(token, header);
    *ret_claims = decode_object(token + header + 1, claims);
    return *ret_header && *ret_claims ? ID_TOKEN_GOOD : ID_TOKEN_MALFORMED;
}

/* Whoever says `crit`, `b64` or `zip` means something that we don't do; `jwk` and the addresses would lead to
 * a key that the set doesn't have. */
static enum id_token_fault read_header(const json_t *header, const struct algorithm **ret)
{
    static const char *const refused[] = {"crit", "b64", "zip", "enc", "jwk", "jku", "x5u"};
    const char *alg = text(header, "alg");

    *ret = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (json_object_get(header, refused[i]))
            return ID_TOKEN_MALFORMED;
    if (json_object_get(header, "kid") && !text(header, "kid"))
        return ID_TOKEN_MALFORMED;
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
        if (str_eq(alg, algorithms[i].name))
            *ret = &algorithms[i];
    return *ret ? ID_TOKEN_GOOD : ID_TOKEN_ALGORITHM;
}

/* --- the key */

/* For signatures, of the algorithm's kind, and not one that is too short. */
static bool fits(const json_t *key, const struct algorithm *algorithm)
{
    const char *alg = text(key, "alg"), *use = text(key, "use");
    unsigned char number[NUMBER_MAX];
    size_t len;

    if (!str_eq(text(key, "kty"), algorithm->kty) ||
        (algorithm->crv && !str_eq(text(key, "crv"), algorithm->crv)))
        return false;
    if ((use && !str_eq(use, "sig")) || (alg && !str_eq(alg, algorithm->name)))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(algorithm->numbers) && algorithm->numbers[i]; i++) {
        const char *encoded = text(key, algorithm->numbers[i]);

        if (!encoded || sodium_base642bin(number, sizeof number, encoded, strlen(encoded), NULL, &len, NULL,
                                          ENCODING) != 0)
            return false;
        if (i == 0 && !algorithm->crv && (len < RSA_BYTES_MIN || number[0] == 0))
            return false;
    }
    return true;
}

/* The one that the token names, or, where it names none, the one that there is. */
static const json_t *find_key(const json_t *keys, const json_t *header, const struct algorithm *algorithm)
{
    const char *kid = text(header, "kid");
    const json_t *key, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(keys, "keys"), i, key)
    {
        if (!fits(key, algorithm) || (kid && !str_eq(text(key, "kid"), kid)))
            continue;
        if (found && !kid)
            return NULL;
        found = found ? found : key;
    }
    return found;
}

/* Just its numbers. */
static jwk_t *make_key(const json_t *key, const struct algorithm *algorithm)
{
    _cleanup_json_ json_t *bare = json_pack("{s:s}", "kty", algorithm->kty);
    jwk_t *jwk = NULL;

    if (!bare || r_jwk_init(&jwk) != RHN_OK)
        return NULL;
    if (algorithm->crv)
        json_object_set(bare, "crv", json_object_get(key, "crv"));
    for (size_t i = 0; i < ARRAY_SIZE(algorithm->numbers) && algorithm->numbers[i]; i++)
        json_object_set(bare, algorithm->numbers[i], json_object_get(key, algorithm->numbers[i]));
    if (r_jwk_import_from_json_t(jwk, bare) == RHN_OK)
        return jwk;
    r_jwk_free(jwk);
    return NULL;
}

static bool is_signed(const char *token, const json_t *key, const struct algorithm *algorithm)
{
    jwk_t *jwk = make_key(key, algorithm);
    jws_t *jws = NULL;
    bool good = jwk && r_jws_init(&jws) == RHN_OK &&
                r_jws_advanced_parse(jws, token, R_PARSE_NONE, R_FLAG_IGNORE_REMOTE) == RHN_OK &&
                r_jws_get_alg(jws) == algorithm->alg &&
                r_jws_verify_signature(jws, jwk, R_FLAG_IGNORE_REMOTE) == RHN_OK;

    r_jws_free(jws);
    r_jwk_free(jwk);
    return good;
}

/* --- the claims */

static bool is_for(const json_t *claims, const char *client_id)
{
    const json_t *aud = json_object_get(claims, "aud"), *azp = json_object_get(claims, "azp"), *one;
    bool found = str_eq(json_string_value(aud), client_id);
    size_t i;

    json_array_foreach(aud, i, one) found = found || str_eq(json_string_value(one), client_id);
    if (json_array_size(aud) > 1 && !azp)
        return false;
    return found && (!azp || str_eq(json_string_value(azp), client_id));
}

/* Seconds since 1970; some providers write them with a fraction. */
static bool read_time(const json_t *claims, const char *name, double *ret)
{
    const json_t *value = json_object_get(claims, name);

    *ret = json_number_value(value);
    return json_is_number(value) && *ret >= 0;
}

static enum id_token_fault check_times(const json_t *claims, uint64_t now_s)
{
    double exp, iat, nbf = 0, now = (double)now_s;

    if (!read_time(claims, "exp", &exp) || !read_time(claims, "iat", &iat))
        return ID_TOKEN_CLAIM_MISSING;
    if (json_object_get(claims, "nbf") && !read_time(claims, "nbf", &nbf))
        return ID_TOKEN_MALFORMED;
    if (exp + ID_TOKEN_LEEWAY_S <= now)
        return ID_TOKEN_EXPIRED;
    if (iat > now + ID_TOKEN_LEEWAY_S || nbf > now + ID_TOKEN_LEEWAY_S)
        return ID_TOKEN_NOT_YET;
    return ID_TOKEN_GOOD;
}

/* The left half of the access token's hash. */
static bool is_hash_of(const char *at_hash, const char *access_token, const struct algorithm *algorithm)
{
    unsigned char hash[crypto_hash_sha512_BYTES];
    size_t half = (algorithm->sha512 ? crypto_hash_sha512_BYTES : crypto_hash_sha256_BYTES) / 2;
    char encoded[sodium_base64_ENCODED_LEN(sizeof hash, ENCODING)];

    if (algorithm->sha512)
        crypto_hash_sha512(hash, (const unsigned char *)access_token, strlen(access_token));
    else
        crypto_hash_sha256(hash, (const unsigned char *)access_token, strlen(access_token));
    sodium_bin2base64(encoded, sizeof encoded, hash, half, ENCODING);
    return str_eq_secret(at_hash, encoded);
}

/* ASCII that can be seen, as in Redis it stands behind the issuer and a blank. */
static bool is_subject(const char *sub)
{
    if (!sub || !*sub || strlen(sub) > SUBJECT_MAX)
        return false;
    for (; *sub; sub++)
        if (*sub < ' ' || *sub > '~')
            return false;
    return true;
}

static enum id_token_fault check_claims(const json_t *claims, const struct algorithm *algorithm,
                                        const struct id_token_wanted *wanted)
{
    const json_t *at_hash = json_object_get(claims, "at_hash");
    enum id_token_fault fault;

    if (!str_eq(text(claims, "iss"), wanted->issuer))
        return ID_TOKEN_ISSUER;
    if (!is_for(claims, wanted->client_id))
        return ID_TOKEN_AUDIENCE;
    fault = check_times(claims, wanted->now_s);
    if (fault != ID_TOKEN_GOOD)
        return fault;
    if (!str_eq_secret(text(claims, "nonce"), wanted->nonce))
        return ID_TOKEN_NONCE;
    if (at_hash &&
        (!wanted->access_token || !is_hash_of(json_string_value(at_hash), wanted->access_token, algorithm)))
        return ID_TOKEN_ACCESS_TOKEN;
    return is_subject(text(claims, "sub")) ? ID_TOKEN_GOOD : ID_TOKEN_CLAIM_MISSING;
}

enum id_token_fault id_token_verify(const char *token, const json_t *keys,
                                    const struct id_token_wanted *wanted, json_t **ret_claims)
{
    _cleanup_json_ json_t *header = NULL, *claims = NULL;
    const struct algorithm *algorithm = NULL;
    const json_t *key;
    enum id_token_fault fault = split(token, &header, &claims);

    if (fault == ID_TOKEN_GOOD)
        fault = read_header(header, &algorithm);
    if (fault != ID_TOKEN_GOOD)
        return fault;
    key = find_key(keys, header, algorithm);
    if (!key)
        return ID_TOKEN_KEY_UNKNOWN;
    if (!is_signed(token, key, algorithm))
        return ID_TOKEN_SIGNATURE;
    fault = check_claims(claims, algorithm, wanted);
    if (fault == ID_TOKEN_GOOD)
        *ret_claims = TAKE_PTR(claims);
    return fault;
}

/* --- what is made of them */

const char *id_token_name(const json_t *claims, const char *name_claim)
{
    const char *name = text(claims, name_claim);

    if (str_eq(name_claim, "email") && json_is_false(json_object_get(claims, "email_verified")))
        name = NULL;
    if (!name || !*name)
        name = text(claims, "preferred_username");
    return name && *name ? name : text(claims, "sub");
}

static const json_t *find_claim(const json_t *claims, const char *name)
{
    const json_t *found = json_object_get(claims, name);
    const char *dot = strchr(name, '.');
    char first[128];

    if (found || !dot || (size_t)(dot - name) >= sizeof first)
        return found;
    memcpy(first, name, (size_t)(dot - name));
    first[dot - name] = '\0';
    return find_claim(json_object_get(claims, first),
                      dot + 1); // NOLINT(misc-no-recursion): as deep as the name
}

static bool means_premium(const json_t *value, const char *premium)
{
    return json_is_true(value) ? words_have(premium, "true")
                               : json_is_string(value) && words_have(premium, json_string_value(value));
}

bool id_token_is_premium(const json_t *claims, const char *plan_claim, const char *premium)
{
    const json_t *claim = find_claim(claims, plan_claim), *value;
    size_t i;

    json_array_foreach(claim, i, value) if (means_premium(value, premium)) return true;
    return means_premium(claim, premium);
}
