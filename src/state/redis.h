/* One asynchronous connection to Redis on a libuv loop, shared by everything on that loop: commands queued in
 * one turn are written together, so concurrent requests pipeline themselves. Not thread-safe: one per loop.
 *
 * The connection is made in the background, again and again (100 ms doubling to 5 s) while Redis is away. A
 * command's callback is called exactly once, never before the call that queued it has returned. `err` is 0
 * with a reply, or -ENOTCONN   not connected now, or the connection broke before the answer: it may or may
 * not have happened -ETIMEDOUT  no answer within REDIS_TIMEOUT_MS (the connection is then dropped) -ENOSPC
 * Redis is out of memory (OOM) -EPROTO     any other error reply. The reply belongs to hiredis and lives
 * during the callback. */
#pragma once

#include "core/cleanup.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <uv.h>

enum { REDIS_TIMEOUT_MS = 5000 };

struct redis;

typedef void redis_reply_fn(void *arg, int err, const redisReply *reply);

/* `url` is unix:PATH or tcp:HOST:PORT; `password` may be NULL. -EINVAL for a URL of another form. */
int redis_new(uv_loop_t *loop, const char *url, const char *password, struct redis **ret) _warn_unused_;
/* Open commands end with -ENOTCONN. The loop must turn once more for the handles to close. */
void redis_free(struct redis *r);
bool redis_connected(const struct redis *r);

/* A command as a NULL-terminated array of strings; `fn` may be NULL. */
void redis_command(struct redis *r, const char *const argv[], redis_reply_fn *fn, void *arg);
#define REDIS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A Lua script, embedded from its .lua file. Run by hash, sent whole when Redis does not know it (any more).
 */
struct redis_script {
    const char *name, *text;
    char sha1[41]; /* filled at first use */
};

/* `argv`: n_keys keys, then the arguments, NULL-terminated. */
void redis_eval(struct redis *r, struct redis_script *script, size_t n_keys, const char *const argv[],
                redis_reply_fn *fn, void *arg);

/* Subscriptions: on a second connection of its own, restored after a reconnection. A channel name that ends
 * in "*" is a pattern. `fn` is called for each message, and with NULL, NULL after a reconnection: something
 * may have been missed. */
struct redis_sub;
typedef void redis_message_fn(void *arg, const char *channel, const char *message);
int redis_sub_new(uv_loop_t *loop, const char *url, const char *password,
                  struct redis_sub **ret) _warn_unused_;
void redis_sub_free(struct redis_sub *s);
/* One callback for all channels of the subscriber; `channels` is NULL-terminated. Call once. */
void redis_sub_start(struct redis_sub *s, const char *const channels[], redis_message_fn *fn, void *arg);
/* The CLIENT ID of the subscriber's connection, for CLIENT TRACKING … REDIRECT; 0 while not connected. */
long long redis_sub_client_id(const struct redis_sub *s);

/* Reply helpers: NULL or -1 when the reply has another shape. */
const char *redis_reply_str(const redisReply *reply);
const redisReply *redis_reply_at(const redisReply *reply, size_t index);
/* The value of `field` in a flat field/value array such as HGETALL's. */
const char *redis_reply_field(const redisReply *reply, const char *field);
