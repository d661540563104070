#include "courier/id_token.h"

#include "core/str.h"

#include <rhonabwy.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

#define ISSUER   "https://login.example.com/"
#define CLIENT   "decant"
#define NONCE    "n-0S6_WzA2Mj"
#define ACCESS   "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
#define NOW      1800000000
#define NOW_TEXT "1800000000"
#define CLAIMS                                                                                               \
    "\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\",\"sub\":\"ada\",\"iat\":" NOW_TEXT ",\"nonce\":\"" NONCE  \
    "\",\"exp\":1800000300"

static const struct id_token_wanted wanted = {
    .issuer = ISSUER, .client_id = CLIENT, .nonce = NONCE, .access_token = ACCESS, .now_s = NOW};

static const struct kind {
    const char *alg;
    jwa_alg number;
    int type;
    unsigned bits;
} kinds[] = {
    {"RS256", R_JWA_ALG_RS256, R_KEY_TYPE_RSA, 2048},
    {"PS256", R_JWA_ALG_PS256, R_KEY_TYPE_RSA, 2048},
    {"ES256", R_JWA_ALG_ES256, R_KEY_TYPE_EC, 256},
    {"EdDSA", R_JWA_ALG_EDDSA, R_KEY_TYPE_EDDSA, 256},
};

struct provider {
    jwk_t *private, *public;
    json_t *keys;
} providers[ARRAY_SIZE(kinds)];

static json_t *key_set(jwk_t *public)
{
    json_t *key = r_jwk_export_to_json_t(public);

    assert_non_null(key);
    return json_pack("{s:[o]}", "keys", key);
}

static void provider_new(struct provider *p, const struct kind *kind)
{
    assert_int_equal(r_jwk_init(&p->private), RHN_OK);
    assert_int_equal(r_jwk_init(&p->public), RHN_OK);
    assert_int_equal(r_jwk_generate_key_pair(p->private, p->public, kind->type, kind->bits, "k1"), RHN_OK);
    p->keys = key_set(p->public);
    r_jwk_delete_property_str(p->private, "kid"); /* else it would be in each header */
}

static int make_providers(void **state)
{
    if (sodium_init() < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        provider_new(&providers[i], &kinds[i]);
    return 0;
}

static int free_providers(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        r_jwk_free(providers[i].private);
        r_jwk_free(providers[i].public);
        json_decref(providers[i].keys);
    }
    return 0;
}

static char *sign(size_t i, const char *kid, const char *claims)
{
    jws_t *jws = NULL;
    char *token;

    assert_int_equal(r_jws_init(&jws), RHN_OK);
    assert_int_equal(r_jws_set_alg(jws, kinds[i].number), RHN_OK);
    if (kid)
        assert_int_equal(r_jws_set_header_str_value(jws, "kid", kid), RHN_OK);
    assert_int_equal(r_jws_set_payload(jws, (const unsigned char *)claims, strlen(claims)), RHN_OK);
    token = r_jws_serialize(jws, providers[i].private, 0);
    assert_non_null(token);
    r_jws_free(jws);
    return token;
}

static enum id_token_fault verify(const char *token, const json_t *keys)
{
    _cleanup_json_ json_t *claims = NULL;
    enum id_token_fault fault = id_token_verify(token, keys, &wanted, &claims);

    assert_int_equal(claims != NULL, fault == ID_TOKEN_GOOD);
    if (claims)
        assert_string_equal(json_string_value(json_object_get(claims, "sub")), "ada");
    return fault;
}

/* Signed by the first provider. */
static void expect(const char *claims, enum id_token_fault fault)
{
    char *token = sign(0, "k1", claims);

    assert_string_equal(id_token_fault_name(verify(token, providers[0].keys)), id_token_fault_name(fault));
    r_free(token);
}

static void each_algorithm_is_taken_with_its_key(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        char *token = sign(i, "k1", "{" CLAIMS "}");

        assert_int_equal(verify(token, providers[i].keys), ID_TOKEN_GOOD);
        for (size_t j = 0; j < ARRAY_SIZE(kinds); j++)
            if (j != i) /* RS256 and PS256 have keys of one kind: then the signature is wrong */
                assert_int_equal(verify(token, providers[j].keys),
                                 i < 2 && j < 2 ? ID_TOKEN_SIGNATURE : ID_TOKEN_KEY_UNKNOWN);
        token[strlen(token) / 2] ^= 1;
        assert_int_not_equal(verify(token, providers[i].keys), ID_TOKEN_GOOD);
        r_free(token);
    }
}

static void a_key_is_found_by_its_id(void **state)
{
    _cleanup_json_ json_t *none = json_pack("{s:[]}", "keys"), *two = json_object(), *other = NULL;
    char *without = sign(0, NULL, "{" CLAIMS "}"), *with = sign(0, "k2", "{" CLAIMS "}");

    assert_int_equal(verify(without, providers[0].keys), ID_TOKEN_GOOD);
    assert_int_equal(verify(with, providers[0].keys), ID_TOKEN_KEY_UNKNOWN);
    assert_int_equal(verify(without, none), ID_TOKEN_KEY_UNKNOWN);
    assert_int_equal(verify(without, NULL), ID_TOKEN_KEY_UNKNOWN);

    other = json_deep_copy(json_array_get(json_object_get(providers[1].keys, "keys"), 0));
    json_object_set_new(
        two, "keys",
        json_pack("[O, O]", json_array_get(json_object_get(providers[0].keys, "keys"), 0), other));
    assert_int_equal(verify(without, two), ID_TOKEN_KEY_UNKNOWN); /* which of them? */
    json_object_set_new(other, "use", json_string("enc"));
    assert_int_equal(verify(without, two), ID_TOKEN_GOOD);
    json_object_set_new(other, "use", json_string("sig"));
    json_object_set_new(other, "alg", json_string("PS256"));
    assert_int_equal(verify(without, two), ID_TOKEN_GOOD);
    r_free(without);
    r_free(with);
}

static void small_keys_are_none(void **state)
{
    static const struct kind small = {"RS256", R_JWA_ALG_RS256, R_KEY_TYPE_RSA, 1024};
    struct provider weak;
    char *token = sign(0, "k1", "{" CLAIMS "}");

    provider_new(&weak, &small);
    assert_int_equal(verify(token, weak.keys), ID_TOKEN_KEY_UNKNOWN);
    r_jwk_free(weak.private);
    r_jwk_free(weak.public);
    json_decref(weak.keys);
    r_free(token);
}

static char *join(const char *header, const char *claims, const char *signature)
{
    char encoded[2][1024];
    const char *parts[] = {header, claims};
    char *token;

    for (size_t i = 0; i < 2; i++)
        sodium_bin2base64(encoded[i], sizeof encoded[i], (const unsigned char *)parts[i], strlen(parts[i]),
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    assert_true(asprintf(&token, "%s.%s.%s", encoded[0], encoded[1], signature) > 0);
    return token;
}

static void headers_that_lead_elsewhere_are_refused(void **state)
{
    static const struct {
        const char *header;
        enum id_token_fault fault;
    } bad[] = {
        {"{\"alg\":\"none\"}", ID_TOKEN_ALGORITHM},
        {"{\"alg\":\"None\",\"kid\":\"k1\"}", ID_TOKEN_ALGORITHM},
        {"{\"alg\":\"HS256\",\"kid\":\"k1\"}", ID_TOKEN_ALGORITHM},
        {"{\"alg\":\"RS1\",\"kid\":\"k1\"}", ID_TOKEN_ALGORITHM},
        {"{\"kid\":\"k1\"}", ID_TOKEN_ALGORITHM},
        {"{\"alg\":[\"RS256\"]}", ID_TOKEN_ALGORITHM},
        {"{\"alg\":\"RS256\",\"alg\":\"none\"}", ID_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":7}", ID_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\",\"crit\":[\"b64\"]}", ID_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\",\"jwk\":{}}", ID_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\",\"jku\":\"https://evil.example\"}", ID_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\",\"x5u\":\"https://evil.example\"}", ID_TOKEN_MALFORMED},
        {"[]", ID_TOKEN_MALFORMED},
        {"", ID_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":\"k1\"}", ID_TOKEN_SIGNATURE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_free_ char *token = join(bad[i].header, "{" CLAIMS "}", "AAAA"),
                            *bare = join(bad[i].header, "{" CLAIMS "}", "");

        assert_string_equal(id_token_fault_name(verify(token, providers[0].keys)),
                            id_token_fault_name(bad[i].fault));
        assert_int_equal(verify(bare, providers[0].keys), bad[i].fault);
    }
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const bad[] = {"",    ".",       "..",          "...",       "a",
                                      "a.b", "e30.e30", "e30.e30.x.y", "e30=.e30.x"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_not_equal(verify(bad[i], providers[0].keys), ID_TOKEN_GOOD);
}

static void claims_have_to_be_ours(void **state)
{
    static const struct {
        const char *claims;
        enum id_token_fault fault;
    } cases[] = {
        {"{" CLAIMS "}", ID_TOKEN_GOOD},
        {"{" CLAIMS ",\"azp\":\"" CLIENT "\"}", ID_TOKEN_GOOD},
        {"{" CLAIMS ",\"azp\":\"another\"}", ID_TOKEN_AUDIENCE},
        {"{" CLAIMS ",\"nbf\":1800000059}", ID_TOKEN_GOOD},
        {"{" CLAIMS ",\"nbf\":1800000061}", ID_TOKEN_NOT_YET},
        {"{" CLAIMS ",\"nbf\":\"soon\"}", ID_TOKEN_MALFORMED},
        {"{" CLAIMS ",\"at_hash\":\"nH4nOgqLAXIhNzlJjuPeyA\"}", ID_TOKEN_ACCESS_TOKEN},
        {"{" CLAIMS ",\"at_hash\":7}", ID_TOKEN_ACCESS_TOKEN},
        {"{" CLAIMS ",\"sub\":\"eve\"}", ID_TOKEN_MALFORMED},
        {"{\"iss\":\"https://login.example.com\",\"aud\":\"decant\"}", ID_TOKEN_ISSUER},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"other\"}", ID_TOKEN_AUDIENCE},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[\"other\"]}", ID_TOKEN_AUDIENCE},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[\"decant\",\"other\"]}", ID_TOKEN_AUDIENCE},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[\"decant\",\"other\"],\"azp\":\"decant\"}",
         ID_TOKEN_CLAIM_MISSING},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[\"decant\"],\"exp\":1799999941,\"iat\":1}", ID_TOKEN_NONCE},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"decant\",\"exp\":1799999940,\"iat\":1}", ID_TOKEN_EXPIRED},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"decant\",\"exp\":1800000300,\"iat\":1800000061}",
         ID_TOKEN_NOT_YET},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"decant\",\"exp\":\"1800000300\",\"iat\":1}",
         ID_TOKEN_CLAIM_MISSING},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"decant\",\"exp\":1800000300,\"iat\":1,\"nonce\":\"other\"}",
         ID_TOKEN_NONCE},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"decant\",\"exp\":1800000300,\"iat\":1,\"nonce\":\"" NONCE "\"}",
         ID_TOKEN_CLAIM_MISSING},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"decant\",\"exp\":1800000300,\"iat\":1,\"nonce\":\"" NONCE
         "\",\"sub\":\"a\\nb\"}",
         ID_TOKEN_CLAIM_MISSING},
        {"[]", ID_TOKEN_MALFORMED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(cases[i].claims, cases[i].fault);
}

/* OpenID Connect Core, section A.3: the access token and its hash by RS256. */
static void the_hash_is_that_of_the_access_token(void **state)
{
    expect("{" CLAIMS ",\"at_hash\":\"77QmUPtjPfzWtF2AnpK9RQ\"}", ID_TOKEN_GOOD);
}

static void a_name_is_found(void **state)
{
    static const struct {
        const char *claims, *claim, *name;
    } cases[] = {
        {"{\"sub\":\"s\",\"email\":\"a@b\"}", "email", "a@b"},
        {"{\"sub\":\"s\",\"email\":\"a@b\",\"email_verified\":false}", "email", "s"},
        {"{\"sub\":\"s\",\"email\":\"a@b\",\"email_verified\":false,\"preferred_username\":\"p\"}", "email",
         "p"},
        {"{\"sub\":\"s\",\"email\":\"\",\"preferred_username\":7}", "email", "s"},
        {"{\"sub\":\"s\",\"name\":\"Ada L.\"}", "name", "Ada L."},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *claims = json_loads(cases[i].claims, 0, NULL);

        assert_string_equal(id_token_name(claims, cases[i].claim), cases[i].name);
    }
}

static void a_claim_means_premium(void **state)
{
    static const struct {
        const char *claims, *claim;
        bool premium;
    } cases[] = {
        {"{\"plan\":\"gold\"}", "plan", true},
        {"{\"plan\":\"golden\"}", "plan", false},
        {"{\"groups\":[\"a\",\"staff\"]}", "groups", true},
        {"{\"groups\":[\"a\",[\"staff\"]]}", "groups", false},
        {"{\"groups\":{\"staff\":1}}", "groups", false},
        {"{}", "groups", false},
        {"{\"realm_access\":{\"roles\":[\"staff\"]}}", "realm_access.roles", true},
        {"{\"realm_access.roles\":\"none\",\"realm_access\":{\"roles\":[\"staff\"]}}", "realm_access.roles",
         false},
        {"{\"https://x.example/plan\":\"gold\"}", "https://x.example/plan", true},
        {"{\"paid\":true}", "paid", false},
    };
    _cleanup_json_ json_t *paid = json_loads("{\"paid\":true}", 0, NULL);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *claims = json_loads(cases[i].claims, 0, NULL);

        assert_int_equal(id_token_is_premium(claims, cases[i].claim, "gold, staff"), cases[i].premium);
    }
    assert_true(id_token_is_premium(paid, "paid", "true"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_is_taken_with_its_key),
        cmocka_unit_test(a_key_is_found_by_its_id),
        cmocka_unit_test(small_keys_are_none),
        cmocka_unit_test(headers_that_lead_elsewhere_are_refused),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(claims_have_to_be_ours),
        cmocka_unit_test(the_hash_is_that_of_the_access_token),
        cmocka_unit_test(a_name_is_found),
        cmocka_unit_test(a_claim_means_premium),
    };

    return cmocka_run_group_tests(tests, make_providers, free_providers);
}
