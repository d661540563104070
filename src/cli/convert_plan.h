/* What a command line of `decant convert` asks for: which files become which, decided and checked before
 * anything is converted. */
#pragma once

#include "core/settings.h"
#include "engine/catalogue.h"

#include <stdbool.h>
#include <stddef.h>

struct convert_item {
    const char *input;         /* as it was given; of many the first */
    const char *const *inputs; /* those that become one file, in their order */
    size_t n_inputs;           /* 0: there is one */
    char *output;
    const struct catalogue_route *route;
};

struct convert_plan {
    struct settings settings;
    struct convert_item *items;
    size_t n_items;
    const char **files;        /* as they were given */
    const struct format *each; /* what each of many is to become; NULL: what it is */
    char *options;             /* JSON object, with passwords in it if they were given */
    const char *output_dir;    /* NULL: none was given */
    bool json, force;
};

/* Returns 0, or -EINVAL after having told standard error what is wrong, or -ECANCELED when --help was asked
 * for and printed. `argv` must outlive the plan. */
int convert_plan_make(struct convert_plan *plan, int argc, char **argv) _warn_unused_;
void convert_plan_free(struct convert_plan *plan);

/* Exit statuses beyond those of the outcomes (core/outcome.h). */
enum {
    CONVERT_EXIT_USAGE = 2,
    CONVERT_EXIT_INPUT = 3,
    CONVERT_EXIT_OUTPUT = 4,
};
