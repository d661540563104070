/* POST /download_token, GET /download and GET /v1/jobs/{id}/result. */
#include "api/download.h"

#include "api/body.h"
#include "api/failure.h"
#include "api/metrics.h"
#include "core/clock.h"
#include "core/str.h"
#include "format/filename.h"
#include "state/token.h"

#include <errno.h>
#include <sys/stat.h>

/* --- POST /download_token */

struct token_request {
    struct api_call *call;
    struct body body;
};

static void token_request_release(void *arg)
{
    body_free(&((struct token_request *)arg)->body);
}

static void reply_token(struct api_call *call, const char *path, const char *token, const char *expires_at)
{
    api_reply_json(call, 201,
                   json_pack("{s:s, s:s++, s:s}", "token", token, "url", call->api->settings->download_origin,
                             path, token, "expires_at", expires_at));
}

static void on_token_made(void *arg, int err, const struct token *token)
{
    struct api_call *call = arg;

    if (err == -EBUSY)
        api_fail(call, API_WRONG_STATE, "There is no result to download: the job is not completed.");
    else if (err < 0)
        api_fail_state(call, err);
    else
        reply_token(call, "/download?token=", token->token, token->expires_at);
}

void download_name(const struct job *job, char ret[FILENAME_MAX_BYTES + 1])
{
    filename_replace_extension(job->original_filename, job_output_extension(job), ret);
}

static void on_job_to_download(void *arg, int err, const struct job *job)
{
    struct token_request *t = arg;
    struct api *api = t->call->api;
    char name[FILENAME_MAX_BYTES + 1];

    if (err < 0) {
        api_fail_state(t->call, err);
        return;
    }
    if (job->status != JOB_COMPLETED) {
        on_token_made(t->call, -EBUSY, NULL);
        return;
    }
    download_name(job, name);
    token_create(api->redis, t->call->session.id, t->body.job_id, name, api->settings->token_ttl_s,
                 on_token_made, t->call);
}

static void on_archive_token_made(void *arg, int err, size_t job, const struct token_archive *archive)
{
    struct api_call *call = arg;
    char detail[128];

    if (err == -EBUSY) {
        snprintf(detail, sizeof detail, "job_ids[%zu] has no result to download: the job is not completed.",
                 job);
        api_fail(call, API_WRONG_STATE, detail);
    } else if (err == -ENOENT) {
        snprintf(detail, sizeof detail, "job_ids[%zu] is no job of this session.", job);
        api_fail(call, API_JOB_NOT_FOUND, detail);
    } else if (err < 0) {
        api_fail_state(call, err);
    } else {
        reply_token(call, "/download/archive?token=", archive->token, archive->expires_at);
    }
}

void download_archive_name(unsigned part, char ret[DOWNLOAD_ARCHIVE_NAME_MAX])
{
    char now[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(clock_real_ms(), now);
    if (part > 0)
        snprintf(ret, DOWNLOAD_ARCHIVE_NAME_MAX, "decant-%.10s-%u.zip", now, part);
    else
        snprintf(ret, DOWNLOAD_ARCHIVE_NAME_MAX, "decant-%.10s.zip", now);
}

static void make_archive_token(struct token_request *t)
{
    _Static_assert((int)TOKEN_RESULTS_MAX == (int)BODY_JOBS_MAX, "one request names what one token holds");
    struct api *api = t->call->api;
    const char *ids[BODY_JOBS_MAX];
    char filename[DOWNLOAD_ARCHIVE_NAME_MAX];
    const json_t *id;
    size_t i;

    json_array_foreach(t->body.job_ids, i, id) ids[i] = json_string_value(id);
    download_archive_name(t->body.part, filename);
    token_create_archive(api->redis, t->call->session.id, ids, json_array_size(t->body.job_ids), filename,
                         api->settings->token_ttl_s, on_archive_token_made, t->call);
}

void api_download_token(struct api_call *call)
{
    struct token_request *t = http_request_alloc(call->req, sizeof *t);
    size_t len;
    const char *text = http_request_body(call->req, &len), *why;

    t->call = call;
    if (body_read_download_token(text, len, &t->body, &why) < 0) {
        api_fail(call, API_BAD_REQUEST, why);
        return;
    }
    http_request_on_end(call->req, token_request_release, t);
    if (t->body.job_ids)
        make_archive_token(t);
    else
        job_load(call->api->redis, call->session.id, t->body.job_id, on_job_to_download, t);
}

/* --- GET /download */

void download_fail_token(struct api_call *call)
{
    api_fail(call, API_TOKEN_INVALID, "This download link is unknown or has expired. Ask for a new one.");
}

void download_headers(struct api_call *call, const char *filename)
{
    char disposition[FILENAME_DISPOSITION_MAX];

    filename_disposition(filename, disposition);
    http_reply_header(call->req, "Content-Disposition", disposition);
    http_reply_header(call->req, "Content-Security-Policy", "default-src 'none'; sandbox");
    http_reply_header(call->req, "Cache-Control", "private, no-store");
}

struct sending {
    struct api_call *call;
    uint64_t accel_bytes; /* nginx sends them */
};

/* What broke off is not counted, as nobody knows how much of it was sent. */
static void on_sent(void *arg)
{
    struct sending *s = arg;
    const struct http_request *req = s->call->req;

    if (!http_request_gone(req) && str_eq(http_request_method(req), "GET"))
        metrics_download(s->call->api->metrics,
                         s->accel_bytes ? s->accel_bytes : http_request_answer_bytes(req));
}

static void count_when_sent(struct api_call *call, int fd, bool by_nginx)
{
    struct sending *s = http_request_alloc(call->req, sizeof *s);
    struct stat st;

    s->call = call;
    if (by_nginx && fstat(fd, &st) == 0)
        s->accel_bytes = (uint64_t)st.st_size;
    http_request_on_end(call->req, on_sent, s);
}

bool download_send(struct api_call *call, const struct download *d)
{
    char path[STORAGE_PATH_MAX];
    /* Also for nginx, which would follow where this does not go. */
    _cleanup_close_ int fd =
        storage_open_result(call->api->storage, d->session_id, d->job_id, d->file_path, path);

    if (fd < 0)
        return false;
    download_headers(call, d->filename);
    count_when_sent(call, fd, *call->api->settings->accel_prefix && !d->ourselves);
    if (d->ourselves)
        api_reply_file(call, d->mime_type, TAKE_FD(fd));
    else
        api_reply_stored(call, d->mime_type, TAKE_FD(fd), path);
    return true;
}

static void on_token(void *arg, int err, const struct token *token)
{
    struct api_call *call = arg;

    if (err == -ENOENT) {
        download_fail_token(call);
        return;
    }
    if (err < 0) {
        api_fail_state(call, err);
        return;
    }

    const struct download d = {.session_id = token->session_id,
                               .job_id = token->job_id,
                               .file_path = token->file_path,
                               .filename = token->filename,
                               .mime_type = token->mime_type};

    if (!download_send(call, &d))
        download_fail_token(call);
}

void api_download(struct api_call *call)
{
    const char *token = http_request_query(call->req, "token");

    if (token)
        token_load(call->api->redis, token, on_token, call);
    else
        api_fail(call, API_BAD_REQUEST, "The parameter \"token\" is missing.");
}

/* --- GET /v1/jobs/{id}/result */

static void on_job_with_result(void *arg, int err, const struct job *job)
{
    struct api_call *call = arg;
    char name[FILENAME_MAX_BYTES + 1];

    if (err < 0) {
        api_fail_state(call, err);
        return;
    }
    if (job->status != JOB_COMPLETED && job_status_is_final(job->status)) {
        api_fail_as(call, failure_info(job->error_code), job->error_message);
        return;
    }
    if (job->status != JOB_COMPLETED) {
        api_fail(call, API_WRONG_STATE, "There is no result yet: the job is not completed.");
        return;
    }

    const struct download d = {.session_id = call->session.id,
                               .job_id = job->job_id,
                               .file_path = job->converted_path,
                               .filename = name,
                               .mime_type = job->output_mime_type};

    download_name(job, name);
    if (!download_send(call, &d))
        api_fail(call, API_WRONG_STATE, "The result of this job is no longer stored.");
}

void api_result(struct api_call *call)
{
    job_load_shown(call->api->redis, call->session.id, http_request_param(call->req), on_job_with_result,
                   call);
}
