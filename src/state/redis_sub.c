/* The subscriber. Everything it needs is said again on each new connection: who it is (CLIENT ID), then the
 * channels; once all are confirmed, the user hears of it.
 *
 * A subscriber mostly waits, so a dead peer would not be noticed: every REDIS_TIMEOUT_MS it subscribes to its
 * first channel once more, which changes nothing and is always answered. (PING would be the obvious means,
 * but hiredis 0.14 hands the next message to PING's callback when one comes before the answer.) */
#include "core/str.h"
#include "core/xalloc.h"
#include "state/redis.h"
#include "state/redis_link.h"

#include <errno.h>

struct redis_sub {
    struct redis_link *link;
    char **channels; /* NULL-terminated; NULL before redis_sub_start */
    size_t n_channels, confirmed;
    redis_message_fn *fn;
    void *arg;
    long long client_id;
    bool heard, closing; /* heard: since the timer last ran */
    uv_timer_t timer;
};

static void tell(struct redis_sub *s, const char *channel, const redisReply *message)
{
    if (message->type != REDIS_REPLY_ARRAY) {
        s->fn(s->arg, channel, redis_reply_str(message));
        return;
    }
    for (size_t i = 0; i < message->elements && !s->closing; i++)
        s->fn(s->arg, channel, redis_reply_str(message->element[i]));
}

static void on_client_id(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_sub *s = arg;

    if (data)
        s->client_id = redis_reply_int(data);
}

/* Confirmations: ["subscribe", channel, n]; messages: ["message", channel, text] and
 * ["pmessage", pattern, channel, text]. NULL when the context ends. */
static void on_message(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_sub *s = arg;
    const char *kind = data ? redis_reply_str(redis_reply_at(data, 0)) : NULL, *channel;
    const redisReply *text;
    size_t at;

    if (!kind || s->closing)
        return;
    s->heard = true;
    if (str_eq(kind, "subscribe") || str_eq(kind, "psubscribe")) {
        if (++s->confirmed == s->n_channels)
            s->fn(s->arg, NULL, NULL);
        return;
    }
    at = str_eq(kind, "pmessage") ? 2 : 1;
    channel = redis_reply_str(redis_reply_at(data, at));
    text = redis_reply_at(data, at + 1);
    if (channel && text)
        tell(s, channel, text);
}

static void subscribe(struct redis_sub *s, const char *channel)
{
    redisAsyncContext *ac = redis_link_context(s->link);
    size_t len = strlen(channel);
    const char *argv[] = {len > 0 && channel[len - 1] == '*' ? "PSUBSCRIBE" : "SUBSCRIBE", channel};

    if (ac)
        redisAsyncCommandArgv(ac, on_message, s, ARRAY_SIZE(argv), argv, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_sub *s = timer->data;

    if (!redis_link_context(s->link))
        return;
    if (!s->heard) {
        redis_link_drop(s->link, "no answer");
        return;
    }
    s->heard = false;
    subscribe(s, s->channels[0]);
}

static void on_up(void *arg)
{
    struct redis_sub *s = arg;

    redisAsyncCommand(redis_link_context(s->link), on_client_id, s, "CLIENT ID");
    if (!s->channels)
        return;
    s->heard = true;
    s->confirmed = 0;
    for (size_t i = 0; i < s->n_channels; i++)
        subscribe(s, s->channels[i]);
    uv_timer_start(&s->timer, on_timer, REDIS_TIMEOUT_MS, REDIS_TIMEOUT_MS);
}

static void on_down(void *arg)
{
    struct redis_sub *s = arg;

    s->client_id = 0;
    uv_timer_stop(&s->timer);
}

static const struct redis_link_ops link_ops = {.up = on_up, .down = on_down};

int redis_sub_new(uv_loop_t *loop, const struct redis_config *config, struct redis_sub **ret)
{
    _cleanup_free_ struct redis_sub *s = calloc(1, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    r = redis_link_new(loop, config, &link_ops, s, &s->link);
    if (r < 0)
        return r;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    *ret = TAKE_PTR(s);
    return 0;
}

/* A copy of the list: the pointers, and the strings behind them. */
static char **copy_list(const char *const list[], size_t *ret_n)
{
    size_t n = 0, bytes = 0;
    char **copy, *p;

    for (; list[n]; n++)
        bytes += strlen(list[n]) + 1;
    copy = xmalloc((n + 1) * sizeof *copy + bytes);
    p = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = p;
        p = stpcpy(p, list[i]) + 1;
    }
    copy[n] = NULL;
    *ret_n = n;
    return copy;
}

void redis_sub_start(struct redis_sub *s, const char *const channels[], redis_message_fn *fn, void *arg)
{
    s->channels = copy_list(channels, &s->n_channels);
    s->fn = fn;
    s->arg = arg;
    if (redis_link_context(s->link))
        on_up(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_sub *s = handle->data;

    free(s->channels);
    free(s);
}

void redis_sub_free(struct redis_sub *s)
{
    if (!s)
        return;
    s->closing = true;
    uv_close((uv_handle_t *)&s->timer, on_closed);
    redis_link_free(s->link);
}

long long redis_sub_client_id(const struct redis_sub *s)
{
    return s->client_id;
}
