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
    /* [format]: the step that makes one such file of many, and that which takes one apart; NULL: none */
    const struct catalogue_step **gathers, **scatters;
    struct plan_variant *variants; /* routes that were asked for since */
};

/* Of the ways between two formats the most faithful is taken, then the one of fewer steps, then the cheapest;
 * of equal ones that whose steps come first. `steps` is borrowed for as long as the plan lives. Ends the
 * process when memory is out. */
void plan_make(const struct catalogue_step *steps, size_t n_steps, struct plan *ret);
void plan_free(struct plan *p);

/* Is there an engine for what plan_many() is asked? */
bool plan_makes_of_many(const struct plan *p, const struct format *from, const struct format *to,
                        bool scatter);
/* Routes that were made once more are the same pointers; they live as long as the plan. Any thread. */
/* Of `from`, and what comes with it or is in it, one `to`: taken apart where `scatter` is set, gathered. NULL
 * when no engine does that. */
const struct catalogue_route *plan_many(struct plan *p, const struct format *from, const struct format *to,
                                        bool scatter);
/* One after the other: the second begins with what the first ends with. */
const struct catalogue_route *plan_join(struct plan *p, const struct catalogue_route *first,
                                        const struct catalogue_route *second);
/* An archive is taken apart, and one of what is in it goes on by `route`. NULL when nothing takes it apart.
 */
const struct catalogue_route *plan_unpack(struct plan *p, const struct format *from,
                                          const struct catalogue_route *route);
/* `from` stays what it is: no step. */
const struct catalogue_route *plan_nothing(struct plan *p, const struct format *from);
/* `route` with these of plan.inserts, in their order, each where the route first comes by its format; where
 * many files become one, after that. */
const struct catalogue_route *plan_insert(struct plan *p, const struct catalogue_route *route,
                                          const struct catalogue_step *const inserts[], size_t n);

/* NULL when there is none. Both may be NULL. */
const struct catalogue_route *plan_find(const struct plan *p, const struct format *from,
                                        const struct format *to);
