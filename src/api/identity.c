#include "api/identity.h"

#include "api/auth.h"
#include "core/clock.h"
#include "core/str.h"

#include <errno.h>
#include <sodium.h>
#include <strings.h>

/* --- the bearer, as it was sent */

/* NULL: there is none; one of no characters is one that is bad. */
static const char *bearer_text(const struct http_request *req)
{
    const char *text = http_request_header(req, "Authorization");

    if (!text || strncasecmp(text, "Bearer", 6) != 0 || (text[6] && text[6] != ' '))
        return NULL;
    return text + 6 + strspn(text + 6, " ");
}

/* Buckets outlive keys, so none stands in their names. */
static void name_key(const char *key, char ret[ID_TOKEN_LEN + 1])
{
    unsigned char hash[ID_TOKEN_LEN / 2];

    crypto_generichash(hash, sizeof hash, (const unsigned char *)key, strlen(key), NULL, 0);
    sodium_bin2hex(ret, ID_TOKEN_LEN + 1, hash, sizeof hash);
}

static void read_key(struct api_call *call, const char *key)
{
    struct identity *id = &call->identity;

    id->bearer = BEARER_KEY;
    id->key = key;
    name_key(key, id->name);
    call->client.factor = limiter_factor(call->api->limiter, id->name);
}

static void read_token(struct api_call *call, const char *token)
{
    struct identity *id = &call->identity;
    const struct plan *plan;
    struct jwt_claims claims;

    id->bearer = BEARER_BAD;
    if (!call->api->jwt_keys || jwt_verify(call->api->jwt_keys, token, call->api->settings->issuer,
                                           AUTH_AUDIENCE, clock_real_ms() / 1000, &claims) != JWT_GOOD)
        return;
    if (!id_is_uuid(claims.sub) || !id_is_uuid(claims.sid))
        return;
    id->bearer = BEARER_TOKEN;
    memcpy(id->account, claims.sub, sizeof id->account);
    memcpy(id->family, claims.sid, sizeof id->family);
    memcpy(id->name, claims.sub, sizeof id->account);
    plan = plan_by_name(call->api->plans, claims.plan);
    call->client.factor = plan ? plan->rate : 1;
}

static void read_cookie(struct api_call *call)
{
    const char *session_id = http_request_cookie(call->req, "session_id");

    if (!id_is_token(session_id))
        return;
    call->client.of[CLIENT_SESSION] = session_id;
    call->client.factor = limiter_factor(call->api->limiter, session_id);
}

/* What proves wrong, or has ended, never counts as nothing: who sent it would not learn of it, and of their
 * files nothing would stay. Pages have sessions; one that has none is another site's, or got here by a name
 * that was made to point to us, over which no cookie came along. */
static bool sends_nothing(const struct http_request *req)
{
    static const char *const headers[] = {"X-CSRF-Token", "Origin", "Sec-Fetch-Site"};

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
        if (http_request_header_before(req, headers[i], NULL))
            return false;
    return !http_request_cookie(req, "session_id") && !bearer_text(req);
}

static void read_nothing(struct api_call *call)
{
    call->identity.anonymous = true;
    call->scopes = SCOPE_CONVERT;
}

static bool may_be_anonymous(const struct api_call *call)
{
    return call->api->settings->anonymous_calls > 0 && api_call_needs(call, API_MAY_BE_ANONYMOUS) &&
           sends_nothing(call->req);
}

void identity_read(struct api_call *call)
{
    const char *text = api_call_needs(call, API_KNOWS_BEARERS) ? bearer_text(call->req) : NULL;

    if (may_be_anonymous(call))
        read_nothing(call);
    else if (!text)
        read_cookie(call);
    else if (str_starts(text, API_KEY_PREFIX))
        read_key(call, text);
    else
        read_token(call, text);
    if (*call->identity.name)
        call->client.of[CLIENT_USER] = call->identity.name;
}

/* --- what Redis knows of it */

static void answer(struct api_call *call, int err)
{
    call->identity.err = err;
    call->identity.fn(call);
}

static void take_account(struct api_call *call, const struct account *account)
{
    const struct plan *plan = plan_by_name(call->api->plans, account->plan);

    call->account = *account;
    call->plan = plan ? plan : &call->api->plans[PLAN_FREE];
    memcpy(call->session.id, account->space, sizeof call->session.id);
}

static bool is_refusal(int err)
{
    return err == -ENOENT || err == -EACCES;
}

static void on_bearer_account(void *arg, int err, const struct account *account)
{
    struct api_call *call = arg;

    if (err == 0) {
        take_account(call, account);
        limiter_set_factor(call->api->limiter, call->identity.name, call->plan->rate);
    }
    answer(call, is_refusal(err) ? -EACCES : err);
}

static void on_token_account(void *arg, int err, const struct account *account)
{
    struct api_call *call = arg;

    call->scopes = SCOPE_READ | SCOPE_CONVERT;
    on_bearer_account(call, err, account);
}

static void on_key_account(void *arg, int err, const struct account *account, const char *scopes)
{
    struct api_call *call = arg;

    if (err == 0)
        call->scopes = (words_have(scopes, "read") ? SCOPE_READ : 0) |
                       (words_have(scopes, "convert") ? SCOPE_CONVERT : 0);
    on_bearer_account(call, err, account);
}

/* An account that is gone or disabled has taken its browsers' sessions with it, and so has a login that has
 * ended: whoever logs out, or has another password, is rid of the cookie, too. */
static void on_session_account(void *arg, int err, const struct account *account)
{
    struct api_call *call = arg;

    if (err == 0) {
        take_account(call, account);
        limiter_set_factor(call->api->limiter, call->cookie_session, call->plan->rate);
    }
    answer(call, is_refusal(err) ? -ENOENT : err);
}

void identity_of_session(struct api_call *call, const struct session *session,
                         void (*fn)(struct api_call *call))
{

    call->identity.fn = fn;
    call->session = *session;
    call->scopes = SCOPE_READ | SCOPE_CONVERT;
    memcpy(call->cookie_session, session->id, sizeof call->cookie_session);
    if (*session->account)
        account_load(call->api->redis, session->account, session->login, call->api->plans, on_session_account,
                     call);
    else
        answer(call, 0);
}

static void on_session(void *arg, int err, const struct session *session)
{
    struct api_call *call = arg;
    struct identity *id = &call->identity;

    if (err == -ENOENT && api_call_needs(call, API_MAY_BE_CLOSING) && !id->closing_tried) {
        id->closing_tried = true;
        session_load_closing(call->api->redis, http_request_cookie(call->req, "session_id"), on_session,
                             call);
    } else if (err < 0) {
        answer(call, err);
    } else {
        identity_of_session(call, session, id->fn);
    }
}

static void on_bad(void *arg, int err, const redisReply *reply)
{
    answer(arg, err);
}

void identity_ask(struct api_call *call, void (*fn)(struct api_call *call))
{
    struct identity *id = &call->identity;
    struct redis *redis = call->api->redis;

    id->fn = fn;
    switch (id->bearer) {
    case BEARER_NONE:
        session_load(redis, http_request_cookie(call->req, "session_id"), on_session, call);
        break;
    case BEARER_TOKEN:
        account_load(redis, id->account, id->family, call->api->plans, on_token_account, call);
        break;
    case BEARER_KEY:
        api_key_load_account(redis, id->key, call->api->plans, on_key_account, call);
        break;
    case BEARER_BAD:
        redis_defer(redis, -EACCES, on_bad, call);
        break;
    }
}
