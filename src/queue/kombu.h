/* kombu's envelope around every message, be it a task, a control command, a reply or an event: a JSON object
 * of `body` (base64 of JSON), `content-type`, `content-encoding`, `headers` and `properties`. */
#pragma once

#include "core/cleanup.h"

#include <stddef.h>

enum { KOMBU_MAX_BYTES = 1024 * 1024 };

/* A message that was received; `headers` and `properties` are objects, and part of `whole`. */
struct kombu {
    json_t *whole;
    const json_t *headers, *properties;
};

void kombu_free(struct kombu *k);
#define _cleanup_kombu_ _cleanup_(kombu_free)

/* 0; -EBADMSG with a sentence about what is wrong (a constant): it is too large, no such object, or not JSON
 * in UTF-8 by its own word. The body is not looked at. */
int kombu_read(const char *message, size_t len, struct kombu *ret, const char **ret_reason) _warn_unused_;

/* The body as the JSON that it is: base64 as kombu writes it, or as it stands when no encoding is named; and
 * unpacked, to no more than KOMBU_MAX_BYTES, when `compression` says that it is packed. -EBADMSG with a
 * sentence about what is wrong, -ENOMEM. */
int kombu_load_body(const struct kombu *k, json_t **ret, const char **ret_reason) _warn_unused_;
/* The same, or NULL. */
json_t *kombu_body(const struct kombu *k) _warn_unused_;

/* The properties that every message has. `delivery_mode`: 1 is transient, 2 persistent. */
json_t *kombu_properties(const char *exchange, const char *routing_key, int delivery_mode, unsigned priority);

/* Nothing of the caller's is kept or changed; what could not be made (NULL) is -EINVAL, as is what can't be
 * said in JSON; -EMSGSIZE past KOMBU_MAX_BYTES, -ENOMEM. */
int kombu_write(const json_t *body, const json_t *headers, const json_t *properties,
                char **ret_message) _warn_unused_;
