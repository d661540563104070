/* Names of entries as they may go into an archive that somebody unpacks, and no two alike.
 *
 * What an archive calls its entries is for its author to choose: absolute paths, "..", drives, backslashes,
 * controls, bytes that are no text. Of each name the plain components are left: below the folder that the
 * result is unpacked in, on any system. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    NAME_COMPONENT_MAX = 255, /* bytes; file systems take no more */
    NAME_MAX_BYTES = 1024,    /* of a whole name: folders at its front are left out until it fits */
};

struct names;

int names_new(struct names **ret) _warn_unused_;
void names_free(struct names *n);

/* The safe name for `raw` into `ret`. A file whose name is taken gets a number, "a (2).txt"; so does a folder
 * that would lie in a file. 0; -ENOENT when nothing is left of the name; -EEXIST for a folder that is there
 * already; -ENOMEM. */
int names_make(struct names *n, const char *raw, bool folder, char ret[NAME_MAX_BYTES + 1]) _warn_unused_;
