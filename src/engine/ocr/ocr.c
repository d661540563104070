/* The OCR engine: Poppler draws the pages, Tesseract reads them, and qpdf lays what was read over them.
 *
 * A PDF stays what it was: each page's own content is left as it is, byte for byte, and gets one invisible
 * layer more. Pages that have text already are left alone, as theirs is better than what can be read.
 *
 * Poppler and Tesseract are linked rather than executed: a page is drawn, read and forgotten before the next
 * one, so that neither memory nor disk grows with their number, and the data of the usual language is read
 * once, in the zygote. */
#include "engine/ocr/ocr.h"

#include "core/str.h"
#include "engine/ocr/languages.h"
#include "engine/ocr/layer.h"
#include "engine/ocr/reader.h"
#include "engine/ocr/scan.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include <errno.h>
#include <fontconfig/fontconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tesseract/capi.h>

enum { PAGES_MAX = 2000, TEXT_BYTES_MAX = 64 * 1024 * 1024, COST = 300, TURN = 3 };

#define LAYER_TARGETS "pdf txt html docx odt rtf md epub"

/* A PDF's own text is more faithful than what can be read, so that the way to it is for what comes from
 * pictures. */
static const struct engine_conversions conversions[] = {
    {.from = "pdf",
     .to = "pdf",
     .cost = COST,
     .fidelity = 97,
     .copies_embedded = true,
     .asked_by = "ocr ocr_all",
     .turn = TURN},
    {"pdf", "txt", COST, 45, false, "image"},
    {0},
};

static const struct engine_option options[] = {
    {"ocr", LAYER_TARGETS, .label = "Read scanned pages, in these languages", .kind = OPTION_SET,
     .choices = OCR_LANGUAGES},
    {"ocr_all", LAYER_TARGETS, 0, 1, 0, "Read pictures on pages that have text, too", OPTION_SWITCH},
    {0},
};

/* Fonts for text whose fonts are not in the file. */
static const char *const read_paths[] = {"/etc/fonts", "/var/cache/fontconfig", NULL};

static const char *const programs[] = {LAYER_PROGRAM, NULL};

/* --- the pages */

struct work {
    struct engine_job *job;
    PopplerDocument *document;
    struct reader *reader;
    int pages, at;
    bool some; /* pages without text are read … */
    bool all;  /* … and what is on those that have some, too */
};

static void page_progress(void *arg, unsigned percent)
{
    const struct work *w = arg;

    engine_progress(w->job, ((unsigned)w->at * 100 + percent) / (unsigned)w->pages);
}

/* `ret_read`: it was not left alone. */
static enum outcome read_page(struct work *w, bool layer, bool *ret_read)
{
    _cleanup_page_ PopplerPage *page = NULL;
    _cleanup_scan_ struct scan scan = {0};
    enum outcome outcome = page_open(w->document, w->at, &page);
    bool has_text = outcome == OUTCOME_OK && layer && scan_has_text(page);

    *ret_read = outcome == OUTCOME_OK && (has_text ? w->all : w->some);
    if (!*ret_read)
        return outcome;
    outcome = scan_draw(page, has_text, &scan);
    return outcome == OUTCOME_OK ? reader_read(w->reader, &scan, page_progress, w) : outcome;
}

/* --- into text */

static enum outcome write_text(const struct work *w, const struct buf *text)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_fclose_ FILE *file = NULL;

    if (buf_error(text))
        return OUTCOME_TOO_COMPLEX;
    if (asprintf(&path, "%s/%s", w->job->output_path, w->job->output_name) < 0)
        return OUTCOME_INTERNAL;
    file = fopen(path, "we");
    if (!file || fwrite(text->data, 1, text->len, file) != text->len || fflush(file) != 0)
        return OUTCOME_INTERNAL;
    return OUTCOME_OK;
}

static bool is_blank(const struct buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] > ' ')
            return false;
    return true;
}

static enum outcome to_text(struct work *w)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_BYTES_MAX);
    bool read;

    for (w->at = 0; w->at < w->pages; w->at++) {
        enum outcome outcome = read_page(w, false, &read);

        if (outcome != OUTCOME_OK)
            return outcome;
        if (w->at > 0)
            buf_append_str(&text, "\f");
        reader_append_text(w->reader, &text);
    }
    /* As of a PDF that has none: an empty file would look as if all was well. */
    return is_blank(&text) && !buf_error(&text) ? OUTCOME_NO_OUTPUT : write_text(w, &text);
}

/* --- into a PDF */

static enum outcome to_layer(struct work *w, const char *path, struct layer *layer)
{
    enum outcome outcome = reader_pdf_begin(w->reader, path);
    bool read;

    for (w->at = 0; outcome == OUTCOME_OK && w->at < w->pages; w->at++) {
        outcome = read_page(w, true, &read);
        if (outcome != OUTCOME_OK || !read)
            continue;
        outcome = reader_pdf_add(w->reader);
        layer_add(layer, w->at + 1);
    }
    return outcome == OUTCOME_OK ? reader_pdf_end(w->reader) : outcome;
}

static enum outcome to_pdf(struct work *w)
{
    _cleanup_layer_ struct layer layer = LAYER_INIT;
    char path[64];
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const char *tmp = getenv("TMPDIR");
    enum outcome outcome;

    if (!tmp || snprintf(path, sizeof path, "%s/text.pdf", tmp) >= (int)sizeof path)
        return OUTCOME_INTERNAL;
    outcome = to_layer(w, path, &layer);
    return outcome == OUTCOME_OK ? layer_lay(&layer, w->job, path) : outcome;
}

/* --- the job */

/* Text is always read; a PDF, where it was asked for. */
static void choose_pages(struct work *w, const char *languages)
{
    w->all = engine_option_value(w->job, options, "ocr_all");
    w->some = languages || w->all || w->job->to != w->job->from;
}

static enum outcome count_pages(struct work *w)
{
    w->pages = poppler_document_get_n_pages(w->document);
    if (w->pages < 1)
        return OUTCOME_CORRUPT_INPUT;
    if (w->pages > PAGES_MAX)
        return OUTCOME_TOO_COMPLEX;
    engine_pages(w->job, (uint64_t)w->pages);
    w->job->pages = (uint64_t)w->pages;
    return OUTCOME_OK;
}

static enum outcome convert(struct engine_job *job)
{
    _cleanup_document_ PopplerDocument *document = NULL;
    _cleanup_reader_ struct reader *reader = NULL;
    const char *languages = engine_option_text(job, options, "ocr");
    struct work work = {.job = job};
    enum outcome outcome = document_open(job->input_path, engine_password(job), &document);

    work.document = document;
    if (outcome == OUTCOME_OK)
        outcome = count_pages(&work);
    if (outcome == OUTCOME_OK)
        outcome = reader_open(languages ? languages : OCR_FALLBACK, &reader);
    if (outcome != OUTCOME_OK)
        return outcome;
    work.reader = reader;
    choose_pages(&work, languages);
    engine_name_result(job, job->to->id);
    return job->to == job->from ? to_pdf(&work) : to_text(&work);
}

/* --- in the zygote */

static void version(char *ret, size_t size)
{
    snprintf(ret, size, "Tesseract %s, Poppler %s", TessVersion(), poppler_get_version());
}

static void no_message(const char *domain, GLogLevelFlags level, const char *message, void *unused)
{
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    /* What Poppler has to say about a file may quote the file: it belongs into no log. */
    g_log_set_default_handler(no_message, NULL);
    if (!FcInit()) {
        *ret_why = "there is no font configuration (package fontconfig)";
        return -ENOENT;
    }
    if (!reader_prepare()) {
        *ret_why = "Tesseract's data is missing (package tesseract-ocr-" OCR_FALLBACK ")";
        return -ENOENT;
    }
    return tool_warm(programs, "qpdf is missing (package qpdf)", serve, arg, ret_why);
}

const struct engine engine_ocr = {
    .name = "ocr",
    .family = "ocr",
    .policy = policy_keeper,
    .read_paths = read_paths,
    .tool_policy = policy_tool,
    .programs = programs,
    .tool_runs = 1,
    .conversions = conversions,
    .options = options,
    .protectable = "pdf",
    .version = version,
    .warm = warm,
    .convert = convert,
};
