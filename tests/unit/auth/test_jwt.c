/* Tokens are made here by OpenSSL, header and payload as text, so that they may be anything; what is wrong
 * with each is all that is wrong with it, and its signature, where it has one, is right. */
#include "auth/jwt.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ISS "decant"
#define AUD "decant"

enum { NOW = 1000000000, ENCODING = sodium_base64_VARIANT_URLSAFE_NO_PADDING, ROOM = 16384 };

static struct fixture {
    char folder[32], kid[JWT_KID_MAX + 1];
    int dir;
    struct jwt_keys *keys;
    EVP_PKEY *ours, *theirs, *elliptic;
    char *public; /* PEM */
} f;

static int keep_public(void *arg, const char *kid, const char *pem)
{
    f.public = strdup(pem);
    return f.public ? 0 : -ENOMEM;
}

static EVP_PKEY *read_key(const char *name)
{
    _cleanup_secret_ char *pem = NULL;
    EVP_PKEY *key;
    BIO *bio;

    assert_int_equal(path_read_file(f.dir, name, 16384, &pem, NULL), 0);
    bio = BIO_new_mem_buf(pem, -1);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(key);
    return key;
}

static int set_up(void **state)
{
    struct jwt_trouble trouble;
    char name[JWT_KID_MAX + 8];

    strcpy(f.folder, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.dir = open(f.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(jwt_key_make(f.dir, f.kid), 0);
    assert_int_equal(jwt_keys_load(f.folder, &f.keys, &trouble), 0);
    snprintf(name, sizeof name, "%s.pem", f.kid);
    f.ours = read_key(name);
    f.theirs = EVP_RSA_gen(2048);
    f.elliptic = EVP_EC_gen("P-256");
    return jwt_keys_with_public(f.keys, f.kid, keep_public, NULL);
}

static int tear_down(void **state)
{
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    jwt_keys_free(f.keys);
    EVP_PKEY_free(f.ours);
    EVP_PKEY_free(f.theirs);
    EVP_PKEY_free(f.elliptic);
    free(f.public);
    close(f.dir);
    return path_remove_tree(tmp, strrchr(f.folder, '/') + 1);
}

/* --- forging */

struct forged {
    const char *header, *payload;
    EVP_PKEY *key; /* NULL: ours */
    const EVP_MD *digest;
    bool pss;
    const char *secret; /* signed with HMAC by this */
};

static size_t sign(const struct forged *t, const char *text, unsigned char *ret, size_t size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    unsigned mac_len;

    if (t->secret) {
        EVP_MD_CTX_free(ctx);
        assert_non_null(HMAC(EVP_sha256(), t->secret, (int)strlen(t->secret), (const unsigned char *)text,
                             strlen(text), ret, &mac_len));
        return mac_len;
    }
    assert_int_equal(
        EVP_DigestSignInit(ctx, &pctx, t->digest ? t->digest : EVP_sha256(), NULL, t->key ? t->key : f.ours),
        1);
    if (t->pss)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_DigestSign(ctx, ret, &size, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    return size;
}

static void append_base64(char *token, const void *data, size_t len)
{
    size_t end = strlen(token);

    sodium_bin2base64(token + end, ROOM - end, data, len, ENCODING);
}

static void forge(const struct forged *t, char token[ROOM])
{
    unsigned char signature[1024];
    size_t len;

    *token = '\0';
    append_base64(token, t->header, strlen(t->header));
    strcat(token, ".");
    append_base64(token, t->payload, strlen(t->payload));
    len = sign(t, token, signature, sizeof signature);
    strcat(token, ".");
    append_base64(token, signature, len);
}

static enum jwt_fault verify(const char *token)
{
    struct jwt_claims claims;

    return jwt_verify(f.keys, token, ISS, AUD, NOW, &claims);
}

/* `%s` in the header is the id of our key. */
static enum jwt_fault fault_of(struct forged t)
{
    char token[ROOM], header[4096];

    snprintf(header, sizeof header, "%s", t.header);
    if (strstr(t.header, "KID"))
        snprintf(header, sizeof header, "%.*s%s%s", (int)(strstr(t.header, "KID") - t.header), t.header,
                 f.kid, strstr(t.header, "KID") + 3);
    t.header = header;
    forge(&t, token);
    return verify(token);
}

#define HEADER  "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"KID\"}"
#define TIMES   "\"iat\":1000000000,\"nbf\":1000000000,\"exp\":1000000600"
#define PAYLOAD "{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"somebody\"," TIMES "}"

static struct jwt_claims somebody(void)
{
    return (struct jwt_claims){.sub = "somebody",
                               .sid = "a family",
                               .plan = "free",
                               .jti = "an id",
                               .iat = NOW,
                               .nbf = NOW,
                               .exp = NOW + 600};
}

static char *signed_token(void)
{
    const struct jwt_claims claims = somebody();
    char *token = NULL;

    assert_int_equal(jwt_sign(f.keys, ISS, AUD, &claims, &token), 0);
    return token;
}

/* --- */

static void what_was_signed_is_verified(void **state)
{
    const struct jwt_claims claims = somebody();
    _cleanup_free_ char *token = signed_token();
    struct jwt_claims read;

    assert_int_equal(jwt_verify(f.keys, token, ISS, AUD, NOW, &read), JWT_GOOD);
    assert_string_equal(read.sub, claims.sub);
    assert_string_equal(read.sid, claims.sid);
    assert_string_equal(read.plan, claims.plan);
    assert_string_equal(read.jti, claims.jti);
    assert_int_equal(read.iat, NOW);
    assert_int_equal(read.nbf, NOW);
    assert_int_equal(read.exp, NOW + 600);
}

/* Else the refusals below would say nothing of what is wrong with each. */
static void the_forge_makes_good_ones_too(void **state)
{
    assert_int_equal(fault_of((struct forged){HEADER, PAYLOAD}), JWT_GOOD);
    assert_int_equal(fault_of((struct forged){"{\"kid\":\"KID\",\"alg\":\"RS256\"}", PAYLOAD}), JWT_GOOD);
}

static void another_algorithm_is_refused(void **state)
{
    static const char *const none[] = {"none", "None", "NONE", "nOnE", ""};
    char header[256], token[ROOM];

    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"KID\"}", none[i]);
        assert_int_equal(fault_of((struct forged){header, PAYLOAD}), JWT_ALGORITHM);
    }
    /* with no signature at all, and with an empty one */
    *token = '\0';
    append_base64(token, "{\"alg\":\"none\"}", strlen("{\"alg\":\"none\"}"));
    strcat(token, ".");
    append_base64(token, PAYLOAD, strlen(PAYLOAD));
    assert_int_equal(verify(token), JWT_MALFORMED);
    strcat(token, ".");
    assert_int_equal(verify(token), JWT_MALFORMED);

    assert_int_equal(fault_of((struct forged){.header = "{\"alg\":\"HS256\",\"kid\":\"KID\"}",
                                              .payload = PAYLOAD,
                                              .secret = f.public}),
                     JWT_ALGORITHM);
    assert_int_equal(fault_of((struct forged){.header = "{\"alg\":\"RS384\",\"kid\":\"KID\"}",
                                              .payload = PAYLOAD,
                                              .digest = EVP_sha384()}),
                     JWT_ALGORITHM);
    assert_int_equal(fault_of((struct forged){
                         .header = "{\"alg\":\"PS256\",\"kid\":\"KID\"}", .payload = PAYLOAD, .pss = true}),
                     JWT_ALGORITHM);
    assert_int_equal(fault_of((struct forged){.header = "{\"alg\":\"ES256\",\"kid\":\"KID\"}",
                                              .payload = PAYLOAD,
                                              .key = f.elliptic}),
                     JWT_ALGORITHM);
    assert_int_equal(fault_of((struct forged){"{\"alg\":\"rs256\",\"kid\":\"KID\"}", PAYLOAD}),
                     JWT_ALGORITHM);
    assert_int_equal(fault_of((struct forged){"{\"alg\":[\"RS256\"],\"kid\":\"KID\"}", PAYLOAD}),
                     JWT_MALFORMED);
    assert_int_equal(fault_of((struct forged){"{\"kid\":\"KID\"}", PAYLOAD}), JWT_MALFORMED);
}

/* As above, but the header says RS256. */
static void another_signature_is_refused(void **state)
{
    assert_int_equal(fault_of((struct forged){.header = HEADER, .payload = PAYLOAD, .secret = f.public}),
                     JWT_SIGNATURE);
    assert_int_equal(fault_of((struct forged){.header = HEADER, .payload = PAYLOAD, .digest = EVP_sha384()}),
                     JWT_SIGNATURE);
    assert_int_equal(fault_of((struct forged){.header = HEADER, .payload = PAYLOAD, .pss = true}),
                     JWT_SIGNATURE);
    assert_int_equal(fault_of((struct forged){.header = HEADER, .payload = PAYLOAD, .key = f.elliptic}),
                     JWT_SIGNATURE);
    assert_int_equal(fault_of((struct forged){.header = HEADER, .payload = PAYLOAD, .key = f.theirs}),
                     JWT_SIGNATURE);
}

static void another_key_is_refused(void **state)
{
    static const char *const kids[] = {
        "\"another\"",  "\"\"", "\"../KID\"", "\"/dev/null\"", "\"KID.pem\"", "\"KID\\u0000\"",
        "\"' or 1=1\"", "null", "1",          "[\"KID\"]",
    };
    char header[256];

    for (size_t i = 0; i < ARRAY_SIZE(kids); i++) {
        enum jwt_fault fault;

        snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":%s}", kids[i]);
        fault = fault_of((struct forged){header, PAYLOAD});
        assert_true(fault == JWT_KEY_UNKNOWN || (fault == JWT_MALFORMED && strstr(kids[i], "u0000")));
    }
    assert_int_equal(fault_of((struct forged){"{\"alg\":\"RS256\"}", PAYLOAD}), JWT_KEY_UNKNOWN);
}

static void a_header_that_says_more_is_refused(void **state)
{
    static const char *const more[] = {
        "\"crit\":[\"exp\"]",  "\"b64\":false",
        "\"zip\":\"DEF\"",     "\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "\"x5c\":[\"MIIB\"]",  "\"jku\":\"https://example.com/jwks.json\"",
        "\"cty\":\"JWT\"",     "\"x5u\":\"https://example.com/key.pem\"",
        "\"typ\":\"JOSE\"",    "\"typ\":\"at+jwt\"",
        "\"typ\":7",           "\"alg\":\"RS256\"",
        "\"kid\":\"another\"",
    };
    char header[512];

    for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
        snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"KID\",%s}", more[i]);
        assert_int_equal(fault_of((struct forged){.header = header, .payload = PAYLOAD}), JWT_MALFORMED);
    }
}

static void what_is_no_object_is_refused(void **state)
{
    static const char *const texts[] = {"[]",       "\"RS256\"",          "null", "{", "{}x",
                                        "\xff\xfe", "{\"alg\":\"RS256\"", "RS256"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(fault_of((struct forged){texts[i], PAYLOAD}), JWT_MALFORMED);
        assert_int_equal(fault_of((struct forged){HEADER, texts[i]}), JWT_MALFORMED);
    }
}

static void claims_are_looked_at(void **state)
{
    static const struct {
        const char *payload;
        enum jwt_fault fault;
    } all[] = {
        {"{\"iss\":\"other\",\"aud\":\"decant\",\"sub\":\"a\"," TIMES "}", JWT_ISSUER},
        {"{\"aud\":\"decant\",\"sub\":\"a\"," TIMES "}", JWT_ISSUER},
        {"{\"iss\":[\"decant\"],\"aud\":\"decant\",\"sub\":\"a\"," TIMES "}", JWT_ISSUER},
        {"{\"iss\":\"decant\",\"aud\":\"decant-device\",\"sub\":\"a\"," TIMES "}", JWT_AUDIENCE},
        {"{\"iss\":\"decant\",\"aud\":[\"decant\",\"other\"],\"sub\":\"a\"," TIMES "}", JWT_AUDIENCE},
        {"{\"iss\":\"decant\",\"sub\":\"a\"," TIMES "}", JWT_AUDIENCE},
        {"{\"iss\":\"decant\",\"aud\":\"decant\"," TIMES "}", JWT_CLAIM_MISSING},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"\"," TIMES "}", JWT_CLAIM_MISSING},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":7," TIMES "}", JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000000}",
         JWT_CLAIM_MISSING},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"exp\":1000000600}",
         JWT_CLAIM_MISSING},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000000,"
         "\"exp\":\"1000000600\"}",
         JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000000,"
         "\"exp\":1e300}",
         JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000000,"
         "\"exp\":-1}",
         JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000000,"
         "\"exp\":999999970}",
         JWT_EXPIRED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000000,"
         "\"exp\":999999971}",
         JWT_GOOD},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000000,\"nbf\":1000000031,"
         "\"exp\":1000000600}",
         JWT_NOT_YET},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000031,\"nbf\":1000000000,"
         "\"exp\":1000000600}",
         JWT_NOT_YET},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"iat\":1000000030,\"nbf\":1000000030,"
         "\"exp\":1000000600}",
         JWT_GOOD},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"sub\":\"b\"," TIMES "}", JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\",\"exp\":9999999999," TIMES "}", JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":\"a\\u0000b\"," TIMES "}", JWT_MALFORMED},
        {"{\"iss\":\"decant\",\"aud\":\"decant\",\"sub\":"
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaa\"," TIMES "}",
         JWT_MALFORMED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        assert_int_equal(fault_of((struct forged){HEADER, all[i].payload}), all[i].fault);
}

/* Each of its characters, so that header, payload, signature and dots are among them. The last of each part
 * may hold bits that belong to no byte: those have to be zero, too. */
static void not_one_character_may_change(void **state)
{
    _cleanup_free_ char *token = signed_token();

    assert_int_equal(verify(token), JWT_GOOD);
    for (char *c = token; *c; c++) {
        char was = *c;

        *c = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(verify(token), JWT_GOOD);
        *c = was;
    }
    assert_int_equal(verify(token), JWT_GOOD);
}

static void base64_has_one_form(void **state)
{
    static const char *const added[] = {"=", "==", ".", "..", "\n", " ", "A", "%3D", "AAAA"};
    _cleanup_free_ char *token = signed_token();
    char other[ROOM], *minus;

    for (size_t i = 0; i < ARRAY_SIZE(added); i++) {
        snprintf(other, sizeof other, "%s%s", token, added[i]);
        assert_int_not_equal(verify(other), JWT_GOOD);
        snprintf(other, sizeof other, "%s%s", added[i], token);
        assert_int_not_equal(verify(other), JWT_GOOD);
    }
    /* a signature of 384 bytes has some of these */
    snprintf(other, sizeof other, "%s", token);
    while ((minus = strpbrk(other, "-_")))
        *minus = *minus == '-' ? '+' : '/';
    if (!str_eq(other, token))
        assert_int_equal(verify(other), JWT_MALFORMED);
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {"",      ".",       "..",     "...",        "a.b",
                                        "a.b.c", "a.b.c.d", "Bearer", "e30.e30.e30"};
    char huge[JWT_TOKEN_MAX + 2];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(verify(texts[i]), JWT_MALFORMED);
    assert_int_equal(verify(NULL), JWT_MALFORMED);
    memset(huge, 'A', sizeof huge);
    huge[10] = huge[20] = '.';
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(verify(huge), JWT_MALFORMED);
}

/* It would be good, were it not so large. */
static void a_huge_token_is_refused(void **state)
{
    _cleanup_free_ char *payload = malloc(ROOM), *token = malloc(ROOM);
    char header[256];
    struct forged t = {.header = header, .payload = payload};

    snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", f.kid);
    for (int blanks = 5000; blanks <= 6000; blanks += 1000) {
        snprintf(payload, ROOM, "%s%*s", PAYLOAD, blanks, "");
        forge(&t, token);
        assert_int_equal(verify(token), strlen(token) > JWT_TOKEN_MAX ? JWT_MALFORMED : JWT_GOOD);
        assert_int_equal(strlen(token) > JWT_TOKEN_MAX, blanks == 6000);
    }
}

static void each_fault_has_a_name(void **state)
{
    for (int i = 0; i < JWT_FAULTS; i++)
        assert_non_null(jwt_fault_name((enum jwt_fault)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_verified),  cmocka_unit_test(the_forge_makes_good_ones_too),
        cmocka_unit_test(another_algorithm_is_refused), cmocka_unit_test(another_signature_is_refused),
        cmocka_unit_test(another_key_is_refused),       cmocka_unit_test(a_header_that_says_more_is_refused),
        cmocka_unit_test(what_is_no_object_is_refused), cmocka_unit_test(claims_are_looked_at),
        cmocka_unit_test(not_one_character_may_change), cmocka_unit_test(base64_has_one_form),
        cmocka_unit_test(what_is_no_token_is_refused),  cmocka_unit_test(a_huge_token_is_refused),
        cmocka_unit_test(each_fault_has_a_name),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
