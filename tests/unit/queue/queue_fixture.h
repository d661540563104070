/* A Redis, a loop, a queue, and its operations as calls that wait for their answers. */
#pragma once

#include "core/str.h"
#include "queue/queue.h"
#include "support/loop.h"
#include "support/redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define STEP(n) "\x06\x16" #n

enum { LEASE_MS = 400, MAX_LENGTH = 5, MAX_DELIVERIES = 2 };

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *r;
    struct queue *q;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Another connection with a queue of its own: another process. */
struct peer {
    struct fixture *f;
    struct redis *r;
    struct queue *q;
};

void peer_open(struct peer *p, struct fixture *f);
void peer_close(struct peer *p);

#define W1 "decant@one:1:a"
#define W2 "decant@two:2:b"

int enqueue_task(struct fixture *f, const struct queue_task *task, const struct queue_hash *hash);
int enqueue(struct fixture *f, const char *id, unsigned priority, const struct queue_hash *hash);
/* Into the queue of a family: "slow" or "quick", or NULL. */
int enqueue_family(struct fixture *f, const char *id, const char *family, unsigned priority);
int enqueue_placed(struct fixture *f, const char *id, const char *family, unsigned priority,
                   struct queue_place *ret);
struct queue_look look(struct fixture *f);
/* A task of its own, with that crowd. */
int enqueue_in(struct fixture *f, const char *crowd, uint64_t max, const struct queue_hash *hash);
/* As W1, successfully, adding to "tally", for that hash. */
int done_with_tally(struct fixture *f, const struct queue_claim *c, const char *name, uint64_t by,
                    const struct queue_hash *hash);
/* NULL with *ret_err set when there is none. */
struct queue_claim *claim_as(struct fixture *f, struct queue *q, const char *worker, int *ret_err);
struct queue_claim *claim_of(struct fixture *f, struct queue *q, const char *worker, unsigned queues,
                             int *ret_err);
struct queue_claim *claim(struct fixture *f); /* as W1, there must be one */
int done_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
            enum queue_state s, const struct queue_hash *hash);
int refresh_as(struct fixture *f, struct queue *q, const char *worker);
int release_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
               const struct queue_hash *hash);
int move_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
            const char *family);
int retry_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
             uint64_t delay_ms, const struct queue_hash *hash);
/* The job is that of the hash "job"; with that crowd, or "". */
int cancel_in(struct fixture *f, const char *id, const char *crowd, const struct queue_hash *hash);
/* Of the dead letter with this id. */
int replay_letter(struct fixture *f, uint64_t id, const struct queue_hash *hash);
int goodbye_as(struct fixture *f, struct queue *q, const char *worker);
int reap(struct fixture *f);
/* Reaps as often as a worker does, for as long as it takes a lease that isn't renewed to end. */
void reap_past_lease(struct fixture *f, struct queue *renew, const char *worker);
int due(struct fixture *f);
uint64_t length(struct fixture *f);
uint64_t workers(struct fixture *f);

/* Pushes a message like one that Celery writes; `change` is merged: {"headers": {…}, "properties": {…}, …}.
 */
void push_foreign(struct fixture *f, const char *id, const char *body, const char *change);
/* The newest dead letter's reason; "" when there is none. */
const char *dead_reason(struct fixture *f, char ret[200]);
/* Everything in Redis as one text, for "nothing has changed", but decant:watch, which goes with the time. The
 * caller frees. */
char *snapshot(struct fixture *f);
