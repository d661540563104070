/* A picture as a page of a PDF, drawn by cairo.
 *
 * JPEG keeps its bytes: the PDF holds the file's own data without metadata, turned upright by the page's
 * matrix, so nothing is lost. Pictures from other lossy formats go in as JPEG of high quality, as their
 * pixels packed losslessly would be many times the file; the rest is packed losslessly. */
#include "engine/image/picture.h"

#include "core/path.h"
#include "core/str.h"

#include <cairo-pdf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { PAGES_MAX = 2000, JPEG_BYTES_MAX = 400 * 1024 * 1024, CAIRO_SIDE_MAX = 32767 };

static const struct picture_target target = {.id = "pdf", .side_max = CAIRO_SIDE_MAX};
static const struct picture_limits as_it_is = {0, 0};

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

/* Points a pixel. A resolution that nobody means counts as 96 dots an inch; a page is never longer than the
 * 14,400 points that PDF readers take (ISO 32000-1, annex C). */
static double points_per_pixel(const VipsImage *image)
{
    static const double side_max = 14400;
    double dpi = vips_image_get_xres(image) * 25.4;
    double longest = MAX(vips_image_get_width(image), vips_image_get_height(image));

    if (dpi < 36 || dpi > 4800)
        dpi = 96;
    return MIN(72 / dpi, side_max / longest);
}

/* EXIF orientation (1–8) as the matrix from the stored picture to the upright one. */
static void orient(cairo_t *cr, int orientation, double w, double h)
{
    const cairo_matrix_t matrices[] = {
        [1] = {1, 0, 0, 1, 0, 0},   [2] = {-1, 0, 0, 1, w, 0}, [3] = {-1, 0, 0, -1, w, h},
        [4] = {1, 0, 0, -1, 0, h},  [5] = {0, 1, 1, 0, 0, 0},  [6] = {0, 1, -1, 0, h, 0},
        [7] = {0, -1, -1, 0, h, w}, [8] = {0, -1, 1, 0, 0, w},
    };

    if (orientation >= 1 && orientation <= 8)
        cairo_transform(cr, &matrices[orientation]);
}

enum outcome picture_cairo_outcome(cairo_status_t status)
{
    switch (status) {
    case CAIRO_STATUS_SUCCESS:
        return OUTCOME_OK;
    case CAIRO_STATUS_NO_MEMORY:
    case CAIRO_STATUS_WRITE_ERROR:
    case CAIRO_STATUS_INVALID_SIZE:
        return OUTCOME_TOO_COMPLEX;
    default:
        return OUTCOME_INTERNAL;
    }
}

/* One page with `surface` on it. */
static enum outcome put(cairo_surface_t *pdf, cairo_surface_t *surface, const VipsImage *image,
                        int orientation)
{
    double points = points_per_pixel(image), w = cairo_image_surface_get_width(surface);
    double h = cairo_image_surface_get_height(surface);
    bool turned = orientation >= 5;

    cairo_pdf_surface_set_size(pdf, (turned ? h : w) * points, (turned ? w : h) * points);

    _cleanup_cairo_ cairo_t *cr = cairo_create(pdf);

    cairo_scale(cr, points, points);
    orient(cr, orientation, w, h);
    cairo_set_source_surface(cr, surface, 0, 0);
    cairo_paint(cr);
    cairo_show_page(cr);
    return picture_cairo_outcome(cairo_status(cr));
}

/* Gives `data` (malloc'ed) to the surface as the form in which the PDF shall hold it. */
static enum outcome attach_jpeg(cairo_surface_t *surface, char *data, size_t len)
{
    cairo_status_t status =
        cairo_surface_set_mime_data(surface, CAIRO_MIME_TYPE_JPEG, (unsigned char *)data, len, free, data);

    if (status != CAIRO_STATUS_SUCCESS)
        free(data);
    return picture_cairo_outcome(status);
}

/* Can a PDF reader show these bytes as they are? Not CMYK, which Adobe's programs store inverted, and not
 * colours that need a profile. */
static bool jpeg_is_plain(VipsImage *image)
{
    return vips_image_get_bands(image) != 4 && picture_is_plain(image);
}

/* A cut-off JPEG would make a PDF that opens and shows half a picture: all of it is read once, at an eighth
 * of the size, which costs little. */
static enum outcome check_jpeg(const char *path)
{
    _cleanup_image_ VipsImage *image = NULL;
    double average;

    if (vips_jpegload(path, &image, "access", VIPS_ACCESS_SEQUENTIAL, "shrink", 8, "fail_on",
                      VIPS_FAIL_ON_TRUNCATED, NULL) ||
        vips_avg(image, &average, NULL))
        return picture_error();
    return OUTCOME_OK;
}

static enum outcome put_jpeg_file(cairo_surface_t *pdf, VipsImage *image, const char *path)
{
    _cleanup_surface_ cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, vips_image_get_width(image), vips_image_get_height(image));
    enum outcome outcome = picture_cairo_outcome(cairo_surface_status(surface));
    char *data;
    size_t len;
    int r;

    if (outcome == OUTCOME_OK)
        outcome = check_jpeg(path);
    if (outcome != OUTCOME_OK)
        return outcome;
    r = path_read_file(AT_FDCWD, path, JPEG_BYTES_MAX, &data, &len);
    if (r < 0)
        return r == -EFBIG || r == -ENOMEM ? OUTCOME_TOO_COMPLEX : OUTCOME_INTERNAL;
    len = picture_strip_jpeg((unsigned char *)data, len);
    outcome = attach_jpeg(surface, data, len);
    return outcome == OUTCOME_OK ? put(pdf, surface, image, vips_image_get_orientation(image)) : outcome;
}

/* Lines of sRGB or grey into cairo's native-endian xRGB. */
static void fill(cairo_surface_t *surface, const unsigned char *pixels, size_t bands)
{
    size_t width = (size_t)cairo_image_surface_get_width(surface);
    size_t height = (size_t)cairo_image_surface_get_height(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    unsigned char *to = cairo_image_surface_get_data(surface);

    for (size_t y = 0; y < height; y++, to += stride)
        for (size_t x = 0; x < width; x++, pixels += bands)
            ((uint32_t *)(void *)to)[x] = (uint32_t)pixels[0] << 16 |
                                          (uint32_t)pixels[bands >= 3 ? 1 : 0] << 8 |
                                          (uint32_t)pixels[bands >= 3 ? 2 : 0];
    cairo_surface_mark_dirty(surface);
}

static enum outcome put_pixels(cairo_surface_t *pdf, VipsImage *image, bool lossy)
{
    _cleanup_surface_ cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, vips_image_get_width(image), vips_image_get_height(image));
    enum outcome outcome = picture_cairo_outcome(cairo_surface_status(surface));
    void *data;
    size_t len;

    if (outcome != OUTCOME_OK)
        return outcome;
    if (lossy) {
        if (vips_jpegsave_buffer(image, &data, &len, "Q", 90, "strip", TRUE, NULL))
            return picture_error();
        outcome = attach_jpeg(surface, data, len);
    } else {
        if (!(data = vips_image_write_to_memory(image, &len)))
            return picture_error();
        fill(surface, data, (size_t)vips_image_get_bands(image));
        g_free(data);
    }
    return outcome == OUTCOME_OK ? put(pdf, surface, image, 1) : outcome;
}

/* One page of the input; the first also says how many there are. */
static enum outcome add_page(struct engine_job *job, const struct colour *background, cairo_surface_t *pdf,
                             int page, int *ret_pages)
{
    const struct picture_wishes wishes = {.background = background};
    const char *id = job->from->id;
    _cleanup_image_ VipsImage *image = NULL;
    enum outcome outcome = picture_read(id, job->input_path, page, false, &as_it_is, &image, ret_pages);

    if (outcome != OUTCOME_OK)
        return outcome;
    if (vips_image_get_width(image) > CAIRO_SIDE_MAX || vips_image_get_height(image) > CAIRO_SIDE_MAX)
        return OUTCOME_TOO_COMPLEX;
    if (words_have("jpg mpo", id) && jpeg_is_plain(image))
        return put_jpeg_file(pdf, image, job->input_path);
    outcome = picture_normalise(&image, &target, &wishes);
    return outcome == OUTCOME_OK
               ? put_pixels(pdf, image, words_have("jpg mpo webp avif heic jxl jp2 jpx j2k jng", id))
               : outcome;
}

enum outcome paper_write(struct engine_job *job, const struct colour *background, const char *path)
{
    _cleanup_surface_ cairo_surface_t *pdf = cairo_pdf_surface_create(path, 72, 72);
    int pages = 1;

    for (int i = 0; i < pages; i++) {
        enum outcome outcome = add_page(job, background, pdf, i, i == 0 ? &pages : NULL);

        if (outcome != OUTCOME_OK)
            return outcome;
        if (!str_eq(job->from->id, "tiff"))
            pages = 1; /* an animation's first frame */
        if (pages > PAGES_MAX)
            return OUTCOME_TOO_COMPLEX;
        if (i == 0)
            engine_pages(job, (uint64_t)pages);
        engine_progress(job, (unsigned)(i + 1) * 99 / (unsigned)pages);
    }
    job->pages = (uint64_t)pages;
    cairo_surface_finish(pdf);
    return picture_cairo_outcome(cairo_surface_status(pdf));
}
