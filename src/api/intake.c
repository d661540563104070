#include "api/intake.h"

#include "api/metrics.h"
#include "core/log.h"
#include "engine/catalogue.h"

#include <errno.h>

void intake_begin(struct intake *in, struct api_call *call, bool sent)
{
    in->api = call->api;
    in->call = call;
    in->client = &call->client;
    in->sent = sent;
    in->file.fd = -1;
}

bool intake_take_slot(struct intake *in)
{
    int r = slots_take(in->api->uploads, in->client);

    in->has_slot = r == 0;
    if (r < 0)
        intake_fail(in, API_RATE_LIMITED,
                    r == -EDQUOT ? "This session or address sends as many files at once as it may."
                                 : "Too many files are being sent just now. Try again in a moment.");
    return r == 0;
}

void intake_let_go(struct intake *in)
{
    storage_upload_abort(in->api->storage, &in->file);
    if (in->has_slot)
        slots_release(in->api->uploads, in->client);
    in->has_slot = false;
}

void intake_fail(struct intake *in, enum api_error error, const char *detail)
{
    intake_let_go(in);
    api_fail(TAKE_PTR(in->call), error, detail);
}

void intake_fail_disk(struct intake *in, int r)
{
    struct http_request *req = in->call->req;

    if (r == -ENOSPC || r == -EDQUOT) {
        intake_fail(in, API_STORAGE_FULL, "The server has no room for this file just now.");
        return;
    }
    log_error("upload not stored", LOG_S("request_id", http_request_id(req)),
              LOG_S("trace_id", http_request_trace(req)->id), LOG_E(r));
    intake_fail(in, API_INTERNAL, "The server could not store the file.");
}

void intake_abandon(struct intake *in)
{
    intake_let_go(in);
    api_abandon(TAKE_PTR(in->call));
}

struct job_quota intake_quota(const struct intake *in)
{
    const struct settings *s = in->api->settings;

    return (struct job_quota){
        .jobs = s->max_jobs, .session_bytes = s->session_quota_bytes, .all_bytes = s->storage_quota_bytes};
}

static void reply(struct intake *in)
{
    struct api_call *call = TAKE_PTR(in->call);

    intake_let_go(in);
    if (in->sent)
        metrics_upload(in->api->metrics, in->format, in->size);
    api_reply_json(call, 201,
                   json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:o}", "job_id", in->job_id,
                             "original_filename", in->filename, "size", (json_int_t)in->size, "mime_type",
                             in->mime, "format", in->format->id, "status", job_status_name(JOB_UPLOADED),
                             "created_at", in->created_at, "targets", catalogue_targets(in->format)));
}

void intake_fail_job(struct intake *in, int err)
{
    if (err == -ENOENT)
        intake_fail(in, API_SESSION_REQUIRED, "The session has ended.");
    else if (err == -EDQUOT)
        intake_fail(in, API_RATE_LIMITED, "This session holds as many files as it may.");
    else if (err == -EFBIG)
        intake_fail(in, API_STORAGE_FULL,
                    "This session holds as many bytes as it may; close it to begin anew.");
    else if (err == -ENOBUFS)
        intake_fail(in, API_STORAGE_FULL, "The server has no room for this file just now.");
    else
        intake_fail(in, API_UNAVAILABLE,
                    "The server can't reach its database just now. Try again in a moment.");
}

static void on_job_created(void *arg, int err, const struct job *job)
{
    struct intake *in = arg;
    const char *session_id = in->call->session.id;

    if (err == 0) {
        reply(in);
        return;
    }
    if (err == -ENOENT)
        storage_remove_session(in->api->storage, session_id); /* it was closed meanwhile */
    else
        storage_remove_job(in->api->storage, session_id, in->job_id);
    intake_fail_job(in, err);
}

static void create_job(struct intake *in)
{
    struct job job = {
        .job_id = in->job_id,
        .session_id = in->call->session.id,
        .original_filename = in->filename,
        .source_format = in->format->id,
        .target_format = "",
        .mime_type = in->mime,
        .sha256 = in->hash,
        .size = in->size,
        .stored_path = in->stored_path,
        .status = JOB_UPLOADED,
        .created_at = in->created_at,
        .queue_ms = JOB_UNKNOWN,
        .duration_ms = JOB_UNKNOWN,
    };
    const struct job_quota quota = intake_quota(in);

    job_create(in->api->redis, &job, &quota, on_job_created, in);
}

void intake_store(struct intake *in)
{
    int r;

    id_uuid(in->job_id);
    clock_rfc3339(clock_real_ms(), in->created_at);
    r = storage_upload_commit(in->api->storage, &in->file, in->call->session.id, in->job_id, in->format->id,
                              in->stored_path);
    if (r < 0)
        intake_fail_disk(in, r);
    else
        create_job(in);
}
