/* Refresh tokens. The first half of a token is its family's for good, and leads to it: hash
 * `refresh:{SHA-256 of that half}` with `family`, `account` and `token`, the SHA-256 of the one that is good.
 * That is good for one rotation, which makes the next one; any other of the family is one that was used: it
 * was stolen, or its successor was, and ends the family: hash `refresh_family:{id}` with `account`,
 * `created_at`, `address` (a keyed hash of where the login came from) and `token` (the first hash's key).
 * Without it none of its tokens is good for anything. So a login has these two keys, however often it is
 * refreshed. They expire together when its time is over; no rotation prolongs it. The sorted set
 * `account:{id}:families` has the ids by their end. */
#pragma once

#include "core/id.h"
#include "state/redis.h"

#include <stdint.h>

/* An account has at most so many at a time: another login ends the one that would end first, if
 * none has been logged out. */
enum { REFRESH_FAMILIES_MAX = 100 };

struct refresh {
    char token[ID_TOKEN_LEN + 1]; /* the new one */
    char family[ID_UUID_LEN + 1], account[ID_UUID_LEN + 1];
    uint64_t left_s; /* until the family ends */
};

/* Lives during the callback, and is wiped after it. `refresh` is NULL when err is not 0; of a family that was
 * ended by -EALREADY it tells whose it was, and has no token. */
typedef void refresh_fn(void *arg, int err, const struct refresh *refresh);

struct refresh_login {
    const char *account_id, *address;
    uint64_t ttl_s;
    const char *password; /* the hash that was proved; NULL: the proof was another one */
    const char *rehashed; /* the same password by newer parameters; NULL: as it is */
};

/* -ENOENT no such account, -EACCES it is disabled, -ESTALE it has another hash by now: what was proved counts
 * for nothing. */
void refresh_begin(struct redis *r, const struct refresh_login *login, refresh_fn *fn, void *arg);
/* `token` may be anything a client sent, or NULL. -ENOENT when it is none, or has ended; -EALREADY when it
 * was used before: its family has ended now. */
void refresh_rotate(struct redis *r, const char *token, refresh_fn *fn, void *arg);

/* Ends the family of a token, used or not. The reply's second item is the account's id. -ENOENT: it has none
 * any more. */
void refresh_end(struct redis *r, const char *token, redis_reply_fn *fn, void *arg);
/* -ENOENT no such account. */
void refresh_end_all(struct redis *r, const char *account_id, redis_reply_fn *fn, void *arg);
