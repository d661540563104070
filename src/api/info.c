/* GET /, /formats, /healthz and /readyz. */
#include "api/api.h"

#include "api/index.html.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "state/worker_info.h"

#include <errno.h>

void api_index(struct api_call *call)
{
    api_reply(call, 200, "text/html; charset=utf-8", index_html, sizeof index_html - 1);
}

void api_formats(struct api_call *call)
{
    api_reply_json(call, 200, catalogue_json());
}

void api_healthz(struct api_call *call)
{
    api_reply_json(call, 200, json_pack("{s:s, s:s}", "status", "ok", "version", DECANT_VERSION));
}

/* --- GET /readyz: what every living worker says of itself, and what this process can reach */

struct readiness {
    json_t *parts;
    bool ready;
};

/* `extra` (taken over, may be NULL) holds more members for the part. */
static void add_part(struct readiness *r, const char *name, bool ok, const char *detail, json_t *extra)
{
    json_t *part = json_pack("{s:b}", "ok", ok);

    if (detail && *detail)
        json_object_set_new(part, "detail", json_string(detail));
    if (extra)
        json_object_update_new(part, extra);
    json_object_set_new(r->parts, name, part);
    r->ready = r->ready && ok;
}

static void add_storage(struct readiness *r, struct api *api)
{
    uint64_t free_bytes;
    int err = storage_free_bytes(api->storage, &free_bytes);

    if (err < 0)
        add_part(r, "storage", false, "The storage folder can't be reached.", NULL);
    else
        add_part(r, "storage", free_bytes > api->settings->reserve_bytes,
                 free_bytes > api->settings->reserve_bytes ? NULL : "The disk is full but for its reserve.",
                 json_pack("{s:I}", "free_bytes", (json_int_t)free_bytes));
}

static void add_scanner(struct readiness *r, const struct worker_info *workers, size_t n)
{
    const char *detail = "No worker has reported.", *remark = "";
    bool ok = n > 0, test = false;

    for (size_t i = 0; i < n; i++) {
        ok = ok && (str_eq(workers[i].scanner, "up") || str_eq(workers[i].scanner, "off"));
        test = test || workers[i].test_signatures;
        remark = remark[0] ? remark : workers[i].scanner_remark;
        detail = str_eq(workers[i].scanner, "off") ? "Scanning is switched off." : workers[i].scanner_detail;
    }
    add_part(r, "scanner", ok,
             remark[0] ? remark
             : test    ? "Real signatures are missing: only a built-in test database is loaded. Install "
                         "clamav-freshclam, let it "
                         "fetch the signatures into /var/lib/clamav, and start again."
                       : detail,
             n > 0 ? json_pack("{s:b, s:s}", "test_signatures", test, "version", workers[0].scanner_detail)
                   : NULL);
}

/* Any worker may get any job, so each has to run every engine that is offered here. */
static bool runs_all(const struct worker_info *worker)
{
    _cleanup_json_ json_t *engines = json_loads(worker->engines, 0, NULL);

    for (const char *const *name = catalogue_engines(); *name; name++)
        if (!json_object_get(engines, *name))
            return false;
    return true;
}

static bool all_run_all(const struct worker_info *workers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!runs_all(&workers[i]))
            return false;
    return true;
}

/* The engines' own words on the layers they run under. */
static void add_sandbox(struct readiness *r, const struct worker_info *workers, size_t n)
{
    json_t *engines = n > 0 ? json_loads(workers[0].engines, 0, NULL) : NULL;
    const char *name;
    json_t *engine;
    bool complete = all_run_all(workers, n);
    bool ok = complete && json_object_size(engines) > 0;

    json_object_foreach(engines, name, engine) ok =
        ok && str_eq(json_string_value(json_object_get(engine, "state")), "up");
    add_part(r, "sandbox", ok,
             ok          ? NULL
             : !complete ? "A worker does not run every engine that is offered here: DECANT_ENGINES must be "
                           "the same for all."
                         : "An engine is not running, or not yet; jobs for one that starts wait.",
             n > 0 ? json_pack("{s:s, s:o*}", "mode", workers[0].sandbox, "engines", engines) : NULL);
}

static void on_workers(void *arg, int err, const struct worker_info *workers, size_t n)
{
    struct api_call *call = arg;
    struct readiness r = {.parts = json_object(), .ready = true};
    json_int_t slots = 0, running = 0;

    n = err < 0 ? 0 : n;
    for (size_t i = 0; i < n; i++) {
        slots += (json_int_t)workers[i].slots;
        running += (json_int_t)workers[i].jobs;
    }
    add_part(&r, "redis", err == 0, err == 0 ? NULL : "Redis can't be reached.", NULL);
    add_storage(&r, call->api);
    add_part(&r, "workers", n > 0, n > 0 ? NULL : "No worker is running.",
             json_pack("{s:I, s:I, s:I}", "count", (json_int_t)n, "slots", slots, "running", running));
    add_scanner(&r, workers, n);
    add_sandbox(&r, workers, n);
    json_object_set_new(r.parts, "ready", json_boolean(r.ready));
    if (!r.ready)
        http_reply_header(call->req, "Retry-After", "2");
    api_reply_json(call, r.ready ? 200 : 503, r.parts);
}

void api_readyz(struct api_call *call)
{
    worker_info_list(call->api->redis, on_workers, call);
}
