/* Two steps are enough for what people ask for, and keep a job's time and its losses bounded. Which steps may
 * be second is said by the engines (engine_conversions.follows): that a PDF can be drawn is of use for one
 * that was a letter, but a PDF that was a photograph has no text to be had. */
#include "engine/plan.h"

#include "core/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PERCENT = 100 };

/* A way between two formats while better ones may still turn up. */
struct way {
    const struct catalogue_step *steps[CATALOGUE_STEPS_MAX];
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

        if (!first || from == second->to ||
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

static void make_route(const struct format *from, const struct format *to, const struct way *way,
                       struct catalogue_route *ret)
{
    *ret = (struct catalogue_route){.from = from,
                                    .to = to,
                                    .n_steps = way->steps[1] ? 2 : 1,
                                    .steps = {way->steps[0], way->steps[1]},
                                    .fidelity = way->fidelity,
                                    .cost = way->cost,
                                    .copies_embedded = way->steps[0]->copies_embedded &&
                                                       (!way->steps[1] || way->steps[1]->copies_embedded)};
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

void plan_make(const struct catalogue_step *steps, size_t n_steps, struct plan *ret)
{
    struct way *ways = calloc(n_formats * n_formats, sizeof *ways);

    if (!ways)
        abort();
    *ret = (struct plan){0};
    offer_singles(ways, steps, n_steps);
    offer_pairs(ways, steps, n_steps);
    keep(ways, ret);
    free(ways);
}

void plan_free(struct plan *p)
{
    free(p->routes);
    free(p->best);
    *p = (struct plan){0};
}

const struct catalogue_route *plan_find(const struct plan *p, const struct format *from,
                                        const struct format *to)
{
    return from && to ? p->best[index_of(from, to)] : NULL;
}
