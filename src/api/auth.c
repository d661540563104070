/* POST /auth/refresh and /auth/logout, GET /auth/me and /.well-known/jwks.json, and what they have in common
 * with POST /auth/login. */
#include "api/auth.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"

#include <errno.h>
#include <inttypes.h>

enum { COOKIE_MAX = JWT_TOKEN_MAX + 128, DEVICE_TTL_S = 365 * 24 * 3600 };

#define REFRESH_COOKIE "refresh_token"
#define DEVICE_COOKIE  "decant_device"

static uint64_t now_s(void)
{
    return clock_real_ms() / 1000;
}

bool auth_is_on(struct api_call *call)
{
    if (call->api->jwt_keys)
        return true;
    api_fail(call, API_NOT_FOUND,
             "Nobody can log in here: the server's operator has set no DECANT_JWT_KEYS. API keys are taken.");
    return false;
}

/* --- cookies */

static void set_cookie(struct api_call *call, const char *name, const char *value, uint64_t seconds)
{
    char cookie[COOKIE_MAX];

    snprintf(cookie, sizeof cookie, "%s=%s; Path=/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=%" PRIu64,
             name, value, seconds);
    http_reply_cookie(call->req, cookie);
    explicit_bzero(cookie, sizeof cookie);
}

void auth_set_refresh(struct api_call *call, const struct refresh *refresh)
{
    set_cookie(call, REFRESH_COOKIE, refresh ? refresh->token : "", refresh ? refresh->left_s : 0);
}

int auth_set_device(struct api_call *call, const char *account_id)
{
    struct jwt_claims claims = {.iat = now_s(), .nbf = now_s(), .exp = now_s() + DEVICE_TTL_S};
    _cleanup_secret_ char *token = NULL;
    char id[ID_UUID_LEN + 1];
    int r;

    id_uuid(id);
    snprintf(claims.sub, sizeof claims.sub, "%s", account_id);
    snprintf(claims.jti, sizeof claims.jti, "%s", id);
    r = jwt_sign(call->api->jwt_keys, call->api->settings->issuer, AUTH_DEVICE, &claims, &token);
    if (r == 0)
        set_cookie(call, DEVICE_COOKIE, token, DEVICE_TTL_S);
    return r;
}

bool auth_find_device(struct api_call *call, const char *account_id, char ret[JWT_CLAIM_MAX + 1])
{
    struct jwt_claims claims;

    *ret = '\0';
    if (jwt_verify(call->api->jwt_keys, http_request_cookie(call->req, DEVICE_COOKIE),
                   call->api->settings->issuer, AUTH_DEVICE, now_s(), &claims) != JWT_GOOD ||
        !str_eq(claims.sub, account_id))
        return false;
    memcpy(ret, claims.jti, sizeof claims.jti);
    return true;
}

/* --- */

void auth_fail_ended(struct api_call *call)
{
    auth_set_refresh(call, NULL);
    api_fail(call, API_AUTH_REQUIRED, "There is no login, or it has ended. Log in with POST /auth/login.");
}

/* --- answers */

static json_t *account_json(const struct account *account)
{
    return json_pack("{s:s, s:s, s:s}", "id", account->id, "name", account->name, "plan", account->plan);
}

static int make_token(const struct api_call *call, const struct account *account, const char *family,
                      char **ret)
{
    const struct settings *s = call->api->settings;
    struct jwt_claims claims = {.iat = now_s(), .nbf = now_s(), .exp = now_s() + s->access_ttl_s};
    char id[ID_UUID_LEN + 1];

    id_uuid(id);
    snprintf(claims.sub, sizeof claims.sub, "%s", account->id);
    snprintf(claims.sid, sizeof claims.sid, "%s", family);
    snprintf(claims.plan, sizeof claims.plan, "%s", account->plan);
    snprintf(claims.jti, sizeof claims.jti, "%s", id);
    return jwt_sign(call->api->jwt_keys, s->issuer, AUTH_AUDIENCE, &claims, ret);
}

void auth_reply(struct api_call *call, const struct account *account, const char *family)
{
    _cleanup_secret_ char *token = NULL;
    int r = make_token(call, account, family, &token);

    if (r < 0) {
        log_error("an access token can't be signed", LOG_S("request_id", http_request_id(call->req)),
                  LOG_E(r));
        api_fail(call, API_INTERNAL, "The access token could not be signed.");
        return;
    }
    api_reply_json(call, 200,
                   json_pack("{s:s, s:s, s:I, s:o}", "access_token", token, "token_type", "Bearer",
                             "expires_in", (json_int_t)call->api->settings->access_ttl_s, "account",
                             account_json(account)));
}

/* --- POST /auth/refresh */

struct refreshing {
    struct api_call *call;
    char family[ID_UUID_LEN + 1];
};

static void on_refreshed(void *arg, int err, const struct account *account)
{
    struct refreshing *r = arg;

    if (err == -ENOENT || err == -EACCES)
        auth_fail_ended(r->call);
    else if (err < 0)
        api_fail_state(r->call, err);
    else
        auth_reply(r->call, account, r->family);
}

/* The cookie goes out whatever comes now: the old token is used up, and would end the login. */
static void on_rotated(void *arg, int err, const struct refresh *refresh)
{
    struct refreshing *r = arg;
    struct api_call *call = r->call;

    if (err == -EALREADY)
        log_audit("refresh_reused", LOG_S("request_id", http_request_id(call->req)),
                  LOG_S("client", call->address), LOG_S("account", refresh->account));
    if (err == -ENOENT || err == -EALREADY) {
        auth_fail_ended(call);
        return;
    }
    if (err < 0) {
        api_fail_state(call, err);
        return;
    }
    auth_set_refresh(call, refresh);
    snprintf(r->family, sizeof r->family, "%s", refresh->family);
    account_load(call->api->redis, refresh->account, refresh->family, call->api->plans, on_refreshed, r);
}

void api_auth_refresh(struct api_call *call)
{
    const char *token = http_request_cookie(call->req, REFRESH_COOKIE);
    struct refreshing *r;

    if (!auth_is_on(call))
        return;
    r = http_request_alloc(call->req, sizeof *r);
    r->call = call;
    refresh_rotate(call->api->redis, token, on_rotated, r);
}

/* --- POST /auth/logout: asked for twice, it is answered twice */

static void reply_logged_out(struct api_call *call)
{
    auth_set_refresh(call, NULL);
    api_reply_json(call, 200, json_pack("{s:b}", "logged_out", 1));
}

static void on_ended(void *arg, int err, const redisReply *reply)
{
    struct api_call *call = arg;

    if (err < 0 && err != -ENOENT) {
        api_fail_state(call, err);
        return;
    }
    if (err == 0)
        log_audit("logout", LOG_S("request_id", http_request_id(call->req)), LOG_S("client", call->address),
                  LOG_S("account", redis_reply_str(redis_reply_at(reply, 1))));
    reply_logged_out(call);
}

void api_auth_logout(struct api_call *call)
{
    const char *token = http_request_cookie(call->req, REFRESH_COOKIE);

    if (!auth_is_on(call))
        return;
    if (token)
        refresh_end(call->api->redis, token, on_ended, call);
    else
        reply_logged_out(call);
}

/* --- GET /auth/me */

void api_auth_me(struct api_call *call)
{
    api_reply_json(call, 200, account_json(&call->account));
}

/* --- GET /.well-known/jwks.json: kept by others for less than a new key waits before it signs */

void api_auth_jwks(struct api_call *call)
{
    _cleanup_free_ char *keys = NULL;

    if (!auth_is_on(call))
        return;
    keys = jwt_keys_public(call->api->jwt_keys);
    if (!keys) {
        api_fail(call, API_UNAVAILABLE, "The server is short of memory.");
        return;
    }
    http_reply_header(call->req, "Cache-Control", "public, max-age=180");
    api_reply(call, 200, "application/jwk-set+json", keys, strlen(keys));
}
