/* The PDF engine: Poppler's glib API with cairo.
 *
 * PNG, JPEG and SVG are a file a page: one page gives a file, several a ZIP (archive.c). Text and HTML are
 * one file always. A page that can't be opened fails the job: a result with a page missing would look whole.
 * So would the text of a document that has none, a scan: it is no output, not an empty file. */
#include "engine/pdf/pdf.h"

#include "core/str.h"
#include "engine/pdf/archive.h"
#include "engine/pdf/colours.h"
#include "engine/pdf/pages.h"
#include "engine/pdf/tiff.h"
#include "engine/pdf/warm.h"
#include "sandbox/policy_pdf.h"

#include <cairo.h>
#include <errno.h>
#include <fontconfig/fontconfig.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAGES_MAX = 2000, FALLBACK_DPI = 150, SIDE_MAX = 16384 };

/* Pictures of the pages are as good when the PDF was made of something a moment ago. */
static const struct engine_conversions conversions[] = {
    {"pdf", "png jpg webp tiff svg", 10, 97, false, "document spreadsheet presentation drawing text"},
    {"pdf", "txt html", 10, 60, false, NULL},
    {0},
};

static const struct engine_option options[] = {
    {"dpi", "png jpg webp tiff", 18, 600, FALLBACK_DPI, "Resolution in dots per inch"},
    {"width", "png jpg webp tiff", 1, SIDE_MAX, 0, "Largest width in pixels"},
    {"height", "png jpg webp tiff", 1, SIDE_MAX, 0, "Largest height in pixels"},
    {"quality", "jpg webp", 1, 100, 85, "Quality in percent"},
    {"background", "png jpg webp tiff svg", 0, 0, 0, "Background colour of the pages (white; none in SVG)",
     OPTION_COLOUR},
    {0},
};

/* Fonts for text whose fonts are not in the file. */
static const char *const read_paths[] = {"/etc/fonts", "/var/cache/fontconfig", NULL};

static const struct target targets[] = {
    {.id = "png", .encode = surface_to_png},
    {.id = "jpg", .encode = surface_to_jpg},
    {.id = "webp", .encode = surface_to_webp},
    {.id = "tiff", .encode = surface_to_strip, .single = true},
    {.id = "svg", .write = page_to_svg, .compress = true},
    {.id = "txt", .write = page_to_txt, .single = true, .apart = true, .between = "\f"},
    {.id = "html", .write = page_to_html, .single = true},
};

static const struct target *find_target(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (str_eq(targets[i].id, id))
            return &targets[i];
    return NULL;
}

static void version(char *ret, size_t size)
{
    snprintf(ret, size, "Poppler %s, cairo %s", poppler_get_version(), cairo_version_string());
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
    if (colours_prepare() < 0) {
        *ret_why = "lcms would not take a way of ours to join profiles";
        return -EIO;
    }
    if (warm_up(targets, ARRAY_SIZE(targets)) < 0) {
        *ret_why = "Poppler could not draw a page of our own";
        return -EIO;
    }
    serve(arg);
    return -ECANCELED;
}

struct text_file {
    FILE *file;
    const struct target *target;
    struct buf *out; /* not yet written */
    bool empty;      /* no page had anything in it */
};

/* Writes what has come together and empties the buffer. */
static enum outcome flush(struct buf *out, FILE *file)
{
    if (buf_error(out))
        return OUTCOME_TOO_COMPLEX;
    if (out->len > 0 && fwrite(out->data, 1, out->len, file) != out->len)
        return outcome_of_error(errno ? -errno : -EIO);
    buf_consume(out, out->len);
    return OUTCOME_OK;
}

static enum outcome put_page(void *sink, struct sheet *s)
{
    struct text_file *f = sink;
    enum outcome outcome;

    if (s->page > 0 && f->target->between)
        buf_append_str(f->out, f->target->between);
    f->empty = f->empty && s->bytes.len == 0;
    outcome = flush(f->out, f->file);
    return outcome == OUTCOME_OK ? flush(&s->bytes, f->file) : outcome;
}

static enum outcome write_file(struct engine_job *job, const struct target *target, PopplerDocument *document,
                               int pages, const struct page_settings *settings, const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    _cleanup_buf_ struct buf out = BUF_INIT(PAGE_BYTES_MAX);
    struct text_file f = {.file = file, .target = target, .out = &out, .empty = true};
    const struct pages work = {.job = job,
                               .target = target,
                               .settings = settings,
                               .document = document,
                               .n = pages,
                               .put = put_page,
                               .sink = &f};
    bool html = str_eq(target->id, "html");
    enum outcome outcome;

    if (!file)
        return OUTCOME_INTERNAL;
    if (html) {
        char *title = poppler_document_get_title(document);

        html_head(title, &out);
        g_free(title);
    }
    outcome = pages_write(&work);
    if (outcome == OUTCOME_OK && html)
        html_tail(&out);
    if (outcome == OUTCOME_OK)
        outcome = flush(&out, file);
    if (outcome == OUTCOME_OK && fflush(file) != 0)
        outcome = outcome_of_error(-errno);
    return outcome == OUTCOME_OK && f.empty ? OUTCOME_NO_OUTPUT : outcome;
}

static enum outcome convert(struct engine_job *job)
{
    const struct target *target = find_target(job->to->id);
    struct colour colour;
    const struct page_settings settings = {
        .background = engine_option_colour(job, options, "background", &colour) ? &colour : NULL,
        .dpi = (double)engine_option_value(job, options, "dpi"),
        .width = (double)engine_option_value(job, options, "width"),
        .height = (double)engine_option_value(job, options, "height"),
        .quality = (int)engine_option_value(job, options, "quality"),
    };
    _cleanup_document_ PopplerDocument *document = NULL;
    _cleanup_free_ char *path = NULL;
    enum outcome outcome = document_open(job->input_path, engine_password(job), &document);
    int pages;
    bool archive;

    if (outcome != OUTCOME_OK)
        return outcome;
    pages = poppler_document_get_n_pages(document);
    if (pages < 1)
        return OUTCOME_CORRUPT_INPUT;
    if (pages > PAGES_MAX)
        return OUTCOME_TOO_COMPLEX;
    engine_pages(job, (uint64_t)pages);
    archive = !target->single && pages > 1;
    job->pages = (uint64_t)pages;
    engine_name_result(job, archive ? "zip" : target->id);
    if (asprintf(&path, "%s/%s", job->output_path, job->output_name) < 0)
        return OUTCOME_INTERNAL;
    if (str_eq(target->id, "tiff"))
        return tiff_write(job, target, document, pages, &settings, path);
    return archive ? archive_write(job, target, document, pages, &settings, path)
                   : write_file(job, target, document, pages, &settings, path);
}

const struct engine engine_pdf = {
    .name = "pdf",
    .family = "pdf",
    .policy = policy_pdf,
    .read_paths = read_paths,
    .conversions = conversions,
    .options = options,
    .protectable = "pdf",
    .version = version,
    .warm = warm,
    .convert = convert,
};
