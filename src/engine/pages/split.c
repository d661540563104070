/* By pages, qpdf splits by itself, in one go. By size it is tried: how large a part gets can't be told before
 * it is written, as its pages share fonts and pictures. The next part is guessed to take as many pages as the
 * last one did; each trial tells how far off that was, and where guesses don't end it, halves do. */
#include "engine/pages/split.h"

#include "core/path.h"
#include "core/str.h"
#include "engine/pages/work.h"
#include "engine/zip_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NAME_BYTES = 64, PATH_BYTES = 512, PART_BYTES_MAX = 1 << 30, GUESSES = 8 };

struct splitter {
    struct engine_job *job;
    const json_t *work;
    const struct split_limits *limits;
    uint64_t whole_bytes; /* what it was as one file; 0: nobody has tried */
    struct zip_writer *zip;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* As qpdf names them: "page-07.pdf" of one page each, "pages-01-05.pdf" of more. */
static void name_part(const struct splitter *s, uint64_t first, uint64_t last, bool single,
                      char ret[NAME_BYTES])
{
    int width = snprintf(NULL, 0, "%llu", (unsigned long long)s->job->pages);

    if (single)
        snprintf(ret, NAME_BYTES, "page-%0*llu.pdf", width, (unsigned long long)first);
    else
        snprintf(ret, NAME_BYTES, "pages-%0*llu-%0*llu.pdf", width, (unsigned long long)first, width,
                 (unsigned long long)last);
}

static void path_of(const struct splitter *s, const char *name, char ret[PATH_BYTES])
{
    snprintf(ret, PATH_BYTES, "%s/%s", s->job->output_path, name);
}

static enum outcome size_of(const char *path, uint64_t *ret)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return OUTCOME_INTERNAL;
    *ret = (uint64_t)st.st_size;
    return OUTCOME_OK;
}

/* Moves the file of that name in the output folder into the archive. */
static enum outcome take_part(struct splitter *s, const char *file, const char *name)
{
    struct zip_content content = {0};
    _cleanup_buf_ struct buf bytes = BUF_INIT(PART_BYTES_MAX);
    char path[PATH_BYTES];
    enum outcome outcome;
    int r;

    path_of(s, file, path);
    outcome = work_prove(s->work, path);
    if (outcome != OUTCOME_OK)
        return outcome;
    r = path_read_file(AT_FDCWD, path, PART_BYTES_MAX, &bytes.data, &bytes.len);
    unlink(path);
    if (r == 0) {
        bytes.capacity = bytes.len + 1;
        r = zip_content_make(&bytes, false, &content);
    }
    if (r == 0)
        r = zip_writer_add(s->zip, name, &content);
    zip_content_free(&content);
    return outcome_of_error(r);
}

/* --- by pages */

static enum outcome take_all(struct splitter *s)
{
    const uint64_t each = s->limits->pages, pages = s->job->pages;
    enum outcome outcome = OUTCOME_OK;
    char name[NAME_BYTES];

    for (uint64_t first = 1; first <= pages && outcome == OUTCOME_OK; first += each) {
        name_part(s, first, least(first + each - 1, pages), each == 1, name);
        outcome = take_part(s, name, name);
    }
    return outcome;
}

static enum outcome split_by_pages(struct splitter *s)
{
    _cleanup_json_ json_t *work = json_copy((json_t *)s->work);
    enum outcome outcome;

    json_object_set_new(work, "splitPages", json_sprintf("%llu", (unsigned long long)s->limits->pages));
    json_object_set_new(
        work, "outputFile",
        json_sprintf("%s/%s-%%d.pdf", s->job->output_path, s->limits->pages == 1 ? "page" : "pages"));
    outcome = work_run(work, NULL);
    return outcome == OUTCOME_OK ? take_all(s) : outcome;
}

/* --- by size */

#define TRIAL "part.pdf"

/* Writes `n` pages from `first` on as TRIAL: how large is that? */
static enum outcome try_part(const struct splitter *s, uint64_t first, uint64_t n, uint64_t *ret_bytes)
{
    _cleanup_json_ json_t *work = json_copy((json_t *)s->work);
    char path[PATH_BYTES], range[NAME_BYTES];
    enum outcome outcome;

    path_of(s, TRIAL, path);
    snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)first,
             (unsigned long long)(first + n - 1));
    json_object_set_new(work, "pages", json_pack("[{s:s, s:s}]", "file", ".", "range", range));
    work_set(work, "outputFile", path);
    outcome = work_run(work, NULL);
    return outcome == OUTCOME_OK ? size_of(path, ret_bytes) : outcome;
}

/* How many pages may be as large as is allowed, if `n` are of that size; between two numbers that aren't
 * meant. */
static uint64_t guess(const struct splitter *s, uint64_t n, uint64_t bytes, uint64_t above, uint64_t below)
{
    uint64_t next = (uint64_t)((double)n * (double)s->limits->bytes / (double)bytes);

    return next <= above ? above + 1 : next >= below ? below - 1 : next;
}

/* The most pages from `first` on that fit, at most `most`; `*n` is where to begin. */
static enum outcome find_part(const struct splitter *s, uint64_t first, uint64_t most, uint64_t *n)
{
    uint64_t fit = 0, large = most + 1, tried = 0, bytes = 0;

    for (uint64_t trials = 0, next = least(*n, most); large - fit > 1; trials++) {
        enum outcome outcome = try_part(s, first, next, &bytes);

        if (outcome != OUTCOME_OK)
            return outcome;
        tried = next;
        *(bytes <= s->limits->bytes ? &fit : &large) = next;
        if (large == 1)
            return OUTCOME_BAD_OPTIONS;
        next = trials < GUESSES ? guess(s, tried, bytes, fit, large) : (fit + large) / 2;
    }
    *n = fit;
    return tried == fit ? OUTCOME_OK : try_part(s, first, fit, &bytes);
}

static enum outcome split_by_size(struct splitter *s)
{
    const uint64_t pages = s->job->pages, each = s->limits->pages ? s->limits->pages : pages;
    uint64_t n = each < pages ? each : guess(s, pages, s->whole_bytes, 0, pages);
    char name[NAME_BYTES];

    for (uint64_t first = 1; first <= pages; first += n) {
        enum outcome outcome = find_part(s, first, least(each, pages - first + 1), &n);

        if (outcome != OUTCOME_OK)
            return outcome;
        name_part(s, first, first + n - 1, n == 1, name);
        outcome = take_part(s, TRIAL, name);
        if (outcome != OUTCOME_OK)
            return outcome;
        engine_progress(s->job, (unsigned)((first + n - 1) * 99 / pages));
    }
    return OUTCOME_OK;
}

/* --- */

static enum outcome write_archive(struct splitter *s)
{
    char path[PATH_BYTES];
    enum outcome outcome;

    engine_name_result(s->job, "zip");
    path_of(s, s->job->output_name, path);
    outcome = outcome_of_error(zip_writer_new(path, &s->zip));
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = s->limits->bytes ? split_by_size(s) : split_by_pages(s);
    if (outcome == OUTCOME_OK)
        outcome = outcome_of_error(zip_writer_finish(s->zip));
    zip_writer_free(s->zip);
    return outcome;
}

/* Is it small enough as a whole? Then it is written. */
static enum outcome write_whole(struct splitter *s, bool *ret_fits)
{
    _cleanup_json_ json_t *work = json_copy((json_t *)s->work);
    char path[PATH_BYTES];
    enum outcome outcome;

    engine_name_result(s->job, "pdf");
    path_of(s, s->job->output_name, path);
    work_set(work, "outputFile", path);
    outcome = work_run(work, s->job);
    if (outcome == OUTCOME_OK)
        outcome = size_of(path, &s->whole_bytes);
    if (outcome != OUTCOME_OK)
        return outcome;
    *ret_fits = !s->limits->bytes || s->whole_bytes <= s->limits->bytes;
    if (!*ret_fits)
        unlink(path);
    return OUTCOME_OK;
}

enum outcome split_write(struct engine_job *job, const json_t *work, const struct split_limits *limits)
{
    struct splitter s = {.job = job, .work = work, .limits = limits};
    bool fits = false;
    enum outcome outcome = OUTCOME_OK;

    if (!limits->pages || limits->pages >= job->pages)
        outcome = write_whole(&s, &fits);
    return outcome == OUTCOME_OK && !fits ? write_archive(&s) : outcome;
}
