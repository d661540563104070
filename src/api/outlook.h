/* How long a conversion will wait, as far as can be told when it is asked for: from its place in its queue,
 * the slots of the workers that take from there, and how long the engines took of late. What is under way is
 * of all kinds, and so each engine counts by its share of what was converted; what waits in front is of the
 * same family. It is a guess: what waits in front may be larger than what came before. */
#pragma once

#include "api/editions.h"
#include "queue/queue.h"
#include "state/worker_info.h"

#include <stdbool.h>
#include <stdint.h>

enum { OUTLOOK_KEPT_MS = 2000 };

/* Of the workers that have an engine of the family. */
struct outlook_family {
    uint64_t slots;  /* 0: no such worker is known */
    uint64_t room;   /* of these slots, those that the family may hold */
    uint64_t any_ms; /* what a conversion takes there; 0: none was measured yet */
    uint64_t own_ms; /* one of the family; 0: as above */
};

struct outlook {
    uint64_t asked_ms;                                  /* 0: never */
    struct outlook_family families[QUEUE_FAMILIES_MAX]; /* as catalogue_families() has them */
    struct editions editions;                           /* what works on them */
};

/* Asks Redis if what is known is older than OUTLOOK_KEPT_MS. The answer is there before those to commands
 * that are queued after it. `o` has to outlive the connection. */
void outlook_refresh(struct outlook *o, struct redis *redis);
/* What the workers say. */
void outlook_learn(struct outlook *o, const struct worker_info *workers, size_t n);
/* Of a task of that family, which the catalogue has. False: not known. */
bool outlook_wait(const struct outlook *o, const char *family, const struct queue_place *place,
                  uint64_t *ret_ms);
