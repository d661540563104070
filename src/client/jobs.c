#include "client/jobs.h"

#include "core/clock.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>

enum {
    PATH_BYTES_MAX = 256,
    /* From one look at a job to the next, at least: more each time that nothing new was to be seen. */
    LOOK_AGAIN_MS = 20,
    LOOK_AGAIN_MAX_MS = 5000,
    CALL_STALL_S = 3600 + 60, /* a server waits for an hour at most (DECANT_CALL_WAIT) */
};

#define WAIT_S "30"

int jobs_caller_open(struct jobs_caller *c, struct remote *remote)
{
    *c = (struct jobs_caller){.remote = remote};
    return remote_line(remote, &c->line);
}

void jobs_caller_close(struct jobs_caller *c)
{
    exchange_line_close(&c->line);
}

/* --- one call */

/* Its answer as JSON; new. */
static int call_json(struct jobs_caller *c, const char *path, struct exchange *x, json_t **ret)
{
    int r = remote_call(c->remote, &c->line, path, x, &c->fault);

    if (r == 0 && !(*ret = remote_json(x, &c->fault)))
        r = -EPROTO;
    return r;
}

static int job_path(struct jobs_caller *c, const char *id, const char *tail, char ret[PATH_BYTES_MAX])
{
    if (!id_is_uuid(id))
        return remote_fail(&c->fault, -EINVAL, "bad_request", "%.64s: this is not the id of a job", id);
    snprintf(ret, PATH_BYTES_MAX, "/v1/jobs/%s%s", id, tail);
    return 0;
}

static int call_job(struct jobs_caller *c, const char *method, const char *id, const char *tail, json_t **ret)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    char path[PATH_BYTES_MAX];
    int r = job_path(c, id, tail, path);

    x.method = method;
    return r < 0 ? r : call_json(c, path, &x, ret);
}

/* --- a conversion */

/* With passwords in it, perhaps. */
static char *conversion_body(char (*ids)[ID_UUID_LEN + 1], size_t n, const char *target, const char *options)
{
    _cleanup_json_ json_t *body = json_pack("{s:s}", "target_format", target);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(ids[i]));
    if (n > 1)
        json_object_set(body, "job_ids", list);
    else
        json_object_set_new(body, "job_id", json_string(ids[0]));
    json_decref(list);
    if (options)
        json_object_set_new(body, "options", json_loads(options, 0, NULL));
    return json_dumps(body, JSON_COMPACT);
}

int jobs_convert(struct jobs_caller *c, char (*ids)[ID_UUID_LEN + 1], size_t n, const char *target,
                 const char *options)
{
    _cleanup_secret_ char *body = conversion_body(ids, n, target, options);
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    _cleanup_json_ json_t *answer = NULL;
    char key[ID_UUID_LEN + 1], header[64];
    const char *const headers[] = {header, NULL};

    if (!body)
        return remote_fail(&c->fault, -ENOMEM, "internal", "out of memory");
    id_uuid(key);
    snprintf(header, sizeof header, "Idempotency-Key: \"%s\"", key);
    x.method = "POST";
    x.headers = headers;
    x.json = body;
    return call_json(c, "/convert", &x, &answer);
}

int jobs_convert_at_once(struct jobs_caller *c, const struct jobs_call *call, bool *ret_zip)
{
    const struct exchange_field fields[] = {
        {"to", call->target}, {call->options ? "options" : NULL, call->options}, {NULL, NULL}};
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    int r;

    x.method = "POST";
    x.fields = fields;
    x.file = call->fd;
    x.file_name = call->name;
    x.file_size = call->size;
    x.stall_s = CALL_STALL_S;
    x.progress = call->sent;
    x.progress_arg = call->arg;
    x.sink = call->sink;
    r = remote_call(c->remote, &c->line, "/v1/convert", &x, &c->fault);
    if (r == 0 && !x.has_job_id)
        return remote_fail(&c->fault, -EPROTO, "server_error",
                           "The answer is none of Decant's: is that its address?");
    *ret_zip = str_eq(x.type, "application/zip");
    return r;
}

bool jobs_status_is_end(const char *status)
{
    return str_eq(status, "completed") || str_eq(status, "failed") || str_eq(status, "cancelled");
}

int jobs_show(struct jobs_caller *c, const char *id, json_t **ret_job)
{
    return call_job(c, "GET", id, "", ret_job);
}

/* What was seen of a job that is waited for. */
struct watch {
    char status[32];
    unsigned percent;
    uint64_t pause_ms;
};

static bool has_changed(struct watch *w, const char *status, unsigned percent)
{
    if (str_eq(w->status, status) && w->percent == percent)
        return false;
    snprintf(w->status, sizeof w->status, "%s", status);
    w->percent = percent;
    return true;
}

/* A server that is asked to answer when there is news may answer at once, as may what stands before it: how
 * often it is asked is for us to bound. One that does wait is asked again without a pause. */
static int pause_look(struct jobs_caller *c, struct watch *w, bool changed, uint64_t asked_ms)
{
    uint64_t passed = clock_mono_ms() - asked_ms;

    w->pause_ms = changed ? LOOK_AGAIN_MS : w->pause_ms * 2;
    if (w->pause_ms > LOOK_AGAIN_MAX_MS)
        w->pause_ms = LOOK_AGAIN_MAX_MS;
    return passed < w->pause_ms ? remote_pause(c->remote, w->pause_ms - passed, &c->fault) : 0;
}

int jobs_wait(struct jobs_caller *c, const char *id, jobs_change_fn *fn, void *arg, json_t **ret_job)
{
    struct watch watch = {0};
    const char *tail = "";

    for (;;) {
        _cleanup_json_ json_t *job = NULL;
        uint64_t asked_ms = clock_mono_ms();
        int r = call_job(c, "GET", id, tail, &job);
        const char *status = json_string_value(json_object_get(job, "status"));
        unsigned percent = (unsigned)json_integer_value(json_object_get(job, "progress"));
        bool changed;

        if (r < 0)
            return r;
        if (!status)
            return remote_fail(&c->fault, -EPROTO, "server_error", "The state of the job is not understood.");
        changed = has_changed(&watch, status, percent);
        if (changed && fn)
            fn(arg, status, percent);
        if (jobs_status_is_end(status)) {
            *ret_job = TAKE_PTR(job);
            return 0;
        }
        r = pause_look(c, &watch, changed, asked_ms);
        if (r < 0)
            return r;
        tail = "?wait=" WAIT_S;
    }
}

int jobs_fetch(struct jobs_caller *c, const json_t *job, int fd, jobs_progress_fn *fn, void *arg)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    json_int_t size = json_integer_value(json_object_get(json_object_get(job, "output"), "size"));
    const char *id = json_string_value(json_object_get(job, "job_id"));
    char path[PATH_BYTES_MAX];
    int r = job_path(c, id ? id : "", "/result", path);

    x.sink = fd;
    x.progress = fn;
    x.progress_arg = arg;
    if (r == 0)
        r = remote_call(c->remote, &c->line, path, &x, &c->fault);
    if (r == 0 && x.offset != (uint64_t)size)
        return remote_fail(&c->fault, -EPROTO, "server_error",
                           "The result has another length than the server said.");
    return r;
}

/* --- the end of a job */

int jobs_cancel(struct jobs_caller *c, const char *id, json_t **ret_job)
{
    return call_job(c, "POST", id, "/cancel", ret_job);
}

int jobs_delete(struct jobs_caller *c, const char *id, bool *ret_there)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    char path[PATH_BYTES_MAX];
    int r = job_path(c, id, "", path);

    x.method = "DELETE";
    if (r == 0)
        r = remote_call(c->remote, &c->line, path, &x, &c->fault);
    if (ret_there)
        *ret_there = r == 0;
    return r == -EREMOTEIO && c->fault.status == 404 ? 0 : r;
}

int jobs_history(struct jobs_caller *c, unsigned limit, const char *cursor, json_t **ret_page)
{
    _cleanup_(exchange_clear) struct exchange x = EXCHANGE_INIT;
    char path[PATH_BYTES_MAX];

    if (cursor &&
        (strlen(cursor) > PATH_BYTES_MAX / 2 || strspn(cursor, "0123456789abcdef.-") != strlen(cursor)))
        return remote_fail(&c->fault, -EPROTO, "server_error",
                           "The list goes on in a way that isn't understood.");
    snprintf(path, sizeof path, "/history?limit=%u%s%s", limit, cursor ? "&cursor=" : "",
             cursor ? cursor : "");
    return call_json(c, path, &x, ret_page);
}
