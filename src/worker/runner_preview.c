/* The task decant.preview: a picture of the result of a completed job, in one size, kept beside the result.
 *
 * The job is not touched: what is begun and ended is the result's record (state/preview.h), which also sees
 * to it that nobody else makes a picture in this folder. The result was made of what was scanned, and isn't
 * scanned again. Whoever waits for a picture doesn't for long, so that each step gets less time than a
 * conversion would. */
#include "worker/runner_parts.h"

#include "core/str.h"
#include "state/preview.h"

#include <errno.h>
#include <sys/stat.h>

/* Resolution enough for the smallest page: how large the picture becomes is said by width and height. */
enum { DPI = 600, STEP_MS = 45000 };

static void take(struct runner *r);

bool runner_take_preview(struct runner *r)
{
    const json_t *size = json_object_get(r->claim->kwargs, "size");
    json_int_t pixels = json_integer_value(size);

    if (!runner_take_job(r) || pixels < 1 || pixels > PREVIEW_SIZE_MAX ||
        preview_size((uint64_t)pixels) != (unsigned)pixels)
        return false;
    r->size = (unsigned)pixels;
    return true;
}

/* On another thread. Was it made already, by an attempt that did not come to say so? */
static void prepare(struct runner *r)
{
    char path[STORAGE_PATH_MAX];
    _cleanup_close_ int made = storage_open_preview(r->context->storage, r->kept_path, r->size, path);
    struct stat st;

    r->job_fd = storage_open_job(r->context->storage, r->session_id, r->job_id);
    if (r->job_fd >= 0)
        storage_sweep_job(r->job_fd, r->kept_path);
    if (made >= 0 && fstat(made, &st) == 0)
        r->attempt.output_size = (uint64_t)st.st_size;
}

static void convert(struct runner *r)
{
    const struct conversion_request request = {.job_fd = r->job_fd,
                                               .input = runner_path_in_job(r, r->kept_path),
                                               .route = r->route,
                                               .options = r->options,
                                               .scanned = true,
                                               .most_ms = STEP_MS};

    if (runner_called_off(r))
        return;
    if (r->attempt.output_size > 0)
        runner_settle(r, END_COMPLETED);
    else if (r->job_fd < 0)
        runner_fail(r, OUTCOME_INTERNAL); /* its files are gone */
    else
        runner_convert(r, &request);
}

static void on_taken(void *arg, int err, const redisReply *reply)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (runner_asks_again(r, err, take))
        return;
    if (err != 0) { /* its folder isn't ours */
        runner_skip(r, err == -ENOENT ? "gone" : "done");
    } else if (r->claim->gave_up) {
        runner_do_then(r, prepare, runner_give_up);
    } else {
        runner_mark_begun(r);
        runner_do_then(r, prepare, convert);
    }
}

static void take(struct runner *r)
{
    if (runner_called_off(r))
        return;
    r->pending++;
    preview_take(r->context->redis, r->session_id, r->result_id, r->claim->id, r->worker, on_taken, r);
}

/* Keeps what is needed of the job; -ENOTSUP: no picture can be made of its result. */
static int remember(struct runner *r, const struct job *job)
{
    const char *dot = strrchr(job->converted_path, '.');
    _cleanup_json_ json_t *options = json_pack("{s:s, s:i, s:i, s:i, s:b}", "pages", "1", "dpi", DPI, "width",
                                               (int)r->size, "height", (int)r->size, "metadata", 0);

    if (!runner_is_own(r, job->converted_path) || !storage_result_id(job->converted_path, r->result_id))
        return -EINVAL;
    r->kept_path = strdup(job->converted_path);
    r->options = json_dumps(options, JSON_COMPACT);
    if (!r->kept_path || !r->options)
        return -ENOMEM;
    r->route = catalogue_preview(format_by_id(dot + 1), format_by_id(job->target_format), options);
    r->attempt.engine = r->route ? r->route->engines : "";
    return r->route ? 0 : -ENOTSUP;
}

static void begin_with(struct runner *r, const struct job *job)
{
    int err = remember(r, job);

    if (err < 0) {
        runner_fail(r, err == -ENOTSUP ? OUTCOME_UNSUPPORTED_CONTENT : OUTCOME_INTERNAL);
    } else if (r->revoked) {
        runner_call_off(r);
    } else if (r->claim->gave_up) {
        take(r);
    } else if (runner_find_place(r)) {
        runner_log_started(r);
        take(r);
    }
}

static void on_loaded(void *arg, int err, const struct job *job)
{
    struct runner *r = arg;

    if (!runner_answered(r))
        return;
    if (runner_asks_again(r, err, runner_begin_preview))
        return;
    if (err != 0) {
        runner_skip(r, "gone");
    } else if (job->status != JOB_COMPLETED) {
        runner_skip(r, job_status_name(job->status));
    } else {
        begin_with(r, job);
    }
}

void runner_begin_preview(struct runner *r)
{
    if (runner_called_off(r))
        return;
    r->pending++;
    job_load(r->context->redis, r->session_id, r->job_id, on_loaded, r);
}

int runner_publish_preview(struct runner *r, const struct conversion_output *output)
{
    /* Several pages, where nothing could choose the first. */
    if (output->format != r->route->to)
        return -EBADMSG;
    return storage_publish_preview(r->job_fd, output->work, output->name, r->kept_path, r->size);
}

void runner_settle_preview(const struct runner *r, enum ending ending, struct settlement *ret)
{
    settlement_make_preview(ret, ending, r->session_id, r->job_id, r->result_id, &r->attempt);
}
