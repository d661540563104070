#include "state/partial.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "state/job_create.h"
#include "state/keys.h"
#include "state/partial_end.lua.h"
#include "state/partial_find.lua.h"
#include "state/partial_prove.lua.h"
#include "state/script.h"
#include "state/stored.h"

#include <errno.h>
#include <inttypes.h>

enum { NUMBER_MAX = 24, REFUSAL_MAX = 1024 };

static struct redis_script find_script = {.name = "partial_find", .text = partial_find_lua},
                           prove_script = {.name = "partial_prove", .text = partial_prove_lua},
                           end_script = {.name = "partial_end", .text = partial_end_lua};

struct op {
    union {
        partial_fn *found;
        partial_created_fn *created;
        redis_reply_fn *done;
    } fn;
    void *arg;
};

static struct op *op_new(void *arg)
{
    struct op *op = xcalloc(1, sizeof *op);

    op->arg = arg;
    return op;
}

static void on_done(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->fn.done(op->arg, err ? err : script_code(reply), reply);
}

static struct op *done_op(redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.done = fn;
    return op;
}

static const char *number_text(char ret[NUMBER_MAX], uint64_t number)
{
    snprintf(ret, NUMBER_MAX, "%" PRIu64, number);
    return ret;
}

/* --- announcing one */

static void on_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const char *expires = redis_reply_str(redis_reply_at(reply, 1));
    uint64_t expires_ms = 0;

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && (!expires || str_to_u64(expires, 0, UINT64_MAX, &expires_ms) < 0))
        err = -EPROTO;
    op->fn.created(op->arg, err, expires_ms);
}

void partial_create(struct redis *r, const struct partial *p, const struct job_quota *quota,
                    partial_created_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char length[NUMBER_MAX];
    const char *const pairs[] = {"filename",    p->filename,    "format",     p->format,
                                 "stored_path", p->stored_path, "created_at", p->created_at,
                                 "metadata",    p->metadata,    "length",     number_text(length, p->length),
                                 NULL};

    op->fn.created = fn;
    job_create_eval(r,
                    &(struct job_create){.session_id = p->session_id,
                                         .id = p->id,
                                         .wanted = "partial",
                                         .size = p->length,
                                         .score_ms = p->expires_ms,
                                         .quota = quota,
                                         .pairs = pairs},
                    on_created, op);
}

/* --- finding one */

static int take_fields(const redisReply *fields, struct partial *ret)
{
    const char *length = redis_reply_field(fields, "length"),
               *expires = redis_reply_field(fields, "expires_ms"),
               *proved = redis_reply_field(fields, "proved");

    *ret = (struct partial){.filename = redis_reply_field(fields, "filename"),
                            .format = redis_reply_field(fields, "format"),
                            .stored_path = redis_reply_field(fields, "stored_path"),
                            .created_at = redis_reply_field(fields, "created_at"),
                            .metadata = redis_reply_field(fields, "metadata"),
                            .proved = PARTIAL_PROVED};
    if (!ret->filename || !ret->format || !ret->stored_path || !ret->created_at || !ret->metadata ||
        !length || !expires || str_to_u64(length, 0, UINT64_MAX, &ret->length) < 0 ||
        str_to_u64(expires, 0, UINT64_MAX, &ret->expires_ms) < 0)
        return -EPROTO;
    return proved && *proved ? str_to_u64(proved, 0, UINT64_MAX, &ret->proved) : 0;
}

/* "LENGTH CODE SENTENCE", in `text`, which is cut. */
static int take_refusal(char *text, struct partial *ret)
{
    const char *length = strsep(&text, " "), *code = strsep(&text, " ");

    if (!text || str_to_u64(length, 0, UINT64_MAX, &ret->length) < 0)
        return -EPROTO;
    ret->code = code;
    ret->detail = text;
    return -ECANCELED;
}

static void on_found(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct partial p = {0};
    char refusal[REFUSAL_MAX];

    if (err == 0)
        err = script_code(reply);
    if (err == 0) {
        err = take_fields(redis_reply_at(reply, 1), &p);
    } else if (err == -ECANCELED) {
        const char *text = redis_reply_str(redis_reply_at(reply, 1));

        snprintf(refusal, sizeof refusal, "%s", text ? text : "");
        err = take_refusal(refusal, &p);
    }
    op->fn.found(op->arg, err, &p);
}

void partial_find(struct redis *r, const char *session_id, const char *id, const char *word, partial_fn *fn,
                  void *arg)
{
    struct op *op = op_new(arg);
    char partial[PARTIAL_KEY_MAX], job[JOB_KEY_MAX], refused[SESSION_KEY_MAX], channel[JOB_CHANNEL_MAX];

    op->fn.found = fn;
    if (!id_is_token(session_id) || !id_is_uuid(id)) {
        redis_defer(r, -ENOENT, on_found, op);
        return;
    }
    job_key(job, session_id, id);
    job_channel(channel, id);
    redis_eval(r, &find_script, 3,
               REDIS(partial_key(partial, session_id, id), job, session_key(refused, session_id, ":refused"),
                     id, channel, word ? word : ""),
               on_found, op);
}

/* --- changing one that was found */

void partial_set_proved(struct redis *r, const char *session_id, const char *id, uint64_t proved,
                        redis_reply_fn *fn, void *arg)
{
    struct op *op = done_op(fn, arg);
    char key[PARTIAL_KEY_MAX], number[NUMBER_MAX];

    redis_eval(
        r, &prove_script, 1,
        REDIS(partial_key(key, session_id, id), proved == PARTIAL_PROVED ? "" : number_text(number, proved)),
        on_done, op);
}

void partial_end(struct redis *r, const char *session_id, const char *id, uint64_t length, const char *code,
                 const char *detail, redis_reply_fn *fn, void *arg)
{
    struct op *op = done_op(fn, arg);
    char partial[PARTIAL_KEY_MAX], partials[SESSION_KEY_MAX], refused[SESSION_KEY_MAX],
        session[SESSION_KEY_MAX], refusal[REFUSAL_MAX] = "";

    if (code)
        snprintf(refusal, sizeof refusal, "%" PRIu64 " %s %s", length, code, detail);
    redis_eval(r, &end_script, 6,
               REDIS(partial_key(partial, session_id, id), session_key(partials, session_id, ":files"),
                     STORED_KEY, STORED_SUM_KEY, session_key(refused, session_id, ":refused"),
                     session_key(session, session_id, ""), id, session_id, refusal),
               on_done, op);
}
