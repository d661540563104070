/* What Celery's Redis backend stores under celery-task-meta-{id} and publishes on the channel of that name.
 */
#pragma once

#include "queue/queue.h"

/* The stored object as text, for a last state. REJECTED is written as FAILURE: to a waiting client it is one,
 * and Celery's own REJECTED would leave it waiting. NULL when it can't be said in JSON or passes 1 MiB. */
char *result_payload(const struct queue_claim *claim, const struct queue_result *result);
/* STARTED, with {"pid", "hostname"}; or PROGRESS, with `meta`. */
char *result_started_payload(const struct queue_claim *claim, const json_t *meta);
char *result_retry_payload(const struct queue_claim *claim, const char *why);

/* The name of a last state as it is stored: "SUCCESS", … */
const char *result_status(enum queue_state state);
