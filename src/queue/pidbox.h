/* Remote control on the wire: kombu's "pidbox". A command is published on a channel that every worker
 * listens on, as {"method", "arguments", "destination", "pattern", "matcher", "ticket", "reply_to"}; who is
 * meant answers {NODE: reply} into a list that the asker has bound (queue/monitor.h). Nothing but data here.
 */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIDBOX_CHANNEL "celery.pidbox"

enum {
    PIDBOX_NAME_MAX = 256, /* of a pattern, an exchange, a routing key */
    /* Clocks of two machines are never the same: only what is older than this was surely given up. */
    PIDBOX_SLACK_S = 10,
};

struct pidbox_request {
    json_t *body; /* the strings below are in it */
    const char *method;
    const json_t *arguments;               /* an object */
    const char *reply_exchange, *reply_to; /* NULL: nobody waits */
    const json_t *ticket;                  /* NULL or what the reply has to name */
    int64_t clock;                         /* the sender's; 0: none */
};

void pidbox_request_free(struct pidbox_request *r);
#define _cleanup_pidbox_request_ _cleanup_(pidbox_request_free)

/* 0; -EBADMSG with a sentence about what is wrong (a constant); -ETIME: the asker has stopped waiting. */
int pidbox_decode(const char *message, size_t len, uint64_t now_ms, struct pidbox_request *ret,
                  const char **ret_reason) _warn_unused_;

/* Is the worker of this name meant? By the list of destinations, else by pattern and matcher ("glob" or
 * "pcre"), else it is for all. A matcher that isn't known means nobody. */
bool pidbox_is_for(const struct pidbox_request *r, const char *node);

/* The message {NODE: reply}; `reply` may be NULL, for Python's None. Errors as in kombu_write(). */
int pidbox_encode_reply(const struct pidbox_request *r, const char *node, int64_t clock, const json_t *reply,
                        char **ret_message) _warn_unused_;

/* --- arguments, as Python takes them */

/* Flower says 1 where `celery control` says true. NULL is false. */
bool pidbox_truthy(const json_t *value);

/* The ids of a string, or of a list of strings (others in it are left out). */
size_t pidbox_count_ids(const json_t *value);
const char *pidbox_id(const json_t *value, size_t index);

/* A number, or a name such as "TERM" or "SIGTERM"; SIGTERM when it is absent, null or false. -EINVAL else. */
int pidbox_signal(const json_t *value) _warn_unused_;
