#include "engine/ocr/scan.h"

#include "core/str.h"

#include <cairo.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Letters of ten points are 40 pixels high then, and more does not help. Of a page larger than A3 with a
 * margin the whole is drawn more coarsely: what is on it was meant to be read from further away. */
enum { DPI = 300, PIXELS_MAX = 20 * 1000 * 1000, SIDE_MAX = 32000 /* Tesseract counts by 16 bits */ };

static const double points_per_inch = 72;

static void destroy_surface(cairo_surface_t **s)
{
    cairo_surface_destroy(*s);
}
static void destroy_cairo(cairo_t **cr)
{
    cairo_destroy(*cr);
}
#define _cleanup_surface_ _cleanup_(destroy_surface)
#define _cleanup_cairo_   _cleanup_(destroy_cairo)

void scan_free(struct scan *s)
{
    free(s->pixels);
    s->pixels = NULL;
}

bool scan_has_text(PopplerPage *page)
{
    char *text = poppler_page_get_text(page);
    bool has = false;

    for (const char *p = text; p && *p && !has; p++)
        has = (unsigned char)*p > ' ';
    g_free(text);
    return has;
}

static int choose_dpi(double width, double height)
{
    double square_inches = width / points_per_inch * height / points_per_inch;
    double longest = MAX(width, height) / points_per_inch;

    return (int)MAX(1, floor(MIN(DPI, MIN(sqrt(PIXELS_MAX / square_inches), SIDE_MAX / longest))));
}

static int to_pixels(double points, int dpi)
{
    return (int)MAX(1, MIN(SIDE_MAX, ceil(points * dpi / points_per_inch - 0.01)));
}

static void cover_text(PopplerPage *page, cairo_t *cr)
{
    PopplerRectangle *boxes = NULL;
    guint n = 0;

    if (!poppler_page_get_text_layout(page, &boxes, &n))
        return;
    cairo_set_source_rgb(cr, 1, 1, 1);
    for (guint i = 0; i < n; i++)
        cairo_rectangle(cr, boxes[i].x1, boxes[i].y1, boxes[i].x2 - boxes[i].x1, boxes[i].y2 - boxes[i].y1);
    cairo_fill(cr);
    g_free(boxes);
}

static enum outcome draw(PopplerPage *page, bool without_text, int dpi, cairo_surface_t *surface)
{
    _cleanup_cairo_ cairo_t *cr = cairo_create(surface);
    double scale = dpi / points_per_inch;

    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_scale(cr, scale, scale);
    cairo_save(cr);
    poppler_page_render(page, cr);
    cairo_restore(cr);
    if (without_text)
        cover_text(page, cr);
    cairo_surface_flush(surface);
    if (cairo_status(cr) == CAIRO_STATUS_NO_MEMORY)
        return OUTCOME_TOO_COMPLEX;
    return cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS ? OUTCOME_OK : OUTCOME_TOO_COMPLEX;
}

/* By ITU-R BT.601, in parts of 256. */
static unsigned char grey_of(uint32_t pixel)
{
    return (unsigned char)(((pixel >> 16 & 0xff) * 77 + (pixel >> 8 & 0xff) * 150 + (pixel & 0xff) * 29) >>
                           8);
}

static void make_grey(cairo_surface_t *surface, struct scan *s)
{
    const unsigned char *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);

    for (int y = 0; y < s->height; y++) {
        const uint32_t *row = (const uint32_t *)(const void *)(data + (size_t)y * stride);
        unsigned char *to = s->pixels + (size_t)y * (size_t)s->width;

        for (int x = 0; x < s->width; x++)
            to[x] = grey_of(row[x]);
    }
}

enum outcome scan_draw(PopplerPage *page, bool without_text, struct scan *ret)
{
    _cleanup_surface_ cairo_surface_t *surface = NULL;
    double width, height;
    enum outcome outcome;

    poppler_page_get_size(page, &width, &height);
    if (width / points_per_inch * height / points_per_inch > PIXELS_MAX)
        return OUTCOME_TOO_COMPLEX; /* no page: readers take 200 inches */
    ret->dpi = choose_dpi(width, height);
    ret->width = to_pixels(width, ret->dpi);
    ret->height = to_pixels(height, ret->dpi);
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, ret->width, ret->height);
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS)
        return OUTCOME_TOO_COMPLEX;
    outcome = draw(page, without_text, ret->dpi, surface);
    if (outcome != OUTCOME_OK)
        return outcome;
    ret->pixels = malloc((size_t)ret->width * (size_t)ret->height);
    if (!ret->pixels)
        return OUTCOME_TOO_COMPLEX;
    make_grey(surface, ret);
    return OUTCOME_OK;
}
