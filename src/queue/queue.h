/* The task queue: Celery's message protocol 2 over Redis (docs/queue.md says what is compatible and what is
 * stronger). Seven operations, each one Lua script beside this file: enqueue, cancel, claim, refresh, done,
 * reap, due.
 *
 * Keys, all as kombu names them: lists `{queue}`, `{queue}\x06\x16{3,6,9}` for the priorities of each queue;
 * `unacked` and `unacked_index` for what is claimed; `celery-task-meta-{id}` for results. Ours:
 * `decant:workers` (zset: worker → lease's end), `decant:claims:{worker}` (hash: tag → task id),
 * `decant:delayed` (zset of messages with an ETA), `decant:deliveries:{task id}` (starts), `decant:dead`
 * (list of messages given up, with the reason), `decant:finished:{tag}` (the answer to a completion),
 * `decant:watch` (see reap).
 *
 * Callbacks come from the loop, never before the call that they belong to has returned; after queue_free none
 * come any more. Besides the errors named below, err is one of redis.h's: the command may or may not have
 * happened. All of them may be repeated. */
#pragma once

#include "core/id.h"
#include "core/trace.h"
#include "state/redis.h"

#include <jansson.h>
#include <stdint.h>

struct queue;

/* Besides the queue that has the base name, in which stock clients' tasks wait, there is one for each family
 * of tasks, "{name}.{family}": what runs long in one does not stand before what is short in another. A set of
 * queues is a mask of bits: QUEUE_BASE, and those that queue_family() tells. */
enum { QUEUE_FAMILIES_MAX = 7, QUEUES_MAX = QUEUE_FAMILIES_MAX + 1 };
#define QUEUE_BASE 1U
#define QUEUE_ALL  ((1U << (QUEUE_FAMILIES_MAX + 1)) - 1)

struct queue_config {
    const char *name;   /* "decant"; letters, digits, "_", "-" and "." */
    const char *prefix; /* of all keys and channels but results: kombu's global_keyprefix. NULL: none */
    const char *const *families; /* NULL-terminated, of the same form as `name`; NULL: none */
    uint64_t max_length;         /* enqueue refuses past it, over all queues */
    uint64_t max_deliveries;     /* claim gives up on a task past it */
    uint64_t lease_ms;           /* a worker that has not refreshed for this long has lost its claims */
    bool sent_events;            /* enqueue publishes the event "task-sent" */
};

/* Borrows `r` and the strings. NULL for names or a prefix (in which "/", ":", "{" and "}" may be too) of
 * another form, and for too many families. */
struct queue *queue_new(struct redis *r, const struct queue_config *config);
/* Before or after `r` is freed. Claims that are still out may be freed later. */
void queue_free(struct queue *q);
/* The bit of a family's queue; QUEUE_BASE for NULL and for one that it doesn't know. */
unsigned queue_family(const struct queue *q, const char *family);
/* The name of the queue with that bit, without the prefix, and back; 0 when there is none of that name. */
const char *queue_name(const struct queue *q, unsigned queue);
unsigned queue_by_name(const struct queue *q, const char *name);

/* A hash that one script changes together with the queue: "if `key` exists and its `field` is one of
 * `expected` (space-separated), set the `set` pairs (name, value, …, NULL) and publish the hash's new
 * `status` on `channel`". With a claim also: "and its field `task_id` names this task, or none". */
struct queue_hash {
    const char *key, *field, *expected, *channel;
    const char *const *set;
};

/* Where a task was put, as of the same moment. */
struct queue_place {
    uint64_t ahead;   /* messages that wait in the same queue and will be served before it */
    uint64_t claimed; /* messages that workers have, of any queue of this Redis */
};

struct queue_task {
    const char *id;   /* UUID */
    const char *name; /* "decant.convert" */
    const json_t *kwargs;
    const char *family; /* whose queue it waits in; NULL: the base one */
    unsigned priority;  /* 0 (first) – 9 */
    /* With a hash: the set of the hashes of one owner that wait or are under way, and how many there may be.
     * It is put right when it seems to be full: whatever has reached its end then leaves it. The owners'
     * tasks of one priority take turns, and the hash's field `queue_round` says in which this one is. NULL:
     * nobody's, without limit; it waits behind all that is there. */
    const char *crowd;
    uint64_t crowd_max;
    const char *needed;        /* a key without which it is not enqueued; NULL: none */
    const char *traceparent;   /* of whoever asks; NULL: none */
    struct queue_place *place; /* filled before the callback when that has err 0; NULL: nobody asks */
};

/* err: 0; -ENOENT the hash or what is needed is gone; -EBUSY its field has another value; -EAGAIN the queue
 * is full; -EDQUOT the crowd is; -EMSGSIZE the message passes 1 MiB; -EINVAL the task can't be said in JSON.
 * But for 0 nothing has changed. */
typedef void queue_fn(void *arg, int err);
void queue_enqueue(struct queue *q, const struct queue_task *task, const struct queue_hash *hash,
                   queue_fn *fn, void *arg);

/* A task is called off, and the job with it; the hash says what that becomes, and is as it was for anything
 * but 0. err: 0 it was waiting, and has ended so: its message is gone and its result stored. -EINPROGRESS: a
 * worker has begun it. Its hash says `cancelling` from now on, `stop_channel` has told it, and no completion,
 * release or retry of this task passes any more (-ECANCELED): whoever has the claim, now or after others have
 * died, must end it as REVOKED. -ENOENT and -EBUSY as with enqueue; the latter also when the hash's `task_id`
 * is another's. May be repeated. */
struct queue_cancellation {
    const char *id;
    const char *why; /* what Celery's clients get */
    const char *stop_channel, *crowd;
};
void queue_cancel(struct queue *q, const struct queue_cancellation *c, const struct queue_hash *hash,
                  queue_fn *fn, void *arg);

/* One claimed message. Opaque tag: a fresh one for each delivery. Owned by the caller of queue_claim after
 * the callback. One that is freed without done or release goes back into the queue with the next refresh. */
struct queue_claim {
    char *tag;
    unsigned queue; /* the bit of the queue that it was taken from */
    char *id, *name;
    json_t *args, *kwargs;
    uint64_t retries;         /* how often it was tried again by queue_retry; the message says */
    uint64_t deliveries;      /* 1 the first time */
    bool gave_up;             /* deliveries > max: fail it, don't run it */
    bool revoked;             /* Celery's remote control has called it off (monitor.h): don't run it */
    bool lost;                /* a refresh has found that another worker has taken it over */
    char *reply_to, *message; /* as it was received */
    char *group_id, *parent_id, *root_id;
    json_t *callbacks, *errbacks, *chain; /* what queue_done has follow (follow.h); NULL: nothing */
    bool ignore_result;
    struct trace trace;      /* "" unless the message has one */
    uint64_t queued_ms;      /* when it was put into the queue, by Redis' clock; 0: the message doesn't say */
    struct queue_held *held; /* the queue's own */
};
void queue_claim_free(struct queue_claim *c);

/* err: 0 with a claim that the callee now owns; -EAGAIN nothing is waiting; -EEXIST another process works
 * under this worker's name. Worker names are "decant@HOST:pid:random". A message that is not well-formed is
 * moved to `decant:dead`, one whose ETA is to come to `decant:delayed`, one that has expired is finished as
 * REVOKED, and the next one is tried. Those of `queues` in which something waits take turns; within all of
 * them what has a higher priority comes first. */
typedef void queue_claim_fn(void *arg, int err, struct queue_claim *claim);
void queue_claim(struct queue *q, const char *worker, unsigned queues, queue_claim_fn *fn, void *arg);

/* Tells of each message that came to its end there, acknowledged and never run: refused or expired. */
struct queue_result;
#define QUEUE_EXPIRED "expired" /* the exc_message of the latter */
typedef void queue_unrun_fn(void *arg, const struct queue_claim *claim, const struct queue_result *result);
void queue_on_unrun(struct queue *q, queue_unrun_fn *fn, void *arg);

/* Renews the worker's lease and its claims; call every second, also when idle. err -ESTALE: another worker
 * has taken over one of ours, and its claim says `lost`; -EEXIST as above. */
void queue_refresh(struct queue *q, const char *worker, queue_fn *fn, void *arg);

enum queue_state { QUEUE_SUCCESS, QUEUE_FAILURE, QUEUE_REVOKED, QUEUE_REJECTED /* to the dead letters */ };

struct queue_result {
    enum queue_state state;
    const json_t *result;               /* SUCCESS: the task's value */
    const char *exc_type, *exc_message; /* FAILURE, REVOKED, REJECTED */
    /* Adds to a hash of counts, and to their sum (`tally`:sum), if the change of the hash happens and the
     * counts have that name; and only if the hash of key `tally_share` is there, whose field `stored_bytes`,
     * if it has one, counts along. NULL: nothing. */
    const char *tally, *tally_name, *tally_share;
    uint64_t tally_by;
};

/* Acknowledges, stores the result, updates the hash, publishes, and enqueues what the message wants to follow
 * (the next of a chain, callbacks, errbacks): together, and only if the claim is still the worker's. err
 * -ESTALE: it is not; nothing was changed, the work belongs to somebody else. `hash` may be NULL; a hash that
 * is gone or in another state does not hinder the acknowledgement (err -ENOENT or -EBUSY tells; then its
 * files are the caller's to remove).
 *
 * When the connection broke before the answer (-ENOTCONN, -ETIMEDOUT), call it again: the same claim
 * gets the first answer, for an hour when there is a `hash`, else for a minute. Until then the claim is kept.
 * -EMSGSIZE: the result, or what is to follow with it, passes 1 MiB or is not JSON; nothing was changed.
 * -ECANCELED: queue_cancel has called it off, nothing was changed, and it has to end as REVOKED; so it is
 * with release, move and retry. */
void queue_done(struct queue *q, const char *worker, const struct queue_claim *claim,
                const struct queue_result *result, const struct queue_hash *hash, queue_fn *fn, void *arg);

/* Publishes the state STARTED (or PROGRESS with `meta`) as Celery clients see it; the claim stays. */
void queue_started(struct queue *q, const char *worker, const struct queue_claim *claim, const json_t *meta);

/* The same with RETRY: it was begun, and will be again. */
void queue_retried(struct queue *q, const char *worker, const struct queue_claim *claim, const char *why);

/* Gives a claim back unharmed, to be the next one served (shutdown); the delivery does not count. */
void queue_release(struct queue *q, const char *worker, const struct queue_claim *claim,
                   const struct queue_hash *hash, queue_fn *fn, void *arg);

/* The same into the queue of another family: it belongs there, or can't be run here and now. */
void queue_move(struct queue *q, const char *worker, const struct queue_claim *claim, const char *family,
                const struct queue_hash *hash, queue_fn *fn, void *arg);

/* Not now: the task waits for `delay_ms`, and is then the next to be served, with one more in its `retries`;
 * the delivery does not count. Clients see the state RETRY with what `result` says in exc_type and
 * exc_message. As queue_done() with a hash that is gone or in another state. Besides, err -EAGAIN: too many
 * tasks wait for their time; -EMSGSIZE: it can't be said. Then nothing has changed. */
void queue_retry(struct queue *q, const char *worker, const struct queue_claim *claim,
                 const struct queue_result *result, uint64_t delay_ms, const struct queue_hash *hash,
                 queue_fn *fn, void *arg);

/* Take the claims of workers whose lease has ended back into the queue; move what is due from the delayed
 * set. Call both every second: reap counts leases only while somebody has called it at least every half lease
 * for the last whole lease (when Redis was away, all leases have ended and nobody is dead). */
void queue_reap(struct queue *q, queue_fn *fn, void *arg);
void queue_due(struct queue *q, queue_fn *fn, void *arg);

/* This worker ends: its lease is gone, so that nobody waits for it, and what it still holds is the next to be
 * served. */
void queue_goodbye(struct queue *q, const char *worker, queue_fn *fn, void *arg);

/* Calls `fn` (err is 0) when something may have arrived in an empty queue (client tracking; milliseconds),
 * once for each arming. Idle workers poll each second besides. Free it before its queue and connection. */
struct queue_bell;
int queue_bell_new(uv_loop_t *loop, struct queue *q, const struct redis_config *config, queue_fn *fn,
                   void *arg, struct queue_bell **ret) _warn_unused_;
/* For these queues. Also tells at once, if something is waiting already. */
void queue_bell_arm(struct queue_bell *b, unsigned queues);
void queue_bell_free(struct queue_bell *b);

/* How the queues are, for those who watch them. Times are Redis' own. */
struct queue_look {
    size_t n;
    struct queue_look_one {
        const char *name;   /* without the prefix */
        uint64_t waiting;   /* over all priorities */
        uint64_t oldest_ms; /* when the one was put in that waits longest, of those which say; 0: none does */
    } queues[QUEUES_MAX];   /* the base one first */
    uint64_t waiting, oldest_ms, now_ms; /* over all of these */
    uint64_t delayed, claimed, dead;     /* of all queues of this Redis */
};
typedef void queue_look_fn(void *arg, int err, const struct queue_look *look);
void queue_look(struct queue *q, queue_look_fn *fn, void *arg);

/* Number of waiting messages over all queues and priorities. */
typedef void queue_length_fn(void *arg, int err, uint64_t length);
void queue_length(struct queue *q, queue_length_fn *fn, void *arg);
/* Number of workers whose lease is alive. */
void queue_workers(struct queue *q, queue_length_fn *fn, void *arg);
