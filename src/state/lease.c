#include "state/lease.h"

#include "core/xalloc.h"
#include "state/lease_drop.lua.h"
#include "state/lease_take.lua.h"
#include "state/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct redis_script take_script = {.name = "lease_take", .text = lease_take_lua},
                           drop_script = {.name = "lease_drop", .text = lease_drop_lua};

struct op {
    redis_reply_fn *fn;
    void *arg;
};

static void on_taken(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->fn(op->arg, err ? err : script_code(reply), reply);
}

void lease_take(struct redis *r, const char *key, const char *owner, uint64_t ms, redis_reply_fn *fn,
                void *arg)
{
    struct op *op = xmalloc(sizeof *op);
    char text[24];

    *op = (struct op){.fn = fn, .arg = arg};
    snprintf(text, sizeof text, "%" PRIu64, ms);
    redis_eval(r, &take_script, 1, REDIS(key, owner, text), on_taken, op);
}

void lease_drop(struct redis *r, const char *key, const char *owner, redis_reply_fn *fn, void *arg)
{
    redis_eval(r, &drop_script, 1, REDIS(key, owner), fn, arg);
}
