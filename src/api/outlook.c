#include "api/outlook.h"

#include "core/clock.h"

#include <jansson.h>

static uint64_t number(const json_t *engine, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(engine, name));

    return value > 0 && value < UINT32_MAX ? (uint64_t)value : 0;
}

/* Adds what one worker's engines took, weighed by their shares and the worker's slots. */
static void add_worker(const struct worker_info *worker, double *weight, double *ms)
{
    _cleanup_json_ json_t *engines = json_loads(worker->engines, 0, NULL);
    const char *name;
    json_t *engine;

    json_object_foreach(engines, name, engine)
    {
        double share = (double)number(engine, "share") * (double)worker->slots;

        *weight += share;
        *ms += share * (double)number(engine, "run_ms");
    }
}

void outlook_learn(struct outlook *o, const struct worker_info *workers, size_t n)
{
    double weight = 0, ms = 0;

    o->slots = 0;
    for (size_t i = 0; i < n; i++) {
        o->slots += workers[i].slots;
        add_worker(&workers[i], &weight, &ms);
    }
    o->run_ms = weight > 0 ? (uint64_t)(ms / weight + 0.5) : 0;
}

static void on_workers(void *arg, int err, const struct worker_info *workers, size_t n)
{
    outlook_learn(arg, workers, err < 0 ? 0 : n);
}

void outlook_refresh(struct outlook *o, struct redis *redis)
{
    uint64_t now_ms = clock_mono_ms();

    if (o->asked_ms > 0 && now_ms < o->asked_ms + OUTLOOK_KEPT_MS)
        return;
    o->asked_ms = now_ms;
    worker_info_list(redis, on_workers, o);
}

/* Its turn comes when all but `slots - 1` of those in front have ended, and with all slots busy one of them
 * ends every run_ms / slots. */
bool outlook_wait(const struct outlook *o, const struct queue_place *place, uint64_t *ret_ms)
{
    uint64_t in_front = place->ahead + place->claimed;

    if (o->slots == 0)
        return false;
    if (in_front < o->slots) {
        *ret_ms = 0;
        return true;
    }
    if (o->run_ms == 0)
        return false;
    *ret_ms = (in_front - o->slots + 1) * o->run_ms / o->slots;
    return true;
}
