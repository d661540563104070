#include "worker/health.h"

#include "core/log.h"
#include "engine/catalogue.h"
#include "sandbox/sandbox.h"
#include "state/worker_info.h"
#include "worker/counters.h"

#include <errno.h>

struct health {
    struct health_config config;
    uv_timer_t timer;
};

static json_t *describe_engine(const struct health *h, const struct engine_info *info)
{
    static const char *const states[] = {
        [ENGINE_STARTING] = "starting", [ENGINE_UP] = "up", [ENGINE_DOWN] = "down"};
    uint64_t share, run_ms;
    char layers[64];
    json_t *engine;

    sandbox_layer_names(info->layers, layers);
    engine =
        json_pack("{s:s, s:s, s:s, s:s}", "state", states[info->state], "version",
                  info->version ? info->version : "", "layers", layers, "why", info->why ? info->why : "");
    if (counters_pace(h->config.counters, info->name, &share, &run_ms)) {
        json_object_set_new(engine, "run_ms", json_integer((json_int_t)run_ms));
        json_object_set_new(engine, "share", json_integer((json_int_t)share));
    }
    return engine;
}

static json_t *describe_engines(const struct health *h)
{
    json_t *engines = json_object();
    struct engine_info info;

    for (const char *const *name = catalogue_engines(); *name; name++)
        if (engine_pool_info(h->config.engines, *name, &info))
            json_object_set_new(engines, *name, describe_engine(h, &info));
    return engines;
}

void health_tell(struct health *h)
{
    _cleanup_json_ json_t *engines = describe_engines(h);
    _cleanup_free_ char *text = json_dumps(engines, JSON_COMPACT);
    struct scanner_info scanner;

    scanner_info(h->config.scanner, &scanner);

    struct worker_info info = {
        .id = h->config.worker,
        .version = DECANT_VERSION,
        .engines = text,
        .sandbox = h->config.settings->sandbox,
        .scanner = scanner_state_name(scanner.state),
        .scanner_detail = scanner.detail,
        .scanner_remark = scanner.remark,
        .test_signatures = scanner.test_signatures,
        .jobs = claimer_running(h->config.claimer),
        .slots = claimer_limit(h->config.claimer),
        .family_slots = shares_most(h->config.shares),
        .scanning = claimer_scanning(h->config.claimer),
    };

    worker_info_put(h->config.redis, &info, NULL, NULL);
}

static void tell_counts(struct health *h, redis_reply_fn *fn, void *arg)
{
    struct engine_info info;

    for (const char *const *name = catalogue_engines(); *name; name++)
        if (engine_pool_info(h->config.engines, *name, &info))
            counters_set(h->config.counters, WORK_RESTARTS, *name, info.restarts);
    counters_tell(h->config.counters, fn, arg);
}

static void on_timer(uv_timer_t *timer)
{
    struct health *h = timer->data;

    health_tell(h);
    tell_counts(h, NULL, NULL);
}

static void on_verdict(void *arg, enum clamd_verdict verdict, enum scanner_origin origin, uint64_t us)
{
    static const char *const verdicts[] = {[CLAMD_CLEAN] = "clean",
                                           [CLAMD_INFECTED] = "infected",
                                           [CLAMD_INCOMPLETE] = "incomplete",
                                           [CLAMD_ENCRYPTED] = "encrypted",
                                           [CLAMD_UNAVAILABLE] = "unavailable"};
    static const char *const origins[] = {
        [SCANNER_ASKED] = "clamd", [SCANNER_REMEMBERED] = "memory", [SCANNER_NOT_ASKED] = "none"};
    struct health *h = arg;
    char labels[64];

    snprintf(labels, sizeof labels, "%s %s", verdicts[verdict], origins[origin]);
    counters_add(h->config.counters, WORK_VERDICTS, labels, 1);
    if (origin == SCANNER_ASKED)
        counters_observe(h->config.counters, WORK_SCAN, "", us);
}

static void log_scanner(const struct scanner_info *info)
{
    const char *state = scanner_state_name(info->state);

    if (*info->remark)
        log_warn("scanner", LOG_S("state", state), LOG_S("detail", info->detail),
                 LOG_S("remark", info->remark));
    else
        log_at(info->state == SCANNER_DOWN ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "scanner",
               LOG_S("state", state), LOG_S("detail", info->detail));
}

static void on_scanner_changed(void *arg)
{
    struct health *h = arg;
    struct scanner_info info;

    scanner_info(h->config.scanner, &info);
    if (info.state != SCANNER_UNKNOWN)
        log_scanner(&info);
    health_tell(h);
}

int health_new(const struct health_config *config, struct health **ret)
{
    struct health *h = malloc(sizeof *h);

    if (!h)
        return -ENOMEM;
    *h = (struct health){.config = *config};
    uv_timer_init(config->loop, &h->timer);
    h->timer.data = h;
    uv_timer_start(&h->timer, on_timer, 0, WORKER_INFO_EVERY_MS);
    scanner_watch(config->scanner, on_scanner_changed, h);
    scanner_measure(config->scanner, on_verdict, h);
    *ret = h;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void health_free(struct health *h, redis_reply_fn *fn, void *arg)
{
    scanner_watch(h->config.scanner, NULL, NULL);
    scanner_measure(h->config.scanner, NULL, NULL);
    tell_counts(h, NULL, NULL);
    worker_info_remove(h->config.redis, h->config.worker, fn, arg);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}
