#include "state/idempotency.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "state/idempotency_claim.lua.h"
#include "state/idempotency_settle.lua.h"
#include "state/keys.h"
#include "state/script.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { NUMBER_MAX = 24 };

static struct redis_script claim_script = {.name = "idempotency_claim", .text = idempotency_claim_lua},
                           settle_script = {.name = "idempotency_settle", .text = idempotency_settle_lua};

struct op {
    idempotency_claim_fn *claim_fn;
    redis_reply_fn *fn;
    void *arg;
};

static struct op *op_new(idempotency_claim_fn *claim_fn, redis_reply_fn *fn, void *arg)
{
    struct op *op = xmalloc(sizeof *op);

    *op = (struct op){claim_fn, fn, arg};
    return op;
}

static int read_answer(const redisReply *reply, struct idempotency_answer *ret)
{
    const char *status = redis_reply_str(redis_reply_at(reply, 2));
    uint64_t number;

    ret->text = redis_reply_str(redis_reply_at(reply, 3));
    if (!status || !ret->text || str_to_u64(status, 100, 599, &number) < 0)
        return -EPROTO;
    ret->status = (unsigned)number;
    ret->len = redis_reply_at(reply, 3)->len;
    return 0;
}

static void on_claimed(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct idempotency_answer answer;
    bool answered = false;

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && str_eq(redis_reply_str(redis_reply_at(reply, 1)), "answered")) {
        err = read_answer(reply, &answer);
        answered = err == 0;
    }
    op->claim_fn(op->arg, err, answered ? &answer : NULL);
}

static const char *number(char ret[NUMBER_MAX], uint64_t value)
{
    snprintf(ret, NUMBER_MAX, "%" PRIu64, value);
    return ret;
}

void idempotency_claim(struct redis *r, const char *session_id, const char *name, const char *fingerprint,
                       const char *owner, idempotency_claim_fn *fn, void *arg)
{
    struct op *op = op_new(fn, NULL, arg);
    char session[SESSION_KEY_MAX], answers[SESSION_KEY_MAX], answered[SESSION_KEY_MAX];
    char lease[NUMBER_MAX], kept[NUMBER_MAX], most[NUMBER_MAX];

    redis_eval(r, &claim_script, 3,
               REDIS(session_key(session, session_id, ""), session_key(answers, session_id, ":answers"),
                     session_key(answered, session_id, ":answered"), name, fingerprint, owner,
                     number(lease, IDEMPOTENCY_LEASE_MS), number(kept, IDEMPOTENCY_KEPT_MS),
                     number(most, IDEMPOTENCY_MOST)),
               on_claimed, op);
}

static void on_settled(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (op->fn)
        op->fn(op->arg, err ? err : script_code(reply), reply);
}

void idempotency_settle(struct redis *r, const char *session_id, const char *name, const char *owner,
                        const struct idempotency_answer *answer, redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(NULL, fn, arg);
    char answers[SESSION_KEY_MAX], answered[SESSION_KEY_MAX], status[NUMBER_MAX];

    redis_eval(r, &settle_script, 2,
               REDIS(session_key(answers, session_id, ":answers"),
                     session_key(answered, session_id, ":answered"), name, owner,
                     answer ? number(status, answer->status) : NULL, answer ? answer->text : NULL),
               on_settled, op);
}
