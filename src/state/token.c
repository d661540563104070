#include "state/token.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/account_fields.h"
#include "state/job.h"
#include "state/keys.h"
#include "state/script.h"
#include "state/token_create.lua.h"
#include "state/token_load.lua.h"
#include "state/token_load_archive.lua.h"

#include <errno.h>
#include <inttypes.h>

static struct redis_script create_script = {.name = "token_create", .text = token_create_lua},
                           load_script = {.name = "token_load", .text = token_load_lua},
                           load_archive_script = {.name = "token_load_archive",
                                                  .text = token_load_archive_lua};

struct op {
    token_fn *fn;
    void *arg;
    char token[ID_TOKEN_LEN + 1], session_id[ID_TOKEN_LEN + 1], job_id[ID_UUID_LEN + 1];
    char filename[];
};

static struct op *op_new(token_fn *fn, void *arg, const char *filename)
{
    size_t size = strlen(filename) + 1;
    struct op *op = xcalloc(1, sizeof *op + size);

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
                      .expires_at = text(redis_reply_str(redis_reply_at(reply, 1))),
                      .file_path = text(redis_reply_str(redis_reply_at(reply, 2))),
                      .mime_type = text(redis_reply_str(redis_reply_at(reply, 3))),
                      .filename = op->filename};

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && (!*t.file_path || !*t.mime_type || !*t.expires_at))
        err = -EPROTO;
    op->fn(op->arg, err, err ? NULL : &t);
}

enum { CREATE_KEYS = 3, CREATE_ARGS = 9 };

/* `ret_token` receives the new token. All ids are of the right form. */
static void create(struct redis *r, const char *session_id, const char *const job_ids[], size_t n,
                   const char *filename, const char *kind, uint64_t ttl_s, char ret_token[ID_TOKEN_LEN + 1],
                   redis_reply_fn *fn, void *arg)
{
    uint64_t now = clock_real_ms(), expiry = now + ttl_s * 1000;
    char session[SESSION_KEY_MAX], tokens[SESSION_KEY_MAX], key[TOKEN_KEY_MAX];
    char now_ms[24], expiry_ms[24], expires_at[CLOCK_RFC3339_LEN + 1], max[24];
    char jobs[TOKEN_RESULTS_MAX][JOB_KEY_MAX];
    const char *argv[CREATE_KEYS + CREATE_ARGS + 2 * TOKEN_RESULTS_MAX + 1], **p = argv;

    id_token(ret_token);
    snprintf(now_ms, sizeof now_ms, "%" PRIu64, now);
    snprintf(expiry_ms, sizeof expiry_ms, "%" PRIu64, expiry);
    snprintf(max, sizeof max, "%d", TOKENS_MAX);
    clock_rfc3339(expiry, expires_at);

    *p++ = session_key(session, session_id, "");
    *p++ = session_key(tokens, session_id, ":tokens");
    *p++ = token_key(key, ret_token);
    for (size_t i = 0; i < n; i++) {
        job_key(jobs[i], session_id, job_ids[i]);
        *p++ = jobs[i];
    }
    p = mempcpy(
        p, REDIS(ret_token, session_id, now_ms, expiry_ms, expires_at, TOKEN_KEY_PREFIX, max, filename, kind),
        CREATE_ARGS * sizeof *p);
    p = mempcpy(p, job_ids, n * sizeof *p);
    *p = NULL;
    redis_eval(r, &create_script, CREATE_KEYS + n, argv, fn, arg);
}

void token_create(struct redis *r, const char *session_id, const char *job_id, const char *filename,
                  uint64_t ttl_s, token_fn *fn, void *arg)
{
    struct op *op = op_new(fn, arg, filename);

    if (!id_is_token(session_id) || !id_is_uuid(job_id)) {
        redis_defer(r, -ENOENT, on_created, op);
        return;
    }
    memcpy(op->session_id, session_id, sizeof op->session_id);
    memcpy(op->job_id, job_id, sizeof op->job_id);
    create(r, session_id, &job_id, 1, filename, "", ttl_s, op->token, on_created, op);
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
    redis_eval(r, &load_script, 1,
               REDIS(token_key(key, token), SESSION_KEY_PREFIX, ":jobs:", ACCOUNT_KEY_PREFIX), on_loaded, op);
}

/* --- of many results */

struct archive_op {
    token_archive_fn *fn;
    void *arg;
    size_t bad; /* the index of an id of a wrong form */
    char token[ID_TOKEN_LEN + 1];
};

static struct archive_op *archive_op_new(token_archive_fn *fn, void *arg)
{
    struct archive_op *op = xcalloc(1, sizeof *op);

    op->fn = fn;
    op->arg = arg;
    return op;
}

static void on_archive_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct archive_op *op = arg;
    struct token_archive t = {.token = op->token,
                              .expires_at = text(redis_reply_str(redis_reply_at(reply, 1)))};
    long long job = redis_reply_int(redis_reply_at(reply, 1));

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && !*t.expires_at)
        err = -EPROTO;
    op->fn(op->arg, err, job >= 0 ? (size_t)job : op->bad, err ? NULL : &t);
}

void token_create_archive(struct redis *r, const char *session_id, const char *const job_ids[], size_t n,
                          const char *filename, uint64_t ttl_s, token_archive_fn *fn, void *arg)
{
    struct archive_op *op = archive_op_new(fn, arg);
    bool valid = id_is_token(session_id);

    if (n == 0 || n > TOKEN_RESULTS_MAX)
        abort();
    for (size_t i = 0; valid && i < n; i++) {
        valid = id_is_uuid(job_ids[i]);
        op->bad = i;
    }
    if (valid)
        create(r, session_id, job_ids, n, filename, "archive", ttl_s, op->token, on_archive_created, op);
    else
        redis_defer(r, -ENOENT, on_archive_created, op);
}

/* False: it is none. */
static bool read_result(const redisReply *reply, struct token_result *ret)
{
    *ret = (struct token_result){.job_id = redis_reply_str(redis_reply_at(reply, 0)),
                                 .file_path = redis_reply_str(redis_reply_at(reply, 1)),
                                 .original_filename = text(redis_reply_str(redis_reply_at(reply, 2)))};
    return id_is_uuid(ret->job_id) && ret->file_path && *ret->file_path;
}

static void on_archive_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct archive_op *op = arg;
    const redisReply *found = redis_reply_at(reply, 3);
    struct token_result results[TOKEN_RESULTS_MAX];
    struct token_archive t = {.token = op->token,
                              .session_id = redis_reply_str(redis_reply_at(reply, 1)),
                              .filename = text(redis_reply_str(redis_reply_at(reply, 2))),
                              .expires_at = "",
                              .results = results};

    if (err == 0)
        err = script_code(reply);
    if (err == 0 &&
        (!id_is_token(t.session_id) || !redis_reply_at(found, 0) || redis_reply_at(found, TOKEN_RESULTS_MAX)))
        err = -ENOENT;
    for (const redisReply *item; err == 0 && (item = redis_reply_at(found, t.n)); t.n++)
        if (!read_result(item, &results[t.n]))
            err = -ENOENT;
    op->fn(op->arg, err, 0, err ? NULL : &t);
}

void token_load_archive(struct redis *r, const char *token, token_archive_fn *fn, void *arg)
{
    struct archive_op *op = archive_op_new(fn, arg);
    char key[TOKEN_KEY_MAX];

    if (!id_is_token(token)) {
        redis_defer(r, -ENOENT, on_archive_loaded, op);
        return;
    }
    memcpy(op->token, token, sizeof op->token);
    redis_eval(r, &load_archive_script, 1,
               REDIS(token_key(key, token), SESSION_KEY_PREFIX, ":jobs:", ACCOUNT_KEY_PREFIX),
               on_archive_loaded, op);
}
