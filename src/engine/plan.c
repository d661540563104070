/* Two steps are enough for what people ask for, and keep a job's time and its losses bounded. Which steps may
 * be second is said by the engines (engine_conversions.follows): that a PDF can be drawn is of use for one
 * that was a letter, but a PDF that was a photograph has no text to be had. */
#include "engine/plan.h"

#include "core/str.h"
#include "core/xalloc.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PERCENT = 100, WAY_STEPS_MAX = 2 };
static_assert((int)WAY_STEPS_MAX + (int)CATALOGUE_INSERTS_MAX <= (int)CATALOGUE_STEPS_MAX,
              "every step of a way and every one that is asked for");

/* A way between two formats while better ones may still turn up. */
struct way {
    const struct catalogue_step *steps[WAY_STEPS_MAX];
    unsigned fidelity, cost;
};

static size_t index_of(const struct format *from, const struct format *to)
{
    return (size_t)(from - formats) * n_formats + (size_t)(to - formats);
}

static bool is_better(const struct way *a, const struct way *b)
{
    if (!b->steps[0])
        return true;
    if (a->fidelity != b->fidelity)
        return a->fidelity > b->fidelity;
    if (!a->steps[1] != !b->steps[1])
        return !a->steps[1];
    return a->cost < b->cost;
}

/* `ways`, here and below: the best so far for each pair, as plan.best. */
static void offer(struct way *ways, const struct format *from, const struct format *to, const struct way *way)
{
    struct way *best = &ways[index_of(from, to)];

    if (is_better(way, best))
        *best = *way;
}

static void offer_singles(struct way *ways, const struct catalogue_step *steps, size_t n_steps)
{
    for (size_t i = 0; i < n_steps; i++) {
        const struct way way = {.steps = {&steps[i]}, .fidelity = steps[i].fidelity, .cost = steps[i].cost};

        if (steps[i].kind == CATALOGUE_CONVERT)
            offer(ways, steps[i].from, steps[i].to, &way);
    }
}

/* `second` after each single step that leads to where it starts. */
static void offer_after(struct way *ways, const struct way *singles, const struct catalogue_step *second)
{
    for (size_t i = 0; i < n_formats; i++) {
        const struct format *from = &formats[i];
        const struct catalogue_step *first = singles[index_of(from, second->from)].steps[0];

        if (!first || from == first->to || from == second->to ||
            !words_have(second->follows, format_category_name(from->category)))
            continue;

        const struct way way = {.steps = {first, second},
                                .fidelity = first->fidelity * second->fidelity / PERCENT,
                                .cost = first->cost + second->cost};

        offer(ways, from, second->to, &way);
    }
}

/* A pair can take the place of a single step between the same formats, which still counts as a first one. */
static void offer_pairs(struct way *ways, const struct catalogue_step *steps, size_t n_steps)
{
    struct way *singles = xcalloc(n_formats * n_formats, sizeof *singles);

    memcpy(singles, ways, n_formats * n_formats * sizeof *ways);
    for (size_t i = 0; i < n_steps; i++)
        if (*steps[i].follows)
            offer_after(ways, singles, &steps[i]);
    free(singles);
}

/* What is taken apart can become one of another kind, unless somebody does that better. */
static void offer_many(struct way *ways, const struct plan *p)
{
    for (size_t i = 0; i < n_formats; i++)
        for (size_t k = 0; k < n_formats; k++) {
            const struct catalogue_step *scatter = p->scatters[i], *gather = p->gathers[k];

            if (!scatter || !gather || i == k || ways[i * n_formats + k].steps[0])
                continue;
            offer(ways, &formats[i], &formats[k],
                  &(struct way){.steps = {scatter, gather},
                                .fidelity = scatter->fidelity * gather->fidelity / PERCENT,
                                .cost = scatter->cost + gather->cost});
        }
}

static void name_engines(struct catalogue_route *route)
{
    size_t len = 0;

    for (size_t i = 0; i < route->n_steps; i++)
        if (i == 0 || !str_eq(route->steps[i]->engine, route->steps[i - 1]->engine))
            len += (size_t)snprintf(route->engines + len, sizeof route->engines - len, "%s%s", i ? "+" : "",
                                    route->steps[i]->engine);
}

static bool is_insert(const struct catalogue_step *step)
{
    return step->kind == CATALOGUE_CONVERT && step->from == step->to;
}

static void add_step(struct catalogue_route *route, const struct catalogue_step *step)
{
    bool first = route->n_steps == 0;

    assert(route->n_steps < CATALOGUE_STEPS_MAX);
    route->cost += step->cost;
    route->fidelity = first ? step->fidelity : route->fidelity * step->fidelity / PERCENT;
    route->copies_embedded = step->copies_embedded && (first || route->copies_embedded);
    route->steps[route->n_steps++] = step;
}

static void make_route(const struct format *from, const struct format *to, const struct way *way,
                       struct catalogue_route *ret)
{
    *ret = (struct catalogue_route){.from = from, .to = to};
    for (size_t i = 0; i < WAY_STEPS_MAX && way->steps[i]; i++)
        add_step(ret, way->steps[i]);
    name_engines(ret);
}

static void keep(const struct way *ways, struct plan *ret)
{
    const size_t n = n_formats * n_formats;
    size_t k = 0;

    for (size_t i = 0; i < n; i++)
        ret->n_routes += ways[i].steps[0] != NULL;
    ret->routes = xcalloc(ret->n_routes + 1, sizeof *ret->routes);
    ret->best = xcalloc(n, sizeof *ret->best);
    for (size_t i = 0; i < n; i++) {
        if (!ways[i].steps[0])
            continue;
        make_route(&formats[i / n_formats], &formats[i % n_formats], &ways[i], &ret->routes[k]);
        ret->best[i] = &ret->routes[k++];
    }
}

static int by_turn(const void *a, const void *b)
{
    unsigned x = (*(const struct catalogue_step *const *)a)->turn;
    unsigned y = (*(const struct catalogue_step *const *)b)->turn;

    return x < y ? -1 : x > y;
}

static size_t number_of(const struct format *f)
{
    return (size_t)(f - formats);
}

/* Of two that do the same the first is taken. */
static void find_manifold(const struct catalogue_step *steps, size_t n_steps, struct plan *p)
{
    for (size_t i = n_steps; i-- > 0;) {
        if (steps[i].kind == CATALOGUE_GATHER)
            p->gathers[number_of(steps[i].to)] = &steps[i];
        else if (steps[i].kind == CATALOGUE_SCATTER)
            p->scatters[number_of(steps[i].from)] = &steps[i];
    }
}

static void find_inserts(const struct catalogue_step *steps, size_t n_steps, struct plan *p)
{
    for (size_t i = 0; i < n_steps; i++)
        if (is_insert(&steps[i]) && steps[i].turn > 0) {
            assert(p->n_inserts < CATALOGUE_INSERTS_MAX);
            p->inserts[p->n_inserts++] = &steps[i];
        }
    qsort(p->inserts, p->n_inserts, sizeof p->inserts[0], by_turn);
}

void plan_make(const struct catalogue_step *steps, size_t n_steps, struct plan *ret)
{
    struct way *ways = xcalloc(n_formats * n_formats, sizeof *ways);

    *ret = (struct plan){.gathers = xcalloc(n_formats, sizeof *ret->gathers),
                         .scatters = xcalloc(n_formats, sizeof *ret->scatters)};
    find_manifold(steps, n_steps, ret);
    find_inserts(steps, n_steps, ret);
    offer_singles(ways, steps, n_steps);
    offer_pairs(ways, steps, n_steps);
    offer_many(ways, ret);
    keep(ways, ret);
    free(ways);
}

/* --- routes that are asked for */

struct plan_variant {
    struct catalogue_route route;
    struct plan_variant *next;
};

static pthread_mutex_t variants_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_same(const struct catalogue_route *a, const struct catalogue_route *b)
{
    return a->from == b->from && a->to == b->to && a->n_steps == b->n_steps &&
           memcmp(a->steps, b->steps, a->n_steps * sizeof a->steps[0]) == 0;
}

static const struct catalogue_route *remember(struct plan *p, struct catalogue_route *made)
{
    struct plan_variant *v;

    name_engines(made);
    pthread_mutex_lock(&variants_lock);
    for (v = p->variants; v && !is_same(&v->route, made);)
        v = v->next;
    if (!v) {
        v = xmalloc(sizeof *v);
        *v = (struct plan_variant){*made, p->variants};
        p->variants = v;
    }
    pthread_mutex_unlock(&variants_lock);
    return &v->route;
}

bool plan_makes_of_many(const struct plan *p, const struct format *from, const struct format *to,
                        bool scatter)
{
    return from && to && p->gathers[number_of(to)] && (!scatter || p->scatters[number_of(from)]);
}

const struct catalogue_route *plan_many(struct plan *p, const struct format *from, const struct format *to,
                                        bool scatter)
{
    struct catalogue_route route = {.from = from, .to = to};

    if (!plan_makes_of_many(p, from, to, scatter))
        return NULL;
    if (scatter)
        add_step(&route, p->scatters[number_of(from)]);
    add_step(&route, p->gathers[number_of(to)]);
    return remember(p, &route);
}

static void add_steps(struct catalogue_route *route, const struct catalogue_route *more)
{
    for (size_t i = 0; i < more->n_steps; i++)
        add_step(route, more->steps[i]);
}

const struct catalogue_route *plan_join(struct plan *p, const struct catalogue_route *first,
                                        const struct catalogue_route *second)
{
    struct catalogue_route route = {.from = first->from, .to = second->to};

    add_steps(&route, first);
    add_steps(&route, second);
    return remember(p, &route);
}

const struct catalogue_route *plan_unpack(struct plan *p, const struct format *from,
                                          const struct catalogue_route *rest)
{
    struct catalogue_route route = {.from = from, .to = rest->to};

    if (!p->scatters[number_of(from)])
        return NULL;
    add_step(&route, p->scatters[number_of(from)]);
    add_steps(&route, rest);
    return remember(p, &route);
}

const struct catalogue_route *plan_nothing(struct plan *p, const struct format *from)
{
    struct catalogue_route route = {.from = from, .to = from, .fidelity = PERCENT};

    return remember(p, &route);
}

static void add_inserts(struct catalogue_route *route, const struct format *at,
                        const struct catalogue_step *const inserts[], size_t n, bool done[])
{
    for (size_t i = 0; i < n; i++)
        if (inserts[i]->from == at && !done[i]) {
            add_step(route, inserts[i]);
            done[i] = true;
        }
}

bool catalogue_gathers(const struct catalogue_route *route)
{
    for (size_t i = 0; i < route->n_steps; i++)
        if (route->steps[i]->kind == CATALOGUE_GATHER)
            return true;
    return false;
}

/* A route from a format into itself is what it is without being asked for anything: the inserts take its
 * place. */
const struct catalogue_route *plan_insert(struct plan *p, const struct catalogue_route *plain,
                                          const struct catalogue_step *const inserts[], size_t n)
{
    struct catalogue_route route = {.from = plain->from, .to = plain->to};
    bool many = catalogue_gathers(plain), done[CATALOGUE_INSERTS_MAX] = {false};

    if (!many)
        add_inserts(&route, plain->from, inserts, n, done);
    for (size_t i = 0; i < plain->n_steps; i++) {
        if (is_insert(plain->steps[i]))
            continue;
        add_step(&route, plain->steps[i]);
        if (!many || plain->steps[i]->kind == CATALOGUE_GATHER)
            add_inserts(&route, plain->steps[i]->to, inserts, n, done);
    }
    return remember(p, &route);
}

void plan_free(struct plan *p)
{
    for (struct plan_variant *v = p->variants, *next; v; v = next) {
        next = v->next;
        free(v);
    }
    free(p->routes);
    free(p->best);
    free(p->gathers);
    free(p->scatters);
    *p = (struct plan){0};
}

const struct catalogue_route *plan_find(const struct plan *p, const struct format *from,
                                        const struct format *to)
{
    return from && to ? p->best[index_of(from, to)] : NULL;
}
