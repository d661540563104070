/* The first half of POST /v1/convert (one_call.h): from the form to jobs that have been started. Nothing
 * becomes a job before the whole form is there, can be done as it says, and all its files are what they say.
 */
#include "api/one_call.h"

#include "api/idempotency.h"
#include "core/log.h"
#include "core/str.h"
#include "engine/secrets.h"

#include <errno.h>

/* A call that lasts for so long beside its waiting sends to a slow client. */
enum { ORPHANS_KEPT_S = 3600 };

static uint64_t longest_s(const struct one_call *o)
{
    return o->api->settings->call_wait_s + ORPHANS_KEPT_S;
}

/* --- the parts of the form, in any order */

static void on_stored(void *arg, const struct api_end *end);

static int begin_file(struct one_call *o, const struct multipart_part *part)
{
    struct one_file *f;

    if (o->n == ONE_CALL_FILES_MAX)
        return refuse(&o->refusal, API_BAD_REQUEST, "One call takes 100 files at most.");
    f = o->at = o->files[o->n++] = http_request_alloc(o->req, sizeof *f);
    f->o = o;
    intake_begin(&f->file.in, api_call_within(o->whose, on_stored, f), true);
    f->file.in.keep_s = longest_s(o);
    return receive_begin(&f->file, part->filename, &o->refusal);
}

static int on_part_begin(void *arg, const struct multipart_part *part)
{
    struct one_call *o = arg;

    if (str_eq(part->name, "file"))
        return begin_file(o, part);
    snprintf(o->field, sizeof o->field, "%s", part->name);
    o->text.len = 0;
    return buf_append(&o->text, "", 0);
}

static int on_part_data(void *arg, const void *data, size_t len)
{
    struct one_call *o = arg;

    if (!o->at)
        return buf_append(&o->text, data, len) < 0
                   ? refuse(&o->refusal, API_TOO_LARGE, "The fields of the form are too long.")
                   : 0;
    o->bytes += len;
    if (o->bytes > o->whose->plan->max_upload_bytes)
        return refuse(&o->refusal, API_TOO_LARGE, "The files are together larger than this server takes.");
    return receive_data(&o->at->file, data, len, &o->refusal);
}

static int on_part_end(void *arg)
{
    struct one_call *o = arg;
    int r;

    if (o->at) {
        o->at = NULL;
        return 0;
    }
    r = fields_add(&o->fields, o->field, o->text.data, o->text.len);
    return r < 0 ? refuse(&o->refusal, r == -EMSGSIZE ? API_TOO_LARGE : API_BAD_REQUEST, o->fields.why) : 0;
}

/* --- the jobs are started, one after the other */

static void start_next(struct one_call *o);

static void on_started(void *arg, const struct api_end *end)
{
    struct one_file *f = arg;
    struct one_call *o = f->o;

    o->busy = false;
    if (one_call_has_left(o))
        return;
    if (end->status == 0) {
        one_call_fail(o, f, end->error, end->detail);
        return;
    }
    o->next++;
    start_next(o);
}

/* The body of POST /convert; NULL: out of memory. */
static json_t *make_body(struct one_call *o, const struct one_file *f, json_t *options)
{
    json_t *body = json_pack("{s:s, s:O}", "target_format", o->fields.target->id, "options", options);
    json_t *ids = o->fields.merge ? json_array() : NULL;

    for (size_t i = 0; ids && i < o->n; i++)
        json_array_append_new(ids, json_string(o->files[i]->file.in.job_id));
    if (ids)
        json_object_set_new(body, "job_ids", ids);
    else
        json_object_set_new(body, "job_id", json_string(f->file.in.job_id));
    if (o->fields.callback_url)
        json_object_set_new(body, "callback_url", json_string(o->fields.callback_url));
    return body;
}

static void start(struct one_file *f)
{
    struct one_call *o = f->o;
    _cleanup_json_ json_t *options = NULL, *body = NULL;
    _cleanup_secret_ char *text = NULL;

    if (fields_options(&o->fields, f->route, &options) < 0) {
        one_call_fail(o, f, API_BAD_REQUEST, o->fields.why);
        return;
    }
    body = make_body(o, f, options);
    text = json_dumps(body, JSON_COMPACT);
    secrets_wipe(options); /* the body has the same strings */
    if (!text) {
        one_call_fail(o, f, API_INTERNAL, "Out of memory.");
        return;
    }
    o->busy = true;
    api_convert_body(api_call_within(o->whose, on_started, f), text, strlen(text));
}

static void on_answer_kept(void *arg)
{
    struct one_call *o = arg;

    o->busy = false;
    if (!one_call_has_left(o))
        one_call_wait(o);
}

/* What a repeat needs. From here on the jobs may be known to somebody. */
static void keep_answer(struct one_call *o)
{
    _cleanup_json_ json_t *ids = NULL;

    if (!idempotency_is_open(o->call)) {
        one_call_wait(o);
        return;
    }
    ids = json_array();
    for (size_t i = 0; i < o->results; i++)
        json_array_append_new(ids, json_string(o->files[i]->file.in.job_id));
    o->settled = o->busy = true;
    idempotency_end(o->call, 202, ids, on_answer_kept, o);
}

static void start_next(struct one_call *o)
{
    if (o->next < o->results)
        start(o->files[o->next]);
    else if (o->stays)
        one_call_keep(o, keep_answer);
    else
        one_call_wait(o);
}

/* --- the files become jobs, one after the other */

static void store_next(struct one_call *o)
{
    if (o->next < o->n) {
        o->busy = true;
        receive_store(&o->files[o->next]->file);
        return;
    }
    intake_let_go(&o->slot);
    o->next = 0;
    start_next(o);
}

static void on_stored(void *arg, const struct api_end *end)
{
    struct one_file *f = arg;
    struct one_call *o = f->o;

    if (end->status == 0 && !end->detail) /* it was given up on: by us */
        return;
    o->busy = false;
    f->stored = end->status > 0;
    if (one_call_has_left(o))
        return;
    if (!f->stored) {
        one_call_fail(o, f, end->error, end->detail);
        return;
    }
    o->next++;
    store_next(o);
}

/* --- a session for who has none */

static void take_session(struct one_call *o, const struct session *session)
{
    log_audit("session_created", LOG_S("request_id", http_request_id(o->req)),
              LOG_S("client", o->call->address));
    o->call->session = *session;
    for (size_t i = 0; i < o->n; i++)
        o->files[i]->file.in.call->session = *session;
}

static void on_session(void *arg, int err, const struct session *session)
{
    struct one_call *o = arg;

    o->busy = false;
    if (err == 0)
        take_session(o, session);
    if (!one_call_has_left(o)) {
        if (err < 0)
            one_call_fail(o, NULL, API_UNAVAILABLE,
                          "The server can't reach its database just now. Try again in a moment.");
        else
            store_next(o);
    }
    http_request_unref(o->req);
}

static void begin_session(struct one_call *o)
{
    o->busy = true;
    http_request_ref(o->req);
    session_create(o->api->redis, longest_s(o), "", "", o->whose->plan->name, on_session, o);
}

/* --- has it been made before? */

/* False: that is no answer of ours. */
static bool take_jobs(struct one_call *o, const struct idempotency_answer *before)
{
    _cleanup_json_ json_t *ids = json_loadb(before->text, before->len, 0, NULL);

    if (json_array_size(ids) != o->results)
        return false;
    for (size_t i = 0; i < o->results; i++) {
        const char *id = json_string_value(json_array_get(ids, i));

        if (!id_is_uuid(id))
            return false;
        memcpy(o->files[i]->file.in.job_id, id, ID_UUID_LEN + 1);
    }
    return true;
}

/* Its files are not needed, as those of the first call are there. */
static void repeat(struct one_call *o, const struct idempotency_answer *before)
{
    intake_let_go(&o->slot);
    for (size_t i = 0; i < o->n; i++)
        intake_abandon(&o->files[i]->file.in);
    o->settled = true;
    if (!take_jobs(o, before)) {
        one_call_fail(o, NULL, API_INTERNAL, "What is remembered of this Idempotency-Key can't be read.");
        return;
    }
    http_reply_header(o->req, "Idempotent-Replayed", "true");
    one_call_wait(o);
}

static void on_begun(void *arg, const struct idempotency_answer *before)
{
    struct one_call *o = arg;

    o->call = o->claiming;
    if (o->left) {
        api_abandon(TAKE_PTR(o->call));
        return;
    }
    if (idempotency_is_open(o->call) || before)
        o->stays = true;
    if (before)
        repeat(o, before);
    else
        store_next(o);
}

/* What makes two calls the same; NULL: out of memory. */
static json_t *make_content(struct one_call *o)
{
    json_t *files = json_array(), *options = NULL;

    if (fields_options(&o->fields, o->files[0]->route, &options) < 0) {
        json_decref(files);
        return NULL;
    }
    for (size_t i = 0; i < o->n; i++)
        json_array_append_new(files,
                              json_pack("[s, s]", o->files[i]->file.in.hash, o->files[i]->file.in.filename));
    return json_pack("{s:o, s:s, s:b, s:s*, s:o}", "files", files, "to", o->fields.target->id, "merge",
                     o->fields.merge, "callback_url", o->fields.callback_url, "options", options);
}

/* Until it is known whether this call is the one to go on, it is not ours to end. */
static void look_for_first(struct one_call *o)
{
    _cleanup_json_ json_t *content = make_content(o);

    if (!content) {
        one_call_fail(o, NULL, API_INTERNAL, "Out of memory.");
        return;
    }
    o->claiming = TAKE_PTR(o->call);
    idempotency_begin(o->claiming, content, on_begun, o);
    secrets_wipe(json_object_get(content, "options"));
}

static void check_files(uv_work_t *work)
{
    struct one_call *o = work->data;

    for (size_t i = 0; i < o->n && !o->left; i++)
        receive_check(&o->files[i]->file);
}

static void on_files_checked(uv_work_t *work, int status)
{
    struct one_call *o = work->data;

    o->busy = false;
    if (one_call_has_left(o))
        return;
    if (o->whose->identity.anonymous)
        begin_session(o);
    else
        look_for_first(o);
}

/* --- the whole form is there */

/* False: the call has been failed. */
static bool has_what_it_needs(struct one_call *o)
{
    const struct fields *f = &o->fields;
    const char *why = NULL;

    if (o->n == 0)
        why = "The form has no file in a field named \"file\".";
    else if (!json_object_get(f->texts, "to"))
        why = "The form has no field \"to\", which names the format that is wanted.";
    else if (f->keep && o->n > 1 && !f->merge)
        why = "The field \"keep\" is for a single result; Prefer: respond-async tells of many.";
    else if (f->callback_url && !o->prefer.respond_async)
        why = "The field \"callback_url\" is for who does not wait: send it with Prefer: respond-async.";
    if (why)
        one_call_fail(o, NULL, API_BAD_REQUEST, why);
    return !why;
}

/* Who comes with nothing can't come back. False: the call has been failed. */
static bool may_have_what_stays(struct one_call *o)
{
    bool stays = o->fields.keep || o->fields.callback_url || o->prefer.respond_async || o->prefer.has_wait ||
                 http_request_header_before(o->req, "Idempotency-Key", NULL);

    if (!stays || !o->whose->identity.anonymous)
        return true;
    one_call_fail(o, NULL, API_SESSION_REQUIRED,
                  "Nothing stays of a call that nobody is known to have made: keep, callback_url, Prefer and "
                  "Idempotency-Key need a session or a bearer.");
    return false;
}

/* False: the call has been failed. */
static bool settle_file(struct one_call *o, struct one_file *f)
{
    const struct format *from = f->file.in.format, *to = o->fields.target;
    json_t *options;

    if (f->file.in.size == 0) {
        one_call_fail(o, f, API_EMPTY_FILE, "The file is empty.");
        return false;
    }
    if (o->fields.merge)
        f->route = catalogue_find_many(from, to);
    else
        f->route = to ? catalogue_find(from, to) : NULL;
    if (!f->route) {
        one_call_fail(o, f, API_UNSUPPORTED_TARGET,
                      o->fields.merge ? catalogue_why_not_many(to)
                                      : "This file can't be converted into that format; GET /formats lists "
                                        "what can be had.");
        return false;
    }
    if (o->fields.merge && f != o->files[0]) /* the options are for the one that they become */
        return true;
    if (fields_options(&o->fields, f->route, &options) < 0) {
        one_call_fail(o, f, API_BAD_REQUEST, o->fields.why);
        return false;
    }
    secrets_wipe(options);
    json_decref(options);
    return true;
}

/* False: the call has been failed. */
static bool may_be_called_back(struct one_call *o)
{
    struct api_call *call = TAKE_PTR(o->call);

    if (o->fields.callback_url && !api_allow_callback(call, o->fields.callback_url))
        return false;
    o->call = call;
    return true;
}

static void go(struct one_call *o)
{
    if (!may_have_what_stays(o) || !has_what_it_needs(o) || !may_be_called_back(o))
        return;
    o->stays = o->fields.keep || o->fields.callback_url;
    for (size_t i = 0; i < o->n; i++)
        if (!settle_file(o, o->files[i]))
            return;
    o->results = o->fields.merge ? 1 : o->n;
    o->busy = true;
    o->work.data = o;
    uv_queue_work(o->api->loop, &o->work, check_files, on_files_checked);
}

static int stopped(struct one_call *o, int r)
{
    if (o->refusal.detail)
        one_call_fail(o, o->at, o->refusal.error, o->refusal.detail);
    else
        one_call_fail(o, NULL, API_BAD_REQUEST, "The body is not well-formed multipart/form-data.");
    return r;
}

static int on_body_data(void *arg, const void *data, size_t len)
{
    struct one_call *o = arg;
    int r = multipart_feed(o->parser, data, len);

    return r < 0 ? stopped(o, r) : 0;
}

static void on_body_end(void *arg)
{
    struct one_call *o = arg;
    int r = multipart_finish(o->parser);

    if (r < 0)
        stopped(o, r);
    else
        go(o);
}

/* Answered, or broken off. */
static void on_request_end(void *arg)
{
    struct one_call *o = arg;

    o->left = true;
    multipart_free(o->parser);
    buf_free(&o->text);
    buf_free(&o->told);
    fields_free(&o->fields);
    if (!o->busy)
        one_call_wind_up(o);
}

/* False: the call has been failed. */
static bool take_turn(struct one_call *o, struct api_call *call)
{
    if (!intake_take_slot(&o->slot))
        return false;
    if (!call->identity.anonymous)
        return true;
    o->has_turn = slots_take(call->api->anonymous_calls, &call->client) == 0;
    if (!o->has_turn)
        intake_fail(&o->slot, API_RATE_LIMITED,
                    "This address has as many calls without a session or a bearer under way as it may.");
    return o->has_turn;
}

void api_one_call(struct api_call *call)
{
    static const struct multipart_events parts = {on_part_begin, on_part_data, on_part_end};
    static const struct http_stream stream = {on_body_data, on_body_end};
    struct one_call *o = http_request_alloc(call->req, sizeof *o);
    const char *type = http_request_header(call->req, "Content-Type");

    if (multipart_new(type ? type : "", &parts, o, &o->parser) < 0) {
        api_fail(call, API_BAD_REQUEST, "Send the files as multipart/form-data.");
        return;
    }
    intake_begin(&o->slot, call, false);
    if (!take_turn(o, call)) {
        multipart_free(o->parser);
        return;
    }
    o->slot.call = NULL; /* it is ended here */
    o->api = call->api;
    o->req = call->req;
    o->whose = o->call = call;
    o->text = BUF_INIT(FIELDS_BYTES_MAX);
    o->text.secret = true; /* it may be a password */
    for (const char *line = NULL; (line = http_request_header_before(call->req, "Prefer", line));)
        prefer_read(&o->prefer, line);
    http_request_stream(call->req, &stream, o);
    http_request_on_end(call->req, on_request_end, o); /* last: if it is called at once, the call is gone */
}
