/* The middle of a route on which many files become one: each is converted by itself, as if it had come alone
 * – checked, scanned, in sandboxes of its own – and what they have become is gathered in a folder.
 *
 * The files are inputs of the job, or what a step before has taken apart; these are named by strangers, and
 * looked at as uploads are. One that can't be converted ends an archive's conversion only if it was the only
 * one: else the archive that comes out says which are missing, and why. Of a document that is put together of
 * many files none may be missing.
 *
 * One file after the other: the job has one place among those that run. */
#include "worker/conversion_parts.h"

#include "core/buf.h"
#include "core/path.h"
#include "core/str.h"
#include "engine/engine.h"
#include "engine/folder.h"
#include "engine/secrets.h"
#include "files/storage.h"
#include "worker/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { PROBLEMS_MAX = 256 << 10 /* bytes of the list of those that failed */ };
enum { PERCENT_MAX = 95 /* what is left is for who puts them together */ };

#define PROBLEMS_NAME "not-converted.txt"

struct each {
    struct conversion *parent;
    const struct format *to; /* NULL: they stay what they are */
    bool strict;             /* none may fail */
    struct conversion_input *inputs;
    size_t n_inputs;
    json_t *scattered; /* instead of inputs, when a step has taken the upload apart (engine/folder.h) */
    size_t n, i, n_good;
    enum outcome first_failure;
    char failed_name[CONVERSION_FAILED_NAME_MAX];
    char in[CONVERSION_WORK_MAX], out[CONVERSION_WORK_MAX]; /* "": not made yet */
    json_t *gathered;
    struct buf problems;
    char *options; /* what of the job's options is for each */
    uint64_t content;

    /* the one under way */
    char path[CONVERSION_WORK_MAX + FOLDER_FILE_MAX], name[FOLDER_NAME_MAX];
    const struct catalogue_route *route;
    enum outcome problem;
    struct conversion *child;
    bool published;
};

/* --- names */

/* What systems and programs leave in archives without being asked. */
static bool is_litter(const char *name)
{
    return str_starts(name, "__MACOSX/") || strstr(name, "/__MACOSX/") || str_base_name(name)[0] == '.' ||
           words_have("Thumbs.db desktop.ini Icon", str_base_name(name));
}

static bool is_taken(const struct each *e, const char *name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(e->gathered, i, entry) if (str_eq(json_string_value(json_object_get(entry, "name")),
                                                         name)) return true;
    return false;
}

/* "letters/May.docx" → "letters/May.pdf", or "letters/May (2).pdf" */
static void name_result(const struct each *e, const char *ext, char ret[FOLDER_NAME_MAX])
{
    const char *dot = strrchr(str_base_name(e->name), '.');
    size_t stem = dot && dot > str_base_name(e->name) ? (size_t)(dot - e->name) : strlen(e->name);

    snprintf(ret, FOLDER_NAME_MAX, "%s", e->name);
    if (e->route->n_steps == 0 && !is_taken(e, ret))
        return;
    stem = utf8_clip(e->name, stem < FOLDER_NAME_MAX - 32 ? stem : FOLDER_NAME_MAX - 32);
    snprintf(ret, FOLDER_NAME_MAX, "%.*s.%s", (int)stem, e->name, ext);
    for (unsigned n = 2; is_taken(e, ret); n++)
        snprintf(ret, FOLDER_NAME_MAX, "%.*s (%u).%s", (int)stem, e->name, n, ext);
}

/* --- on a thread: the folders, and each file before its conversion */

static int open_work(const struct conversion *c, const char *name)
{
    return path_open(c->job_fd, name, O_RDONLY | O_DIRECTORY, 0);
}

static int open_folder(const struct each *e, const char *name)
{
    return open_work(e->parent, name);
}

static int read_index(const struct conversion *c, const char *folder_name, json_t **ret)
{
    _cleanup_close_ int folder = open_work(c, folder_name);

    return folder < 0 ? folder : folder_read(folder, ret);
}

static int read_scattered(struct each *e)
{
    int r = read_index(e->parent, e->in, &e->scattered);

    if (r < 0)
        return r;
    e->n = json_array_size(e->scattered);
    return e->n > 0 ? 0 : -ENOENT;
}

static enum outcome prepare_folders(struct each *e)
{
    int r = storage_make_work(e->parent->job_fd, e->out);

    if (r == 0 && e->inputs) {
        e->n = e->n_inputs;
        r = storage_make_work(e->parent->job_fd, e->in);
    } else if (r == 0) {
        r = read_scattered(e);
    }
    if (r == 0)
        return OUTCOME_OK;
    conversion_note_error(e->parent, r);
    return r == -EBADMSG || r == -ENOENT ? OUTCOME_NO_OUTPUT
           : r == -EMSGSIZE              ? OUTCOME_TOO_COMPLEX
                                         : OUTCOME_INTERNAL;
}

/* Into this job's own folder, which is all that its processes see. */
static enum outcome take_input(struct each *e)
{
    const struct conversion_input *input = &e->inputs[e->i];
    _cleanup_close_ int folder = open_folder(e, e->in);
    char file[FOLDER_FILE_MAX];
    struct stat st;
    int r = folder;

    folder_file_name(e->i + 1, input->format->id, file);
    snprintf(e->path, sizeof e->path, "%s/%s", e->in, file);
    folder_make_name(*input->name ? input->name : file, e->name);

    _cleanup_close_ int from = conversion_open_regular(input->dir_fd, input->path, &st);

    if (from < 0) {
        conversion_set_detail(e->parent, "an upload is missing or no regular file");
        return OUTCOME_INTERNAL;
    }
    if (r >= 0)
        r = conversion_copy(from, folder, file, st.st_size);
    if (r < 0) {
        conversion_note_error(e->parent, r);
        return OUTCOME_INTERNAL;
    }
    return OUTCOME_OK;
}

static const char *entry_name(const json_t *index, size_t i)
{
    return json_string_value(json_object_get(json_array_get(index, i), "name"));
}

/* A file of those that were taken apart, open; it gets the ending by which engines know it. -EBADMSG when it
 * isn't what its name says, or nothing that we know. */
static int take_entry(struct conversion *c, const char *folder_name, const json_t *index, size_t i,
                      const struct format **ret_format, char ret_file[FOLDER_FILE_MAX])
{
    const char *file = json_string_value(json_object_get(json_array_get(index, i), "file"));
    const struct format *format = format_by_name(str_base_name(entry_name(index, i)));
    _cleanup_close_ int folder = open_work(c, folder_name), fd = -1;
    struct stat st;

    fd = folder < 0 ? folder : conversion_open_regular(folder, file, &st);
    if (fd < 0)
        return fd;
    if (!format || conversion_sniff(c->shared, fd, format) < 0)
        return -EBADMSG;
    folder_file_name(i + 1, format->id, ret_file);
    if (!str_eq(file, ret_file) && renameat(folder, file, folder, ret_file) < 0)
        return -errno;
    *ret_format = format;
    return TAKE_FD(fd);
}

static const struct format *take_scattered(struct each *e)
{
    const struct format *format = NULL;
    char file[FOLDER_FILE_MAX];

    snprintf(e->name, sizeof e->name, "%s", entry_name(e->scattered, e->i));

    _cleanup_close_ int fd = take_entry(e->parent, e->in, e->scattered, e->i, &format, file);

    if (fd < 0)
        return NULL;
    snprintf(e->path, sizeof e->path, "%s/%s", e->in, file);
    return format;
}

static enum outcome pick(struct conversion *c)
{
    const struct format *wanted = c->route->steps[c->step + 1]->from, *is;
    _cleanup_json_ json_t *index = NULL;
    char file[FOLDER_FILE_MAX];
    int r = read_index(c, c->work_name, &index);

    if (r < 0)
        conversion_note_error(c, r);
    for (size_t i = 0; i < json_array_size(index); i++) {
        if (is_litter(entry_name(index, i)) || format_by_name(str_base_name(entry_name(index, i))) != wanted)
            continue;

        _cleanup_close_ int fd = take_entry(c, c->work_name, index, i, &is, file);

        if (fd >= 0)
            return conversion_next_step(c, file, deadline_content(fd, wanted));
    }
    return OUTCOME_NO_OUTPUT;
}

void conversion_pick_work(uv_work_t *work)
{
    struct conversion *c = work->data;

    c->report.outcome = pick(c);
}

/* Parts of a PDF go through an engine even if they are PDFs: they may be protected, or damaged. */
static const struct catalogue_route *choose_route(const struct each *e, const struct format *format)
{
    const struct catalogue_route *route = e->to ? catalogue_find(format, e->to) : NULL;

    if (!route && (!e->to || format == e->to))
        return catalogue_as_it_is(format);
    return route && !catalogue_gathers(route) ? route : NULL;
}

static void prepare_file(uv_work_t *work)
{
    struct each *e = ((struct conversion *)work->data)->each;
    const struct format *format = NULL;

    e->problem = e->out[0] ? OUTCOME_OK : prepare_folders(e);
    if (e->problem != OUTCOME_OK || e->i >= e->n)
        return;
    e->route = NULL;
    if (e->inputs) {
        format = e->inputs[e->i].format;
        e->problem = take_input(e);
    } else {
        format = take_scattered(e);
    }
    if (e->problem == OUTCOME_OK && format)
        e->route = choose_route(e, format);
    if (e->problem == OUTCOME_OK && !e->route)
        e->problem = OUTCOME_UNSUPPORTED_CONTENT;
}

/* --- on a thread: the end */

static int write_problems(struct each *e, int folder)
{
    char file[FOLDER_FILE_MAX], name[FOLDER_NAME_MAX] = PROBLEMS_NAME;
    _cleanup_close_ int fd = -1;

    folder_file_name(e->n_good + 1, "txt", file);
    fd = path_open(folder, file, O_WRONLY | O_CREAT | O_EXCL, STORAGE_FILE_MODE);
    if (fd < 0)
        return fd;
    if (write(fd, e->problems.data, e->problems.len) != (ssize_t)e->problems.len)
        return errno ? -errno : -EIO;
    return folder_add(e->gathered, file, name);
}

static void write_index(uv_work_t *work)
{
    struct conversion *c = work->data;
    struct each *e = c->each;
    _cleanup_close_ int folder = open_folder(e, e->out);
    int r = folder;

    if (r >= 0 && e->problems.len > 0)
        r = write_problems(e, folder);
    if (r >= 0)
        r = folder_write(folder, e->gathered);
    e->problem = r < 0 ? OUTCOME_INTERNAL : OUTCOME_OK;
    if (r < 0)
        conversion_note_error(c, r);
    path_remove_tree(c->job_fd, e->in);
}

static void on_indexed(uv_work_t *work, int status)
{
    struct conversion *c = work->data;

    c->report.failed_name = ""; /* what comes now is about all of them */
    if (c->cancelled)
        conversion_each_done(c, OUTCOME_CANCELLED, NULL, 0);
    else
        conversion_each_done(c, c->each->problem, c->each->out, c->each->content);
}

/* --- one after the other, on the loop */

static void next(struct each *e);

static void queue(struct each *e, uv_work_cb work, uv_after_work_cb after)
{
    e->parent->work.data = e->parent;
    uv_queue_work(e->parent->shared->loop, &e->parent->work, work, after);
}

static void blame(struct each *e)
{
    struct conversion_report *report = &e->parent->report;

    snprintf(e->failed_name, sizeof e->failed_name, "%.*s",
             (int)utf8_clip(e->name, sizeof e->failed_name - 1), e->name);
    report->failed_input = e->i;
    report->failed_name = e->failed_name;
}

/* Goes on with the next one, unless none may fail. */
static void fail_file(struct each *e, enum outcome outcome)
{
    struct conversion *c = e->parent;

    if (e->first_failure == OUTCOME_OK) {
        e->first_failure = outcome;
        blame(e);
    }
    if (e->strict || c->cancelled || outcome == OUTCOME_INFECTED || outcome == OUTCOME_INTERNAL ||
        outcome == OUTCOME_SCANNER_UNAVAILABLE || outcome == OUTCOME_CANCELLED) {
        blame(e); /* whichever failed before */
        conversion_each_done(c, c->cancelled ? OUTCOME_CANCELLED : outcome, NULL, 0);
        return;
    }
    buf_printf(&e->problems, "%s: %s\n", e->name, outcome_sentence(outcome));
    e->i++;
    next(e);
}

static void on_child_stage(void *arg, enum conversion_stage stage)
{
}

static void on_child_progress(void *arg, unsigned percent)
{
    struct each *e = arg;

    conversion_tell_progress(e->parent,
                             (unsigned)((e->i * 100 + percent) * PERCENT_MAX / (e->n ? e->n : 1) / 100));
}

/* On a thread. What it has become is gathered under a name of ours, in the order of the files. */
static int on_child_publish(void *arg, const struct conversion_output *output)
{
    struct each *e = arg;
    _cleanup_close_ int from = open_folder(e, output->work), to = open_folder(e, e->out);
    char file[FOLDER_FILE_MAX], name[FOLDER_NAME_MAX];
    int r;

    if (e->strict && output->format != e->to)
        return -EBADMSG;
    folder_file_name(e->n_good + 1, output->format->id, file);
    name_result(e, output->format->id, name);
    if (from < 0 || to < 0 || renameat(from, output->name, to, file) < 0)
        return from < 0 ? from : to < 0 ? to : -errno;
    r = folder_add(e->gathered, file, name);
    e->content += output->size;
    e->published = r == 0;
    return r;
}

static void on_child_done(void *arg, const struct conversion_report *report)
{
    struct each *e = arg;
    struct conversion *c = e->parent;

    e->child = NULL;
    conversion_add_report(c, report);
    if (report->outcome == OUTCOME_OK && e->published && !c->cancelled) {
        e->n_good++;
        e->i++;
        next(e);
        return;
    }
    conversion_set_detail(c, report->detail);
    fail_file(e, report->outcome == OUTCOME_OK ? OUTCOME_INTERNAL : report->outcome);
}

static void start_child(struct each *e)
{
    static const struct conversion_events events = {on_child_stage, on_child_progress, on_child_publish,
                                                    on_child_done, NULL};
    const struct conversion_request request = {
        .job_fd = e->parent->job_fd, .input = e->path, .route = e->route, .options = e->options};

    e->published = false;
    e->child = conversion_start(e->parent->shared, &request, &events, e);
    if (!e->child)
        fail_file(e, OUTCOME_INTERNAL);
}

static void on_prepared(uv_work_t *work, int status)
{
    struct conversion *c = work->data;
    struct each *e = c->each;
    bool litter = e->scattered && e->problem != OUTCOME_OK && is_litter(e->name);

    if (c->cancelled) {
        conversion_each_done(c, OUTCOME_CANCELLED, NULL, 0);
    } else if (e->n == 0) {
        conversion_each_done(c, e->problem, NULL, 0);
    } else if (e->problem == OUTCOME_OK) {
        start_child(e);
    } else if (litter) {
        e->i++;
        next(e);
    } else {
        fail_file(e, e->problem);
    }
}

static void next(struct each *e)
{
    if (!e->out[0] || e->i < e->n)
        queue(e, prepare_file, on_prepared);
    else if (e->n_good > 0)
        queue(e, write_index, on_indexed);
    else
        conversion_each_done(e->parent, e->first_failure != OUTCOME_OK ? e->first_failure : OUTCOME_NO_OUTPUT,
                             NULL, 0);
}

/* --- for conversion.c */

/* The password opens each that is protected; other options are about what comes of them all. */
static char *options_for_each(const char *text, const struct format **ret_to, const struct conversion *c)
{
    _cleanup_json_ json_t *options = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *own = json_object();
    json_t *password = json_object_get(options, ENGINE_PASSWORD);
    char *made;

    *ret_to = catalogue_each(c->route, options);
    if (password)
        json_object_set(own, ENGINE_PASSWORD, password);
    made = json_dumps(own, JSON_COMPACT);
    secrets_wipe(options);
    return made;
}

static void take_inputs(struct each *e, const struct conversion_request *request)
{
    e->inputs = calloc(request->n_inputs, sizeof *e->inputs);
    if (!e->inputs)
        return;
    for (size_t i = 0; i < request->n_inputs; i++) {
        struct conversion_input *input = &e->inputs[e->n_inputs];

        *input = request->inputs[i];
        input->path = strdup(input->path);
        input->name = strdup(input->name ? input->name : "");
        e->n_inputs++;
    }
}

struct each *each_new(struct conversion *c, const struct conversion_request *request)
{
    struct each *e = calloc(1, sizeof *e);

    if (!e)
        return NULL;
    e->parent = c;
    e->problems = (struct buf)BUF_INIT(PROBLEMS_MAX);
    e->gathered = json_array();
    e->options = options_for_each(c->options, &e->to, c);
    e->strict = c->route->to->category != FORMAT_ARCHIVE;
    if (request->n_inputs > 0)
        take_inputs(e, request);
    for (size_t i = 0; i < e->n_inputs; i++)
        if (!e->inputs[i].path || !e->inputs[i].name)
            e->problem = OUTCOME_INTERNAL;
    if (!e->gathered || !e->options || e->problem != OUTCOME_OK || (request->n_inputs > 0 && !e->inputs)) {
        each_free(e);
        return NULL;
    }
    return e;
}

void each_start(struct each *e, const char *scattered)
{
    if (scattered)
        snprintf(e->in, sizeof e->in, "%s", scattered);
    next(e);
}

void each_cancel(struct each *e)
{
    if (e->child)
        conversion_cancel(e->child);
}

void each_remove(struct each *e)
{
    if (e->in[0])
        path_remove_tree(e->parent->job_fd, e->in);
    if (e->out[0])
        path_remove_tree(e->parent->job_fd, e->out);
}

void each_free(struct each *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_inputs; i++) {
        free((char *)e->inputs[i].path);
        free((char *)e->inputs[i].name);
    }
    free(e->inputs);
    json_decref(e->scattered);
    json_decref(e->gathered);
    buf_free(&e->problems);
    cleanup_secret(&e->options);
    free(e);
}
