#include "state/result.h"

#include "core/xalloc.h"
#include "state/keys.h"
#include "state/result_find.lua.h"
#include "state/result_note.lua.h"
#include "state/result_reuse.lua.h"
#include "state/script.h"
#include "state/stored.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { NUMBER_MAX = 24, FIELDS_MAX = 64 };

static struct redis_script find_script = {.name = "result_find", .text = result_find_lua},
                           note_script = {.name = "result_note", .text = result_note_lua},
                           reuse_script = {.name = "result_reuse", .text = result_reuse_lua};

struct op {
    result_find_fn *find_fn;
    redis_reply_fn *fn;
    void *arg;
};

static struct op *op_new(result_find_fn *find_fn, redis_reply_fn *fn, void *arg)
{
    struct op *op = xmalloc(sizeof *op);

    *op = (struct op){find_fn, fn, arg};
    return op;
}

static const char *number(char ret[NUMBER_MAX], uint64_t value)
{
    snprintf(ret, NUMBER_MAX, "%" PRIu64, value);
    return ret;
}

static void on_found(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const char *job_id = NULL;

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        job_id = redis_reply_str(redis_reply_at(reply, 1));
    if (err == 0 && !job_id)
        err = -EPROTO;
    op->find_fn(op->arg, err, job_id);
}

void result_find(struct redis *r, const char *session_id, const char *fingerprint, uint64_t max_age_s,
                 result_find_fn *fn, void *arg)
{
    char results[SESSION_KEY_MAX], made[SESSION_KEY_MAX], age[NUMBER_MAX];

    redis_eval(r, &find_script, 2,
               REDIS(session_key(results, session_id, ":results"), session_key(made, session_id, ":made"),
                     fingerprint, number(age, max_age_s * 1000)),
               on_found, op_new(fn, NULL, arg));
}

void result_note(struct redis *r, const char *session_id, const char *fingerprint, const char *job_id,
                 uint64_t max_age_s)
{
    char session[SESSION_KEY_MAX], results[SESSION_KEY_MAX], made[SESSION_KEY_MAX], age[NUMBER_MAX],
        most[NUMBER_MAX];

    redis_eval(r, &note_script, 3,
               REDIS(session_key(session, session_id, ""), session_key(results, session_id, ":results"),
                     session_key(made, session_id, ":made"), fingerprint, job_id,
                     number(age, max_age_s * 1000), number(most, RESULT_MOST)),
               NULL, NULL);
}

static void on_reused(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->fn(op->arg, err ? err : script_code(reply), reply);
}

void result_reuse(struct redis *r, const struct result_copy *copy, redis_reply_fn *fn, void *arg)
{
    char session[SESSION_KEY_MAX], job[JOB_KEY_MAX], source[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX];
    char size[NUMBER_MAX], session_max[NUMBER_MAX], all_max[NUMBER_MAX];
    const char *argv[11 + FIELDS_MAX + 1] = {
        session_key(session, copy->session_id, ""),
        job,
        source,
        STORED_KEY,
        STORED_SUM_KEY,
        copy->path,
        copy->session_id,
        number(size, copy->size),
        number(session_max, copy->quota->session_bytes),
        number(all_max, copy->quota->all_bytes),
        channel,
    };

    job_key(job, copy->session_id, copy->job_id);
    job_key(source, copy->session_id, copy->source);
    snprintf(channel, sizeof channel, JOB_CHANNEL_PREFIX "%s", copy->job_id);
    for (size_t i = 0; copy->fields[i]; i++) {
        assert(i < FIELDS_MAX);
        argv[11 + i] = copy->fields[i];
    }
    redis_eval(r, &reuse_script, 5, argv, on_reused, op_new(NULL, fn, arg));
}
