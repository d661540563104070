/* One asynchronous connection to Redis on a libuv loop, shared by everything on that loop: commands queued in
 * one turn are written together, so concurrent requests pipeline themselves. Not thread-safe: one per loop.
 *
 * The connection is made in the background, again and again while Redis is away (100 ms doubling to 5 s; to
 * 1 s where there are sentinels). A command's callback is called exactly once, never before the call that
 * queued it has returned. `err` is 0, or
 *
 *     -ENOTCONN   not connected now, or the connection broke before the answer: it may or may not have
 *                 happened; or Redis answers that it can't serve now (loading, read-only, not able to save)
 *     -ETIMEDOUT  no answer within REDIS_TIMEOUT_MS (the connection is then dropped)
 *     -ENOSPC     Redis is out of memory (OOM)
 *     -EPROTO     any other error reply
 *
 * The reply is NULL when none came (an error reply comes along with its err), belongs to hiredis and lives
 * during the callback.
 *
 * hiredis writes with write(2): the process must ignore SIGPIPE. */
#pragma once

#include "core/cleanup.h"
#include "core/histogram.h"
#include "state/redis_config.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

enum { REDIS_TIMEOUT_MS = 5000 };

struct redis;

typedef void redis_reply_fn(void *arg, int err, const redisReply *reply);

/* -EINVAL for a URL of another form. */
int redis_new(uv_loop_t *loop, const struct redis_config *config, struct redis **ret) _warn_unused_;
/* Open commands end with -ENOTCONN before this returns; no callback is called afterwards. Also from within a
 * callback. The loop must turn once more for the handles to close. NULL is fine. */
void redis_free(struct redis *r);
bool redis_connected(const struct redis *r);
/* Why there is no connection, for logs and diagnosis; "" when there is one. */
const char *redis_trouble(const struct redis *r);
/* `fn` is told whenever that changes. It must not use the connection. */
typedef void redis_trouble_fn(void *arg, const char *trouble);
void redis_on_trouble(struct redis *r, redis_trouble_fn *fn, void *arg);

/* What its commands took, from sending to the answer's arrival, and how many had none (-ENOTCONN,
 * -ETIMEDOUT). Counted by the connection's thread, read by any. */
struct redis_stats {
    struct histogram round_trips; /* on redis_scale */
    counter failed;
};
extern const struct histogram_scale redis_scale;
/* Counts into `stats` from here on, which has to outlive it. */
void redis_measure(struct redis *r, struct redis_stats *stats);

/* A command as a NULL-terminated array of strings; `fn` may be NULL. Not for SUBSCRIBE and its like. */
void redis_command(struct redis *r, const char *const argv[], redis_reply_fn *fn, void *arg);
#define REDIS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Calls `fn` in the next turn of the loop with `err` and no reply: for answers that need no Redis. */
void redis_defer(struct redis *r, int err, redis_reply_fn *fn, void *arg);

/* A Lua script, embedded from its .lua file. Run by hash, sent whole when Redis does not know it (any more):
 * such a script may run after commands that were queued after it. May be shared by threads. */
struct redis_script {
    const char *name, *text;
    /* Filled at first use, by whichever thread is first. */
    char sha1[41];
    atomic_bool known;
};

/* `argv`: n_keys keys, then the arguments, NULL-terminated. */
void redis_eval(struct redis *r, struct redis_script *script, size_t n_keys, const char *const argv[],
                redis_reply_fn *fn, void *arg);

/* Subscriptions: on a second connection of its own, restored after a reconnection. A channel name that ends
 * in "*" is a pattern. `fn` is called for each message, and with NULL, NULL whenever the subscriptions have
 * come to stand, the first time and after each reconnection: something may have been missed before. A message
 * that is a list (an invalidation of CLIENT TRACKING) is told item by item; `message` is NULL when it is no
 * text. */
struct redis_sub;
typedef void redis_message_fn(void *arg, const char *channel, const char *message);
int redis_sub_new(uv_loop_t *loop, const struct redis_config *config, struct redis_sub **ret) _warn_unused_;
/* Also from within `fn`, which is not called any more. NULL is fine. */
void redis_sub_free(struct redis_sub *s);
/* One callback for all channels of the subscriber; `channels` is NULL-terminated. Call once. */
void redis_sub_start(struct redis_sub *s, const char *const channels[], redis_message_fn *fn, void *arg);
/* The CLIENT ID of the subscriber's connection, for CLIENT TRACKING … REDIRECT; 0 while not connected. Known
 * when `fn` is called. */
long long redis_sub_client_id(const struct redis_sub *s);

/* Reply helpers: NULL or -1 when the reply has another shape. */
const char *redis_reply_str(const redisReply *reply);
long long redis_reply_int(const redisReply *reply);
const redisReply *redis_reply_at(const redisReply *reply, size_t index);
/* The value of `field` in a flat field/value array such as HGETALL's. */
const char *redis_reply_field(const redisReply *reply, const char *field);
