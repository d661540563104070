/* Apple's icons: a list of one picture in several sizes, each with four letters that say which and how it is
 * kept. Since 2011 they are whole PNG or JPEG 2000 files; before, colours and the mask of transparency were
 * chunks apart, the colours packed plane by plane (as icns2png and Apple's IconStorage.h have it). Read is
 * the largest; written are PNG files of the sizes that a picture reaches. */
#include "engine/image/picture.h"

#include "core/path.h"
#include "core/str.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { BYTES_MAX = 64 << 20, HEAD = 8, SIDE_LARGEST = 128 /* of the old kinds */ };

/* The old kinds: colours, and the mask that goes with them. `skip`: bytes before the colours. */
static const struct old_kind {
    char colours[5], mask[5];
    int side, skip;
} old_kinds[] = {
    {"it32", "t8mk", 128, 4}, {"ih32", "h8mk", 48, 0}, {"il32", "l8mk", 32, 0}, {"is32", "s8mk", 16, 0}};

static const struct new_kind {
    char name[5];
    int side;
} new_kinds[] = {{"ic10", 1024}, {"ic09", 512}, {"ic08", 256}, {"ic07", 128},
                 {"icp6", 64},   {"icp5", 32},  {"icp4", 16}};

struct piece {
    const unsigned char *data;
    size_t len;
};

static uint32_t number(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next piece from *at on, with its name; false at the end, and where a length doesn't fit. */
static bool next_piece(const unsigned char *data, size_t len, size_t *at, char ret_name[5], struct piece *ret)
{
    uint32_t size;

    if (len - *at < HEAD)
        return false;
    size = number(data + *at + 4);
    if (size < HEAD || size > len - *at)
        return false;
    memcpy(ret_name, data + *at, 4);
    ret_name[4] = '\0';
    *ret = (struct piece){data + *at + HEAD, size - HEAD};
    *at += size;
    return true;
}

static struct piece find_piece(const unsigned char *data, size_t len, const char *name)
{
    struct piece piece;
    char found[5];

    for (size_t at = HEAD; next_piece(data, len, &at, found, &piece);)
        if (str_eq(found, name))
            return piece;
    return (struct piece){NULL, 0};
}

static bool is_png(struct piece p)
{
    return p.len > 24 && memcmp(p.data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static bool is_jp2(struct piece p)
{
    return p.len > 24 && memcmp(p.data, "\0\0\0\x0cjP  ", 8) == 0;
}

/* The widest of the PNG files; else the first JPEG 2000 file, which tells its size less easily. */
static struct piece find_file(const unsigned char *data, size_t len)
{
    struct piece piece, best = {NULL, 0};
    uint32_t widest = 0;
    char name[5];

    for (size_t at = HEAD; next_piece(data, len, &at, name, &piece);) {
        if (is_png(piece) && number(piece.data + 16) > widest) {
            widest = number(piece.data + 16);
            best = piece;
        } else if (is_jp2(piece) && !best.data) {
            best = piece;
        }
    }
    return best;
}

/* One plane: below 128 so many bytes and one follow as they are, else one is repeated. */
static bool unpack(struct piece *p, unsigned char *out, size_t pixels, size_t step)
{
    size_t n = 0;

    while (n < pixels) {
        size_t run;
        bool repeated;

        if (p->len < 2)
            return false;
        repeated = *p->data >= 128;
        run = repeated ? *p->data - 125U : *p->data + 1U;
        p->data++;
        p->len--;
        if (run > pixels - n || p->len < (repeated ? 1 : run))
            return false;
        for (size_t i = 0; i < run; i++)
            out[step * n++] = repeated ? p->data[0] : p->data[i];
        p->data += repeated ? 1 : run;
        p->len -= repeated ? 1 : run;
    }
    return true;
}

static bool fill_old(const unsigned char *data, size_t len, const struct old_kind *kind, unsigned char *rgba)
{
    size_t pixels = (size_t)kind->side * (size_t)kind->side;
    struct piece colours = find_piece(data, len, kind->colours), mask = find_piece(data, len, kind->mask);

    if (!colours.data || colours.len < (size_t)kind->skip)
        return false;
    colours.data += kind->skip;
    colours.len -= (size_t)kind->skip;
    for (size_t channel = 0; channel < 3; channel++)
        if (!unpack(&colours, rgba + channel, pixels, 4))
            return false;
    for (size_t i = 0; i < pixels; i++)
        rgba[i * 4 + 3] = mask.len == pixels ? mask.data[i] : 255;
    return true;
}

static enum outcome read_old(const unsigned char *data, size_t len, VipsImage **ret)
{
    unsigned char rgba[SIDE_LARGEST * SIDE_LARGEST * 4];
    _cleanup_image_ VipsImage *image = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(old_kinds); i++) {
        int side = old_kinds[i].side;

        if (!fill_old(data, len, &old_kinds[i], rgba))
            continue;
        image = vips_image_new_from_memory_copy(rgba, (size_t)side * (size_t)side * 4, side, side, 4,
                                                VIPS_FORMAT_UCHAR);
        if (!image || vips_copy(image, ret, "interpretation", VIPS_INTERPRETATION_sRGB, NULL))
            return picture_error();
        return OUTCOME_OK;
    }
    return OUTCOME_CORRUPT_INPUT;
}

enum outcome image_icns_read(const char *path, VipsImage **ret)
{
    _cleanup_free_ char *text = NULL;
    const unsigned char *data;
    struct piece file;
    size_t len;
    int r = path_read_file(AT_FDCWD, path, BYTES_MAX, &text, &len);

    if (r < 0)
        return r == -EFBIG || r == -ENOMEM ? OUTCOME_TOO_COMPLEX : OUTCOME_INTERNAL;
    data = (const unsigned char *)text;
    if (len < HEAD)
        return OUTCOME_CORRUPT_INPUT;
    file = find_file(data, len);
    if (!file.data)
        return read_old(data, len, ret);
    if (is_png(file)
            ? vips_pngload_buffer((void *)file.data, file.len, ret, "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL)
            : vips_jp2kload_buffer((void *)file.data, file.len, ret, NULL))
        return picture_error();
    g_signal_connect_swapped(*ret, "postclose", G_CALLBACK(free), TAKE_PTR(text));
    return picture_check_size(*ret);
}

/* `side` wide and high, the picture in the middle of nothing. */
static int make_square(VipsImage *image, int side, VipsImage **ret)
{
    VipsImage **step = (VipsImage **)vips_object_local_array(VIPS_OBJECT(image), 3);
    VipsArrayDouble *nothing = vips_array_double_newv(4, 0.0, 0.0, 0.0, 0.0);
    int status = vips_colourspace(image, &step[0], VIPS_INTERPRETATION_sRGB, NULL);

    if (status == 0)
        status = vips_image_hasalpha(step[0]) ? vips_copy(step[0], &step[1], NULL)
                                              : vips_addalpha(step[0], &step[1], NULL);
    if (status == 0)
        status = vips_cast_uchar(step[1], &step[2], NULL);
    if (status == 0)
        status = vips_gravity(step[2], ret, VIPS_COMPASS_DIRECTION_CENTRE, side, side, "extend",
                              VIPS_EXTEND_BACKGROUND, "background", nothing, NULL);
    vips_area_unref(VIPS_AREA(nothing));
    return status;
}

static bool put_number(FILE *f, uint32_t n)
{
    n = htobe32(n);
    return fwrite(&n, sizeof n, 1, f) == 1;
}

static enum outcome add_size(FILE *f, VipsImage *image, const struct new_kind *kind)
{
    const struct picture_limits limits = {kind->side, kind->side};
    _cleanup_image_ VipsImage *fitted = g_object_ref(image), *square = NULL;
    enum outcome outcome = picture_fit(&fitted, &limits);
    void *data;
    size_t len;
    bool written;

    if (outcome != OUTCOME_OK)
        return outcome;
    if (make_square(fitted, kind->side, &square) ||
        vips_pngsave_buffer(square, &data, &len, "strip", TRUE, NULL))
        return picture_error();
    written = fwrite(kind->name, 4, 1, f) == 1 && put_number(f, (uint32_t)len + HEAD) &&
              fwrite(data, len, 1, f) == 1;
    g_free(data);
    return written ? OUTCOME_OK : OUTCOME_TOO_COMPLEX;
}

/* What is smaller than the smallest stays as it is, in the middle of that. */
static enum outcome add_sizes(FILE *f, VipsImage *image)
{
    int longest = MAX(vips_image_get_width(image), vips_image_get_height(image));
    enum outcome outcome = OUTCOME_OK;

    for (size_t i = 0; i < ARRAY_SIZE(new_kinds) && outcome == OUTCOME_OK; i++)
        if (new_kinds[i].side <= longest || i == ARRAY_SIZE(new_kinds) - 1)
            outcome = add_size(f, image, &new_kinds[i]);
    return outcome;
}

static enum outcome write_file(FILE *f, VipsImage *pixels)
{
    enum outcome outcome = fwrite("icns\0\0\0", HEAD, 1, f) == 1 ? add_sizes(f, pixels) : OUTCOME_TOO_COMPLEX;
    long len;

    if (outcome == OUTCOME_OK &&
        ((len = ftell(f)) < 0 || fseek(f, 4, SEEK_SET) < 0 || !put_number(f, (uint32_t)len)))
        outcome = OUTCOME_TOO_COMPLEX;
    return outcome;
}

enum outcome image_icns_write(VipsImage *image, const char *path)
{
    _cleanup_image_ VipsImage *pixels = vips_image_copy_memory(image); /* read more than once */
    enum outcome outcome;
    FILE *f;

    if (!pixels)
        return picture_error();
    f = fopen(path, "we");
    if (!f)
        return OUTCOME_TOO_COMPLEX;
    outcome = write_file(f, pixels);
    if (fclose(f) != 0 && outcome == OUTCOME_OK)
        outcome = OUTCOME_TOO_COMPLEX;
    return outcome;
}
