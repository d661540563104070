/* Two formats that are simple enough to be written out here, as Debian 12's libraries lack them:
 *
 * QOI (The QOI File Format Specification, version 1.0, qoiformat.org): pixels as differences, runs and an
 * index of 64 colours seen before, in one pass. farbfeld (FORMAT of suckless' farbfeld): a size, and RGBA of
 * 16 bits. */
#include "engine/image/picture.h"

#include "core/path.h"
#include "core/str.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
    BYTES_MAX = 800 << 20,
    QOI_HEAD = 14,
    QOI_INDEX = 0x00,
    QOI_DIFF = 0x40,
    QOI_LUMA = 0x80,
    QOI_RUN = 0xc0,
    QOI_RGB = 0xfe,
    QOI_RGBA = 0xff,
    QOI_RUN_MAX = 62,
    FARBFELD_HEAD = 16,
};

struct rgba {
    unsigned char r, g, b, a;
};

static bool same(struct rgba x, struct rgba y)
{
    return memcmp(&x, &y, sizeof x) == 0;
}

static unsigned place_of(struct rgba c)
{
    return (c.r * 3U + c.g * 5U + c.b * 7U + c.a * 11U) % 64;
}

static uint32_t number(const unsigned char *p)
{
    uint32_t n;

    memcpy(&n, p, sizeof n);
    return be32toh(n);
}

static enum outcome load(const char *path, size_t head, unsigned char **ret, size_t *ret_len)
{
    int r = path_read_file(AT_FDCWD, path, BYTES_MAX, (char **)ret, ret_len);

    if (r < 0)
        return r == -EFBIG || r == -ENOMEM ? OUTCOME_TOO_COMPLEX : OUTCOME_INTERNAL;
    return *ret_len < head ? OUTCOME_CORRUPT_INPUT : OUTCOME_OK;
}

static enum outcome check_sides(uint32_t width, uint32_t height)
{
    if (width == 0 || height == 0)
        return OUTCOME_CORRUPT_INPUT;
    return width > PICTURE_PIXELS_MAX || height > PICTURE_PIXELS_MAX / width ? OUTCOME_TOO_COMPLEX
                                                                             : OUTCOME_OK;
}

/* Pixels (malloc'ed, which become the picture's) as one. */
static enum outcome wrap(void *pixels, uint32_t width, uint32_t height, VipsBandFormat format,
                         VipsImage **ret)
{
    bool deep = format == VIPS_FORMAT_USHORT;
    size_t len = (size_t)width * height * 4 * (deep ? 2 : 1);

    *ret = vips_image_new_from_memory(pixels, len, (int)width, (int)height, 4, format);
    if (!*ret) {
        free(pixels);
        return picture_error();
    }
    (*ret)->Type = deep ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB;
    g_signal_connect_swapped(*ret, "postclose", G_CALLBACK(free), pixels);
    return OUTCOME_OK;
}

struct qoi {
    struct rgba seen[64], last;
    unsigned run;
};

static struct rgba changed(struct rgba c, int r, int g, int b)
{
    return (struct rgba){(unsigned char)(c.r + r), (unsigned char)(c.g + g), (unsigned char)(c.b + b), c.a};
}

/* One piece of code at `p`, where at least five bytes are: how many it has taken. */
static size_t decode(struct qoi *q, const unsigned char *p)
{
    size_t taken = 1;
    int green;

    if (*p == QOI_RGB || *p == QOI_RGBA) {
        taken = *p == QOI_RGB ? 4 : 5;
        q->last = (struct rgba){p[1], p[2], p[3], *p == QOI_RGB ? q->last.a : p[4]};
    } else {
        switch (*p & 0xc0) {
        case QOI_INDEX:
            q->last = q->seen[*p];
            break;
        case QOI_DIFF:
            q->last = changed(q->last, (*p >> 4 & 3) - 2, (*p >> 2 & 3) - 2, (*p & 3) - 2);
            break;
        case QOI_LUMA:
            green = (*p & 0x3f) - 32;
            q->last = changed(q->last, green - 8 + (p[1] >> 4), green, green - 8 + (p[1] & 15));
            taken = 2;
            break;
        default:
            q->run = *p & 0x3f;
        }
    }
    q->seen[place_of(q->last)] = q->last;
    return taken;
}

/* Eight bytes end the file, so that no piece reaches behind it. */
static bool decode_all(const unsigned char *data, size_t len, struct rgba *out, size_t pixels)
{
    struct qoi q = {.last = {0, 0, 0, 255}};
    size_t at = QOI_HEAD;

    for (size_t i = 0; i < pixels; i++) {
        if (q.run > 0) {
            q.run--;
        } else {
            if (len < 8 || at > len - 8)
                return false;
            at += decode(&q, data + at);
        }
        out[i] = q.last;
    }
    return true;
}

enum outcome image_qoi_read(const char *path, VipsImage **ret)
{
    _cleanup_free_ unsigned char *data = NULL;
    _cleanup_free_ struct rgba *pixels = NULL;
    uint32_t width, height;
    size_t len;
    enum outcome outcome = load(path, QOI_HEAD + 8, &data, &len);

    if (outcome != OUTCOME_OK)
        return outcome;
    width = number(data + 4);
    height = number(data + 8);
    if (memcmp(data, "qoif", 4) != 0)
        return OUTCOME_CORRUPT_INPUT;
    outcome = check_sides(width, height);
    if (outcome != OUTCOME_OK)
        return outcome;
    pixels = calloc((size_t)width * height, sizeof *pixels);
    if (!pixels)
        return OUTCOME_TOO_COMPLEX;
    if (!decode_all(data, len, pixels, (size_t)width * height))
        return OUTCOME_CORRUPT_INPUT;
    return wrap(TAKE_PTR(pixels), width, height, VIPS_FORMAT_UCHAR, ret);
}

enum outcome image_farbfeld_read(const char *path, VipsImage **ret)
{
    _cleanup_free_ unsigned char *data = NULL;
    uint32_t width, height;
    size_t len, samples;
    uint16_t *sample;
    enum outcome outcome = load(path, FARBFELD_HEAD, &data, &len);

    if (outcome != OUTCOME_OK)
        return outcome;
    width = number(data + 8);
    height = number(data + 12);
    outcome = memcmp(data, "farbfeld", 8) == 0 ? check_sides(width, height) : OUTCOME_CORRUPT_INPUT;
    if (outcome != OUTCOME_OK)
        return outcome;
    samples = (size_t)width * height * 4;
    if (len < FARBFELD_HEAD + samples * 2)
        return OUTCOME_CORRUPT_INPUT;
    memmove(data, data + FARBFELD_HEAD, samples * 2);
    sample = (uint16_t *)(void *)data;
    for (size_t i = 0; i < samples; i++)
        sample[i] = be16toh(sample[i]);
    return wrap(TAKE_PTR(data), width, height, VIPS_FORMAT_USHORT, ret);
}

/* --- writing: lines come one by one, as libvips makes them */

struct writer {
    FILE *file;
    struct qoi q;
    bool good;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    w->good = w->good && fwrite(bytes, 1, n, w->file) == n;
}

static void put_numbers(struct writer *w, uint32_t width, uint32_t height)
{
    const uint32_t numbers[] = {htobe32(width), htobe32(height)};

    put(w, numbers, sizeof numbers);
}

static void put_run(struct writer *w)
{
    unsigned char code = (unsigned char)(QOI_RUN | (w->q.run - 1));

    if (w->q.run > 0)
        put(w, &code, 1);
    w->q.run = 0;
}

/* By how little the colour has changed; false when that is too much. */
static bool put_difference(struct writer *w, struct rgba c)
{
    signed char r = (signed char)(c.r - w->q.last.r), g = (signed char)(c.g - w->q.last.g);
    signed char b = (signed char)(c.b - w->q.last.b);
    int rg = r - g, bg = b - g;
    unsigned char code[2];

    if (c.a != w->q.last.a)
        return false;
    if (r >= -2 && r <= 1 && g >= -2 && g <= 1 && b >= -2 && b <= 1) {
        code[0] = (unsigned char)(QOI_DIFF | (r + 2) << 4 | (g + 2) << 2 | (b + 2));
        put(w, code, 1);
        return true;
    }
    if (g < -32 || g > 31 || rg < -8 || rg > 7 || bg < -8 || bg > 7)
        return false;
    code[0] = (unsigned char)(QOI_LUMA | (g + 32));
    code[1] = (unsigned char)((rg + 8) << 4 | (bg + 8));
    put(w, code, 2);
    return true;
}

static void put_pixel(struct writer *w, struct rgba c)
{
    unsigned char place = (unsigned char)place_of(c);

    if (same(c, w->q.last)) {
        if (++w->q.run == QOI_RUN_MAX)
            put_run(w);
        return;
    }
    put_run(w);
    if (same(c, w->q.seen[place])) {
        put(w, &place, 1); /* QOI_INDEX */
    } else if (!put_difference(w, c)) {
        const unsigned char code[] = {c.a == w->q.last.a ? QOI_RGB : QOI_RGBA, c.r, c.g, c.b, c.a};

        put(w, code, code[0] == QOI_RGB ? 4 : 5);
    }
    w->q.seen[place] = c;
    w->q.last = c;
}

static void put_qoi_line(struct writer *w, const void *line, size_t width)
{
    const struct rgba *pixels = line;

    for (size_t x = 0; x < width; x++)
        put_pixel(w, pixels[x]);
}

static void put_farbfeld_line(struct writer *w, const void *line, size_t width)
{
    const uint16_t *samples = line;

    for (size_t i = 0; i < width * 4; i++) {
        uint16_t sample = htobe16(samples[i]);

        put(w, &sample, sizeof sample);
    }
}

/* Four channels, of 8 or of 16 bits. libvips would make 0xff00 of 0xff, which is no longer white. */
static int as_rgba(VipsImage *image, bool deep, VipsImage **ret)
{
    bool shallow = vips_image_get_format(image) == VIPS_FORMAT_UCHAR;
    VipsImage **step = (VipsImage **)vips_object_local_array(VIPS_OBJECT(image), 3);
    int status = vips_colourspace(image, &step[0],
                                  shallow ? VIPS_INTERPRETATION_sRGB : VIPS_INTERPRETATION_RGB16, NULL);

    if (status == 0)
        status = vips_image_hasalpha(step[0]) ? vips_copy(step[0], &step[1], NULL)
                                              : vips_addalpha(step[0], &step[1], NULL);
    if (status == 0)
        status = vips_linear1(step[1], &step[2], deep && shallow ? 257 : 1, 0, NULL);
    return status ? status : vips_cast(step[2], ret, deep ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR, NULL);
}

static enum outcome put_lines(struct writer *w, VipsImage *image,
                              void (*put_line)(struct writer *w, const void *line, size_t width))
{
    _cleanup_image_ VipsImage *pixels = vips_image_copy_memory(image);

    if (!pixels)
        return picture_error();
    for (int y = 0; y < vips_image_get_height(pixels) && w->good; y++)
        put_line(w, VIPS_IMAGE_ADDR(pixels, 0, y), (size_t)vips_image_get_width(pixels));
    return OUTCOME_OK;
}

static enum outcome finish(struct writer *w, enum outcome outcome)
{
    if (fclose(w->file) != 0)
        w->good = false;
    return outcome == OUTCOME_OK && !w->good ? OUTCOME_TOO_COMPLEX : outcome;
}

enum outcome image_qoi_write(VipsImage *image, const char *path)
{
    static const unsigned char end[] = {0, 0, 0, 0, 0, 0, 0, 1};
    struct writer w = {.file = fopen(path, "we"), .good = true, .q = {.last = {0, 0, 0, 255}}};
    _cleanup_image_ VipsImage *rgba = NULL;
    enum outcome outcome = OUTCOME_OK;
    bool alpha = vips_image_hasalpha(image);

    if (!w.file)
        return OUTCOME_TOO_COMPLEX;
    put(&w, "qoif", 4);
    put_numbers(&w, (uint32_t)vips_image_get_width(image), (uint32_t)vips_image_get_height(image));
    put(&w, alpha ? "\4\0" : "\3\0", 2);
    outcome = as_rgba(image, false, &rgba) ? picture_error() : put_lines(&w, rgba, put_qoi_line);
    put_run(&w);
    put(&w, end, sizeof end);
    return finish(&w, outcome);
}

enum outcome image_farbfeld_write(VipsImage *image, const char *path)
{
    struct writer w = {.file = fopen(path, "we"), .good = true};
    _cleanup_image_ VipsImage *rgba = NULL;
    enum outcome outcome;

    if (!w.file)
        return OUTCOME_TOO_COMPLEX;
    put(&w, "farbfeld", 8);
    put_numbers(&w, (uint32_t)vips_image_get_width(image), (uint32_t)vips_image_get_height(image));
    outcome = as_rgba(image, true, &rgba) ? picture_error() : put_lines(&w, rgba, put_farbfeld_line);
    return finish(&w, outcome);
}
