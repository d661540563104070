#include "worker/health.h"

#include "core/log.h"
#include "engine/catalogue.h"
#include "sandbox/sandbox.h"
#include "state/worker_info.h"

#include <errno.h>

struct health {
    struct health_config config;
    uv_timer_t timer;
};

static json_t *describe_engine(const struct engine_info *info)
{
    static const char *const states[] = {
        [ENGINE_STARTING] = "starting", [ENGINE_UP] = "up", [ENGINE_DOWN] = "down"};
    char layers[64];

    sandbox_layer_names(info->layers, layers);
    return json_pack("{s:s, s:s, s:s, s:s}", "state", states[info->state], "version",
                     info->version ? info->version : "", "layers", layers, "why", info->why ? info->why : "");
}

static json_t *describe_engines(const struct engine_pool *pool)
{
    json_t *engines = json_object();
    struct engine_info info;

    for (const char *const *name = catalogue_engines(); *name; name++)
        if (engine_pool_info(pool, *name, &info))
            json_object_set_new(engines, *name, describe_engine(&info));
    return engines;
}

void health_tell(struct health *h)
{
    _cleanup_json_ json_t *engines = describe_engines(h->config.engines);
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
    };

    worker_info_put(h->config.redis, &info, NULL, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    health_tell(timer->data);
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
    worker_info_remove(h->config.redis, h->config.worker, fn, arg);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}
