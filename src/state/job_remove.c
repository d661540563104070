#include "state/job_remove.h"

#include "core/xalloc.h"
#include "state/job_kept.h"
#include "state/job_remove.lua.h"
#include "state/keys.h"
#include "state/preview.h"
#include "state/script.h"
#include "state/stored.h"

#include <errno.h>
#include <stdlib.h>

#define TOLD_FOR_MS "3600000"

static struct redis_script script = {.name = "job_remove", .text = job_remove_lua};

struct op {
    job_remove_fn *fn;
    void *arg;
};

static void on_removed(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const char *task_id = redis_reply_str(redis_reply_at(reply, 1));

    op->fn(op->arg, err ? err : script_code(reply), task_id ? task_id : "");
}

void job_remove(struct redis *r, const struct job_removal *removal, job_remove_fn *fn, void *arg)
{
    const char *sid = removal->session_id, *jid = removal->job_id;
    char key[JOB_KEY_MAX], jobs[SESSION_KEY_MAX], tokens[SESSION_KEY_MAX], events[SESSION_KEY_MAX];
    char waiting[SESSION_KEY_MAX], previewing[SESSION_KEY_MAX], previews[SESSION_KEY_MAX];
    char numbers[SESSION_KEY_MAX], gone[SESSION_KEY_MAX], preview[PREVIEW_KEY_MAX], channel[JOB_CHANNEL_MAX];
    struct op *op = xmalloc(sizeof *op);

    *op = (struct op){fn, arg};
    if (!id_is_token(sid) || !id_is_uuid(jid)) {
        redis_defer(r, -ENOENT, on_removed, op);
        return;
    }
    job_key(key, sid, jid);
    snprintf(channel, sizeof channel, JOB_CHANNEL_PREFIX "%s", jid);
    preview_key(preview, sid, "");
    redis_eval(r, &script, 14,
               REDIS(key, session_key(jobs, sid, ":jobs"), session_key(tokens, sid, ":tokens"),
                     session_key(events, sid, ":events"), session_key(waiting, sid, ":waiting"),
                     session_key(previewing, sid, ":previewing"), session_key(previews, sid, ":previews"),
                     STORED_KEY, STORED_SUM_KEY, JOB_KEPT_KEY, session_key(numbers, sid, ":numbers"),
                     session_key(gone, sid, ":gone"), WEBHOOK_DUE_KEY, WEBHOOK_ALL_KEY, sid, jid,
                     removal->again ? "again" : "", removal->held ? "held" : "", TOKEN_KEY_PREFIX, channel,
                     JOB_STOP_CHANNEL, PREVIEW_CHANNEL_PREFIX, TOLD_FOR_MS, preview,
                     removal->expired ? "expired" : "", WEBHOOK_KEY_PREFIX),
               on_removed, op);
}
