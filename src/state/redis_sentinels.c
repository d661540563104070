/* A sentinel is asked over a connection of its own (a redis_link, as it speaks the same protocol), which ends
 * with the answer. It has SENTINEL_TIMEOUT_MS; then, or when it can't be reached, or knows nothing, the next
 * one is asked, until all have been. Each question begins with the one behind that which answered last: none
 * is asked always first, whatever it believes.
 *
 * Sentinels that were cut off from the others go on naming the old master. Each failover has a higher number
 * (the configuration epoch), so an answer that is older than one that we had already is passed over; unless
 * all have answered and none is newer, as when the sentinels were set up anew.
 *
 * Rejected: to stay subscribed to +switch-master. It tells a few milliseconds earlier, but the connection to
 * the old master breaks at about the same time, and what such a subscription misses has to be asked for all
 * the same. */
#include "state/redis_sentinels.h"

#include "core/secret.h"
#include "core/sentinels.h"
#include "core/str.h"
#include "state/redis.h"
#include "state/redis_link.h"

#include <errno.h>

enum { SENTINEL_TIMEOUT_MS = 1000, HOST_MAX = 256 };

struct master {
    char host[HOST_MAX]; /* "": none */
    int port;
    long long epoch; /* -1: not told */
};

struct redis_sentinels {
    uv_loop_t *loop;
    redis_master_fn *fn;
    void *arg;
    char *name, *password, *ports;
    struct sentinels list;
    bool open;   /* there is a question */
    size_t next; /* of `list`, to be asked */
    size_t left; /* that this question has not come to */
    bool all;    /* every one asked so far has answered */
    struct redis_link *link;
    struct master answer, best; /* of the one that is asked; of this question so far */
    long long epoch;            /* the newest that was ever told */
    uv_timer_t timer;           /* to the end of one's time, or, at 0, of its turn */
    char trouble[160];
};

static void on_turn(uv_timer_t *timer);

/* In a turn of its own: here a callback of the link's may be under way, where it can't be freed. */
static void end_turn(struct redis_sentinels *s)
{
    uv_timer_start(&s->timer, on_turn, 0, 0);
}

static void on_trouble(void *arg, const char *trouble)
{
    struct redis_sentinels *s = arg;

    if (!*trouble)
        return;
    snprintf(s->trouble, sizeof s->trouble, "a sentinel: %s", trouble);
    end_turn(s);
}

static void on_epoch(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_sentinels *s = arg;
    const char *text = redis_reply_field(data, "config-epoch");
    uint64_t epoch;

    if (text && str_to_u64(text, 0, INT64_MAX, &epoch) == 0)
        s->answer.epoch = (long long)epoch;
}

/* [host, port], or nil; a NULL when the context ends. */
static void on_address(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_sentinels *s = arg;
    const redisReply *reply = data;
    const char *host = redis_reply_str(redis_reply_at(reply, 0));
    const char *port = redis_reply_str(redis_reply_at(reply, 1));
    uint64_t number = 0;

    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        on_trouble(s, reply->str);
    else if (!host || !*host || strlen(host) >= HOST_MAX || !port ||
             str_to_u64(port, 1, UINT16_MAX, &number) < 0)
        snprintf(s->trouble, sizeof s->trouble, "a sentinel knows no master \"%.64s\" (DECANT_REDIS_MASTER)",
                 s->name);
    else if (!ports_have(s->ports, (unsigned)number))
        snprintf(s->trouble, sizeof s->trouble, "the master's port %s is none of DECANT_REDIS_PORTS", port);
    else {
        snprintf(s->answer.host, sizeof s->answer.host, "%s", host);
        s->answer.port = (int)number;
    }
    end_turn(s);
}

/* The number first: an address that is newer than it does no harm. */
static void on_up(void *arg)
{
    struct redis_sentinels *s = arg;
    redisAsyncContext *ac = redis_link_context(s->link);

    redisAsyncCommand(ac, on_epoch, s, "SENTINEL MASTER %s", s->name);
    redisAsyncCommand(ac, on_address, s, "SENTINEL get-master-addr-by-name %s", s->name);
}

static void on_down(void *arg)
{
    end_turn(arg);
}

static const struct redis_link_ops link_ops = {.up = on_up, .down = on_down, .trouble = on_trouble};

static void ask_next(struct redis_sentinels *s)
{
    const struct redis_config config = {.url = s->list.places[s->next], .password = s->password};

    s->next = (s->next + 1) % s->list.n;
    s->left--;
    s->answer = (struct master){.epoch = -1};
    snprintf(s->trouble, sizeof s->trouble, "a sentinel does not answer");
    uv_timer_start(&s->timer, on_turn, SENTINEL_TIMEOUT_MS, 0);
    if (redis_link_new(s->loop, &config, &link_ops, s, &s->link) < 0)
        end_turn(s);
}

/* The question's end. */
static void tell(struct redis_sentinels *s, const struct master *m)
{
    s->open = false;
    if (m->host[0])
        s->epoch = m->epoch;
    s->fn(s->arg, m->host[0] ? m->host : NULL, m->port, s->trouble);
}

/* One has answered, or won't. */
static void on_turn(uv_timer_t *timer)
{
    struct redis_sentinels *s = timer->data;
    struct master m = s->answer;

    if (s->link)
        redis_link_free(TAKE_PTR(s->link));
    if (!m.host[0])
        s->all = false;
    else if (m.epoch >= s->epoch) {
        tell(s, &m);
        return;
    } else if (!s->best.host[0] || m.epoch > s->best.epoch) {
        s->best = m;
    }
    if (s->left > 0) {
        ask_next(s);
        return;
    }
    if (!s->all && s->best.host[0]) {
        s->best.host[0] = '\0';
        snprintf(s->trouble, sizeof s->trouble, "the sentinels that answer are cut off from the others");
    }
    tell(s, &s->best);
}

int redis_sentinels_new(uv_loop_t *loop, const struct redis_config *config, redis_master_fn *fn, void *arg,
                        struct redis_sentinels **ret)
{
    struct redis_sentinels *s = calloc(1, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    r = sentinels_parse(config->url, &s->list);
    if (r == 0 && (!(s->name = strdup(config->master)) || !(s->ports = strdup(config->ports)) ||
                   (config->sentinel_password && !(s->password = secret_copy(config->sentinel_password)))))
        r = -ENOMEM;
    if (r < 0) {
        free(s->name);
        free(s->ports);
        free(s);
        return r;
    }
    s->loop = loop;
    s->fn = fn;
    s->arg = arg;
    s->epoch = -1;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    *ret = s;
    return 0;
}

void redis_sentinels_ask(struct redis_sentinels *s)
{
    if (s->open)
        return;
    s->open = true;
    s->left = s->list.n;
    s->all = true;
    s->best = (struct master){.epoch = -1};
    ask_next(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_sentinels *s = handle->data;

    secret_free(s->password);
    free(s->name);
    free(s->ports);
    free(s);
}

void redis_sentinels_free(struct redis_sentinels *s)
{
    if (!s)
        return;
    if (s->link)
        redis_link_free(TAKE_PTR(s->link));
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
