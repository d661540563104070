#include "api/outlook.h"

#include "core/clock.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <jansson.h>

static uint64_t number(const json_t *engine, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(engine, name));

    return value > 0 && value < UINT32_MAX ? (uint64_t)value : 0;
}

/* What conversions took, each weighed by its engine's share of a worker's work and that worker's slots. */
struct pace {
    double weight, ms;
};

static void pace_add(struct pace *p, const json_t *engine, uint64_t slots)
{
    double share = (double)number(engine, "share") * (double)slots;

    p->weight += share;
    p->ms += share * (double)number(engine, "run_ms");
}

static uint64_t pace_ms(const struct pace *p)
{
    return p->weight > 0 ? (uint64_t)(p->ms / p->weight + 0.5) : 0;
}

static bool has_family(json_t *engines, const char *family)
{
    const char *name;
    json_t *engine;

    json_object_foreach(engines, name, engine)
    {
        if (str_eq(catalogue_family(name), family))
            return true;
    }
    return false;
}

static struct outlook_family learn_family(const char *family, const struct worker_info *workers, size_t n)
{
    struct outlook_family f = {0};
    struct pace any = {0}, own = {0};

    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *engines = json_loads(workers[i].engines, 0, NULL);
        const char *name;
        json_t *engine;

        if (!has_family(engines, family))
            continue;
        f.slots += workers[i].slots;
        f.room += workers[i].family_slots > 0 ? workers[i].family_slots : workers[i].slots;
        json_object_foreach(engines, name, engine)
        {
            pace_add(&any, engine, workers[i].slots);
            if (str_eq(catalogue_family(name), family))
                pace_add(&own, engine, workers[i].slots);
        }
    }
    f.any_ms = pace_ms(&any);
    f.own_ms = pace_ms(&own);
    return f;
}

void outlook_learn(struct outlook *o, const struct worker_info *workers, size_t n)
{
    const char *const *families = catalogue_families();

    editions_learn(&o->editions, workers, n);
    for (size_t i = 0; i < QUEUE_FAMILIES_MAX && families[i]; i++)
        o->families[i] = learn_family(families[i], workers, n);
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

static const struct outlook_family *find_family(const struct outlook *o, const char *family)
{
    const char *const *families = catalogue_families();

    for (size_t i = 0; i < QUEUE_FAMILIES_MAX && families[i]; i++)
        if (str_eq(families[i], family))
            return &o->families[i];
    return NULL;
}

/* Its turn comes when all but `slots - 1` of those in front have ended: first of those under way, of which
 * one ends every any_ms / slots, then of those that wait in its queue, one every own_ms / room. */
bool outlook_wait(const struct outlook *o, const char *family, const struct queue_place *place,
                  uint64_t *ret_ms)
{
    const struct outlook_family *f = find_family(o, family);
    uint64_t in_front = place->ahead + place->claimed, ends, running;

    if (!f || f->slots == 0)
        return false;
    if (in_front < f->slots) {
        *ret_ms = 0;
        return true;
    }
    if (f->any_ms == 0)
        return false;
    ends = in_front - f->slots + 1;
    running = ends < place->claimed ? ends : place->claimed;
    *ret_ms =
        running * f->any_ms / f->slots + (ends - running) * (f->own_ms ? f->own_ms : f->any_ms) / f->room;
    return true;
}
