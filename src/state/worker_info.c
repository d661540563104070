#include "state/worker_info.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/worker_info_list.lua.h"
#include "state/worker_info_put.lua.h"

#include <errno.h>
#include <stdio.h>

#define INDEX      "decant:worker-infos"
#define KEY_PREFIX "decant:worker:"

enum { KEY_MAX = 256, NUMBER_MAX = 24 };

static struct redis_script put_script = {.name = "worker_info_put", .text = worker_info_put_lua};
static struct redis_script list_script = {.name = "worker_info_list", .text = worker_info_list_lua};

static const char *number(char buffer[NUMBER_MAX], uint64_t value)
{
    snprintf(buffer, NUMBER_MAX, "%llu", (unsigned long long)value);
    return buffer;
}

static const char *text(const char *s)
{
    return s ? s : "";
}

void worker_info_put(struct redis *r, const struct worker_info *info, redis_reply_fn *fn, void *arg)
{
    char key[KEY_MAX], now[NUMBER_MAX], ttl[NUMBER_MAX], jobs[NUMBER_MAX], slots[NUMBER_MAX],
        family_slots[NUMBER_MAX], scanning[NUMBER_MAX];

    snprintf(key, sizeof key, KEY_PREFIX "%s", info->id);
    redis_eval(r, &put_script, 2,
               REDIS(key, INDEX, info->id, number(now, clock_real_ms()), number(ttl, WORKER_INFO_TTL_S), "id",
                     info->id, "version", text(info->version), "engines", text(info->engines), "sandbox",
                     text(info->sandbox), "scanner", text(info->scanner), "scanner_detail",
                     text(info->scanner_detail), "scanner_remark", text(info->scanner_remark),
                     "test_signatures", info->test_signatures ? "1" : "0", "jobs", number(jobs, info->jobs),
                     "slots", number(slots, info->slots), "family_slots",
                     number(family_slots, info->family_slots), "scanning", number(scanning, info->scanning)),
               fn, arg);
}

void worker_info_remove(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    char key[KEY_MAX];

    snprintf(key, sizeof key, KEY_PREFIX "%s", id);
    redis_command(r, REDIS("ZREM", INDEX, id), NULL, NULL);
    redis_command(r, REDIS("DEL", key), fn, arg);
}

struct list_call {
    worker_info_fn *fn;
    void *arg;
};

static uint64_t read_number(const redisReply *report, const char *field)
{
    const char *s = redis_reply_field(report, field);
    uint64_t value = 0;

    return s && str_to_u64(s, 0, UINT64_MAX, &value) == 0 ? value : 0;
}

static struct worker_info read_report(const redisReply *report)
{
    return (struct worker_info){
        .id = text(redis_reply_field(report, "id")),
        .version = text(redis_reply_field(report, "version")),
        .engines = text(redis_reply_field(report, "engines")),
        .sandbox = text(redis_reply_field(report, "sandbox")),
        .scanner = text(redis_reply_field(report, "scanner")),
        .scanner_detail = text(redis_reply_field(report, "scanner_detail")),
        .scanner_remark = text(redis_reply_field(report, "scanner_remark")),
        .test_signatures = str_eq(redis_reply_field(report, "test_signatures"), "1"),
        .jobs = read_number(report, "jobs"),
        .slots = read_number(report, "slots"),
        .family_slots = read_number(report, "family_slots"),
        .scanning = read_number(report, "scanning"),
    };
}

static void on_list(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct list_call *call = arg;
    _cleanup_free_ struct worker_info *workers = calloc(WORKER_INFO_MAX, sizeof *workers);
    size_t n = 0;

    if (err == 0 && !workers)
        err = -ENOMEM;
    for (const redisReply *report; err == 0 && n < WORKER_INFO_MAX && (report = redis_reply_at(reply, n));
         n++)
        workers[n] = read_report(report);
    call->fn(call->arg, err, workers, n);
}

void worker_info_list(struct redis *r, worker_info_fn *fn, void *arg)
{
    char now[NUMBER_MAX], most[NUMBER_MAX];
    struct list_call *call = xmalloc(sizeof *call);

    *call = (struct list_call){fn, arg};
    redis_eval(r, &list_script, 1,
               REDIS(INDEX, number(now, clock_real_ms()), number(most, WORKER_INFO_MAX), KEY_PREFIX), on_list,
               call);
}
