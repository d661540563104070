/* Secrets of the installation: read from a file once, kept in locked memory of their own (libsodium's guarded
 * allocations), wiped when they are given back. */
#pragma once

#include "core/cleanup.h"

enum { SECRET_MAX = 1024 /* bytes */ };

/* The first line of a file that nobody but its owner may read: -EPERM when others may, -EBADMSG when it is
 * empty. */
int secret_load(int dirfd, const char *path, char **ret) _warn_unused_;
/* NULL when there is no memory. */
char *secret_copy(const char *secret);
void secret_free(char *secret); /* NULL is fine */
