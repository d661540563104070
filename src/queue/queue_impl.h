/* Shared by queue.c, claim.c, operate.c and bell.c; private to this folder. */
#pragma once

#include "queue/lamport.h"
#include "queue/queue.h"

#define QUEUE_TAG_PREFIX "decant:" /* scripts/reap.lua tells our claims from stock consumers' by it */

enum queue_script {
    SCRIPT_ENQUEUE,
    SCRIPT_CLAIM,
    SCRIPT_REFRESH,
    SCRIPT_DONE,
    SCRIPT_STARTED,
    SCRIPT_RELEASE,
    SCRIPT_RETRY,
    SCRIPT_DELAY,
    SCRIPT_DUE,
    SCRIPT_REAP,
    SCRIPT_GOODBYE,
    SCRIPT_STATS,
    SCRIPT_REVOKE,
    SCRIPT_REVOKED,
    SCRIPT_REPLY,
    SCRIPT_LOOK,
    SCRIPT_STATUS,
    SCRIPT_DEAD,
    SCRIPT_DEAD_LIST,
    SCRIPT_CANCEL,
    N_SCRIPTS,
};

enum { QUEUE_STEPS = 4 };

/* What this process knows of a claim, from before it is asked for until its end is answered; see claim.c. */
enum held_state {
    HELD_ASKED,     /* the claim is on its way */
    HELD_SURE,      /* the caller has it */
    HELD_FINISHING, /* done or release is on its way */
};

struct queue_held {
    struct queue_held *next;
    struct queue *queue;
    struct queue_claim *claim; /* NULL: none yet, or freed by the caller */
    char *worker;
    enum held_state state;
    char tag[sizeof QUEUE_TAG_PREFIX + ID_UUID_LEN];
};

/* Lives until queue_free and the end of the last command: `refs` counts both. */
struct queue {
    struct redis *r;
    struct queue_config config;
    size_t n_queues;
    char *names[QUEUES_MAX]; /* [0] is the base one; the bit of names[i] is 1 << i */
    char *lists[QUEUES_MAX][QUEUE_STEPS];
    char *all;       /* the names with spaces between, as the scripts want them */
    unsigned served; /* the queue of the last claim; 0: none yet */
    char owner[ID_UUID_LEN + 1];
    char origin[300];
    struct queue_held *held;
    queue_unrun_fn *unrun;
    void *unrun_arg;
    struct lamport clock; /* of the events that tell of new tasks */
    unsigned refs;
    bool freed;
};

struct queue *queue_ref(struct queue *q);
void queue_unref(struct queue *q);
/* Of the form that a queue's name has? False for NULL. */
bool queue_name_ok(const char *name);
/* What follows the name of a queue in that of its list for this step of priorities (envelope.h). */
const char *queue_step_name(unsigned step);

/* A command that is on its way. */
struct queue_op {
    struct queue *q;
    queue_fn *fn;
    void *arg;
    struct queue_held *held;   /* or NULL */
    struct queue_place *place; /* or NULL: where an enqueued task was put */
    bool inner;                /* `fn` is this folder's own: it is called even after queue_free */
};

struct queue_op *queue_op_new(struct queue *q, queue_fn *fn, void *arg);
/* Frees the op and calls back, unless the queue has been freed in between. */
void queue_op_end(struct queue_op *op, int err);
/* The end of an op that answers with a code ("OK", "ESTALE", …). */
void queue_op_on_code(void *arg, int err, const redisReply *reply);
/* What a script's code means: 0 or -errno; -EPROTO for what is none. */
int queue_code(const redisReply *reply);
/* Ends the op with `err`, later: a callback is never called before the call that it belongs to returns. */
void queue_op_fail(struct queue_op *op, int err);

/* Runs a script with `fixed` (NULL-terminated) and the hash's arguments, if there is a hash. */
void queue_eval(struct queue *q, enum queue_script script, const char *const fixed[],
                const struct queue_hash *hash, redis_reply_fn *fn, void *arg);

/* The same with one list of any length, NULL-terminated. */
void queue_eval_list(struct queue *q, enum queue_script script, const char *const argv[], redis_reply_fn *fn,
                     void *arg);

void queue_held_drop(struct queue_held *held);
