#include "state/webhooks.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/job.h"
#include "state/keys.h"
#include "state/script.h"
#include "state/webhook_done.lua.h"
#include "state/webhook_list.lua.h"
#include "state/webhook_look.lua.h"
#include "state/webhook_make.lua.h"
#include "state/webhook_replay.lua.h"
#include "state/webhook_take.lua.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#define WATCH_KEY  "decant:webhooks:watch"
#define COUNTS_KEY "decant:counts" /* work_counts.h */
#define KEY_MAX    (sizeof WEBHOOK_KEY_PREFIX + ID_UUID_LEN)

/* An entry is on the watch before its task is in the queue: so long that this has happened, or never will. */
#define WATCHED_AT_LEAST_MS "60000"

enum { NUMBER_MAX = 24, PAGE_MAX = 1024 /* of HSCAN, which may give more than it was asked for */ };

static struct redis_script look_script = {.name = "webhook_look", .text = webhook_look_lua},
                           make_script = {.name = "webhook_make", .text = webhook_make_lua},
                           take_script = {.name = "webhook_take", .text = webhook_take_lua},
                           done_script = {.name = "webhook_done", .text = webhook_done_lua},
                           list_script = {.name = "webhook_list", .text = webhook_list_lua},
                           replay_script = {.name = "webhook_replay", .text = webhook_replay_lua};

static const char *const state_names[] = {
    [WEBHOOK_WAITING] = "waiting",
    [WEBHOOK_DELIVERED] = "delivered",
    [WEBHOOK_FAILED] = "failed",
    [WEBHOOK_DROPPED] = "dropped",
};

const char *webhook_state_name(enum webhook_state state)
{
    assert((size_t)state < ARRAY_SIZE(state_names));
    return state_names[state];
}

#define MEMBER(of, member)                                                                                   \
    {                                                                                                        \
#member, offsetof(struct of, member)                                                                 \
    }

struct member {
    const char *name;
    size_t offset;
};

/* In the order of the scripts' answers. */
static const struct member taken_members[] = {
    MEMBER(webhook_taken, id),    MEMBER(webhook_taken, account), MEMBER(webhook_taken, job),
    MEMBER(webhook_taken, url),   MEMBER(webhook_taken, body),    {"attempts", SIZE_MAX},
    MEMBER(webhook_taken, hosts), MEMBER(webhook_taken, secret),  MEMBER(webhook_taken, disabled),
};
static const struct member members[] = {
    MEMBER(webhook, id),         MEMBER(webhook, account),    MEMBER(webhook, job),
    MEMBER(webhook, type),       MEMBER(webhook, url),        MEMBER(webhook, body),
    MEMBER(webhook, state),      MEMBER(webhook, created_at), MEMBER(webhook, attempts),
    MEMBER(webhook, next_at),    MEMBER(webhook, last_at),    MEMBER(webhook, last_status),
    MEMBER(webhook, last_error),
};

static void parse(void *ret, const struct member *list, size_t n, const redisReply *row)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = redis_reply_str(redis_reply_at(row, i));

        if (list[i].offset != SIZE_MAX)
            *(const char **)((char *)ret + list[i].offset) = text ? text : "";
    }
}

struct op {
    union {
        redis_reply_fn *reply;
        webhook_ended_fn *ended;
        webhook_taken_fn *taken;
        webhook_list_fn *list;
        webhook_fn *one;
    } fn;
    void *arg;
};

static struct op *op_new(struct op from)
{
    struct op *op = xmalloc(sizeof *op);

    *op = from;
    return op;
}

static const char *webhook_key(char ret[KEY_MAX], const char *id)
{
    snprintf(ret, KEY_MAX, WEBHOOK_KEY_PREFIX "%s", id);
    return ret;
}

static const char *number_text(char ret[NUMBER_MAX], uint64_t number)
{
    snprintf(ret, NUMBER_MAX, "%" PRIu64, number);
    return ret;
}

/* The code of a script, to who has asked. */
static void on_code(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (op->fn.reply)
        op->fn.reply(op->arg, err ? err : script_code(reply), reply);
}

/* --- the watch */

void webhooks_watch(struct redis *r, const char *session_id, const char *job_id, redis_reply_fn *fn,
                    void *arg)
{
    char entry[ID_TOKEN_LEN + 1 + NUMBER_MAX];

    if (!id_is_token(session_id) || !id_is_uuid(job_id)) {
        redis_defer(r, -ENOENT, fn, arg);
        return;
    }
    snprintf(entry, sizeof entry, "%s %" PRIu64, session_id, clock_real_ms());
    redis_command(r, REDIS("HSET", WATCH_KEY, job_id, entry), fn, arg);
}

/* What is too long is none of ours, and is cut: it will be found to be another. */
static void copy_text(char *to, size_t size, const redisReply *row, size_t index)
{
    const char *text = redis_reply_str(redis_reply_at(row, index));

    snprintf(to, size, "%s", text ? text : "");
}

static void read_ended(struct webhook_ended *ret, const redisReply *row)
{
    copy_text(ret->job_id, sizeof ret->job_id, row, 0);
    copy_text(ret->session_id, sizeof ret->session_id, row, 1);
    copy_text(ret->task_id, sizeof ret->task_id, row, 2);
    copy_text(ret->status, sizeof ret->status, row, 3);
    copy_text(ret->url, sizeof ret->url, row, 4);
    copy_text(ret->account, sizeof ret->account, row, 5);
}

static void on_looked(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const char *cursor = redis_reply_str(redis_reply_at(reply, 0));
    const redisReply *rows = redis_reply_at(reply, 1);
    size_t n = rows && rows->type == REDIS_REPLY_ARRAY ? rows->elements : 0;
    _cleanup_free_ struct webhook_ended *ended = calloc(n + 1, sizeof *ended);

    if (err == 0 && (!cursor || !rows || !ended || n > PAGE_MAX))
        err = -EPROTO;
    for (size_t i = 0; err == 0 && i < n; i++)
        read_ended(&ended[i], rows->element[i]);
    op->fn.ended(op->arg, err, err ? "0" : cursor, ended, err ? 0 : n);
}

void webhooks_look(struct redis *r, const char *cursor, const char *job_id, webhook_ended_fn *fn, void *arg)
{
    char now[NUMBER_MAX];

    redis_eval(r, &look_script, 1,
               REDIS(WATCH_KEY, cursor, job_id ? job_id : "", number_text(now, clock_real_ms()),
                     WATCHED_AT_LEAST_MS),
               on_looked, op_new((struct op){.fn.ended = fn, .arg = arg}));
}

/* --- deliveries */

void webhooks_make(struct redis *r, const struct webhook_ended *ended, const char *type, const char *body,
                   redis_reply_fn *fn, void *arg)
{
    char job[JOB_KEY_MAX], key[KEY_MAX], id[ID_UUID_LEN + 1], kept[NUMBER_MAX], now[CLOCK_RFC3339_LEN + 1];

    id_uuid(id);
    job_key(job, ended->session_id, ended->job_id);
    clock_rfc3339(clock_real_ms(), now);
    redis_eval(r, &make_script, 4,
               REDIS(job, webhook_key(key, id), WEBHOOK_DUE_KEY, WEBHOOK_ALL_KEY, ended->status,
                     ended->task_id, id, number_text(kept, WEBHOOK_KEPT_S), WEBHOOK_CHANNEL, "id", id,
                     "account", ended->account, "job", ended->job_id, "type", type, "url", ended->url, "body",
                     body, "created_at", now),
               on_code, op_new((struct op){.fn.reply = fn, .arg = arg}));
}

static void on_taken(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const redisReply *rows = redis_reply_at(reply, 1);
    size_t n = rows && rows->type == REDIS_REPLY_ARRAY ? rows->elements : 0;
    struct webhook_taken taken[WEBHOOK_TAKE_MAX];

    if (err == 0 && (!rows || n > WEBHOOK_TAKE_MAX))
        err = -EPROTO;
    for (size_t i = 0; err == 0 && i < n; i++) {
        const char *attempts = redis_reply_str(redis_reply_at(rows->element[i], 5));

        parse(&taken[i], taken_members, ARRAY_SIZE(taken_members), rows->element[i]);
        if (str_to_u64(attempts ? attempts : "", 0, UINT32_MAX, &taken[i].attempts) < 0)
            taken[i].attempts = 0;
    }
    op->fn.taken(op->arg, err, err ? -1 : redis_reply_int(redis_reply_at(reply, 0)), taken, err ? 0 : n);
}

void webhooks_take(struct redis *r, const char *owner, unsigned room, unsigned each,
                   const struct webhook_load *loads, size_t n_loads, webhook_taken_fn *fn, void *arg)
{
    char lease[NUMBER_MAX], many[NUMBER_MAX], one[NUMBER_MAX], numbers[WEBHOOK_TAKE_MAX][NUMBER_MAX];
    const char *argv[5 + 2 * WEBHOOK_TAKE_MAX + 1] = {WEBHOOK_DUE_KEY, owner,
                                                      number_text(lease, WEBHOOK_LEASE_MS),
                                                      number_text(many, room), number_text(one, each)};
    size_t n = 5;

    assert(room <= WEBHOOK_TAKE_MAX && n_loads <= WEBHOOK_TAKE_MAX);
    for (size_t i = 0; i < n_loads; i++) {
        argv[n++] = loads[i].account;
        argv[n++] = number_text(numbers[i], loads[i].n);
    }
    redis_eval(r, &take_script, 1, argv, on_taken, op_new((struct op){.fn.taken = fn, .arg = arg}));
}

void webhooks_done(struct redis *r, const char *id, const char *owner, const struct webhook_result *result,
                   redis_reply_fn *fn, void *arg)
{
    static const char *const counters[] = {
        [WEBHOOK_WAITING] = "webhooks retried",
        [WEBHOOK_DELIVERED] = "webhooks delivered",
        [WEBHOOK_FAILED] = "webhooks failed",
        [WEBHOOK_DROPPED] = "webhooks dropped",
    };
    char key[KEY_MAX], delay[NUMBER_MAX], status[NUMBER_MAX];

    redis_eval(r, &done_script, 3,
               REDIS(webhook_key(key, id), WEBHOOK_DUE_KEY, COUNTS_KEY, id, owner,
                     webhook_state_name(result->state), number_text(delay, result->delay_ms),
                     result->status ? number_text(status, (uint64_t)result->status) : "", result->error,
                     counters[result->state]),
               on_code, op_new((struct op){.fn.reply = fn, .arg = arg}));
}

/* --- for operators */

static void on_list(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    long long looked_at = redis_reply_int(redis_reply_at(reply, 0));
    size_t n = err == 0 && looked_at >= 0 ? reply->elements - 1 : 0;
    _cleanup_free_ struct webhook *list = calloc(n + 1, sizeof *list);

    if (err == 0 && (looked_at < 0 || !list))
        err = -EPROTO;
    for (size_t i = 0; err == 0 && i < n; i++)
        parse(&list[i], members, ARRAY_SIZE(members), reply->element[i + 1]);
    op->fn.list(op->arg, err, err ? 0 : (size_t)looked_at, list, err ? 0 : n);
}

/* Behind `n` arguments, the members' names. */
static void add_members(const char **argv, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        argv[n++] = members[i].name;
    argv[n] = NULL;
}

void webhooks_list(struct redis *r, size_t skip, const char *account, const char *state, webhook_list_fn *fn,
                   void *arg)
{
    char first[NUMBER_MAX], page[NUMBER_MAX];
    const char *argv[5 + ARRAY_SIZE(members) + 1] = {WEBHOOK_ALL_KEY, number_text(first, skip),
                                                     number_text(page, WEBHOOK_LIST_PAGE), account, state};

    add_members(argv, 5);
    redis_eval(r, &list_script, 1, argv, on_list, op_new((struct op){.fn.list = fn, .arg = arg}));
}

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct webhook webhook;

    if (err == 0 && !redis_reply_str(redis_reply_at(reply, 0)))
        err = -ENOENT;
    if (err == 0)
        parse(&webhook, members, ARRAY_SIZE(members), reply);
    op->fn.one(op->arg, err, err ? NULL : &webhook);
}

void webhooks_load(struct redis *r, const char *id, webhook_fn *fn, void *arg)
{
    struct op *op = op_new((struct op){.fn.one = fn, .arg = arg});
    char key[KEY_MAX];
    const char *argv[2 + ARRAY_SIZE(members) + 1] = {"HMGET", key};

    if (!id_is_uuid(id)) {
        redis_defer(r, -ENOENT, on_loaded, op);
        return;
    }
    webhook_key(key, id);
    add_members(argv, 2);
    redis_command(r, argv, on_loaded, op);
}

void webhooks_replay(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new((struct op){.fn.reply = fn, .arg = arg});
    char key[KEY_MAX], kept[NUMBER_MAX];

    if (!id_is_uuid(id)) {
        redis_defer(r, -ENOENT, on_code, op);
        return;
    }
    redis_eval(
        r, &replay_script, 2,
        REDIS(webhook_key(key, id), WEBHOOK_DUE_KEY, id, number_text(kept, WEBHOOK_KEPT_S), WEBHOOK_CHANNEL),
        on_code, op);
}
