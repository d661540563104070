#include "queue/monitor.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "queue/describe.h"
#include "queue/queue_impl.h"

#include <errno.h>

enum { REPLIES_MAX = 1000, REPLIES_TTL_S = 60, ID_MAX = 200 /* as in claim.lua */ };

static char *prefixed(const struct queue *q, const char *name)
{
    char *s;

    if (asprintf(&s, "%s%s", q->config.prefix, name) < 0)
        abort();
    return s;
}

char *queue_control_channel(const struct queue *q)
{
    return prefixed(q, "/0." PIDBOX_CHANNEL);
}

void queue_publish_event(struct queue *q, const struct event *e)
{
    char topic[EVENT_TOPIC_MAX];
    _cleanup_free_ char *message = NULL, *channel = NULL;

    if (event_encode(e, &message) < 0)
        return;
    event_topic(e->type, topic);
    channel = prefixed(q, topic);
    redis_command(q->r, REDIS("PUBLISH", channel, message), NULL, NULL);
}

void queue_reply(struct queue *q, const struct pidbox_request *request, const char *node, int64_t clock,
                 const json_t *reply)
{
    _cleanup_json_ json_t *too_large = NULL;
    _cleanup_free_ char *message = NULL;
    char max[24], ttl[24];
    int r = pidbox_encode_reply(request, node, clock, reply, &message);

    if (r == -EMSGSIZE) {
        too_large = json_pack("{s:s}", "error", "the answer is larger than a message may be");
        r = pidbox_encode_reply(request, node, clock, too_large, &message);
    }
    if (r < 0)
        return;
    snprintf(max, sizeof max, "%d", REPLIES_MAX);
    snprintf(ttl, sizeof ttl, "%d", REPLIES_TTL_S);
    queue_eval(q, SCRIPT_REPLY, REDIS(request->reply_exchange, request->reply_to, message, max, ttl), NULL,
               NULL, NULL);
}

void queue_revoke(struct queue *q, const json_t *ids, queue_fn *fn, void *arg)
{
    enum { N_FIXED = 2 };
    size_t count = pidbox_count_ids(ids), n = N_FIXED;
    struct queue_op *op = queue_op_new(q, fn, arg);
    char max[24], ttl[24];

    op->inner = true;
    if (count > QUEUE_REVOKED_MAX) {
        queue_op_fail(op, -E2BIG);
        return;
    }

    _cleanup_free_ const char **argv = xcalloc(N_FIXED + count + 1, sizeof *argv);

    snprintf(max, sizeof max, "%d", QUEUE_REVOKED_MAX);
    snprintf(ttl, sizeof ttl, "%d", QUEUE_REVOKED_TTL_S);
    argv[0] = max;
    argv[1] = ttl;
    for (size_t i = 0; i < count; i++) {
        const char *id = pidbox_id(ids, i);

        if (id && strlen(id) <= ID_MAX)
            argv[n++] = id;
    }
    queue_eval_list(q, SCRIPT_REVOKE, argv, queue_op_on_code, op);
}

/* --- what is asked for */

struct question {
    struct queue *q;
    queue_json_fn *fn;
    void *arg;
    bool as_text;
};

static struct question *question_new(struct queue *q, queue_json_fn *fn, void *arg)
{
    struct question *question = xcalloc(1, sizeof *question);

    *question = (struct question){.q = queue_ref(q), .fn = fn, .arg = arg};
    return question;
}

static void question_end(struct question *question, int err, const json_t *value)
{
    question->fn(question->arg, err, err < 0 ? NULL : value);
    queue_unref(question->q);
    free(question);
}

static void on_revoked(void *arg, int err, const redisReply *reply)
{
    _cleanup_json_ json_t *ids = json_object();

    if (err == 0 && reply->type != REDIS_REPLY_ARRAY)
        err = -EPROTO;
    for (size_t i = 0; err == 0 && i < reply->elements; i += 2) {
        const char *id = redis_reply_str(redis_reply_at(reply, i));
        long long age_ms = redis_reply_int(redis_reply_at(reply, i + 1));

        if (id && age_ms >= 0)
            json_object_set_new(ids, id, json_real((double)age_ms / 1000));
        else
            err = -EPROTO;
    }
    question_end(arg, err, ids);
}

void queue_revoked(struct queue *q, queue_json_fn *fn, void *arg)
{
    char ttl[24], shown[24];

    snprintf(ttl, sizeof ttl, "%d", QUEUE_REVOKED_TTL_S);
    snprintf(shown, sizeof shown, "%d", QUEUE_REVOKED_SHOWN);
    queue_eval(q, SCRIPT_REVOKED, REDIS(ttl, shown), NULL, on_revoked, question_new(q, fn, arg));
}

/* An entry is "LIST MESSAGE" (delay.lua). */
static json_t *describe_delayed(const redisReply *entry, const char *due_ms, bool as_text)
{
    const char *space = entry && entry->str ? memchr(entry->str, ' ', entry->len) : NULL;
    char eta[CLOCK_RFC3339_LEN + 1];
    uint64_t ms = 0;
    json_t *request;

    if (!space || !due_ms || str_to_u64(due_ms, 0, UINT64_MAX, &ms) < 0)
        return NULL;
    request = describe_task(space + 1, (size_t)(entry->str + entry->len - space - 1), as_text);
    if (!request)
        return NULL;
    clock_rfc3339(ms, eta);
    return json_pack("{s:s, s:O?, s:o}", "eta", eta, "priority",
                     json_object_get(json_object_get(request, "delivery_info"), "priority"), "request",
                     request);
}

static void on_scheduled(void *arg, int err, const redisReply *reply)
{
    struct question *question = arg;
    _cleanup_json_ json_t *tasks = json_array();
    const redisReply *entry;

    for (size_t i = 0; err == 0 && (entry = redis_reply_at(reply, i)); i += 2) {
        json_t *task =
            describe_delayed(entry, redis_reply_str(redis_reply_at(reply, i + 1)), question->as_text);

        if (task)
            json_array_append_new(tasks, task);
    }
    question_end(question, err, tasks);
}

void queue_scheduled(struct queue *q, bool as_text, queue_json_fn *fn, void *arg)
{
    _cleanup_free_ char *key = prefixed(q, "decant:delayed");
    struct question *question = question_new(q, fn, arg);
    char last[24];

    question->as_text = as_text;
    snprintf(last, sizeof last, "%d", QUEUE_SCHEDULED_SHOWN - 1);
    redis_command(q->r, REDIS("ZRANGE", key, "0", last, "WITHSCORES"), on_scheduled, question);
}
