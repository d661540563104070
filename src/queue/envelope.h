/* Task messages: Celery's message protocol 2, written and strictly read. The body is [args, kwargs, embed],
 * the headers have task, id, eta, expires, …, the properties priority, reply_to, …
 * https://docs.celeryq.dev/en/stable/internals/protocol.html */
#pragma once

#include "core/cleanup.h"
#include "core/id.h"
#include "core/trace.h"
#include "queue/kombu.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ENVELOPE_MAX_BYTES = KOMBU_MAX_BYTES,
    ENVELOPE_STAMP_BYTES = 64, /* of these, what the queue adds at the front of a message (common.lua) */
};

/* What a new message says; NULL: none or nothing. */
struct envelope_task {
    const char *id, *name;
    const json_t *args, *kwargs;
    const json_t *callbacks, *errbacks, *chain; /* lists of signatures */
    const char *root_id, *parent_id, *group_id; /* root_id: NULL is its own */
    const json_t *group_index;
    const char *eta, *expires; /* ISO 8601 */
    bool ignore_result;
    unsigned priority;
    const char *queue, *origin, *reply_to;
    const char *traceparent; /* NULL: none */
};

/* -EINVAL for a task that can't be said in JSON, -EMSGSIZE past ENVELOPE_MAX_BYTES, stamp included, -ENOMEM.
 */
int envelope_encode(const struct envelope_task *task, char **ret_message) _warn_unused_;

/* The list that a priority belongs to: 0 to 3, for priorities 0–2, 3–5, 6–8 and 9. */
unsigned envelope_step(unsigned priority);

/* What a message that was received says. */
struct envelope {
    char *id, *name;
    json_t *args, *kwargs;
    char *reply_to, *group_id, *parent_id, *root_id; /* or NULL */
    json_t *callbacks, *errbacks, *chain;            /* arrays, or NULL */
    uint64_t eta_ms, expires_ms;                     /* 0: none */
    uint64_t retries;
    bool ignore_result;
    struct trace trace; /* "" when there is none that is well-formed, as both of these concern no result */
    uint64_t queued_ms; /* when the queue got it, by its stamp; 0: it has none */
};

void envelope_free(struct envelope *e);
#define _cleanup_envelope_ _cleanup_(envelope_free)

/* The same message with one more in its header `retries`. -EINVAL for what is no message, -EMSGSIZE, -ENOMEM.
 */
int envelope_encode_retry(const char *message, char **ret_message) _warn_unused_;

/* 0 with `ret` filled; -EBADMSG with a sentence about what is wrong (a constant); -ENOMEM. */
int envelope_decode(const char *message, size_t len, struct envelope *ret,
                    const char **ret_reason) _warn_unused_;
