/* The bell: an idle worker hears of a new message within milliseconds.
 *
 * BRPOP would be the obvious means, but it takes the message outside of any script, and a worker that dies
 * then loses it; BLMOVE onto the same list wakes every waiter for one push. Redis' client tracking tells
 * instead when a key that we have looked at changes: the connection of commands looks at the lists
 * (CLIENT CACHING YES, then EXISTS), the invalidation comes to the subscriber's connection, whoever pushed.
 *
 * Tracking ends with either connection, silently. So it is said anew with each look, and an armed bell looks
 * once a second, and as soon as the subscriber is back. A push between two looks is found by the second. */
#include "core/str.h"
#include "queue/queue_impl.h"

#include <errno.h>

enum { LOOK_MS = 1000 };

struct queue_bell {
    struct queue *q;
    struct redis_sub *sub;
    queue_fn *fn;
    void *arg;
    uv_timer_t timer;
    unsigned queues; /* that it is armed for */
    bool armed, freed;
    unsigned refs; /* the owner's, the timer's and one for each look under way */
};

static void bell_unref(struct queue_bell *b)
{
    if (--b->refs > 0)
        return;
    queue_unref(b->q);
    free(b);
}

static void ring(struct queue_bell *b)
{
    if (!b->armed || b->freed)
        return;
    b->armed = false;
    uv_timer_stop(&b->timer);
    b->fn(b->arg, 0);
}

static void on_look(void *arg, int err, const redisReply *reply)
{
    struct queue_bell *b = arg;

    if (err == 0 && redis_reply_int(reply) > 0)
        ring(b);
    bell_unref(b);
}

static bool is_watched(const struct queue_bell *b, size_t queue)
{
    return b->queues & QUEUE_BASE << queue;
}

static void look(struct queue_bell *b)
{
    const char *argv[1 + QUEUES_MAX * QUEUE_STEPS + 1] = {"EXISTS"};
    long long id = redis_sub_client_id(b->sub);
    size_t n = 1;

    for (size_t i = 0; i < b->q->n_queues; i++)
        for (size_t step = 0; step < QUEUE_STEPS && is_watched(b, i); step++)
            argv[n++] = b->q->lists[i][step];
    if (n == 1)
        return;
    if (id > 0) {
        char redirect[24];

        snprintf(redirect, sizeof redirect, "%lld", id);
        redis_command(b->q->r, REDIS("CLIENT", "TRACKING", "ON", "REDIRECT", redirect, "OPTIN"), NULL, NULL);
        redis_command(b->q->r, REDIS("CLIENT", "CACHING", "YES"), NULL,
                      NULL); /* holds for the next command */
    }
    b->refs++;
    redis_command(b->q->r, argv, on_look, b);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static bool is_watched_list(const struct queue_bell *b, const char *key)
{
    for (size_t i = 0; i < b->q->n_queues; i++)
        for (size_t step = 0; step < QUEUE_STEPS; step++)
            if (is_watched(b, i) && str_eq(key, b->q->lists[i][step]))
                return true;
    return false;
}

/* `key` is NULL when everything was flushed; `channel` is when the subscriber is (back) there. */
static void on_message(void *arg, const char *channel, const char *key)
{
    struct queue_bell *b = arg;

    if (!channel) {
        if (b->armed)
            look(b);
        return;
    }
    if (key && is_watched_list(b, key))
        ring(b);
}

int queue_bell_new(uv_loop_t *loop, struct queue *q, const struct redis_config *config, queue_fn *fn,
                   void *arg, struct queue_bell **ret)
{
    struct queue_bell *b = calloc(1, sizeof *b);
    int r;

    if (!b)
        return -ENOMEM;
    r = redis_sub_new(loop, config, &b->sub);
    if (r < 0) {
        free(b);
        return r;
    }
    b->q = queue_ref(q);
    b->fn = fn;
    b->arg = arg;
    b->refs = 2;
    uv_timer_init(loop, &b->timer);
    b->timer.data = b;
    redis_sub_start(b->sub, REDIS("__redis__:invalidate"), on_message, b);
    *ret = b;
    return 0;
}

void queue_bell_arm(struct queue_bell *b, unsigned queues)
{
    b->armed = true;
    b->queues = queues;
    uv_timer_start(&b->timer, on_timer, LOOK_MS, LOOK_MS);
    look(b);
}

static void on_closed(uv_handle_t *handle)
{
    bell_unref(handle->data);
}

void queue_bell_free(struct queue_bell *b)
{
    if (!b)
        return;
    b->freed = true;
    redis_sub_free(b->sub);
    uv_close((uv_handle_t *)&b->timer, on_closed);
    bell_unref(b);
}
