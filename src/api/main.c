/* decant-api: one thread and one event loop per core, each with its own listener and its own connection to
 * Redis.
 *
 * The API sees Redis and the storage tree. It opens no document, links no media library and starts no
 * program. */
#include "api/api.h"

#include "api/browser.h"
#include "api/events.h"
#include "api/kept.h"
#include "api/metrics.h"
#include "api/metrics_access.h"
#include "api/openapi/openapi.h"
#include "api/pages.h"
#include "api/peer.h"
#include "api/tus.h"
#include "auth/jwt_keys.h"
#include "core/privilege.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "sandbox/confine.h"
#include "sandbox/policy_api.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_CONFIG = 78, BEGIN_MS = 3000, DRAIN_POLL_MS = 50, SHARED_NOFILE = 256 };
enum { HEAP_SPARE_BYTES = 256 * 1024, MINUTE_S = 60 };
enum { FOLDER_MAX = 1024 };

struct loop_thread {
    struct api api;
    uv_loop_t loop;
    uv_async_t stop;
    uv_timer_t begin, drain;
    bool tells; /* of Redis: one does for all */
    uint64_t drain_until_ms;
    pthread_t thread;
};

/* Redis goes before the queue: what both are still asked for has to be answered, or its call never ends. An
 * answer may ask for more, so the pointer stays until all are given. */
static void loop_end(struct loop_thread *t)
{
    http_loop_free(TAKE_PTR(t->api.http));
    redis_free(t->api.redis);
    t->api.redis = NULL;
    queue_free(TAKE_PTR(t->api.queue));
    job_watcher_free(TAKE_PTR(t->api.watcher));
    events_free(TAKE_PTR(t->api.events));
    limiter_free(TAKE_PTR(t->api.limiter));
    uv_close((uv_handle_t *)&t->begin, NULL);
    uv_close((uv_handle_t *)&t->drain, NULL);
    uv_close((uv_handle_t *)&t->stop, NULL);
}

static void on_drain(uv_timer_t *timer)
{
    struct loop_thread *t = timer->data;

    if (http_loop_active(t->api.http) == 0 || uv_now(&t->loop) >= t->drain_until_ms)
        loop_end(t);
}

static void on_stop(uv_async_t *async)
{
    struct loop_thread *t = async->data;

    http_loop_quiesce(t->api.http);
    t->drain_until_ms = uv_now(&t->loop) + t->api.settings->grace_s * 1000;
    uv_timer_start(&t->drain, on_drain, 0, DRAIN_POLL_MS);
}

static void prepare(struct http_request *req)
{
    browser_prepare(req);
    tus_prepare(req);
}

/* A loop takes requests when it has its connection to Redis, else who came first would be refused, though
 * another loop may have said that all is well; or when it knows that it can't have one, or not soon. */
static void on_begin(uv_timer_t *timer)
{
    struct loop_thread *t = timer->data;

    http_loop_begin(t->api.http);
}

static void on_redis_trouble(void *arg, const char *trouble)
{
    struct loop_thread *t = arg;

    if (t->api.http)
        http_loop_begin(t->api.http);
    if (!t->tells)
        return;
    if (*trouble)
        log_error("Redis can't be reached, and most requests are refused", LOG_S("why", trouble));
    else
        log_info("Redis answers");
}

/* `api` has what the loops share. */
static int loop_start(struct loop_thread *t, const struct api *api, const struct limits *limits,
                      const struct http_config *http)
{
    const struct settings *s = api->settings;
    const struct queue_config queue = {.name = s->queue,
                                       .prefix = s->queue_prefix,
                                       .families = catalogue_families(),
                                       .max_length = s->queue_max,
                                       .sent_events = str_eq(s->task_events, "on")};
    struct http_config config = *http;
    int r;

    t->api = *api;
    t->api.loop = &t->loop;
    config.app = &t->api;
    uv_loop_init(&t->loop);
    uv_async_init(&t->loop, &t->stop, on_stop);
    uv_timer_init(&t->loop, &t->begin);
    uv_timer_init(&t->loop, &t->drain);
    t->stop.data = t->begin.data = t->drain.data = t;
    r = redis_new(&t->loop, api->redis_config, &t->api.redis);
    if (r < 0) {
        log_error(REDIS_URL_WRONG);
        return r;
    }
    redis_measure(t->api.redis, metrics_redis(t->api.metrics));
    redis_on_trouble(t->api.redis, on_redis_trouble, t);
    r = job_watcher_new(&t->loop, api->redis_config, &t->api.watcher);
    if (r < 0)
        return r;
    t->api.queue = queue_new(t->api.redis, &queue);
    if (!t->api.queue) {
        log_error("DECANT_QUEUE or DECANT_QUEUE_KEYPREFIX has characters that it can't have");
        return -EINVAL;
    }
    t->api.events = events_new();
    t->api.limiter = limiter_new(t->api.redis, limits);
    r = t->api.events && t->api.limiter ? sniffer_new(&t->api.sniffer) : -ENOMEM;
    if (r < 0) {
        log_error("libmagic's database can't be loaded", LOG_E(r));
        return r;
    }
    r = http_loop_new(&t->loop, &config, &t->api.http);
    if (r < 0)
        log_error("can't listen", LOG_S("address", s->listen), LOG_U("port", s->port), LOG_E(r));
    else
        uv_timer_start(&t->begin, on_begin, BEGIN_MS, 0);
    return r;
}

static void *loop_run(void *arg)
{
    struct loop_thread *t = arg;

    uv_run(&t->loop, UV_RUN_DEFAULT);
    uv_loop_close(&t->loop);
    sniffer_free(t->api.sniffer);
    return NULL;
}

/* `n` loops, none of which has run. */
static void abandon(struct loop_thread *threads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        loop_end(&threads[i]);
        loop_run(&threads[i]);
    }
}

static size_t count_threads(const struct settings *s)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return s->threads > 0 ? s->threads : cores > 0 ? (size_t)cores : 1;
}

/* Connections need descriptors: as many as the kernel lets us have. */
static void raise_nofile(const struct settings *s)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < s->max_connections + s->max_event_streams + SHARED_NOFILE)
        log_warn("fewer descriptors than DECANT_MAX_CONNECTIONS and DECANT_MAX_EVENT_STREAMS need",
                 LOG_U("descriptors", limit.rlim_cur));
}

static void end_threads(struct loop_thread *threads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        uv_async_send(&threads[i].stop);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i].thread, NULL);
}

static int start_threads(struct loop_thread *threads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int r = pthread_create(&threads[i].thread, NULL, loop_run, &threads[i]);

        if (r != 0) {
            log_error("a thread can't be started", LOG_E(-r));
            end_threads(threads, i);
            abandon(threads + i, n - i);
            return -r;
        }
    }
    return 0;
}

/* Each thread has an arena of glibc's heap, which keeps what a busy moment took of it. Which thread meets the
 * worst moment is chance: over hours all would grow to the size of it. So the end of an arena goes back when
 * it is freed (else glibc raises the bound for that to twice what libmagic's database takes), and the pages
 * within from time to time. */
static void tame_heap(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, HEAP_SPARE_BYTES);
#endif
}

static void trim_heap(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/* What an operator has put there or taken away. Keys that can't be used leave us with those we have. */
static void look_at_keys(struct jwt_keys *keys)
{
    struct jwt_trouble trouble;
    int r = keys ? jwt_keys_reload(keys, &trouble) : 0;

    if (r < 0)
        log_error("the keys for access tokens stay as they were", LOG_S("why", trouble.why),
                  LOG_S("file", trouble.file), LOG_E(r));
    else if (r > 0)
        log_info("the keys for access tokens are others now");
}

/* Waits in the main thread until the first signal ends the loops and all threads are done. A second one does
 * not wait for the requests that are under way: whatever is cut off by it leaves nothing half-done. */
static void wait_for_end(struct loop_thread *threads, size_t n, struct jwt_keys *keys,
                         const sigset_t *signals)
{
    const struct timespec interval = {.tv_sec = MINUTE_S};
    int sig;

    while ((sig = sigtimedwait(signals, NULL, &interval)) < 0 || sig == SIGHUP) {
        if (sig < 0 && errno == EAGAIN)
            trim_heap();
        if (sig == SIGHUP || errno == EAGAIN)
            look_at_keys(keys);
    }
    log_info("stopping", LOG_S("signal", strsignal(sig)));
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    end_threads(threads, n);
}

static void measure(void *app, const struct http_request *req, unsigned status, uint64_t us)
{
    metrics_request(((struct api *)app)->metrics, req, status, us);
}

static int make_slots(const struct settings *s, struct api *api)
{
    const struct {
        struct slots **slots;
        struct slots_max max;
    } all[] = {
        {&api->connections, {UINT64_MAX, {UINT64_MAX, s->address_connections, UINT64_MAX}}},
        {&api->event_streams,
         {s->max_event_streams,
          {s->session_event_streams, s->address_event_streams, s->session_event_streams}}},
        {&api->uploads, {s->max_uploads, {s->session_uploads, s->address_uploads, s->session_uploads}}},
        {&api->archives, {s->max_archives, {UINT64_MAX, s->address_archives, UINT64_MAX}}},
        {&api->anonymous_calls, {UINT64_MAX, {UINT64_MAX, s->anonymous_calls, UINT64_MAX}}},
        {&api->logins, {s->max_logins, {UINT64_MAX, (s->max_logins + 1) / 2, UINT64_MAX}}},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
        r = slots_new(&all[i].max, all[i].slots);
    return r;
}

static void cleanup_shared(struct api *api)
{
    storage_close(api->storage);
    slots_free(api->connections);
    slots_free(api->event_streams);
    slots_free(api->uploads);
    slots_free(api->archives);
    slots_free(api->anonymous_calls);
    slots_free(api->logins);
}

/* What the settings say of clients and limits. */
static int read_limits(const struct settings *s, struct limits *ret_limits, struct clients **ret_clients)
{
    const char *variable;

    if (limits_load(s, ret_limits, &variable) < 0) {
        log_error("a rate is not \"off\" nor like 600/m:300 or session=600/m:300 address=3000/m",
                  LOG_S("setting", variable));
        return -EINVAL;
    }
    if (clients_new(s->trusted_proxies, s->address_secret, ret_clients) < 0) {
        log_error("DECANT_TRUSTED_PROXIES is not a list of networks such as 10.0.0.0/8");
        return -EINVAL;
    }
    return 0;
}

static void cleanup_clients(struct clients **clients)
{
    clients_free(*clients);
}

static void cleanup_metrics(struct metrics_block **metrics)
{
    metrics_block_free(*metrics);
}

static void cleanup_access(struct metrics_access **access)
{
    metrics_access_free(*access);
}

static void cleanup_keys(struct jwt_keys **keys)
{
    jwt_keys_free(*keys);
}

/* What never changes while the server runs. */
struct texts {
    struct pages *pages; /* NULL: there are none */
    struct kept formats, openapi;
};

static void cleanup_texts(struct texts *texts)
{
    pages_free(texts->pages);
    kept_clear(&texts->formats);
    kept_clear(&texts->openapi);
}

static int load_pages(const char *folder, struct pages **ret)
{
    int r = pages_load(folder, ret);

    if (r == -ENOENT || r == -ENOTDIR || r == -EACCES) {
        log_warn("there is no web page to serve; DECANT_WEB names the folder of another one",
                 LOG_S("folder", folder), LOG_E(r));
        return 0;
    }
    if (r == -EMFILE || r == -EFBIG)
        log_error(
            "the folder of the web page has more than a page is made of; set DECANT_WEB to that of a page",
            LOG_S("folder", folder), LOG_U("files_max", PAGES_FILES_MAX),
            LOG_U("bytes_max", PAGES_BYTES_MAX));
    else if (r < 0)
        log_error("the web page can't be read; set DECANT_WEB to its folder", LOG_S("folder", folder),
                  LOG_E(r));
    return r;
}

static int load_keys(const char *folder, struct jwt_keys **ret)
{
    struct jwt_trouble trouble;
    int r = folder ? jwt_keys_load(folder, ret, &trouble) : 0;

    if (r < 0)
        log_error("set DECANT_JWT_KEYS to a folder of keys that decant jwt-key has made",
                  LOG_S("folder", folder), LOG_S("why", trouble.why), LOG_S("file", trouble.file), LOG_E(r));
    return r;
}

/* Who comes back from the provider gets a login of ours. */
static int check_sign_on(const struct settings *s)
{
    if (!*s->oidc_issuer || s->jwt_keys)
        return 0;
    log_error("DECANT_OIDC_ISSUER needs DECANT_JWT_KEYS: without keys nobody can be logged in");
    return -EINVAL;
}

static int make_openapi(const struct settings *s, struct kept *ret)
{
    char buffer[256], *why = buffer;
    int r = openapi_make(s, ret, buffer, sizeof buffer);

    if (r < 0)
        log_error("openapi.json can't be made", LOG_S("why", why));
    return r;
}

static int load_texts(const struct settings *s, struct texts *ret)
{
    char usual[FOLDER_MAX];
    int r = s->web ? 0 : pages_default_folder(usual, sizeof usual);

    if (r == 0 && (!s->web || *s->web))
        r = load_pages(s->web ? s->web : usual, &ret->pages);
    if (r == 0)
        r = api_formats_make(&ret->formats);
    return r < 0 ? r : make_openapi(s, &ret->openapi);
}

/* Everything is open by now, and there is one thread: the others inherit it. */
static int confine(const struct settings *s)
{
    const struct confinement c = {.policy = policy_api,
                                  .storage = s->storage,
                                  .readable = s->jwt_keys,
                                  .peers = {s->redis},
                                  .ports = s->redis_ports};
    const char *why;
    int r = confine_process(&c, &why);

    if (r < 0)
        log_error("the API can't be confined, and does not serve without it", LOG_S("why", why), LOG_E(r));
    return r;
}

static int serve(const struct settings *s, const sigset_t *signals)
{
    size_t n = count_threads(s), n_routes = 0;
    _cleanup_free_ struct http_route *routes = NULL;
    _cleanup_free_ struct loop_thread *threads = calloc(n, sizeof *threads);
    _cleanup_(redis_config_clear) struct redis_config redis = {0};
    const char *why;
    struct seal_public seal;
    struct limits limits;
    struct plan plans[PLANS];
    _cleanup_(cleanup_clients) struct clients *clients = NULL;
    _cleanup_(cleanup_metrics) struct metrics_block *metrics = NULL;
    _cleanup_(cleanup_access) struct metrics_access *access = NULL;
    _cleanup_(cleanup_texts) struct texts texts = {0};
    _cleanup_(cleanup_keys) struct jwt_keys *keys = NULL;
    _cleanup_(cleanup_shared) struct api api = {
        .settings = s, .plans = plans, .seal = s->seal_public ? &seal : NULL};
    int r;

    tame_heap();
    if (s->seal_public && seal_public_parse(s->seal_public, &seal) < 0) {
        log_error("DECANT_SEAL_PUBLIC is not a public key of 64 hexadecimal digits");
        return EXIT_CONFIG;
    }
    if (plans_load(s, plans, &why) < 0) {
        log_error("a plan is not words like jobs=5000 retention=30d, or allows larger files than "
                  "DECANT_MAX_UPLOAD",
                  LOG_S("setting", why));
        return EXIT_CONFIG;
    }
    if (read_limits(s, &limits, &clients) < 0 || metrics_access_new(s, &access) < 0)
        return EXIT_CONFIG;
    if (check_sign_on(s) < 0 || load_texts(s, &texts) < 0 || load_keys(s->jwt_keys, &keys) < 0)
        return EXIT_CONFIG;
    routes = api_routes(s, texts.pages, &n_routes);
    api.pages = texts.pages;
    api.formats = &texts.formats;
    api.openapi = &texts.openapi;
    api.clients = clients;
    api.jwt_keys = keys;
    api.metrics_access = access;
    r = redis_config_load(s, &redis, &why);
    if (r < 0) {
        log_error(why, LOG_E(r));
        return EXIT_CONFIG;
    }
    api.redis_config = &redis;
    r = storage_open(s->storage, &api.storage);
    if (r < 0) {
        log_error("the storage root can't be used; set DECANT_STORAGE to a folder that this user may write",
                  LOG_S("storage", s->storage), LOG_E(r));
        return EXIT_CONFIG;
    }
    if (!routes || !threads || make_slots(s, &api) < 0 || metrics_block_new(n, &metrics) < 0)
        return EXIT_FAILURE;
    api.all_metrics = metrics;

    const struct http_config http = {
        .listen = s->listen,
        .port = (uint16_t)s->port,
        .max_connections = (unsigned)(s->max_connections / n),
        .header_timeout_ms = (unsigned)s->header_timeout_s * 1000,
        .idle_timeout_ms = (unsigned)s->idle_timeout_s * 1000,
        .rate_window_ms = (unsigned)s->rate_window_s * 1000,
        .routes = routes,
        .n_routes = n_routes,
        .prepare = prepare,
        .error = api_http_error,
        .admit = peer_admit,
        .left = peer_left,
        .measure = measure,
    };

    r = http_address_free(s->listen, (uint16_t)s->port);
    if (r < 0) {
        log_error("can't listen: set DECANT_LISTEN and DECANT_PORT to an address that is ours and free",
                  LOG_S("address", s->listen), LOG_U("port", s->port), LOG_E(r));
        return EXIT_CONFIG;
    }
    for (size_t i = 0; i < n; i++) {
        api.metrics = metrics_of_loop(metrics, i);
        if (loop_start(&threads[i], &api, &limits, &http) < 0) {
            abandon(threads, i + 1);
            return EXIT_CONFIG;
        }
    }
    threads[0].tells = true;
    if (confine(s) < 0) {
        abandon(threads, n);
        return EXIT_CONFIG;
    }
    if (start_threads(threads, n) < 0)
        return EXIT_FAILURE;
    log_info("listening", LOG_S("address", s->listen), LOG_U("port", s->port), LOG_U("loops", n));
    wait_for_end(threads, n, keys, signals);
    log_info("stopped");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct settings settings;
    sigset_t signals;
    int r = settings_load(&settings, PROGRAM_API, "decant-api: the HTTP API of Decant", argc, argv);

    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : EXIT_CONFIG;
    if (r < argc) {
        fprintf(stderr, "decant-api takes no arguments; --help lists the options\n");
        return EXIT_CONFIG;
    }
    settings_log_init(&settings, "decant-api");
    catalogue_choose(settings.engines);
    if (privilege_drop_beside(settings.user, "DECANT_API_USER", settings.api_user) < 0 || sodium_init() < 0 ||
        privilege_forbid_core() < 0)
        return EXIT_CONFIG;
    confine_prepare();
    seal_wipe_json();
    raise_nofile(&settings);
    umask(0); /* what files/storage.h makes has the mode that it says */

    /* Blocked before any thread is made, so that only the main thread's sigwait sees them. */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (settings.jwt_keys)
        sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return serve(&settings, &signals);
}
