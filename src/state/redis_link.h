/* A connection to Redis that remakes itself, under redis.c (commands) and redis_sub.c (subscriptions).
 * Private to this folder. */
#pragma once

#include "core/cleanup.h"
#include "state/redis_config.h"

#include <hiredis/async.h>
#include <uv.h>

struct redis_link;

struct redis_link_ops {
    void (*up)(void *arg);   /* Redis has answered: commands may be sent */
    void (*down)(void *arg); /* the connection is gone; the callbacks of all its commands have been called */
    void (*trouble)(void *arg, const char *trouble); /* it has become another one; NULL: nobody asks */
};

/* -EINVAL for a URL of another form than redis_config.h has. Calls `ops` from the loop only. */
int redis_link_new(uv_loop_t *loop, const struct redis_config *config, const struct redis_link_ops *ops,
                   void *arg, struct redis_link **ret) _warn_unused_;
/* `ops` is not called any more. Callbacks of open commands are called with a NULL reply: at once, or, from
 * within a callback of this connection, when that has returned. Memory goes with a later turn of the loop. */
void redis_link_free(struct redis_link *l);

/* NULL while not up. Its own callbacks may send commands, nobody frees it. */
redisAsyncContext *redis_link_context(const struct redis_link *l);
/* Gives this connection up and makes another one. */
void redis_link_drop(struct redis_link *l, const char *reason);
/* The server has said itself that it can't be the master. Where there are sentinels this is as a drop. */
void redis_link_doubt(struct redis_link *l, const char *reason);
/* Why it is not up; "" when it is. */
const char *redis_link_trouble(const struct redis_link *l);
