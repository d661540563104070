/* The stages between reading and writing: size, uprightness, colour, depth, transparency.
 *
 * Everything that leaves the engine is sRGB or grey without a colour profile: that is what every viewer
 * assumes, and a profile that no longer describes the pixels is worse than none. The orientation is applied;
 * of other metadata metadata.c says what stays. */
#include "engine/image/picture.h"

#include "core/str.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum outcome picture_check_size(const VipsImage *image)
{
    uint64_t pixels = (uint64_t)vips_image_get_width(image) * (uint64_t)vips_image_get_height(image);

    return pixels > PICTURE_PIXELS_MAX ? OUTCOME_TOO_COMPLEX : OUTCOME_OK;
}

/* libvips reports by text alone, and decodes while it writes: a damaged input and a full disk come back from
 * the same call. What isn't one of these is the fault of the input. */
enum outcome picture_error(void)
{
    static const char *const limits[] = {"out of memory",  "emory exhausted", "rite error",
                                         "nable to write", "rite failed",     "No space left",
                                         "File too large", "Cannot allocate"};
    const char *text = vips_error_buffer();
    enum outcome outcome = OUTCOME_CORRUPT_INPUT;

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (strstr(text, limits[i]))
            outcome = OUTCOME_TOO_COMPLEX;
    vips_error_clear();
    return outcome;
}

/* A stage has made *next from *image (or failed): moves on. */
static int advance(VipsImage **image, int status, VipsImage *const *next)
{
    if (status)
        return -EINVAL;
    g_object_unref(*image);
    *image = *next;
    return 0;
}

/* Turning asks for pixels in another order than a sequential reader gives them. */
static int settle(VipsImage **image)
{
    VipsImage *next = vips_image_copy_memory(*image);

    return advance(image, next ? 0 : -1, &next);
}

static int upright(VipsImage **image)
{
    VipsImage *next = NULL;

    if (vips_image_get_orientation(*image) <= 1)
        return 0;
    if (settle(image) < 0)
        return -EINVAL;
    return advance(image, vips_autorot(*image, &next, NULL), &next);
}

/* Most profiles are sRGB under one name or another; transforming those would cost time and change nothing.
 * The name is in a text tag, as ASCII or (version 4) as UTF-16. */
static bool profile_is_srgb(VipsImage *image)
{
    static const char ascii[] = "sRGB", wide[] = "\0s\0R\0G\0B";
    const void *data;
    size_t len;

    return vips_image_get_typeof(image, VIPS_META_ICC_NAME) &&
           vips_image_get_blob(image, VIPS_META_ICC_NAME, &data, &len) == 0 &&
           (memmem(data, len, ascii, 4) || memmem(data, len, wide, 8));
}

static bool is_grey(VipsInterpretation space)
{
    return space == VIPS_INTERPRETATION_B_W || space == VIPS_INTERPRETATION_GREY16;
}

bool picture_is_plain(VipsImage *image)
{
    VipsInterpretation space = vips_image_guess_interpretation(image);
    bool embedded = vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0;

    return space != VIPS_INTERPRETATION_CMYK && (!embedded || is_grey(space) || profile_is_srgb(image));
}

static bool is_deep(const VipsImage *image)
{
    VipsBandFormat format = vips_image_get_format(image);

    return format != VIPS_FORMAT_UCHAR && format != VIPS_FORMAT_CHAR;
}

/* By the picture's own profile, or by a common one for CMYK without. The darkest ink becomes black, as
 * viewers show it, and not the grey that it is on paper. A profile that can't be used is left out of account:
 * a picture in slightly wrong colours is better than none. */
static int apply_profile(VipsImage **image)
{
    VipsInterpretation space = vips_image_guess_interpretation(*image);
    bool embedded = vips_image_get_typeof(*image, VIPS_META_ICC_NAME) != 0;
    VipsImage *next = NULL;
    int status;

    if (picture_is_plain(*image))
        return 0;
    status = vips_icc_transform(*image, &next, "srgb", "embedded", embedded, "input_profile", "cmyk",
                                "black_point_compensation", TRUE, "depth", is_deep(*image) ? 16 : 8, NULL);
    if (status && space != VIPS_INTERPRETATION_CMYK) {
        vips_error_clear();
        return 0;
    }
    return advance(image, status, &next);
}

/* Transparency of pictures in floating point goes up to 1 by one release of libvips and to 255 by another:
 * it is laid on a colour before. */
static int apply_linear(VipsImage **image)
{
    VipsInterpretation space = vips_image_guess_interpretation(*image);
    VipsImage *next = NULL;

    return advance(image,
                   vips_colourspace(*image, &next, VIPS_INTERPRETATION_scRGB, "source_space", space, NULL),
                   &next);
}

/* sRGB or grey, of the depth that the target takes. */
static int apply_space(VipsImage **image, bool deep)
{
    VipsInterpretation space = vips_image_guess_interpretation(*image);
    bool grey = is_grey(space);
    VipsInterpretation to = grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    VipsImage *next = NULL;

    if (deep && (space == VIPS_INTERPRETATION_RGB16 || space == VIPS_INTERPRETATION_GREY16))
        to = space;
    if (space != to || vips_image_get_interpretation(*image) != to)
        if (advance(image, vips_colourspace(*image, &next, to, "source_space", space, NULL), &next) < 0)
            return -EINVAL;
    if (vips_image_get_bands(*image) > (grey ? 2 : 4)) /* spot colours of a TIFF */
        if (advance(image, vips_extract_band(*image, &next, 0, "n", grey ? 1 : 3, NULL), &next) < 0)
            return -EINVAL;
    if (to == VIPS_INTERPRETATION_B_W || to == VIPS_INTERPRETATION_sRGB)
        return vips_image_get_format(*image) == VIPS_FORMAT_UCHAR
                   ? 0
                   : advance(image, vips_cast_uchar(*image, &next, NULL), &next);
    return advance(image, vips_cast_ushort(*image, &next, NULL), &next);
}

/* The number of colours is a constant to the compiler, which unrolls the loops. Most pictures with alpha are
 * opaque all over, or nearly. */
static inline void lay_on(const unsigned char *in, unsigned char *out, int width, int colours,
                          const unsigned char *under)
{
    for (int x = 0; x < width; x++, in += colours + 1, out += colours) {
        unsigned alpha = in[colours];

        if (alpha == 255) {
            memcpy(out, in, (size_t)colours);
            continue;
        }
        for (int c = 0; c < colours; c++)
            out[c] = (unsigned char)((alpha * in[c] + (255 - alpha) * under[c] + 127) / 255);
    }
}

static int generate_laid(VipsRegion *to, void *sequence, void *a, void *under, gboolean *stop)
{
    VipsRegion *from = sequence;
    const VipsRect *area = &to->valid;

    if (vips_region_prepare(from, area))
        return -1;
    for (int y = area->top; y < area->top + area->height; y++)
        if (from->im->Bands == 4)
            lay_on(VIPS_REGION_ADDR(from, area->left, y), VIPS_REGION_ADDR(to, area->left, y), area->width, 3,
                   under);
        else
            lay_on(VIPS_REGION_ADDR(from, area->left, y), VIPS_REGION_ADDR(to, area->left, y), area->width, 1,
                   under);
    return 0;
}

/* vips_flatten() would do for grey or RGB of 8 bits as well, with a division in floating point for each
 * sample, a sixth of the time of a whole conversion, and cuts off what should be rounded. */
static int flatten_bytes(VipsImage **image, const struct colour *c)
{
    VipsImage *from = *image, *next = vips_image_new();
    unsigned char *under;

    if (vips_image_pipelinev(next, VIPS_DEMAND_STYLE_THINSTRIP, from, NULL) ||
        !(under = vips_malloc(VIPS_OBJECT(next), 3))) {
        g_object_unref(next);
        return -EINVAL;
    }
    memcpy(under, (unsigned char[]){c->red, c->green, c->blue}, 3);
    next->Bands--;
    vips_object_local(next, from);
    *image = next;
    return vips_image_generate(next, vips_start_one, generate_laid, vips_stop_one, from, under) ? -EINVAL : 0;
}

/* IEC 61966-2-1, 5.2 */
static double light_of(double sample)
{
    return sample <= 0.04045 ? sample / 12.92 : pow((sample + 0.055) / 1.055, 2.4);
}

static int flatten_deep(VipsImage **image, const struct colour *c)
{
    bool words = vips_image_get_format(*image) == VIPS_FORMAT_USHORT;
    bool light = vips_image_get_interpretation(*image) == VIPS_INTERPRETATION_scRGB;
    double most = words ? UINT16_MAX : 1, samples[] = {c->red, c->green, c->blue};
    VipsArrayDouble *under;
    VipsImage *next = NULL;
    int status;

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
        samples[i] = most * (light ? light_of(samples[i] / 255) : samples[i] / 255);
    under = vips_array_double_new(samples, vips_image_get_bands(*image) == 4 ? 3 : 1);
    status = vips_flatten(*image, &next, "background", under, "max_alpha", most, NULL);
    vips_area_unref(VIPS_AREA(under));
    return advance(image, status, &next);
}

/* Grey on a colour is a picture with colours. */
static int make_room_for(VipsImage **image, const struct colour *c)
{
    VipsInterpretation space = vips_image_guess_interpretation(*image);
    VipsInterpretation to =
        space == VIPS_INTERPRETATION_GREY16 ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB;
    VipsImage *next = NULL;

    if (!is_grey(space) || colour_is_grey(c))
        return 0;
    return advance(image, vips_colourspace(*image, &next, to, "source_space", space, NULL), &next);
}

static int flatten(VipsImage **image, const struct colour *background)
{
    static const struct colour white = {255, 255, 255};
    const struct colour *c = background ? background : &white;

    if (!vips_image_hasalpha(*image))
        return 0;
    if (make_room_for(image, c) < 0)
        return -EINVAL;
    return vips_image_get_format(*image) == VIPS_FORMAT_UCHAR ? flatten_bytes(image, c)
                                                              : flatten_deep(image, c);
}

/* Metadata belongs to one image alone: a copy of the header is what may be changed. */
static int forget(VipsImage **image, bool keep)
{
    VipsImage *next = NULL;

    if (advance(image, vips_copy(*image, &next, NULL), &next) < 0)
        return -EINVAL;
    picture_forget_metadata(*image, keep);
    return 0;
}

/* One pixel a millimetre is what libvips says when a file said nothing: who believed it would print icons
 * over half a page. Where nothing is known it is 72 an inch, as its reader of PNG says, too. */
static int settle_resolution(VipsImage **image)
{
    VipsImage *next = NULL;
    const double usual = 72 / 25.4;

    if (vips_image_get_xres(*image) != 1 || vips_image_get_yres(*image) != 1)
        return 0;
    return advance(image, vips_copy(*image, &next, "xres", usual, "yres", usual, NULL), &next);
}

enum outcome picture_normalise(VipsImage **image, const struct picture_target *target,
                               const struct picture_wishes *wishes)
{
    bool linear = target->holds & PICTURE_LINEAR;
    bool flat = wishes->background || !(target->holds & PICTURE_ALPHA);

    if (settle_resolution(image) < 0 || upright(image) < 0 || apply_profile(image) < 0 ||
        (linear && flatten(image, wishes->background) < 0) ||
        (linear ? apply_linear(image) : apply_space(image, target->holds & PICTURE_DEEP)) < 0 ||
        (flat && flatten(image, wishes->background) < 0) || forget(image, wishes->metadata) < 0)
        return picture_error();
    return OUTCOME_OK;
}

enum outcome picture_fit(VipsImage **image, const struct picture_limits *limits)
{
    int width = vips_image_get_width(*image), height = vips_image_get_page_height(*image);
    VipsImage *next = NULL;

    if ((!limits->width || width <= limits->width) && (!limits->height || height <= limits->height))
        return OUTCOME_OK;
    if (advance(image,
                vips_thumbnail_image(*image, &next, limits->width ? limits->width : VIPS_MAX_COORD, "height",
                                     limits->height ? limits->height : VIPS_MAX_COORD, "size", VIPS_SIZE_DOWN,
                                     "no_rotate", TRUE, NULL),
                &next) < 0)
        return picture_error();
    return OUTCOME_OK;
}

void picture_turn_limits(struct picture_limits *limits, int degrees)
{
    if (degrees % 180 != 0)
        *limits = (struct picture_limits){.width = limits->height, .height = limits->width};
}

/* Frames lie below each other: put side by side they are turned as one, and lie below each other again. */
static int turn_quarter(VipsImage **image)
{
    int width = vips_image_get_width(*image), height = vips_image_get_page_height(*image);
    int frames = vips_image_get_height(*image) / height;
    VipsImage *next = NULL;

    if (frames > 1 && advance(image, vips_grid(*image, &next, height, frames, 1, NULL), &next) < 0)
        return -EINVAL;
    if (advance(image, vips_rot90(*image, &next, NULL), &next) < 0 ||
        advance(image, vips_copy(*image, &next, NULL), &next) < 0)
        return -EINVAL;
    vips_image_set_int(*image, VIPS_META_PAGE_HEIGHT, width);
    return 0;
}

enum outcome picture_turn(VipsImage **image, int degrees)
{
    int64_t frames = vips_image_get_height(*image) / vips_image_get_page_height(*image);

    if (degrees == 0)
        return OUTCOME_OK;
    if (frames * vips_image_get_width(*image) > VIPS_MAX_COORD)
        return OUTCOME_TOO_COMPLEX;
    if (settle(image) < 0)
        return picture_error();
    for (; degrees > 0; degrees -= 90)
        if (turn_quarter(image) < 0)
            return picture_error();
    return OUTCOME_OK;
}

static const struct own {
    const char *id;
    enum outcome (*read)(const char *path, VipsImage **ret);
    enum outcome (*write)(VipsImage *image, const char *path);
} owns[] = {
    {"icns", image_icns_read, image_icns_write},
    {"ora", image_painting_read, NULL},
    {"kra", image_painting_read, NULL},
    {"qoi", image_qoi_read, image_qoi_write},
    {"ff", image_farbfeld_read, image_farbfeld_write},
};

static const struct own *find_own(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(owns); i++)
        if (str_eq(owns[i].id, id))
            return &owns[i];
    return NULL;
}

bool picture_reads_itself(const char *id)
{
    return find_own(id);
}

bool picture_writes_itself(const char *id)
{
    const struct own *own = find_own(id);

    return own && own->write;
}

enum outcome picture_write_itself(VipsImage *image, const char *id, const char *path)
{
    return find_own(id)->write(image, path);
}

enum outcome picture_read(const char *id, const char *path, int page, bool frames,
                          const struct picture_limits *limits, VipsImage **ret, int *ret_pages)
{
    enum outcome outcome = OUTCOME_CORRUPT_INPUT;

    const struct own *own = find_own(id);

    if (own)
        return own->read(path, ret);
    if (image_vips_reads(id))
        outcome = image_vips_read(id, path, page, frames, limits, ret, ret_pages);
    /* a TIFF of a kind that libvips refuses: old-style JPEG */
    if (outcome == OUTCOME_CORRUPT_INPUT && image_magick_reads(id))
        outcome = image_magick_read(id, path, page, ret);
    return outcome;
}
