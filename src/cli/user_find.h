/* An account by its name, for commands that change something of it. */
#pragma once

#include "cli/redis_operator.h"
#include "state/account.h"

/* -ENOENT when there is none; otherwise as in redis.h. */
int find_account(struct redis_operator *o, const char *name, struct account *ret) _warn_unused_;
/* The same after having complained: EXIT_SUCCESS or EXIT_FAILURE. */
int want_account(struct redis_operator *o, const char *name, struct account *ret) _warn_unused_;
