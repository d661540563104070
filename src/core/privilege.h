/* Giving root away at the start of a program, before it reads anything that others can write. */
#pragma once

#include "core/cleanup.h"

#include <sys/types.h>

/* Started as root: becomes `user` for good (no supplementary groups, real, effective and saved ids). Started
 * as anybody else: does nothing. 0, or -errno after having printed to standard error what to do about it. */
int privilege_drop(const char *user) _warn_unused_;

/* The ids of `user`, or of "nobody" when there is no such user. -ENOENT when there is neither. */
int privilege_lookup(const char *user, uid_t *ret_uid, gid_t *ret_gid) _warn_unused_;

/* No core files of this process and what it starts: passwords pass through them. 0, or -errno. */
int privilege_forbid_core(void) _warn_unused_;
