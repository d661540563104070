/* Celery's events on the wire: what workers and tasks do, published for whoever watches (`celery events`,
 * Flower) and kept by nobody. https://docs.celeryq.dev/en/stable/userguide/monitoring.html#event-reference */
#pragma once

#include "core/cleanup.h"

#include <stdint.h>

enum { EVENT_TOPIC_MAX = 64 };

struct event {
    const char *type; /* "task-started" */
    const char *node; /* who it is from */
    int64_t clock;    /* lamport.h */
    json_t *fields;   /* besides those that all have; stays the caller's */
};

/* The channel, without a prefix: "/0.celeryev/task.started". `type` is one of ours. */
void event_topic(const char *type, char ret[EVENT_TOPIC_MAX]);

/* As of now, from this process. Errors as in kombu_write(). */
int event_encode(const struct event *e, char **ret_message) _warn_unused_;
