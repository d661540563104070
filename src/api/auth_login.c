/* POST /auth/login.
 *
 * Whoever asks learns nothing but whether this name and this password belong together: an unknown name, a
 * wrong password and a disabled account take the same way, the same time on a thread, and get the same bytes.
 *
 * Guessing is bounded by LIMIT_GUESS, of which each try takes one and a right password gives all back:
 * for one name from one address, or, for a device that has a cookie of an earlier login to this account, for
 * that device (OWASP's "Slow Down Online Guessing Attacks with Device Cookies"). So who guesses from
 * elsewhere keeps nobody out: neither devices that are known nor other addresses. A device that has used up
 * its guesses is a stranger like any other. */
#include "api/auth.h"

#include "api/body.h"
#include "api/metrics.h"
#include "auth/password.h"
#include "core/log.h"
#include "core/str.h"
#include "core/xalloc.h"

#include <errno.h>
#include <sodium.h>

enum { SUBJECT_MAX = ACCOUNT_NAME_MAX + 1 + CLIENT_ADDRESS_LEN + 1, NAME_BYTES = 16 };

struct login {
    struct api_call *call;
    char *name, *password;
    struct account account;                                    /* id "": there is none of this name */
    char hash[PASSWORD_HASH_MAX], rehashed[PASSWORD_HASH_MAX]; /* "": none */
    char device[JWT_CLAIM_MAX + 1];                            /* "": not known */
    bool as_device;                                            /* counted as that */
    char counted[2 * NAME_BYTES + 1];                          /* whose guesses are counted */
    bool has_slot;
    uv_work_t work;
    int verdict; /* password_verify() */
};

static void login_free(struct login *l)
{
    if (l->has_slot)
        slots_release(l->call->api->logins, &l->call->client);
    free(l->name);
    cleanup_secret(&l->password);
    explicit_bzero(l, sizeof *l);
    free(l);
}

static void end_with(struct login *l, enum login_outcome outcome, enum api_error error, const char *detail)
{
    struct api_call *call = l->call;

    metrics_login(call->api->metrics, outcome);
    login_free(l);
    api_fail(call, error, detail);
}

static void end_by_state(struct login *l, int err)
{
    struct api_call *call = l->call;

    login_free(l);
    api_fail_state(call, err == -ENOENT ? -EIO : err);
}

/* A name that is none of ours isn't logged: it may be a password in the wrong field. */
static void fail_login(struct login *l, const char *why)
{
    log_audit("login_failed", LOG_S("request_id", http_request_id(l->call->req)),
              LOG_S("client", l->call->address), LOG_S("account", l->account.id), LOG_S("why", why));
    end_with(l, LOGIN_FAILED, API_LOGIN_FAILED, "The name and the password don't belong together.");
}

/* --- guesses */

/* The name without its capitals, as accounts are found. */
static size_t write_lower(char *out, const char *name)
{
    size_t n = 0;

    for (; n < ACCOUNT_NAME_MAX && name[n]; n++)
        out[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + ('a' - 'A') : name[n]);
    out[n] = '\0';
    return n;
}

static struct client_names counted_names(const struct login *l)
{
    return (struct client_names){{[CLIENT_SESSION] = l->as_device ? l->counted : NULL,
                                  [CLIENT_ADDRESS] = l->as_device ? NULL : l->counted}};
}

static void name_counted(struct login *l)
{
    unsigned char hash[NAME_BYTES];
    char subject[SUBJECT_MAX];
    size_t len;

    if (l->as_device) {
        len = (size_t)snprintf(subject, sizeof subject, "%s", l->device);
    } else {
        len = write_lower(subject, l->name) + 1;
        len += (size_t)snprintf(subject + len, sizeof subject - len, "%s", l->call->address);
    }
    crypto_generichash(hash, sizeof hash, (const unsigned char *)subject, len, NULL, 0);
    sodium_bin2hex(l->counted, sizeof l->counted, hash, sizeof hash);
}

static void find_account(struct login *l);
static void look_at_password(struct login *l);
static void take_guess(struct login *l);

static void on_guess(void *arg, int err, const struct limit_verdict *verdict)
{
    struct login *l = arg;
    struct api_call *call = l->call;

    if (err < 0) {
        end_by_state(l, err);
    } else if (verdict->granted) {
        look_at_password(l);
    } else if (l->as_device) {
        l->as_device = false;
        take_guess(l);
    } else {
        log_audit("login_locked", LOG_S("request_id", http_request_id(call->req)),
                  LOG_S("client", call->address), LOG_S("account", l->account.id));
        metrics_login(call->api->metrics, LOGIN_LOCKED);
        call->verdict = *verdict;
        login_free(l);
        api_fail_limited(call);
    }
}

static void take_guess(struct login *l)
{
    struct limiter *limiter = l->call->api->limiter;
    struct limit_verdict verdict;
    struct client_names names;

    name_counted(l);
    names = counted_names(l);
    if (limiter_knows(limiter, LIMIT_GUESS, &names, &verdict))
        on_guess(l, 0, &verdict);
    else
        limiter_ask(limiter, LIMIT_GUESS, &names, on_guess, l);
}

/* --- the login */

static void on_written(void *arg, int err, const redisReply *reply)
{
    if (err < 0)
        log_warn("what is known of a login was not written", LOG_E(err));
}

static void on_begun(void *arg, int err, const struct refresh *refresh)
{
    struct login *l = arg;
    struct api_call *call = l->call;
    struct account account = l->account;
    const struct client_names names = counted_names(l);

    if (err == -EACCES || err == -ENOENT) {
        fail_login(l, "disabled");
        return;
    }
    if (err == -ESTALE) {
        find_account(l);
        return;
    }
    if (err < 0) {
        end_by_state(l, err);
        return;
    }
    limiter_forget(call->api->limiter, LIMIT_GUESS, &names);
    account_touch_login(call->api->redis, account.id, on_written, NULL);
    auth_set_refresh(call, refresh);
    if (!*l->device && auth_set_device(call, account.id) < 0)
        log_warn("a device's cookie can't be signed", LOG_S("request_id", http_request_id(call->req)));
    log_audit("login", LOG_S("request_id", http_request_id(call->req)), LOG_S("client", call->address),
              LOG_S("account", account.id));
    metrics_login(call->api->metrics, LOGIN_SUCCEEDED);
    login_free(l);
    auth_reply(call, &account, refresh->family);
}

/* The password may have changed while it was looked at; then all of it begins again. */
static void begin(struct login *l)
{
    struct api *api = l->call->api;

    refresh_begin(api->redis,
                  &(struct refresh_login){.account_id = l->account.id,
                                          .address = l->call->address,
                                          .ttl_s = api->settings->refresh_ttl_s,
                                          .password = l->hash,
                                          .rehashed = *l->rehashed ? l->rehashed : NULL},
                  on_begun, l);
}

/* On a thread. */
static void verify(uv_work_t *work)
{
    struct login *l = work->data;

    *l->rehashed = '\0';
    l->verdict = password_verify(l->hash, l->password);
    if (l->verdict == 0 && password_needs_rehash(l->hash) && password_hash(l->password, l->rehashed) < 0)
        *l->rehashed = '\0';
}

static void on_verified(uv_work_t *work, int status)
{
    struct login *l = work->data;
    struct api *api = l->call->api;

    if (status < 0 || !api->redis) /* the server has stopped meanwhile */
        end_by_state(l, -ENOTCONN);
    else if (l->verdict == -ENOMEM)
        end_with(l, LOGIN_BUSY, API_UNAVAILABLE, "The server is short of memory. Try again in a moment.");
    else if (l->verdict < 0)
        fail_login(l, *l->account.id ? "password" : "unknown");
    else if (l->account.disabled)
        fail_login(l, "disabled");
    else
        begin(l);
}

static void look_at_password(struct login *l)
{
    int r;

    l->work.data = l;
    r = uv_queue_work(l->call->api->loop, &l->work, verify, on_verified);
    if (r < 0)
        end_by_state(l, r);
}

static void on_account(void *arg, int err, const struct account *account, const char *password)
{
    struct login *l = arg;

    if (err < 0 && err != -ENOENT) {
        end_by_state(l, err);
        return;
    }
    l->account = err == 0 ? *account : (struct account){0};
    snprintf(l->hash, sizeof l->hash, "%s", err == 0 ? password : "");
    /* Also of no account, as it takes some time. */
    l->as_device = auth_find_device(l->call, l->account.id, l->device);
    take_guess(l);
}

static void find_account(struct login *l)
{
    account_load_by_name(l->call->api->redis, l->name, on_account, l);
}

/* False: the call has been failed. */
static bool take_slot(struct api_call *call)
{
    int r = slots_take(call->api->logins, &call->client);

    if (r == 0)
        return true;
    metrics_login(call->api->metrics, LOGIN_BUSY);
    if (r == -EDQUOT)
        api_fail(call, API_RATE_LIMITED, "Too many logins from here at once. Try again in a moment.");
    else
        api_fail(call, API_UNAVAILABLE, "Many log in just now. Try again in a moment.");
    return false;
}

void api_auth_login(struct api_call *call)
{
    _cleanup_(body_free) struct body body = {0};
    const char *text, *why;
    struct login *l;
    size_t len;

    if (!auth_is_on(call))
        return;
    text = http_request_body(call->req, &len);
    if (body_read_login(text, len, &body, &why) < 0) {
        api_fail(call, API_BAD_REQUEST, why);
        return;
    }
    if (!take_slot(call))
        return;
    l = xcalloc(1, sizeof *l);
    l->call = call;
    l->has_slot = true;
    l->name = strdup(body.name);
    l->password = strdup(body.password);
    if (!l->name || !l->password)
        end_with(l, LOGIN_BUSY, API_UNAVAILABLE, "The server is short of memory. Try again in a moment.");
    else
        find_account(l);
}
