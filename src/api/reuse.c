#include "api/reuse.h"

#include "api/digest.h"
#include "api/editions.h"
#include "api/metrics.h"
#include "core/log.h"
#include "core/str.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert((int)DIGEST_LEN == (int)RESULT_FINGERPRINT_LEN, "a conversion is named by a digest");

/* --- what is the same */

static bool are_known(const json_t *sources)
{
    size_t i;
    json_t *source;

    json_array_foreach((json_t *)sources, i, source)
    {
        if (json_string_length(json_array_get(source, 0)) != DIGEST_LEN)
            return false;
    }
    return json_array_size(sources) > 0;
}

/* What makes a file of many has any engines below it: then all count. An array; NULL: not all are known. */
static json_t *versions_of(struct reuse *u, const struct editions *e, const struct catalogue_route *route)
{
    json_t *versions = json_array();
    size_t n = u->gathers ? e->n : route->n_steps, len = 0;

    for (size_t i = 0; i < n; i++) {
        const char *engine = u->gathers ? e->engines[i].engine : route->steps[i]->engine;
        const char *version = editions_of(e, engine);

        if (!*version) {
            json_decref(versions);
            return NULL;
        }
        json_array_append_new(versions, json_pack("[s, s]", engine, version));
        if (len < sizeof u->version)
            len +=
                (size_t)snprintf(u->version + len, sizeof u->version - len, "%s%s", len ? ", " : "", version);
    }
    return versions;
}

void reuse_identify(struct reuse *u, const struct catalogue_route *route, const json_t *options,
                    const json_t *sources)
{
    const struct editions *e = &u->call->api->outlook.editions;
    _cleanup_json_ json_t *all = NULL, *versions = NULL, *steps = NULL;
    _cleanup_free_ char *text = NULL;

    if (u->call->api->settings->result_cache_s == 0 || !are_known(sources) || !*e->decant || !*e->scanner)
        return;
    u->gathers = catalogue_gathers(route);
    versions = versions_of(u, e, route);
    steps = catalogue_effective(route, options);
    if (!versions || !steps)
        return;
    /* Options of what is gathered are for steps that no route knows: they count as they were written. */
    all = json_pack("[s, s, s, O, O, O, O*]", e->decant, e->scanner, route->to->id, versions, sources, steps,
                    u->gathers ? options : NULL);
    text = all ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (text)
        digest_texts((const char *const[]){text, NULL}, u->fingerprint);
}

/* --- a result that there is */

static void finish(struct reuse *u, int err)
{
    slots_release(u->call->api->uploads, &u->call->client);
    u->fn(u->arg, err);
}

/* Where it isn't known whether the job has it, the copy stays: the job's next attempt would remove it. */
static void drop_copy(struct reuse *u, int err)
{
    struct storage *storage = u->call->api->storage;
    const char *session_id = u->call->session.id;

    if (err == -ENOENT)
        storage_remove_session(storage, session_id); /* it was closed meanwhile */
    else if (err == -ECANCELED)
        storage_remove_job(storage, session_id, u->job_id);
    else if (err == -EBUSY || err == -ESTALE || err == -EFBIG)
        storage_remove_file(storage, u->copy);
}

static void on_reused(void *arg, int err, const redisReply *reply)
{
    struct reuse *u = arg;

    if (err == 0)
        metrics_reused(u->call->api->metrics);
    drop_copy(u, err);
    finish(u, err == 0 || err == -EBUSY ? err : -ENOENT);
}

static void complete(struct reuse *u)
{
    const struct settings *s = u->call->api->settings;
    const struct plan *plan = u->call->plan;
    const struct job_quota quota = {
        .jobs = plan->max_jobs, .session_bytes = plan->stored_bytes, .all_bytes = s->storage_quota_bytes};
    const char *fields[64 + 1];
    size_t n = 0;

    for (; u->fields[n]; n++)
        fields[n] = u->fields[n];
    assert(n + 2 < ARRAY_SIZE(fields));
    fields[n++] = "converted_path";
    fields[n++] = u->copy;
    fields[n] = NULL;
    result_reuse(u->call->api->redis,
                 &(struct result_copy){.session_id = u->call->session.id,
                                       .job_id = u->job_id,
                                       .source = u->source,
                                       .path = u->path,
                                       .fields = fields,
                                       .size = u->size,
                                       .quota = &quota},
                 on_reused, u);
}

static void copy_result(uv_work_t *work)
{
    struct reuse *u = work->data;
    struct api *api = u->call->api;
    char path[STORAGE_PATH_MAX]; /* made anew: what Redis says may lead to somebody else's file */
    _cleanup_close_ int fd = storage_open_result(api->storage, u->call->session.id, u->source, u->path, path);

    u->copied = fd < 0 ? fd
                       : storage_upload_copy(api->storage, path, u->size, api->settings->reserve_bytes,
                                             &u->ended, &u->file);
    if (u->copied < 0)
        return;
    u->copied = storage_upload_send(&u->file);
    if (u->copied == 0)
        u->copied = storage_upload_commit_result(api->storage, &u->file, u->call->session.id, u->job_id,
                                                 strrchr(path, '.') + 1, u->copy);
    else
        storage_upload_abort(api->storage, &u->file);
}

static void on_copied(uv_work_t *work, int status)
{
    struct reuse *u = work->data;

    if (u->copied == 0 && !u->ended && u->call->api->redis) {
        complete(u);
        return;
    }
    if (u->copied == 0)
        storage_remove_file(u->call->api->storage, u->copy);
    else if (u->copied != -ENOENT && u->copied != -ECANCELED)
        log_warn("a result was not copied", LOG_S("job_id", u->job_id), LOG_E(u->copied));
    finish(u, -ENOENT);
}

static bool serves(const struct reuse *u, const struct job *job)
{
    return job->status == JOB_COMPLETED && str_eq(job->fingerprint, u->fingerprint) &&
           (u->gathers || str_eq(job->engine_version, u->version));
}

static void on_job(void *arg, int err, const struct job *job)
{
    struct reuse *u = arg;
    struct http_request *req = u->call->req;

    u->is_open = err == 0 && str_eq(job->fingerprint, u->fingerprint) && !job_status_is_final(job->status) &&
                 job->status != JOB_UPLOADED;
    /* As many files at once as it may upload: a copy costs the disk as much. */
    if (err < 0 || u->ended || !serves(u, job) || slots_take(u->call->api->uploads, &u->call->client) < 0) {
        u->fn(u->arg, -ENOENT);
        return;
    }
    u->source = http_request_strdup(req, job->job_id);
    u->path = http_request_strdup(req, job->converted_path);
    u->size = job->output_size;
    u->work.data = u;
    uv_queue_work(u->call->api->loop, &u->work, copy_result, on_copied);
}

static void on_found(void *arg, int err, const char *job_id)
{
    struct reuse *u = arg;

    if (err < 0)
        u->fn(u->arg, -ENOENT);
    else
        job_load(u->call->api->redis, u->call->session.id, job_id, on_job, u);
}

void reuse_try(struct reuse *u, const char *const fields[], void (*fn)(void *arg, int err), void *arg)
{
    const char *cache_control = http_request_header(u->call->req, "Cache-Control");

    u->fields = fields;
    u->fn = fn;
    u->arg = arg;
    if (!*u->fingerprint || (cache_control && strstr(cache_control, "no-cache")))
        fn(arg, -ENOENT);
    else
        result_find(u->call->api->redis, u->call->session.id, u->fingerprint,
                    u->call->api->settings->result_cache_s, on_found, u);
}

/* One that is under way will be done before this. */
void reuse_note(const struct reuse *u)
{
    if (*u->fingerprint && !u->is_open)
        result_note(u->call->api->redis, u->call->session.id, u->fingerprint, u->job_id,
                    u->call->api->settings->result_cache_s);
}

void reuse_stop(struct reuse *u)
{
    u->ended = true;
}
