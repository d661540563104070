/* The root folder of a child: a small tmpfs that holds what its engine reads, read-only, and its job. */
#pragma once

#include "core/cleanup.h"

#include <stdint.h>

#define ROOT_OUTPUT "/job/out"

/* What every engine reads, NULL-terminated. */
extern const char *const root_common_paths[];

struct root {
    const char *const *read_paths; /* beyond the common ones; NULL-terminated; missing ones are skipped */
    const char *const *programs;   /* what is to be executed, as read_paths */
    uint64_t tmp_bytes;            /* size of the private /tmp */
    int input_fd, output_fd;       /* opened in this mount namespace; -1: no job */
    const char *input_path;        /* where the input is put: directly below the root */
};

/* Makes `root` the root folder of this process, which has its own user and mount namespaces, and leaves
 * nothing of the old one. */
int root_enter(const struct root *root) _warn_unused_;
