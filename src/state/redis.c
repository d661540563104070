/* Commands over one connection.
 *
 * Every command is a struct request, in one of two lists until its callback has been called: `sent`, in the
 * order of sending, which is the order of the answers; or `failed`, whose callbacks an idle handle calls in
 * the next turn. hiredis' callbacks without a reply arrive while it takes its context apart, so they only
 * move requests to `failed`: users' code never runs in the middle of that.
 *
 * Scripts: nothing here computes SHA-1, so the first use of a script sends it whole and asks SCRIPT LOAD for
 * its name. The arguments are kept with the request, to send it whole again after NOSCRIPT (Redis was
 * restarted, or its scripts flushed). */
#include "state/redis.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/redis_link.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

enum { GRACE_MS = 100 };

struct request {
    struct request *next;
    struct redis *redis; /* NULL: was answered when the connection was freed; hiredis still knows it */
    redis_reply_fn *fn;
    void *arg;
    int err;
    uint64_t sent_us;
    uint64_t deadline; /* on the loop's clock */
    /* for scripts only: what it takes to send it whole */
    struct redis_script *script;
    size_t n_args;
    size_t lens[]; /* then the arguments' bytes: number of keys, keys, the rest */
};

struct list {
    struct request *first, **end;
};

struct redis {
    uv_loop_t *loop;
    struct redis_link *link;
    struct list sent, failed;
    uint64_t answers, answers_before; /* all so far; at the time a request was first found late */
    uv_timer_t timer;                 /* runs to the first deadline, or an earlier time */
    uv_idle_t idle;                   /* runs while `failed` has some */
    int open_handles;
    bool closing;
    struct redis_stats *stats; /* NULL: nobody counts */
    redis_trouble_fn *trouble_fn;
    void *trouble_arg;
};

/* From 50 µs: a Unix socket takes less than a tenth of a millisecond. */
const struct histogram_scale redis_scale = {
    .unit = 1e-6,
    .n_bounds = 14,
    .bounds = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000},
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void list_add(struct list *l, struct request *q)
{
    q->next = NULL;
    *l->end = q;
    l->end = &q->next;
}

static struct request *list_take(struct list *l)
{
    struct request *q = l->first;

    if (q && !(l->first = q->next))
        l->end = &l->first;
    return q;
}

static void finish(struct request *q, int err, const redisReply *reply)
{
    if (q->fn)
        q->fn(q->arg, err, reply);
    free(q);
}

static void on_idle(uv_idle_t *idle)
{
    struct redis *r = idle->data;
    struct request *q;
    size_t n = 0;

    /* Only those of this turn: a callback that tries again at once must not keep the loop from turning. */
    for (q = r->failed.first; q; q = q->next)
        n++;
    while (n-- > 0 && (q = list_take(&r->failed)))
        finish(q, q->err, NULL);
    if (!r->closing && !r->failed.first)
        uv_idle_stop(&r->idle);
}

static void fail(struct request *q, int err)
{
    struct redis *r = q->redis;

    q->err = err;
    if (r->stats && (err == -ENOTCONN || err == -ETIMEDOUT))
        counter_add(&r->stats->failed, 1);
    list_add(&r->failed, q);
    if (!r->closing)
        uv_idle_start(&r->idle, on_idle);
}

/* What an error reply means for the caller. */
static const struct {
    const char *prefix;
    int err;
    bool no_master; /* who says it is a replica, or about to be one */
} error_replies[] = {
    {"OOM ", -ENOSPC, false},          {"LOADING ", -ENOTCONN, true},      {"MASTERDOWN ", -ENOTCONN, true},
    {"READONLY ", -ENOTCONN, true},    {"MISCONF ", -ENOTCONN, false},     {"BUSY ", -ENOTCONN, false},
    {"NOREPLICAS ", -ENOTCONN, false}, {"CLUSTERDOWN ", -ENOTCONN, false}, {"TRYAGAIN ", -ENOTCONN, false},
};

static int reply_error(struct redis *r, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(error_replies); i++)
        if (str_starts(reply->str, error_replies[i].prefix)) {
            if (error_replies[i].no_master)
                redis_link_doubt(r->link, reply->str);
            return error_replies[i].err;
        }
    return -EPROTO;
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    uint64_t now = uv_now(r->loop);

    if (!r->sent.first)
        return;
    if (now < r->sent.first->deadline) {
        uv_timer_start(&r->timer, on_timer, r->sent.first->deadline - now, 0);
    } else if (r->answers != r->answers_before) {
        /* Late; but this process may have been stopped, with the answer in the socket, or the server be busy
         * with those before. So long as answers come, wait. */
        r->answers_before = r->answers;
        uv_timer_start(&r->timer, on_timer, GRACE_MS, 0);
    } else {
        redis_link_drop(r->link, "no answer");
    }
}

static void on_reply(redisAsyncContext *ac, void *data, void *arg);

/* Sends; -ENOTCONN when that is not possible now. */
static int send_request(struct request *q, size_t argc, const char *const argv[], const size_t lens[])
{
    struct redis *r = q->redis;
    redisAsyncContext *ac = redis_link_context(r->link);

    if (!ac || r->closing ||
        redisAsyncCommandArgv(ac, on_reply, q, (int)argc, (const char **)argv, lens) != REDIS_OK)
        return -ENOTCONN;
    q->deadline = uv_now(r->loop) + REDIS_TIMEOUT_MS;
    q->sent_us = r->stats ? clock_mono_us() : 0;
    list_add(&r->sent, q);
    if (!uv_is_active((uv_handle_t *)&r->timer))
        uv_timer_start(&r->timer, on_timer, REDIS_TIMEOUT_MS, 0);
    return 0;
}

static pthread_mutex_t scripts_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_script_loaded(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_script *script = arg;
    const char *sha1 = redis_reply_str(data);

    if (!sha1 || strlen(sha1) != sizeof script->sha1 - 1)
        return; /* the next use asks again */
    pthread_mutex_lock(&scripts_lock);
    if (!atomic_load(&script->known)) {
        memcpy(script->sha1, sha1, sizeof script->sha1);
        atomic_store(&script->known, true);
    }
    pthread_mutex_unlock(&scripts_lock);
}

/* Sends EVALSHA, or EVAL when `whole` or when the hash is not known yet. */
static int send_script(struct request *q, bool whole)
{
    struct redis_script *script = q->script;
    redisAsyncContext *ac = redis_link_context(q->redis->link);
    const char *bytes = (const char *)(q->lens + q->n_args);
    size_t argc = q->n_args + 2;
    _cleanup_free_ const char **argv = xcalloc(argc, sizeof *argv + sizeof(size_t));
    size_t *lens;

    lens = (size_t *)(argv + argc);
    if (!atomic_load(&script->known)) {
        whole = true;
        if (ac)
            redisAsyncCommand(ac, on_script_loaded, script, "SCRIPT LOAD %s", script->text);
    }
    argv[0] = whole ? "EVAL" : "EVALSHA";
    argv[1] = whole ? script->text : script->sha1;
    lens[0] = strlen(argv[0]);
    lens[1] = strlen(argv[1]);
    for (size_t i = 0; i < q->n_args; i++) {
        argv[i + 2] = bytes;
        lens[i + 2] = q->lens[i];
        bytes += q->lens[i];
    }
    return send_request(q, argc, argv, lens);
}

static void on_reply(redisAsyncContext *ac, void *data, void *arg)
{
    struct request *q = arg;
    struct redis *r = q->redis;
    const redisReply *reply = data;

    if (!r) {
        free(q);
        return;
    }
    assert(r->sent.first == q);
    list_take(&r->sent);
    if (!reply) {
        fail(q, q->deadline <= uv_now(r->loop) ? -ETIMEDOUT : -ENOTCONN);
        return;
    }
    r->answers++;
    if (r->stats && q->sent_us)
        histogram_observe(&r->stats->round_trips, &redis_scale, clock_mono_us() - q->sent_us);
    if (q->script && reply->type == REDIS_REPLY_ERROR && str_starts(reply->str, "NOSCRIPT ")) {
        if (send_script(q, true) < 0)
            fail(q, -ENOTCONN);
        return;
    }
    finish(q, reply_error(r, reply), reply);
}

/* Memory for a request is a few hundred bytes; without those no answer of any kind could be given. */
static struct request *request_new(struct redis *r, size_t extra, redis_reply_fn *fn, void *arg)
{
    struct request *q = xcalloc(1, sizeof *q + extra);

    q->redis = r;
    q->fn = fn;
    q->arg = arg;
    return q;
}

static size_t count(const char *const argv[])
{
    size_t n = 0;

    while (argv[n])
        n++;
    return n;
}

void redis_command(struct redis *r, const char *const argv[], redis_reply_fn *fn, void *arg)
{
    struct request *q = request_new(r, 0, fn, arg);

    if (send_request(q, count(argv), argv, NULL) < 0)
        fail(q, -ENOTCONN);
}

void redis_defer(struct redis *r, int err, redis_reply_fn *fn, void *arg)
{
    fail(request_new(r, 0, fn, arg), err);
}

void redis_eval(struct redis *r, struct redis_script *script, size_t n_keys, const char *const argv[],
                redis_reply_fn *fn, void *arg)
{
    char keys[24];
    size_t n = count(argv), bytes = 0;
    struct request *q;
    char *p;

    snprintf(keys, sizeof keys, "%zu", n_keys);
    for (size_t i = 0; i < n; i++)
        bytes += strlen(argv[i]);
    q = request_new(r, (n + 1) * sizeof q->lens[0] + strlen(keys) + bytes, fn, arg);
    q->script = script;
    q->n_args = n + 1;
    p = (char *)(q->lens + q->n_args);
    for (size_t i = 0; i <= n; i++) {
        const char *s = i == 0 ? keys : argv[i - 1];
        q->lens[i] = strlen(s);
        p = mempcpy(p, s, q->lens[i]);
    }
    if (send_script(q, false) < 0)
        fail(q, -ENOTCONN);
}

static void on_link(void *arg)
{
}

static void on_trouble(void *arg, const char *trouble)
{
    struct redis *r = arg;

    if (r->trouble_fn)
        r->trouble_fn(r->trouble_arg, trouble);
}

static const struct redis_link_ops link_ops = {.up = on_link, .down = on_link, .trouble = on_trouble};

int redis_new(uv_loop_t *loop, const struct redis_config *config, struct redis **ret)
{
    _cleanup_free_ struct redis *r = calloc(1, sizeof *r);
    int err;

    if (!r)
        return -ENOMEM;
    err = redis_link_new(loop, config, &link_ops, r, &r->link);
    if (err < 0)
        return err;
    r->loop = loop;
    list_init(&r->sent);
    list_init(&r->failed);
    r->answers_before = UINT64_MAX;
    uv_timer_init(loop, &r->timer);
    uv_idle_init(loop, &r->idle);
    r->timer.data = r->idle.data = r;
    r->open_handles = 2;
    *ret = TAKE_PTR(r);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct redis *r = handle->data;

    if (--r->open_handles == 0)
        free(r);
}

void redis_free(struct redis *r)
{
    struct request *q;

    if (!r)
        return;
    r->closing = true;
    uv_close((uv_handle_t *)&r->timer, on_closed);
    uv_close((uv_handle_t *)&r->idle, on_closed);
    while ((q = list_take(&r->sent))) {
        q->redis = NULL;
        if (q->fn)
            q->fn(q->arg, -ENOTCONN, NULL);
    }
    while ((q = list_take(&r->failed)))
        finish(q, q->err, NULL);
    redis_link_free(r->link);
}

void redis_measure(struct redis *r, struct redis_stats *stats)
{
    r->stats = stats;
}

bool redis_connected(const struct redis *r)
{
    return redis_link_context(r->link) != NULL;
}

const char *redis_trouble(const struct redis *r)
{
    return redis_link_trouble(r->link);
}

void redis_on_trouble(struct redis *r, redis_trouble_fn *fn, void *arg)
{
    r->trouble_fn = fn;
    r->trouble_arg = arg;
}
