#include "state/rate.h"

#include "state/rate_take.lua.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define KEY_PREFIX "decant:rate:"

enum { NUMBER_MAX = 24, NUMBERS = 3 /* of a bucket */ };

static struct redis_script take_script = {.name = "rate_take", .text = rate_take_lua};

struct op {
    rate_fn *fn;
    void *arg;
};

static void on_taken(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    long long numbers[5] = {0};
    struct rate_answer answer;

    for (size_t i = 0; err == 0 && i < 5; i++) {
        numbers[i] = redis_reply_int(redis_reply_at(reply, i));
        if (numbers[i] < 0 || (i == 1 && numbers[i] == 0))
            err = -EPROTO;
    }
    answer = (struct rate_answer){.granted = (uint64_t)numbers[0],
                                  .bucket = (size_t)numbers[1] - 1,
                                  .remaining = (uint64_t)numbers[2],
                                  .reset_ms = (uint64_t)numbers[3],
                                  .retry_ms = (uint64_t)numbers[4]};
    op->fn(op->arg, err, err < 0 ? NULL : &answer);
}

void rate_take(struct redis *r, const struct rate_bucket buckets[], size_t n, uint64_t wanted, rate_fn *fn,
               void *arg)
{
    struct op *op = malloc(sizeof *op);
    char keys[RATE_BUCKETS_MAX][sizeof KEY_PREFIX + RATE_NAME_MAX];
    char numbers[NUMBERS * RATE_BUCKETS_MAX + 1][NUMBER_MAX];
    const char *argv[(1 + NUMBERS) * RATE_BUCKETS_MAX + 2];
    size_t i, n_numbers = 0;

    if (!op)
        abort(); /* as redis.c does: no memory, no answer */
    *op = (struct op){.fn = fn, .arg = arg};
    assert(n > 0 && n <= RATE_BUCKETS_MAX);
    snprintf(numbers[n_numbers++], NUMBER_MAX, "%" PRIu64, wanted);
    for (i = 0; i < n; i++) {
        const struct rate *rate = &buckets[i].rate;

        snprintf(keys[i], sizeof keys[i], KEY_PREFIX "%s", buckets[i].name);
        argv[i] = keys[i];
        snprintf(numbers[n_numbers++], NUMBER_MAX, "%" PRIu64, rate->count);
        snprintf(numbers[n_numbers++], NUMBER_MAX, "%" PRIu64, rate->period_ms);
        snprintf(numbers[n_numbers++], NUMBER_MAX, "%" PRIu64, rate->burst);
    }
    for (size_t k = 0; k < n_numbers; k++)
        argv[i++] = numbers[k];
    argv[i] = NULL;
    redis_eval(r, &take_script, n, argv, on_taken, op);
}

void rate_fill(struct redis *r, const char *const names[], size_t n, redis_reply_fn *fn, void *arg)
{
    char keys[RATE_BUCKETS_MAX][sizeof KEY_PREFIX + RATE_NAME_MAX];
    const char *argv[1 + RATE_BUCKETS_MAX + 1] = {"DEL"};

    assert(n > 0 && n <= RATE_BUCKETS_MAX);
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], KEY_PREFIX "%s", names[i]);
        argv[1 + i] = keys[i];
    }
    redis_command(r, argv, fn, arg);
}
