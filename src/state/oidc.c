#include "state/oidc.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/oidc_ask.lua.h"
#include "state/script.h"

#include <errno.h>
#include <sodium.h>

#define PROVIDER_KEY  "decant:oidc:provider"
#define LOGIN_PREFIX  "decant:oidc:login:"
#define REQUESTS_KEY  "decant:oidc:requests"
#define ANSWER_PREFIX "decant:oidc:answer:"

#define PROVIDER_TTL "3600"
#define LOGIN_TTL    "600"
#define REQUESTS_TTL "30"
#define ANSWER_TTL   "60"

enum { KEY_MAX = 128 };

static struct redis_script ask_script = {.name = "oidc_ask", .text = oidc_ask_lua};

struct op {
    union {
        oidc_provider_fn *provider;
        oidc_login_fn *login;
        oidc_request_fn *request;
        oidc_answer_fn *answer;
    } fn;
    void *arg;
    char issuer[ACCOUNT_OIDC_MAX + 1];
};

static struct op *op_new(void *arg)
{
    struct op *op = xcalloc(1, sizeof *op);

    op->arg = arg;
    return op;
}

static char *text_of(json_t *json)
{
    _cleanup_json_ json_t *owned = json;
    char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;

    if (!text)
        abort();
    return text;
}

/* What is in Redis under that key; NULL and an err when it is nothing of ours. */
static json_t *json_of(int *err, const redisReply *reply)
{
    const char *text = redis_reply_str(reply);
    json_t *json = *err == 0 && text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

    if (*err == 0 && !json)
        *err = text ? -EPROTO : -ENOENT;
    return json;
}

static const char *member(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text ? text : "";
}

static void put(struct redis *r, const char *key, const char *ttl, json_t *value, redis_reply_fn *fn,
                void *arg)
{
    _cleanup_secret_ char *text = text_of(value);

    redis_command(r, REDIS("SET", key, text, "EX", ttl), fn, arg);
}

/* --- the provider */

void oidc_put_provider(struct redis *r, const struct oidc_provider *provider, redis_reply_fn *fn, void *arg)
{
    put(r, PROVIDER_KEY, PROVIDER_TTL,
        json_pack("{s:s, s:s, s:b}", "issuer", provider->issuer, "authorization_endpoint",
                  provider->authorization_endpoint, "names_itself", provider->names_itself),
        fn, arg);
}

static void on_provider(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    _cleanup_json_ json_t *json = json_of(&err, reply);
    const struct oidc_provider provider = {.issuer = member(json, "issuer"),
                                           .authorization_endpoint = member(json, "authorization_endpoint"),
                                           .names_itself =
                                               json_is_true(json_object_get(json, "names_itself"))};

    if (err == 0 && !str_eq(provider.issuer, op->issuer))
        err = -ENOENT;
    op->fn.provider(op->arg, err, err ? NULL : &provider);
}

void oidc_get_provider(struct redis *r, const char *issuer, oidc_provider_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.provider = fn;
    snprintf(op->issuer, sizeof op->issuer, "%s", issuer);
    redis_command(r, REDIS("GET", PROVIDER_KEY), on_provider, op);
}

/* --- logins under way */

static void login_key(char ret[KEY_MAX], const char *state, const char *browser)
{
    unsigned char both[2 * ID_TOKEN_LEN], hash[crypto_generichash_BYTES];
    char hex[2 * sizeof hash + 1];

    memcpy(both, state, ID_TOKEN_LEN);
    memcpy(both + ID_TOKEN_LEN, browser, ID_TOKEN_LEN);
    crypto_generichash(hash, sizeof hash, both, sizeof both, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(ret, KEY_MAX, LOGIN_PREFIX "%s", hex);
}

void oidc_put_login(struct redis *r, const char *state, const char *browser, const struct oidc_login *login,
                    redis_reply_fn *fn, void *arg)
{
    char key[KEY_MAX];

    login_key(key, state, browser);
    put(r, key, LOGIN_TTL,
        json_pack("{s:s, s:s, s:s}", "nonce", login->nonce, "verifier", login->verifier, "return",
                  login->return_to),
        fn, arg);
}

static void on_login(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    _cleanup_json_ json_t *json = json_of(&err, reply);
    struct oidc_login login;

    snprintf(login.nonce, sizeof login.nonce, "%s", member(json, "nonce"));
    snprintf(login.verifier, sizeof login.verifier, "%s", member(json, "verifier"));
    snprintf(login.return_to, sizeof login.return_to, "%s", member(json, "return"));
    op->fn.login(op->arg, err, err ? NULL : &login);
    explicit_bzero(&login, sizeof login);
}

void oidc_take_login(struct redis *r, const char *state, const char *browser, oidc_login_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char key[KEY_MAX];

    op->fn.login = fn;
    if (!id_is_token(state) || !id_is_token(browser)) {
        redis_defer(r, -ENOENT, on_login, op);
        return;
    }
    login_key(key, state, browser);
    redis_command(r, REDIS("GETDEL", key), on_login, op);
}

/* --- codes */

void oidc_ask(struct redis *r, const struct oidc_request *request, redis_reply_fn *fn, void *arg)
{
    _cleanup_secret_ char *text =
        text_of(json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", request->id, "code", request->code, "verifier",
                          request->verifier, "nonce", request->nonce, "at", (json_int_t)clock_real_ms()));

    redis_eval(r, &ask_script, 1, REDIS(REQUESTS_KEY, text, REQUESTS_TTL, OIDC_CHANNEL), fn, arg);
}

static void on_request(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    _cleanup_json_ json_t *json = json_of(&err, reply);
    const struct oidc_request request = {.id = member(json, "id"),
                                         .code = member(json, "code"),
                                         .verifier = member(json, "verifier"),
                                         .nonce = member(json, "nonce")};
    uint64_t at_ms = (uint64_t)json_integer_value(json_object_get(json, "at"));

    if (err == -EPROTO || (err == 0 && (!id_is_uuid(request.id) || !*request.code || !*request.nonce ||
                                        at_ms + OIDC_PATIENCE_MS < clock_real_ms())))
        err = -EAGAIN;
    op->fn.request(op->arg, err, err ? NULL : &request);
}

void oidc_take_request(struct redis *r, oidc_request_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.request = fn;
    redis_command(r, REDIS("LPOP", REQUESTS_KEY), on_request, op);
}

static const char *answer_key(char ret[KEY_MAX], const char *id)
{
    snprintf(ret, KEY_MAX, ANSWER_PREFIX "%s", id);
    return ret;
}

void oidc_put_answer(struct redis *r, const char *id, const struct oidc_answer *answer, redis_reply_fn *fn,
                     void *arg)
{
    char key[KEY_MAX];

    put(r, answer_key(key, id), ANSWER_TTL,
        json_pack("{s:i, s:s, s:s, s:s}", "verdict", (int)answer->verdict, "subject", answer->subject, "name",
                  answer->name, "plan", answer->plan),
        fn, arg);
}

static void on_answer(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    _cleanup_json_ json_t *json = json_of(&err, reply);
    const json_t *verdict = json_object_get(json, "verdict");
    const struct oidc_answer answer = {.verdict = (enum oidc_verdict)json_integer_value(verdict),
                                       .subject = member(json, "subject"),
                                       .name = member(json, "name"),
                                       .plan = member(json, "plan")};

    if (err == 0 && (!json_is_integer(verdict) || (answer.verdict == OIDC_PROVED && !*answer.subject)))
        err = -EPROTO;
    op->fn.answer(op->arg, err, err ? NULL : &answer);
}

void oidc_take_answer(struct redis *r, const char *id, oidc_answer_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char key[KEY_MAX];

    op->fn.answer = fn;
    redis_command(r, REDIS("GETDEL", answer_key(key, id)), on_answer, op);
}
