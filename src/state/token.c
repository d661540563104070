#include "state/token.h"

#include "core/clock.h"
#include "core/str.h"
#include "state/job.h"
#include "state/keys.h"
#include "state/script.h"
#include "state/token_create.lua.h"
#include "state/token_load.lua.h"

#include <errno.h>
#include <inttypes.h>

static struct redis_script create_script = {.name = "token_create", .text = token_create_lua},
                           load_script = {.name = "token_load", .text = token_load_lua};

struct op {
    token_fn *fn;
    void *arg;
    char token[ID_TOKEN_LEN + 1], session_id[ID_TOKEN_LEN + 1], job_id[ID_UUID_LEN + 1];
    char filename[];
};

static struct op *op_new(token_fn *fn, void *arg, const char *filename)
{
    size_t size = strlen(filename) + 1;
    struct op *op = calloc(1, sizeof *op + size);

    if (!op)
        abort(); /* as redis.c does: no memory, no answer */
    op->fn = fn;
    op->arg = arg;
    memcpy(op->filename, filename, size);
    return op;
}

static const char *text(const char *s)
{
    return s ? s : "";
}

static void on_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct token t = {.token = op->token,
                      .session_id = op->session_id,
                      .job_id = op->job_id,
                      .file_path = text(redis_reply_str(redis_reply_at(reply, 1))),
                      .filename = op->filename,
                      .mime_type = text(redis_reply_str(redis_reply_at(reply, 2))),
                      .expires_at = text(redis_reply_str(redis_reply_at(reply, 3)))};

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && (!*t.file_path || !*t.mime_type || !*t.expires_at))
        err = -EPROTO;
    op->fn(op->arg, err, err ? NULL : &t);
}

void token_create(struct redis *r, const char *session_id, const char *job_id, const char *filename,
                  uint64_t ttl_s, token_fn *fn, void *arg)
{
    struct op *op = op_new(fn, arg, filename);
    uint64_t now = clock_real_ms(), expiry = now + ttl_s * 1000;
    char session[SESSION_KEY_MAX], tokens[SESSION_KEY_MAX], job[JOB_KEY_MAX], key[TOKEN_KEY_MAX];
    char now_ms[24], expiry_ms[24], expires_at[CLOCK_RFC3339_LEN + 1], max[24];

    if (!id_is_token(session_id) || !id_is_uuid(job_id)) {
        redis_defer(r, -ENOENT, on_created, op);
        return;
    }
    id_token(op->token);
    memcpy(op->session_id, session_id, sizeof op->session_id);
    memcpy(op->job_id, job_id, sizeof op->job_id);
    job_key(job, session_id, job_id);
    snprintf(now_ms, sizeof now_ms, "%" PRIu64, now);
    snprintf(expiry_ms, sizeof expiry_ms, "%" PRIu64, expiry);
    snprintf(max, sizeof max, "%d", TOKENS_MAX);
    clock_rfc3339(expiry, expires_at);
    redis_eval(r, &create_script, 4,
               REDIS(session_key(session, session_id, ""), job, session_key(tokens, session_id, ":tokens"),
                     token_key(key, op->token), op->token, session_id, job_id, filename, now_ms, expiry_ms,
                     expires_at, TOKEN_KEY_PREFIX, max),
               on_created, op);
}

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const redisReply *fields = redis_reply_at(reply, 1);
    struct token t = {.token = op->token,
                      .session_id = redis_reply_field(fields, "session_id"),
                      .job_id = redis_reply_field(fields, "job_id"),
                      .file_path = redis_reply_field(fields, "file_path"),
                      .filename = text(redis_reply_field(fields, "filename")),
                      .mime_type = text(redis_reply_field(fields, "mime_type")),
                      .expires_at = text(redis_reply_field(fields, "expires_at"))};

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && (!id_is_token(t.session_id) || !id_is_uuid(t.job_id) || !t.file_path || !*t.file_path))
        err = -ENOENT;
    op->fn(op->arg, err, err ? NULL : &t);
}

void token_load(struct redis *r, const char *token, token_fn *fn, void *arg)
{
    struct op *op = op_new(fn, arg, "");
    char key[TOKEN_KEY_MAX];

    if (!id_is_token(token)) {
        redis_defer(r, -ENOENT, on_loaded, op);
        return;
    }
    memcpy(op->token, token, sizeof op->token);
    redis_eval(r, &load_script, 1, REDIS(token_key(key, token), SESSION_KEY_PREFIX, ":jobs:"), on_loaded, op);
}
