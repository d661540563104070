#include "engine/ocr/reader.h"

#include "core/str.h"
#include "engine/ocr/languages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tesseract/capi.h>
#include <unistd.h>

enum { PATH_BYTES = 512 };

/* Made in the zygote: one that knows where the data lies, and has read that of the usual language. */
static TessBaseAPI *prepared;

struct reader {
    TessBaseAPI *api;
    TessResultRenderer *pdf; /* NULL: none was begun */
};

/* --- its data */

static bool has_data(TessBaseAPI *api, const char *language, size_t len)
{
    const char *folder = TessBaseAPIGetDatapath(api);
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%.*s.traineddata", folder, (int)len, language);

    return n > 0 && n < (int)sizeof path && access(path, R_OK) == 0;
}

/* Of the OpenMP runtime that Tesseract brings along, whose header is a compiler's own. */
void omp_set_max_active_levels(int levels);

/* A page is read by one thread: four that wait for each other, as Tesseract would have it, take the cores of
 * other jobs, and on a busy machine ten times as long. The environment would say so too, but was read
 * before main(). */
bool reader_prepare(void)
{
    omp_set_max_active_levels(0);
    prepared = TessBaseAPICreate();
    if (prepared && TessBaseAPIInit3(prepared, NULL, OCR_FALLBACK) == 0)
        return true;
    TessBaseAPIDelete(prepared);
    prepared = NULL;
    return false;
}

static bool has_all_data(TessBaseAPI *api, const char *languages)
{
    for (const char *p = languages; *p;) {
        size_t len = strcspn(p, "+");

        if (!has_data(api, p, len))
            return false;
        p += len + (p[len] == '+');
    }
    return true;
}

static enum outcome choose_languages(TessBaseAPI *api, const char *languages)
{
    if (!has_all_data(api, languages))
        return OUTCOME_LANGUAGE_MISSING;
    if (str_eq(languages, OCR_FALLBACK))
        return OUTCOME_OK;
    return TessBaseAPIInit3(api, NULL, languages) < 0 ? OUTCOME_TOO_COMPLEX : OUTCOME_OK;
}

enum outcome reader_open(const char *languages, struct reader **ret)
{
    _cleanup_reader_ struct reader *r = calloc(1, sizeof *r);
    enum outcome outcome;

    if (!r)
        return OUTCOME_TOO_COMPLEX;
    r->api = TAKE_PTR(prepared);
    if (!r->api)
        return OUTCOME_INTERNAL;
    outcome = choose_languages(r->api, languages);
    if (outcome != OUTCOME_OK)
        return outcome;
    /* Which way up a page lies is told by data of its own. */
    TessBaseAPISetPageSegMode(r->api, has_data(r->api, "osd", strlen("osd")) ? PSM_AUTO_OSD : PSM_AUTO);
    *ret = TAKE_PTR(r);
    return OUTCOME_OK;
}

void reader_close(struct reader **r)
{
    if (!*r)
        return;
    if ((*r)->pdf)
        TessDeleteResultRenderer((*r)->pdf);
    if ((*r)->api)
        TessBaseAPIDelete((*r)->api);
    free(*r);
    *r = NULL;
}

/* --- a page */

struct listener {
    reader_progress_fn *fn;
    void *arg;
};

static bool listen(ETEXT_DESC *monitor, int left, int right, int top, int bottom)
{
    const struct listener *l = TessMonitorGetCancelThis(monitor);
    int percent = TessMonitorGetProgress(monitor);

    l->fn(l->arg, percent < 0 ? 0 : percent > 100 ? 100 : (unsigned)percent);
    return false;
}

enum outcome reader_read(struct reader *r, const struct scan *s, reader_progress_fn *fn, void *arg)
{
    struct listener listener = {fn, arg};
    ETEXT_DESC *monitor;
    int failed;

    monitor = TessMonitorCreate();
    TessMonitorSetCancelThis(monitor, &listener);
    TessMonitorSetProgressFunc(monitor, listen);
    TessBaseAPISetImage(r->api, s->pixels, s->width, s->height, 1, s->width);
    TessBaseAPISetSourceResolution(r->api, s->dpi);
    failed = TessBaseAPIRecognize(r->api, monitor);
    TessMonitorDelete(monitor);
    return failed ? OUTCOME_ENGINE_CRASHED : OUTCOME_OK;
}

void reader_append_text(struct reader *r, struct buf *out)
{
    char *text = TessBaseAPIGetUTF8Text(r->api);

    if (!text)
        return;
    buf_append_str(out, text);
    TessDeleteText(text);
}

/* --- as a layer */

enum outcome reader_pdf_begin(struct reader *r, const char *path)
{
    _cleanup_free_ char *base = strndup(path, strlen(path) - strlen(".pdf"));

    r->pdf = base ? TessPDFRendererCreate(base, TessBaseAPIGetDatapath(r->api), true) : NULL;
    return r->pdf && TessResultRendererBeginDocument(r->pdf, "") ? OUTCOME_OK : OUTCOME_INTERNAL;
}

enum outcome reader_pdf_add(struct reader *r)
{
    return TessResultRendererAddImage(r->pdf, r->api) ? OUTCOME_OK : OUTCOME_TOO_COMPLEX;
}

enum outcome reader_pdf_end(struct reader *r)
{
    bool good = TessResultRendererEndDocument(r->pdf);

    TessDeleteResultRenderer(r->pdf);
    r->pdf = NULL;
    return good ? OUTCOME_OK : OUTCOME_TOO_COMPLEX;
}
