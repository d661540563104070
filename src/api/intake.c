#include "api/intake.h"

#include "api/metrics.h"
#include "core/log.h"
#include "core/path.h"
#include "engine/catalogue.h"

#include <errno.h>

/* The disk's reserve is looked after when so much has been written. */
enum { RESERVE_STEP = 1024 * 1024 };

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

int intake_write(struct intake *in, const void *data, size_t len)
{
    uint64_t end = in->size + len;
    int r = end >= in->reserve_due ? storage_keeps(in->api->storage, in->api->settings->reserve_bytes) : 0;

    if (end >= in->reserve_due)
        in->reserve_due = end + RESERVE_STEP;
    if (r == 0)
        r = path_write(in->file.fd, in->size, data, len);
    if (r == 0)
        in->size = end;
    return r;
}

/* In this order: of a file that did not get through to a file server no more can be read than what did. */
int intake_check(struct intake *in)
{
    int r = storage_upload_send(&in->file);

    return r < 0 ? r : sniff_check(in->api->sniffer, in->file.fd, in->format, in->mime);
}

void intake_set_hash(struct intake *in, struct sha256_ctx *sha256)
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_digest(sha256, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        sprintf(in->hash + 2 * i, "%02x", digest[i]);
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
    const struct plan *plan = in->call->plan;
    uint64_t usual_s = *in->call->account.id ? plan->retention_s : 0;

    return (struct job_quota){.jobs = plan->max_jobs,
                              .session_bytes = plan->stored_bytes,
                              .all_bytes = in->api->settings->storage_quota_bytes,
                              .keep_s = in->keep_s ? in->keep_s : usual_s};
}

json_t *intake_describe(const struct job *job)
{
    const struct format *format = format_by_id(job->source_format);

    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:o}", "job_id", job->job_id, "original_filename",
                     job->original_filename, "size", (json_int_t)job->size, "mime_type", job->mime_type,
                     "format", job->source_format, "status", job_status_name(job->status), "created_at",
                     job->created_at, "targets", format ? catalogue_targets(format) : json_array());
}

static struct job job_of(const struct intake *in)
{
    return (struct job){
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
}

json_t *intake_describe_new(const struct intake *in)
{
    const struct job job = job_of(in);

    return intake_describe(&job);
}

static void reply(struct intake *in)
{
    json_t *json = intake_describe_new(in);

    intake_let_go(in);
    if (in->sent)
        metrics_upload(in->api->metrics, in->format, in->size);
    api_reply_json(TAKE_PTR(in->call), 201, json);
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
    const struct job job = job_of(in);
    const struct job_quota quota = intake_quota(in);

    job_create(in->api->redis, &job, &quota, on_job_created, in);
}

void intake_store_arrived(struct intake *in, job_fn *fn, void *arg)
{
    const struct job job = job_of(in);

    job_create_arrived(in->api->redis, &job, intake_quota(in).keep_s, fn, arg);
}

static void on_session_looked_for(void *arg, int err, const struct job *job)
{
    struct intake *in = arg;

    if (err == -ENOENT)
        intake_fail_job(in, err);
    else
        intake_fail_disk(in, -ENOENT);
}

/* A folder that goes while the file comes into it: that of a session which is being closed, most likely. */
static void look_for_session(struct intake *in)
{
    const struct job_quota quota = intake_quota(in);

    job_look_for_room(in->api->redis, in->call->session.id, 0, &quota, on_session_looked_for, in);
}

void intake_store(struct intake *in)
{
    int r;

    id_uuid(in->job_id);
    clock_rfc3339(clock_real_ms(), in->created_at);
    r = storage_upload_commit(in->api->storage, &in->file, in->call->session.id, in->job_id, in->format->id,
                              in->stored_path);
    if (r == -ENOENT)
        look_for_session(in);
    else if (r < 0)
        intake_fail_disk(in, r);
    else
        create_job(in);
}
