/* Landlock (Linux 5.13): which files this process may reach from now on, by path, whatever its user id. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>

/* The kernel's version of the interface, or -errno. */
int landlock_abi(void);

enum landlock_access {
    LANDLOCK_LIST,
    LANDLOCK_READ,
    LANDLOCK_WRITE_FILE,
    LANDLOCK_READ_WRITE /* a folder */
};

/* A ruleset that denies everything, or -errno: every right that the kernel's version knows, TCP and signals
 * and abstract sockets to outside included. A descriptor. */
int landlock_begin(int abi) _warn_unused_;
/* Lets `path` be reached; a missing one is fine when `optional`. */
int landlock_allow(int ruleset, int abi, const char *path, enum landlock_access access,
                   bool optional) _warn_unused_;
/* In force, for good. Needs no_new_privs. */
int landlock_enter(int ruleset) _warn_unused_;
