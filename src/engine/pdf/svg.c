/* A page as SVG, by cairo: shapes stay shapes, text becomes outlines, so that it looks alike without the
 * fonts. */
#include "engine/pdf/page.h"

#include <cairo-svg.h>

static cairo_status_t to_buf(void *out, const unsigned char *data, unsigned len)
{
    return buf_append(out, data, len) < 0 ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

enum outcome page_to_svg(PopplerPage *page, const struct page_settings *settings, struct buf *out)
{
    double width, height;
    cairo_surface_t *surface;
    cairo_status_t status;
    cairo_t *cr;

    poppler_page_get_size(page, &width, &height);
    surface = cairo_svg_surface_create_for_stream(to_buf, out, width, height);
    cr = cairo_create(surface);
    page_paint(cr, settings);
    poppler_page_render_for_printing(page, cr);
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (buf_error(out) || status == CAIRO_STATUS_NO_MEMORY)
        return OUTCOME_TOO_COMPLEX;
    return status == CAIRO_STATUS_SUCCESS ? OUTCOME_OK : OUTCOME_INTERNAL;
}
