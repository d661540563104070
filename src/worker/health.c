#include "worker/health.h"

#include "core/log.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "files/clamd.h"
#include "sandbox/sandbox.h"
#include "state/worker_info.h"

#include <errno.h>

enum { CLAMD_TIMEOUT_MS = 3000, DETAIL_MAX = 160 };

struct health {
    struct health_config config;
    uv_timer_t timer;
    struct clamd_scan *asking;
    const char *scanner; /* as in struct worker_info */
    char scanner_detail[DETAIL_MAX];
    bool test_signatures;
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
    struct worker_info info = {
        .id = h->config.worker,
        .version = DECANT_VERSION,
        .engines = text,
        .sandbox = h->config.settings->sandbox,
        .scanner = h->scanner,
        .scanner_detail = h->scanner_detail,
        .test_signatures = h->test_signatures,
        .jobs = claimer_running(h->config.claimer),
        .slots = h->config.slots,
    };

    worker_info_put(h->config.redis, &info, NULL, NULL);
}

static void set_scanner(struct health *h, const char *state, const char *detail)
{
    if (!str_eq(h->scanner, state))
        log_at(str_eq(state, "up") ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "scanner", LOG_S("state", state),
               LOG_S("detail", detail));
    h->scanner = state;
    snprintf(h->scanner_detail, sizeof h->scanner_detail, "%s", detail);
}

/* With a real database clamd's version is "ClamAV 1.4.3/27450/Fri …"; the numbers come from the signatures'
 * own header, which a plain test database does not have. */
static void on_version(void *arg, enum clamd_verdict verdict, const char *detail)
{
    struct health *h = arg;

    h->asking = NULL;
    set_scanner(h, verdict == CLAMD_CLEAN ? "up" : "down", detail ? detail : "");
    h->test_signatures = verdict == CLAMD_CLEAN && !strchr(h->scanner_detail, '/');
    health_tell(h);
}

static void on_timer(uv_timer_t *timer)
{
    struct health *h = timer->data;
    const struct settings *settings = h->config.settings;

    if (str_eq(settings->clamd, "off"))
        set_scanner(h, "off", "");
    else if (!h->asking)
        h->asking = clamd_version(h->config.loop, settings->clamd, CLAMD_TIMEOUT_MS, on_version, h);
    if (!h->asking)
        health_tell(h);
}

int health_new(const struct health_config *config, struct health **ret)
{
    struct health *h = malloc(sizeof *h);

    if (!h)
        return -ENOMEM;
    *h = (struct health){.config = *config, .scanner = "unknown"};
    uv_timer_init(config->loop, &h->timer);
    h->timer.data = h;
    uv_timer_start(&h->timer, on_timer, 0, WORKER_INFO_EVERY_MS);
    *ret = h;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void health_free(struct health *h, redis_reply_fn *fn, void *arg)
{
    if (h->asking)
        clamd_scan_cancel(h->asking);
    worker_info_remove(h->config.redis, h->config.worker, fn, arg);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}
