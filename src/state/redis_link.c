/* Resolving, connecting, authenticating, and again when it breaks.
 *
 * A connection counts as up when Redis has answered a PING on it, not when connect(2) succeeds: a stopped or
 * loading server accepts connections too, and commands sent into it would each wait for their time-out.
 *
 * hiredis 0.14 tells of the end of a context in several ways, depending on how far it had come (an error in
 * the new context, the connect callback, the disconnect callback, none of them). The one thing that happens
 * every time is the clean-up of its event hooks, so that is where a lost connection is noticed, and neither
 * of the two callbacks is used. Hostnames are resolved here because redisAsyncConnect() would block on them.
 *
 * Where sentinels say who the master is, each attempt begins with asking them, and a server counts as up only
 * when it says itself (ROLE) that it is one. While it is up they are asked again from time to time: a master
 * that was cut off from the others goes on answering, and nothing else would tell that they have a new one.
 *
 * hiredis' own adapter for libuv is not used: it ignores errors of the poll, so it spins on a dead peer. */
#include "state/redis_link.h"

#include "core/secret.h"
#include "core/sentinels.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/redis.h"
#include "state/redis_sentinels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/un.h>

enum {
    DELAY_MIN_MS = 100,
    DELAY_MAX_MS = 5000,
    FAILOVER_DELAY_MAX_MS = 1000, /* where there are sentinels: another server is there soon */
    CHECK_MS = 2000,
};

struct redis_link {
    uv_loop_t *loop;
    char *host; /* or the path of the Unix socket; NULL: no sentinel has said it yet */
    int port;   /* 0: Unix socket */
    char *password;
    struct redis_sentinels *sentinels; /* NULL: the server is always the same */
    bool asking;                       /* them, for an attempt */
    const struct redis_link_ops *ops;
    void *arg;
    redisAsyncContext *ac; /* NULL between attempts */
    bool up, told_up;      /* usable; ops->up has been called and ops->down not yet */
    bool closing, resolving;
    int open_handles;
    uint64_t delay_ms;
    unsigned attempts; /* chooses among a name's addresses */
    uv_timer_t timer;  /* the next attempt, or the end of this one */
    uv_timer_t check;  /* runs while up: is it still the master? */
    uv_getaddrinfo_t resolve;
    char trouble[128];
};

/* The event hooks of one context; outlives it by the turn that closing takes. */
struct watch {
    struct redis_link *link;
    redisAsyncContext *ac; /* NULL once hiredis has let go */
    uv_poll_t poll;
    int events;
};

static void lost(struct redis_link *l);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;

    /* An error is left to read(2), which tells hiredis what it is. */
    if (status < 0)
        events = UV_READABLE;
    if (w->ac && (events & UV_READABLE))
        redisAsyncHandleRead(w->ac);
    if (w->ac && (events & UV_WRITABLE))
        redisAsyncHandleWrite(w->ac);
}

static void watch_set(struct watch *w, int events)
{
    if (!w->ac || events == w->events)
        return;
    w->events = events;
    if (events)
        uv_poll_start(&w->poll, events, on_poll);
    else
        uv_poll_stop(&w->poll);
}

static void add_read(void *arg)
{
    struct watch *w = arg;

    watch_set(w, w->events | UV_READABLE);
}

static void del_read(void *arg)
{
    struct watch *w = arg;

    watch_set(w, w->events & ~UV_READABLE);
}

static void add_write(void *arg)
{
    struct watch *w = arg;

    watch_set(w, w->events | UV_WRITABLE);
}

static void del_write(void *arg)
{
    struct watch *w = arg;

    watch_set(w, w->events & ~UV_WRITABLE);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void cleanup(void *arg)
{
    struct watch *w = arg;

    if (!w->ac)
        return;
    w->ac = NULL;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
    lost(w->link);
}

static int watch_context(struct redis_link *l, redisAsyncContext *ac)
{
    struct watch *w = calloc(1, sizeof *w);
    int r;

    if (!w)
        return -ENOMEM;
    r = uv_poll_init(l->loop, &w->poll, ac->c.fd);
    if (r < 0) {
        free(w);
        return r;
    }
    w->poll.data = w;
    w->link = l;
    w->ac = ac;
    ac->ev.data = w;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    return 0;
}

static void set_trouble(struct redis_link *l, const char *reason)
{
    char before[sizeof l->trouble];

    memcpy(before, l->trouble, sizeof before);
    snprintf(l->trouble, sizeof l->trouble, "%s", reason);
    if (!l->closing && l->ops->trouble && !str_eq(l->trouble, before))
        l->ops->trouble(l->arg, l->trouble);
}

static void finish(struct redis_link *l)
{
    if (!l->closing || l->open_handles > 0 || l->resolving || l->ac)
        return;
    free(l->host);
    secret_free(l->password);
    free(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct redis_link *l = handle->data;

    l->open_handles--;
    finish(l);
}

static void attempt(uv_timer_t *timer);

static void retry_later(struct redis_link *l)
{
    uint64_t max_ms = l->sentinels ? FAILOVER_DELAY_MAX_MS : DELAY_MAX_MS;

    uv_timer_start(&l->timer, attempt, l->delay_ms, 0);
    l->delay_ms = l->delay_ms * 2 < max_ms ? l->delay_ms * 2 : max_ms;
}

static void lost(struct redis_link *l)
{
    bool was_up = l->told_up;

    if (l->ac->err)
        set_trouble(l, l->ac->errstr);
    l->ac = NULL;
    l->up = l->told_up = false;
    if (l->closing) {
        finish(l);
        return;
    }
    uv_timer_stop(&l->check);
    retry_later(l);
    if (was_up)
        l->ops->down(l->arg);
}

static void on_handshake_late(uv_timer_t *timer)
{
    redis_link_drop(timer->data, "no answer");
}

static void on_check(uv_timer_t *timer)
{
    struct redis_link *l = timer->data;

    redis_sentinels_ask(l->sentinels);
}

/* ["master", …], or ["slave", …] of one that is to become one, or was. */
static void on_role(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_link *l = arg;

    if (data && ac == l->ac && !l->closing && !str_eq(redis_reply_str(redis_reply_at(data, 0)), "master"))
        redis_link_drop(l, "the server that the sentinels name is no master");
}

/* The reply to AUTH and to PING; NULL when the context ends. */
static void on_handshake(redisAsyncContext *ac, void *data, void *arg)
{
    struct redis_link *l = arg;
    const redisReply *reply = data;

    if (!reply || ac != l->ac || l->closing)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_link_drop(l, reply->str);
        return;
    }
    if (!str_eq(reply->str, "PONG"))
        return;
    uv_timer_stop(&l->timer);
    l->up = l->told_up = true;
    l->delay_ms = DELAY_MIN_MS;
    if (l->sentinels)
        uv_timer_start(&l->check, on_check, CHECK_MS, CHECK_MS);
    set_trouble(l, "");
    l->ops->up(l->arg);
}

/* Takes over a context whose connect(2) has begun, or not. */
static void begin(struct redis_link *l, redisAsyncContext *ac)
{
    if (!ac || ac->err || watch_context(l, ac) < 0) {
        set_trouble(l, ac && ac->err ? ac->errstr : strerror(ENOMEM));
        if (ac)
            redisAsyncFree(ac);
        retry_later(l);
        return;
    }
    l->ac = ac;
    /* hiredis makes its sockets without SOCK_CLOEXEC. */
    fcntl(ac->c.fd, F_SETFD, FD_CLOEXEC);
    if (l->port)
        redisEnableKeepAlive(&ac->c);
    uv_timer_start(&l->timer, on_handshake_late, REDIS_TIMEOUT_MS, 0);
    if (l->password) {
        const char *argv[] = {"AUTH", l->password};
        redisAsyncCommandArgv(ac, on_handshake, l, ARRAY_SIZE(argv), argv, NULL);
    }
    if (l->sentinels)
        redisAsyncCommand(ac, on_role, l, "ROLE");
    redisAsyncCommand(ac, on_handshake, l, "PING");
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct redis_link *l = resolve->data;
    const struct addrinfo *chosen = addresses;
    unsigned n = 0;
    char ip[64];

    l->resolving = false;
    if (l->closing) {
        uv_freeaddrinfo(addresses);
        finish(l);
        return;
    }
    if (status == 0) {
        for (const struct addrinfo *a = addresses; a; a = a->ai_next)
            n++;
        for (unsigned i = n ? l->attempts++ % n : 0; i > 0; i--)
            chosen = chosen->ai_next;
        status = chosen ? uv_ip_name(chosen->ai_addr, ip, sizeof ip) : UV_EAI_NONAME;
    }
    uv_freeaddrinfo(addresses);
    if (status == 0) {
        begin(l, redisAsyncConnect(ip, l->port));
    } else {
        set_trouble(l, uv_strerror(status));
        retry_later(l);
    }
}

/* To the host that is known. */
static void reach(struct redis_link *l)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int r;

    if (l->port == 0) {
        begin(l, redisAsyncConnectUnix(l->host));
        return;
    }
    l->resolve.data = l;
    r = uv_getaddrinfo(l->loop, &l->resolve, on_resolved, l->host, NULL, &hints);
    l->resolving = r == 0;
    if (r < 0) {
        set_trouble(l, uv_strerror(r));
        retry_later(l);
    }
}

static void attempt(uv_timer_t *timer)
{
    struct redis_link *l = timer->data;

    if (l->sentinels) {
        l->asking = true;
        redis_sentinels_ask(l->sentinels);
    } else {
        reach(l);
    }
}

/* Is it what we have? Nobody who answers is no reason to leave it. */
static void check(struct redis_link *l, const char *host, int port)
{
    if (host && !(str_eq(host, l->host) && port == l->port))
        redis_link_drop(l, "the sentinels name another master");
}

static void on_master(void *arg, const char *host, int port, const char *trouble)
{
    struct redis_link *l = arg;

    if (!l->asking) {
        check(l, host, port);
        return;
    }
    l->asking = false;
    if (!host) {
        set_trouble(l, trouble);
        retry_later(l);
        return;
    }
    free(l->host);
    l->host = xstrdup(host);
    l->port = port;
    reach(l);
}

/* unix:PATH, tcp:HOST:PORT or tcp:[IPv6]:PORT */
static int parse_url(const char *url, char **ret_host, int *ret_port)
{
    const char *colon, *host;
    uint64_t port = 0;
    size_t len;

    if (str_starts(url, "unix:")) {
        host = url + strlen("unix:");
        len = strlen(host);
        if (len >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            return -EINVAL;
    } else if (str_starts(url, "tcp:")) {
        host = url + strlen("tcp:");
        colon = strrchr(host, ':');
        if (!colon || str_to_u64(colon + 1, 1, 65535, &port) < 0)
            return -EINVAL;
        len = (size_t)(colon - host);
        if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
            host++;
            len -= 2;
        }
    } else {
        return -EINVAL;
    }
    if (len == 0)
        return -EINVAL;
    *ret_port = (int)port;
    *ret_host = strndup(host, len);
    return *ret_host ? 0 : -ENOMEM;
}

int redis_link_new(uv_loop_t *loop, const struct redis_config *config, const struct redis_link_ops *ops,
                   void *arg, struct redis_link **ret)
{
    const char *password = config->password;
    _cleanup_free_ struct redis_link *l = calloc(1, sizeof *l);
    int r;

    if (!l)
        return -ENOMEM;
    if (sentinels_meant(config->url))
        r = redis_sentinels_new(loop, config, on_master, l, &l->sentinels);
    else
        r = parse_url(config->url, &l->host, &l->port);
    if (r < 0)
        return r;
    if (password && *password && !(l->password = secret_copy(password))) {
        redis_sentinels_free(l->sentinels);
        free(l->host);
        return -ENOMEM;
    }
    l->loop = loop;
    l->ops = ops;
    l->arg = arg;
    l->delay_ms = DELAY_MIN_MS;
    strcpy(l->trouble, "not connected yet");
    uv_timer_init(loop, &l->timer);
    uv_timer_init(loop, &l->check);
    l->timer.data = l->check.data = l;
    l->open_handles = 2;
    uv_timer_start(&l->timer, attempt, 0, 0);
    *ret = TAKE_PTR(l);
    return 0;
}

void redis_link_free(struct redis_link *l)
{
    l->closing = true;
    l->up = false;
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    uv_close((uv_handle_t *)&l->check, on_timer_closed);
    redis_sentinels_free(TAKE_PTR(l->sentinels));
    if (l->resolving)
        uv_cancel((uv_req_t *)&l->resolve);
    if (l->ac)
        redisAsyncFree(l->ac);
}

redisAsyncContext *redis_link_context(const struct redis_link *l)
{
    return l->up ? l->ac : NULL;
}

void redis_link_drop(struct redis_link *l, const char *reason)
{
    if (!l->ac)
        return;
    set_trouble(l, reason);
    l->up = false;
    redisAsyncFree(l->ac); /* from within one of its callbacks: as soon as that has returned */
}

void redis_link_doubt(struct redis_link *l, const char *reason)
{
    if (l->sentinels)
        redis_link_drop(l, reason);
}

const char *redis_link_trouble(const struct redis_link *l)
{
    return l->trouble;
}
