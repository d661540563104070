#include "queue/operate.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "queue/queue_impl.h"

#include <errno.h>
#include <inttypes.h>

/* Makes JSON of an answer; NULL when it is none. */
typedef json_t *tell_fn(const redisReply *reply);

struct telling {
    struct queue *q;
    tell_fn *tell;
    queue_told_fn *fn;
    void *arg;
};

static void on_answer(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct telling *t = arg;
    json_t *json = NULL;

    if (err == 0 && reply->type != REDIS_REPLY_ARRAY)
        err = queue_code(reply);
    if (err == 0 && !(json = t->tell(reply)))
        err = -EPROTO;
    if (t->q->freed)
        json_decref(json);
    else
        t->fn(t->arg, err, json);
    queue_unref(t->q);
}

static void ask(struct queue *q, enum queue_script script, const char *const argv[], tell_fn *tell,
                queue_told_fn *fn, void *arg)
{
    struct telling *t = xmalloc(sizeof *t);

    *t = (struct telling){.q = queue_ref(q), .tell = tell, .fn = fn, .arg = arg};
    queue_eval(q, script, argv, NULL, on_answer, t);
}

static json_t *number_at(const redisReply *reply, size_t i)
{
    return json_integer(redis_reply_int(redis_reply_at(reply, i)));
}

static json_t *string_at(const redisReply *reply, size_t i)
{
    const redisReply *text = redis_reply_at(reply, i);
    json_t *string = redis_reply_str(text) ? json_stringn(text->str, text->len) : NULL;

    return string ? string : json_string("");
}

/* --- status */

static json_t *seconds(long long ms)
{
    return json_real((double)(ms < 0 ? 0 : ms) / 1000);
}

static void add(json_t *object, const char *name, long long more)
{
    json_object_set_new(object, name, json_integer(json_integer_value(json_object_get(object, name)) + more));
}

/* The longest of both. */
static void add_age(json_t *object, long long now, long long since)
{
    const json_t *age = json_object_get(object, "oldest_s");

    if (since > 0 && (json_is_null(age) || json_real_value(age) < (double)(now - since) / 1000))
        json_object_set_new(object, "oldest_s", seconds(now - since));
}

static json_t *tell_queue(const redisReply *row, long long now, json_t *sum)
{
    json_t *priorities = json_array();
    json_t *queue = json_pack("{s:o, s:i, s:o, s:n}", "name", string_at(row, 0), "waiting", 0, "priorities",
                              priorities, "oldest_s");

    for (size_t step = 1; step <= QUEUE_STEPS; step++) {
        const redisReply *list = redis_reply_at(row, step);
        long long length = redis_reply_int(redis_reply_at(list, 0)),
                  since = redis_reply_int(redis_reply_at(list, 1));

        json_array_append_new(priorities, json_integer(length));
        add(queue, "waiting", length);
        add(sum, "waiting", length);
        add_age(queue, now, since);
        add_age(sum, now, since);
    }
    return queue;
}

static json_t *tell_worker(const redisReply *row, long long now)
{
    return json_pack("{s:o, s:o, s:o}", "id", string_at(row, 0), "lease_s",
                     seconds(redis_reply_int(redis_reply_at(row, 1)) - now), "claims", number_at(row, 2));
}

static json_t *tell_status(const redisReply *reply)
{
    long long now = redis_reply_int(redis_reply_at(reply, 0)),
              due = redis_reply_int(redis_reply_at(reply, 4));
    const redisReply *queues = redis_reply_at(reply, 1), *workers = redis_reply_at(reply, 2);

    if (!queues || !workers || !redis_reply_at(reply, 6))
        return NULL;

    json_t *queue_list = json_array(), *worker_list = json_array();
    json_t *status = json_pack("{s:o, s:i, s:n, s:o, s:o, s:o, s:o, s:o}", "queues", queue_list, "waiting", 0,
                               "oldest_s", "workers", worker_list, "delayed", number_at(reply, 3),
                               "next_due_s", due > 0 ? seconds(due - now) : json_null(), "claimed",
                               number_at(reply, 5), "dead", number_at(reply, 6));

    for (size_t i = 0; i < queues->elements; i++)
        json_array_append_new(queue_list, tell_queue(queues->element[i], now, status));
    for (size_t i = 0; i < workers->elements; i++)
        json_array_append_new(worker_list, tell_worker(workers->element[i], now));
    return status;
}

void queue_status(struct queue *q, queue_told_fn *fn, void *arg)
{
    ask(q, SCRIPT_STATUS, REDIS(q->all), tell_status, fn, arg);
}

/* --- dead letters */

static json_t *tell_letters(const redisReply *reply)
{
    json_t *letters = json_array();

    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *row = reply->element[i];
        const char *time = redis_reply_str(redis_reply_at(row, 2));

        json_array_append_new(letters, json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "id",
                                                 number_at(row, 0), "reason", string_at(row, 1), "time",
                                                 (json_int_t)(time ? strtoll(time, NULL, 10) : 0), "queue",
                                                 string_at(row, 3), "bytes", number_at(row, 4), "task",
                                                 string_at(row, 5), "task_id", string_at(row, 6)));
    }
    return letters;
}

void queue_dead_list(struct queue *q, uint64_t from, uint64_t n, queue_told_fn *fn, void *arg)
{
    char first[24], count[24];

    snprintf(first, sizeof first, "%" PRIu64, from);
    snprintf(count, sizeof count, "%" PRIu64, n);
    ask(q, SCRIPT_DEAD_LIST, REDIS(first, count), tell_letters, fn, arg);
}

static json_t *tell_letter(const redisReply *reply)
{
    const redisReply *text = redis_reply_at(reply, 0);

    return redis_reply_str(text) ? json_loadb(text->str, text->len, JSON_ALLOW_NUL, NULL) : NULL;
}

void queue_dead_show(struct queue *q, uint64_t id, queue_told_fn *fn, void *arg)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, id);
    ask(q, SCRIPT_DEAD, REDIS("show", text), tell_letter, fn, arg);
}

void queue_dead_replay(struct queue *q, uint64_t id, const struct queue_hash *hash, queue_fn *fn, void *arg)
{
    char text[24], max[24];

    snprintf(text, sizeof text, "%" PRIu64, id);
    snprintf(max, sizeof max, "%" PRIu64, q->config.max_length);
    queue_eval(q, SCRIPT_DEAD, REDIS("replay", text, q->all, max), hash, queue_op_on_code,
               queue_op_new(q, fn, arg));
}

void queue_dead_drop(struct queue *q, uint64_t id, queue_fn *fn, void *arg)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, id);
    queue_eval(q, SCRIPT_DEAD, REDIS("drop", text), NULL, queue_op_on_code, queue_op_new(q, fn, arg));
}
