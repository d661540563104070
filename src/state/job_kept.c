#include "state/job_kept.h"

#include "core/clock.h"
#include "core/xalloc.h"
#include "state/job.h"
#include "state/job_kept_forget.lua.h"
#include "state/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static struct redis_script forget_script = {.name = "job_kept_forget", .text = job_kept_forget_lua};

enum { MEMBER_LEN = ID_TOKEN_LEN + 1 + ID_UUID_LEN };

struct op {
    job_kept_fn *fn;
    void *arg;
};

static int parse(const char *member, struct job_kept *ret)
{
    if (!member || strlen(member) != MEMBER_LEN || member[ID_TOKEN_LEN] != '/')
        return -EPROTO;
    snprintf(ret->session_id, sizeof ret->session_id, "%.*s", ID_TOKEN_LEN, member);
    snprintf(ret->job_id, sizeof ret->job_id, "%s", member + ID_TOKEN_LEN + 1);
    return id_is_token(ret->session_id) && id_is_uuid(ret->job_id) ? 0 : -EPROTO;
}

static void on_due(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct job_kept jobs[JOB_KEPT_MAX];
    size_t n = 0;

    for (; err == 0 && n < JOB_KEPT_MAX && redis_reply_at(reply, n); n++)
        err = parse(redis_reply_str(redis_reply_at(reply, n)), &jobs[n]);
    op->fn(op->arg, err, jobs, err ? 0 : n);
}

void job_kept_due(struct redis *r, size_t skip, job_kept_fn *fn, void *arg)
{
    struct op *op = xmalloc(sizeof *op);
    char now[24], from[24], most[24];

    *op = (struct op){fn, arg};
    snprintf(now, sizeof now, "%" PRIu64, clock_real_ms());
    snprintf(from, sizeof from, "%zu", skip);
    snprintf(most, sizeof most, "%d", JOB_KEPT_MAX);
    redis_command(r, REDIS("ZRANGEBYSCORE", JOB_KEPT_KEY, "-inf", now, "LIMIT", from, most), on_due, op);
}

static const char *member_of(const struct job_kept *job, char ret[MEMBER_LEN + 1])
{
    snprintf(ret, MEMBER_LEN + 1, "%s/%s", job->session_id, job->job_id);
    return ret;
}

void job_kept_extend(struct redis *r, const struct job_kept *job, uint64_t keep_s, redis_reply_fn *fn,
                     void *arg)
{
    char member[MEMBER_LEN + 1], until[24];

    snprintf(until, sizeof until, "%" PRIu64, clock_real_ms() + keep_s * 1000);
    redis_command(r, REDIS("ZADD", JOB_KEPT_KEY, "XX", until, member_of(job, member)), fn, arg);
}

void job_kept_forget(struct redis *r, const struct job_kept *job, redis_reply_fn *fn, void *arg)
{
    char member[MEMBER_LEN + 1], session[SESSION_KEY_MAX], key[JOB_KEY_MAX];

    job_key(key, job->session_id, job->job_id);
    redis_eval(r, &forget_script, 3,
               REDIS(JOB_KEPT_KEY, session_key(session, job->session_id, ""), key, member_of(job, member)),
               fn, arg);
}
