/* decant-courier: the one process that connects to the world. It sends webhooks and asks the provider of
 * single sign-on, by what Redis says, and knows no more of Decant than Redis: no storage, no queue, no
 * document.
 *
 *     start    settings → root is given away → certificates, Redis → confined
 *     SIGTERM  nothing more is taken → what is under way ends (in settings.grace_s; else it is sent again, by
 *              whoever comes next) → exit 0. A second signal doesn't wait. */
#include "core/id.h"
#include "core/log.h"
#include "core/privilege.h"
#include "core/secret.h"
#include "core/settings.h"
#include "core/str.h"
#include "courier/deliveries.h"
#include "courier/oidc.h"
#include "sandbox/confine.h"
#include "sandbox/policy_courier.h"
#include "state/courier.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>

#define USAGE                                                                                                \
    "usage: decant-courier [OPTIONS]\n\nSends the webhooks of a Decant installation, and asks the provider " \
    "of single sign-on."

enum {
    EXIT_USAGE = 2,
    EXIT_CONFIG = 78, /* sysexits.h: restarting does not help */
    HOST_MAX = 64,
};

/* Each name that is resolved holds one of libuv's threads for as long as its servers are silent. */
#define THREADS "16"

struct courier {
    uv_loop_t loop;
    struct settings settings;
    char id[HOST_MAX + ID_UUID_LEN + 32];
    struct networks *networks;
    struct redis_config redis_config;
    struct redis *redis;
    struct fetcher *fetcher;
    struct deliveries *deliveries; /* NULL: there are no webhooks */
    struct oidc *oidc;             /* NULL: there is no single sign-on */
    char *client_secret;           /* NULL: it has none */
    unsigned waited;               /* how many of these have something under way at the end */
    uv_signal_t signals[2];
    uv_timer_t grace, alive;
    bool stopping, gone;
};

static int complain(const char *what, int r)
{
    if (r < 0)
        log_error(what, LOG_E(r));
    return r;
}

/* --- the end */

static void dismantle(void *arg)
{
    struct courier *c = arg;

    if (c->gone)
        return;
    c->gone = true;
    fetcher_free(c->fetcher);
    redis_free(c->redis);
    deliveries_free(c->deliveries);
    oidc_free(c->oidc);
    for (size_t i = 0; i < ARRAY_SIZE(c->signals); i++)
        uv_close((uv_handle_t *)&c->signals[i], NULL);
    uv_close((uv_handle_t *)&c->grace, NULL);
    uv_close((uv_handle_t *)&c->alive, NULL);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct courier *c = timer->data;

    if (c->deliveries && deliveries_running(c->deliveries) > 0)
        log_warn("ended before all answers had come: these webhooks are sent again",
                 LOG_U("running", deliveries_running(c->deliveries)));
    dismantle(c);
}

static void on_part_stopped(void *arg)
{
    struct courier *c = arg;

    if (--c->waited == 0)
        dismantle(c);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct courier *c = handle->data;

    log_info("stopping", LOG_S("signal", strsignal(signal_number)));
    if (c->stopping) {
        on_grace_over(&c->grace);
        return;
    }
    c->stopping = true;
    uv_timer_start(&c->grace, on_grace_over, c->settings.grace_s * 1000, 0);
    c->waited = 1;
    if (c->deliveries) {
        c->waited++;
        deliveries_stop(c->deliveries, on_part_stopped, c);
    }
    if (c->oidc) {
        c->waited++;
        oidc_stop(c->oidc, on_part_stopped, c);
    }
    on_part_stopped(c);
}

/* --- the start */

static void on_redis_trouble(void *arg, const char *trouble)
{
    if (*trouble)
        log_error("Redis can't be reached, and nothing is sent", LOG_S("why", trouble));
    else
        log_info("Redis answers");
}

static bool has_file(const char *path)
{
    return path && *path;
}

static int load_client_secret(struct courier *c)
{
    const struct settings *s = &c->settings;

    if (!*s->oidc_issuer || !has_file(s->oidc_client_secret_file))
        return 0;
    return complain("DECANT_OIDC_CLIENT_SECRET_FILE is not a file that only the courier's user may read, "
                    "with the secret in its first line",
                    secret_load(AT_FDCWD, s->oidc_client_secret_file, &c->client_secret));
}

static int prepare(struct courier *c)
{
    const struct settings *s = &c->settings;
    const char *why;
    int r = complain("DECANT_COURIER_NETWORKS is not a list of networks such as 10.0.0.0/8",
                     networks_new(s->courier_networks, &c->networks));

    if (r == 0)
        r = load_client_secret(c);
    if (r == 0 && access(s->ca_file, R_OK) < 0)
        r = complain("DECANT_CA_FILE can't be read: without it no host is believed (Debian: ca-certificates)",
                     -errno);
    if (r == 0 && (r = redis_config_load(s, &c->redis_config, &why)) < 0)
        r = complain(why, r);
    if (r == 0)
        r = complain(REDIS_URL_WRONG, redis_new(&c->loop, &c->redis_config, &c->redis));
    if (r < 0)
        return r;
    redis_on_trouble(c->redis, on_redis_trouble, NULL);

    const struct fetch_config fetch = {.loop = &c->loop, .networks = c->networks, .ca_file = s->ca_file};

    return complain("curl", fetcher_new(&fetch, &c->fetcher));
}

static int assemble(struct courier *c)
{
    const struct deliveries_config config = {.loop = &c->loop,
                                             .settings = &c->settings,
                                             .redis = c->redis,
                                             .redis_config = &c->redis_config,
                                             .fetcher = c->fetcher,
                                             .owner = c->id};

    const struct oidc_config oidc = {.loop = &c->loop,
                                     .settings = &c->settings,
                                     .redis = c->redis,
                                     .redis_config = &c->redis_config,
                                     .fetcher = c->fetcher,
                                     .client_secret = c->client_secret};
    int r = 0;

    if (str_eq(c->settings.webhooks, "on"))
        r = complain("webhooks", deliveries_new(&config, &c->deliveries));
    if (r == 0 && *c->settings.oidc_issuer)
        r = complain("single sign-on", oidc_new(&oidc, &c->oidc));
    return r;
}

static void on_alive_time(uv_timer_t *timer)
{
    struct courier *c = timer->data;

    courier_alive(c->redis, (c->deliveries ? COURIER_WEBHOOKS : 0) | (c->oidc ? COURIER_SIGN_ON : 0), c->id);
}

static void tell_that_it_lives(struct courier *c)
{
    uv_timer_init(&c->loop, &c->alive);
    c->alive.data = c;
    uv_timer_start(&c->alive, on_alive_time, 0, COURIER_ALIVE_EVERY_MS);
}

static int watch_signals(struct courier *c)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    int r = 0;

    uv_timer_init(&c->loop, &c->grace);
    c->grace.data = c;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++) {
        r = uv_signal_init(&c->loop, &c->signals[i]);
        c->signals[i].data = c;
        if (r == 0)
            r = uv_signal_start(&c->signals[i], on_signal, numbers[i]);
    }
    return complain("signals", r);
}

/* Everything is open, and libuv has made no thread yet: they inherit it. */
static int confine(struct courier *c)
{
    const struct confinement confinement = {.policy = policy_courier,
                                            .peers = {c->settings.redis},
                                            .ports = c->settings.redis_ports,
                                            .outgoing = c->settings.courier_ports,
                                            .readable = c->settings.ca_file};
    const char *why;
    int r = confine_process(&confinement, &why);

    if (r < 0)
        log_error("the courier can't be confined, and does not work without it", LOG_S("why", why), LOG_E(r));
    return r;
}

static int run(struct courier *c)
{
    int r = uv_loop_init(&c->loop);

    if (r == 0)
        r = prepare(c);
    if (r == 0)
        r = watch_signals(c);
    if (r == 0)
        r = assemble(c);
    if (r == 0)
        r = confine(c);
    if (r < 0)
        return EXIT_CONFIG;
    tell_that_it_lives(c);
    log_info("courier started", LOG_S("courier", c->id), LOG_S("version", DECANT_VERSION));
    uv_run(&c->loop, UV_RUN_DEFAULT);
    uv_loop_close(&c->loop);
    networks_free(c->networks);
    redis_config_clear(&c->redis_config);
    secret_free(c->client_secret);
    log_info("courier ended", LOG_S("courier", c->id));
    return EXIT_SUCCESS;
}

static void name_courier(struct courier *c)
{
    char host[HOST_MAX] = "", uuid[ID_UUID_LEN + 1];

    if (gethostname(host, sizeof host - 1) < 0 || !*host)
        snprintf(host, sizeof host, "localhost");
    id_uuid(uuid);
    snprintf(c->id, sizeof c->id, "courier@%s:%d:%.8s", host, (int)getpid(), uuid);
}

int main(int argc, char **argv)
{
    static struct courier c;
    int r = settings_load(&c.settings, PROGRAM_COURIER, USAGE, argc, argv);

    if (r == -ECANCELED)
        return EXIT_SUCCESS;
    if (r < 0)
        return EXIT_USAGE;
    if (r < argc) {
        fprintf(stderr, "decant-courier takes no arguments; --help lists its options\n");
        return EXIT_USAGE;
    }
    settings_log_init(&c.settings, "decant-courier");
    if (str_eq(c.settings.webhooks, "off") && !*c.settings.oidc_issuer) {
        log_error("there is nothing for the courier to do: DECANT_WEBHOOKS is off, and there is no "
                  "DECANT_OIDC_ISSUER");
        return EXIT_CONFIG;
    }
    if (privilege_drop_beside(c.settings.user, "DECANT_COURIER_USER", c.settings.courier_user) < 0 ||
        privilege_forbid_core() < 0 || sodium_init() < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
        setenv("UV_THREADPOOL_SIZE", THREADS, 1) < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return EXIT_CONFIG;
    confine_prepare();
    name_courier(&c);
    r = run(&c);
    curl_global_cleanup();
    return r;
}
