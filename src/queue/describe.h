/* What Celery's monitors are told of a task: by `celery inspect` while it is with a worker, and by the events
 * of its way there. Of its arguments no more than repr.h shows. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

/* {"id", "name", "type", "args", "kwargs", "delivery_info"} of a message as it was received; `as_text`: the
 * arguments in Python's words. NULL when it is not a task's, or memory is out. */
json_t *describe_task(const char *message, size_t len, bool as_text) _warn_unused_;

/* The fields of the event "task-received": {"uuid", "name", "args", "kwargs", "root_id", "parent_id",
 * "retries", "eta", "expires"}. */
json_t *describe_received(const char *message, size_t len) _warn_unused_;

/* Those of "task-sent": the same, and {"queue", "exchange", "routing_key"}. */
json_t *describe_sent(const char *message, size_t len) _warn_unused_;
