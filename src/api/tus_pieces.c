/* The file of an upload in pieces: whose it is, what is written into it, and what becomes of it at the end.
 * tus.h says how it works. Callbacks of Redis, of the timer and of threads come also after the request has
 * ended: `ended` is looked at wherever something new would begin. */
#include "api/tus.h"

#include "api/metrics.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HASH_STEP = 64 * 1024, TRY_EVERY_MS = 50, TRIES = 100 };

static struct redis *redis_of(const struct tus *t)
{
    return t->in.api->redis;
}

static const char *session_of(const struct tus *t)
{
    return t->in.call->session.id;
}

static void fail_unknown(struct tus *t)
{
    intake_fail(&t->in, API_UPLOAD_NOT_FOUND,
                "There is no upload of that id in this session; begin a new one with POST /files.");
}

/* --- all bytes are there */

static void on_refused(void *arg, int err, const redisReply *reply)
{
    struct tus *t = arg;

    if (err < 0 && err != -ENOENT) {
        intake_fail_job(&t->in, err);
        return;
    }
    storage_remove_job(t->in.api->storage, session_of(t), t->in.job_id);
    tus_answer_refused(t, API_TYPE_MISMATCH, sniff_refusal(t->checked));
}

static void on_job_created(void *arg, int err, const struct job *job)
{
    struct tus *t = arg;
    struct intake *in = &t->in;

    if (err == 0)
        metrics_upload(in->api->metrics, in->format, in->size);
    if (err == 0 || err == -EEXIST) { /* it was, but the answer has not come through */
        tus_answer_job(t, intake_describe_new(in), in->size);
        return;
    }
    if (err == -ENOENT)
        storage_remove_session(in->api->storage, session_of(t)); /* it was closed meanwhile */
    if (err == -ECANCELED)
        fail_unknown(t); /* it has just expired */
    else
        intake_fail_job(in, err);
}

static void on_checked(uv_work_t *work, int status)
{
    struct tus *t = work->data;
    struct intake *in = &t->in;

    if (!redis_of(t)) /* the server has stopped meanwhile: whoever asks again finds all bytes there */
        intake_abandon(in);
    else if (sniff_refusal(t->checked))
        partial_end(redis_of(t), session_of(t), in->job_id, t->length,
                    api_error_info(API_TYPE_MISMATCH)->code, sniff_refusal(t->checked), on_refused, t);
    else if (t->checked < 0)
        intake_fail_disk(in, t->checked);
    else
        intake_store_arrived(in, on_job_created, t);
}

/* Of the file, as no state of a hash outlives the process that began it. */
static int hash_file(struct intake *in)
{
    struct sha256_ctx sha256;
    uint8_t bytes[HASH_STEP];
    ssize_t n;

    sha256_init(&sha256);
    for (uint64_t at = 0; at < in->size; at += (uint64_t)n) {
        n = path_read(in->file.fd, at, bytes, sizeof bytes);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        sha256_update(&sha256, (size_t)n, bytes);
    }
    intake_set_hash(in, &sha256);
    return 0;
}

static void check_file(uv_work_t *work)
{
    struct tus *t = work->data;

    t->checked = intake_check(&t->in);
    if (t->checked == 0)
        t->checked = hash_file(&t->in);
}

/* Also when nobody waits for it any more: the next one who asks finds what has come of it. */
static void finish(struct tus *t)
{
    t->work.data = t;
    uv_queue_work(t->in.api->loop, &t->work, check_file, on_checked);
}

/* Says how much has come, unless that is all. */
static void tell(struct tus *t)
{
    if (t->in.size == t->length)
        finish(t);
    else
        tus_answer(t);
}

/* --- a body */

/* False after having failed the call: what was to be noted of the upload is not. */
static bool is_noted(struct tus *t, int err)
{
    if (err == -ENOENT)
        fail_unknown(t);
    else if (err < 0)
        intake_fail_job(&t->in, err);
    return err == 0;
}

static void on_proved(void *arg, int err, const redisReply *reply)
{
    struct tus *t = arg;

    if (is_noted(t, err))
        tell(t);
}

static void on_sent(uv_work_t *work, int status)
{
    struct tus *t = work->data;
    struct intake *in = &t->in;

    if (t->detail)
        intake_fail(in, t->error, t->detail);
    else if (t->failed < 0)
        intake_fail_disk(in, t->failed);
    else if (!t->whole || !redis_of(t)) /* it broke off, or the server has stopped meanwhile */
        intake_abandon(in);
    else if (t->checksum.wanted)
        partial_set_proved(redis_of(t), session_of(t), in->job_id, PARTIAL_PROVED, on_proved, t);
    else
        tell(t);
}

/* Where other machines find it, whose API the next piece may go to. */
static void send_file(uv_work_t *work)
{
    struct tus *t = work->data;
    int r = storage_upload_send(&t->in.file);

    if (t->failed == 0)
        t->failed = r;
}

/* What has come stays, unless it had to be proved. */
static void end_writing(struct tus *t)
{
    t->writing = false;
    if (!t->whole && t->checksum.wanted && ftruncate(t->in.file.fd, (off_t)t->start) == 0)
        t->in.size = t->start;
    t->work.data = t;
    uv_queue_work(t->in.api->loop, &t->work, send_file, on_sent);
}

static void refuse(struct tus *t, enum api_error error, const char *detail)
{
    t->error = error;
    t->detail = detail;
    end_writing(t);
}

void tus_cut(struct tus *t)
{
    if (t->writing)
        end_writing(t);
}

static int on_body_data(void *arg, const void *data, size_t len)
{
    struct tus *t = arg;

    if (!t->writing)
        return -ECANCELED;
    if (len > t->length - t->in.size) {
        refuse(t, API_TOO_LARGE, "These are more bytes than Upload-Length has announced.");
        return -EFBIG;
    }
    tus_checksum_update(&t->checksum, data, len);
    t->failed = intake_write(&t->in, data, len);
    if (t->failed < 0)
        end_writing(t);
    return t->failed;
}

static void on_body_end(void *arg)
{
    struct tus *t = arg;

    if (!t->writing)
        return;
    t->whole = tus_checksum_holds(&t->checksum);
    if (t->whole)
        end_writing(t);
    else
        refuse(t, API_CHECKSUM_MISMATCH, "The bytes are not what Upload-Checksum says; they were dropped.");
}

static void read_body(struct tus *t)
{
    static const struct http_stream stream = {on_body_data, on_body_end};

    if (t->ended) {
        intake_abandon(&t->in);
        return;
    }
    t->writing = true;
    if (t->outdone)
        refuse(t, API_UPLOAD_BUSY, "A newer request goes on with this upload.");
    else
        http_request_stream(t->in.call->req, &stream, t);
}

static void on_marked(void *arg, int err, const redisReply *reply)
{
    struct tus *t = arg;

    if (is_noted(t, err))
        read_body(t);
}

void tus_append(struct tus *t)
{
    struct intake *in = &t->in;
    int64_t announced = http_request_content_length(in->call->req);

    if (t->start != in->size)
        intake_fail(in, API_OFFSET_MISMATCH, "That is not where the upload stands; HEAD says where it does.");
    else if (announced > 0 && (uint64_t)announced > t->length - t->start)
        intake_fail(in, API_TOO_LARGE, "These are more bytes than Upload-Length has announced.");
    else if (in->size == t->length)
        finish(t);
    else if (!intake_take_slot(in))
        return;
    else if (t->checksum.wanted || t->proved != PARTIAL_PROVED)
        partial_set_proved(redis_of(t), session_of(t), in->job_id,
                           t->checksum.wanted ? t->start : PARTIAL_PROVED, on_marked, t);
    else
        read_body(t);
}

/* --- the file is ours */

static void on_removed(void *arg, int err, const redisReply *reply)
{
    struct tus *t = arg;

    if (err < 0 && err != -ENOENT) {
        intake_fail_job(&t->in, err);
        return;
    }
    storage_remove_job(t->in.api->storage, session_of(t), t->in.job_id);
    tus_answer(t);
}

static void remove_upload(struct tus *t)
{
    partial_end(redis_of(t), session_of(t), t->in.job_id, t->length, NULL, NULL, on_removed, t);
}

/* Cuts off what was never proved, and looks how much is left. 0 or -errno. */
static int measure(struct tus *t)
{
    struct stat st;

    if (fstat(t->in.file.fd, &st) < 0)
        return -errno;
    t->in.size = (uint64_t)st.st_size;
    if (t->in.size <= t->proved)
        return 0;
    t->in.size = t->proved;
    return ftruncate(t->in.file.fd, (off_t)t->proved) < 0 ? -errno : 0;
}

static void act(struct tus *t)
{
    int r = measure(t);

    if (r < 0)
        intake_fail_disk(&t->in, r);
    else if (t->what == TUS_REMOVE)
        remove_upload(t);
    else if (t->what == TUS_APPEND)
        tus_append(t);
    else
        tell(t);
}

/* --- whose it is */

static void take_file(struct tus *t);
static void find(struct tus *t, const char *word, partial_fn *fn);

static void on_job(void *arg, int err, const struct job *job)
{
    struct tus *t = arg;

    if (err == -ENOENT)
        fail_unknown(t);
    else if (err < 0)
        intake_fail_job(&t->in, err);
    else if (t->what == TUS_APPEND && t->start != job->size)
        intake_fail(&t->in, API_OFFSET_MISMATCH, "The upload is complete: all of its bytes are here.");
    else
        tus_answer_job(t, intake_describe(job), job->size);
}

static int take_over(struct tus *t, const struct partial *p)
{
    struct intake *in = &t->in;

    in->format = format_by_id(p->format);
    t->length = p->length;
    t->expires_ms = p->expires_ms;
    t->proved = p->proved;
    t->metadata = http_request_strdup(in->call->req, p->metadata);
    snprintf(in->filename, sizeof in->filename, "%s", p->filename);
    snprintf(in->stored_path, sizeof in->stored_path, "%s", p->stored_path);
    snprintf(in->created_at, sizeof in->created_at, "%s", p->created_at);
    return in->format ? 0 : -ENOENT;
}

/* False: the call has ended, or it is no partial upload, and is answered. */
static bool is_partial(struct tus *t, int err, const struct partial *p)
{
    if (err == 0)
        err = take_over(t, p);
    if (t->ended) {
        intake_abandon(&t->in);
    } else if (err == -EEXIST) {
        job_load_shown(redis_of(t), session_of(t), t->in.job_id, on_job, t);
    } else if (err == -ECANCELED) {
        int error = api_error_find(p->code);

        t->length = p->length;
        tus_answer_refused(t, error < 0 ? API_INTERNAL : (enum api_error)error,
                           http_request_strdup(t->in.call->req, p->detail));
    } else if (err == -ENOENT) {
        fail_unknown(t);
    } else if (err < 0) {
        intake_fail_job(&t->in, err);
    } else {
        return true;
    }
    return false;
}

/* Who had it before us may have brought it to its end just before we took it. */
static void on_found_ours(void *arg, int err, const struct partial *p)
{
    struct tus *t = arg;

    if (is_partial(t, err, p))
        act(t);
}

static void on_timer_closed(uv_handle_t *handle)
{
    take_file(handle->data);
}

static void on_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void try_again(struct tus *t)
{
    uv_timer_init(t->in.api->loop, &t->timer);
    t->timer.data = t;
    uv_timer_start(&t->timer, on_timer, TRY_EVERY_MS, 0);
}

static void take_file(struct tus *t)
{
    struct intake *in = &t->in;
    int fd = t->ended || t->outdone ? -ECANCELED : storage_partial_open(in->api->storage, in->stored_path);

    if (t->ended) {
        intake_abandon(in);
    } else if (fd == -EBUSY && t->what != TUS_SHOW && t->tries++ < TRIES) {
        try_again(t);
    } else if (fd == -EBUSY && t->what == TUS_SHOW) {
        tus_answer(t); /* it is being written, or looked at */
    } else if (fd == -EBUSY || fd == -ECANCELED) {
        intake_fail(in, API_UPLOAD_BUSY, "Another request goes on with this upload. Ask again in a moment.");
    } else if (fd == -ENOENT && t->what == TUS_REMOVE) {
        remove_upload(t);
    } else if (fd == -ENOENT) {
        fail_unknown(t); /* lost with its disk, or being removed */
    } else if (fd < 0) {
        intake_fail_disk(in, fd);
    } else {
        in->file.fd = fd;
        find(t, NULL, on_found_ours);
    }
}

/* Who only wants to know how much has come stops nobody for that. */
static bool is_under_way(struct tus *t)
{
    _cleanup_close_ int fd = storage_open_file(t->in.api->storage, t->in.stored_path);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    t->in.size = (uint64_t)st.st_size < t->proved ? (uint64_t)st.st_size : t->proved;
    return t->in.size < t->length;
}

/* Another one has asked for it. */
static void on_news(void *arg, const char *news)
{
    struct tus *t = arg;

    if (!news || str_eq(news, t->word))
        return;
    t->outdone = true;
    if (t->writing)
        refuse(t, API_UPLOAD_BUSY, "A newer request goes on with this upload.");
}

static void on_found(void *arg, int err, const struct partial *p)
{
    struct tus *t = arg;

    if (!is_partial(t, err, p))
        return;
    if (t->what == TUS_SHOW && is_under_way(t)) {
        tus_answer(t);
        return;
    }
    t->watch = job_watch_add(t->in.api->watcher, t->in.job_id, on_news, t);
    take_file(t);
}

static void find(struct tus *t, const char *word, partial_fn *fn)
{
    partial_find(redis_of(t), session_of(t), t->in.job_id, word, fn, t);
}

void tus_find(struct tus *t, const char *id)
{
    if (!id_is_uuid(id)) {
        fail_unknown(t);
        return;
    }
    snprintf(t->in.job_id, sizeof t->in.job_id, "%s", id);
    find(t, t->what == TUS_SHOW ? NULL : t->word, on_found);
}
