/* POST /convert, and POST /retry, which is the same for a job that has failed or was cancelled.
 *
 * The client may leave before Redis or the disk has answered. Then the body and the secrets go at once, and
 * no callback may look at them any more: each begins by asking has_left(). */
#include "api/api.h"

#include "api/body.h"
#include "api/idempotency.h"
#include "api/reuse.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"
#include "core/webhook.h"
#include "engine/catalogue.h"
#include "engine/secrets.h"
#include "state/webhooks.h"

#include <assert.h>
#include <errno.h>

enum { SET_MAX = JOB_RESET_MAX + 32 };

struct convert {
    struct api_call *call;
    struct body body;
    bool again;         /* a retry */
    job_fn *on_job;     /* the first one */
    const char *job_id; /* lives as long as the request; of many the first */
    const struct format *target;
    json_t *wanted, *stored_options; /* `wanted`: the options, of the body or those stored; NULL: none */
    char *options;
    char *sealed_secrets; /* NULL: there are none */
    char secret_options[SECRETS_NAMES_MAX];
    const char *callback_url; /* "": none; lives as long as the request, or the body */
    char task_id[ID_UUID_LEN + 1];
    struct queue_place place;
    const struct catalogue_route *route;
    json_t *inputs; /* of many: what is stored of them (state/job.h) */
    char *inputs_text;
    json_t *sources; /* what tells each input from any other file, for reuse.h */
    struct reuse reuse;
    char now[CLOCK_RFC3339_LEN + 1];
    const char *set[SET_MAX]; /* what becomes of the job's hash */

    uv_work_t work; /* a retry: are the files still there? */
    const char **files;
    size_t n_files;
    bool missing;
    bool left;
};

static void convert_release(void *arg)
{
    struct convert *c = arg;

    c->left = true;
    reuse_stop(&c->reuse);
    json_decref(c->sources);
    json_decref(c->inputs);
    free(c->inputs_text);
    json_decref(c->stored_options);
    body_free(&c->body);
    free(c->options);
    free(c->sealed_secrets);
}

/* Then the call has been ended, and with it this. */
static bool has_left(struct convert *c)
{
    if (!c->left)
        return false;
    api_abandon(c->call);
    return true;
}

/* `task_id` "": there was none. Takes over `wait`. */
static void reply_started(struct api_call *call, const char *job_id, const char *task_id,
                          enum job_status status, const char *target, uint64_t position, json_t *wait,
                          bool cached)
{
    api_reply_json(call, 202,
                   json_pack("{s:s, s:s?, s:s, s:s, s:I, s:o, s:b}", "job_id", job_id, "task_id",
                             *task_id ? task_id : NULL, "status", job_status_name(status), "target_format",
                             target, "queue_position", (json_int_t)position, "estimated_wait_ms", wait,
                             "cached", cached));
}

static void reply_queued(struct convert *c)
{
    struct http_request *req = c->call->req;
    uint64_t wait_ms;
    json_t *wait = outlook_wait(&c->call->api->outlook, catalogue_route_family(c->route), &c->place, &wait_ms)
                       ? json_integer((json_int_t)wait_ms)
                       : json_null();

    log_info("task queued", LOG_S("job_id", c->job_id), LOG_S("task_id", c->task_id),
             LOG_S("trace_id", http_request_trace(req)->id), LOG_S("request_id", http_request_id(req)));
    reply_started(c->call, c->job_id, c->task_id, JOB_QUEUED, c->target->id, c->place.ahead, wait, false);
}

/* This very request has been here before, and has started the job: only its answer was lost. True after
 * having answered. */
static bool was_started_by_this(struct convert *c, const struct job *job)
{
    const char *mark = idempotency_mark(c->call);

    if (!*mark || !str_eq(job->idempotency, mark))
        return false;
    reply_started(c->call, job->job_id, job->task_id, job->status, job->target_format, 0, json_null(),
                  job->cached);
    return true;
}

static void fail_just_started(struct convert *c)
{
    api_fail(c->call, API_WRONG_STATE, "This job has just been started by another call.");
}

static void on_enqueued(void *arg, int err)
{
    struct convert *c = arg;

    if (err == 0) { /* also when the client has left: it may ask again, and is to hear the same */
        reuse_note(&c->reuse);
        reply_queued(c);
        return;
    }
    if (has_left(c))
        return;
    if (err == -EBUSY)
        fail_just_started(c);
    else if (err == -EDQUOT)
        api_fail(c->call, API_RATE_LIMITED,
                 "This session has as many conversions waiting or under way as it may have.");
    else if (err == -EAGAIN)
        api_fail(c->call, API_RATE_LIMITED, "Too many conversions are waiting. Try again in a moment.");
    else
        api_fail_state(c->call, err);
}

/* What becomes of the job's hash, and then `more` (pairs). */
static void set_fields(struct convert *c, const char *const more[])
{
    const char *const own[] = {"target_format",  c->target->id,
                               "options",        c->options,
                               "inputs",         c->inputs_text ? c->inputs_text : "",
                               "secret_options", c->secret_options,
                               "sealed_secrets", c->sealed_secrets ? c->sealed_secrets : "",
                               "fingerprint",    c->reuse.fingerprint,
                               "idempotency",    idempotency_mark(c->call),
                               "callback_url",   c->callback_url};
    size_t n = c->again ? job_reset(c->set) : 0, i;

    memcpy(c->set + n, own, sizeof own);
    n += ARRAY_SIZE(own);
    for (i = 0; more[i]; i++) {
        assert(n + i + 1 < SET_MAX);
        c->set[n + i] = more[i];
    }
    c->set[n + i] = NULL;
}

static void enqueue(struct convert *c)
{
    const char *sid = c->call->session.id;
    char crowd[JOB_CROWD_MAX], key[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX], session[SESSION_OPEN_KEY_MAX];
    char traceparent[TRACEPARENT_LEN + 1];
    _cleanup_json_ json_t *kwargs = json_pack("{s:s, s:s}", "session_id", sid, "job_id", c->job_id);
    const struct queue_hash hash = {.key = key,
                                    .field = "status",
                                    .expected = c->again ? "failed cancelled" : "uploaded",
                                    .channel = channel,
                                    .set = c->set};
    const struct queue_task task = {.id = c->task_id,
                                    .name = "decant.convert",
                                    .kwargs = kwargs,
                                    .family = catalogue_route_family(c->route),
                                    .priority = (unsigned)c->call->plan->priority,
                                    .crowd = crowd,
                                    .crowd_max = c->call->plan->queue,
                                    .needed = session, /* closing it cancels jobs, which could be retried */
                                    .traceparent = traceparent,
                                    .place = &c->place};

    trace_next(http_request_trace(c->call->req), traceparent);
    id_uuid(c->task_id);
    set_fields(c, REDIS("status", job_status_name(JOB_QUEUED), "task_id", c->task_id));
    job_key(key, sid, c->job_id);
    job_crowd(crowd, sid);
    session_open_key(session, sid);
    snprintf(channel, sizeof channel, "%s%s", JOB_CHANNEL_PREFIX, c->job_id);
    queue_enqueue(c->call->api->queue, &task, &hash, on_enqueued, c);
}

/* From here on the body and the options know no password any more: nothing that stores or sends them does.
 * False after having failed the call. */
static bool separate_secrets(struct convert *c)
{
    _cleanup_secret_ char *secrets = NULL;
    int r = 0;

    secrets_names(c->wanted, c->secret_options);
    secrets = secrets_take(c->wanted);

    if (secrets && !c->call->api->seal) {
        api_fail(
            c->call, API_BAD_REQUEST,
            "This server takes no passwords: its operator has set no DECANT_SEAL_PUBLIC to seal them with.");
        return false;
    }
    if (secrets)
        r = seal_close(c->call->api->seal, c->job_id, secrets, &c->sealed_secrets);
    c->options = c->wanted ? json_dumps(c->wanted, JSON_COMPACT) : strdup("{}");
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

    c->route = c->inputs ? catalogue_find_many(from, c->target) : catalogue_find(from, c->target);
    if (!c->route && c->inputs)
        api_fail(c->call, API_UNSUPPORTED_TARGET, catalogue_why_not_many(c->target));
    else if (!c->route)
        fail_unsupported(c);
    else if (catalogue_check_options(c->route, c->wanted, why, sizeof why) < 0)
        api_fail(c->call, API_BAD_REQUEST, why);
    else
        return true;
    return false;
}

static void on_reuse_tried(void *arg, int err)
{
    struct convert *c = arg;

    if (err == 0) { /* as on_enqueued() does */
        log_info("result reused", LOG_S("job_id", c->job_id),
                 LOG_S("trace_id", http_request_trace(c->call->req)->id),
                 LOG_S("request_id", http_request_id(c->call->req)));
        reply_started(c->call, c->job_id, "", JOB_COMPLETED, c->target->id, 0, json_integer(0), true);
        return;
    }
    if (has_left(c))
        return;
    if (err == -EBUSY)
        fail_just_started(c);
    else if (!c->call->api->redis) /* the server has stopped meanwhile */
        api_fail_state(c->call, -ENOTCONN);
    else
        enqueue(c);
}

static void reuse_or_enqueue(struct convert *c)
{
    reuse_identify(&c->reuse, c->route, c->wanted, c->sources);
    clock_rfc3339(clock_real_ms(), c->now);
    set_fields(c, REDIS("status", job_status_name(JOB_COMPLETED), "progress", "100", "cached", "1",
                        "started_at", c->now, "completed_at", c->now, "queue_ms", "0", "duration_ms", "0"));
    reuse_try(&c->reuse, c->set, on_reuse_tried, c);
}

static void proceed(struct convert *c)
{
    if (c->again || c->secret_options[0])
        enqueue(c);
    else
        reuse_or_enqueue(c);
}

static void on_watched(void *arg, int err, const redisReply *reply)
{
    struct convert *c = arg;

    if (has_left(c))
        return;
    if (err < 0)
        api_fail_state(c->call, err);
    else
        proceed(c);
}

static void go(struct convert *c)
{
    if (!separate_secrets(c))
        return;
    c->route = catalogue_route_with(c->route, c->wanted);
    if (*c->callback_url && str_eq(c->call->api->settings->webhooks, "on"))
        webhooks_watch(c->call->api->redis, c->call->session.id, c->job_id, on_watched, c);
    else
        proceed(c);
}

/* --- of many jobs: each is looked at, the first among them */

static void load_next(struct convert *c);

/* Can this one become what is wanted of each? */
static bool fits(const struct convert *c, const struct format *from)
{
    const struct format *each = catalogue_each(c->route, c->wanted);

    return from && (!each || each == from || catalogue_find(from, each));
}

static int add_source(struct convert *c, const struct job *job, const char *name)
{
    if (!c->sources)
        c->sources = json_array();
    return json_array_append_new(c->sources, json_pack("[s, s, s]", job->sha256, job->source_format, name));
}

static int add_input(struct convert *c, const struct job *job)
{
    if (add_source(c, job, job->original_filename) < 0)
        return -1;
    return json_array_append_new(c->inputs, json_pack("{s:s, s:s, s:s}", "path", job->stored_path, "name",
                                                      job->original_filename, "format", job->source_format));
}

static void on_many(void *arg, int err, const struct job *job)
{
    struct convert *c = arg;

    if (has_left(c))
        return;
    if (err < 0) {
        api_fail_state(c->call, err);
    } else if (json_array_size(c->inputs) == 0 && was_started_by_this(c, job)) {
        return;
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

    if (has_left(c))
        return;
    if (err < 0)
        api_fail_state(c->call, err);
    else if (was_started_by_this(c, job))
        return;
    else if (job->status != JOB_UPLOADED)
        api_fail(c->call, API_WRONG_STATE, "This job has been started already.");
    else if (!choose_route(c, format_by_id(job->source_format)))
        return;
    else if (add_source(c, job, "") < 0) /* whose name no engine hears of */
        api_fail(c->call, API_INTERNAL, "Out of memory.");
    else
        go(c);
}

/* --- again: what is stored of the job says what is wanted, but for what the body says anew */

static void fail_retry(struct convert *c, enum job_status status)
{
    static const char *const details[] = {
        [JOB_UPLOADED] = "This job has not been started: POST /convert does that.",
        [JOB_QUEUED] = "This job is waiting already.",
        [JOB_SCANNING] = "This job is under way.",
        [JOB_PROCESSING] = "This job is under way.",
        [JOB_COMPLETED] = "This job has been completed. POST /duplicate makes a new one of its file.",
    };

    api_fail(c->call, API_WRONG_STATE, details[status]);
}

static void fail_for_file(struct convert *c)
{
    api_fail(c->call, API_WRONG_STATE,
             "The file of this job is no longer stored, so it can't be tried again. Upload it once more.");
}

/* They are not kept when a job ends, and a result without them may be one that nobody wanted. */
static void fail_for_secrets(struct convert *c, const char *names)
{
    char detail[256];

    snprintf(
        detail, sizeof detail,
        "This job was given secrets (%s), which are not kept. Send all of its \"options\" again, with them.",
        names);
    api_fail(c->call, API_BAD_REQUEST, detail);
}

/* False after having failed the call. */
static bool take_stored(struct convert *c, const struct job *job)
{
    c->callback_url = http_request_strdup(c->call->req, job->callback_url);
    c->target = format_by_id(job->target_format);
    c->wanted = c->body.options;
    if (!c->wanted && *job->options)
        c->wanted = c->stored_options = json_loads(job->options, JSON_REJECT_DUPLICATES, NULL);
    if (*job->inputs)
        c->inputs = json_loads(job->inputs, JSON_REJECT_DUPLICATES, NULL);
    if (*job->inputs && (!json_is_array(c->inputs) || !(c->inputs_text = strdup(job->inputs)))) {
        api_fail(c->call, API_INTERNAL, "What is stored of this job can't be read.");
        return false;
    }
    return choose_route(c, format_by_id(job->source_format));
}

/* False after having failed the call. */
static bool take_files(struct convert *c, const struct job *job)
{
    struct http_request *req = c->call->req;
    const json_t *input;
    size_t i;

    c->files = http_request_alloc(req, (json_array_size(c->inputs) + 1) * sizeof *c->files);
    if (!c->inputs)
        c->files[c->n_files++] = http_request_strdup(req, job->stored_path);
    json_array_foreach(c->inputs, i, input)
    {
        const char *path = json_string_value(json_object_get(input, "path"));
        const char *format = json_string_value(json_object_get(input, "format"));

        if (!fits(c, format_by_id(format ? format : ""))) {
            fail_unsupported(c);
            return false;
        }
        c->files[c->n_files++] = http_request_strdup(req, path ? path : "");
    }
    return true;
}

static void look_for_files(uv_work_t *work)
{
    struct convert *c = work->data;

    for (size_t i = 0; i < c->n_files && !c->missing; i++)
        c->missing = !storage_has_file(c->call->api->storage, c->files[i]);
}

static void on_files_looked_for(uv_work_t *work, int status)
{
    struct convert *c = work->data;

    if (has_left(c))
        return;
    if (!c->call->api->redis) /* the server has stopped meanwhile */
        api_fail_state(c->call, -ENOTCONN);
    else if (c->missing)
        fail_for_file(c);
    else
        go(c);
}

static void on_job_to_retry(void *arg, int err, const struct job *job)
{
    struct convert *c = arg;

    if (has_left(c))
        return;
    if (err < 0) {
        api_fail_state(c->call, err);
    } else if (was_started_by_this(c, job)) {
        return;
    } else if (job->status != JOB_FAILED && job->status != JOB_CANCELLED) {
        fail_retry(c, job->status);
    } else if (!*job->target_format) { /* what fails before it is started has lost its file (job_lose) */
        fail_for_file(c);
    } else if (!c->body.options && *job->secret_options) {
        fail_for_secrets(c, job->secret_options);
    } else if (take_stored(c, job) && take_files(c, job)) {
        c->work.data = c;
        uv_queue_work(c->call->api->loop, &c->work, look_for_files, on_files_looked_for);
    }
}

/* --- */

typedef int body_read_fn(const char *text, size_t len, struct body *ret, const char **ret_why);

/* NULL: the call has been failed. */
static struct convert *convert_new(struct api_call *call, body_read_fn *read, const char *text, size_t len)
{
    struct convert *c = http_request_alloc(call->req, sizeof *c);
    const char *why;

    c->call = call;
    if (read(text, len, &c->body, &why) < 0) {
        api_fail(call, API_BAD_REQUEST, why);
        return NULL;
    }
    c->job_id = http_request_strdup(call->req, c->body.job_id);
    c->reuse.call = call;
    c->reuse.job_id = c->job_id;
    http_request_on_end(call->req, convert_release, c);
    outlook_refresh(&call->api->outlook, call->api->redis);
    return c;
}

bool api_allow_callback(struct api_call *call, const char *url)
{
    const struct settings *s = call->api->settings;
    const char *why;
    int r;

    if (str_eq(s->webhooks, "off")) {
        api_fail(call, API_CALLBACK_REFUSED, "This server sends no webhooks (DECANT_WEBHOOKS is off).");
        return false;
    }
    if (!*call->account.id) {
        api_fail(call, API_CALLBACK_REFUSED, "\"callback_url\" is for calls of an account.");
        return false;
    }
    r = webhook_url_allowed(call->account.webhook_hosts, s->courier_ports, url, &why);
    if (r < 0)
        api_fail(call, r == -EINVAL ? API_BAD_REQUEST : API_CALLBACK_REFUSED, why);
    return r == 0;
}

static void on_begun(void *arg, const struct idempotency_answer *before)
{
    struct convert *c = arg;

    if (has_left(c))
        return;
    if (before)
        idempotency_repeat(c->call, before);
    else if (c->inputs)
        load_next(c);
    else
        job_load(c->call->api->redis, c->call->session.id, c->job_id, c->on_job, c);
}

void api_convert_body(struct api_call *call, const char *text, size_t len)
{
    struct convert *c = convert_new(call, body_read_convert, text, len);

    if (!c || (c->body.callback_url && !api_allow_callback(call, c->body.callback_url)))
        return;
    c->on_job = on_job_to_convert;
    c->callback_url = c->body.callback_url ? c->body.callback_url : "";
    c->target = c->body.target;
    c->wanted = c->body.options;
    if (c->body.job_ids)
        c->inputs = json_array();
    idempotency_begin(call, c->body.json, on_begun, c);
}

void api_convert(struct api_call *call)
{
    size_t len;
    const char *text = http_request_body(call->req, &len);

    api_convert_body(call, text, len);
}

void api_retry(struct api_call *call)
{
    size_t len;
    const char *text = http_request_body(call->req, &len);
    struct convert *c = convert_new(call, body_read_retry, text, len);

    if (!c)
        return;
    c->again = true;
    c->on_job = on_job_to_retry;
    idempotency_begin(call, c->body.json, on_begun, c);
}
