/* A private folder for the time that the library starts.
 *
 * It is locked while it is in use, so that a later start can tell the folder of a process that was killed
 * (unlocked) from a living one's, and removes it: restarts don't pile folders up, and no process id has to be
 * trusted, which means nothing across containers that share a temporary folder. */
#pragma once

#include "core/cleanup.h"

struct private_folder {
    int parent_fd, fd;
    const char *name; /* the last part of path */
    char path[256];
};

/* Makes <TMPDIR>/<prefix>XXXXXX, mode 0700, after having removed dead ones of this user. -errno on failure.
 */
int private_folder_make(const char *prefix, struct private_folder *ret) _warn_unused_;
/* Removes it with what is in it. Twice is fine. */
void private_folder_remove(struct private_folder *f);
