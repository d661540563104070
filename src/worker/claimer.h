/* Keeps the worker's slots full: claims tasks while there is room, holds the lease, and does the chores that
 * the queue asks of every worker (reap, due) once a second. */
#pragma once

#include "worker/runner.h"

struct claimer;

typedef void claimer_fn(void *arg);

struct claimer_config {
    const struct runner_context *context;
    const struct redis_config *redis; /* for the bell; read by claimer_new alone */
    const char *worker;               /* our id in the queue; unique to this process */
    unsigned slots;                   /* how many tasks at once */
};

/* Borrows `config`'s strings and context. */
int claimer_new(const struct claimer_config *config, struct claimer **ret) _warn_unused_;

/* From here on it holds a lease and claims. */
void claimer_start(struct claimer *c);

unsigned claimer_running(const struct claimer *c);
/* Of these: whose file is with the virus scanner. */
unsigned claimer_scanning(const struct claimer *c);

/* In no order; `fn` ends none. */
void claimer_each(const struct claimer *c, void (*fn)(void *arg, struct runner *r), void *arg);

/* How many tasks at once: at first, and at most, as many as there are slots. Those that run are left alone.
 */
unsigned claimer_limit(const struct claimer *c);
void claimer_set_limit(struct claimer *c, unsigned limit);

/* The queues that it can take from, a mask as in queue.h, and those that it takes from: at first all. Off:
 * claims nothing from these until they are on again, and holds its lease. */
unsigned claimer_queues(const struct claimer *c);
unsigned claimer_consumes(const struct claimer *c);
void claimer_consume(struct claimer *c, unsigned queues, bool on);

/* Claims no more; `idle` is called once when nothing runs any more and the lease is given up. */
void claimer_finish(struct claimer *c, claimer_fn *idle, void *arg);

/* Gives back what still runs. */
void claimer_release(struct claimer *c);

/* The job or the task with this id must stop, if it is here. */
void claimer_stop(struct claimer *c, const char *id);
/* Asks Redis of each job whether it must stop. */
void claimer_check_jobs(struct claimer *c);

/* After `idle`. The loop must turn once more. */
void claimer_free(struct claimer *c);
