/* What Celery's Redis backend stores under celery-task-meta-{id} and publishes on the channel of that name.
 */
#pragma once

#include "queue/queue.h"

/* The stored object as text, for a last state. REJECTED is written as FAILURE: to a waiting client it is one,
 * and Celery's own REJECTED would leave it waiting. NULL when it can't be said in JSON or passes 1 MiB.
 * `children` are the tasks that follow it, [[[id, null], null], …]; NULL: none. */
char *result_payload(const struct queue_claim *claim, const struct queue_result *result,
                     const json_t *children);
/* The same as the end of another task, which will not run as this one has not succeeded. */
char *result_payload_of(const char *id, const char *group_id, const char *parent_id,
                        const struct queue_result *result);
/* RETRY, with the exception of `result`. */
char *result_retry_payload(const struct queue_claim *claim, const struct queue_result *result);
/* The same with Celery's own exception, Retry: it was begun, and given back. */
char *result_given_back_payload(const struct queue_claim *claim, const char *why);
/* STARTED, with {"pid", "hostname"}; or PROGRESS, with `meta`. */
char *result_started_payload(const struct queue_claim *claim, const json_t *meta);

/* The name of a last state as it is stored: "SUCCESS", … */
const char *result_status(enum queue_state state);
