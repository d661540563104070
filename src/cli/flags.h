/* The command line of a command that has a few flags and takes what is left: by a table. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct flag {
    const char *name;   /* as --name VALUE, --name=VALUE, or --name */
    char letter;        /* as -n VALUE; '\0': none */
    const char **value; /* takes the value; NULL: it has none */
    bool *is_on;
};

/* Sorts argv[1…]: what is no flag goes to `rest`, which has room for argc. 0, -ECANCELED when --help was
 * asked for and printed, or -EINVAL after a complaint in the name of `command`. */
int flags_read(const char *command, const char *usage, const struct flag *flags, size_t n, int argc,
               char **argv, const char **rest, size_t *ret_rest) _warn_unused_;
