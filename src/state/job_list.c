#include "state/job_list.h"

#include "core/str.h"
#include "state/job_fields.h"
#include "state/job_list.lua.h"
#include "state/keys.h"
#include "state/script.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

static struct redis_script list_script = {.name = "job_list", .text = job_list_lua};

struct op {
    job_list_fn *fn;
    void *arg;
    size_t n;
    struct job_cursor next;
    struct job jobs[JOB_LIST_MAX];
};

static int parse(struct op *op, const redisReply *list)
{
    const redisReply *item;

    while ((item = redis_reply_at(list, op->n))) {
        const char *score = redis_reply_str(redis_reply_at(item, 0));
        struct job *job = &op->jobs[op->n];

        if (op->n == JOB_LIST_MAX || !score || str_to_u64(score, 0, UINT64_MAX, &op->next.created_ms) < 0 ||
            job_parse(job, JOB_SHOWN, item, 1) < 0 || !id_is_uuid(job->job_id))
            return -EPROTO;
        memcpy(op->next.job_id, job->job_id, sizeof op->next.job_id);
        op->n++;
        if (op->n == JOB_LIST_MAX)
            break;
    }
    return 0;
}

static void on_listed(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        err = parse(op, redis_reply_at(reply, 1));
    op->fn(op->arg, err, op->jobs, err ? 0 : op->n, &op->next);
}

void job_list(struct redis *r, const char *session_id, const struct job_cursor *from, size_t n,
              job_list_fn *fn, void *arg)
{
    struct op *op = calloc(1, sizeof *op);
    char jobs[SESSION_KEY_MAX], prefix[SESSION_KEY_MAX], most[24], score[24] = "+inf";
    const char *argv[5 + JOB_FIELDS_MAX + 1] = {0};

    assert(n <= JOB_LIST_MAX);
    if (!op)
        abort(); /* as redis.c does: no memory, no answer */
    op->fn = fn;
    op->arg = arg;
    if (*from->job_id)
        snprintf(score, sizeof score, "%" PRIu64, from->created_ms);
    snprintf(most, sizeof most, "%zu", n);
    argv[0] = session_key(jobs, session_id, ":jobs");
    argv[1] = session_key(prefix, session_id, ":jobs:");
    argv[2] = most;
    argv[3] = score;
    argv[4] = from->job_id;
    job_fields(JOB_SHOWN, argv + 5);
    redis_eval(r, &list_script, 1, argv, on_listed, op);
}
