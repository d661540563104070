/* How long a conversion will wait, as far as can be told when it is asked for: from its place in the queue,
 * the slots of the workers that are alive, and how long the engines took of late, each by its share of what
 * was converted. It is a guess: what waits in front may be larger than what came before. */
#pragma once

#include "queue/queue.h"
#include "state/worker_info.h"

#include <stdbool.h>
#include <stdint.h>

enum { OUTLOOK_KEPT_MS = 2000 };

struct outlook {
    uint64_t asked_ms; /* 0: never */
    uint64_t slots;    /* 0: no worker is known */
    uint64_t run_ms;   /* what a conversion takes; 0: none was measured yet */
};

/* Asks Redis if what is known is older than OUTLOOK_KEPT_MS. The answer is there before those to commands
 * that are queued after it. `o` has to outlive the connection. */
void outlook_refresh(struct outlook *o, struct redis *redis);
/* What the workers say. */
void outlook_learn(struct outlook *o, const struct worker_info *workers, size_t n);
/* False: not known. */
bool outlook_wait(const struct outlook *o, const struct queue_place *place, uint64_t *ret_ms);
