#include "state/session.h"

#include "core/clock.h"
#include "core/outcome.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/job.h"
#include "state/job_fields.h"
#include "state/job_kept.h"
#include "state/keys.h"
#include "state/preview.h"
#include "state/script.h"
#include "state/session_begin_close.lua.h"
#include "state/session_create.lua.h"
#include "state/session_finish_close.lua.h"
#include "state/session_kept.lua.h"
#include "state/session_presence.lua.h"
#include "state/session_running.lua.h"
#include "state/stored.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

static struct redis_script create_script = {.name = "session_create", .text = session_create_lua},
                           begin_close_script = {.name = "session_begin_close",
                                                 .text = session_begin_close_lua},
                           running_script = {.name = "session_running", .text = session_running_lua},
                           finish_close_script = {.name = "session_finish_close",
                                                  .text = session_finish_close_lua},
                           presence_script = {.name = "session_presence", .text = session_presence_lua},
                           kept_script = {.name = "session_kept", .text = session_kept_lua};

struct op {
    union {
        session_fn *session;
        session_closing_fn *closing;
    } fn;
    void *arg;
    struct session session;
};

static struct op *op_new(void *arg)
{
    struct op *op = xcalloc(1, sizeof *op);

    op->arg = arg;
    return op;
}

static void on_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->fn.session(op->arg, err ? err : script_code(reply), &op->session);
}

void session_create(struct redis *r, uint64_t ttl_s, const char *account, const char *login, const char *plan,
                    session_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    struct session *s = &op->session;
    uint64_t now = clock_real_ms(), expiry = now + ttl_s * 1000;
    char key[SESSION_KEY_MAX], expiry_ms[24];

    op->fn.session = fn;
    id_token(s->id);
    id_token(s->csrf_token);
    clock_rfc3339(now, s->created_at);
    clock_rfc3339(expiry, s->expires_at);
    snprintf(s->account, sizeof s->account, "%s", account);
    snprintf(s->login, sizeof s->login, "%s", login);
    snprintf(expiry_ms, sizeof expiry_ms, "%" PRIu64, expiry);
    redis_eval(r, &create_script, 1,
               REDIS(session_key(key, s->id, ""), expiry_ms, "csrf_token", s->csrf_token, "created_at",
                     s->created_at, "expires_at", s->expires_at, "plan", plan, *account ? "account" : NULL,
                     account, "login", login),
               on_created, op);
}

static int take_text(char *ret, size_t size, const redisReply *reply)
{
    const char *s = redis_reply_str(reply);

    return s && (size_t)snprintf(ret, size, "%s", s) < size ? 0 : -ENOENT;
}

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct session *s = &op->session;

    /* An empty one would be matched by an empty header. */
    if (err == 0 && (take_text(s->csrf_token, sizeof s->csrf_token, redis_reply_at(reply, 0)) < 0 ||
                     !id_is_token(s->csrf_token) ||
                     take_text(s->created_at, sizeof s->created_at, redis_reply_at(reply, 1)) < 0 ||
                     take_text(s->expires_at, sizeof s->expires_at, redis_reply_at(reply, 2)) < 0))
        err = -ENOENT;
    if (err == 0 && redis_reply_str(redis_reply_at(reply, 3)) &&
        (take_text(s->account, sizeof s->account, redis_reply_at(reply, 3)) < 0 ||
         take_text(s->login, sizeof s->login, redis_reply_at(reply, 4)) < 0))
        err = -ENOENT;
    op->fn.session(op->arg, err, err ? NULL : s);
}

static void load(struct redis *r, const char *id, const char *what, session_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char key[SESSION_KEY_MAX];

    op->fn.session = fn;
    if (!id_is_token(id)) {
        redis_defer(r, -ENOENT, on_loaded, op);
        return;
    }
    memcpy(op->session.id, id, sizeof op->session.id);
    redis_command(r,
                  REDIS("HMGET", session_key(key, id, what), "csrf_token", "created_at", "expires_at",
                        "account", "login"),
                  on_loaded, op);
}

void session_load(struct redis *r, const char *id, session_fn *fn, void *arg)
{
    load(r, id, "", fn, arg);
}

void session_load_closing(struct redis *r, const char *id, session_fn *fn, void *arg)
{
    load(r, id, ":closing", fn, arg);
}

static void on_counted(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    long long running = redis_reply_int(redis_reply_at(reply, 1));

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && (running < 0 || running > UINT_MAX))
        err = -EPROTO; /* no answer must not look like "none": the files would go while a worker writes */
    op->fn.closing(op->arg, err, err == 0 ? (unsigned)running : 0);
}

static struct op *closing_op(session_closing_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.closing = fn;
    return op;
}

void session_open_key(char ret[SESSION_OPEN_KEY_MAX], const char *session_id)
{
    snprintf(ret, SESSION_OPEN_KEY_MAX, SESSION_KEY_PREFIX "%s", session_id);
}

void session_begin_close(struct redis *r, const char *id, session_closing_fn *fn, void *arg)
{
    struct op *op = closing_op(fn, arg);
    char session[SESSION_KEY_MAX], jobs[SESSION_KEY_MAX], tokens[SESSION_KEY_MAX], prefix[SESSION_KEY_MAX];
    char closing[SESSION_KEY_MAX], previews[SESSION_KEY_MAX], channel[SESSION_CHANNEL_MAX],
        now[CLOCK_RFC3339_LEN + 1];

    if (!id_is_token(id)) {
        redis_defer(r, -ENOENT, on_counted, op);
        return;
    }
    clock_rfc3339(clock_real_ms(), now);
    session_channel(channel, id);
    redis_eval(r, &begin_close_script, 5,
               REDIS(session_key(session, id, ""), session_key(jobs, id, ":jobs"),
                     session_key(tokens, id, ":tokens"), session_key(closing, id, ":closing"),
                     session_key(previews, id, ":previews"), session_key(prefix, id, ":jobs:"),
                     TOKEN_KEY_PREFIX, JOB_CHANNEL_PREFIX, JOB_STOP_CHANNEL, now,
                     outcome_code(OUTCOME_CANCELLED), outcome_sentence(OUTCOME_CANCELLED), channel,
                     PREVIEW_CHANNEL_PREFIX),
               on_counted, op);
}

void session_running(struct redis *r, const char *id, session_closing_fn *fn, void *arg)
{
    struct op *op = closing_op(fn, arg);
    char jobs[SESSION_KEY_MAX], previews[SESSION_KEY_MAX], prefix[SESSION_KEY_MAX];

    if (!id_is_token(id)) {
        redis_defer(r, -ENOENT, on_counted, op);
        return;
    }
    redis_eval(r, &running_script, 2,
               REDIS(session_key(jobs, id, ":jobs"), session_key(previews, id, ":previews"),
                     session_key(prefix, id, ":jobs:")),
               on_counted, op);
}

void session_finish_close(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    char session[SESSION_KEY_MAX], jobs[SESSION_KEY_MAX], tokens[SESSION_KEY_MAX], prefix[SESSION_KEY_MAX];
    char closing[SESSION_KEY_MAX], events[SESSION_KEY_MAX], waiting[SESSION_KEY_MAX];
    char previewing[SESSION_KEY_MAX], previews[SESSION_KEY_MAX];
    char answers[SESSION_KEY_MAX], answered[SESSION_KEY_MAX], results[SESSION_KEY_MAX], made[SESSION_KEY_MAX];
    char numbers[SESSION_KEY_MAX], gone[SESSION_KEY_MAX];
    char partials[SESSION_KEY_MAX], partial_prefix[SESSION_KEY_MAX], refused[SESSION_KEY_MAX];

    if (!id_is_token(id)) {
        redis_defer(r, -ENOENT, fn, arg);
        return;
    }
    redis_eval(r, &finish_close_script, 22,
               REDIS(session_key(session, id, ""), session_key(jobs, id, ":jobs"),
                     session_key(tokens, id, ":tokens"), session_key(closing, id, ":closing"),
                     session_key(events, id, ":events"), session_key(waiting, id, ":waiting"),
                     session_key(previewing, id, ":previewing"), session_key(previews, id, ":previews"),
                     STORED_KEY, STORED_SUM_KEY, STORED_EXPIRY_KEY, session_key(answers, id, ":answers"),
                     session_key(answered, id, ":answered"), session_key(results, id, ":results"),
                     session_key(made, id, ":made"), JOB_KEPT_KEY, session_key(numbers, id, ":numbers"),
                     session_key(gone, id, ":gone"), session_key(partials, id, ":files"),
                     session_key(refused, id, ":refused"), WEBHOOK_DUE_KEY, WEBHOOK_ALL_KEY,
                     session_key(prefix, id, ":jobs:"), TOKEN_KEY_PREFIX, id,
                     session_key(partial_prefix, id, ":files:"), WEBHOOK_KEY_PREFIX),
               fn, arg);
}

struct presence_op {
    session_presence_fn *fn;
    void *arg;
    size_t n;
    enum session_presence presence[SESSION_PRESENCE_MAX];
};

static void on_presence(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct presence_op *op = arg;

    for (size_t i = 0; i < op->n && err == 0; i++) {
        long long answer = redis_reply_int(redis_reply_at(reply, i));

        /* No answer must not look like "gone": its files would be removed. */
        if (answer < SESSION_GONE || answer > SESSION_CLOSING)
            err = -EPROTO;
        else
            op->presence[i] = (enum session_presence)answer;
    }
    op->fn(op->arg, err, op->presence);
}

void session_presence(struct redis *r, const char (*ids)[ID_TOKEN_LEN + 1], size_t n, session_presence_fn *fn,
                      void *arg)
{
    const char *argv[2 + SESSION_PRESENCE_MAX + 1] = {SESSION_KEY_PREFIX, ":closing"};
    struct presence_op *op = calloc(1, sizeof *op);

    assert(n <= SESSION_PRESENCE_MAX);
    if (!op)
        abort();
    *op = (struct presence_op){.fn = fn, .arg = arg, .n = n};
    for (size_t i = 0; i < n; i++)
        argv[2 + i] = ids[i];
    redis_eval(r, &presence_script, 0, argv, on_presence, op);
}

void session_kept(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    char jobs[SESSION_KEY_MAX], partials[SESSION_KEY_MAX], prefix[SESSION_KEY_MAX];

    redis_eval(r, &kept_script, 4,
               REDIS(session_key(jobs, id, ":jobs"), session_key(partials, id, ":files"), STORED_KEY,
                     STORED_SUM_KEY, session_key(prefix, id, ":files:"), id),
               fn, arg);
}
