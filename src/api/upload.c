/* POST /upload: a multipart body streamed into an unnamed file, counted and hashed on the way, which gets its
 * name only when it is whole and is what it says. Whatever goes wrong before leaves nothing behind. */
#include "api/receive.h"

#include "core/str.h"
#include "http/multipart.h"

#include <errno.h>

struct upload {
    struct receive file;
    bool whole;           /* the body has ended: what is left to do will answer */
    uv_work_t work;       /* the file's way to the storage, and a look at its type: both may take long */
    bool checking, ended; /* it is at work; the request ended meanwhile */
    struct multipart *parser;
    bool in_file, have_file;
    struct refusal refusal; /* why the parser was stopped */
};

/* --- the parts of the form */

/* Other fields are read over, as form handlers do. */
static int on_part_begin(void *arg, const struct multipart_part *part)
{
    struct upload *u = arg;

    if (!str_eq(part->name, "file"))
        return 0;
    if (u->have_file)
        return refuse(&u->refusal, API_BAD_REQUEST, "Send one file in each request.");
    u->in_file = u->have_file = true;
    return receive_begin(&u->file, part->filename, &u->refusal);
}

static int on_part_data(void *arg, const void *data, size_t len)
{
    struct upload *u = arg;

    return u->in_file ? receive_data(&u->file, data, len, &u->refusal) : 0;
}

static int on_part_end(void *arg)
{
    struct upload *u = arg;

    u->in_file = false;
    return 0;
}

/* --- the whole file is there */

/* False: the call has been failed. */
static bool has_content(struct upload *u)
{
    if (!u->have_file) {
        intake_fail(&u->file.in, API_BAD_REQUEST, "The form has no file in a field named \"file\".");
        return false;
    }
    if (u->file.in.size == 0) {
        intake_fail(&u->file.in, API_EMPTY_FILE, "The file is empty.");
        return false;
    }
    return true;
}

static void check_file(uv_work_t *work)
{
    struct upload *u = work->data;

    receive_check(&u->file);
}

static void on_file_checked(uv_work_t *work, int status)
{
    struct upload *u = work->data;

    u->checking = false;
    if (u->ended)
        intake_abandon(&u->file.in);
    else
        receive_store(&u->file);
}

static int stopped(struct upload *u, int r)
{
    if (u->refusal.detail)
        intake_fail(&u->file.in, u->refusal.error, u->refusal.detail);
    else
        intake_fail(&u->file.in, API_BAD_REQUEST, "The body is not well-formed multipart/form-data.");
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
        uv_queue_work(u->file.in.api->loop, &u->work, check_file, on_file_checked);
    }
}

/* The request has ended, answered or broken off. */
static void on_request_end(void *arg)
{
    struct upload *u = arg;

    u->ended = true;
    if (!u->checking)
        intake_let_go(&u->file.in);
    multipart_free(u->parser);
    if (u->file.in.call && !u->whole)
        api_abandon(TAKE_PTR(u->file.in.call));
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
    intake_begin(&u->file.in, call, true);
    if (!intake_take_slot(&u->file.in)) {
        multipart_free(u->parser);
        return;
    }
    http_request_stream(call->req, &stream, u);
    http_request_on_end(call->req, on_request_end, u); /* last: if it is called at once, the call is gone */
}
