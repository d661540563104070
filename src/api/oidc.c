/* GET /auth/oidc/login and GET /auth/oidc/callback: single sign-on by OpenID Connect, the authorization code
 * flow with PKCE. The browser is sent to the provider and comes back with a code; the courier, which alone
 * may connect to the outside, exchanges it and says who that is (state/oidc.h).
 *
 * What ties the two requests together is known by two: the state comes back by the provider, and the cookie
 * by the browser that began. So nobody can have another's browser finish a login that he began himself, nor
 * finish one that he has overheard; and a state is good once. Verifier and nonce never leave the server
 * before the code is exchanged: a code from elsewhere is of no use.
 *
 * An account is found by issuer and subject alone. Names, and addresses above all, are what a provider lets
 * its users say: one that is somebody's already stays his, and the newcomer gets another.
 *
 * A person looks at all answers, so they are redirections; what went wrong is a word in the page's address.
 */
#include "api/auth.h"

#include "api/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/oidc.h"

#include <errno.h>
#include <sodium.h>

enum {
    LOCATION_MAX = 8192,
    COOKIE_MAX = 256,
    POLL_MS = 100, /* a login in a while: not worth a subscription of each loop's */
    NAME_KEPT = 48,
    MARK_BYTES = 4,
    SEE_OTHER = 303,
};

#define STATE_COOKIE "oidc_state"

static bool is_on(struct api_call *call)
{
    if (!auth_is_on(call))
        return false;
    if (*call->api->settings->oidc_issuer)
        return true;
    api_fail(call, API_NOT_FOUND,
             "There is no single sign-on here: the server's operator has set no "
             "DECANT_OIDC_ISSUER.");
    return false;
}

static void set_state_cookie(struct api_call *call, const char *value, unsigned seconds)
{
    char cookie[COOKIE_MAX];

    snprintf(cookie, sizeof cookie,
             STATE_COOKIE "=%s; Path=/auth/oidc; HttpOnly; Secure; SameSite=Lax; Max-Age=%u", value, seconds);
    http_reply_cookie(call->req, cookie);
    explicit_bzero(cookie, sizeof cookie);
}

static void redirect(struct api_call *call, const char *location)
{
    http_reply_header(call->req, "Location", location);
    http_reply_header(call->req, "Cache-Control", "no-store");
    api_reply(call, SEE_OTHER, "text/plain; charset=utf-8", "", 0);
}

/* --- what went wrong, as the page gets to know it */

enum trouble { DENIED, EXPIRED, INVALID, UNAVAILABLE, DISABLED, UNKNOWN, NAME_TAKEN };

static const char *const troubles[] = {
    [DENIED] = "denied",           [EXPIRED] = "expired",   [INVALID] = "invalid",
    [UNAVAILABLE] = "unavailable", [DISABLED] = "disabled", [UNKNOWN] = "unknown",
    [NAME_TAKEN] = "name_taken",
};

static void fail_login(struct api_call *call, enum trouble trouble, const char *account)
{
    char location[64];

    log_audit("login_failed", LOG_S("request_id", http_request_id(call->req)), LOG_S("client", call->address),
              LOG_S("account", account), LOG_S("why", troubles[trouble]), LOG_S("by", "oidc"));
    metrics_login(call->api->metrics, trouble == UNAVAILABLE ? LOGIN_BUSY : LOGIN_FAILED);
    snprintf(location, sizeof location, "/?login_error=%s", troubles[trouble]);
    redirect(call, location);
}

/* --- GET /auth/oidc/login */

struct beginning {
    struct api_call *call;
    char state[ID_TOKEN_LEN + 1], browser[ID_TOKEN_LEN + 1];
    struct oidc_login login;
    char endpoint[LOCATION_MAX];
};

static void add_parameter(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s%s=", out->data && strchr(out->data, '?') ? "&" : "?", name);
    buf_append_escaped(out, value);
}

/* RFC 7636, section 4.2. */
static void write_challenge(const char *verifier, char ret[64])
{
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)verifier, strlen(verifier));
    sodium_bin2base64(ret, 64, hash, sizeof hash, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void on_login_put(void *arg, int err, const redisReply *reply)
{
    struct beginning *b = arg;
    const struct settings *s = b->call->api->settings;
    _cleanup_buf_ struct buf location = BUF_INIT(LOCATION_MAX);
    char challenge[64], redirect_uri[512];

    if (err < 0) {
        fail_login(b->call, UNAVAILABLE, "");
        return;
    }
    write_challenge(b->login.verifier, challenge);
    snprintf(redirect_uri, sizeof redirect_uri, "%s/auth/oidc/callback", s->public_url);
    buf_append_str(&location, b->endpoint);
    add_parameter(&location, "response_type", "code");
    add_parameter(&location, "client_id", s->oidc_client_id);
    add_parameter(&location, "redirect_uri", redirect_uri);
    add_parameter(&location, "scope", s->oidc_scopes);
    add_parameter(&location, "state", b->state);
    add_parameter(&location, "nonce", b->login.nonce);
    add_parameter(&location, "code_challenge", challenge);
    add_parameter(&location, "code_challenge_method", "S256");
    if (buf_error(&location)) {
        fail_login(b->call, UNAVAILABLE, "");
        return;
    }
    set_state_cookie(b->call, b->browser, OIDC_LOGIN_TTL_S);
    redirect(b->call, location.data);
}

static void on_provider(void *arg, int err, const struct oidc_provider *provider)
{
    struct beginning *b = arg;

    if (err < 0) {
        fail_login(b->call, UNAVAILABLE, "");
        return;
    }
    snprintf(b->endpoint, sizeof b->endpoint, "%s", provider->authorization_endpoint);
    id_token(b->state);
    id_token(b->browser);
    id_token(b->login.nonce);
    id_token(b->login.verifier);
    oidc_put_login(b->call->api->redis, b->state, b->browser, &b->login, on_login_put, b);
}

/* A path of ours, and nothing that a browser could take for another host. */
static bool is_local(const char *path)
{
    if (*path != '/' || path[1] == '/' || strlen(path) > OIDC_RETURN_MAX)
        return false;
    for (; *path; path++)
        if (*path <= ' ' || *path > '~' || *path == '\\')
            return false;
    return true;
}

void api_oidc_login(struct api_call *call)
{
    const char *return_to = http_request_query(call->req, "return");
    struct beginning *b;

    if (!is_on(call))
        return;
    if (return_to && !is_local(return_to)) {
        api_fail(call, API_BAD_REQUEST, "return has to be a path of this server, such as /jobs.");
        return;
    }
    b = http_request_alloc(call->req, sizeof *b);
    b->call = call;
    snprintf(b->login.return_to, sizeof b->login.return_to, "%s", return_to ? return_to : "/");
    oidc_get_provider(call->api->redis, call->api->settings->oidc_issuer, on_provider, b);
}

/* --- GET /auth/oidc/callback */

struct sign_on {
    struct api_call *call;
    uv_timer_t timer;
    uint64_t deadline_ms;
    const char *code;
    struct oidc_login login;
    char id[ID_UUID_LEN + 1];
    char oidc[ACCOUNT_OIDC_MAX + 1], plan[ACCOUNT_PLAN_MAX + 1], name[ACCOUNT_NAME_MAX + 1];
    unsigned names_tried;
    bool names_itself;
    char account[ID_UUID_LEN + 1];
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct sign_on *s = handle->data;

    explicit_bzero(s, sizeof *s);
    free(s);
}

static void end_with(struct sign_on *s, enum trouble trouble)
{
    fail_login(s->call, trouble, s->account);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void on_written(void *arg, int err, const redisReply *reply)
{
    if (err < 0)
        log_warn("what is known of a login was not written", LOG_E(err));
}

static void on_begun(void *arg, int err, const struct refresh *refresh)
{
    struct sign_on *s = arg;
    struct api_call *call = s->call;

    if (err < 0) {
        end_with(s, err == -EACCES || err == -ENOENT ? DISABLED : UNAVAILABLE);
        return;
    }
    account_touch_login(call->api->redis, s->account, on_written, NULL);
    auth_set_refresh(call, refresh);
    log_audit("login", LOG_S("request_id", http_request_id(call->req)), LOG_S("client", call->address),
              LOG_S("account", s->account), LOG_S("by", "oidc"));
    metrics_login(call->api->metrics, LOGIN_SUCCEEDED);
    redirect(call, s->login.return_to);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void begin(struct sign_on *s)
{
    refresh_begin(s->call->api->redis,
                  &(struct refresh_login){.account_id = s->account,
                                          .address = s->call->address,
                                          .ttl_s = s->call->api->settings->refresh_ttl_s},
                  on_begun, s);
}

static void on_plan_set(void *arg, int err, const redisReply *reply)
{
    struct sign_on *s = arg;

    if (err < 0 && err != -ENOENT)
        end_with(s, UNAVAILABLE);
    else
        begin(s);
}

static void on_account(void *arg, int err, const struct account *account, const char *password);

/* As the provider calls him; else, where that is no name or somebody else's, with a mark that is his alone.
 */
static bool name_account(struct sign_on *s, char ret[ACCOUNT_NAME_MAX + 1])
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    char mark[2 * MARK_BYTES + 1];
    bool valid = account_name_valid(s->name);

    if (s->names_tried++ == 0 && valid) {
        memcpy(ret, s->name, sizeof s->name);
        return true;
    }
    if (s->names_tried > 2)
        return false;
    s->names_tried = 2;
    crypto_generichash(hash, sizeof hash, (const unsigned char *)s->oidc, strlen(s->oidc), NULL, 0);
    sodium_bin2hex(mark, sizeof mark, hash, MARK_BYTES);
    snprintf(ret, ACCOUNT_NAME_MAX + 1, "%.*s-%s", valid ? (int)utf8_clip(s->name, NAME_KEPT) : 4,
             valid ? s->name : "user", mark);
    return true;
}

static void on_created(void *arg, int err, const struct account *account)
{
    struct sign_on *s = arg;

    if (err == -EEXIST) { /* the name is another's, or he has just been made by another tab */
        account_load_by_oidc(s->call->api->redis, s->oidc, on_account, s);
        return;
    }
    if (err < 0) {
        end_with(s, UNAVAILABLE);
        return;
    }
    memcpy(s->account, account->id, sizeof s->account);
    log_audit("account_created", LOG_S("request_id", http_request_id(s->call->req)),
              LOG_S("client", s->call->address), LOG_S("account", s->account), LOG_S("by", "oidc"));
    begin(s);
}

static void create(struct sign_on *s)
{
    char name[ACCOUNT_NAME_MAX + 1];

    if (!str_eq(s->call->api->settings->oidc_create, "on"))
        end_with(s, UNKNOWN);
    else if (!name_account(s, name))
        end_with(s, NAME_TAKEN);
    else
        account_create(s->call->api->redis, name, *s->plan ? s->plan : "free", "", s->oidc, on_created, s);
}

static void on_account(void *arg, int err, const struct account *account, const char *password)
{
    struct sign_on *s = arg;

    if (err == -ENOENT) {
        create(s);
        return;
    }
    if (err < 0) {
        end_with(s, UNAVAILABLE);
        return;
    }
    memcpy(s->account, account->id, sizeof s->account);
    if (account->disabled)
        end_with(s, DISABLED);
    else if (*s->plan && !str_eq(s->plan, account->plan))
        account_set_plan(s->call->api->redis, s->account, s->plan, on_plan_set, s);
    else
        begin(s);
}

/* --- who it is */

static void on_poll(uv_timer_t *timer);

static void on_answer(void *arg, int err, const struct oidc_answer *answer)
{
    struct sign_on *s = arg;

    if (err == -ENOENT && clock_mono_ms() < s->deadline_ms) {
        uv_timer_start(&s->timer, on_poll, POLL_MS, 0);
        return;
    }
    if (err < 0 || answer->verdict == OIDC_UNREACHABLE) {
        end_with(s, UNAVAILABLE);
        return;
    }
    if (answer->verdict != OIDC_PROVED) {
        end_with(s, INVALID);
        return;
    }
    snprintf(s->oidc, sizeof s->oidc, "%s %s", s->call->api->settings->oidc_issuer, answer->subject);
    snprintf(s->name, sizeof s->name, "%s", answer->name);
    snprintf(s->plan, sizeof s->plan, "%s", answer->plan);
    account_load_by_oidc(s->call->api->redis, s->oidc, on_account, s);
}

static void on_poll(uv_timer_t *timer)
{
    struct sign_on *s = timer->data;

    if (s->call->api->redis)
        oidc_take_answer(s->call->api->redis, s->id, on_answer, s);
    else /* the server has stopped meanwhile */
        end_with(s, UNAVAILABLE);
}

static void on_asked(void *arg, int err, const redisReply *reply)
{
    struct sign_on *s = arg;

    if (err < 0)
        end_with(s, UNAVAILABLE);
    else
        uv_timer_start(&s->timer, on_poll, POLL_MS, 0);
}

/* RFC 6749, appendix A.11; what is no UTF-8 would be no JSON either. */
static bool is_code(const char *code)
{
    size_t len = code ? strlen(code) : 0;

    for (size_t i = 0; i < len; i++)
        if (code[i] < ' ' || code[i] > '~')
            return false;
    return len > 0 && len <= OIDC_CODE_MAX;
}

static void on_login(void *arg, int err, const struct oidc_login *login)
{
    struct sign_on *s = arg;
    const char *error = http_request_query(s->call->req, "error");
    struct oidc_request request;

    if (err < 0) {
        end_with(s, err == -ENOENT ? EXPIRED : UNAVAILABLE);
        return;
    }
    s->login = *login;
    if (error || !is_code(s->code)) {
        end_with(s, str_eq(error, "access_denied") ? DENIED : INVALID);
        return;
    }
    id_uuid(s->id);
    s->deadline_ms = clock_mono_ms() + OIDC_PATIENCE_MS;
    request = (struct oidc_request){
        .id = s->id, .code = s->code, .verifier = s->login.verifier, .nonce = s->login.nonce};
    oidc_ask(s->call->api->redis, &request, on_asked, s);
}

/* RFC 9207: an answer of another provider's is none. */
static bool is_of_issuer(const struct sign_on *s)
{
    const char *iss = http_request_query(s->call->req, "iss");

    return iss ? str_eq(iss, s->call->api->settings->oidc_issuer) : !s->names_itself;
}

static void on_whose(void *arg, int err, const struct oidc_provider *provider)
{
    struct sign_on *s = arg;

    if (err < 0) {
        end_with(s, UNAVAILABLE);
        return;
    }
    s->names_itself = provider->names_itself;
    if (is_of_issuer(s))
        oidc_take_login(s->call->api->redis, http_request_query(s->call->req, "state"),
                        http_request_cookie(s->call->req, STATE_COOKIE), on_login, s);
    else
        end_with(s, INVALID);
}

void api_oidc_callback(struct api_call *call)
{
    struct sign_on *s;

    if (!is_on(call))
        return;
    s = xcalloc(1, sizeof *s);
    s->call = call;
    s->code = http_request_query(call->req, "code");
    uv_timer_init(call->api->loop, &s->timer);
    s->timer.data = s;
    set_state_cookie(call, "", 0);
    oidc_get_provider(call->api->redis, call->api->settings->oidc_issuer, on_whose, s);
}
