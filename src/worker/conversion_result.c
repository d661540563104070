#include "worker/conversion_parts.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"
#include "files/storage.h"
#include "worker/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* A disk with less than this is full. */
enum { FULL_BYTES = 1 << 20 };
/* Largest result that is copied rather than waited for: beyond it a copy takes longer than a process takes to
 * end. */
enum { COPY_MAX = 4 << 20, COPY_STEP = 16 << 20 };

void conversion_close(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}

void conversion_set_detail(struct conversion *c, const char *detail)
{
    detail = detail ? detail : "";

    size_t len = utf8_clip(detail, sizeof c->detail - 1);

    memmove(c->detail, detail, len);
    c->detail[len] = '\0';
}

void conversion_note_error(struct conversion *c, int r)
{
    if (r == -ENOSPC || r == -EDQUOT)
        c->shared->full_ms = clock_mono_ms();
    conversion_set_detail(c, strerror(-r)); // NOLINT(concurrency-mt-unsafe): glibc's is
}

static int check_format(struct conversion_shared *s, int fd, const struct format *format)
{
    int r = sniff_text(fd, format);

    return r == -EINVAL ? conversion_sniff(s, fd, format) : r;
}

int conversion_open_regular(int job_fd, const char *path, struct stat *ret)
{
    /* O_NONBLOCK: a FIFO must not hold us, it is refused a line further down. */
    _cleanup_close_ int fd = path_open(job_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return fd;
    if (fstat(fd, ret) < 0)
        return -errno;
    if (!S_ISREG(ret->st_mode) || ret->st_nlink != 1)
        return -EMLINK;
    return TAKE_FD(fd);
}

/* What a process that isn't gone can't change any more: a copy in a folder that it doesn't see. */
static int take_copy(struct conversion *c, int from)
{
    _cleanup_close_ int folder = -1, to = -1;
    off_t at = 0;
    ssize_t n;
    int r = storage_make_work(c->job_fd, c->copy_name);

    if (r < 0)
        return r;
    folder = path_open(c->job_fd, c->copy_name, O_RDONLY | O_DIRECTORY, 0);
    if (folder < 0)
        return folder;
    to = path_open(folder, c->output_name, O_RDWR | O_CREAT | O_EXCL, STORAGE_FILE_MODE);
    if (to < 0)
        return to;
    do
        n = sendfile(to, from, &at, (size_t)(COPY_MAX - at));
    while (n > 0 && at < COPY_MAX);
    if (n < 0 || lseek(to, 0, SEEK_SET) < 0)
        return -errno;
    r = path_send(to); /* the API may be on another machine, and asks as soon as the job has ended */
    return r < 0 ? r : TAKE_FD(to);
}

/* The result, or a copy of it, and all of it: what NFS says when a file is closed, most libraries overlook.
 * `detail` when there is none. */
static enum outcome open_result(struct conversion *c, int *ret_fd)
{
    char path[sizeof c->work_name + CONVERSION_NAME_MAX + 1];
    struct stat st;
    int r;

    snprintf(path, sizeof path, "%s/%s", c->work_name, c->output_name);

    _cleanup_close_ int fd = conversion_open_regular(c->job_fd, path, &st);

    if (fd < 0) {
        conversion_set_detail(c, "the result is missing or no regular file");
        return OUTCOME_NO_OUTPUT;
    }
    r = path_send(fd);
    if (r == 0)
        r = c->early ? take_copy(c, fd) : TAKE_FD(fd);
    if (r < 0) {
        conversion_note_error(c, r);
        return OUTCOME_INTERNAL;
    }
    *ret_fd = r;
    return OUTCOME_OK;
}

/* Judges the result. Sets `result_fd` when it holds, else `detail`. */
static enum outcome check(struct conversion *c)
{
    struct conversion_report *report = &c->report;
    _cleanup_close_ int fd = -1;
    enum outcome outcome;
    struct stat st;

    /* One component: the child chose this name. */
    if (!c->output_name[0] || c->output_name[0] == '.' || strchr(c->output_name, '/') || !report->format) {
        conversion_set_detail(c, "the engine named no result");
        return OUTCOME_NO_OUTPUT;
    }

    outcome = open_result(c, &fd);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (fstat(fd, &st) < 0 || st.st_size == 0) {
        conversion_set_detail(c, "the result is empty");
        return OUTCOME_NO_OUTPUT;
    }
    report->size = (uint64_t)st.st_size;
    if (report->size > c->shared->settings->job_output_bytes) {
        conversion_set_detail(c, "the result is larger than allowed");
        return OUTCOME_TOO_COMPLEX;
    }
    if (check_format(c->shared, fd, report->format) < 0) {
        conversion_set_detail(c, "the result is not of the format that was asked for");
        return OUTCOME_NO_OUTPUT;
    }
    c->result_fd = TAKE_FD(fd);
    return OUTCOME_OK;
}

static enum outcome publish(struct conversion *c)
{
    struct conversion_report *report = &c->report;
    struct conversion_output output = {.fd = c->result_fd,
                                       .work = c->early ? c->copy_name : c->work_name,
                                       .name = c->output_name,
                                       .format = report->format,
                                       .size = report->size};

    report->publish_error = c->events.publish(c->arg, &output);
    if (report->publish_error == 0)
        return OUTCOME_OK;
    conversion_note_error(c, report->publish_error);
    return OUTCOME_INTERNAL;
}

/* Was it while this ran? What an engine had written is still there, but another's may be gone by now. (A file
 * system without blocks is one that doesn't tell.) */
static bool disk_was_full(struct conversion *c)
{
    struct statvfs v;

    if (fstatvfs(c->job_fd, &v) == 0 && v.f_blocks > 0 && (uint64_t)v.f_bavail * v.f_frsize < FULL_BYTES)
        c->shared->full_ms = clock_mono_ms();
    return c->shared->full_ms >= c->started_ms;
}

/* Libraries make of a full disk what they make of limits and of damaged files, or write for ever: few say
 * why. What was the file's fault after all is so the next time, too. */
static void judge_failure(struct conversion *c)
{
    static const bool by_writing[OUTCOME_COUNT_] = {
        [OUTCOME_CORRUPT_INPUT] = true,  [OUTCOME_TOO_COMPLEX] = true, [OUTCOME_TIMED_OUT] = true,
        [OUTCOME_ENGINE_CRASHED] = true, [OUTCOME_NO_OUTPUT] = true,   [OUTCOME_INTERNAL] = true,
    };
    struct conversion_report *report = &c->report;

    if (!by_writing[report->outcome] || report->forbidden_call || !disk_was_full(c))
        return;
    if (report->outcome != OUTCOME_INTERNAL || !c->detail[0])
        conversion_note_error(c, -ENOSPC);
    report->outcome = OUTCOME_INTERNAL;
    report->transient = true;
}

static enum outcome become_input(struct conversion *c)
{
    const struct format *made = c->report.format;

    if (made == c->route->steps[c->step]->to)
        return conversion_next_step(c, c->output_name, deadline_content(c->result_fd, made));
    conversion_set_detail(c, "the engine made something else than the next one takes");
    return OUTCOME_INTERNAL;
}

enum outcome conversion_next_step(struct conversion *c, const char *name, uint64_t content)
{
    char *input;

    if (asprintf(&input, "%s/%s", c->work_name, name) < 0)
        return OUTCOME_INTERNAL;
    free(c->step_input);
    c->step_input = input;
    c->content = content;
    if (c->earlier_name[0])
        path_remove_tree(c->job_fd, c->earlier_name);
    memcpy(c->earlier_name, c->work_name, sizeof c->earlier_name);
    c->work_name[0] = '\0';
    c->step++;
    return OUTCOME_OK;
}

void conversion_step_work(uv_work_t *work)
{
    struct conversion *c = work->data;

    c->report.outcome = check(c);
    if (c->report.outcome == OUTCOME_OK)
        c->report.outcome = become_input(c);
    conversion_close(&c->result_fd);
}

int conversion_copy(int from, int folder, const char *name, off_t size)
{
    _cleanup_close_ int to = path_open(folder, name, O_WRONLY | O_CREAT | O_EXCL, STORAGE_FILE_MODE);
    off_t at = 0;
    ssize_t n = 1;

    if (to < 0)
        return to;
    while (at < size && n > 0)
        n = sendfile(to, from, &at, COPY_STEP);
    if (n < 0)
        return -errno;
    return at == size ? path_send(to) : -EIO;
}

/* A copy: what is published is moved away, and the original may be wanted again. */
static int keep(struct conversion *c)
{
    _cleanup_close_ int folder = -1, from = -1;
    struct stat st;
    int r = storage_make_work(c->job_fd, c->work_name);

    if (r < 0)
        return r;
    snprintf(c->output_name, sizeof c->output_name, "result.%s", c->route->to->id);
    c->report.format = c->route->to;
    folder = path_open(c->job_fd, c->work_name, O_RDONLY | O_DIRECTORY, 0);
    from = conversion_open_regular(c->job_fd, c->input, &st);
    if (folder < 0 || from < 0)
        return folder < 0 ? folder : from;
    return conversion_copy(from, folder, c->output_name, st.st_size);
}

void conversion_keep_work(uv_work_t *work)
{
    struct conversion *c = work->data;
    int r = keep(c);

    c->report.outcome = r < 0 ? OUTCOME_INTERNAL : OUTCOME_OK;
    if (r < 0)
        conversion_note_error(c, r);
}

void conversion_remove_work(struct conversion *c)
{
    if (c->work_name[0])
        path_remove_tree(c->job_fd, c->work_name);
    if (c->earlier_name[0])
        path_remove_tree(c->job_fd, c->earlier_name);
    if (c->copy_name[0])
        path_remove_tree(c->job_fd, c->copy_name);
    if (c->each)
        each_remove(c->each);
}

void conversion_finish_work(uv_work_t *work)
{
    struct conversion *c = work->data;

    if (c->report.outcome == OUTCOME_OK && c->result_fd < 0)
        c->report.outcome = check(c);
    if (c->report.outcome == OUTCOME_OK && c->scans_result)
        return; /* for another time, when it has been scanned */
    if (c->report.outcome == OUTCOME_OK)
        c->report.outcome = publish(c);
    judge_failure(c);
    conversion_close(&c->result_fd);
    if (c->report.outcome != OUTCOME_OK) {
        c->report.format = NULL;
        c->report.size = 0;
    }
    if (!c->early)
        conversion_remove_work(c);
    if (c->report.outcome == OUTCOME_INFECTED) {
        _cleanup_free_ char *top = strndup(c->input, strcspn(c->input, "/"));

        if (top && *top)
            path_remove_tree(c->job_fd, top);
    }
}

/* Is there something to copy? Everything else can wait for the process. */
bool conversion_is_small(const struct conversion *c, const char *name)
{
    char path[sizeof c->work_name + CONVERSION_NAME_MAX + 1];
    struct stat st;

    if (snprintf(path, sizeof path, "%s/%s", c->work_name, name) >= (int)sizeof path)
        return false;

    _cleanup_close_ int fd = conversion_open_regular(c->job_fd, path, &st);

    return fd >= 0 && st.st_size < COPY_MAX;
}
