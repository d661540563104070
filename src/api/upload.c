/* POST /upload: a multipart body streamed into an unnamed file, counted and hashed on the way, which gets its
 * name only when it is whole and is what it says. Whatever goes wrong before leaves nothing behind. */
#include "api/api.h"

#include "api/filename.h"
#include "api/metrics.h"
#include "core/clock.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "http/multipart.h"

#include <errno.h>
#include <nettle/sha2.h>

/* The disk's reserve is looked after when so much has been written. */
enum { RESERVE_STEP = 1024 * 1024 };

struct upload {
    struct api *api;
    struct api_call *call;             /* NULL once the call has been answered */
    const struct client_names *client; /* who has taken a slot; lives as long as the request */
    bool has_slot;
    bool whole;           /* the body has ended: what is left to do will answer */
    uv_work_t work;       /* the file's way to the storage, and a look at its type: both may take long */
    bool checking, ended; /* it is at work; the request ended meanwhile */
    int checked;          /* what it found */
    struct multipart *parser;
    struct storage_upload file;
    struct sha256_ctx sha256;
    const struct format *format;
    uint64_t size, reserve_due; /* the latter: size at which to look after the reserve */
    bool in_file, have_file;
    enum api_error error; /* why the parser was stopped, when `detail` is set */
    const char *detail;

    char filename[FILENAME_MAX_BYTES + 1];
    char job_id[ID_UUID_LEN + 1], hash[2 * SHA256_DIGEST_SIZE + 1];
    char mime[SNIFF_MIME_MAX], stored_path[STORAGE_PATH_MAX], created_at[CLOCK_RFC3339_LEN + 1];
};

/* What an upload holds of the server's. It has to be given back before the answer leaves: who sends one file
 * after the other would else meet its own limit. But a client that leaves while its file is checked gives
 * nothing back before that has ended: it could have any number of files in the making, and of checks waiting.
 */
static void let_go(struct upload *u)
{
    storage_upload_abort(u->api->storage, &u->file);
    if (u->has_slot)
        slots_release(u->api->uploads, u->client);
    u->has_slot = false;
}

static void upload_fail(struct upload *u, enum api_error error, const char *detail)
{
    let_go(u);
    api_fail(TAKE_PTR(u->call), error, detail);
}

static int refuse(struct upload *u, enum api_error error, const char *detail)
{
    u->error = error;
    u->detail = detail;
    return -ECANCELED;
}

/* --- the parts of the form */

static int begin_file(struct upload *u, const struct multipart_part *part)
{
    const struct settings *s = u->api->settings;
    int64_t announced = http_request_content_length(u->call->req);
    int r;

    if (u->have_file)
        return refuse(u, API_BAD_REQUEST, "Send one file in each request.");
    if (!part->filename || !*part->filename) /* empty: what browsers send when no file was chosen */
        return refuse(u, API_BAD_REQUEST, "The form field \"file\" has to be a file with a name.");
    filename_clean(part->filename, u->filename);
    u->format = format_by_name(u->filename);
    if (!u->format || !catalogue_accepts(u->format))
        return refuse(u, API_UNSUPPORTED_TYPE,
                      "Files with this extension can't be converted; GET /formats lists what can.");
    r = storage_upload_begin(u->api->storage, announced > 0 ? (uint64_t)announced : 0, s->reserve_bytes,
                             &u->file);
    if (r == -ENOSPC || r == -EDQUOT)
        return refuse(u, API_STORAGE_FULL, "The server has no room for this file just now.");
    if (r < 0) {
        log_error("upload not begun", LOG_S("request_id", http_request_id(u->call->req)),
                  LOG_S("trace_id", http_request_trace(u->call->req)->id), LOG_E(r));
        return refuse(u, API_INTERNAL, "The server could not store the file.");
    }
    sha256_init(&u->sha256);
    u->in_file = u->have_file = true;
    return 0;
}

/* Other fields are read over, as form handlers do. */
static int on_part_begin(void *arg, const struct multipart_part *part)
{
    struct upload *u = arg;

    return str_eq(part->name, "file") ? begin_file(u, part) : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int on_part_data(void *arg, const void *data, size_t len)
{
    struct upload *u = arg;
    int r;

    if (!u->in_file)
        return 0;
    u->size += len;
    if (u->size > u->api->settings->max_upload_bytes)
        return refuse(u, API_TOO_LARGE, "The file is larger than this server takes.");
    sha256_update(&u->sha256, len, data);
    r = u->size >= u->reserve_due ? storage_keeps(u->api->storage, u->api->settings->reserve_bytes) : 0;
    if (u->size >= u->reserve_due)
        u->reserve_due = u->size + RESERVE_STEP;
    if (r == 0)
        r = write_all(u->file.fd, data, len);
    if (r == -ENOSPC || r == -EDQUOT)
        return refuse(u, API_STORAGE_FULL, "The server has no room for this file just now.");
    if (r < 0) {
        log_error("upload not written", LOG_S("request_id", http_request_id(u->call->req)),
                  LOG_S("trace_id", http_request_trace(u->call->req)->id), LOG_E(r));
        return refuse(u, API_INTERNAL, "The server could not store the file.");
    }
    return 0;
}

static int on_part_end(void *arg)
{
    struct upload *u = arg;

    u->in_file = false;
    return 0;
}

/* --- the whole file is there */

static void on_job_created(void *arg, int err, const struct job *job)
{
    struct upload *u = arg;
    struct api_call *call = u->call;

    if (err == 0) {
        u->call = NULL;
        let_go(u);
        metrics_upload(u->api->metrics, u->format, u->size);
        api_reply_json(call, 201,
                       json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:o}", "job_id", u->job_id,
                                 "original_filename", u->filename, "size", (json_int_t)u->size, "mime_type",
                                 u->mime, "format", u->format->id, "status", job_status_name(JOB_UPLOADED),
                                 "created_at", u->created_at, "targets", catalogue_targets(u->format)));
        return;
    }
    if (err == -ENOENT)
        storage_remove_session(u->api->storage, call->session.id); /* it was closed meanwhile */
    else
        storage_remove_job(u->api->storage, call->session.id, u->job_id);
    if (err == -ENOENT)
        upload_fail(u, API_SESSION_REQUIRED, "The session has ended.");
    else if (err == -EDQUOT)
        upload_fail(u, API_RATE_LIMITED, "This session holds as many files as it may.");
    else if (err == -EFBIG)
        upload_fail(u, API_STORAGE_FULL,
                    "This session holds as many bytes as it may; close it to begin anew.");
    else if (err == -ENOBUFS)
        upload_fail(u, API_STORAGE_FULL, "The server has no room for this file just now.");
    else
        upload_fail(u, API_UNAVAILABLE,
                    "The server can't reach its database just now. Try again in a moment.");
}

static void create_job(struct upload *u)
{
    struct job job = {
        .job_id = u->job_id,
        .session_id = u->call->session.id,
        .original_filename = u->filename,
        .source_format = u->format->id,
        .target_format = "",
        .mime_type = u->mime,
        .sha256 = u->hash,
        .size = u->size,
        .stored_path = u->stored_path,
        .status = JOB_UPLOADED,
        .created_at = u->created_at,
        .queue_ms = JOB_UNKNOWN,
        .duration_ms = JOB_UNKNOWN,
    };
    const struct settings *s = u->api->settings;
    const struct job_quota quota = {
        .jobs = s->max_jobs, .session_bytes = s->session_quota_bytes, .all_bytes = s->storage_quota_bytes};

    job_create(u->api->redis, &job, &quota, on_job_created, u);
}

static void finish_hash(struct upload *u)
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_digest(&u->sha256, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        sprintf(u->hash + 2 * i, "%02x", digest[i]);
}

/* False: the call has been failed. */
static bool has_content(struct upload *u)
{
    if (!u->have_file) {
        upload_fail(u, API_BAD_REQUEST, "The form has no file in a field named \"file\".");
        return false;
    }
    if (u->size == 0) {
        upload_fail(u, API_EMPTY_FILE, "The file is empty.");
        return false;
    }
    return true;
}

/* What was found of the file, then the name on disk. False: the call has been failed. */
static bool accept_file(struct upload *u)
{
    int r = u->checked;

    if (sniff_refusal(r)) {
        upload_fail(u, API_TYPE_MISMATCH, sniff_refusal(r));
        return false;
    }
    id_uuid(u->job_id);
    clock_rfc3339(clock_real_ms(), u->created_at);
    finish_hash(u);
    if (r == 0)
        r = storage_upload_commit(u->api->storage, &u->file, u->call->session.id, u->job_id, u->format->id,
                                  u->stored_path);
    if (r == -ENOSPC || r == -EDQUOT) {
        upload_fail(u, API_STORAGE_FULL, "The server has no room for this file just now.");
    } else if (r < 0) {
        log_error("upload not stored", LOG_S("request_id", http_request_id(u->call->req)),
                  LOG_S("trace_id", http_request_trace(u->call->req)->id), LOG_E(r));
        upload_fail(u, API_INTERNAL, "The server could not store the file.");
    }
    return r == 0;
}

/* In this order: of a file that did not get through to a file server no more can be read than what did. */
static void check_file(uv_work_t *work)
{
    struct upload *u = work->data;

    u->checked = storage_upload_send(&u->file);
    if (u->checked == 0)
        u->checked = sniff_check(u->api->sniffer, u->file.fd, u->format, u->mime);
}

static void on_file_checked(uv_work_t *work, int status)
{
    struct upload *u = work->data;

    u->checking = false;
    if (u->ended) {
        let_go(u);
        api_abandon(TAKE_PTR(u->call));
    } else if (accept_file(u)) {
        create_job(u);
    }
}

static int stopped(struct upload *u, int r)
{
    if (u->detail)
        upload_fail(u, u->error, u->detail);
    else
        upload_fail(u, API_BAD_REQUEST, "The body is not well-formed multipart/form-data.");
    return r;
}

static int on_body_data(void *arg, const void *data, size_t len)
{
    struct upload *u = arg;
    int r = multipart_feed(u->parser, data, len);

    return r < 0 ? stopped(u, r) : 0;
}

static void on_body_end(void *arg)
{
    struct upload *u = arg;
    int r = multipart_finish(u->parser);

    u->whole = true;
    if (r < 0) {
        stopped(u, r);
    } else if (has_content(u)) {
        u->checking = true;
        u->work.data = u;
        uv_queue_work(u->api->loop, &u->work, check_file, on_file_checked);
    }
}

/* The request has ended, answered or broken off. */
static void on_request_end(void *arg)
{
    struct upload *u = arg;

    u->ended = true;
    if (!u->checking)
        let_go(u);
    multipart_free(u->parser);
    if (u->call && !u->whole)
        api_abandon(TAKE_PTR(u->call));
}

void api_upload(struct api_call *call)
{
    static const struct multipart_events parts = {on_part_begin, on_part_data, on_part_end};
    static const struct http_stream stream = {on_body_data, on_body_end};
    struct upload *u = http_request_alloc(call->req, sizeof *u);
    const char *type = http_request_header(call->req, "Content-Type");
    int r;

    u->api = call->api;
    u->call = call;
    u->client = &call->client;
    u->file.fd = -1;
    if (multipart_new(type ? type : "", &parts, u, &u->parser) < 0) {
        u->call = NULL;
        api_fail(call, API_BAD_REQUEST, "Send the file as multipart/form-data.");
        return;
    }
    r = slots_take(u->api->uploads, u->client);
    if (r < 0) {
        multipart_free(u->parser);
        upload_fail(u, API_RATE_LIMITED,
                    r == -EDQUOT ? "This session or address sends as many files at once as it may."
                                 : "Too many files are being sent just now. Try again in a moment.");
        return;
    }
    u->has_slot = true;
    http_request_on_end(call->req, on_request_end, u);
    http_request_stream(call->req, &stream, u);
}
