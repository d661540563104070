/* POST /convert. */
#include "api/api.h"

#include "api/body.h"
#include "core/log.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/secrets.h"

#include <errno.h>

struct convert {
    struct api_call *call;
    struct body body;
    char *options;
    char *sealed_secrets; /* NULL: there are none */
    char task_id[ID_UUID_LEN + 1];
    struct queue_place place;
    const struct catalogue_route *route;
    json_t *inputs; /* of many: what is stored of them (state/job.h) */
    char *inputs_text;
};

static void convert_release(void *arg)
{
    struct convert *c = arg;

    json_decref(c->inputs);
    free(c->inputs_text);

    body_free(&c->body);
    free(c->options);
    free(c->sealed_secrets);
}

static void reply_queued(struct convert *c)
{
    struct http_request *req = c->call->req;
    uint64_t wait_ms;
    json_t *wait = outlook_wait(&c->call->api->outlook, catalogue_route_family(c->route), &c->place, &wait_ms)
                       ? json_integer((json_int_t)wait_ms)
                       : json_null();

    log_info("task queued", LOG_S("job_id", c->body.job_id), LOG_S("task_id", c->task_id),
             LOG_S("trace_id", http_request_trace(req)->id), LOG_S("request_id", http_request_id(req)));
    api_reply_json(c->call, 202,
                   json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "job_id", c->body.job_id, "task_id",
                             c->task_id, "status", job_status_name(JOB_QUEUED), "target_format",
                             c->body.target->id, "queue_position", (json_int_t)c->place.ahead,
                             "estimated_wait_ms", wait));
}

static void on_enqueued(void *arg, int err)
{
    struct convert *c = arg;

    if (err == 0)
        reply_queued(c);
    else if (err == -EBUSY)
        api_fail(c->call, API_WRONG_STATE, "This job has been started already.");
    else if (err == -EDQUOT)
        api_fail(c->call, API_RATE_LIMITED,
                 "This session has as many conversions waiting or under way as it may have.");
    else if (err == -EAGAIN)
        api_fail(c->call, API_RATE_LIMITED, "Too many conversions are waiting. Try again in a moment.");
    else
        api_fail_state(c->call, err);
}

static void enqueue(struct convert *c)
{
    const char *sid = c->call->session.id;
    char crowd[JOB_CROWD_MAX], key[JOB_KEY_MAX], channel[sizeof JOB_CHANNEL_PREFIX + ID_UUID_LEN];
    char traceparent[TRACEPARENT_LEN + 1];
    _cleanup_json_ json_t *kwargs = json_pack("{s:s, s:s}", "session_id", sid, "job_id", c->body.job_id);
    const char *const set[] = {"status",
                               job_status_name(JOB_QUEUED),
                               "target_format",
                               c->body.target->id,
                               "task_id",
                               c->task_id,
                               "options",
                               c->options,
                               "inputs",
                               c->inputs_text ? c->inputs_text : "",
                               c->sealed_secrets ? "sealed_secrets" : NULL,
                               c->sealed_secrets,
                               NULL};
    const struct queue_hash hash = {
        .key = key, .field = "status", .expected = "uploaded", .channel = channel, .set = set};
    const struct queue_task task = {.id = c->task_id,
                                    .name = "decant.convert",
                                    .kwargs = kwargs,
                                    .family = catalogue_route_family(c->route),
                                    .crowd = crowd,
                                    .crowd_max = c->call->api->settings->session_queue,
                                    .traceparent = traceparent,
                                    .place = &c->place};

    trace_next(http_request_trace(c->call->req), traceparent);
    id_uuid(c->task_id);
    job_key(key, sid, c->body.job_id);
    job_crowd(crowd, sid);
    snprintf(channel, sizeof channel, "%s%s", JOB_CHANNEL_PREFIX, c->body.job_id);
    queue_enqueue(c->call->api->queue, &task, &hash, on_enqueued, c);
}

/* From here on the body and the options know no password any more: nothing that stores or sends them does.
 * False after having failed the call. */
static bool separate_secrets(struct convert *c)
{
    _cleanup_secret_ char *secrets = secrets_take(c->body.options);
    int r = 0;

    if (secrets && !c->call->api->seal) {
        api_fail(
            c->call, API_BAD_REQUEST,
            "This server takes no passwords: its operator has set no DECANT_SEAL_PUBLIC to seal them with.");
        return false;
    }
    if (secrets)
        r = seal_close(c->call->api->seal, c->body.job_id, secrets, &c->sealed_secrets);
    c->options = c->body.options ? json_dumps(c->body.options, JSON_COMPACT) : strdup("{}");
    if (r < 0 || !c->options)
        api_fail(c->call, API_INTERNAL, "The password could not be sealed.");
    return r == 0 && c->options;
}

static void fail_unsupported(struct convert *c)
{
    api_fail(c->call, API_UNSUPPORTED_TARGET,
             "This file can't be converted into that format; \"targets\" of its upload lists what can be "
             "had.");
}

/* From the first job's source; what the others are is looked at when they are there. */
static bool choose_route(struct convert *c, const struct format *from)
{
    char why[256];

    c->route =
        c->body.job_ids ? catalogue_find_many(from, c->body.target) : catalogue_find(from, c->body.target);
    if (!c->route && c->body.job_ids)
        api_fail(c->call, API_UNSUPPORTED_TARGET,
                 "Several files can become one PDF or one archive, and nothing else.");
    else if (!c->route)
        fail_unsupported(c);
    else if (catalogue_check_options(c->route, c->body.options, why, sizeof why) < 0)
        api_fail(c->call, API_BAD_REQUEST, why);
    else
        return true;
    return false;
}

static void go(struct convert *c)
{
    if (!separate_secrets(c))
        return;
    c->route = catalogue_route_with(c->route, c->body.options);
    enqueue(c);
}

/* --- of many jobs: each is looked at, the first among them */

static void load_next(struct convert *c);

/* Can this one become what is wanted of each? */
static bool fits(const struct convert *c, const struct format *from)
{
    const struct format *each = catalogue_each(c->route, c->body.options);

    return from && (!each || each == from || catalogue_find(from, each));
}

static int add_input(struct convert *c, const struct job *job)
{
    return json_array_append_new(c->inputs, json_pack("{s:s, s:s, s:s}", "path", job->stored_path, "name",
                                                      job->original_filename, "format", job->source_format));
}

static void on_many(void *arg, int err, const struct job *job)
{
    struct convert *c = arg;

    if (err < 0) {
        api_fail_state(c->call, err);
    } else if (job->status != JOB_UPLOADED) {
        api_fail(c->call, API_WRONG_STATE, "One of these jobs has been started already.");
    } else if (!c->route && !choose_route(c, format_by_id(job->source_format))) {
        return;
    } else if (!fits(c, format_by_id(job->source_format))) {
        fail_unsupported(c);
    } else if (add_input(c, job) < 0) {
        api_fail(c->call, API_INTERNAL, "Out of memory.");
    } else {
        load_next(c);
    }
}

static void load_next(struct convert *c)
{
    const json_t *id = json_array_get(c->body.job_ids, json_array_size(c->inputs));

    if (id) {
        job_load(c->call->api->redis, c->call->session.id, json_string_value(id), on_many, c);
        return;
    }
    c->inputs_text = json_dumps(c->inputs, JSON_COMPACT);
    if (c->inputs_text)
        go(c);
    else
        api_fail(c->call, API_INTERNAL, "Out of memory.");
}

static void on_job_to_convert(void *arg, int err, const struct job *job)
{
    struct convert *c = arg;

    if (err < 0)
        api_fail_state(c->call, err);
    else if (job->status != JOB_UPLOADED)
        api_fail(c->call, API_WRONG_STATE, "This job has been started already.");
    else if (choose_route(c, format_by_id(job->source_format)))
        go(c);
}

void api_convert(struct api_call *call)
{
    struct convert *c = http_request_alloc(call->req, sizeof *c);
    size_t len;
    const char *text = http_request_body(call->req, &len), *why;

    c->call = call;
    if (body_read_convert(text, len, &c->body, &why) < 0) {
        api_fail(call, API_BAD_REQUEST, why);
        return;
    }
    http_request_on_end(call->req, convert_release, c);
    outlook_refresh(&call->api->outlook, call->api->redis);
    if (c->body.job_ids && (c->inputs = json_array()))
        load_next(c);
    else
        job_load(call->api->redis, call->session.id, c->body.job_id, on_job_to_convert, c);
}
