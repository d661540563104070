/* /files: the requests of tus 1.0.0 and their answers. tus.h says how it works. */
#include "api/tus.h"

#include "api/browser.h"
#include "api/remove.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define VERSION    "1.0.0"
#define MEDIA_TYPE "application/offset+octet-stream"

enum { METADATA_MAX = 2048 };

/* --- headers */

void tus_prepare(struct http_request *req)
{
    const char *path = http_request_path(req);

    if (path && (str_eq(path, "/files") || str_starts(path, "/files/")))
        http_reply_header(req, "Tus-Resumable", VERSION);
}

static void set_number(struct http_request *req, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    http_reply_header(req, name, text);
}

static void set_expires(struct http_request *req, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[64];

    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &tm));
    http_reply_header(req, "Upload-Expires", text);
}

static void set_location(struct tus *t)
{
    char path[sizeof "/files/" + ID_UUID_LEN];

    snprintf(path, sizeof path, "/files/%s", t->in.job_id);
    http_reply_header(t->in.call->req, "Location", path);
}

/* --- answers */

static void reply_empty(struct tus *t, unsigned status)
{
    struct api_call *call = TAKE_PTR(t->in.call);

    http_reply_header(call->req, "Cache-Control", "no-store");
    api_reply(call, status, t->what == TUS_HEAD ? "application/json" /* as GET would */ : NULL, "", 0);
}

static void reply_state(struct tus *t, const char *state, uint64_t offset, uint64_t length, json_t *job)
{
    api_reply_json(TAKE_PTR(t->in.call), 200,
                   json_pack("{s:s, s:s, s:I, s:I, s:o}", "id", t->in.job_id, "state", state, "offset",
                             (json_int_t)offset, "length", (json_int_t)length, "job", job));
}

void tus_answer(struct tus *t)
{
    struct http_request *req = t->in.call->req;

    intake_let_go(&t->in);
    if (t->what == TUS_REMOVE) {
        api_reply_json(TAKE_PTR(t->in.call), 200, json_pack("{s:b}", "deleted", 1));
        return;
    }
    set_expires(req, t->expires_ms);
    if (t->what == TUS_SHOW) {
        reply_state(t, "uploading", t->in.size, t->length, json_null());
        return;
    }
    set_number(req, "Upload-Offset", t->in.size);
    if (t->what == TUS_CREATE)
        set_location(t);
    if (t->what != TUS_HEAD) {
        reply_empty(t, t->what == TUS_CREATE ? 201 : 204);
        return;
    }
    set_number(req, "Upload-Length", t->length);
    if (t->metadata)
        http_reply_header(req, "Upload-Metadata", t->metadata);
    reply_empty(t, 200);
}

static void answer_end(struct tus *t, uint64_t size)
{
    struct http_request *req = t->in.call->req;

    set_number(req, "Upload-Offset", size);
    if (t->what == TUS_HEAD)
        set_number(req, "Upload-Length", size);
    if (t->what == TUS_CREATE)
        set_location(t);
    reply_empty(t, t->what == TUS_CREATE ? 201 : t->what == TUS_HEAD ? 200 : 204);
}

void tus_answer_job(struct tus *t, json_t *job, uint64_t size)
{
    intake_let_go(&t->in);
    if (t->what == TUS_SHOW) {
        reply_state(t, "complete", size, size, job);
        return;
    }
    json_decref(job);
    if (t->what == TUS_REMOVE) {
        api_reply_removed(TAKE_PTR(t->in.call), t->in.job_id);
    } else {
        http_reply_header(t->in.call->req, "Upload-Job", t->in.job_id);
        answer_end(t, size);
    }
}

/* A client that asks how much has come is told that, or it would send all of it again. */
void tus_answer_refused(struct tus *t, enum api_error error, const char *detail)
{
    if (t->what == TUS_HEAD) {
        intake_let_go(&t->in);
        answer_end(t, t->length);
    } else if (t->what == TUS_REMOVE) {
        intake_fail(&t->in, API_UPLOAD_NOT_FOUND, "The upload was refused, and is no more.");
    } else {
        intake_fail(&t->in, error, detail);
    }
}

/* --- requests */

/* The request has ended, answered or broken off; what is under way sees it and ends the call. */
static void on_request_end(void *arg)
{
    struct tus *t = arg;

    t->ended = true;
    job_watch_remove(TAKE_PTR(t->watch));
    tus_cut(t);
}

static struct tus *tus_new(struct api_call *call, enum tus_what what)
{
    struct tus *t = http_request_alloc(call->req, sizeof *t);

    intake_begin(&t->in, call, true);
    t->what = what;
    t->proved = PARTIAL_PROVED;
    id_uuid(t->word);
    http_request_on_end(call->req, on_request_end, t);
    return t;
}

/* False: the call has been failed. */
static bool has_version(struct api_call *call)
{
    if (str_eq(http_request_header(call->req, "Tus-Resumable"), VERSION))
        return true;
    http_reply_header(call->req, "Tus-Version", VERSION);
    api_fail(call, API_TUS_VERSION, "Send Tus-Resumable: " VERSION ", the one version that is spoken here.");
    return false;
}

/* Is the body one of bytes of the file? */
static bool has_media_type(struct api_call *call)
{
    return str_eq(http_request_header(call->req, "Content-Type"), MEDIA_TYPE);
}

static bool take_checksum(struct tus *t)
{
    if (tus_checksum_begin(&t->checksum, http_request_header(t->in.call->req, "Upload-Checksum")) == 0)
        return true;
    intake_fail(&t->in, API_BAD_REQUEST,
                "Upload-Checksum has to be sha1 or sha256, a blank, and the digest in base64.");
    return false;
}

void api_tus_options(struct api_call *call)
{
    http_reply_header(call->req, "Tus-Version", VERSION);
    http_reply_header(call->req, "Tus-Extension",
                      "creation,creation-with-upload,termination,checksum,expiration");
    http_reply_header(call->req, "Tus-Checksum-Algorithm", TUS_CHECKSUM_ALGORITHMS);
    set_number(call->req, "Tus-Max-Size", call->plan->max_upload_bytes);
    browser_preflight(call);
}

/* --- POST /files */

static const char *take_name(struct tus *t)
{
    char name[METADATA_MAX];
    int r;

    t->metadata = http_request_header(t->in.call->req, "Upload-Metadata");
    if (!t->metadata || strlen(t->metadata) > METADATA_MAX)
        return "Upload-Metadata has to tell the filename, in 2 KiB at most.";
    r = tus_metadata_get(t->metadata, "filename", name, sizeof name);
    if (r < 0 || !utf8_valid(name, strlen(name)))
        return r == -ENOENT ? "Upload-Metadata has to tell the filename."
                            : "Upload-Metadata has to be names and values in base64.";
    filename_clean(name, t->in.filename);
    return NULL;
}

/* What can be told of a file before its first byte. False: the call has been failed. */
static bool is_welcome(struct tus *t)
{
    const char *why = take_name(t);

    t->in.format = format_by_name(t->in.filename);
    if (why)
        intake_fail(&t->in, API_BAD_REQUEST, why);
    else if (!t->in.format || !catalogue_accepts(t->in.format))
        intake_fail(&t->in, API_UNSUPPORTED_TYPE,
                    "Files with this extension can't be converted; GET /formats lists what can.");
    else if (t->length == 0)
        intake_fail(&t->in, API_EMPTY_FILE, "The file is empty.");
    else if (t->length > t->in.call->plan->max_upload_bytes)
        intake_fail(&t->in, API_TOO_LARGE, "The file is larger than this server takes.");
    else
        return true;
    return false;
}

static void on_created(void *arg, int err, uint64_t expires_ms)
{
    struct tus *t = arg;
    struct intake *in = &t->in;

    if (err == -ENOENT)
        storage_remove_session(in->api->storage, in->call->session.id); /* it was closed meanwhile */
    else if (err < 0)
        storage_remove_job(in->api->storage, in->call->session.id, in->job_id);
    if (err < 0) {
        intake_fail_job(in, err);
        return;
    }
    t->expires_ms = expires_ms;
    if (http_request_content_length(in->call->req) == 0) {
        tus_answer(t);
        return;
    }
    in->file.fd = storage_partial_open(in->api->storage, in->stored_path);
    if (in->file.fd < 0)
        intake_fail_disk(in, in->file.fd);
    else
        tus_append(t);
}

static void create(struct tus *t)
{
    const struct settings *s = t->in.api->settings;
    const struct job_quota quota = intake_quota(&t->in);
    const char *session_id = t->in.call->session.id;
    uint64_t now = clock_real_ms();
    int r;

    id_uuid(t->in.job_id);
    clock_rfc3339(now, t->in.created_at);
    r = storage_partial_create(t->in.api->storage, t->length, s->reserve_bytes, session_id, t->in.job_id,
                               t->in.format->id, t->in.stored_path);
    if (r < 0) {
        intake_fail_disk(&t->in, r);
        return;
    }
    partial_create(t->in.api->redis,
                   &(struct partial){.session_id = session_id,
                                     .id = t->in.job_id,
                                     .filename = t->in.filename,
                                     .format = t->in.format->id,
                                     .stored_path = t->in.stored_path,
                                     .metadata = t->metadata,
                                     .created_at = t->in.created_at,
                                     .length = t->length,
                                     .expires_ms = now + s->partial_ttl_s * 1000},
                   &quota, on_created, t);
}

void api_tus_create(struct api_call *call)
{
    struct tus *t;

    if (!has_version(call))
        return;
    t = tus_new(call, TUS_CREATE);
    if (http_request_content_length(call->req) != 0 && !has_media_type(call))
        intake_fail(&t->in, API_UNSUPPORTED_TYPE, "Send the file's bytes as " MEDIA_TYPE ", or none.");
    else if (tus_number(http_request_header(call->req, "Upload-Length"), &t->length) < 0)
        intake_fail(&t->in, API_BAD_REQUEST,
                    "Upload-Length has to tell the file's size; it can't be deferred.");
    else if (take_checksum(t) && is_welcome(t))
        create(t);
}

/* --- /files/{id} */

static void find(struct tus *t)
{
    tus_find(t, http_request_param(t->in.call->req));
}

void api_tus_show(struct api_call *call)
{
    if (!str_eq(http_request_method(call->req), "HEAD"))
        find(tus_new(call, TUS_SHOW)); /* ours, and no part of the protocol */
    else if (has_version(call))
        find(tus_new(call, TUS_HEAD));
}

void api_tus_append(struct api_call *call)
{
    struct tus *t;

    if (!has_version(call))
        return;
    t = tus_new(call, TUS_APPEND);
    if (!has_media_type(call))
        intake_fail(&t->in, API_UNSUPPORTED_TYPE, "Send the file's bytes as " MEDIA_TYPE ".");
    else if (tus_number(http_request_header(call->req, "Upload-Offset"), &t->start) < 0)
        intake_fail(&t->in, API_BAD_REQUEST, "Upload-Offset has to tell where in the file the bytes belong.");
    else if (take_checksum(t))
        find(t);
}

void api_tus_remove(struct api_call *call)
{
    if (has_version(call))
        api_reply_path_removed(call, API_UPLOAD_NOT_FOUND, "There is no upload of that id in this session.");
}

void tus_give_up(struct api_call *call, const char *id)
{
    tus_find(tus_new(call, TUS_REMOVE), id);
}

/* For those whose surroundings know no other methods than GET and POST. */
void api_tus_override(struct api_call *call)
{
    const char *method = http_request_header(call->req, "X-HTTP-Method-Override");

    if (str_eq(method, "PATCH"))
        api_tus_append(call);
    else if (str_eq(method, "DELETE"))
        api_tus_remove(call);
    else
        api_fail(call, API_BAD_REQUEST, "X-HTTP-Method-Override has to say PATCH or DELETE.");
}
