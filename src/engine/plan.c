/* Two steps are enough for what people ask for, and keep a job's time and its losses bounded. Which steps may
 * be second is said by the engines (engine_conversions.follows): that a PDF can be drawn is of use for one
 * that was a letter, but a PDF that was a photograph has no text to be had. */
#include "engine/plan.h"

#include "core/str.h"

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
    struct way *singles = calloc(n_formats * n_formats, sizeof *singles);

    if (!singles)
        abort();
    memcpy(singles, ways, n_formats * n_formats * sizeof *ways);
    for (size_t i = 0; i < n_steps; i++)
        if (*steps[i].follows)
            offer_after(ways, singles, &steps[i]);
    free(singles);
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
    return step->from == step->to;
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
    ret->routes = calloc(ret->n_routes + 1, sizeof *ret->routes);
    ret->best = calloc(n, sizeof *ret->best);
    if (!ret->routes || !ret->best)
        abort();
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
    struct way *ways = calloc(n_formats * n_formats, sizeof *ways);

    if (!ways)
        abort();
    *ret = (struct plan){0};
    find_inserts(steps, n_steps, ret);
    offer_singles(ways, steps, n_steps);
    offer_pairs(ways, steps, n_steps);
    keep(ways, ret);
    free(ways);
}

/* --- routes with steps that are asked for */

struct plan_variant {
    const struct catalogue_route *plain;
    struct catalogue_route route;
    struct plan_variant *next;
};

static pthread_mutex_t variants_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_inserts(struct catalogue_route *route, const struct format *at,
                        const struct catalogue_step *const inserts[], size_t n, bool done[])
{
    for (size_t i = 0; i < n; i++)
        if (inserts[i]->from == at && !done[i]) {
            add_step(route, inserts[i]);
            done[i] = true;
        }
}

/* A route from a format into itself is what it is without being asked for anything: the inserts take its
 * place. */
static struct catalogue_route make_variant(const struct catalogue_route *plain,
                                           const struct catalogue_step *const inserts[], size_t n)
{
    struct catalogue_route route = {.from = plain->from, .to = plain->to};
    bool done[CATALOGUE_INSERTS_MAX] = {false};

    add_inserts(&route, plain->from, inserts, n, done);
    for (size_t i = 0; i < plain->n_steps; i++) {
        if (is_insert(plain->steps[i]))
            continue;
        add_step(&route, plain->steps[i]);
        add_inserts(&route, plain->steps[i]->to, inserts, n, done);
    }
    name_engines(&route);
    return route;
}

static bool same_steps(const struct catalogue_route *a, const struct catalogue_route *b)
{
    return a->n_steps == b->n_steps && memcmp(a->steps, b->steps, a->n_steps * sizeof a->steps[0]) == 0;
}

const struct catalogue_route *plan_insert(struct plan *p, const struct catalogue_route *route,
                                          const struct catalogue_step *const inserts[], size_t n)
{
    struct catalogue_route made = make_variant(route, inserts, n);
    struct plan_variant *v;

    pthread_mutex_lock(&variants_lock);
    for (v = p->variants; v; v = v->next)
        if (v->plain == route && same_steps(&v->route, &made))
            break;
    if (!v) {
        v = malloc(sizeof *v);
        if (!v)
            abort();
        *v = (struct plan_variant){route, made, p->variants};
        p->variants = v;
    }
    pthread_mutex_unlock(&variants_lock);
    return &v->route;
}

void plan_free(struct plan *p)
{
    for (struct plan_variant *v = p->variants, *next; v; v = next) {
        next = v->next;
        free(v);
    }
    free(p->routes);
    free(p->best);
    *p = (struct plan){0};
}

const struct catalogue_route *plan_find(const struct plan *p, const struct format *from,
                                        const struct format *to)
{
    return from && to ? p->best[index_of(from, to)] : NULL;
}
