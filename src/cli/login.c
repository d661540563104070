/* `decant login` and `decant logout`: to which servers this user is known. */
#include "cli/commands.h"

#include "cli/ask_password.h"
#include "cli/flags.h"
#include "cli/remote_fault.h"
#include "core/seal.h"
#include "core/str.h"

#include <errno.h>
#include <signal.h>

enum { EXIT_USAGE = 2, COOKIE_MAX = 4096 };

#define LOGIN_USAGE                                                                                          \
    "usage: decant login --server URL --user NAME [--stdin]\n"                                               \
    "       decant login --server URL --key [--stdin]\n\n"                                                   \
    "Logs in to a server, with the password of an account or with an API key, which are asked for on the\n"  \
    "terminal. `decant convert --server` and `decant jobs` use that login; it is kept in\n"                  \
    "~/.config/decant/servers.json (below $XDG_CONFIG_HOME, if that is set), for you alone to read.\n\n"     \
    "      --server URL       the server, such as https://decant.example.com\n"                              \
    "      --user NAME        the account; its password is not kept, what the server gives for it is\n"      \
    "      --key              an API key, as the operator's `decant key create` has shown it\n"              \
    "      --stdin            read the password or key from standard input: its first line\n"                \
    "      --ca-file FILE     authorities (PEM) whose certificates are believed; default: the system's\n"    \
    "      --insecure-http    talk to a server elsewhere without TLS, where others can read along\n\n"       \
    "Exit status: 0, 1 when it can't be kept, 2 for a wrong command line, 5 when the server can't be\n"      \
    "reached, 6 when it refuses."

#define LOGOUT_USAGE                                                                                         \
    "usage: decant logout [--server SERVER]\n\n"                                                             \
    "Ends a login, on the server and here; an API key is forgotten here, and stays good until\n"             \
    "`decant key revoke` on the server.\n\n"                                                                 \
    "      --server SERVER    its URL or host; default: that of the last login\n\n"                          \
    "Exit status: 0, 1 when it can't be kept, 2 for a wrong command line, 5 when the server can't be\n"      \
    "reached: then it is forgotten here alone, 6 when there was none."

struct login {
    struct remote_options options;
    const char *user;
    bool key, from_stdin;
    char url[SERVER_URL_MAX];
    json_t *entry;
    struct remote_fault fault;
};

static int complain(const char *command, const char *what, int err)
{
    fprintf(stderr, "%s: %s%s%s\n", command, what, err ? ": " : "",
            err ? strerror(-err) : ""); // NOLINT(concurrency-mt-unsafe)
    return EXIT_FAILURE;
}

/* --- the secret */

static int ask_secret(const struct login *l, char **ret)
{
    int r =
        l->from_stdin ? read_password_file("-", ret) : ask_password(l->key ? "API key: " : "Password: ", ret);

    if (r == -ENXIO)
        return complain("decant login", "there is no terminal to ask on; use --stdin", 0);
    if (r == -EINVAL || r == -EFBIG)
        return complain("decant login", "this is empty, too long or no UTF-8", 0);
    return r < 0
               ? complain("decant login", l->key ? "the key can't be read" : "the password can't be read", r)
               : EXIT_SUCCESS;
}

/* dk_ID_SECRET: what could not be one is not sent anywhere. */
static bool is_key(const char *key)
{
    return str_starts(key, "dk_") && strspn(key + 3, "0123456789abcdef_") == strlen(key + 3);
}

/* --- what the server says to it */

static int open_line(const struct login *l, struct exchange_line *ret)
{
    *ret = (struct exchange_line){.ca_file = l->options.ca_file};
    return exchange_line_open(ret);
}

/* A job that can't be: who may ask gets 404, or 403 with a key that may not read. */
static int try_key(struct login *l, struct exchange_line *line, const char *key)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    int r;

    x.bearer = key;
    r = remote_call_once(line, l->url, "/v1/jobs/00000000-0000-4000-8000-000000000000", &x, &l->fault);
    if (r == -EREMOTEIO && str_eq(l->fault.code, "scope_required"))
        fprintf(stderr,
                "decant login: this key may not read: conversions need the scopes convert and read\n");
    else if (r == 0 || (r == -EREMOTEIO && !str_eq(l->fault.code, "job_not_found")))
        return remote_complain("decant login", &l->fault);
    else if (r < 0 && r != -EREMOTEIO)
        return remote_complain("decant login", &l->fault);
    json_object_set_new(l->entry, "api_key", json_string(key));
    return EXIT_SUCCESS;
}

/* What this device has of earlier logins lets it in also while somebody guesses elsewhere. */
static void add_device(const struct login *l, struct exchange *x, char cookie[COOKIE_MAX])
{
    const char *device = json_string_value(json_object_get(l->entry, "device"));

    if (device && snprintf(cookie, COOKIE_MAX, "decant_device=%s", device) < COOKIE_MAX)
        x->cookie = cookie;
}

static int try_password(struct login *l, struct exchange_line *line, const char *password)
{
    _cleanup_json_ json_t *body = json_pack("{s:s, s:s}", "name", l->user, "password", password);
    _cleanup_secret_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    char cookie[COOKIE_MAX];
    int r;

    if (!text)
        return complain("decant login", "the name is no UTF-8", 0);
    x.method = "POST";
    x.json = text;
    add_device(l, &x, cookie);
    r = remote_call_once(line, l->url, "/auth/login", &x, &l->fault);
    if (r < 0)
        return remote_complain("decant login", &l->fault);
    if (remote_take_login(&x, l->entry) < 0) {
        remote_fail(&l->fault, 0, "server_error", "The answer is none of Decant's: is that its address?");
        return remote_complain("decant login", &l->fault);
    }
    json_object_set_new(l->entry, "account", json_string(l->user));
    return EXIT_SUCCESS;
}

static int try_secret(struct login *l, const char *secret)
{
    struct exchange_line line;
    int status;

    if (open_line(l, &line) < 0)
        return complain("decant login", "out of memory", 0);
    status = l->key ? try_key(l, &line, secret) : try_password(l, &line, secret);
    exchange_line_close(&line);
    return status;
}

/* --- keeping it */

/* A new entry, which keeps nothing of the one before but the device. */
static int begin_entry(struct login *l, const json_t *servers)
{
    json_t *device = json_object_get(servers_entry(servers, l->url), "device");

    l->entry = json_object();
    if (device && !l->key)
        json_object_set(l->entry, "device", device);
    if (l->options.ca_file) {
        _cleanup_free_ char *path = realpath(l->options.ca_file, NULL);

        if (!path)
            return complain("decant login", l->options.ca_file, -errno);
        json_object_set_new(l->entry, "ca_file", json_string(path));
    }
    if (l->options.insecure_http)
        json_object_set_new(l->entry, "insecure_http", json_true());
    return EXIT_SUCCESS;
}

static int keep(struct login *l)
{
    _cleanup_close_ int lock = servers_lock();
    _cleanup_json_ json_t *servers = NULL;
    int r = lock < 0 ? lock : servers_load(&servers);

    if (r == 0)
        r = servers_put(servers, l->url, json_incref(l->entry));
    if (r == 0)
        r = servers_save(servers);
    return r < 0 ? complain("decant login", "the login can't be kept", r) : EXIT_SUCCESS;
}

static int log_in(struct login *l)
{
    _cleanup_json_ json_t *servers = NULL;
    _cleanup_secret_ char *secret = NULL;
    int status;

    /* Before anybody types a password that can't be used. */
    if (servers_load(&servers) < 0)
        return complain(
            "decant login",
            "~/.config/decant/servers.json can't be used: it has to be ours, and for you alone to read", 0);
    if (remote_address(servers, &l->options, l->url, &l->fault) < 0)
        return remote_complain("decant login", &l->fault);
    status = begin_entry(l, servers);
    if (status == EXIT_SUCCESS)
        status = ask_secret(l, &secret);
    if (status == EXIT_SUCCESS && l->key && !is_key(secret))
        status = complain("decant login", "this is no API key: these begin with dk_", 0);
    if (status == EXIT_SUCCESS)
        status = try_secret(l, secret);
    if (status == EXIT_SUCCESS)
        status = keep(l);
    if (status == EXIT_SUCCESS)
        printf("logged in to %s\n", l->url);
    return status;
}

/* Or too much; NULL: all is there. */
static const char *what_is_missing(const struct login *l, size_t n_rest)
{
    if (n_rest > 0 || !l->options.server)
        return "the server is named by --server URL";
    if (l->key && l->user)
        return "--user and --key exclude each other";
    return l->key || l->user ? NULL : "who logs in? --user NAME with a password, or --key";
}

int cmd_login(int argc, char **argv)
{
    struct login l = {0};
    const struct flag flags[] = {
        {"server", '\0', &l.options.server, NULL},
        {"user", '\0', &l.user, NULL},
        {"key", '\0', NULL, &l.key},
        {"stdin", '\0', NULL, &l.from_stdin},
        {"ca-file", '\0', &l.options.ca_file, NULL},
        {"insecure-http", '\0', NULL, &l.options.insecure_http},
    };
    _cleanup_free_ const char **rest = calloc((size_t)argc, sizeof *rest);
    const char *why;
    size_t n_rest;
    int r, status;

    seal_wipe_json();
    signal(SIGPIPE, SIG_IGN);
    r = rest ? flags_read("decant login", LOGIN_USAGE, flags, ARRAY_SIZE(flags), argc, argv, rest, &n_rest)
             : -ENOMEM;
    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
    why = what_is_missing(&l, n_rest);
    if (why) {
        fprintf(stderr, "decant login: %s; --help tells more\n", why);
        return EXIT_USAGE;
    }
    status = log_in(&l);
    json_decref(l.entry);
    return status;
}

/* --- logout */

/* 0 also where nothing has to be told to anybody. */
static int tell_server(const char *url, const json_t *entry, struct remote_fault *fault)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    const char *token = json_string_value(json_object_get(entry, "refresh_token"));
    struct exchange_line line = {.ca_file = json_string_value(json_object_get(entry, "ca_file"))};
    char cookie[COOKIE_MAX];
    int r;

    if (!token)
        return 0;
    r = exchange_line_open(&line);
    if (r < 0)
        return remote_fail(fault, r, "server_unreachable", "out of memory");
    snprintf(cookie, sizeof cookie, "refresh_token=%s", token);
    x.method = "POST";
    x.cookie = cookie;
    r = remote_call_once(&line, url, "/auth/logout", &x, fault);
    explicit_bzero(cookie, sizeof cookie);
    exchange_line_close(&line);
    return r;
}

/* Under the lock: nobody renews meanwhile. */
static int log_out(json_t *servers, const struct remote_options *options)
{
    struct remote_fault fault = {0};
    char url[SERVER_URL_MAX];
    json_t *entry;
    int told, r;

    if (remote_address(servers, options, url, &fault) < 0)
        return remote_complain("decant logout", &fault);
    entry = servers_entry(servers, url);
    if (!entry) {
        fprintf(stderr, "decant logout: not logged in to %s\n", url);
        return REMOTE_EXIT_LOGIN;
    }
    told = tell_server(url, entry, &fault);
    servers_remove(servers, url);
    r = servers_save(servers);
    if (r < 0)
        return complain("decant logout", "the login can't be removed", r);
    if (told < 0) {
        remote_complain("decant logout", &fault);
        fprintf(stderr, "decant logout: the login is forgotten here, but could not be ended on the server\n");
        return REMOTE_EXIT_SERVER;
    }
    printf("logged out of %s\n", url);
    return EXIT_SUCCESS;
}

int cmd_logout(int argc, char **argv)
{
    struct remote_options options = {.insecure_http = true}; /* it was allowed at the login, if it is so */
    const struct flag flags[] = {{"server", '\0', &options.server, NULL}};
    _cleanup_free_ const char **rest = calloc((size_t)argc, sizeof *rest);
    _cleanup_json_ json_t *servers = NULL;
    size_t n_rest;
    int r;

    seal_wipe_json();
    signal(SIGPIPE, SIG_IGN);
    r = rest ? flags_read("decant logout", LOGOUT_USAGE, flags, ARRAY_SIZE(flags), argc, argv, rest, &n_rest)
             : -ENOMEM;
    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
    if (n_rest > 0) {
        fprintf(stderr, "%s\n", LOGOUT_USAGE);
        return EXIT_USAGE;
    }

    _cleanup_close_ int lock = servers_lock();

    r = lock < 0 ? lock : servers_load(&servers);
    return r < 0 ? complain("decant logout", "the logins can't be read", r) : log_out(servers, &options);
}
