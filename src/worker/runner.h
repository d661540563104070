/* One claimed task (tasks.h), from the claim to its acknowledgement: the state machine between the queue and
 * a conversion.
 *
 * Of a file without a job (exchange_task.h) loading, marking and sweeping are one step, copying it. Of a
 * picture (runner_preview.c) it is the result's record that is marked and settled, and the job's alone that
 * is loaded.
 *
 *     load the job → mark it ours (scanning) → sweep leftovers → conversion → settle
 *
 * Settling is one script (queue_done): result, job and acknowledgement together, and only while the claim is
 * ours. Whatever it answers but yes, the files of this attempt are removed again. While Redis is away a
 * running conversion goes on, and loading, marking and settling are tried again each second. It is over when
 * the process of the conversion is gone, too, which may be later. */
#pragma once

#include "core/seal.h"
#include "files/storage.h"
#include "queue/queue.h"
#include "state/redis.h"
#include "worker/conversion.h"
#include "worker/counters.h"
#include "worker/shares.h"
#include "worker/task_events.h"

/* What the runners of a process share; outlives them. */
struct runner_context {
    uv_loop_t *loop;
    struct redis *redis;
    struct queue *queue;
    struct storage *storage;
    struct conversion_shared *conversions;
    struct shares *shares;       /* each runner takes its part */
    const struct seal_key *seal; /* opens document passwords; NULL: there is no key */
    struct task_events *events;  /* NULL: nobody is told */
    struct counters *counters;   /* NULL: nothing is counted */
};

struct runner;

/* Once: the task is settled or given back, its files and the claim are done with. `r` is invalid after it. */
typedef void runner_over_fn(void *arg, struct runner *r);

/* Takes `claim` over. `worker` is the id that it was claimed under. Ends the process when memory is out, as
 * the claim is then safer in the hands of another worker. */
struct runner *runner_start(const struct runner_context *context, const char *worker,
                            struct queue_claim *claim, runner_over_fn *over, void *arg);

/* Its file is with the virus scanner, or waits for it. */
bool runner_is_scanning(const struct runner *r);

/* "" while there is none in the task. */
const char *runner_job_id(const struct runner *r);

const struct queue_claim *runner_claim(const struct runner *r);
/* When the job was marked as ours, in ms since 1970; 0: not yet. */
uint64_t runner_begun_ms(const struct runner *r);

/* The job was cancelled or its session closed: ends as REVOKED. */
void runner_stop(struct runner *r);

/* Celery's remote control has revoked the task: ends so, if it isn't begun yet; with `terminate` and the
 * signal that is named as the reason, also when it is. False when it runs on. */
bool runner_revoke(struct runner *r, bool terminate, int signal_number);

/* Asks Redis whether that is so. After a reconnection: a message to stop may have been missed. */
void runner_check(struct runner *r);

/* A refresh has found lost claims: ends, without a trace, if this one is among them. */
void runner_check_claim(struct runner *r);

/* This worker ends: the task goes back to the queue, unless it is being settled already. */
void runner_release(struct runner *r);
