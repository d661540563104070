/* Pictures that libvips reads and writes. Each format names its one loader: nothing is sniffed, so a file
 * can't choose which parser it meets. image.c blocks all loaders but the ones in this table. */
#include "engine/image/picture.h"

#include "core/path.h"
#include "core/str.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct reader {
    const char *id, *operation;
    bool pages; /* takes `page` and `n` */
};

static const struct reader readers[] = {
    {"png", "pngload", false},     {"jpg", "jpegload", false}, {"webp", "webpload", true},
    {"gif", "gifload", true},      {"tiff", "tiffload", true}, {"avif", "heifload", false},
    {"heic", "heifload", false},   {"jxl", "jxlload", false},  {"jp2", "jp2kload", false},
    {"ppm", "ppmload", false},     {"pgm", "ppmload", false},  {"pbm", "ppmload", false},
    {"svg", "svgload", false},     {"pnm", "ppmload", false},  {"pfm", "ppmload", false},
    {"mpo", "jpegload", false},    {"jpx", "jp2kload", false}, {"j2k", "jp2kload", false},
    {"exr", "openexrload", false}, {"hdr", "radload", false},  {"fits", "fitsload", false},
};

static const struct reader *find_reader(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (str_eq(readers[i].id, id))
            return &readers[i];
    return NULL;
}

bool image_vips_reads(const char *id)
{
    const struct reader *r = find_reader(id);

    return r && vips_type_find("VipsOperation", r->operation) != 0;
}

/* By how much `image` must become smaller (larger: below 1) to fit; 1 without limits. */
static double shrink_for(const VipsImage *image, const struct picture_limits *limits)
{
    double x = limits->width ? (double)vips_image_get_width(image) / limits->width : 0;
    double y = limits->height ? (double)vips_image_get_height(image) / limits->height : 0;

    return limits->width || limits->height ? MAX(x, y) : 1;
}

/* The JPEG decoder can skip work by halves. What it leaves is still at least as large as asked for, whichever
 * way round the picture will be turned. */
static enum outcome read_jpg(const char *path, const struct picture_limits *limits, VipsImage **ret)
{
    int least =
        limits->width && limits->height ? MAX(limits->width, limits->height) : limits->width + limits->height;
    int shrink = 1, side;

    if (vips_jpegload(path, ret, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL))
        return picture_error();
    if (picture_check_size(*ret) != OUTCOME_OK)
        return OUTCOME_TOO_COMPLEX;
    side = MIN(vips_image_get_width(*ret), vips_image_get_height(*ret));
    while (least && shrink < 8 && side / (shrink * 2) >= least)
        shrink *= 2;
    if (shrink == 1)
        return OUTCOME_OK;
    g_clear_object(ret);
    if (vips_jpegload(path, ret, "access", VIPS_ACCESS_SEQUENTIAL, "shrink", shrink, "fail_on",
                      VIPS_FAIL_ON_TRUNCATED, NULL))
        return picture_error();
    return OUTCOME_OK;
}

/* A unit of the drawing is a pixel: that is what 72 dpi mean to libvips. */
static int open_svg(void *data, size_t len, double scale, VipsImage **ret)
{
    return vips_svgload_buffer(data, len, ret, "dpi", 72.0, "scale", scale, NULL);
}

/* From memory, so that there is no base folder against which librsvg could resolve a reference. */
static enum outcome read_svg(const char *path, const struct picture_limits *limits, VipsImage **ret)
{
    _cleanup_free_ char *data = NULL;
    double scale;
    size_t len;
    enum outcome outcome = vector_load(path, &data, &len);

    if (outcome != OUTCOME_OK)
        return outcome;
    if (open_svg(data, len, 1, ret))
        return picture_error();
    scale = 1 / shrink_for(*ret, limits);
    if (scale != 1) {
        if (vips_image_get_width(*ret) * scale * vips_image_get_height(*ret) * scale > PICTURE_PIXELS_MAX)
            return OUTCOME_TOO_COMPLEX;
        g_clear_object(ret);
        if (open_svg(data, len, scale, ret))
            return picture_error();
    }
    g_signal_connect_swapped(*ret, "postclose", G_CALLBACK(free), TAKE_PTR(data));
    return OUTCOME_OK;
}

/* Counts and amounts of whatever was measured, from the least as black to the most as white; bytes are shades
 * already. Three planes are colours, of others the first is shown. */
static int show_measurements(VipsImage **image)
{
    VipsImage *from = *image;
    VipsImage **step = (VipsImage **)vips_object_local_array(VIPS_OBJECT(from), 4);
    int bands = vips_image_get_bands(from) == 3 ? 3 : 1;
    double least, most, scale;

    if (vips_extract_band(from, &step[0], 0, "n", bands, NULL) || vips_min(step[0], &least, NULL) ||
        vips_max(step[0], &most, NULL))
        return -1;
    if (!isfinite(least) || !isfinite(most)) {
        vips_error("fits", "there are no amounts");
        return -1;
    }
    scale = most > least ? UINT16_MAX / (most - least) : 1;
    if (vips_linear1(step[0], &step[1], scale, -least * scale, NULL) ||
        vips_cast_ushort(step[1], &step[2], NULL) ||
        vips_copy(step[2], &step[3], "interpretation",
                  bands == 3 ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_GREY16, NULL))
        return -1;
    *image = g_object_ref(step[3]);
    g_object_unref(from);
    return 0;
}

static enum outcome read_fits(const char *path, VipsImage **ret)
{
    if (vips_fitsload(path, ret, NULL))
        return picture_error();
    if (picture_check_size(*ret) != OUTCOME_OK)
        return OUTCOME_TOO_COMPLEX;
    if (vips_image_get_format(*ret) == VIPS_FORMAT_UCHAR && vips_image_get_bands(*ret) != 2 &&
        vips_image_get_bands(*ret) <= 4)
        return OUTCOME_OK;
    return show_measurements(ret) ? picture_error() : OUTCOME_OK;
}

static enum outcome read_any(const struct reader *r, const char *path, int page, bool frames, VipsImage **ret)
{
    int status;

    if (r->pages)
        status = vips_call(r->operation, path, ret, "page", page, "n", frames ? -1 : 1, "access",
                           VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
    else
        status = vips_call(r->operation, path, ret, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                           VIPS_FAIL_ON_TRUNCATED, NULL);
    return status ? picture_error() : OUTCOME_OK;
}

/* Of Radiance packed into four bytes, of a portable float map grey or in colours, and without a word that it
 * is light. */
static int as_light(VipsImage *from, VipsImage **ret)
{
    VipsImage **step = (VipsImage **)vips_object_local_array(VIPS_OBJECT(from), 1);
    int status;

    if (from->Coding == VIPS_CODING_RAD)
        status = vips_rad2float(from, &step[0], NULL);
    else
        status = vips_bandjoin((VipsImage *[]){from, from, from}, &step[0],
                               vips_image_get_bands(from) == 1 ? 3 : 1, NULL);
    return status ? status : vips_copy(step[0], ret, "interpretation", VIPS_INTERPRETATION_scRGB, NULL);
}

static enum outcome read_light(const struct reader *r, const char *path, VipsImage **ret)
{
    _cleanup_image_ VipsImage *from = NULL;
    enum outcome outcome = read_any(r, path, 0, false, &from);

    if (outcome != OUTCOME_OK)
        return outcome;
    return as_light(from, ret) ? picture_error() : OUTCOME_OK;
}

/* libvips fills the missing half of a binary netpbm file with black; the header tells how long it must be.
 * P1 to P3 are text, where the parser notices. */
static enum outcome check_netpbm(const char *path, const VipsImage *image)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t width = (uint64_t)vips_image_get_width(image), line = width * VIPS_IMAGE_SIZEOF_PEL(image);
    struct stat st;
    char kind[2];

    if (fd < 0 || fstat(fd, &st) < 0 || read(fd, kind, sizeof kind) != sizeof kind)
        return OUTCOME_INTERNAL;
    if (kind[1] < '4')
        return OUTCOME_OK;
    if (kind[1] == '4')
        line = (width + 7) / 8;
    if (kind[1] == 'f')
        line = width * sizeof(float); /* of which three were made */
    return (uint64_t)st.st_size < line * (uint64_t)vips_image_get_height(image) ? OUTCOME_CORRUPT_INPUT
                                                                                : OUTCOME_OK;
}

/* vips_image_get_n_pages() says 1 of more than ten thousand, which it takes for nonsense. */
static int count_pages(VipsImage *image)
{
    int n = 1;

    if (vips_image_get_typeof(image, VIPS_META_N_PAGES) == 0 ||
        vips_image_get_int(image, VIPS_META_N_PAGES, &n) < 0)
        return 1;
    return n;
}

enum outcome image_vips_read(const char *id, const char *path, int page, bool frames,
                             const struct picture_limits *limits, VipsImage **ret, int *ret_pages)
{
    const struct reader *r = find_reader(id);
    _cleanup_image_ VipsImage *image = NULL;
    enum outcome outcome;

    if (str_eq(r->operation, "jpegload"))
        outcome = read_jpg(path, limits, &image);
    else if (words_have("hdr pfm", id))
        outcome = read_light(r, path, &image);
    else if (str_eq(id, "fits"))
        outcome = read_fits(path, &image);
    else if (str_eq(id, "svg"))
        outcome = read_svg(path, limits, &image);
    else
        outcome = read_any(r, path, page, frames, &image);
    assert(outcome != OUTCOME_OK || image);
    if (outcome == OUTCOME_OK)
        outcome = picture_check_size(image);
    if (outcome == OUTCOME_OK && frames && count_pages(image) > PICTURE_FRAMES_MAX)
        outcome = OUTCOME_TOO_COMPLEX;
    if (outcome == OUTCOME_OK && str_eq(r->operation, "ppmload"))
        outcome = check_netpbm(path, image);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (ret_pages)
        *ret_pages = count_pages(image);
    *ret = TAKE_PTR(image);
    return OUTCOME_OK;
}

static int write_png(VipsImage *image, const char *path, int quality)
{
    return image_png_write(image, path);
}

static int write_jpg(VipsImage *image, const char *path, int quality)
{
    /* Huffman tables of a picture's own make photos 1 to 7 % smaller, large ones least. They need all of its
     * coefficients at once, three bytes a pixel, and a second pass in which nothing is decoded meanwhile: a
     * quarter more time. Without them and by the default of 78 percent files are 6 to 10 % larger than by the
     * 75 percent of libvips, and nearer to their source. */
    static const uint64_t optimised_pixels_max = 4 * 1000 * 1000;
    uint64_t pixels = (uint64_t)vips_image_get_width(image) * (uint64_t)vips_image_get_height(image);

    return vips_jpegsave(image, path, "Q", quality, "optimize_coding", pixels <= optimised_pixels_max, NULL);
}

static int write_webp(VipsImage *image, const char *path, int quality)
{
    /* Measured on photos, scans and drawings: effort 2 takes half the time of 4, the usual one, for files
     * that are 1 to 4 % larger; below 2 they are a third larger. With the default of 77 percent pictures are
     * as near to their source as by effort 4 and the 75 percent that cwebp, ImageMagick and libvips take. */
    return vips_webpsave(image, path, "Q", quality, "effort", 2, NULL);
}

static int write_gif(VipsImage *image, const char *path, int quality)
{
    return vips_gifsave(image, path, NULL);
}

static int write_tiff(VipsImage *image, const char *path, int quality)
{
    return vips_tiffsave(image, path, "compression", VIPS_FOREIGN_TIFF_COMPRESSION_LZW, "predictor",
                         VIPS_FOREIGN_TIFF_PREDICTOR_HORIZONTAL, NULL);
}

static int write_avif(VipsImage *image, const char *path, int quality)
{
    return vips_heifsave(image, path, "Q", quality, "compression", VIPS_FOREIGN_HEIF_COMPRESSION_AV1, NULL);
}

static int write_heic(VipsImage *image, const char *path, int quality)
{
    return vips_heifsave(image, path, "Q", quality, "compression", VIPS_FOREIGN_HEIF_COMPRESSION_HEVC, NULL);
}

static int write_jxl(VipsImage *image, const char *path, int quality)
{
    return vips_jxlsave(image, path, "Q", quality, NULL);
}

/* Not into a file: where that takes no more, libvips' writer (8.14) tries over and over. */
static int write_jp2(VipsImage *image, const char *path, int quality)
{
    FILE *file = NULL;
    void *data;
    size_t len;
    bool written;

    if (vips_jp2ksave_buffer(image, &data, &len, "Q", quality, NULL))
        return -1;
    file = fopen(path, "we");
    written = file && fwrite(data, 1, len, file) == len;
    if (file && fclose(file) != 0)
        written = false;
    g_free(data);
    if (!written)
        vips_error("jp2", "write failed");
    return written ? 0 : -1;
}

static int write_netpbm(VipsImage *image, const char *path, VipsForeignPpmFormat format)
{
    return vips_ppmsave(image, path, "format", format, NULL);
}

static int write_pnm(VipsImage *image, const char *path, int quality)
{
    return write_netpbm(image, path, VIPS_FOREIGN_PPM_FORMAT_PNM);
}

static int write_pfm(VipsImage *image, const char *path, int quality)
{
    return write_netpbm(image, path, VIPS_FOREIGN_PPM_FORMAT_PFM);
}

static int write_hdr(VipsImage *image, const char *path, int quality)
{
    return vips_radsave(image, path, NULL);
}

static int write_fits(VipsImage *image, const char *path, int quality)
{
    return vips_fitssave(image, path, NULL);
}

static int write_ppm(VipsImage *image, const char *path, int quality)
{
    return write_netpbm(image, path, VIPS_FOREIGN_PPM_FORMAT_PPM);
}

static int write_pgm(VipsImage *image, const char *path, int quality)
{
    return write_netpbm(image, path, VIPS_FOREIGN_PPM_FORMAT_PGM);
}

static int write_pbm(VipsImage *image, const char *path, int quality)
{
    return write_netpbm(image, path, VIPS_FOREIGN_PPM_FORMAT_PBM);
}

static const struct writer {
    const char *id, *operation;
    int (*write)(VipsImage *image, const char *path, int quality);
} writers[] = {
    {"png", "pngsave", write_png},    {"jpg", "jpegsave", write_jpg},   {"webp", "webpsave", write_webp},
    {"gif", "gifsave", write_gif},    {"tiff", "tiffsave", write_tiff}, {"avif", "heifsave", write_avif},
    {"heic", "heifsave", write_heic}, {"jxl", "jxlsave", write_jxl},    {"jp2", "jp2ksave", write_jp2},
    {"ppm", "ppmsave", write_ppm},    {"pgm", "ppmsave", write_pgm},    {"pbm", "ppmsave", write_pbm},
    {"pnm", "ppmsave", write_pnm},    {"pfm", "ppmsave", write_pfm},    {"hdr", "radsave", write_hdr},
    {"fits", "fitssave", write_fits},
};

static const struct writer *find_writer(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
        if (str_eq(writers[i].id, id))
            return &writers[i];
    return NULL;
}

bool image_vips_writes(const char *id)
{
    const struct writer *w = find_writer(id);

    return w && vips_type_find("VipsOperation", w->operation) != 0;
}

enum outcome image_vips_write(VipsImage *image, const char *id, int quality, const char *path)
{
    return find_writer(id)->write(image, path, quality) ? picture_error() : OUTCOME_OK;
}
