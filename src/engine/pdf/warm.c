/* Two pages of our own, as every target: one with embedded fonts, as most documents have them, and one with
 * the names of fonts that every viewer brings along, for each of which fontconfig is asked.
 *
 * The second document stays open for good: with the last one that is open, Poppler throws away what it knows
 * of fonts and encodings, and the next document has to build some thousand names again. */
#include "engine/pdf/warm.h"

#include <cairo-pdf.h>
#include <errno.h>

/* The fourteen of the format, and what word processors call them. */
static const char *const usual_fonts[] = {
    "Helvetica",
    "Helvetica-Bold",
    "Helvetica-Oblique",
    "Helvetica-BoldOblique",
    "Times-Roman",
    "Times-Bold",
    "Times-Italic",
    "Times-BoldItalic",
    "Courier",
    "Courier-Bold",
    "Courier-Oblique",
    "Courier-BoldOblique",
    "Symbol",
    "ZapfDingbats",
    "Arial",
    "Arial,Bold",
    "ArialMT",
    "Arial-BoldMT",
    "Arial-ItalicMT",
    "TimesNewRoman",
    "TimesNewRoman,Bold",
    "TimesNewRomanPSMT",
    "TimesNewRomanPS-BoldMT",
    "TimesNewRomanPS-ItalicMT",
    "CourierNew",
    "CourierNewPSMT",
};

static cairo_status_t collect(void *out, const unsigned char *data, unsigned len)
{
    return buf_append(out, data, len) < 0 ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static int make_embedded(struct buf *out)
{
    static const char *const fonts[] = {"sans-serif", "serif", "monospace"};
    cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(collect, out, 200, 100);
    cairo_t *cr = cairo_create(surface);
    bool good;

    cairo_set_font_size(cr, 12);
    for (size_t i = 0; i < ARRAY_SIZE(fonts); i++) {
        cairo_select_font_face(cr, fonts[i], CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
        cairo_move_to(cr, 10, 20 + 20 * (double)i);
        cairo_show_text(cr, "Warm");
    }
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    good = cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS && !buf_error(out);
    cairo_surface_destroy(surface);
    return good ? 0 : -EIO;
}

/* Without a table of where its objects are: Poppler finds them. */
static int make_named(struct buf *out)
{
    _cleanup_buf_ struct buf text = BUF_INIT(64 * 1024);

    for (size_t i = 0; i < ARRAY_SIZE(usual_fonts); i++)
        buf_printf(&text, "0 0 0 %g k BT /F%zu 10 Tf 10 %zu Td (Warm) Tj ET\n", 1 - 0.01 * (double)i, i,
                   10 * i);
    buf_append_str(out, "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
                        "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
                        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 300]/Contents 4 0 R"
                        "/Resources<</Font<<");
    for (size_t i = 0; i < ARRAY_SIZE(usual_fonts); i++)
        buf_printf(out, "/F%zu<</Type/Font/Subtype/%s/BaseFont/%s>>", i, i < 14 ? "Type1" : "TrueType",
                   usual_fonts[i]);
    buf_printf(out, ">>>>>>endobj\n4 0 obj<</Length %zu>>stream\n", text.len);
    buf_append(out, text.data, text.len);
    buf_append_str(out, "endstream endobj\ntrailer<</Root 1 0 R/Size 5>>\n%%EOF\n");
    return buf_error(&text) || buf_error(out) ? -EIO : 0;
}

static PopplerDocument *open_sample(int (*make)(struct buf *out))
{
    _cleanup_buf_ struct buf sample = BUF_INIT(1024 * 1024);
    PopplerDocument *document;
    GBytes *bytes;

    if (make(&sample) < 0)
        return NULL;
    bytes = g_bytes_new(sample.data, sample.len);
    document = poppler_document_new_from_bytes(bytes, NULL, NULL);
    g_bytes_unref(bytes);
    return document;
}

static int write_sample(PopplerDocument *document, const struct target *targets, size_t n)
{
    static const struct page_settings settings = {.dpi = 72, .quality = 85};
    _cleanup_page_ PopplerPage *page = document ? poppler_document_get_page(document, 0) : NULL;

    for (size_t i = 0; i < n && page; i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(PAGE_BYTES_MAX);

        if (page_write(page, &targets[i], &settings, &out) != OUTCOME_OK || out.len == 0)
            return -EIO;
    }
    return page ? 0 : -EIO;
}

int warm_up(const struct target *targets, size_t n)
{
    static PopplerDocument *named;
    PopplerDocument *embedded;
    int r;

    named = open_sample(make_named);
    r = write_sample(named, targets, n);
    if (r < 0)
        return r;
    embedded = open_sample(make_embedded);
    r = write_sample(embedded, targets, n);
    g_clear_object(&embedded);
    return r;
}
