/* POST /duplicate: a new job with a copy of the file that another one was uploaded with. */
#include "api/intake.h"

#include "engine/catalogue.h"

#include <errno.h>

struct duplicate {
    struct intake in;
    const char *source; /* the stored path */
    uv_work_t work;
    bool copying;      /* it is at work */
    atomic_bool ended; /* the request, which stops it */
    int copied;        /* what has come of it */
};

static void copy_file(uv_work_t *work)
{
    struct duplicate *d = work->data;
    struct intake *in = &d->in;

    d->copied = storage_upload_copy(in->api->storage, d->source, in->size, in->api->settings->reserve_bytes,
                                    &d->ended, &in->file);
    if (d->copied == 0)
        d->copied = storage_upload_send(&in->file);
}

static void on_file_copied(uv_work_t *work, int status)
{
    struct duplicate *d = work->data;

    d->copying = false;
    if (d->ended)
        intake_abandon(&d->in);
    else if (d->copied == -ENOENT)
        intake_fail(&d->in, API_WRONG_STATE,
                    "The file of this job is no longer stored. Upload it once more.");
    else if (d->copied < 0)
        intake_fail_disk(&d->in, d->copied);
    else
        intake_store(&d->in);
}

/* What is known of the file holds for its copy. */
static void take_over(struct duplicate *d, const struct job *job)
{
    struct intake *in = &d->in;

    d->source = http_request_strdup(in->call->req, job->stored_path);
    in->size = job->size;
    snprintf(in->filename, sizeof in->filename, "%s", job->original_filename);
    snprintf(in->hash, sizeof in->hash, "%s", job->sha256);
    snprintf(in->mime, sizeof in->mime, "%s", job->mime_type);
}

/* Told before the work: who has no room left need not have it done to hear so. */
static void on_room(void *arg, int err, const struct job *job)
{
    struct duplicate *d = arg;
    struct intake *in = &d->in;

    if (d->ended) {
        intake_abandon(in);
    } else if (err < 0) {
        intake_fail_job(in, err);
    } else if (intake_take_slot(in)) {
        d->copying = true;
        d->work.data = d;
        uv_queue_work(in->api->loop, &d->work, copy_file, on_file_copied);
    }
}

static void on_source(void *arg, int err, const struct job *job)
{
    struct duplicate *d = arg;
    struct intake *in = &d->in;

    if (d->ended) {
        intake_abandon(in);
        return;
    }
    if (err < 0) {
        api_fail_state(TAKE_PTR(in->call), err);
        return;
    }
    in->format = format_by_id(job->source_format);
    if (!in->format || !catalogue_accepts(in->format)) {
        intake_fail(in, API_UNSUPPORTED_TYPE,
                    "Files with this extension can't be converted; GET /formats lists what can.");
    } else {
        const struct job_quota quota = intake_quota(in);

        take_over(d, job);
        job_look_for_room(in->api->redis, in->call->session.id, in->size, &quota, on_room, d);
    }
}

/* Answered, or broken off. */
static void on_request_end(void *arg)
{
    struct duplicate *d = arg;

    d->ended = true;
    if (!d->copying)
        intake_let_go(&d->in);
}

void api_duplicate(struct api_call *call)
{
    struct duplicate *d = http_request_alloc(call->req, sizeof *d);
    const char *job_id = api_named_job(call);

    if (!job_id)
        return;
    intake_begin(&d->in, call, false);
    http_request_on_end(call->req, on_request_end, d);
    job_load(call->api->redis, call->session.id, job_id, on_source, d);
}
