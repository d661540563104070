/* The image engine: libvips, with ImageMagick behind it for the few formats that libvips lacks, and cairo for
 * PDF. picture.h has the stages.
 *
 * libvips is told at start which loaders exist for it: all are blocked and the ones of our formats opened
 * again, so that no file, and no format inside a format, reaches a loader that we didn't mean.
 *
 * A drawing becomes pixels, and in a PDF what it is made of.
 *
 * An animation stays one where the target can hold it (GIF, WebP); otherwise its first frame counts. Of a
 * TIFF with several pages a PDF takes all, a picture the first. */
#include "engine/image/image.h"

#include "engine/image/picture.h"

#include "core/str.h"
#include "sandbox/policy_image.h"

#include <errno.h>
#include <fcntl.h>
#include <fontconfig/fontconfig.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define USUAL "png jpg webp gif tiff avif heic jxl jp2 bmp ico psd tga ppm pgm pbm"
#define RARE                                                                                                 \
    "pnm pam pfm mpo jpx j2k jbig jng cur icns qoi ff ora kra pcx dcx psb dds exr hdr fits dpx cin sgi ras " \
    "xwd xbm "                                                                                               \
    "xpm miff viff vicar pcd pgx cals palm wbmp art pix rle tim scr aai avs rgf mtv"
#define COLOUR                                                                                               \
    "png jpg webp avif gif tiff heic jxl jp2 bmp ico tga ppm pgm pbm psd j2k jng cur icns qoi ff pcx dcx "   \
    "dds "                                                                                                   \
    "pnm pam pfm hdr fits dpx cin sgi ras xwd xpm sixel miff viff aai avs"
/* black and white alone, whatever the picture */
#define TWO_TONES "xbm wbmp jbig"
#define TARGETS   COLOUR " " TWO_TONES

#define WEB "png jpg webp avif gif tiff heic jxl"

static const struct engine_conversions conversions[] = {
    {USUAL " " RARE, "pdf " COLOUR, 10, 95, false, NULL},
    {USUAL " " RARE, TWO_TONES, 10, 60, false, NULL},
    /* smaller, or without what it tells of its making */
    {WEB, WEB, 10, 95, false, NULL, .asked_by = "quality width height rotate background metadata"},
    {"svg", "pdf", 10, 98, false, NULL},
    {"svg", COLOUR, 10, 90, false, NULL},
    {"svg", TWO_TONES, 10, 60, false, NULL},
    {0},
};

static const struct engine_option options[] = {
    /* JPEG and WebP: see their writers in vips.c */
    {"quality", "jpg", 1, 100, 78, "Quality in percent"},
    {"quality", "webp", 1, 100, 77, "Quality in percent"},
    {"quality", "avif heic jxl jp2 j2k jng", 1, 100, 80, "Quality in percent"},
    {"width", TARGETS, 1, 16384, 0, "Largest width in pixels"},
    {"height", TARGETS, 1, 16384, 0, "Largest height in pixels"},
    /* of PDF the pages engine turns the pages */
    {"rotate", TARGETS, 0, 0, 0, "Degrees to turn the picture clockwise", OPTION_CHOICE, "0 90 180 270", "0"},
    {"background", "pdf " TARGETS, 0, 0, 0,
     "Background colour for transparent parts (white where the format has no transparency)", OPTION_COLOUR},
    {"metadata", TARGETS, 0, 1, 1, "Keep date, camera and author", OPTION_SWITCH},
    {0},
};

/* VIPS_MAX_COORD, which is a constant up to libvips 8.15, and then a call; and what ImageMagick is given. */
enum { SIDE_MAX = 10 * 1000 * 1000, MAGICK_SIDE_MAX = 32000 };

#define ALPHA  PICTURE_ALPHA
#define DEEP   PICTURE_DEEP
#define FRAMES PICTURE_FRAMES
#define LINEAR PICTURE_LINEAR
#define SHRUNK PICTURE_SHRUNK

static const struct picture_target targets[] = {
    {"png", SIDE_MAX, ALPHA | DEEP},
    {"jpg", 65500, 0},
    {"webp", 16383, ALPHA | FRAMES},
    {"avif", 16384, ALPHA},
    {"gif", 65535, ALPHA | FRAMES},
    {"tiff", SIDE_MAX, ALPHA | DEEP},
    {"heic", 16384, ALPHA},
    {"jxl", SIDE_MAX, ALPHA | DEEP},
    {"jp2", SIDE_MAX, ALPHA},
    {"bmp", MAGICK_SIDE_MAX, 0},
    {"ico", 256, ALPHA | SHRUNK},
    {"tga", MAGICK_SIDE_MAX, ALPHA},
    {"ppm", SIDE_MAX, 0},
    {"pgm", SIDE_MAX, 0},
    {"pbm", SIDE_MAX, 0},
    {"psd", 30000, ALPHA | DEEP},
    {"j2k", MAGICK_SIDE_MAX, ALPHA},
    {"jng", MAGICK_SIDE_MAX, ALPHA},
    {"cur", 256, ALPHA | SHRUNK},
    {"icns", 1024, ALPHA | SHRUNK},
    {"qoi", SIDE_MAX, ALPHA},
    {"ff", SIDE_MAX, ALPHA | DEEP},
    {"pcx", MAGICK_SIDE_MAX, 0},
    {"dcx", MAGICK_SIDE_MAX, 0},
    {"dds", MAGICK_SIDE_MAX, ALPHA},
    {"pnm", SIDE_MAX, 0},
    {"pam", MAGICK_SIDE_MAX, ALPHA | DEEP},
    {"pfm", SIDE_MAX, LINEAR},
    {"hdr", SIDE_MAX, LINEAR},
    {"fits", SIDE_MAX, 0},
    {"dpx", MAGICK_SIDE_MAX, DEEP},
    {"cin", MAGICK_SIDE_MAX, DEEP},
    {"sgi", MAGICK_SIDE_MAX, ALPHA},
    {"ras", MAGICK_SIDE_MAX, 0},
    {"xwd", MAGICK_SIDE_MAX, 0},
    {"xpm", MAGICK_SIDE_MAX, ALPHA},
    {"sixel", MAGICK_SIDE_MAX, 0},
    {"miff", MAGICK_SIDE_MAX, ALPHA | DEEP},
    {"viff", MAGICK_SIDE_MAX, 0},
    {"aai", MAGICK_SIDE_MAX, ALPHA},
    {"avs", MAGICK_SIDE_MAX, ALPHA},
    {"xbm", MAGICK_SIDE_MAX, 0},
    {"wbmp", MAGICK_SIDE_MAX, 0},
    {"jbig", MAGICK_SIDE_MAX, 0},
};

/* Font configuration for the text in SVG. */
static const char *const read_paths[] = {"/etc/fonts", "/var/cache/fontconfig", NULL};

static const struct picture_target *find_target(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (str_eq(targets[i].id, id))
            return &targets[i];
    return NULL;
}

static void block_all_but_ours(void)
{
    static const char *const ours[] = {
        "VipsForeignLoadPng",     "VipsForeignLoadJpeg", "VipsForeignLoadWebp", "VipsForeignLoadNsgif",
        "VipsForeignLoadTiff",    "VipsForeignLoadHeif", "VipsForeignLoadJxl",  "VipsForeignLoadJp2k",
        "VipsForeignLoadPpm",     "VipsForeignLoadSvg",  "VipsForeignLoadRad",  "VipsForeignLoadFits",
        "VipsForeignLoadOpenexr", "VipsForeignSaveJxl",  "VipsForeignSaveFits",
    };

    vips_block_untrusted_set(TRUE);
    vips_operation_block_set("VipsForeignLoad", TRUE);
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        vips_operation_block_set(ours[i], FALSE);
}

static int start(const char **ret_why)
{
    static bool started;
    int r;

    if (started)
        return 0;
    if (vips_init("decant")) {
        *ret_why = "libvips can't be initialised";
        return -EIO;
    }
    vips_concurrency_set(1);
    /* A heap for each of a job's three or four threads would cost more than it saves: nobody waits for it. */
    mallopt(M_ARENA_MAX, 1);
    vips_cache_set_max(0);
    block_all_but_ours();
    r = image_magick_start(ret_why);
    started = r == 0;
    return r;
}

/* A format can be known to libheif and its encoder be left out: only a try tells. */
static bool try_heif(VipsForeignHeifCompression compression)
{
    _cleanup_image_ VipsImage *black = NULL, *colour = NULL;
    void *data = NULL;
    size_t len;
    bool good = vips_black(&black, 16, 16, "bands", 3, NULL) == 0 &&
                vips_copy(black, &colour, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) == 0 &&
                vips_heifsave_buffer(colour, &data, &len, "compression", compression, NULL) == 0;

    vips_error_clear();
    g_free(data);
    return good;
}

static bool writes_heif(VipsForeignHeifCompression compression)
{
    static enum { UNKNOWN, YES, NO } known[VIPS_FOREIGN_HEIF_COMPRESSION_LAST]; /* asked for every pair */

    if (known[compression] == UNKNOWN)
        known[compression] = try_heif(compression) ? YES : NO;
    return known[compression] == YES;
}

static bool writes(const char *id)
{
    if (str_eq(id, "pdf") || picture_writes_itself(id) || image_magick_writes(id))
        return true;
    if (str_eq(id, "avif") && !writes_heif(VIPS_FOREIGN_HEIF_COMPRESSION_AV1))
        return false;
    if (str_eq(id, "heic") && !writes_heif(VIPS_FOREIGN_HEIF_COMPRESSION_HEVC))
        return false;
    return image_vips_writes(id);
}

static bool reads(const char *id)
{
    return picture_reads_itself(id) || image_vips_reads(id) || image_magick_reads(id);
}

static bool offers(const struct format *from, const struct format *to)
{
    const char *why;

    return start(&why) == 0 && reads(from->id) && writes(to->id);
}

static void version(char *ret, size_t size)
{
    char magick[32];

    image_magick_version(magick, sizeof magick);
    snprintf(ret, size, "libvips %s, ImageMagick %s", vips_version_string(), magick);
}

static void *keep_class(GType type, void *a)
{
    g_type_class_ref(type);
    return NULL;
}

/* What each child would otherwise make for itself: the classes of all operations with their arguments, the
 * font configuration for the text in SVG, with its caches mapped. Nothing is converted: libvips and Pango
 * both would start threads. */
static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    int r = start(ret_why);

    if (r < 0)
        return r;
    if (!FcInit()) {
        *ret_why = "there is no font configuration (package fontconfig)";
        return -ENOENT;
    }
    vips_type_map_all(g_type_from_name("VipsObject"), keep_class, NULL);
    serve(arg);
    return -ECANCELED;
}

static void on_eval(VipsImage *image, VipsProgress *progress, struct engine_job *job)
{
    engine_progress(job, (unsigned)progress->percent);
}

/* ImageMagick writes cursors as icons. What tells them apart is one number, and where it points, which is at
 * the corner here. */
static enum outcome mark_cursor(const char *path)
{
    static const unsigned char type = 2, corner[4];
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char head[6];

    if (fd < 0 || pread(fd, head, sizeof head, 0) != sizeof head || pwrite(fd, &type, 1, 2) != 1)
        return OUTCOME_INTERNAL;
    for (int i = 0; i < head[4]; i++)
        if (pwrite(fd, corner, sizeof corner, 6 + 16 * i + 4) != sizeof corner)
            return OUTCOME_INTERNAL;
    return OUTCOME_OK;
}

/* Sizes that an icon is made of, as far as the picture reaches. */
static enum outcome write_icon(VipsImage *image, const char *id, const char *path)
{
    static const int sides[] = {256, 48, 32, 16};
    int longest = MAX(vips_image_get_width(image), vips_image_get_height(image));
    VipsImage *images[ARRAY_SIZE(sides)];
    _cleanup_image_ VipsImage *pixels = vips_image_copy_memory(image); /* read more than once */
    enum outcome outcome = pixels ? OUTCOME_OK : picture_error();
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(sides) && outcome == OUTCOME_OK; i++) {
        const struct picture_limits limits = {sides[i], sides[i]};

        if (i > 0 && sides[i] >= longest)
            continue;
        images[n] = g_object_ref(pixels);
        outcome = picture_fit(&images[n++], &limits);
    }
    if (outcome == OUTCOME_OK)
        outcome = image_magick_write(images, n, id, 0, path);
    while (n > 0)
        g_object_unref(images[--n]);
    return outcome == OUTCOME_OK && str_eq(id, "cur") ? mark_cursor(path) : outcome;
}

static enum outcome write_picture(struct engine_job *job, VipsImage *image, const char *path)
{
    const char *id = job->to->id;
    int quality = (int)engine_option_value(job, options, "quality");

    vips_image_set_progress(image, TRUE);
    g_signal_connect(image, "eval", G_CALLBACK(on_eval), job);
    if (picture_writes_itself(id))
        return picture_write_itself(image, id, path);
    if (words_have("ico cur", id))
        return write_icon(image, id, path);
    if (image_magick_writes(id))
        return image_magick_write(&image, 1, id, words_have("j2k jng", id) ? quality : 0, path);
    return image_vips_write(image, id, quality, path);
}

static enum outcome convert_picture(struct engine_job *job, const struct colour *background, const char *path)
{
    const struct picture_target *target = find_target(job->to->id);
    bool frames = (target->holds & FRAMES) && words_have("gif webp", job->from->id);
    struct picture_limits limits = {.width = (int)engine_option_value(job, options, "width"),
                                    .height = (int)engine_option_value(job, options, "height")};
    const struct picture_wishes wishes = {.metadata = engine_option_value(job, options, "metadata") == 1,
                                          .background = background};
    int degrees = (int)strtol(engine_option_text(job, options, "rotate"), NULL, 10);
    _cleanup_image_ VipsImage *image = NULL;
    enum outcome outcome;

    if (target->holds & SHRUNK) {
        limits.width = limits.width ? MIN(limits.width, target->side_max) : target->side_max;
        limits.height = limits.height ? MIN(limits.height, target->side_max) : target->side_max;
    }
    picture_turn_limits(&limits, degrees);
    outcome = picture_read(job->from->id, job->input_path, 0, frames, &limits, &image, NULL);
    if (outcome == OUTCOME_OK && frames)
        engine_pages(job, (uint64_t)vips_image_get_n_pages(image));
    if (outcome == OUTCOME_OK)
        outcome = picture_normalise(&image, target, &wishes);
    if (outcome == OUTCOME_OK)
        outcome = picture_fit(&image, &limits);
    if (outcome == OUTCOME_OK)
        outcome = picture_turn(&image, degrees);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (vips_image_get_width(image) > target->side_max ||
        vips_image_get_page_height(image) > target->side_max)
        return OUTCOME_TOO_COMPLEX;
    return write_picture(job, image, path);
}

static enum outcome convert(struct engine_job *job)
{
    _cleanup_free_ char *path = NULL;
    struct colour colour;
    const struct colour *background =
        engine_option_colour(job, options, "background", &colour) ? &colour : NULL;
    enum outcome outcome;

    engine_name_result(job, job->to->id);
    if (asprintf(&path, "%s/%s", job->output_path, job->output_name) < 0)
        return OUTCOME_INTERNAL;
    if (!str_eq(job->to->id, "pdf"))
        outcome = convert_picture(job, background, path);
    else
        outcome = str_eq(job->from->id, "svg") ? vector_write(job, background, path)
                                               : paper_write(job, background, path);
    vips_error_clear();
    return outcome;
}

const struct engine engine_image = {
    .name = "image",
    .family = "images",
    .policy = policy_image,
    .read_paths = read_paths,
    .conversions = conversions,
    .options = options,
    .offers = offers,
    .version = version,
    .warm = warm,
    .convert = convert,
};
