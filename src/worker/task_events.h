/* What this worker tells Celery's monitors (`celery events`, Flower): that it is there, every two seconds;
 * and what becomes of its tasks, which is off until it is asked for. Counts both, for `celery inspect stats`.
 */
#pragma once

#include "queue/lamport.h"
#include "queue/queue.h"
#include "worker/tasks.h"

#include <stdbool.h>

enum { HEARTBEAT_EVERY_MS = 2000 };

struct task_events;

struct task_events_config {
    uv_loop_t *loop;
    struct queue *queue;
    const char *node; /* our name; NULL: "decant@HOST" */
    bool tasks;       /* of tasks from the start on */
};

/* Borrows the loop and the queue. -EINVAL for a name that isn't one: letters, digits, "@", "_", "-" and ".".
 */
int task_events_new(const struct task_events_config *config, struct task_events **ret) _warn_unused_;
/* Before the queue; NULL is fine. The loop must turn once more. */
void task_events_free(struct task_events *e);

const char *task_events_node(const struct task_events *e);
/* One for all that this process says. */
struct lamport *task_events_clock(struct task_events *e);

/* Events of tasks: false when that is how it was. */
bool task_events_enable(struct task_events *e, bool on);
bool task_events_enabled(const struct task_events *e);

/* We are there (again): from here on there are heartbeats. */
void task_events_online(struct task_events *e);
/* One out of turn. */
void task_events_heartbeat(struct task_events *e);
/* We end: the last that is heard of us. */
void task_events_offline(struct task_events *e);

struct task_counts {
    uint64_t active, processed;   /* begun and not over; begun so far */
    uint64_t processed_of[TASKS]; /* of the latter, by their task */
};
struct task_counts task_events_counts(const struct task_events *e);

/* --- a task, in this order. For these `e` may be NULL. */

void task_events_received(struct task_events *e, const struct queue_claim *claim);
void task_events_started(struct task_events *e, const struct queue_claim *claim);

struct task_end {
    uint64_t runtime_ms;
    bool requeued, begun; /* requeued: it goes back into the queue, for `why` */
    int signal;           /* that it was terminated with, or 0 */
    const char *why;
};
void task_events_ended(struct task_events *e, const struct queue_claim *claim,
                       const struct queue_result *result, const struct task_end *end);
/* It was started, and its slot is free again. */
void task_events_over(struct task_events *e);
