#include "state/courier.h"

#include "core/str.h"
#include "core/xalloc.h"

#include <stdlib.h>

#define ALIVE_S "15"

static const struct {
    enum courier_work work;
    const char *key;
} keys[] = {{COURIER_WEBHOOKS, "decant:courier:webhooks"}, {COURIER_SIGN_ON, "decant:courier:sign-on"}};

struct op {
    courier_lives_fn *fn;
    void *arg;
    long long wanted;
};

void courier_alive(struct redis *r, unsigned works, const char *courier)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (works & keys[i].work)
            redis_command(r, REDIS("SET", keys[i].key, courier, "EX", ALIVE_S), NULL, NULL);
}

static void on_counted(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->fn(op->arg, err, err == 0 && redis_reply_int(reply) == op->wanted);
}

void courier_lives(struct redis *r, unsigned works, courier_lives_fn *fn, void *arg)
{
    const char *argv[1 + ARRAY_SIZE(keys) + 1] = {"EXISTS"};
    struct op *op = xmalloc(sizeof *op);

    *op = (struct op){.fn = fn, .arg = arg};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (works & keys[i].work)
            argv[++op->wanted] = keys[i].key;
    redis_command(r, argv, on_counted, op);
}
