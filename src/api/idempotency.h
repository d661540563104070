/* The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): of requests of one session with the
 * same key one is carried out, and the others get its answer. A handler of a request that starts something
 *
 *     idempotency_begin → (go on) → … → api_reply_json, or idempotency_end and any reply
 *                       → (repeat the answer)
 *
 * calls it before it does anything that counts. Without the header it is told to go on. What is answered with
 * success by api_reply_json is kept by itself, before the client has it; what ends in any other way (a
 * refusal, a server that is busy, a client that left) has come to nothing: its key is free again.
 *
 * Of a server that dies in between nothing is kept, but what it has started says which request that was
 * (idempotency_mark): where that can be found, the next one answers what the first would have. */
#pragma once

#include "api/api.h"
#include "state/idempotency.h"

struct idempotency;

/* `before` (which lives during the call) is what was answered already; NULL: go on. Not called when the call
 * was failed: the header is none (400), the same request is under way (409), another one had this key (422).
 * A client may have left meanwhile. */
typedef void idempotency_fn(void *arg, const struct idempotency_answer *before);
/* `content` (borrowed) is what the request asks for, beside method and path: two of equal content are the
 * same. Secrets among its member "options" are not looked at, so that nothing is made of them that is stored.
 * `fn` may be called at once. */
void idempotency_begin(struct api_call *call, const json_t *content, idempotency_fn *fn, void *arg);
/* Answers what was answered before; ends the call. */
void idempotency_repeat(struct api_call *call, const struct idempotency_answer *before);

/* The request's name for what it starts: hexadecimal, or "" when it has no key. Lives as long as the call. */
const char *idempotency_mark(const struct api_call *call);

/* From now on a repeat is answered with this status and `answer` (borrowed), at most IDEMPOTENCY_TEXT_MAX
 * bytes of JSON: for who replies something else, or later. `fn` comes when it is kept, or can't be; without a
 * key at once. */
void idempotency_end(struct api_call *call, unsigned status, const json_t *answer, void (*fn)(void *arg),
                     void *arg);
/* Has it been begun, and not ended? */
bool idempotency_is_open(const struct api_call *call);
/* It came to nothing. The end of each call (call.c) does this. */
void idempotency_abandon(struct api_call *call);
