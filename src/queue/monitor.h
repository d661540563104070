/* What Celery's monitors and remote control ask of the queue, besides the six operations.
 *
 * Revoked ids are kept in `decant:revoked` (zset: id → when), for all workers: one that starts later, or has
 * missed the command, knows them as well, since each claim looks there (queue_claim's `revoked`). */
#pragma once

#include "queue/event.h"
#include "queue/pidbox.h"
#include "queue/queue.h"

enum {
    QUEUE_REVOKED_MAX = 50000,   /* as many as Celery's workers remember; the oldest are forgotten */
    QUEUE_REVOKED_TTL_S = 86400, /* as long as a result is kept */
    QUEUE_REVOKED_SHOWN = 5000,  /* what fits into an answer */
    QUEUE_SCHEDULED_SHOWN = 100,
};

/* The name of the channel that commands come on. The caller frees. */
char *queue_control_channel(const struct queue *q);

/* Nobody waits for them, and what can't be sent is lost: so are Celery's. */
void queue_publish_event(struct queue *q, const struct event *e);
void queue_reply(struct queue *q, const struct pidbox_request *request, const char *node, int64_t clock,
                 const json_t *reply);

/* The callbacks of these are called in any case, also after queue_free. */

/* Of `ids` (pidbox_id) those that a task can have; -E2BIG for more than QUEUE_REVOKED_MAX. */
void queue_revoke(struct queue *q, const json_t *ids, queue_fn *fn, void *arg);

/* `value` lives during the call; NULL when err isn't 0. */
typedef void queue_json_fn(void *arg, int err, const json_t *value);
/* {id: how many seconds ago}, the newest QUEUE_REVOKED_SHOWN */
void queue_revoked(struct queue *q, queue_json_fn *fn, void *arg);
/* What waits for its ETA, the earliest first, QUEUE_SCHEDULED_SHOWN at most: [{"eta", "priority",
 * "request"}], where request is what describe_task() gives. The set is all workers' together. */
void queue_scheduled(struct queue *q, bool as_text, queue_json_fn *fn, void *arg);
