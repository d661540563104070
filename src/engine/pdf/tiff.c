/* All pages of a document as one TIFF, by libtiff: each is one strip, which any thread packs, as packing is
 * most of the work. */
#include "engine/pdf/tiff.h"

#include "engine/pdf/pages.h"

#include <errno.h>
#include <string.h>
#include <tiffio.h>
#include <zlib.h>

enum { LEVEL = 6, GREY = 1, COLOUR = 3 };

/* What stands before the packed rows of a page. */
struct strip {
    uint32_t width, height, samples;
    double dpi;
};

static void put_row(const uint32_t *from, const struct strip *s, unsigned char *to)
{
    for (uint32_t x = 0; x < s->width; x++) {
        uint32_t pixel = from[x];

        if (s->samples == COLOUR) {
            *to++ = (unsigned char)(pixel >> 16);
            *to++ = (unsigned char)(pixel >> 8);
        }
        *to++ = (unsigned char)pixel;
    }
}

/* Row by row, as both pictures of a large page at once are more than a job may have. */
static enum outcome pack_rows(z_stream *z, cairo_surface_t *surface, const struct strip *s,
                              unsigned char *row, struct buf *out)
{
    const unsigned char *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    unsigned char packed[16 << 10];
    int r = Z_OK;

    for (uint32_t y = 0; y < s->height; y++) {
        put_row((const uint32_t *)(const void *)(data + y * stride), s, row);
        z->next_in = row;
        z->avail_in = s->width * s->samples;
        do {
            z->next_out = packed;
            z->avail_out = sizeof packed;
            r = deflate(z, y + 1 == s->height ? Z_FINISH : Z_NO_FLUSH);
            if (r == Z_STREAM_ERROR || buf_append(out, packed, sizeof packed - z->avail_out) < 0)
                return OUTCOME_TOO_COMPLEX;
        } while (z->avail_out == 0);
    }
    return r == Z_STREAM_END ? OUTCOME_OK : OUTCOME_TOO_COMPLEX;
}

enum outcome surface_to_strip(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out)
{
    const struct strip s = {.width = (uint32_t)cairo_image_surface_get_width(surface),
                            .height = (uint32_t)cairo_image_surface_get_height(surface),
                            .samples = surface_is_grey(surface) ? GREY : COLOUR,
                            .dpi = surface_dpi(surface)};
    _cleanup_free_ unsigned char *row = malloc((size_t)s.width * s.samples);
    z_stream z = {0};
    enum outcome outcome = OUTCOME_TOO_COMPLEX;

    if (!row || buf_append(out, &s, sizeof s) < 0 || deflateInit(&z, LEVEL) != Z_OK)
        return outcome;
    outcome = pack_rows(&z, surface, &s, row, out);
    deflateEnd(&z);
    return outcome;
}

struct file {
    TIFF *tiff;
    int pages;
};

static bool set_fields(const struct file *f, const struct strip *s, int page)
{
    TIFF *t = f->tiff;

    return TIFFSetField(t, TIFFTAG_IMAGEWIDTH, s->width) && TIFFSetField(t, TIFFTAG_IMAGELENGTH, s->height) &&
           TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 8) &&
           TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, s->samples) &&
           TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, s->height) &&
           TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
           TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE) &&
           TIFFSetField(t, TIFFTAG_PHOTOMETRIC,
                        s->samples == GREY ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB) &&
           TIFFSetField(t, TIFFTAG_XRESOLUTION, s->dpi) && TIFFSetField(t, TIFFTAG_YRESOLUTION, s->dpi) &&
           TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH) &&
           TIFFSetField(t, TIFFTAG_SUBFILETYPE, f->pages > 1 ? FILETYPE_PAGE : 0) &&
           TIFFSetField(t, TIFFTAG_PAGENUMBER, page, f->pages);
}

static enum outcome put_page(void *sink, struct sheet *sheet)
{
    struct file *f = sink;
    struct strip s;
    tmsize_t len = (tmsize_t)(sheet->bytes.len - sizeof s);

    memcpy(&s, sheet->bytes.data, sizeof s);
    errno = 0;
    if (!set_fields(f, &s, sheet->page) ||
        TIFFWriteRawStrip(f->tiff, 0, sheet->bytes.data + sizeof s, len) != len ||
        !TIFFWriteDirectory(f->tiff))
        return outcome_of_error(errno ? -errno : -EFBIG); /* 4 GiB are all that it holds */
    return OUTCOME_OK;
}

static void no_message(const char *module, const char *format, va_list ap)
{
}

enum outcome tiff_write(struct engine_job *job, const struct target *target, PopplerDocument *document,
                        int pages, const struct page_settings *settings, const char *path)
{
    struct file f = {.pages = pages};
    const struct pages work = {.job = job,
                               .target = target,
                               .settings = settings,
                               .document = document,
                               .n = pages,
                               .put = put_page,
                               .sink = &f};
    enum outcome outcome;

    TIFFSetErrorHandler(no_message);
    TIFFSetWarningHandler(no_message);
    f.tiff = TIFFOpen(path, "w");
    if (!f.tiff)
        return OUTCOME_INTERNAL;
    outcome = pages_write(&work);
    TIFFClose(f.tiff);
    return outcome;
}
