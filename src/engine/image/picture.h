/* What the parts of the image engine share. A picture is a VipsImage on its way from a reader to a writer;
 * libvips and ImageMagick are only its two ends.
 *
 *     reader (vips.c or magick.c) → picture_normalise() → picture_fit() → writer (vips.c, magick.c or
 * paper.c)
 *
 * Until the writer pulls, only headers have been read, so that a picture's size is judged before a pixel of
 * it is decoded. */
#pragma once

#include "core/cleanup.h"
#include "engine/engine.h"

#include <cairo.h>
#include <vips/vips.h>

/* Pixels of all frames together. Four bytes each: 400 MB at the most. */
enum { PICTURE_PIXELS_MAX = 100 * 1000 * 1000 };
/* Frames of an animation. libvips itself reads 4097 of a GIF and drops the others without a word. */
enum { PICTURE_FRAMES_MAX = 4000 };

static inline void picture_unref(VipsImage **image)
{
    g_clear_object(image);
}
#define _cleanup_image_ _cleanup_(picture_unref)

/* What a target can hold, and what it does for a picture that is more. */
enum {
    PICTURE_ALPHA = 1 << 0,  /* else transparency is laid on a colour */
    PICTURE_DEEP = 1 << 1,   /* 16 bits a channel are kept */
    PICTURE_LINEAR = 1 << 2, /* amounts of light in floating point, also beyond white */
    PICTURE_FRAMES = 1 << 3, /* animations stay animated; else the first frame counts */
    PICTURE_SHRUNK = 1 << 4, /* what is larger becomes as small as side_max; else it is refused */
};

struct picture_target {
    const char *id;
    int side_max; /* width and height that the format or its writer can do */
    unsigned holds;
};

/* What is wanted of it besides. */
struct picture_wishes {
    bool metadata; /* the little that is kept of it; else none */
    /* What is transparent is laid on it, whatever the target can hold; NULL: on white, where it has to be. */
    const struct colour *background;
};

struct picture_limits {
    int width, height; /* to fit within; 0: as it is */
};

/* The picture is too large to decode: TOO_COMPLEX, else OK. */
enum outcome picture_check_size(const VipsImage *image);
/* Are the colours as they are sRGB or grey, with no profile to apply? */
bool picture_is_plain(VipsImage *image);
/* What the error that libvips has just left means for the job; clears it. */
enum outcome picture_error(void);
/* Upright, in sRGB or grey (linear light for the targets that hold that), at most 8 bits a channel unless the
 * target is deep, without the alpha that the target lacks or that has a background, and with the metadata
 * that is wished. Takes the reference of *image over and replaces it. */
enum outcome picture_normalise(VipsImage **image, const struct picture_target *target,
                               const struct picture_wishes *wishes);
/* Shrinks to the limits, keeping the proportions; never enlarges. */
enum outcome picture_fit(VipsImage **image, const struct picture_limits *limits);
/* Turns it clockwise by 0, 90, 180 or 270 degrees, an animation frame by frame. */
enum outcome picture_turn(VipsImage **image, int degrees);
/* The limits of a picture that is to fit them when it has been turned. */
void picture_turn_limits(struct picture_limits *limits, int degrees);

/* Is this a format that the engine reads or writes by itself? */
bool picture_reads_itself(const char *id), picture_writes_itself(const char *id);
/* OUTCOME_OK, or what went wrong; only for a format of which that is true. */
enum outcome picture_write_itself(VipsImage *image, const char *id, const char *path);
/* Reads such a format by itself, others by libvips, else by ImageMagick. Page `page` (from 0), or all frames
 * as one tall picture when `frames`. `ret_pages` (may be NULL): how many pages there are. */
enum outcome picture_read(const char *id, const char *path, int page, bool frames,
                          const struct picture_limits *limits, VipsImage **ret, int *ret_pages);

/* vips.c: what libvips reads and writes */
bool image_vips_reads(const char *id), image_vips_writes(const char *id);
/* As picture_read. SVG and JPEG are read at about the size that `limits` ask for, where that saves work or
 * gives a sharper picture. */
enum outcome image_vips_read(const char *id, const char *path, int page, bool frames,
                             const struct picture_limits *limits, VipsImage **ret, int *ret_pages);
enum outcome image_vips_write(VipsImage *image, const char *id, int quality, const char *path);

/* metadata.c: removes what is not kept (nothing is, unless `keep`) from an image of the caller's own */
void picture_forget_metadata(VipsImage *image, bool keep);
/* A whole JPEG in memory down to what a decoder needs: no comments, no EXIF or the like, nothing behind its
 * end. Returns the new length. */
size_t picture_strip_jpeg(unsigned char *data, size_t len);

/* png.c. 1 to 4 bands of 8 or 16 bits. 0, or -1 with the text in libvips' error buffer, as its writers do. */
int image_png_write(VipsImage *image, const char *path);

/* magick.c: those that it can't */
int image_magick_start(const char **ret_why);
void image_magick_version(char *ret, size_t size);
bool image_magick_reads(const char *id), image_magick_writes(const char *id);
enum outcome image_magick_read(const char *id, const char *path, int page, VipsImage **ret);
/* All images, of 8 or 16 bits a channel, become one file: the sizes of an icon. `quality` in percent; 0 for
 * formats that have none. */
enum outcome image_magick_write(VipsImage *const *images, size_t n, const char *id, int quality,
                                const char *path);

/* painting.c: what a painting of layers looks like */
enum outcome image_painting_read(const char *path, VipsImage **ret);

/* simple.c. Every picture becomes RGBA, of 8 bits a channel and of 16. */
enum outcome image_qoi_read(const char *path, VipsImage **ret);
enum outcome image_farbfeld_read(const char *path, VipsImage **ret);
enum outcome image_qoi_write(VipsImage *image, const char *path);
enum outcome image_farbfeld_write(VipsImage *image, const char *path);

/* icns.c: the largest of the sizes; all sizes that the picture reaches */
enum outcome image_icns_read(const char *path, VipsImage **ret);
enum outcome image_icns_write(VipsImage *image, const char *path);

/* vector.c: a drawing as what it is made of. Compressed SVG is refused by both: what it inflates to can't be
 * told beforehand. */
enum outcome vector_load(const char *path, char **ret, size_t *ret_len);
/* `background` is painted under it; NULL: nothing is */
enum outcome vector_write(struct engine_job *job, const struct colour *background, const char *path);

/* paper.c: what came of a surface or of drawing on it */
enum outcome picture_cairo_outcome(cairo_status_t status);
/* A picture, or each page of a TIFF, as a page of a PDF; on white without a `background` */
enum outcome paper_write(struct engine_job *job, const struct colour *background, const char *path);
