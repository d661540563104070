/* The planner: finds the best way from every format to every other one, over two engines where one doesn't
 * do. Pure: it knows no catalogue, only the steps that it is given. */
#pragma once

#include "engine/catalogue.h"

#include <stddef.h>

struct plan {
    struct catalogue_route *routes; /* one for each pair that can be reached */
    size_t n_routes;
    const struct catalogue_route **best; /* [from × n_formats + to], NULL where nothing leads */
};

/* Of the ways between two formats the most faithful is taken, then the one of fewer steps, then the cheapest;
 * of equal ones that whose steps come first. `steps` is borrowed for as long as the plan lives. Ends the
 * process when memory is out. */
void plan_make(const struct catalogue_step *steps, size_t n_steps, struct plan *ret);
void plan_free(struct plan *p);

/* NULL when there is none. Both may be NULL. */
const struct catalogue_route *plan_find(const struct plan *p, const struct format *from,
                                        const struct format *to);
