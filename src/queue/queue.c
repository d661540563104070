/* The queue's base: scripts, commands on their way, and what needs no claim. Claims are in claim.c.
 *
 * All decisions are made inside Redis, by one script an operation, so there is no moment between two commands
 * at which a process could die and leave half of it behind. This side builds and reads messages. */
#include "queue/queue.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "queue/describe.h"
#include "queue/envelope.h"
#include "queue/event.h"
#include "queue/queue_impl.h"

#include "cancel.lua.h"
#include "claim.lua.h"
#include "dead.lua.h"
#include "dead_list.lua.h"
#include "delay.lua.h"
#include "done.lua.h"
#include "due.lua.h"
#include "enqueue.lua.h"
#include "goodbye.lua.h"
#include "look.lua.h"
#include "reap.lua.h"
#include "refresh.lua.h"
#include "release.lua.h"
#include "reply.lua.h"
#include "retry.lua.h"
#include "revoke.lua.h"
#include "revoked.lua.h"
#include "started.lua.h"
#include "stats.lua.h"
#include "status.lua.h"

#include <errno.h>
#include <time.h>

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

enum {
    HASH_MAX_ARGS = 128, /* key, field, expected, channel and the pairs */
    /* kombu's default visibility timeout: what no worker's claims remember is taken back after it */
    VISIBILITY_S = 3600,
};

static struct redis_script scripts[N_SCRIPTS] = {
    [SCRIPT_ENQUEUE] = {.name = "enqueue", .text = enqueue_lua},
    [SCRIPT_CLAIM] = {.name = "claim", .text = claim_lua},
    [SCRIPT_REFRESH] = {.name = "refresh", .text = refresh_lua},
    [SCRIPT_DONE] = {.name = "done", .text = done_lua},
    [SCRIPT_STARTED] = {.name = "started", .text = started_lua},
    [SCRIPT_RELEASE] = {.name = "release", .text = release_lua},
    [SCRIPT_RETRY] = {.name = "retry", .text = retry_lua},
    [SCRIPT_DELAY] = {.name = "delay", .text = delay_lua},
    [SCRIPT_DUE] = {.name = "due", .text = due_lua},
    [SCRIPT_REAP] = {.name = "reap", .text = reap_lua},
    [SCRIPT_GOODBYE] = {.name = "goodbye", .text = goodbye_lua},
    [SCRIPT_STATS] = {.name = "stats", .text = stats_lua},
    [SCRIPT_REVOKE] = {.name = "revoke", .text = revoke_lua},
    [SCRIPT_REVOKED] = {.name = "revoked", .text = revoked_lua},
    [SCRIPT_REPLY] = {.name = "reply", .text = reply_lua},
    [SCRIPT_LOOK] = {.name = "look", .text = look_lua},
    [SCRIPT_STATUS] = {.name = "status", .text = status_lua},
    [SCRIPT_DEAD] = {.name = "dead", .text = dead_lua},
    [SCRIPT_DEAD_LIST] = {.name = "dead_list", .text = dead_list_lua},
    [SCRIPT_CANCEL] = {.name = "cancel", .text = cancel_lua},
};

bool queue_name_ok(const char *name)
{
    static const char allowed[] = PLAIN;
    size_t len = name ? strlen(name) : 0;

    return len > 0 && strspn(name, allowed) == len;
}

static bool config_ok(const struct queue_config *config)
{
    static const char allowed_in_prefix[] = PLAIN ":/{}";
    size_t n = 0;

    while (config->families && config->families[n]) {
        if (n == QUEUE_FAMILIES_MAX || !queue_name_ok(config->families[n]))
            return false;
        n++;
    }
    return queue_name_ok(config->name) && strspn(config->prefix, allowed_in_prefix) == strlen(config->prefix);
}

const char *queue_step_name(unsigned step)
{
    static const char *const steps[QUEUE_STEPS] = {"",
                                                   "\x06\x16"
                                                   "3",
                                                   "\x06\x16"
                                                   "6",
                                                   "\x06\x16"
                                                   "9"};

    return steps[step];
}

/* Takes over `name`. */
static void add_queue(struct queue *q, char *name)
{
    char *all = NULL;

    for (unsigned i = 0; i < QUEUE_STEPS; i++)
        if (asprintf(&q->lists[q->n_queues][i], "%s%s%s", q->config.prefix, name, queue_step_name(i)) < 0)
            abort();
    if (asprintf(&all, "%s%s%s", q->all ? q->all : "", q->all ? " " : "", name) < 0)
        abort();
    free(q->all);
    q->all = all;
    q->names[q->n_queues++] = name;
}

static void add_queues(struct queue *q)
{
    const char *const *family = q->config.families;
    char *name = xstrdup(q->config.name);

    add_queue(q, name);
    for (; family && *family; family++) {
        if (asprintf(&name, "%s.%s", q->config.name, *family) < 0)
            abort();
        add_queue(q, name);
    }
}

struct queue *queue_new(struct redis *r, const struct queue_config *given)
{
    struct queue_config config = *given;
    char host[256] = "";

    if (!config.prefix)
        config.prefix = "";
    if (!config_ok(&config))
        return NULL;

    struct queue *q = xcalloc(1, sizeof *q);

    q->r = r;
    q->config = config;
    add_queues(q);
    q->refs = 1;
    id_uuid(q->owner);
    gethostname(host, sizeof host - 1);
    tzset(); /* events say how far we are from UTC, and /etc may be closed later */
    snprintf(q->origin, sizeof q->origin, "gen%d@%s", (int)getpid(), host);
    return q;
}

struct queue *queue_ref(struct queue *q)
{
    q->refs++;
    return q;
}

void queue_unref(struct queue *q)
{
    if (--q->refs > 0)
        return;
    while (q->held)
        queue_held_drop(q->held);
    for (size_t i = 0; i < q->n_queues; i++) {
        for (size_t step = 0; step < QUEUE_STEPS; step++)
            free(q->lists[i][step]);
        free(q->names[i]);
    }
    free(q->all);
    free(q);
}

unsigned queue_family(const struct queue *q, const char *family)
{
    const char *const *known = q->config.families;

    for (unsigned i = 0; family && known && known[i]; i++)
        if (str_eq(known[i], family))
            return QUEUE_BASE << (i + 1);
    return QUEUE_BASE;
}

unsigned queue_by_name(const struct queue *q, const char *name)
{
    for (size_t i = 0; i < q->n_queues; i++)
        if (str_eq(q->names[i], name))
            return QUEUE_BASE << i;
    return 0;
}

const char *queue_name(const struct queue *q, unsigned queue)
{
    for (size_t i = 0; i < q->n_queues; i++)
        if (queue == QUEUE_BASE << i)
            return q->names[i];
    return q->names[0];
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    q->freed = true;
    queue_unref(q);
}

struct queue_op *queue_op_new(struct queue *q, queue_fn *fn, void *arg)
{
    struct queue_op *op = xcalloc(1, sizeof *op);

    *op = (struct queue_op){.q = queue_ref(q), .fn = fn, .arg = arg};
    return op;
}

void queue_op_end(struct queue_op *op, int err)
{
    if (op->fn && (op->inner || !op->q->freed))
        op->fn(op->arg, err);
    queue_unref(op->q);
    free(op);
}

int queue_code(const redisReply *reply)
{
    static const struct {
        const char *code;
        int err;
    } codes[] = {
        {"OK", 0},           {"ESTALE", -ESTALE},       {"ENOENT", -ENOENT},          {"EBUSY", -EBUSY},
        {"EAGAIN", -EAGAIN}, {"EEXIST", -EEXIST},       {"EDQUOT", -EDQUOT},          {"EMSGSIZE", -EMSGSIZE},
        {"EINVAL", -EINVAL}, {"ECANCELED", -ECANCELED}, {"EINPROGRESS", -EINPROGRESS}};
    const char *code = redis_reply_str(reply);

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (str_eq(code, codes[i].code))
            return codes[i].err;
    return -EPROTO;
}

void queue_op_on_code(void *arg, int err, const redisReply *reply)
{
    queue_op_end(arg, err < 0 ? err : queue_code(reply));
}

static void on_number(void *arg, int err, const redisReply *reply)
{
    if (err == 0 && redis_reply_int(reply) < 0)
        err = -EPROTO;
    queue_op_end(arg, err);
}

struct failure {
    struct queue_op *op;
    int err;
};

static void on_failure(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct failure *f = arg;

    queue_op_end(f->op, f->err);
}

/* A command that does nothing brings the turn of the loop in which the callback may come. */
void queue_op_fail(struct queue_op *op, int err)
{
    struct failure *f = xcalloc(1, sizeof *f);

    *f = (struct failure){.op = op, .err = err};
    redis_command(op->q->r, REDIS("PING"), on_failure, f);
}

void queue_eval_list(struct queue *q, enum queue_script script, const char *const argv[], redis_reply_fn *fn,
                     void *arg)
{
    size_t n = 0;

    while (argv[n])
        n++;

    _cleanup_free_ const char **all = xcalloc(n + 2, sizeof *all);

    all[0] = q->config.prefix;
    memcpy(all + 1, argv, n * sizeof *all);
    redis_eval(q->r, &scripts[script], 1, all, fn, arg);
}

void queue_eval(struct queue *q, enum queue_script script, const char *const fixed[],
                const struct queue_hash *hash, redis_reply_fn *fn, void *arg)
{
    size_t n = 0, room;

    while (fixed[n])
        n++;
    room = n + HASH_MAX_ARGS;

    _cleanup_free_ const char **argv = xcalloc(room + 1, sizeof *argv);

    memcpy(argv, fixed, n * sizeof *argv);
    if (hash) {
        argv[n++] = hash->key;
        argv[n++] = hash->field;
        argv[n++] = hash->expected;
        argv[n++] = hash->channel;
        for (size_t i = 0; hash->set && hash->set[i]; i++) {
            if (n == room)
                abort(); /* the caller's own list: a programmer's error */
            argv[n++] = hash->set[i];
        }
    }
    argv[n] = NULL;
    queue_eval_list(q, script, argv, fn, arg);
}

/* "task-sent", as Celery's clients tell it with task_send_sent_event; "" when it is not wanted. */
static char *sent_event(struct queue *q, const char *message)
{
    struct event e = {.type = "task-sent", .node = q->origin};
    char *text = NULL;

    if (!q->config.sent_events)
        return strdup("");
    e.fields = describe_sent(message, strlen(message));
    e.clock = lamport_forward(&q->clock);
    if (!e.fields || event_encode(&e, &text) < 0)
        text = strdup("");
    json_decref(e.fields);
    return text;
}

/* A code, or {"OK", ahead, claimed}. */
static void on_enqueued(void *arg, int err, const redisReply *reply)
{
    struct queue_op *op = arg;
    long long ahead = redis_reply_int(redis_reply_at(reply, 1)),
              claimed = redis_reply_int(redis_reply_at(reply, 2));

    if (err < 0 || redis_reply_str(reply)) {
        queue_op_on_code(op, err, reply);
        return;
    }
    err = queue_code(redis_reply_at(reply, 0));
    if (err == 0 && (ahead < 0 || claimed < 0))
        err = -EPROTO;
    if (err == 0 && op->place && !op->q->freed)
        *op->place = (struct queue_place){.ahead = (uint64_t)ahead, .claimed = (uint64_t)claimed};
    queue_op_end(op, err);
}

void queue_enqueue(struct queue *q, const struct queue_task *task, const struct queue_hash *hash,
                   queue_fn *fn, void *arg)
{
    _cleanup_free_ char *message = NULL;
    struct queue_op *op = queue_op_new(q, fn, arg);
    const char *name = queue_name(q, queue_family(q, task->family));
    char max[24], step[24], crowd_max[24];
    int r = envelope_encode(&(struct envelope_task){.id = task->id,
                                                    .name = task->name,
                                                    .kwargs = task->kwargs,
                                                    .priority = task->priority,
                                                    .queue = name,
                                                    .origin = q->origin,
                                                    .reply_to = q->owner,
                                                    .traceparent = task->traceparent},
                            &message);

    if (r < 0) {
        queue_op_fail(op, r);
        return;
    }

    _cleanup_free_ char *sent = sent_event(q, message);

    if (!sent)
        abort();
    op->place = task->place;
    snprintf(max, sizeof max, "%lu", q->config.max_length);
    snprintf(step, sizeof step, "%u", envelope_step(task->priority));
    snprintf(crowd_max, sizeof crowd_max, "%lu", task->crowd_max);
    queue_eval(q, SCRIPT_ENQUEUE,
               REDIS(name, q->all, max, step, message, task->crowd ? task->crowd : "", crowd_max,
                     task->needed ? task->needed : "", sent),
               hash, on_enqueued, op);
}

void queue_reap(struct queue *q, queue_fn *fn, void *arg)
{
    char lease[24], visibility[24];

    snprintf(lease, sizeof lease, "%lu", q->config.lease_ms);
    snprintf(visibility, sizeof visibility, "%d", VISIBILITY_S);
    queue_eval(q, SCRIPT_REAP, REDIS(lease, visibility), NULL, on_number, queue_op_new(q, fn, arg));
}

void queue_due(struct queue *q, queue_fn *fn, void *arg)
{
    queue_eval(q, SCRIPT_DUE, REDIS(q->config.name), NULL, on_number, queue_op_new(q, fn, arg));
}

struct stats_op {
    struct queue *q;
    queue_length_fn *fn;
    void *arg;
    size_t index;
};

static void on_stats(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct stats_op *op = arg;
    long long n = err < 0 ? -1 : redis_reply_int(redis_reply_at(reply, op->index));

    if (!op->q->freed)
        op->fn(op->arg, err < 0 ? err : n < 0 ? -EPROTO : 0, n < 0 ? 0 : (uint64_t)n);
    queue_unref(op->q);
}

static void ask_stats(struct queue *q, size_t index, queue_length_fn *fn, void *arg)
{
    struct stats_op *op = xcalloc(1, sizeof *op);

    *op = (struct stats_op){.q = queue_ref(q), .fn = fn, .arg = arg, .index = index};
    queue_eval(q, SCRIPT_STATS, REDIS(q->all), NULL, on_stats, op);
}

void queue_length(struct queue *q, queue_length_fn *fn, void *arg)
{
    ask_stats(q, 0, fn, arg);
}

void queue_workers(struct queue *q, queue_length_fn *fn, void *arg)
{
    ask_stats(q, 1, fn, arg);
}

struct look_op {
    struct queue *q;
    queue_look_fn *fn;
    void *arg;
};

/* The next number of an answer; -EPROTO when there is none. */
static int next_number(const redisReply *reply, size_t *at, uint64_t *ret)
{
    long long n = redis_reply_int(redis_reply_at(reply, (*at)++));

    if (n < 0)
        return -EPROTO;
    *ret = (uint64_t)n;
    return 0;
}

static int read_look(const struct queue *q, const redisReply *reply, struct queue_look *ret)
{
    uint64_t *const numbers[] = {&ret->now_ms, &ret->delayed, &ret->claimed, &ret->dead};
    size_t at = 0;
    int r = 0;

    *ret = (struct queue_look){.n = q->n_queues};
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++)
        r = next_number(reply, &at, numbers[i]);
    for (size_t i = 0; r == 0 && i < q->n_queues; i++) {
        struct queue_look_one *one = &ret->queues[i];

        one->name = q->names[i];
        r = next_number(reply, &at, &one->waiting);
        if (r == 0)
            r = next_number(reply, &at, &one->oldest_ms);
        ret->waiting += one->waiting;
        if (one->oldest_ms > 0 && (ret->oldest_ms == 0 || one->oldest_ms < ret->oldest_ms))
            ret->oldest_ms = one->oldest_ms;
    }
    return r;
}

static void on_look(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct look_op *op = arg;
    struct queue_look look;

    if (err == 0)
        err = read_look(op->q, reply, &look);
    if (!op->q->freed)
        op->fn(op->arg, err, err < 0 ? NULL : &look);
    queue_unref(op->q);
}

void queue_look(struct queue *q, queue_look_fn *fn, void *arg)
{
    struct look_op *op = xcalloc(1, sizeof *op);

    *op = (struct look_op){.q = queue_ref(q), .fn = fn, .arg = arg};
    queue_eval(q, SCRIPT_LOOK, REDIS(q->all), NULL, on_look, op);
}
