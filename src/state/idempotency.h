/* Requests that are answered once, and their answers: hash `session:{session_id}:answers` (name of the
 * request → fingerprint, who is at it and until when, or its answer), and `session:{session_id}:answered`
 * (zset: name by when it was begun). Both end with the session; one answer after IDEMPOTENCY_KEPT_MS, or when
 * the session has begun IDEMPOTENCY_MOST others since. */
#pragma once

#include "core/id.h"
#include "state/redis.h"

#include <stddef.h>

enum {
    IDEMPOTENCY_KEPT_MS = 24 * 3600 * 1000,
    /* Whoever has begun one and has not settled it by then has died: the next one goes on. */
    IDEMPOTENCY_LEASE_MS = 60 * 1000,
    IDEMPOTENCY_MOST = 1000,          /* of a session */
    IDEMPOTENCY_TEXT_MAX = 16 * 1024, /* of an answer */
    IDEMPOTENCY_NAME_LEN = 64,        /* hexadecimal, as of SHA-256; fingerprints have the same */
};

/* A view, for the callback. */
struct idempotency_answer {
    unsigned status;
    const char *text;
    size_t len;
};

/* err 0: `before` is what was answered, or NULL: it is the owner's now, who has to settle it. -EBUSY: another
 * one is at it. -EEXIST: what had this name was another request. -ENOENT: the session is gone. */
typedef void idempotency_claim_fn(void *arg, int err, const struct idempotency_answer *before);
void idempotency_claim(struct redis *r, const char *session_id, const char *name, const char *fingerprint,
                       const char *owner, idempotency_claim_fn *fn, void *arg);
/* The answer is kept; NULL: the request came to nothing, and may be made anew. err -ENOENT: it is not this
 * owner's any more. `fn` may be NULL. */
void idempotency_settle(struct redis *r, const char *session_id, const char *name, const char *owner,
                        const struct idempotency_answer *answer, redis_reply_fn *fn, void *arg);
