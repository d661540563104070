/* Everything that the engines offer, as data: generated at build from the engines' own structs
 * (`--describe`), so that programs which must not link a media library (the API, the worker) know it too. */
#pragma once

#include "core/cleanup.h"
#include "format/format.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What one engine does in one go: engine/engine.h. */
enum catalogue_kind {
    CATALOGUE_CONVERT,
    CATALOGUE_SCATTER, /* a file into a folder of many */
    CATALOGUE_GATHER   /* a folder of files into one, when each has become what is to be gathered */
};
struct catalogue_step {
    enum catalogue_kind kind;
    const char *engine; /* whose program converts */
    const struct format *from, *to;
    unsigned cost, fidelity;
    bool copies_embedded;
    const char *follows;
    const char *asked_by; /* "" of a step between two formats */
    unsigned turn;
};

/* The way from one format to another. */
enum {
    CATALOGUE_STEPS_MAX = 8,
    CATALOGUE_INSERTS_MAX = 6, /* of those: steps from a format into itself that options ask for */
    CATALOGUE_ENGINES_MAX = 64 /* bytes of their names */
};
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
/* The same with the steps that a job with these options (object; NULL is fine) asks for: the one to go. Of
 * routes made so it makes the same again. */
const struct catalogue_route *catalogue_route_with(const struct catalogue_route *route,
                                                   const json_t *options);
/* The way on which many files, each by a route of its own, become one: of `from` is the first of them. NULL
 * when no engine makes one `to` of many. */
const struct catalogue_route *catalogue_find_many(const struct format *from, const struct format *to);
/* A sentence, where that was NULL: no engine makes one of many in that format (NULL: one that we don't know),
 * or the one that does has not been chosen. */
const char *catalogue_why_not_many(const struct format *to);
/* The route of a file that is only looked at. */
const struct catalogue_route *catalogue_as_it_is(const struct format *format);
/* The way from a result to a picture of its first page, a PNG, with these options. `inside` is what a result
 * that is an archive holds, as of a document whose pages are a picture each: the first of them is shown. NULL
 * when there is none: of sounds, fonts and what somebody has packed. */
const struct catalogue_route *catalogue_preview(const struct format *result, const struct format *inside,
                                                const json_t *options);
/* Does the route end with one file made of many? What each has to become before: NULL for as it is. */
bool catalogue_gathers(const struct catalogue_route *route);
const struct format *catalogue_each(const struct catalogue_route *route, const json_t *options);
/* … and with all that any options could ask for: what options are looked up in. */
const struct catalogue_route *catalogue_route_whole(const struct catalogue_route *route);

/* Can files of this format be uploaded (does any route start there)? */
bool catalogue_accepts(const struct format *from);

/* Targets of `from`, ["pdf", …], the likeliest first; a new array. */
json_t *catalogue_targets(const struct format *from);

/* The body of GET /formats; a new object. Formats that are results only have no targets. A format's "options"
 * are, for each target that has any, names in the object "options" beside "formats", which tells of each
 * {name, type, label, …}: docs/api.md. */
json_t *catalogue_json(void);

/* Names of the engines, NULL-terminated; and as words, as settings.engines has them. */
const char *const *catalogue_engines(void);
const char *catalogue_names(void);

/* The families that tasks are queued by, NULL-terminated: those of the engines, and at last the one of
 * previews, which are many and short. And the one of an engine, or NULL. */
#define CATALOGUE_PREVIEWS "previews"
const char *const *catalogue_families(void);
const char *catalogue_family(const char *engine);
/* The engine of the route's costliest step, whose pace tells when it will be done; and that one's family. */
const char *catalogue_route_engine(const struct catalogue_route *route);
const char *catalogue_route_family(const struct catalogue_route *route);

/* --- options: catalogue_options.c */

/* Are these the options of a job (object; NULL is fine) on this route? On failure -EINVAL and a sentence in
 * `ret_why`, which repeats nothing of what the client sent but an option's name, if that is plain. */
int catalogue_check_options(const struct catalogue_route *route, const json_t *options, char *ret_why,
                            size_t size);

/* Does any conversion have an option of that name? */
bool catalogue_has_option(const char *name);
/* What the text of a form's field says as the value of an option on this route; new. A number or a switch
 * where it is written as one ("300", "true"), else the text, as catalogue_check_options() says what is wrong
 * with it. -ENOENT: the route has no such option; -EINVAL: it is no text. */
int catalogue_option_of_text(const struct catalogue_route *route, const char *name, const char *text,
                             json_t **ret) _warn_unused_;

/* What these options come to on a route that was made with them (catalogue_route_with): an array of its
 * steps, each [engine, from, to, {option: value, …}], where what was not given has its fallback if that is
 * sure. So two lists that say the same are equal, whatever was written out; new. NULL: no memory. */
json_t *catalogue_effective(const struct catalogue_route *route, const json_t *options);

/* Can files that go this way be protected by a password that opens them? */
bool catalogue_takes_password(const struct catalogue_route *route);

/* Those of the options that are for a step of the route, as the text of an object; a new string for
 * cleanup_secret(). Numbers where a text is meant become one. -EINVAL when `options` is no such text. */
int catalogue_step_options(const struct catalogue_route *route, size_t step, const char *options,
                           char **ret) _warn_unused_;
