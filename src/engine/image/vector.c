/* SVG as a page of a PDF that keeps what the drawing is made of: lines, fills, and text as text in fonts that
 * the file carries. librsvg reads it, cairo writes it. As for pixels (vips.c) it is read from memory, so that
 * there is no base against which a reference could be resolved: librsvg follows none without. What PDF has no
 * word for (filters, masks) cairo and librsvg paint as pixels in their place. */
#include "engine/image/picture.h"

#include "core/path.h"
#include "core/str.h"

#include <cairo-pdf.h>
#include <errno.h>
#include <fcntl.h>
#include <librsvg/rsvg.h>
#include <math.h>
#include <string.h>

/* CSS has 96 pixels an inch, PDF 72 points, and its readers take pages of 3 to 14,400 points (ISO 32000-1,
 * annex C). A drawing that says nothing of its size has that of CSS 2.2, 10.3.2. */
static const double points_per_pixel = 0.75, page_side_max = 14400, page_side_min = 3;
static const double usual_width = 300, usual_height = 150;

static void destroy_handle(RsvgHandle **handle)
{
    g_clear_object(handle);
}
#define _cleanup_handle_ _cleanup_(destroy_handle)

static void destroy_surface(cairo_surface_t **s)
{
    cairo_surface_destroy(*s);
}
static void destroy_cairo(cairo_t **cr)
{
    cairo_destroy(*cr);
}

enum outcome vector_load(const char *path, char **ret, size_t *ret_len)
{
    enum { SVG_BYTES_MAX = 64 * 1024 * 1024 };
    int r = path_read_file(AT_FDCWD, path, SVG_BYTES_MAX, ret, ret_len);

    if (r < 0)
        return r == -EFBIG || r == -ENOMEM ? OUTCOME_TOO_COMPLEX : OUTCOME_INTERNAL;
    return *ret_len >= 2 && memcmp(*ret, "\x1f\x8b", 2) == 0 ? OUTCOME_CORRUPT_INPUT : OUTCOME_OK;
}

/* In pixels of CSS: width and height when they are told, else those of the view box. */
static void measure(RsvgHandle *handle, double *ret_width, double *ret_height)
{
    RsvgRectangle box;
    gboolean has_box;

    if (rsvg_handle_get_intrinsic_size_in_pixels(handle, ret_width, ret_height))
        return;
    rsvg_handle_get_intrinsic_dimensions(handle, NULL, NULL, NULL, NULL, &has_box, &box);
    *ret_width = has_box ? box.width : usual_width;
    *ret_height = has_box ? box.height : usual_height;
}

static enum outcome draw(RsvgHandle *handle, const struct colour *background, const char *path)
{
    double width, height, scale;

    measure(handle, &width, &height);
    if (!(width > 0 && height > 0 && isfinite(width) && isfinite(height)))
        return OUTCOME_CORRUPT_INPUT;
    scale = fmin(points_per_pixel, page_side_max / fmax(width, height));

    _cleanup_(destroy_surface) cairo_surface_t *pdf = cairo_pdf_surface_create(
        path, fmax(width * scale, page_side_min), fmax(height * scale, page_side_min));
    _cleanup_(destroy_cairo) cairo_t *cr = cairo_create(pdf);
    const RsvgRectangle page = {0, 0, width, height};
    GError *error = NULL;

    if (background) {
        cairo_set_source_rgb(cr, background->red / 255.0, background->green / 255.0,
                             background->blue / 255.0);
        cairo_paint(cr);
    }
    cairo_scale(cr, scale, scale);
    if (!rsvg_handle_render_document(handle, cr, &page, &error)) {
        g_clear_error(&error);
        return OUTCOME_TOO_COMPLEX;
    }
    cairo_show_page(cr);
    cairo_surface_finish(pdf);
    return picture_cairo_outcome(cairo_surface_status(pdf));
}

enum outcome vector_write(struct engine_job *job, const struct colour *background, const char *path)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_handle_ RsvgHandle *handle = NULL;
    size_t len;
    enum outcome outcome = vector_load(job->input_path, &data, &len);

    if (outcome != OUTCOME_OK)
        return outcome;
    handle = rsvg_handle_new_from_data((const guint8 *)data, len, NULL);
    if (!handle)
        return OUTCOME_CORRUPT_INPUT;
    rsvg_handle_set_dpi(handle, 96);
    engine_pages(job, 1);
    outcome = draw(handle, background, path);
    job->pages = 1;
    return outcome;
}
