/* Pages as PNG, JPEG and WebP, drawn by Poppler on a cairo surface. The encoders are called here rather than
 * through cairo or libvips: rows go from the surface straight into them, a page without colour becomes a grey
 * picture of a third of the size, and the resolution is noted in the file. */
#include "engine/pdf/page.h"
#include "engine/pdf/surface.h"

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

enum { PIXELS_MAX = 100 * 1000 * 1000, SIDE_MAX = 32767 /* cairo's */ };

static void destroy_surface(cairo_surface_t **s)
{
    cairo_surface_destroy(*s);
}
#define _cleanup_surface_ _cleanup_(destroy_surface)

/* Pixels, and the resolution that gives them. */
static double find_size(PopplerPage *page, const struct page_settings *settings, double *ret_width,
                        double *ret_height)
{
    double dpi = settings->dpi;

    poppler_page_get_size(page, ret_width, ret_height);
    if (settings->width > 0)
        dpi = fmin(dpi, settings->width * 72 / *ret_width);
    if (settings->height > 0)
        dpi = fmin(dpi, settings->height * 72 / *ret_height);
    *ret_width = fmax(ceil(*ret_width * dpi / 72 - 0.01), 1);
    *ret_height = fmax(ceil(*ret_height * dpi / 72 - 0.01), 1);
    return dpi;
}

size_t page_surface_bytes(PopplerPage *page, const struct page_settings *settings)
{
    double width, height;

    find_size(page, settings, &width, &height);
    return (size_t)fmin(width * height, PIXELS_MAX) * sizeof(uint32_t);
}

enum outcome page_draw(PopplerPage *page, const struct page_settings *settings, cairo_surface_t **ret)
{
    _cleanup_surface_ cairo_surface_t *surface = NULL;
    double width, height, dpi = find_size(page, settings, &width, &height);
    cairo_t *cr;
    cairo_status_t status;

    if (width > SIDE_MAX || height > SIDE_MAX || width * height > PIXELS_MAX)
        return OUTCOME_TOO_COMPLEX;
    surface = surface_new((int)width, (int)height);
    if (!surface)
        return OUTCOME_TOO_COMPLEX;
    cairo_surface_set_fallback_resolution(surface, dpi, dpi);
    cr = cairo_create(surface);
    page_paint(cr, settings);
    cairo_scale(cr, dpi / 72, dpi / 72);
    poppler_page_render(page, cr);
    status = cairo_status(cr);
    cairo_destroy(cr);
    cairo_surface_flush(surface);
    if (status == CAIRO_STATUS_NO_MEMORY)
        return OUTCOME_TOO_COMPLEX;
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS)
        return OUTCOME_INTERNAL;
    *ret = TAKE_PTR(surface);
    return OUTCOME_OK;
}

/* cairo keeps it for us: nothing of ours is ever drawn in vectors. */
double surface_dpi(cairo_surface_t *surface)
{
    double x, y;

    cairo_surface_get_fallback_resolution(surface, &x, &y);
    return x;
}

static const uint32_t *row_of(cairo_surface_t *surface, int y)
{
    return (const uint32_t *)(const void *)(cairo_image_surface_get_data(surface) +
                                            (size_t)y * (size_t)cairo_image_surface_get_stride(surface));
}

bool surface_is_grey(cairo_surface_t *surface)
{
    int width = cairo_image_surface_get_width(surface), height = cairo_image_surface_get_height(surface);

    for (int y = 0; y < height; y++) {
        const uint32_t *row = row_of(surface, y);
        uint32_t differs = 0;

        for (int x = 0; x < width; x++)
            differs |= (row[x] ^ row[x] >> 8) & 0xffff;
        if (differs)
            return false;
    }
    return true;
}

/* cairo's native-endian xRGB into bytes: r g b, or one grey. */
static void unpack(const uint32_t *row, int width, bool grey, unsigned char *to)
{
    for (int x = 0; x < width; x++) {
        if (!grey) {
            *to++ = (unsigned char)(row[x] >> 16);
            *to++ = (unsigned char)(row[x] >> 8);
        }
        *to++ = (unsigned char)row[x];
    }
}

static void png_to_buf(png_structp png, png_bytep data, size_t len)
{
    if (buf_append(png_get_io_ptr(png), data, len) < 0)
        png_error(png, "full");
}

static void png_no_flush(png_structp png)
{
}

/* Where most pixels differ from both neighbours: a photograph, which is smaller as differences between lines.
 * Text and drawings are smaller as they are, and libpng's own choice of filters, made by the sum of the
 * differences, takes longer and fails there. */
static bool is_rough(const uint32_t *row, int width)
{
    int rough = 0;

    for (int x = 2; x < width; x++)
        rough += row[x] != row[x - 1] && row[x - 1] != row[x - 2];
    return rough > width / 2;
}

static void png_rows(png_structp png, png_infop info, cairo_surface_t *surface, unsigned char *line)
{
    int width = cairo_image_surface_get_width(surface), height = cairo_image_surface_get_height(surface);
    bool grey = surface_is_grey(surface);
    uint32_t per_metre = (uint32_t)round(surface_dpi(surface) / 0.0254);

    png_set_IHDR(png, info, (uint32_t)width, (uint32_t)height, 8,
                 grey ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_pHYs(png, info, per_metre, per_metre, PNG_RESOLUTION_METER);
    png_set_compression_level(png, 4);
    /* what is to be used at all has to be named before the first line, which libpng then chooses a filter for
     */
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE | PNG_FILTER_UP);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) {
        const uint32_t *row = row_of(surface, y);

        if (y > 0)
            png_set_filter(png, PNG_FILTER_TYPE_BASE, is_rough(row, width) ? PNG_FILTER_UP : PNG_FILTER_NONE);
        unpack(row, width, grey, line);
        png_write_row(png, line);
    }
    png_write_end(png, info);
}

/* libpng leaves by longjmp: nothing that it must not find changed lives in this frame. */
static enum outcome encode_png(cairo_surface_t *surface, unsigned char *line, struct buf *out)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    volatile enum outcome outcome = OUTCOME_TOO_COMPLEX;

    if (info && !setjmp(png_jmpbuf(png))) {
        png_set_write_fn(png, out, png_to_buf, png_no_flush);
        png_rows(png, info, surface, line);
        outcome = OUTCOME_OK;
    }
    png_destroy_write_struct(&png, &info);
    return outcome;
}

enum outcome surface_to_png(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out)
{
    _cleanup_free_ unsigned char *line = malloc((size_t)cairo_image_surface_get_width(surface) * 3);

    return line ? encode_png(surface, line, out) : OUTCOME_TOO_COMPLEX;
}

/* cairo's pixels as libjpeg-turbo, which is Debian's libjpeg, takes them. */
static const J_COLOR_SPACE native_xrgb =
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? JCS_EXT_BGRX : JCS_EXT_XRGB;

struct jpeg_failure {
    struct jpeg_error_mgr base;
    jmp_buf back;
};

static void jpeg_failed(j_common_ptr jpeg)
{
    longjmp(((struct jpeg_failure *)(void *)jpeg->err)->back, 1);
}

static void jpeg_rows(struct jpeg_compress_struct *jpeg, cairo_surface_t *surface,
                      const struct page_settings *settings)
{
    jpeg->image_width = (JDIMENSION)cairo_image_surface_get_width(surface);
    jpeg->image_height = (JDIMENSION)cairo_image_surface_get_height(surface);
    jpeg->input_components = sizeof(uint32_t);
    jpeg->in_color_space = native_xrgb;
    jpeg_set_defaults(jpeg);
    if (surface_is_grey(surface))
        jpeg_set_colorspace(jpeg, JCS_GRAYSCALE);
    jpeg_set_quality(jpeg, settings->quality, TRUE);
    jpeg->density_unit = 1;
    jpeg->X_density = jpeg->Y_density = (UINT16)fmax(surface_dpi(surface), 1);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = cairo_image_surface_get_data(surface) +
                       (size_t)jpeg->next_scanline * (size_t)cairo_image_surface_get_stride(surface);

        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

struct jpeg_memory {
    unsigned char *data;
    unsigned long len;
};

static enum outcome encode_jpeg(cairo_surface_t *surface, const struct page_settings *settings,
                                struct jpeg_memory *memory)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_failure failure;
    volatile enum outcome outcome = OUTCOME_TOO_COMPLEX;

    jpeg.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = jpeg_failed;
    jpeg_create_compress(&jpeg);
    if (!setjmp(failure.back)) {
        jpeg_mem_dest(&jpeg, &memory->data, &memory->len);
        jpeg_rows(&jpeg, surface, settings);
        outcome = OUTCOME_OK;
    }
    jpeg_destroy_compress(&jpeg);
    return outcome;
}

enum outcome surface_to_jpg(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out)
{
    struct jpeg_memory memory = {0};
    enum outcome outcome = encode_jpeg(surface, settings, &memory);

    if (outcome == OUTCOME_OK && buf_append(out, memory.data, memory.len) < 0)
        outcome = OUTCOME_TOO_COMPLEX;
    free(memory.data);
    return outcome;
}

/* --- WebP */

/* libwebp holds no larger ones. */
enum { WEBP_SIDE_MAX = 16383, WEBP_METHOD = 3 /* of 0 to 6: half the time of 4, and 3 % more bytes */ };

static int webp_to_buf(const uint8_t *data, size_t len, const WebPPicture *picture)
{
    return buf_append(picture->custom_ptr, data, len) == 0;
}

/* cairo's pixels are of the machine's own order; libwebp's names are those of bytes. */
static int import_pixels(WebPPicture *picture, cairo_surface_t *surface)
{
    const uint8_t *data = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);

    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? WebPPictureImportBGRX(picture, data, stride)
                                                     : WebPPictureImportRGBX(picture, data + 1, stride);
}

enum outcome surface_to_webp(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out)
{
    WebPConfig config;
    WebPPicture picture;
    bool good;

    if (!WebPConfigPreset(&config, WEBP_PRESET_TEXT, (float)settings->quality) || !WebPPictureInit(&picture))
        return OUTCOME_INTERNAL;
    config.method = WEBP_METHOD;
    picture.width = cairo_image_surface_get_width(surface);
    picture.height = cairo_image_surface_get_height(surface);
    if (picture.width > WEBP_SIDE_MAX || picture.height > WEBP_SIDE_MAX)
        return OUTCOME_TOO_COMPLEX;
    picture.writer = webp_to_buf;
    picture.custom_ptr = out;
    good = import_pixels(&picture, surface) && WebPEncode(&config, &picture);
    WebPPictureFree(&picture);
    return good ? OUTCOME_OK : OUTCOME_TOO_COMPLEX;
}
