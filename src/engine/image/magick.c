/* Pictures that only ImageMagick reads or writes, through MagickWand 6.
 *
 * ImageMagick is where other converters were broken into: a file chooses its coder, a coder runs a program or
 * fetches a URL. Here a security policy set in code allows the coders of this table and no other, no delegate
 * and no filter; every name carries its coder ("psd:/…"), so nothing is sniffed; all coder modules are loaded
 * before the first job. The policy of /etc comes on top, it can only forbid more: Debian's ends at 256 MB of
 * pixels, 33 megapixels here.
 *
 * MagickWand 7 (Debian 13) has another header path and MagickExportImagePixels alone takes over; nothing else
 * of its changes is used. */
#include "engine/image/picture.h"

#include "core/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#if __has_include(<MagickWand/MagickWand.h>)
#include <MagickWand/MagickWand.h>
#else
#include <wand/MagickWand.h>
#endif

static const struct coder {
    const char *id, *reads, *writes; /* ImageMagick's names */
    bool largest;                    /* a collection of sizes: the largest is the picture */
    bool two_tones;                  /* has black and white alone */
} coders[] = {
    {"aai", "AAI", "AAI", false, false},    {"art", "ART", NULL, false, false},
    {"avs", "AVS", "AVS", false, false},    {"bmp", "BMP", "BMP3", false, false},
    {"cals", "CALS", NULL, false, false},   {"cin", "CIN", "CIN", false, false},
    {"cur", "CUR", "ICO", true, false},     {"dcx", "DCX", "DCX", false, false},
    {"dds", "DDS", "DDS", false, false},    {"dpx", "DPX", "DPX", false, false},
    {"ico", "ICO", "ICO", true, false},     {"j2k", NULL, "J2K", false, false},
    {"jbig", "JBIG", "JBIG", false, true},  {"jng", "JNG", "JNG", false, false},
    {"miff", "MIFF", "MIFF", false, false}, {"mtv", "MTV", NULL, false, false},
    {"palm", "PALM", NULL, false, false},   {"pam", "PAM", "PAM", false, false},
    {"pcd", "PCD", NULL, false, false},     {"pcx", "PCX", "PCX", false, false},
    {"pgx", "PGX", NULL, false, false},     {"pix", "PIX", NULL, false, false},
    {"psb", "PSB", NULL, false, false},     {"psd", "PSD", "PSD", false, false},
    {"ras", "SUN", "SUN", false, false},    {"rgf", "RGF", NULL, false, false},
    {"rle", "RLE", NULL, false, false},     {"scr", "SCR", NULL, false, false},
    {"sgi", "SGI", "SGI", false, false},    {"sixel", NULL, "SIXEL", false, false},
    {"tga", "TGA", "TGA", false, false},    {"tiff", "TIFF", NULL, false, false},
    {"tim", "TIM", NULL, false, false},     {"vicar", "VICAR", NULL, false, false},
    {"viff", "VIFF", "VIFF", false, false}, {"wbmp", "WBMP", "WBMP", false, true},
    {"xbm", "XBM", "XBM", false, true},     {"xpm", "XPM", "XPM", false, false},
    {"xwd", "XWD", "XWD", false, false},
};

/* What these may hold inside: icons PNG, JNG also JPEG, CALS a fax. */
static const char *const inside[] = {"PNG", "JPEG", "GROUP4"};

static const struct coder *find_coder(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(coders); i++)
        if (str_eq(coders[i].id, id))
            return &coders[i];
    return NULL;
}

bool image_magick_reads(const char *id)
{
    const struct coder *c = find_coder(id);

    return c && c->reads;
}

bool image_magick_writes(const char *id)
{
    const struct coder *c = find_coder(id);

    return c && c->writes;
}

/* The coders of the table and no others; in the end it is the same in each release of ImageMagick. */
static int make_policy(char **ret)
{
    _cleanup_free_ char *names = NULL;
    size_t size;
    FILE *f = open_memstream(&names, &size);

    if (!f)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
        fprintf(f, "%s%s", i > 0 ? "," : "", inside[i]);
    for (size_t i = 0; i < ARRAY_SIZE(coders); i++) {
        if (coders[i].reads)
            fprintf(f, ",%s", coders[i].reads);
        if (coders[i].writes)
            fprintf(f, ",%s", coders[i].writes);
    }
    if (fclose(f) != 0 || asprintf(ret,
                                   "<policymap>"
                                   "<policy domain=\"coder\" rights=\"none\" pattern=\"*\"/>"
                                   "<policy domain=\"coder\" rights=\"read | write\" pattern=\"{%s}\"/>"
                                   "<policy domain=\"delegate\" rights=\"none\" pattern=\"*\"/>"
                                   "<policy domain=\"filter\" rights=\"none\" pattern=\"*\"/>"
                                   "<policy domain=\"path\" rights=\"none\" pattern=\"@*\"/>"
                                   "<policy domain=\"path\" rights=\"none\" pattern=\"|*\"/>"
                                   "</policymap>",
                                   names) < 0)
        return -ENOMEM;
    return 0;
}

static void limit_resources(void)
{
    static const struct {
        ResourceType type;
        MagickSizeType limit;
    } limits[] = {
        {AreaResource, PICTURE_PIXELS_MAX},
        {MemoryResource, 512UL * 1024 * 1024},
        {MapResource, 0},
        {DiskResource, 0},
        {WidthResource, 32000},
        {HeightResource, 32000},
        {ListLengthResource, 64},
        {ThreadResource, 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        SetMagickResourceLimit(limits[i].type, limits[i].limit);
}

/* The policy is believed when it is seen to hold. */
static bool policy_holds(void)
{
    static const char *const refused[] = {"MVG", "MSL",   "SVG",  "PS",    "EPS",       "PDF",   "HTTPS",
                                          "URL", "LABEL", "TEXT", "VIDEO", "EPHEMERAL", "MAGICK"};

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        if (IsRightsAuthorized(CoderPolicyDomain, ReadPolicyRights, refused[i]) ||
            IsRightsAuthorized(CoderPolicyDomain, WritePolicyRights, refused[i]))
            return false;
    return !IsRightsAuthorized(DelegatePolicyDomain, ExecutePolicyRights, "ps:alpha");
}

/* A coder's module is found and linked at its first use, which in a job would be too late. */
static void load_coders(ExceptionInfo *exception)
{
    for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
        GetMagickInfo(inside[i], exception);
    for (size_t i = 0; i < ARRAY_SIZE(coders); i++) {
        if (coders[i].reads)
            GetMagickInfo(coders[i].reads, exception);
        if (coders[i].writes)
            GetMagickInfo(coders[i].writes, exception);
    }
}

int image_magick_start(const char **ret_why)
{
    _cleanup_free_ char *policy = NULL;
    ExceptionInfo *exception;
    bool good;
    int r = make_policy(&policy);

    if (r < 0)
        return r;
    MagickWandGenesis();
    exception = AcquireExceptionInfo();
    good = SetMagickSecurityPolicy(policy, exception) && policy_holds();
    limit_resources();
    load_coders(exception);
    DestroyExceptionInfo(exception);
    if (!good)
        *ret_why = "ImageMagick did not take the security policy";
    return good ? 0 : -EPERM;
}

void image_magick_version(char *ret, size_t size)
{
    size_t number;
    const char *text = strstr(GetMagickVersion(&number), "ImageMagick ");

    snprintf(ret, size, "%s", text ? text + strlen("ImageMagick ") : "");
    ret[strcspn(ret, " ")] = '\0';
}

static void free_wand(MagickWand **wand)
{
    if (*wand)
        DestroyMagickWand(*wand);
}
#define _cleanup_wand_ _cleanup_(free_wand)

static enum outcome wand_error(MagickWand *wand)
{
    ExceptionType type;
    char *text = MagickGetException(wand, &type);
    bool limit = type == ResourceLimitError || type == ResourceLimitFatalError || type == CacheError ||
                 type == ImageError || type == FileOpenError || type == BlobError;

    MagickRelinquishMemory(text);
    return limit ? OUTCOME_TOO_COMPLEX : OUTCOME_CORRUPT_INPUT;
}

/* ImageMagick 6 holds four channels of 16 bits, whatever the picture; beyond its limit some of its functions
 * end the process instead of failing. */
static enum outcome check_pixels(uint64_t pixels)
{
    return pixels > PICTURE_PIXELS_MAX || pixels * 8 > GetMagickResourceLimit(MemoryResource)
               ? OUTCOME_TOO_COMPLEX
               : OUTCOME_OK;
}

/* Sizes from the headers alone, of all images that `name` stands for together. */
static enum outcome check_headers(const char *name)
{
    _cleanup_wand_ MagickWand *wand = NewMagickWand();
    uint64_t pixels = 0;

    if (!MagickPingImage(wand, name))
        return wand_error(wand);
    MagickResetIterator(wand);
    while (MagickNextImage(wand))
        pixels += (uint64_t)MagickGetImageWidth(wand) * MagickGetImageHeight(wand);
    return check_pixels(pixels);
}

static void select_largest(MagickWand *wand)
{
    size_t most = 0, pixels;
    ssize_t best = 0;

    MagickResetIterator(wand);
    while (MagickNextImage(wand)) {
        pixels = MagickGetImageWidth(wand) * MagickGetImageHeight(wand);
        if (pixels > most) {
            most = pixels;
            best = MagickGetIteratorIndex(wand);
        }
    }
    MagickSetIteratorIndex(wand, best);
}

/* Film, video and rendered light are kept as what was measured; libvips takes what a screen shows. */
static bool show_colours(MagickWand *wand)
{
    ColorspaceType space = MagickGetImageColorspace(wand);

    return space == sRGBColorspace || space == GRAYColorspace || space == CMYKColorspace ||
           MagickTransformImageColorspace(wand, sRGBColorspace);
}

/* In pixels a millimetre; what says nothing, or nothing of units, is left as it is. */
static void keep_resolution(MagickWand *wand, VipsImage *image)
{
    static const double per_mm[] = {
        [PixelsPerInchResolution] = 1 / 25.4, [PixelsPerCentimeterResolution] = 1 / 10.0};
    ResolutionType unit = MagickGetImageUnits(wand);
    double x, y;

    if (unit <= UndefinedResolution || (size_t)unit >= ARRAY_SIZE(per_mm) ||
        !MagickGetImageResolution(wand, &x, &y) || !(x > 0) || !(y > 0))
        return;
    image->Xres = x * per_mm[unit];
    image->Yres = y * per_mm[unit];
}

/* CMYK keeps its four channels and its profile: libvips does the colours for all readers. */
static enum outcome export_picture(MagickWand *wand, VipsImage **ret)
{
    size_t width = MagickGetImageWidth(wand), height = MagickGetImageHeight(wand), profile_len = 0;
    bool cmyk = MagickGetImageColorspace(wand) == CMYKColorspace;
    bool alpha = !cmyk && MagickGetImageAlphaChannel(wand), deep = MagickGetImageDepth(wand) > 8;
    const char *map = cmyk ? "CMYK" : alpha ? "RGBA" : "RGB";
    size_t bands = strlen(map), bytes = width * height * bands * (deep ? 2 : 1);
    void *pixels = malloc(bytes);
    unsigned char *profile;

    if (!pixels)
        return OUTCOME_TOO_COMPLEX;
    if (!MagickExportImagePixels(wand, 0, 0, width, height, map, deep ? ShortPixel : CharPixel, pixels) ||
        !(*ret = vips_image_new_from_memory(pixels, bytes, (int)width, (int)height, (int)bands,
                                            deep ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR))) {
        free(pixels);
        return OUTCOME_CORRUPT_INPUT;
    }
    g_signal_connect_swapped(*ret, "postclose", G_CALLBACK(free), pixels);
    (*ret)->Type = cmyk   ? VIPS_INTERPRETATION_CMYK
                   : deep ? VIPS_INTERPRETATION_RGB16
                          : VIPS_INTERPRETATION_sRGB;
    keep_resolution(wand, *ret);
    profile = MagickGetImageProfile(wand, "icc", &profile_len);
    if (profile)
        vips_image_set_blob_copy(*ret, VIPS_META_ICC_NAME, profile, profile_len);
    MagickRelinquishMemory(profile);
    return OUTCOME_OK;
}

enum outcome image_magick_read(const char *id, const char *path, int page, VipsImage **ret)
{
    const struct coder *c = find_coder(id);
    _cleanup_wand_ MagickWand *wand = NewMagickWand();
    _cleanup_free_ char *name = NULL;
    enum outcome outcome;

    /* page 0 of a PSD is the picture as it looks, the others are its layers */
    if ((c->largest ? asprintf(&name, "%s:%s", c->reads, path)
                    : asprintf(&name, "%s:%s[%d]", c->reads, path, page)) < 0)
        return OUTCOME_INTERNAL;
    outcome = check_headers(name);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (!MagickReadImage(wand, name) || MagickGetExceptionType(wand) >= ErrorException)
        return wand_error(wand);
    if (c->largest)
        select_largest(wand);
    if (!show_colours(wand))
        return wand_error(wand);
    return export_picture(wand, ret);
}

static int add_image(MagickWand *wand, VipsImage *image)
{
    static const char *const maps[] = {NULL, "I", "IA", "RGB", "RGBA"};
    size_t len;
    void *pixels = vips_image_write_to_memory(image, &len);
    MagickBooleanType good;

    if (!pixels)
        return -EINVAL;
    MagickSetLastIterator(wand);
    good = MagickConstituteImage(wand, (size_t)vips_image_get_width(image),
                                 (size_t)vips_image_get_height(image), maps[vips_image_get_bands(image)],
                                 vips_image_get_format(image) == VIPS_FORMAT_USHORT ? ShortPixel : CharPixel,
                                 pixels);
    g_free(pixels);
    return good ? 0 : -ENOMEM;
}

/* Greys as black and white dots: by a threshold alone nothing of most photographs is left. */
static bool scatter_tones(MagickWand *wand)
{
    static const unsigned char black_and_white[] = {0, 255};
    _cleanup_wand_ MagickWand *tones = NewMagickWand();

    return MagickConstituteImage(tones, 2, 1, "I", CharPixel, black_and_white) &&
           MagickTransformImageColorspace(wand, GRAYColorspace) &&
           MagickRemapImage(wand, tones, FloydSteinbergDitherMethod);
}

enum outcome image_magick_write(VipsImage *const *images, size_t n, const char *id, int quality,
                                const char *path)
{
    const struct coder *c = find_coder(id);
    _cleanup_wand_ MagickWand *wand = NewMagickWand();
    _cleanup_free_ char *name = NULL;
    uint64_t pixels = 0;

    for (size_t i = 0; i < n; i++)
        pixels += (uint64_t)vips_image_get_width(images[i]) * (uint64_t)vips_image_get_height(images[i]);
    if (check_pixels(pixels) != OUTCOME_OK)
        return OUTCOME_TOO_COMPLEX;
    for (size_t i = 0; i < n; i++) {
        int r = add_image(wand, images[i]);

        if (r < 0)
            return r == -ENOMEM ? OUTCOME_TOO_COMPLEX : picture_error();
    }
    if (c->two_tones && !scatter_tones(wand))
        return wand_error(wand);
    if (quality > 0)
        MagickSetImageCompressionQuality(wand, (size_t)quality);
    if (asprintf(&name, "%s:%s", c->writes, path) < 0)
        return OUTCOME_INTERNAL;
    return MagickWriteImages(wand, name, MagickTrue) ? OUTCOME_OK : wand_error(wand);
}
