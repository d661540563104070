/* The queue as an operator sees and mends it: how long it is, who works, what lies in the dead letters. What
 * is told is a new JSON value, the callee's; NULL with an err of redis.h's, or those below. */
#pragma once

#include "queue/queue.h"

typedef void queue_told_fn(void *arg, int err, json_t *json);

/* {"queues": [{"name", "waiting", "priorities": [4 lengths], "oldest_s"}, …], "waiting", "oldest_s",
 * "workers": [{"id", "lease_s", "claims"}, …], "delayed", "next_due_s", "claimed", "dead"}. A queue's
 * oldest_s is how long the message has waited that has waited longest; null when it is empty or holds
 * strangers' alone, which do not say. Claimed are the tasks that workers hold, stock ones included. */
void queue_status(struct queue *q, queue_told_fn *fn, void *arg);

/* Of `n` dead letters from the `from`th newest on: [{"id", "reason", "time" (seconds), "queue", "bytes",
 * "task", "task_id"}, …]; what is not known is "". */
enum { QUEUE_DEAD_PAGE = 200 };
void queue_dead_list(struct queue *q, uint64_t from, uint64_t n, queue_told_fn *fn, void *arg);
/* One whole: {"id", "reason", "time", "queue", "bytes", "message"}; in the message U+0080 … U+00FF stand for
 * bytes. err -ENOENT. */
void queue_dead_show(struct queue *q, uint64_t id, queue_told_fn *fn, void *arg);
/* Back into its queue, as if it had never been tried, and the hash changed with it. err -ENOENT: there is no
 * such letter, or no such hash; -EBUSY the hash is in another state; -EMSGSIZE only a part of the message was
 * kept; -EINVAL nobody knows its queue; -EAGAIN the queue is full. But for 0 nothing has changed. */
void queue_dead_replay(struct queue *q, uint64_t id, const struct queue_hash *hash, queue_fn *fn, void *arg);
/* err -ENOENT. */
void queue_dead_drop(struct queue *q, uint64_t id, queue_fn *fn, void *arg);
