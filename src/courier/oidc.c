#include "courier/oidc.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"
#include "courier/id_token.h"
#include "courier/oidc_provider.h"
#include "state/oidc.h"

#include <errno.h>

enum {
    AT_ONCE = 16,
    RENEW_EVERY_MS = 600000,
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 60000,
    LOOK_EVERY_MS = 5000, /* news of a request may have been missed */
    KEYS_WINDOW_MS = 60000,
    KEYS_IN_WINDOW = 10, /* fetches for keys that are not known */
    BODY_MAX = 16 * 1024,
    AUTHORIZATION_MAX = 32 * 1024,
    HTTP_OK = 200,
    HTTP_CLIENT_ERROR = 400,
    HTTP_SERVER_ERROR = 500,
};

struct exchange {
    struct oidc *o;
    struct exchange *next, **link;
    char id[ID_UUID_LEN + 1], nonce[ID_TOKEN_LEN + 1];
    char *id_token, *access_token;
    bool wants_keys;
};

struct oidc {
    struct oidc_config config;
    struct redis_sub *sub;
    uv_timer_t renew, look;
    unsigned open; /* of the timers */
    uint64_t retry_ms;
    struct provider_metadata provider;
    bool known; /* the provider */
    json_t *keys;
    bool fetching_keys, taking, again, stopping;
    uint64_t window_ms; /* when it began */
    unsigned in_window;
    struct exchange *first;
    unsigned running;
    char redirect_uri[512];
    void (*stopped)(void *arg); /* NULL: nobody waits for it */
    void *arg;
};

static void take(struct oidc *o);
static void judge(struct exchange *x, bool last);
static void on_renew(uv_timer_t *timer);

/* --- exchanges */

static struct exchange *exchange_new(struct oidc *o, const struct oidc_request *request)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x)
        return NULL; /* the API's patience ends */
    x->o = o;
    snprintf(x->id, sizeof x->id, "%s", request->id);
    snprintf(x->nonce, sizeof x->nonce, "%s", request->nonce);
    x->link = &o->first;
    x->next = o->first;
    if (x->next)
        x->next->link = &x->next;
    o->first = x;
    o->running++;
    return x;
}

static void exchange_free(struct exchange *x)
{
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    x->o->running--;
    cleanup_secret(&x->id_token);
    cleanup_secret(&x->access_token);
    explicit_bzero(x->nonce, sizeof x->nonce);
    free(x);
}

static void check_stopped(struct oidc *o)
{
    if (o->stopped && o->running == 0)
        TAKE_PTR(o->stopped)(o->arg);
}

static void on_answered(void *arg, int err, const redisReply *reply)
{
    struct exchange *x = arg;
    struct oidc *o = x->o;

    if (err < 0)
        log_warn("what became of a login can't be put down", LOG_S("login", x->id), LOG_E(err));
    exchange_free(x);
    take(o);
    check_stopped(o);
}

static void answer(struct exchange *x, const struct oidc_answer *a)
{
    oidc_put_answer(x->o->config.redis, x->id, a, on_answered, x);
}

/* `why` is a sentence or a word of ours, never anything of the provider's: it could hold a token. */
static void fail(struct exchange *x, enum oidc_verdict verdict, const char *why, long status)
{
    log_warn(verdict == OIDC_REFUSED ? "a login was refused by what the provider says"
                                     : "the provider of single sign-on doesn't answer",
             LOG_S("login", x->id), LOG_S("why", why), LOG_U("http_status", (uint64_t)status));
    answer(x, &(struct oidc_answer){.verdict = verdict, .subject = "", .name = "", .plan = ""});
}

static void prove(struct exchange *x, const json_t *claims)
{
    const struct settings *s = x->o->config.settings;
    const char *plan = "";

    if (*s->oidc_plan_claim)
        plan = id_token_is_premium(claims, s->oidc_plan_claim, s->oidc_premium) ? "premium" : "free";
    answer(x, &(struct oidc_answer){.verdict = OIDC_PROVED,
                                    .subject = json_string_value(json_object_get(claims, "sub")),
                                    .name = id_token_name(claims, s->oidc_name_claim),
                                    .plan = plan});
}

/* --- keys */

/* False: often enough for now. */
static bool may_fetch_keys(struct oidc *o)
{
    uint64_t now_ms = clock_mono_ms();

    if (now_ms - o->window_ms >= KEYS_WINDOW_MS) {
        o->window_ms = now_ms;
        o->in_window = 0;
    }
    return o->in_window++ < KEYS_IN_WINDOW;
}

static void judge_waiting(struct oidc *o)
{
    struct exchange *next;

    for (struct exchange *x = o->first; x; x = next) {
        next = x->next;
        if (x->wants_keys) {
            x->wants_keys = false;
            judge(x, true);
        }
    }
}

static void on_keys(void *arg, const struct fetch_answer *answer)
{
    struct oidc *o = arg;
    json_t *keys = NULL;

    o->fetching_keys = false;
    if (answer->status == HTTP_OK && !*answer->error)
        keys = json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_array(json_object_get(keys, "keys"))) {
        json_decref(o->keys);
        o->keys = TAKE_PTR(keys);
    } else {
        log_warn("the keys of the provider of single sign-on can't be had",
                 LOG_S("why", *answer->error ? answer->error : "The answer is no set of keys."),
                 LOG_U("http_status", (uint64_t)answer->status));
    }
    json_decref(keys);
    judge_waiting(o);
}

static int get(struct oidc *o, const char *url, fetch_fn *fn)
{
    static const char *const headers[] = {"Accept: application/json", "User-Agent: Decant/" DECANT_VERSION,
                                          NULL};
    const struct fetch_request request = {.url = url, .headers = headers};

    return fetch_start(o->config.fetcher, &request, fn, o);
}

static void fetch_keys(struct oidc *o)
{
    if (!o->fetching_keys && get(o, o->provider.jwks_uri, on_keys) == 0)
        o->fetching_keys = true;
}

/* --- the token */

static void judge(struct exchange *x, bool last)
{
    struct oidc *o = x->o;
    const struct id_token_wanted wanted = {.issuer = o->config.settings->oidc_issuer,
                                           .client_id = o->config.settings->oidc_client_id,
                                           .nonce = x->nonce,
                                           .access_token = x->access_token,
                                           .now_s = clock_real_ms() / 1000};
    _cleanup_json_ json_t *claims = NULL;
    enum id_token_fault fault = id_token_verify(x->id_token, o->keys, &wanted, &claims);

    if (fault == ID_TOKEN_KEY_UNKNOWN && !last && (o->fetching_keys || may_fetch_keys(o))) {
        fetch_keys(o);
        x->wants_keys = o->fetching_keys;
        if (x->wants_keys)
            return;
    }
    if (fault == ID_TOKEN_GOOD)
        prove(x, claims);
    else
        fail(x, OIDC_REFUSED, id_token_fault_name(fault), HTTP_OK);
}

static char *copy_token(const json_t *json, const char *name)
{
    const char *value = json_string_value(json_object_get(json, name));

    return value ? strdup(value) : NULL;
}

static void on_token(void *arg, const struct fetch_answer *a)
{
    struct exchange *x = arg;
    _cleanup_json_ json_t *json = NULL;

    if (*a->error || a->status >= HTTP_SERVER_ERROR) {
        fail(x, OIDC_UNREACHABLE, *a->error ? a->error : "Its token endpoint has failed.", a->status);
        return;
    }
    if (a->status != HTTP_OK) {
        fail(x, a->status >= HTTP_CLIENT_ERROR ? OIDC_REFUSED : OIDC_UNREACHABLE,
             "Its token endpoint doesn't take the code, or this client.", a->status);
        return;
    }
    json = json_loadb(a->body, a->body_len, JSON_REJECT_DUPLICATES, NULL);
    x->id_token = copy_token(json, "id_token");
    x->access_token = copy_token(json, "access_token");
    if (x->id_token)
        judge(x, false);
    else
        fail(x, OIDC_REFUSED, "Its token endpoint answers without an ID token.", a->status);
}

static int start_exchange(struct exchange *x, const struct oidc_request *request)
{
    const struct oidc_config *c = &x->o->config;
    const struct code_grant grant = {.code = request->code,
                                     .verifier = request->verifier,
                                     .redirect_uri = x->o->redirect_uri,
                                     .client_id = c->settings->oidc_client_id,
                                     .client_secret = c->client_secret};
    _cleanup_buf_ struct buf body = BUF_INIT(BODY_MAX), authorization = BUF_INIT(AUTHORIZATION_MAX);
    static const char user_agent[] = "User-Agent: Decant/" DECANT_VERSION;
    const char *headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json",
                             user_agent, NULL, NULL};

    body.secret = authorization.secret = true;
    provider_write_grant(&grant, x->o->provider.auth, &body, &authorization);
    if (buf_error(&body) || buf_error(&authorization))
        return -EMSGSIZE;
    headers[3] = authorization.len > 0 ? authorization.data : NULL;

    const struct fetch_request fetch = {
        .url = x->o->provider.token_endpoint, .headers = headers, .body = body.data, .body_len = body.len};

    return fetch_start(c->fetcher, &fetch, on_token, x);
}

static void on_request(void *arg, int err, const struct oidc_request *request)
{
    struct oidc *o = arg;
    struct exchange *x = err == 0 ? exchange_new(o, request) : NULL;

    o->taking = false;
    if (x && !o->known)
        fail(x, OIDC_UNREACHABLE, "What it says of itself is not known yet.", 0);
    else if (x && start_exchange(x, request) < 0)
        fail(x, OIDC_UNREACHABLE, "The request can't be made.", 0);
    if (err == 0 || err == -EAGAIN || o->again)
        take(o);
}

static void take(struct oidc *o)
{
    o->again = o->taking;
    if (o->taking || o->stopping || o->running >= AT_ONCE) /* the end of one takes the next */
        return;
    o->taking = true;
    oidc_take_request(o->config.redis, on_request, o);
}

/* `message` is NULL when the subscription has come to stand. */
static void on_message(void *arg, const char *channel, const char *message)
{
    take(arg);
}

static void on_look(uv_timer_t *timer)
{
    take(timer->data);
}

/* --- the provider */

static void renew_later(struct oidc *o, bool soon)
{
    uint64_t wait_ms = soon ? o->retry_ms : RENEW_EVERY_MS;

    o->retry_ms = !soon ? RETRY_MIN_MS : o->retry_ms * 2 < RETRY_MAX_MS ? o->retry_ms * 2 : RETRY_MAX_MS;
    if (!o->stopping)
        uv_timer_start(&o->renew, on_renew, wait_ms, 0);
}

static void on_provider_put(void *arg, int err, const redisReply *reply)
{
    renew_later(arg, err < 0);
}

static void on_discovery(void *arg, const struct fetch_answer *a)
{
    struct oidc *o = arg;
    const struct settings *s = o->config.settings;
    struct provider_metadata provider = {0};
    const char *why = *a->error ? a->error : "Its /.well-known/openid-configuration is not there.";

    if (*a->error || a->status != HTTP_OK ||
        provider_read(a->body, a->body_len, s->oidc_issuer, s->courier_ports, o->config.client_secret,
                      &provider, &why) < 0) {
        log_error("nobody can log in by single sign-on: the provider is not usable",
                  LOG_S("issuer", s->oidc_issuer), LOG_S("why", why),
                  LOG_U("http_status", (uint64_t)a->status));
        renew_later(o, true);
        return;
    }
    if (!o->known)
        log_info("the provider of single sign-on is known", LOG_S("issuer", s->oidc_issuer));
    o->provider = provider;
    o->known = true;
    fetch_keys(o);
    oidc_put_provider(o->config.redis,
                      &(struct oidc_provider){.issuer = s->oidc_issuer,
                                              .authorization_endpoint = provider.authorization_endpoint,
                                              .names_itself = provider.names_itself},
                      on_provider_put, o);
}

static void on_renew(uv_timer_t *timer)
{
    struct oidc *o = timer->data;
    char url[OIDC_URL_MAX + 1];

    if (provider_discovery_url(o->config.settings->oidc_issuer, url) < 0 || get(o, url, on_discovery) < 0)
        renew_later(o, true);
}

/* --- the whole */

int oidc_new(const struct oidc_config *config, struct oidc **ret)
{
    struct oidc *o = calloc(1, sizeof *o);
    int r = o ? redis_sub_new(config->loop, config->redis_config, &o->sub) : -ENOMEM;

    if (r < 0) {
        free(o);
        return r;
    }
    o->config = *config;
    o->retry_ms = RETRY_MIN_MS;
    snprintf(o->redirect_uri, sizeof o->redirect_uri, "%s/auth/oidc/callback", config->settings->public_url);
    uv_timer_init(config->loop, &o->renew);
    uv_timer_init(config->loop, &o->look);
    o->renew.data = o->look.data = o;
    o->open = 2;
    uv_timer_start(&o->renew, on_renew, 0, 0);
    uv_timer_start(&o->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    redis_sub_start(o->sub, REDIS(OIDC_CHANNEL), on_message, o);
    *ret = o;
    return 0;
}

void oidc_stop(struct oidc *o, void (*fn)(void *arg), void *arg)
{
    o->stopping = true;
    uv_timer_stop(&o->renew);
    o->stopped = fn;
    o->arg = arg;
    check_stopped(o);
}

static void on_closed(uv_handle_t *handle)
{
    struct oidc *o = handle->data;

    if (--o->open == 0) {
        json_decref(o->keys);
        free(o);
    }
}

void oidc_free(struct oidc *o)
{
    if (!o)
        return;
    redis_sub_free(o->sub);
    while (o->first)
        exchange_free(o->first);
    uv_close((uv_handle_t *)&o->renew, on_closed);
    uv_close((uv_handle_t *)&o->look, on_closed);
}
