/* A result on its way to where it was asked for: written into a file beside its destination that has no name
 * (or one of its own, where the filesystem knows no others), and put in place when it is whole. */
#pragma once

#include "core/cleanup.h"
#include "core/id.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define CONVERT_OUTPUT_TEMP ".decant-"

struct convert_output {
    int fd; /* to be written */
    int dir;
    char name[NAME_MAX + 1]; /* below it */
    char temp[sizeof CONVERT_OUTPUT_TEMP + ID_UUID_LEN];
    bool named; /* there is a file of the name `temp` */
    bool standard;
    mode_t mode;
};

#define CONVERT_OUTPUT_INIT ((struct convert_output){.fd = -1, .dir = -1})

/* For `path`; a link is followed, as cp does. What is there already keeps its permissions; a new file gets
 * `mode`. "-" is standard output, which the commit writes. 0 or -errno, of which -EISDIR and -EINVAL (no
 * regular file) say what stands in the way. */
int convert_output_open(struct convert_output *o, const char *path, mode_t mode) _warn_unused_;
/* Flushed and in its place. -EEXIST, when it may not replace what is there. */
int convert_output_commit(struct convert_output *o, bool replace) _warn_unused_;
/* Without a commit nothing is left. */
void convert_output_close(struct convert_output *o);

/* report.png → report.zip, when the result came as another format than the one that was asked for; new.
 * Standard output has no other name. */
char *convert_output_rename(const char *output, const char *ext);
