/* Which queues a worker takes from, and how its slots are shared among the families of tasks: no family may
 * hold the last `spare` of them, so that long tasks of one never stand before short ones of another. A task
 * is of the family of the queue that it was claimed from, until its route says otherwise. */
#pragma once

#include "queue/queue.h"

struct shares {
    unsigned served; /* the families' queues that this worker takes from, a mask as in queue.h */
    unsigned apart;  /* of these, what is short and no family of engines: no slot is spared for it alone */
    unsigned slots, spare;
    unsigned held[QUEUE_FAMILIES_MAX + 1], n_held; /* by bit of the queue */
};

/* All the queues that this worker takes from. */
unsigned shares_queues(const struct shares *s);

/* How many slots one family may hold. */
unsigned shares_most(const struct shares *s);

/* Those of them from which one more task may be claimed now. */
unsigned shares_open(const struct shares *s);

/* One more task, of that queue. */
void shares_take(struct shares *s, unsigned queue);
void shares_give(struct shares *s, unsigned queue);

/* A task that is held turns out to be of another queue: false when there is no room for it there, or when
 * this worker does not serve it; then nothing has changed. */
bool shares_move(struct shares *s, unsigned from, unsigned to);
