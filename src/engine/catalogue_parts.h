/* What catalogue.c (steps and routes) and catalogue_options.c ask of each other. Nobody else includes it. */
#pragma once

#include "engine/catalogue.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* --- catalogue_options.c */

/* Does an option of this name, of `len` bytes, ask for `step` on a route like this one? Not where a
 * conversion on it knows what to do by itself. */
bool catalogue_asks(const struct catalogue_step *step, const char *name, size_t len,
                    const struct catalogue_route *route);
/* All options, {id: {name, type, …}}, and the ids of those of a route; new. */
json_t *catalogue_options_json(void);
json_t *catalogue_route_options(const struct catalogue_route *route);

/* --- catalogue.c */

/* Can it be said what each file in the archive is to become? */
bool catalogue_takes_each(const struct catalogue_route *route);
/* The words of a list (words_next()); new. */
json_t *catalogue_words_json(const char *list);
/* Does any route end there? */
bool catalogue_is_target(const struct format *to);
