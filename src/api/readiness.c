#include "api/readiness.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "engine/catalogue.h"
#include "state/courier.h"

#include <errno.h>

struct asking {
    struct api *api;
    struct readiness readiness;
    readiness_fn *fn;
    void *arg;
};

/* Without which files are converted all the same. `extra` (taken over, may be NULL) holds more members for
 * the part. */
static void add_side_part(struct readiness *r, const char *name, bool ok, const char *detail, json_t *extra)
{
    json_t *part = json_pack("{s:b}", "ok", ok);

    if (detail && *detail)
        json_object_set_new(part, "detail", json_string(detail));
    if (extra)
        json_object_update_new(part, extra);
    json_object_set_new(r->parts, name, part);
}

static void add_part(struct readiness *r, const char *name, bool ok, const char *detail, json_t *extra)
{
    add_side_part(r, name, ok, detail, extra);
    r->ready = r->ready && ok;
}

/* Whether it is there, and whether there is room. */
static void add_storage(struct readiness *r, struct api *api)
{
    uint64_t reserve = api->settings->reserve_bytes;
    bool room;

    r->has_storage = storage_free_bytes(api->storage, &r->free_bytes) == 0;
    room = r->has_storage && r->free_bytes > reserve;
    add_part(r, "storage", r->has_storage, r->has_storage ? NULL : "The storage folder can't be reached.",
             r->has_storage ? json_pack("{s:I}", "free_bytes", (json_int_t)r->free_bytes) : NULL);
    add_part(r, "disk", room,
             room             ? NULL
             : r->has_storage ? "The disk is full but for its reserve."
                              : "It is not known how full the disk is.",
             r->has_storage ? json_pack("{s:I, s:I}", "free_bytes", (json_int_t)r->free_bytes,
                                        "reserve_bytes", (json_int_t)reserve)
                            : NULL);
}

static void add_queue(struct readiness *r, struct api *api)
{
    const struct queue_look *q = &r->queue;
    uint64_t max = api->settings->queue_max;
    bool room = r->has_queue && q->waiting < max;
    uint64_t oldest_ms = q->oldest_ms > 0 && q->now_ms > q->oldest_ms ? q->now_ms - q->oldest_ms : 0;

    add_part(r, "queue", room,
             room           ? NULL
             : r->has_queue ? "The queue is full: new conversions are refused."
                            : "It is not known how long the queue is.",
             r->has_queue ? json_pack("{s:I, s:I, s:I}", "waiting", (json_int_t)q->waiting, "max",
                                      (json_int_t)max, "oldest_ms", (json_int_t)oldest_ms)
                          : NULL);
}

static void add_workers(struct readiness *r)
{
    json_int_t slots = 0, running = 0;
    bool any = r->n_workers > 0;

    for (size_t i = 0; i < r->n_workers; i++) {
        slots += (json_int_t)r->workers[i].slots;
        running += (json_int_t)r->workers[i].jobs;
    }
    add_part(
        r, "workers", any, any ? NULL : "No worker is running.",
        json_pack("{s:I, s:I, s:I}", "count", (json_int_t)r->n_workers, "slots", slots, "running", running));
}

static void add_scanner(struct readiness *r)
{
    const struct worker_info *workers = r->workers;
    size_t n = r->n_workers;
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

/* --- engines, and the sandboxes they run in */

static bool is_up(const json_t *engine)
{
    return str_eq(json_string_value(json_object_get(engine, "state")), "up");
}

static bool are_all(const json_t *engines)
{
    for (const char *const *name = catalogue_engines(); *name; name++)
        if (!json_object_get(engines, *name))
            return false;
    return true;
}

/* What the workers say of each engine: of several the words of one where it is up. New references. Any worker
 * may get any job: `ret_complete` tells whether each of them runs every engine that is offered here. */
static json_t *merge_engines(const struct readiness *r, bool *ret_complete)
{
    json_t *all = json_object();

    *ret_complete = true;
    for (size_t i = 0; i < r->n_workers; i++) {
        _cleanup_json_ json_t *engines = json_loads(r->workers[i].engines, 0, NULL);
        const char *name;
        json_t *engine;

        json_object_foreach(engines, name, engine) if (!is_up(json_object_get(all, name)))
            json_object_set(all, name, engine);
        *ret_complete = *ret_complete && are_all(engines);
    }
    return all;
}

/* {"office": "up", …}, by name. */
static json_t *engine_states(const json_t *engines, bool *ret_all_up)
{
    json_t *states = json_object();

    *ret_all_up = true;
    for (const char *const *name = catalogue_engines(); *name; name++) {
        json_t *engine = json_object_get(engines, *name);
        const char *state = json_string_value(json_object_get(engine, "state"));

        json_object_set_new(states, *name, json_string(state ? state : "unknown"));
        *ret_all_up = *ret_all_up && is_up(engine);
    }
    return states;
}

static bool all_confined(const json_t *engines)
{
    const char *name;
    json_t *engine;
    bool ok = json_object_size(engines) > 0;

    json_object_foreach((json_t *)engines, name, engine) ok =
        ok && is_up(engine) && json_string_length(json_object_get(engine, "layers")) > 0;
    return ok;
}

static void add_engines(struct readiness *r)
{
    bool complete, up;
    json_t *engines = merge_engines(r, &complete), *states;
    bool confined = all_confined(engines);

    states = engine_states(engines, &up);
    add_part(r, "engines", up && complete,
             !complete
                 ? "A worker does not run every engine that is offered here: DECANT_ENGINES must be the "
                   "same for all."
             : up ? NULL
                  : "An engine is not running, or not yet; its jobs wait or fail.",
             json_pack("{s:o}", "states", states));
    add_part(r, "sandbox", confined,
             confined ? NULL : "An engine is not running, or not yet; jobs for one that starts wait.",
             r->n_workers > 0 ? json_pack("{s:s, s:O}", "mode", r->workers[0].sandbox, "engines", engines)
                              : NULL);
    json_decref(engines);
}

/* --- */

static unsigned works_of_courier(const struct settings *s)
{
    return (str_eq(s->webhooks, "on") ? COURIER_WEBHOOKS : 0) | (*s->oidc_issuer ? COURIER_SIGN_ON : 0);
}

static void add_courier(struct readiness *r, unsigned works)
{
    static const char *const missing[] = {
        [COURIER_WEBHOOKS] = "No courier is running that sends webhooks: they wait.",
        [COURIER_SIGN_ON] = "No courier is running for single sign-on: nobody can log in by it.",
        [COURIER_WEBHOOKS | COURIER_SIGN_ON] = "No courier is running, or not for both: webhooks wait, or "
                                               "nobody can log in by single sign-on.",
    };

    add_side_part(r, "courier", r->has_courier, r->has_courier ? NULL : missing[works], NULL);
}

static void on_workers(void *arg, int err, const struct worker_info *workers, size_t n)
{
    _cleanup_free_ struct asking *a = arg;
    struct readiness *r = &a->readiness;

    r->parts = json_object();
    r->ready = true;
    r->workers = workers;
    r->n_workers = err < 0 ? 0 : n;
    r->has_redis = err == 0;
    add_part(r, "redis", err == 0, err == 0 ? NULL : "Redis can't be reached.", NULL);
    add_storage(r, a->api);
    add_queue(r, a->api);
    add_workers(r);
    add_engines(r);
    add_scanner(r);
    if (works_of_courier(a->api->settings))
        add_courier(r, works_of_courier(a->api->settings));
    a->fn(a->arg, r);
    json_decref(r->parts);
}

static void on_courier(void *arg, int err, bool lives)
{
    struct asking *a = arg;

    a->readiness.has_courier = lives;
    worker_info_list(a->api->redis, on_workers, a);
}

static void on_look(void *arg, int err, const struct queue_look *look)
{
    struct asking *a = arg;

    a->readiness.has_queue = err == 0;
    if (err == 0)
        a->readiness.queue = *look;
    if (works_of_courier(a->api->settings))
        courier_lives(a->api->redis, works_of_courier(a->api->settings), on_courier, a);
    else
        on_courier(a, 0, false);
}

void readiness_ask(struct api *api, readiness_fn *fn, void *arg)
{
    struct asking *a = xcalloc(1, sizeof *a);

    *a = (struct asking){.api = api, .fn = fn, .arg = arg};
    queue_look(api->queue, on_look, a);
}
