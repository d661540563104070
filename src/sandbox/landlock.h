/* Landlock (Linux 5.13): which files this process may reach from now on, by path, whatever its user id. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>

/* The kernel's version of the interface, or -errno. */
int landlock_abi(void);
enum { LANDLOCK_ABI_PORTS = 4 /* the first that knows TCP ports */ };

enum landlock_access {
    LANDLOCK_LIST,
    LANDLOCK_READ,
    LANDLOCK_EXECUTE, /* and read */
    LANDLOCK_WRITE_FILE,
    LANDLOCK_WRITE_FILES, /* a folder, for files only: no folder can be made in it */
    LANDLOCK_READ_WRITE   /* a folder */
};

/* A ruleset that denies everything, or -errno: every right that the kernel's version knows, TCP and signals
 * and abstract sockets to outside included. A descriptor. */
int landlock_begin(int abi) _warn_unused_;
/* Lets `path` be reached; a missing one is fine when `optional`. */
int landlock_allow(int ruleset, int abi, const char *path, enum landlock_access access,
                   bool optional) _warn_unused_;
/* Lets TCP connect to `port`, of any host; nothing before LANDLOCK_ABI_PORTS, where all of them may be. */
int landlock_allow_connect(int ruleset, int abi, unsigned port) _warn_unused_;
/* In force, for good. Needs no_new_privs. */
int landlock_enter(int ruleset) _warn_unused_;
