/* What a command line of `decant convert` asks for: which files become which, decided and checked before
 * anything is converted. */
#pragma once

#include "core/settings.h"
#include "engine/catalogue.h"

#include <stdbool.h>
#include <stddef.h>

struct convert_item {
    const char *input;         /* as it was given; of many the first; "-": standard input */
    const char *const *inputs; /* those that become one file, in their order */
    size_t n_inputs;           /* 0: there is one */
    char *output;              /* "-": standard output */
    const struct format *to;
    const struct catalogue_route *route; /* NULL: a server looks for one */
};

struct convert_plan {
    struct settings settings;
    struct convert_item *items;
    size_t n_items;
    const char **files;        /* as they were given */
    char standard_name[32];    /* what standard input is called where a file has a name: "stdin.txt" */
    const struct format *each; /* what each of many is to become; NULL: what it is */
    char *options;             /* JSON object, with passwords in it if they were given */
    const char *output_dir;    /* NULL: none was given */
    bool json, force, quiet;
    /* By whom it is converted; NULL: here. Then items have no route: the server decides. */
    const char *server, *ca_file;
    bool keep, insecure_http;
};

/* Its input `i`, and the name of that without folders. */
const char *convert_item_input(const struct convert_item *item, size_t i);
const char *convert_item_name(const struct convert_plan *plan, const struct convert_item *item, size_t i);

/* Returns 0, or -EINVAL after having told standard error what is wrong, or -ECANCELED when --help was asked
 * for and printed. `argv` must outlive the plan. */
int convert_plan_make(struct convert_plan *plan, int argc, char **argv) _warn_unused_;
void convert_plan_free(struct convert_plan *plan);

/* Exit statuses beyond those of the outcomes (core/outcome.h). */
enum {
    CONVERT_EXIT_USAGE = 2,
    CONVERT_EXIT_INPUT = 3,
    CONVERT_EXIT_OUTPUT = 4,
    /* 5 and 6 are those of client/remote.h */
};
