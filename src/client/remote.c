#include "client/remote.h"

#include "core/clock.h"
#include "core/str.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>

enum {
    TRIES = 6,
    FIRST_WAIT_MS = 200,
    RENEW_BEFORE_S = 30,
    SLEEP_STEP_MS = 100,
    URL_BYTES_MAX = SERVER_URL_MAX + 512,
};

int remote_fail(struct remote_fault *fault, int err, const char *code, const char *format, ...)
{
    va_list args;

    fault->status = 0;
    snprintf(fault->code, sizeof fault->code, "%s", code);
    va_start(args, format);
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    return err;
}

/* --- finding the server */

static int fail_file(struct remote_fault *fault, int err)
{
    _cleanup_free_ char *path = servers_path();
    const char *name = path ? path : "~/.config/decant/servers.json";

    if (err == -EPERM)
        return remote_fail(fault, err, "not_logged_in",
                           "%s: others may read this file, which has credentials in it. After `chmod 600` it "
                           "is used again; whether they are still secret is for you to say.",
                           name);
    if (err == -EINVAL || err == -EFBIG)
        return remote_fail(fault, err, "not_logged_in",
                           "%s: this is not a file of logins. Put it aside, and log in again.", name);
    return remote_fail(fault, err, "not_logged_in", "%s: %s", name,
                       strerror(-err)); // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

int remote_address(const json_t *servers, const struct remote_options *options, char ret[SERVER_URL_MAX],
                   struct remote_fault *fault)
{
    int r = servers_resolve(servers, options->server, ret);
    bool insecure;

    if (r == -ENOENT)
        return remote_fail(fault, r, "not_logged_in",
                           "There is no server to ask. Log in to one with `decant login --server URL`, or "
                           "name it with --server.");
    if (r < 0)
        return remote_fail(fault, r, "server_unreachable",
                           "%s: this is not the address of a server, such as https://decant.example.com",
                           options->server);
    insecure =
        options->insecure_http || json_is_true(json_object_get(servers_entry(servers, ret), "insecure_http"));
    if (servers_url_is_safe(ret) || insecure)
        return 0;
    return remote_fail(fault, -EPERM, "server_unreachable",
                       "%s: without TLS everybody on the way could read credentials and files. Use https://, "
                       "or --insecure-http if that is what you want.",
                       ret);
}

static int copy_text(const json_t *entry, const char *name, char **ret)
{
    const char *text = json_string_value(json_object_get(entry, name));

    cleanup_secret(ret);
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

/* The mutex is held, or nobody else is there yet. */
static int take_entry(struct remote *r, const json_t *entry)
{
    int err = copy_text(entry, "api_key", &r->api_key);

    if (err == 0)
        err = copy_text(entry, "refresh_token", &r->refresh_token);
    if (err == 0)
        err = copy_text(entry, "access_token", &r->access_token);
    r->expires_at = (uint64_t)json_integer_value(json_object_get(entry, "expires_at"));
    return err;
}

static int fail_login(struct remote *r, struct remote_fault *fault)
{
    return remote_fail(fault, -EACCES, "not_logged_in",
                       "Not logged in to %s, or not any more: `decant login --server %s`", r->url, r->url);
}

int remote_open(struct remote *r, const struct remote_options *options, const atomic_int *stop,
                struct remote_fault *fault)
{
    _cleanup_json_ json_t *servers = NULL;
    const json_t *entry;
    int err;

    *fault = (struct remote_fault){0};
    *r = (struct remote){.stop = stop};
    pthread_mutex_init(&r->mutex, NULL);
    err = servers_load(&servers);
    if (err < 0)
        return fail_file(fault, err);
    err = remote_address(servers, options, r->url, fault);
    if (err < 0)
        return err;
    entry = servers_entry(servers, r->url);
    err = take_entry(r, entry);
    if (err == 0 && options->ca_file)
        err = (r->ca_file = strdup(options->ca_file)) ? 0 : -ENOMEM;
    else if (err == 0)
        err = copy_text(entry, "ca_file", &r->ca_file);
    if (err < 0)
        return fail_file(fault, err);
    r->anonymous = !r->api_key && !r->refresh_token;
    return !r->anonymous || options->may_be_anonymous ? 0 : fail_login(r, fault);
}

void remote_close(struct remote *r)
{
    cleanup_secret(&r->api_key);
    cleanup_secret(&r->refresh_token);
    cleanup_secret(&r->access_token);
    free(r->ca_file);
    pthread_mutex_destroy(&r->mutex);
}

int remote_line(const struct remote *r, struct exchange_line *ret)
{
    *ret = (struct exchange_line){.ca_file = r->ca_file, .stop = r->stop};
    return exchange_line_open(ret);
}

/* --- answers */

json_t *remote_json(const struct exchange *x, struct remote_fault *fault)
{
    json_t *json = json_loadb(x->body.data ? x->body.data : "", x->body.len, 0, NULL);

    if (!json)
        remote_fail(fault, -EPROTO, "server_error", "The answer is none of Decant's: is that its address?");
    return json;
}

/* What an answer that is no success says (RFC 9457), or what can be said of one that says nothing. */
static int fail_status(struct remote_fault *fault, const struct exchange *x)
{
    _cleanup_json_ json_t *problem = json_loadb(x->body.data ? x->body.data : "", x->body.len, 0, NULL);
    const char *code = json_string_value(json_object_get(problem, "code"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));

    remote_fail(fault, 0, code ? code : "server_error", "%s", detail ? detail : "");
    if (!detail)
        snprintf(fault->message, sizeof fault->message, "The server answered with the status %ld.",
                 x->status);
    fault->status = x->status;
    return -EREMOTEIO;
}

static int fail_exchange(struct remote_fault *fault, const char *url, const struct exchange *x, int err)
{
    if (err == -EIO || err == -ENODATA) /* nobody but us is to blame */
        return remote_fail(fault, err, err == -EIO ? "output_unwritable" : "input_unreadable", "%s",
                           x->error);
    return remote_fail(fault, err, err == -ECANCELED ? "cancelled_by_user" : "server_unreachable", "%s: %s",
                       url, x->error);
}

static bool is_success(const struct exchange *x)
{
    return x->status >= 200 && x->status < 300;
}

int remote_call_once(struct exchange_line *line, const char *base, const char *path, struct exchange *x,
                     struct remote_fault *fault)
{
    char url[URL_BYTES_MAX];
    int err;

    snprintf(url, sizeof url, "%s%s", base, path);
    x->url = url;
    err = exchange_run(line, x);
    x->url = NULL;
    if (err < 0)
        return fail_exchange(fault, base, x, err);
    return is_success(x) ? 0 : fail_status(fault, x);
}

/* --- credentials */

static uint64_t now_s(void)
{
    return clock_real_ms() / 1000;
}

int remote_take_login(const struct exchange *x, json_t *entry)
{
    _cleanup_json_ json_t *answer = json_loadb(x->body.data ? x->body.data : "", x->body.len, 0, NULL);
    json_t *token = json_object_get(answer, "access_token");
    json_int_t expires_at = (json_int_t)now_s() + json_integer_value(json_object_get(answer, "expires_in"));

    if (!json_is_string(token) || !x->refresh_token)
        return -EPROTO;
    if (json_object_set(entry, "access_token", token) < 0 ||
        json_object_set_new(entry, "expires_at", json_integer(expires_at)) < 0 ||
        json_object_set_new(entry, "refresh_token", json_string(x->refresh_token)) < 0)
        return -ENOMEM;
    if (x->device && json_object_set_new(entry, "device", json_string(x->device)) < 0)
        return -ENOMEM;
    return 0;
}

static bool is_fresh(const struct remote *r)
{
    return r->access_token && now_s() + RENEW_BEFORE_S < r->expires_at;
}

/* The login has ended on the server: what is known of it is of no use. */
static void forget_login(json_t *servers, json_t *entry)
{
    static const char *const members[] = {"access_token", "expires_at", "refresh_token"};

    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        json_object_del(entry, members[i]);
    if (servers_save(servers) < 0) {
        /* It will be found out once more. */
    }
}

/* Uses up the entry's refresh token. What comes in its place is on the disk before anybody uses it. Under the
 * lock of the file. */
static int refresh(struct remote *r, json_t *servers, json_t *entry, struct remote_fault *fault)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    struct exchange_line line = {.ca_file = r->ca_file}; /* once it is on its way it has to come back */
    char cookie[4096];
    int err = exchange_line_open(&line);

    if (err < 0)
        return remote_fail(fault, err, "server_unreachable", "out of memory");
    snprintf(cookie, sizeof cookie, "refresh_token=%s",
             json_string_value(json_object_get(entry, "refresh_token")));
    x.method = "POST";
    x.cookie = cookie;
    err = remote_call_once(&line, r->url, "/auth/refresh", &x, fault);
    explicit_bzero(cookie, sizeof cookie);
    exchange_line_close(&line);
    if (err == -EREMOTEIO && x.status == 401) {
        forget_login(servers, entry);
        return fail_login(r, fault);
    }
    if (err < 0)
        return err;
    err = remote_take_login(&x, entry);
    if (err < 0)
        return remote_fail(fault, err, "server_error",
                           "The server renewed the login in a way that isn't understood.");
    err = servers_save(servers);
    return err < 0 ? fail_file(fault, err) : 0;
}

/* Somebody else may have renewed it while we waited for the lock. The mutex is held. */
static int renew(struct remote *r, struct remote_fault *fault)
{
    _cleanup_free_ char *refused = r->access_token ? strdup(r->access_token) : NULL;
    _cleanup_close_ int lock = servers_lock();
    _cleanup_json_ json_t *servers = NULL;
    json_t *entry;
    int err = lock < 0 ? lock : servers_load(&servers);

    if (err < 0)
        return fail_file(fault, err);
    entry = servers_entry(servers, r->url);
    err = take_entry(r, entry);
    if (err < 0)
        return fail_file(fault, err);
    if (r->api_key || (is_fresh(r) && !str_eq(r->access_token, refused)))
        return 0;
    if (!r->refresh_token)
        return fail_login(r, fault);
    err = refresh(r, servers, entry, fault);
    return err < 0 ? err : take_entry(r, entry);
}

/* A credential for one request; new, NULL where none is sent. `refused`: the one that was of no use; NULL:
 * none was. */
static int get_bearer(struct remote *r, const char *refused, char **ret, struct remote_fault *fault)
{
    int err = 0;

    if (r->anonymous)
        return 0;
    pthread_mutex_lock(&r->mutex);
    if (!r->api_key && (!is_fresh(r) || str_eq(r->access_token, refused)))
        err = renew(r, fault);
    if (err == 0 && !(*ret = strdup(r->api_key ? r->api_key : r->access_token)))
        err = remote_fail(fault, -ENOMEM, "server_unreachable", "out of memory");
    pthread_mutex_unlock(&r->mutex);
    return err;
}

/* --- once more */

/* Whether another try may help, and after how long at least. What is asked for is safe to be asked for twice:
 * it reads, removes, has an Idempotency-Key, or tells where its bytes belong; a file that has come twice is
 * not converted twice. */
static bool may_help(const struct exchange *x, int err, const struct remote_fault *fault, unsigned tries,
                     uint64_t *ret_ms)
{
    *ret_ms = (uint64_t)FIRST_WAIT_MS << tries;
    if (err == -ENOTCONN || err == -ECONNRESET || err == -ETIMEDOUT)
        return true;
    if (err != -EREMOTEIO)
        return false;
    if (x->retry_after_s * 1000ULL > *ret_ms)
        *ret_ms = x->retry_after_s * 1000ULL;
    if (x->status == 409)
        return x->retry_after_s > 0 || str_eq(fault->code, "offset_mismatch");
    return x->status == 423 || x->status == 429 || x->status == 460 || x->status == 502 || x->status == 503;
}

int remote_pause(const struct remote *r, uint64_t ms, struct remote_fault *fault)
{
    uint64_t end = clock_mono_ms() + ms;

    for (uint64_t now = clock_mono_ms(); now < end; now = clock_mono_ms()) {
        const uint64_t step_ms = end - now < SLEEP_STEP_MS ? end - now : SLEEP_STEP_MS;
        const struct timespec step = {.tv_nsec = (long)step_ms * 1000000};

        if (r->stop && atomic_load(r->stop) != 0)
            return remote_fail(fault, -ECANCELED, "cancelled_by_user", "broken off");
        nanosleep(&step, NULL);
    }
    return 0;
}

int remote_try(struct remote *r, struct exchange_line *line, const char *path, struct exchange *x,
               struct remote_fault *fault)
{
    _cleanup_secret_ char *bearer = NULL, *other = NULL;
    char url[URL_BYTES_MAX];
    int err = get_bearer(r, NULL, &bearer, fault);

    if (err < 0)
        return err;
    snprintf(url, sizeof url, "%s%s", r->url, path);
    x->url = url;
    x->bearer = bearer;
    err = exchange_run(line, x);
    if (err == 0 && x->status == 401 && !r->api_key && !r->anonymous) {
        err = get_bearer(r, bearer, &other, fault);
        if (err < 0)
            return err;
        x->bearer = other;
        err = exchange_run(line, x);
    }
    x->url = x->bearer = NULL;
    if (err < 0)
        return fail_exchange(fault, r->url, x, err);
    if (x->status == 401 && r->anonymous)
        return fail_login(r, fault);
    return is_success(x) ? 0 : fail_status(fault, x);
}

int remote_again(struct remote *r, const struct exchange *x, int err, struct remote_patience *patience,
                 struct remote_fault *fault)
{
    uint64_t pause_ms;

    if (!may_help(x, err, fault, patience->tries, &pause_ms) || patience->tries + 1 == TRIES ||
        patience->waited_ms + pause_ms > REMOTE_PATIENCE_MS)
        return err;
    patience->tries++;
    patience->waited_ms += pause_ms;
    return remote_pause(r, pause_ms, fault);
}

int remote_call(struct remote *r, struct exchange_line *line, const char *path, struct exchange *x,
                struct remote_fault *fault)
{
    struct remote_patience patience = {0};
    int err;

    do
        err = remote_try(r, line, path, x, fault);
    while (err < 0 && (err = remote_again(r, x, err, &patience, fault)) == 0);
    return err;
}
