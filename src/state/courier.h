/* That a courier lives, and what it does: keys of Redis's which each courier renews, and which are gone soon
 * after the last one. */
#pragma once

#include "state/redis.h"

enum { COURIER_ALIVE_EVERY_MS = 1000 };

enum courier_work { COURIER_WEBHOOKS = 1 << 0, COURIER_SIGN_ON = 1 << 1 };

/* What `works` has; to be repeated each COURIER_ALIVE_EVERY_MS. */
void courier_alive(struct redis *r, unsigned works, const char *courier);
/* Has each of `works` been done by a courier of late? */
typedef void courier_lives_fn(void *arg, int err, bool lives);
void courier_lives(struct redis *r, unsigned works, courier_lives_fn *fn, void *arg);
