/* A lease: of all processes, one at a time does something. Not a lock: whoever is held up for longer than its
 * lease no longer has it and can't know, so what is done under one must bear being done twice. */
#pragma once

#include "state/redis.h"

#include <stdint.h>

/* Takes or prolongs it for `ms`. `owner` is unique, and so is `key`. err -EBUSY: somebody else has it. */
void lease_take(struct redis *r, const char *key, const char *owner, uint64_t ms, redis_reply_fn *fn,
                void *arg);
/* Gives it back, if it is still the owner's. `fn` may be NULL. */
void lease_drop(struct redis *r, const char *key, const char *owner, redis_reply_fn *fn, void *arg);
