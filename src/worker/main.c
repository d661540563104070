/* decant-worker: claims conversions from the queue, has them scanned, runs them in the engines' sandboxes and
 * publishes the results. One process, one loop; slow file operations alone go to libuv's threads. It opens no
 * document itself.
 *
 *     start    settings → the process that starts engines → root is given away → storage, Redis; tasks are
 *              claimed once an engine is up
 *     SIGTERM  no more claims → running jobs get settings.grace_s → the rest goes back to the queue → exit 0
 *              (a second signal ends the grace, a third the process)
 *     SIGHUP   fresh engines replace the running ones: for upgraded libraries
 *
 * When an engine's sandbox is refused, or no engine comes up at all (nothing is installed), it exits with
 * EXIT_CONFIG and says why: a worker that can only fail jobs must not take them from those that can do them.
 * An engine whose library is missing takes its own conversions away alone. */
#include "core/log.h"
#include "core/privilege.h"
#include "core/seal.h"
#include "core/settings.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/client.h"
#include "files/storage.h"
#include "sandbox/cgroup.h"
#include "sandbox/confine.h"
#include "sandbox/policy_worker.h"
#include "sandbox/sandbox.h"
#include "state/job.h"
#include "worker/claimer.h"
#include "worker/control.h"
#include "worker/health.h"
#include "worker/janitor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#define USAGE "usage: decant-worker [OPTIONS]\n\nRuns the conversions of a Decant installation."

enum {
    EXIT_USAGE = 2,
    EXIT_CONFIG = 78, /* sysexits.h: restarting does not help */
    LEASE_MS = 4000,
    RELEASE_MS = 3000, /* for giving jobs back, after the grace */
    HOST_MAX = 64,
    ENGINES_MAX = 32,
};

struct worker {
    uv_loop_t loop;
    struct settings settings;
    char id[HOST_MAX + ID_UUID_LEN + 32];
    unsigned slots;

    bool engines_apart;           /* they are of another user than we */
    struct cgroup_place *cgroups; /* NULL: none can be had */
    const char *no_cgroups;       /* why */
    struct storage *storage;
    struct seal_key *seal; /* NULL: none is set */
    struct redis_config redis_config;
    struct redis *redis;
    struct redis_sub *stops;
    struct queue *queue;
    struct engine_pool *engines;
    enum engine_state engine_states[ENGINES_MAX]; /* as they were last logged */
    bool engine_kept[ENGINES_MAX];
    struct conversion_shared conversions;
    struct shares shares;
    struct runner_context context;
    struct claimer *claimer;
    struct health *health;
    struct janitor *janitor;
    struct task_events *events;
    struct control *control;
    struct counters *counters;

    uv_signal_t signals[3];
    uv_timer_t patience; /* the grace, then the time for giving back */
    unsigned signals_seen;
    bool started; /* an engine is up, claiming has begun */
    bool releasing;
    int status;
};

/* --- the end */

static void on_signal_closed(uv_handle_t *handle)
{
}

/* Nothing runs and nothing is owed to anybody. */
static void dismantle(void *arg, int err, const redisReply *reply)
{
    struct worker *w = arg;

    redis_sub_free(w->stops);
    claimer_free(w->claimer);
    engine_pool_free(w->engines);
    conversion_shared_done(&w->conversions);
    task_events_free(w->events);
    queue_free(w->queue);
    redis_free(w->redis);
    counters_free(w->counters);
    for (size_t i = 0; i < ARRAY_SIZE(w->signals); i++)
        uv_close((uv_handle_t *)&w->signals[i], on_signal_closed);
    uv_close((uv_handle_t *)&w->patience, on_signal_closed);
}

static void on_janitor_over(void *arg)
{
    struct worker *w = arg;

    health_free(TAKE_PTR(w->health), dismantle, w);
}

static void on_idle(void *arg)
{
    struct worker *w = arg;

    engine_pool_on_change(w->engines, NULL, NULL);
    task_events_offline(w->events);
    control_free(w->control);
    janitor_free(TAKE_PTR(w->janitor), on_janitor_over, w);
}

/* What is left is taken over by another worker, or by the next start. */
static void on_out_of_time(uv_timer_t *timer)
{
    struct worker *w = timer->data;

    log_warn("ended before all tasks were given back", LOG_U("running", claimer_running(w->claimer)));
    engine_pool_free(w->engines);
    exit(w->status);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct worker *w = timer->data;

    if (claimer_running(w->claimer) > 0)
        log_info("giving running tasks back", LOG_U("running", claimer_running(w->claimer)));
    w->releasing = true;
    uv_timer_start(&w->patience, on_out_of_time, RELEASE_MS, 0);
    claimer_release(w->claimer);
}

static void stop(struct worker *w, uint64_t grace_ms)
{
    uv_timer_start(&w->patience, on_grace_over, grace_ms, 0);
    claimer_finish(w->claimer, on_idle, w);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct worker *w = handle->data;

    w->signals_seen++;
    log_info("stopping", LOG_S("signal", strsignal(signal_number)),
             LOG_U("running", claimer_running(w->claimer)));
    if (w->signals_seen == 1 && w->status == EXIT_SUCCESS)
        stop(w, w->settings.grace_s * 1000);
    else if (!w->releasing)
        on_grace_over(&w->patience);
    else
        on_out_of_time(&w->patience);
}

/* Repeated, it isn't the second signal: that ends the grace. */
static void on_shutdown(void *arg)
{
    struct worker *w = arg;

    if (w->signals_seen == 0)
        on_signal(&w->signals[0], SIGTERM);
}

static void on_hangup(uv_signal_t *handle, int signal_number)
{
    struct worker *w = handle->data;

    if (w->signals_seen > 0 || w->status != EXIT_SUCCESS)
        return;
    log_info("replacing the engines");
    engine_pool_reload(w->engines);
}

/* --- engines */

/* Each change of an engine once, whatever else has changed with it. */
static void log_engine(struct worker *w, unsigned index, const struct engine_info *info)
{
    enum engine_state before = w->engine_states[index];
    bool kept = info->state == ENGINE_UP && info->why[0];
    char names[64];
    const char *layers = names;

    w->engine_states[index] = info->state;
    if (kept && !w->engine_kept[index])
        log_error("the engine could not be replaced, and stays as it is", LOG_S("engine", info->name),
                  LOG_S("why", info->why));
    w->engine_kept[index] = kept;
    if (info->state == before)
        return;
    sandbox_layer_names(info->layers, names);
    if (info->state == ENGINE_UP)
        log_info("engine up", LOG_S("engine", info->name), LOG_S("library", info->version),
                 LOG_S("sandbox", layers));
    else if (info->state == ENGINE_DOWN && info->sandbox_refused)
        log_audit("sandbox_refused", LOG_S("engine", info->name));
    if (info->state == ENGINE_DOWN)
        log_error("engine down: its jobs will fail", LOG_S("engine", info->name), LOG_S("why", info->why));
}

static void give_up(struct worker *w, int status, const char *why)
{
    log_error(why);
    w->status = status;
    stop(w, w->started ? w->settings.grace_s * 1000 : 0);
}

static void on_engines_changed(void *arg)
{
    struct worker *w = arg;
    const char *const *names = catalogue_engines();
    unsigned up = 0, starting = 0, refused = 0;
    struct engine_info info;

    for (unsigned i = 0; i < ENGINES_MAX && names[i]; i++) {
        if (!engine_pool_info(w->engines, names[i], &info))
            continue;
        log_engine(w, i, &info);
        up += info.state == ENGINE_UP;
        starting += info.state == ENGINE_STARTING;
        refused += info.state == ENGINE_DOWN && info.sandbox_refused;
    }
    if (engine_pool_lost(w->engines)) {
        if (w->status == EXIT_SUCCESS && w->signals_seen == 0)
            give_up(w, EXIT_FAILURE,
                    "the process that starts engines died: the next start of the worker has one");
    } else if (refused > 0) {
        if (w->status == EXIT_SUCCESS && w->signals_seen == 0)
            give_up(w, EXIT_CONFIG,
                    "the sandbox can't be had, and nothing is converted without it: see the reason above");
    } else if (!w->started && up > 0) {
        w->started = true;
        log_info("claiming tasks", LOG_S("worker", w->id), LOG_U("slots", w->slots));
        claimer_start(w->claimer);
    } else if (!w->started && starting == 0 && w->status == EXIT_SUCCESS && w->signals_seen == 0) {
        give_up(w, EXIT_CONFIG, "no engine can work here: see the reasons above, and run decant doctor");
    }
    if (w->health)
        health_tell(w->health);
}

/* --- the start */

/* `message` is NULL after a reconnection. */
static void on_stop_message(void *arg, const char *channel, const char *message)
{
    struct worker *w = arg;

    if (message)
        claimer_stop(w->claimer, message);
    else
        claimer_check_jobs(w->claimer);
}

static int complain(const char *what, int r)
{
    if (r < 0)
        log_error(what, LOG_E(r));
    return r;
}

static void name_worker(struct worker *w)
{
    char host[HOST_MAX] = "", uuid[ID_UUID_LEN + 1];

    if (gethostname(host, sizeof host - 1) < 0 || !*host)
        snprintf(host, sizeof host, "localhost");
    id_uuid(uuid);
    snprintf(w->id, sizeof w->id, "decant@%s:%d:%.8s", host, (int)getpid(), uuid);
}

static void on_redis_trouble(void *arg, const char *trouble)
{
    if (*trouble)
        log_error("Redis can't be reached, and no jobs are taken", LOG_S("why", trouble));
    else
        log_info("Redis answers");
}

static int connect_redis(struct worker *w)
{
    const struct settings *s = &w->settings;
    struct queue_config config = {.name = s->queue,
                                  .prefix = s->queue_prefix,
                                  .families = catalogue_families(),
                                  .max_length = s->queue_max,
                                  .max_deliveries = s->max_deliveries,
                                  .lease_ms = LEASE_MS};
    int r = complain(REDIS_URL_WRONG, redis_new(&w->loop, &w->redis_config, &w->redis));

    if (r < 0)
        return r;
    redis_on_trouble(w->redis, on_redis_trouble, NULL);
    r = complain("subscribing", redis_sub_new(&w->loop, &w->redis_config, &w->stops));
    if (r < 0)
        return r;
    w->queue = queue_new(w->redis, &config);
    return complain("DECANT_QUEUE or DECANT_QUEUE_KEYPREFIX has characters that it can't have",
                    w->queue ? 0 : -EINVAL);
}

/* Engines and what starts them keep whom they are, and we become somebody else. */
static int give_root_away(struct worker *w)
{
    int r = privilege_drop(w->settings.user);

    /* The change of user made the process dumpable again, where the host wants that. */
    return r < 0 ? r : complain("core files", privilege_forbid_core());
}

static int open_storage(struct worker *w)
{
    const char *root = w->settings.storage;

    if (w->engines_apart) {
        int r =
            complain("DECANT_STORAGE can't be shared with the API: it has to be a folder of DECANT_USER's",
                     storage_share(root));

        if (r < 0)
            return r;
    }
    return complain("DECANT_STORAGE can't be opened", storage_open(root, &w->storage));
}

/* A task waits in the queue of its engine's family, whether or not the engine is up at this moment. */
static void share_slots(struct worker *w)
{
    struct engine_info info;

    w->shares = (struct shares){.slots = w->slots, .spare = (unsigned)w->settings.spare_jobs};
    for (const char *const *name = catalogue_engines(); *name; name++)
        if (engine_pool_info(w->engines, *name, &info))
            w->shares.served |= queue_family(w->queue, catalogue_family(*name));
    w->shares.apart = queue_family(w->queue, CATALOGUE_PREVIEWS);
    w->shares.served |= w->shares.apart;
}

static int prepare(struct worker *w)
{
    const struct settings *s = &w->settings;
    const char *why;
    /* First: what starts engines is a copy of this process, needs root to be theirs, and must not know a
     * secret. */
    int r = complain("the engines can't be started", engine_pool_new(&w->loop, s, NULL, &w->engines));

    if (r == 0)
        r = give_root_away(w);
    if (r == 0)
        r = open_storage(w);
    if (r < 0)
        return r;
    if (s->seal_key)
        r = complain(
            "DECANT_SEAL_KEY must be a key file that this user alone may read; decant seal-key makes one",
            seal_key_load(AT_FDCWD, s->seal_key, &w->seal));
    if (r == 0 && (r = redis_config_load(s, &w->redis_config, &why)) < 0)
        r = complain(why, r);
    if (r < 0)
        return r;
    r = connect_redis(w);
    if (r < 0)
        return r;
    w->counters = counters_new(w->redis, w->id);
    if (!w->counters)
        return -ENOMEM;
    r = complain("libmagic", conversion_shared_init(&w->conversions, &w->loop, s, w->engines));
    if (r < 0)
        return r;

    struct task_events_config events = {
        .loop = &w->loop, .queue = w->queue, .node = s->worker_name, .tasks = str_eq(s->task_events, "on")};

    r = complain("DECANT_WORKER_NAME has characters that it can't have",
                 task_events_new(&events, &w->events));
    if (r < 0)
        return r;
    share_slots(w);
    w->context = (struct runner_context){.loop = &w->loop,
                                         .redis = w->redis,
                                         .queue = w->queue,
                                         .storage = w->storage,
                                         .conversions = &w->conversions,
                                         .shares = &w->shares,
                                         .events = w->events,
                                         .seal = w->seal,
                                         .counters = w->counters};
    return 0;
}

static int assemble(struct worker *w)
{
    struct claimer_config claimer = {
        .context = &w->context, .redis = &w->redis_config, .worker = w->id, .slots = w->slots};
    int r = complain("the queue's bell", claimer_new(&claimer, &w->claimer));

    if (r < 0)
        return r;

    struct health_config health = {.loop = &w->loop,
                                   .settings = &w->settings,
                                   .redis = w->redis,
                                   .engines = w->engines,
                                   .scanner = w->conversions.scanner,
                                   .claimer = w->claimer,
                                   .shares = &w->shares,
                                   .counters = w->counters,
                                   .worker = w->id};
    struct control_config control = {.loop = &w->loop,
                                     .settings = &w->settings,
                                     .redis = &w->redis_config,
                                     .queue = w->queue,
                                     .claimer = w->claimer,
                                     .engines = w->engines,
                                     .events = w->events,
                                     .slots = w->slots,
                                     .shutdown = on_shutdown,
                                     .arg = w};

    struct janitor_config janitor = {.loop = &w->loop,
                                     .redis = w->redis,
                                     .storage = w->storage,
                                     .owner = w->id,
                                     .every_ms = JANITOR_EVERY_MS,
                                     .thorough = JANITOR_THOROUGH,
                                     .settled_s = JANITOR_SETTLED_S};

    r = complain("health", health_new(&health, &w->health));
    if (r == 0)
        r = complain("janitor", janitor_new(&janitor, &w->janitor));
    if (r == 0)
        r = complain("remote control", control_new(&control, &w->control));
    if (r < 0)
        return r;
    redis_sub_start(w->stops, (const char *const[]){JOB_STOP_CHANNEL, NULL}, on_stop_message, w);
    engine_pool_on_change(w->engines, on_engines_changed, w);
    return 0;
}

static int watch_signals(struct worker *w)
{
    static const struct {
        int number;
        uv_signal_cb fn;
    } signals[] = {{SIGTERM, on_signal}, {SIGINT, on_signal}, {SIGHUP, on_hangup}};

    static_assert(ARRAY_SIZE(signals) == ARRAY_SIZE(w->signals), "a handle for each");
    uv_timer_init(&w->loop, &w->patience);
    w->patience.data = w;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        int r = uv_signal_init(&w->loop, &w->signals[i]);

        w->signals[i].data = w;
        if (r == 0)
            r = uv_signal_start(&w->signals[i], signals[i].fn, signals[i].number);
        if (r < 0)
            return complain("signals", r);
    }
    return 0;
}

/* Everything is open, and libuv has made no thread yet: they inherit it. */
static int confine(struct worker *w)
{
    const struct confinement c = {.policy = policy_worker,
                                  .storage = w->settings.storage,
                                  .peers = {w->settings.redis, w->settings.clamd},
                                  .ports = w->settings.redis_ports};
    const char *why;
    int r = confine_process(&c, &why);

    if (r < 0)
        log_error("the worker can't be confined, and does not work without it", LOG_S("why", why), LOG_E(r));
    return r;
}

static int run(struct worker *w)
{
    int r = uv_loop_init(&w->loop);

    if (r == 0)
        r = prepare(w);
    if (r == 0)
        r = watch_signals(w);
    if (r == 0)
        r = assemble(w);
    if (r == 0)
        r = confine(w);
    if (r < 0)
        return EXIT_CONFIG;
    log_info("worker started", LOG_S("worker", w->id), LOG_S("version", DECANT_VERSION),
             LOG_S("sandbox", w->settings.sandbox));
    if (str_eq(w->settings.clamd, "off"))
        log_warn("files are not scanned for viruses: DECANT_CLAMD is off");
    if (str_eq(w->settings.sandbox, "reduced"))
        log_warn("conversions run without namespaces: DECANT_SANDBOX is reduced");
    if (!w->cgroups)
        log_warn("conversions run without cgroups", LOG_S("why", w->no_cgroups));
    if (!w->engines_apart)
        log_info("engines share the worker's user: started as root they have one of their own");
    uv_run(&w->loop, UV_RUN_DEFAULT);
    storage_close(w->storage);
    seal_key_free(w->seal);
    redis_config_clear(&w->redis_config);
    cgroup_place_free(w->cgroups);
    log_info("worker ended", LOG_S("worker", w->id));
    return w->status;
}

/* Before anything is begun. Who names one user for both has what everybody has who doesn't start as root. */
static int find_users(struct worker *w)
{
    struct privilege_ids ours, engines;

    if (geteuid() != 0)
        return 0;
    if (privilege_find("DECANT_USER", w->settings.user, &ours) < 0 ||
        privilege_find("DECANT_ENGINE_USER", w->settings.engine_user, &engines) < 0)
        return -ENOENT;
    w->engines_apart = ours.uid != engines.uid;
    return w->engines_apart
               ? privilege_stranger("DECANT_ENGINE_USER", w->settings.engine_user, &engines, &ours)
               : 0;
}

int main(int argc, char **argv)
{
    static struct worker w;
    int r = settings_load(&w.settings, PROGRAM_WORKER, USAGE, argc, argv);

    if (r == -ECANCELED)
        return EXIT_SUCCESS;
    if (r < 0)
        return EXIT_USAGE;
    if (r < argc) {
        fprintf(stderr, "decant-worker takes no arguments; --help lists its options\n");
        return EXIT_USAGE;
    }
    catalogue_choose(w.settings.engines);
    if (find_users(&w) < 0)
        return EXIT_CONFIG;
    /* As root it can be had everywhere. */
    if (cgroup_place_make(w.settings.cgroup, w.settings.engine_user, &w.cgroups, &w.no_cgroups) < 0)
        w.cgroups = NULL;
    w.settings.cgroup = cgroup_place_folders(w.cgroups);
    settings_log_init(&w.settings, "worker");
    umask(0); /* what files/storage.h makes has the mode that it says */
    seal_wipe_json();
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || privilege_forbid_core() < 0)
        return EXIT_CONFIG;
    confine_prepare();
    w.slots = w.settings.jobs ? (unsigned)w.settings.jobs : uv_available_parallelism();
    name_worker(&w);
    return run(&w);
}
