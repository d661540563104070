/* POST /upload: a multipart body streamed into an unnamed file, counted and hashed on the way, which gets its
 * name only when it is whole and is what it says. Whatever goes wrong before leaves nothing behind. */
#include "api/intake.h"

#include "core/log.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "http/multipart.h"

#include <errno.h>

/* The disk's reserve is looked after when so much has been written. */
enum { RESERVE_STEP = 1024 * 1024 };

struct upload {
    struct intake in;
    bool whole;           /* the body has ended: what is left to do will answer */
    uv_work_t work;       /* the file's way to the storage, and a look at its type: both may take long */
    bool checking, ended; /* it is at work; the request ended meanwhile */
    int checked;          /* what it found */
    struct multipart *parser;
    struct sha256_ctx sha256;
    uint64_t reserve_due; /* size at which to look after the reserve */
    bool in_file, have_file;
    enum api_error error; /* why the parser was stopped, when `detail` is set */
    const char *detail;
};

static int refuse(struct upload *u, enum api_error error, const char *detail)
{
    u->error = error;
    u->detail = detail;
    return -ECANCELED;
}

/* --- the parts of the form */

static int begin_file(struct upload *u, const struct multipart_part *part)
{
    const struct settings *s = u->in.api->settings;
    int64_t announced = http_request_content_length(u->in.call->req);
    int r;

    if (u->have_file)
        return refuse(u, API_BAD_REQUEST, "Send one file in each request.");
    if (!part->filename || !*part->filename) /* empty: what browsers send when no file was chosen */
        return refuse(u, API_BAD_REQUEST, "The form field \"file\" has to be a file with a name.");
    filename_clean(part->filename, u->in.filename);
    u->in.format = format_by_name(u->in.filename);
    if (!u->in.format || !catalogue_accepts(u->in.format))
        return refuse(u, API_UNSUPPORTED_TYPE,
                      "Files with this extension can't be converted; GET /formats lists what can.");
    r = storage_upload_begin(u->in.api->storage, announced > 0 ? (uint64_t)announced : 0, s->reserve_bytes,
                             &u->in.file);
    if (r == -ENOSPC || r == -EDQUOT)
        return refuse(u, API_STORAGE_FULL, "The server has no room for this file just now.");
    if (r < 0) {
        log_error("upload not begun", LOG_S("request_id", http_request_id(u->in.call->req)),
                  LOG_S("trace_id", http_request_trace(u->in.call->req)->id), LOG_E(r));
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
    u->in.size += len;
    if (u->in.size > u->in.api->settings->max_upload_bytes)
        return refuse(u, API_TOO_LARGE, "The file is larger than this server takes.");
    sha256_update(&u->sha256, len, data);
    r = u->in.size >= u->reserve_due ? storage_keeps(u->in.api->storage, u->in.api->settings->reserve_bytes)
                                     : 0;
    if (u->in.size >= u->reserve_due)
        u->reserve_due = u->in.size + RESERVE_STEP;
    if (r == 0)
        r = write_all(u->in.file.fd, data, len);
    if (r == -ENOSPC || r == -EDQUOT)
        return refuse(u, API_STORAGE_FULL, "The server has no room for this file just now.");
    if (r < 0) {
        log_error("upload not written", LOG_S("request_id", http_request_id(u->in.call->req)),
                  LOG_S("trace_id", http_request_trace(u->in.call->req)->id), LOG_E(r));
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

static void finish_hash(struct upload *u)
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    sha256_digest(&u->sha256, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        sprintf(u->in.hash + 2 * i, "%02x", digest[i]);
}

/* False: the call has been failed. */
static bool has_content(struct upload *u)
{
    if (!u->have_file) {
        intake_fail(&u->in, API_BAD_REQUEST, "The form has no file in a field named \"file\".");
        return false;
    }
    if (u->in.size == 0) {
        intake_fail(&u->in, API_EMPTY_FILE, "The file is empty.");
        return false;
    }
    return true;
}

/* What was found of it. */
static void accept_file(struct upload *u)
{
    if (sniff_refusal(u->checked)) {
        intake_fail(&u->in, API_TYPE_MISMATCH, sniff_refusal(u->checked));
    } else if (u->checked < 0) {
        intake_fail_disk(&u->in, u->checked);
    } else {
        finish_hash(u);
        intake_store(&u->in);
    }
}

/* In this order: of a file that did not get through to a file server no more can be read than what did. */
static void check_file(uv_work_t *work)
{
    struct upload *u = work->data;

    u->checked = storage_upload_send(&u->in.file);
    if (u->checked == 0)
        u->checked = sniff_check(u->in.api->sniffer, u->in.file.fd, u->in.format, u->in.mime);
}

static void on_file_checked(uv_work_t *work, int status)
{
    struct upload *u = work->data;

    u->checking = false;
    if (u->ended)
        intake_abandon(&u->in);
    else
        accept_file(u);
}

static int stopped(struct upload *u, int r)
{
    if (u->detail)
        intake_fail(&u->in, u->error, u->detail);
    else
        intake_fail(&u->in, API_BAD_REQUEST, "The body is not well-formed multipart/form-data.");
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
        uv_queue_work(u->in.api->loop, &u->work, check_file, on_file_checked);
    }
}

/* The request has ended, answered or broken off. */
static void on_request_end(void *arg)
{
    struct upload *u = arg;

    u->ended = true;
    if (!u->checking)
        intake_let_go(&u->in);
    multipart_free(u->parser);
    if (u->in.call && !u->whole)
        api_abandon(TAKE_PTR(u->in.call));
}

void api_upload(struct api_call *call)
{
    static const struct multipart_events parts = {on_part_begin, on_part_data, on_part_end};
    static const struct http_stream stream = {on_body_data, on_body_end};
    struct upload *u = http_request_alloc(call->req, sizeof *u);
    const char *type = http_request_header(call->req, "Content-Type");

    if (multipart_new(type ? type : "", &parts, u, &u->parser) < 0) {
        api_fail(call, API_BAD_REQUEST, "Send the file as multipart/form-data.");
        return;
    }
    intake_begin(&u->in, call, true);
    if (!intake_take_slot(&u->in)) {
        multipart_free(u->parser);
        return;
    }
    http_request_stream(call->req, &stream, u);
    http_request_on_end(call->req, on_request_end, u); /* last: if it is called at once, the call is gone */
}
