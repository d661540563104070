/* Everything that the engines offer, as data: generated at build from the engines' own structs
 * (`--describe`), so that programs which must not link a media library (the API, the worker) know it too. */
#pragma once

#include "format/format.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What one engine does in one go: engine/engine.h. */
struct catalogue_step {
    const char *engine; /* whose program converts */
    const struct format *from, *to;
    unsigned cost, fidelity;
    bool copies_embedded;
    const char *follows;
};

/* The way from one format to another. */
enum { CATALOGUE_STEPS_MAX = 2, CATALOGUE_ENGINES_MAX = 32 /* bytes of their names */ };
struct catalogue_route {
    const struct format *from, *to;
    size_t n_steps;
    const struct catalogue_step *steps[CATALOGUE_STEPS_MAX];
    unsigned cost, fidelity;
    bool copies_embedded;                /* all steps do */
    char engines[CATALOGUE_ENGINES_MAX]; /* as records name them: "pdf", or "office+pdf" */
};

/* From now on the catalogue is what these engines offer, words that settings.engines may have (they are
 * borrowed); NULL: all. Before there are threads, and before anything that it returns is kept. */
void catalogue_choose(const char *words);

/* Leaves out, of those, the engines of which a program is missing: for whoever runs them on this very
 * machine. As early as the choice. */
void catalogue_leave_out_missing(void);
/* The path of the first program of an engine that isn't here, or NULL. */
const char *catalogue_missing_program(const char *engine);

/* The best way (engine/plan.h), or NULL when `to` can't be reached from `from`. */
const struct catalogue_route *catalogue_find(const struct format *from, const struct format *to);

/* Can files of this format be uploaded (does any route start there)? */
bool catalogue_accepts(const struct format *from);

/* Targets of `from`, ["pdf", …], the likeliest first; a new array. */
json_t *catalogue_targets(const struct format *from);

/* The body of GET /formats; a new object. Formats that are results only have no targets. "options" has, for
 * each target that has any, {name: {type, label, …}}. A number ("integer") has min, max and default, which is
 * null when the option is not applied unless given; a password ("string", with secret) has max_length. */
json_t *catalogue_json(void);

/* Names of the engines, NULL-terminated; and as words, as settings.engines has them. */
const char *const *catalogue_engines(void);
const char *catalogue_names(void);

/* The families that jobs are queued by, NULL-terminated; and the one of an engine, or NULL. */
const char *const *catalogue_families(void);
const char *catalogue_family(const char *engine);
/* The engine of the route's costliest step, whose pace tells when it will be done; and that one's family. */
const char *catalogue_route_engine(const struct catalogue_route *route);
const char *catalogue_route_family(const struct catalogue_route *route);

/* Are these the options of a job (object; NULL is fine) on this route? On failure -EINVAL and a sentence in
 * `ret_why`, which repeats nothing of what the client sent. */
int catalogue_check_options(const struct catalogue_route *route, const json_t *options, char *ret_why,
                            size_t size);

/* Can files that go this way be protected by a password that opens them? */
bool catalogue_takes_password(const struct catalogue_route *route);
