/* The planner: finds the best way from every format to every other one, over two engines where one doesn't
 * do. Pure: it knows no catalogue, only the steps that it is given. */
#pragma once

#include "engine/catalogue.h"

#include <stddef.h>

struct plan {
    struct catalogue_route *routes; /* one for each pair that can be reached */
    size_t n_routes;
    const struct catalogue_route **best; /* [from × n_formats + to], NULL where nothing leads */
    /* Steps from a format into itself that have a turn, in the order of their turns. */
    const struct catalogue_step *inserts[CATALOGUE_INSERTS_MAX];
    size_t n_inserts;
    struct plan_variant *variants; /* what plan_insert() has made */
};

/* Of the ways between two formats the most faithful is taken, then the one of fewer steps, then the cheapest;
 * of equal ones that whose steps come first. `steps` is borrowed for as long as the plan lives. Ends the
 * process when memory is out. */
void plan_make(const struct catalogue_step *steps, size_t n_steps, struct plan *ret);
void plan_free(struct plan *p);

/* `route` with these of plan.inserts, in their order, each where the route first comes by its format. The
 * same pointer each time, which lives as long as the plan. Any thread. */
const struct catalogue_route *plan_insert(struct plan *p, const struct catalogue_route *route,
                                          const struct catalogue_step *const inserts[], size_t n);

/* NULL when there is none. Both may be NULL. */
const struct catalogue_route *plan_find(const struct plan *p, const struct format *from,
                                        const struct format *to);
