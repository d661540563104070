/* Sessions: hash `session:{session_id}` with `csrf_token`, `created_at`, `expires_at` (RFC 3339) and `plan`,
 * which Redis expires. The sorted set `session:{session_id}:jobs` (job ids by time of creation) expires with
 * it. One whose browser has logged in has `account`: its jobs are then those of the account's space
 * (account.h), and it has none itself. It has `login`, too, a refresh family (refresh.h), and is good for
 * nothing when that has ended. */
#pragma once

#include "core/id.h"
#include "state/redis.h"

#include <stdint.h>

struct session {
    char id[ID_TOKEN_LEN + 1], csrf_token[ID_TOKEN_LEN + 1];
    char created_at[32], expires_at[32];
    char account[ID_UUID_LEN + 1], login[ID_UUID_LEN + 1]; /* "": nobody's */
};

/* err: 0 with the session; -ENOENT when there is none (load); else as in redis.h. Lives during the callback.
 */
typedef void session_fn(void *arg, int err, const struct session *session);

/* `account`: "" for nobody's; else with the login by which it is that account's. */
void session_create(struct redis *r, uint64_t ttl_s, const char *account, const char *login, const char *plan,
                    session_fn *fn, void *arg);
/* `id` may be anything a client sent, or NULL. */
void session_load(struct redis *r, const char *id, session_fn *fn, void *arg);
/* A session whose closing was begun and cut short: good for closing it again, and for nothing else. */
void session_load_closing(struct redis *r, const char *id, session_fn *fn, void *arg);

/* Its key, which is there as long as it is open, for scripts of the queue that look for it. */
#define SESSION_OPEN_KEY_MAX (sizeof "session:" + ID_TOKEN_LEN)
void session_open_key(char ret[SESSION_OPEN_KEY_MAX], const char *session_id);

/* Closing, first half: the session is no session any more (its key is now `session:{session_id}:closing`,
 * with the same expiry) and all its download tokens are gone; jobs that are not finished are marked
 * `cancelled` and the workers told to stop them. `running` tells how many of the jobs a worker holds. May be
 * repeated until the second half is done. */
typedef void session_closing_fn(void *arg, int err, unsigned running);
void session_begin_close(struct redis *r, const char *id, session_closing_fn *fn, void *arg);
/* How many of the session's jobs, and of its results to make a picture of, a worker still holds. */
void session_running(struct redis *r, const char *id, session_closing_fn *fn, void *arg);
/* Second half, after the files: all keys are gone. */
void session_finish_close(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);

/* What is known of sessions, for whoever cleans up after them. The array lives during the callback. */
enum session_presence { SESSION_GONE, SESSION_OPEN, SESSION_CLOSING };
enum { SESSION_PRESENCE_MAX = 256 };
typedef void session_presence_fn(void *arg, int err, const enum session_presence *presence);
/* `ids` are well-formed, SESSION_PRESENCE_MAX of them at the most. */
void session_presence(struct redis *r, const char (*ids)[ID_TOKEN_LEN + 1], size_t n, session_presence_fn *fn,
                      void *arg);
/* The reply is the list of the ids of its jobs and partial uploads, which are what may have a folder; empty
 * when it is gone. Partial uploads that have expired are forgotten by it. */
void session_kept(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
