#include "state/preview.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "state/keys.h"
#include "state/preview_take.lua.h"
#include "state/preview_want.lua.h"
#include "state/script.h"

#include <assert.h>
#include <errno.h>

#define TTL_MS "600000"

static struct redis_script want_script = {.name = "preview_want", .text = preview_want_lua},
                           take_script = {.name = "preview_take", .text = preview_take_lua};

static const char *const status_names[] = {
    [PREVIEW_WANTED] = "wanted",       [PREVIEW_QUEUED] = "queued", [PREVIEW_PROCESSING] = "processing",
    [PREVIEW_COMPLETED] = "completed", [PREVIEW_FAILED] = "failed", [PREVIEW_CANCELLED] = "cancelled",
};

const char *preview_status_name(enum preview_status status)
{
    assert((size_t)status < ARRAY_SIZE(status_names));
    return status_names[status];
}

unsigned preview_size(uint64_t size)
{
    static const unsigned sizes[] = {PREVIEW_SIZE_MAX, PREVIEW_SIZE_USUAL, 256, 128, PREVIEW_SIZE_MIN};

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        if (sizes[i] <= size)
            return sizes[i];
    return 0;
}

void preview_key(char ret[PREVIEW_KEY_MAX], const char *session_id, const char *result_id)
{
    snprintf(ret, PREVIEW_KEY_MAX, SESSION_KEY_PREFIX "%s:preview:%s", session_id, result_id);
}

void preview_crowd(char ret[PREVIEW_CROWD_MAX], const char *session_id)
{
    snprintf(ret, PREVIEW_CROWD_MAX, SESSION_KEY_PREFIX "%s:previewing", session_id);
}

struct op {
    preview_fn *fn;
    redis_reply_fn *reply_fn;
    void *arg;
};

static struct op *op_new(preview_fn *fn, redis_reply_fn *reply_fn, void *arg)
{
    struct op *op = xmalloc(sizeof *op);

    *op = (struct op){fn, reply_fn, arg};
    return op;
}

static int parse_status(const char *name, enum preview_status *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(status_names); i++)
        if (str_eq(name, status_names[i])) {
            *ret = (enum preview_status)i;
            return 0;
        }
    return -EPROTO;
}

static void on_wanted(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const char *code = redis_reply_str(redis_reply_at(reply, 2));
    enum preview_status status = PREVIEW_WANTED;

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        err = parse_status(redis_reply_str(redis_reply_at(reply, 1)), &status);
    op->fn(op->arg, err, status, code ? code : "");
}

void preview_want(struct redis *r, const char *session_id, const char *job_id, const char *result_id,
                  bool again, preview_fn *fn, void *arg)
{
    struct op *op = op_new(fn, NULL, arg);
    char session[SESSION_KEY_MAX], all[SESSION_KEY_MAX], key[PREVIEW_KEY_MAX], job[JOB_KEY_MAX];

    if (!id_is_token(session_id) || !id_is_uuid(job_id) || !id_is_uuid(result_id)) {
        redis_defer(r, -ENOENT, on_wanted, op);
        return;
    }
    preview_key(key, session_id, result_id);
    job_key(job, session_id, job_id);
    redis_eval(r, &want_script, 4,
               REDIS(session_key(session, session_id, ""), session_key(all, session_id, ":previews"), key,
                     job, TTL_MS, job_id, again ? "completed" : ""),
               on_wanted, op);
}

static void on_taken(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->reply_fn(op->arg, err ? err : script_code(reply), reply);
}

void preview_take(struct redis *r, const char *session_id, const char *result_id, const char *task_id,
                  const char *worker, redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(NULL, fn, arg);
    char session[SESSION_KEY_MAX], all[SESSION_KEY_MAX], key[PREVIEW_KEY_MAX];

    if (!id_is_token(session_id) || !id_is_uuid(result_id)) {
        redis_defer(r, -ENOENT, on_taken, op);
        return;
    }
    preview_key(key, session_id, result_id);
    redis_eval(r, &take_script, 3,
               REDIS(session_key(session, session_id, ""), session_key(all, session_id, ":previews"), key,
                     TTL_MS, worker, task_id),
               on_taken, op);
}
