/* One function for each format: false when this is no such picture, else where it ends. What lies behind that
 * is none of its business (second_kind.h). A picture that is cut off is still one: its engine will say so. */
#include "files/raster.h"

#include "core/str.h"
#include "files/bytes.h"
#include "files/raster_parts.h"

#include <ctype.h>

/* Pieces that a picture may consist of. 100 MiB of the smallest honest ones are fewer. */
enum { STEPS_MAX = 8 << 20 };

typedef bool check_fn(struct window *w, uint64_t *ret_end);

static bool any_of(unsigned value, const unsigned char *list, size_t n)
{
    return value < 256 && memchr(list, (int)value, n);
}
#define ANY_OF(value, ...)                                                                                   \
    any_of(value, (const unsigned char[]){__VA_ARGS__}, sizeof(const unsigned char[]){__VA_ARGS__})

static bool check_png(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 29);
    uint64_t at = 8;

    if (!p || memcmp(p, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) != 0 || bytes_be32(p + 16) - 1U > INT32_MAX ||
        bytes_be32(p + 20) - 1U > INT32_MAX || !ANY_OF(p[24], 1, 2, 4, 8, 16) ||
        !ANY_OF(p[25], 0, 2, 3, 4, 6))
        return false;
    for (size_t steps = 0; (p = window_at(w, at, 8)); steps++) {
        bool last = memcmp(p + 4, "IEND", 4) == 0;

        if (steps == STEPS_MAX)
            return false;
        at += UINT64_C(12) + bytes_be32(p);
        if (last) {
            *ret_end = at;
            return true;
        }
    }
    return true;
}

/* An animation says so ahead of its picture: Animated PNG, "acTL". */
static bool check_apng(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p;
    uint64_t at = 8;

    if (!check_png(w, ret_end))
        return false;
    for (size_t steps = 0; steps < STEPS_MAX && (p = window_at(w, at, 8)); steps++) {
        if (memcmp(p + 4, "acTL", 4) == 0)
            return true;
        if (memcmp(p + 4, "IDAT", 4) == 0)
            return false;
        at += UINT64_C(12) + bytes_be32(p);
    }
    return false;
}

/* The offset behind the sub-blocks of a GIF that begin at `at`, or 0. */
static uint64_t skip_sub_blocks(struct window *w, uint64_t at, size_t *steps)
{
    for (const unsigned char *p; (p = window_at(w, at, 1)) && ++*steps < STEPS_MAX;) {
        at += UINT64_C(1) + *p;
        if (*p == 0)
            return at;
    }
    return 0;
}

static uint64_t colour_table(unsigned char flags)
{
    return flags & 0x80 ? UINT64_C(3) << ((flags & 7) + 1) : 0;
}

static bool check_gif(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 13);
    uint64_t at;
    size_t steps = 0;

    if (!p || (memcmp(p, "GIF87a", 6) != 0 && memcmp(p, "GIF89a", 6) != 0) || !bytes_u16(p + 6) ||
        !bytes_u16(p + 8))
        return false;
    for (at = 13 + colour_table(p[10]); at > 0 && (p = window_at(w, at, 1));) {
        if (*p == ';') {
            *ret_end = at + 1;
            return true;
        }
        if (*p == '!') {
            at = skip_sub_blocks(w, at + 2, &steps);
        } else if (*p == ',') {
            p = window_at(w, at, 10);
            at = p ? skip_sub_blocks(w, at + 10 + colour_table(p[9]) + 1, &steps) : 0;
        } else {
            *ret_end = at; /* decoders stop here as well */
            return true;
        }
    }
    return steps < STEPS_MAX;
}

/* Where the marker lies that ends the coded data which begin at `at`; 0: nowhere. */
static uint64_t skip_scan(struct window *w, uint64_t at)
{
    const unsigned char *p;

    while ((p = window_at(w, at, 2))) {
        const unsigned char *end = w->data + w->len - 1, *ff;

        for (; p < end && (ff = memchr(p, 0xff, (size_t)(end - p))); p = ff + (ff[1] == 0xff ? 1 : 2))
            if (ff[1] != 0 && ff[1] != 0xff && (ff[1] & 0xf8) != 0xd0)
                return w->at + (uint64_t)(ff - w->data);
        at = w->at + (uint64_t)((p < end ? end : p) - w->data);
    }
    return 0;
}

/* Segments, and the coded data behind each that is a scan (ITU-T T.81 B.1 and B.2). The width has to be told
 * before the data; the height may come later. */
static bool check_jpg(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 3);
    bool measured = false;
    uint64_t at = 2;

    if (!p || memcmp(p, "\xff\xd8\xff", 3) != 0)
        return false;
    for (size_t steps = 0; at > 0 && (p = window_at(w, at, 4)) && *p == 0xff; steps++) {
        unsigned marker = p[1];

        if (steps == STEPS_MAX)
            return false;
        if (marker == 0xff) {
            at++;
            continue;
        }
        if (marker == 0xd9)
            break;
        if ((marker & 0xf0) == 0xc0 && !ANY_OF(marker, 0xc4, 0xc8, 0xcc)) {
            const unsigned char *frame = window_at(w, at, 10);

            if (!frame || bytes_be16(frame + 7) == 0)
                return false;
            measured = true;
            p = frame;
        }
        at += UINT64_C(2) + bytes_be16(p + 2);
        if (marker == 0xda)
            at = measured ? skip_scan(w, at) : 0;
    }
    p = at > 0 ? window_at(w, at, 2) : NULL;
    if (p && p[0] == 0xff && p[1] == 0xd9)
        *ret_end = at + 2;
    return measured;
}

static bool check_webp(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 30);
    uint64_t size;

    if (!p || memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WEBPVP8", 7) != 0)
        return false;
    size = bytes_u32(p + 4);
    *ret_end = 8 + size + size % 2;
    if (p[15] == 'X')
        return true; /* its sides are at least 1 by definition */
    if (p[15] == 'L')
        return p[20] == 0x2f;
    return p[15] == ' ' && memcmp(p + 23, "\x9d\x01\x2a", 3) == 0 && (bytes_u16(p + 26) & 0x3fff) &&
           (bytes_u16(p + 28) & 0x3fff);
}

/* The end by the size of the pixels: the size in the file's own header is what programs get wrong. */
static bool check_bmp(struct window *w, uint64_t *ret_end)
{
    enum { UNPACKED = 0, BIT_FIELDS = 3 };
    const unsigned char *p = window_at(w, 0, 26);
    uint64_t width, height, pixels;
    uint32_t header, packing;
    unsigned bits;

    if (!p || memcmp(p, "BM", 2) != 0)
        return false;
    pixels = bytes_u32(p + 10);
    header = bytes_u32(p + 14);
    if (header == 12) {
        *ret_end = RASTER_END_UNKNOWN;
        return bytes_u16(p + 18) && bytes_u16(p + 20) && bytes_u16(p + 22) == 1 &&
               ANY_OF(bytes_u16(p + 24), 1, 4, 8, 24);
    }
    p = window_at(w, 0, 54);
    if (!p || !ANY_OF(header, 16, 40, 52, 56, 64, 108, 124))
        return false;
    width = (uint64_t)llabs((int32_t)bytes_u32(p + 18));
    height = (uint64_t)llabs((int32_t)bytes_u32(p + 22));
    bits = bytes_u16(p + 28);
    packing = bytes_u32(p + 30);
    *ret_end = packing == UNPACKED || packing == BIT_FIELDS ? pixels + (width * bits + 31) / 32 * 4 * height
                                                            : pixels + bytes_u32(p + 34);
    return width && height && bytes_u16(p + 26) == 1 && ANY_OF(bits, 0, 1, 2, 4, 8, 16, 24, 32);
}

/* Every picture of the collection has to lie behind the directory and begin as one. */
static bool check_icons(struct window *w, unsigned type, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 6);
    uint64_t end = 0, first = UINT64_MAX;
    unsigned n;

    if (!p || bytes_u16(p) != 0 || bytes_u16(p + 2) != type || bytes_u16(p + 4) == 0)
        return false;
    n = bytes_u16(p + 4);
    for (unsigned i = 0; i < n; i++) {
        uint64_t size, at;

        p = window_at(w, 6 + UINT64_C(16) * i, 16);
        if (!p)
            return false;
        size = bytes_u32(p + 8);
        at = bytes_u32(p + 12);
        if (size == 0 || at < 6 + UINT64_C(16) * n)
            return false;
        first = at < first ? at : first;
        end = at + size > end ? at + size : end;
    }
    p = window_at(w, first, 12);
    *ret_end = end;
    return p && (memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0 ||
                 (bytes_u32(p) == 40 && bytes_u32(p + 4) && bytes_u32(p + 8)));
}

static bool check_ico(struct window *w, uint64_t *ret_end)
{
    return check_icons(w, 1, ret_end);
}

static bool check_cur(struct window *w, uint64_t *ret_end)
{
    return check_icons(w, 2, ret_end);
}

/* The two differ in how long their lengths are. */
static bool check_photoshop(struct window *w, unsigned version)
{
    const unsigned char *p = window_at(w, 0, 26);

    return p && memcmp(p, "8BPS\0", 5) == 0 && p[5] == version && bytes_be16(p + 12) - 1U < 56 &&
           bytes_be32(p + 14) && bytes_be32(p + 18) && ANY_OF(bytes_be16(p + 22), 1, 8, 16, 32) &&
           ANY_OF(bytes_be16(p + 24), 0, 1, 2, 3, 4, 7, 8, 9);
}

static bool check_psd(struct window *w, uint64_t *ret_end)
{
    return check_photoshop(w, 1);
}

static bool check_psb(struct window *w, uint64_t *ret_end)
{
    return check_photoshop(w, 2);
}

/* It has no mark: all that is there has to make sense. */
static bool check_tga(struct window *w, uint64_t *ret_end)
{
    enum { PACKED = 8 };
    const unsigned char *p = window_at(w, 0, 18);
    unsigned type, bits;
    uint64_t colours;

    if (!p)
        return false;
    type = p[2];
    bits = p[16];
    if (p[1] > 1 || !ANY_OF(type, 1, 2, 3, 9, 10, 11) || ((type & 7) == 1 && !p[1]) || !bytes_u16(p + 12) ||
        !bytes_u16(p + 14) || !ANY_OF(bits, 8, 15, 16, 24, 32) || p[17] & 0xc0)
        return false;
    if (p[1] && !ANY_OF(p[7], 15, 16, 24, 32))
        return false;
    colours = p[1] ? UINT64_C(1) * bytes_u16(p + 5) * ((p[7] + 7U) / 8) : 0;
    if (!(type & PACKED))
        *ret_end =
            18 + p[0] + colours + UINT64_C(1) * bytes_u16(p + 12) * bytes_u16(p + 14) * ((bits + 7) / 8);
    return true;
}

/* libvips takes a side beyond ten million for 1, and no other reader takes it at all. */
enum { NUMBER_MAX = 1000 * 1000 };

uint32_t raster_number(const unsigned char *p, size_t len, size_t *at)
{
    uint32_t value = 0;

    while (*at < len && (isspace(p[*at]) || p[*at] == '#')) {
        if (p[*at] == '#')
            while (*at < len && p[*at] != '\n' && p[*at] != '\r')
                ++*at;
        else
            ++*at;
    }
    for (; *at < len && isdigit(p[*at]); ++*at) {
        if (value > NUMBER_MAX)
            return 0;
        value = value * 10 + (p[*at] - '0');
    }
    return value;
}

static bool check_netpbm(struct window *w, uint64_t *ret_end)
{
    size_t len = w->size < WINDOW_SIZE ? (size_t)w->size : WINDOW_SIZE, at = 2;
    const unsigned char *p = window_at(w, 0, len);
    uint64_t width, height, most = 1, line;
    unsigned kind;

    if (!p || len < 3 || p[0] != 'P' || p[1] < '1' || p[1] > '6' || !(isspace(p[2]) || p[2] == '#'))
        return false;
    kind = p[1] - '0';
    width = raster_number(p, len, &at);
    height = raster_number(p, len, &at);
    if (kind != 1 && kind != 4)
        most = raster_number(p, len, &at);
    line = kind == 4 ? (width + 7) / 8 : width * (kind == 6 ? 3 : 1) * (most > 255 ? 2 : 1);
    if (kind >= 4)
        *ret_end = at + 1 + line * height;
    return width && height && most && most <= UINT16_MAX;
}

struct tiff {
    struct window *w;
    bool big_endian, large; /* BigTIFF */
};

static uint64_t tiff_number(const struct tiff *t, const unsigned char *p, unsigned bytes)
{
    if (bytes == 2)
        return t->big_endian ? bytes_be16(p) : bytes_u16(p);
    if (bytes == 4)
        return t->big_endian ? bytes_be32(p) : bytes_u32(p);
    return t->big_endian ? bytes_be64(p) : bytes_u64(p);
}

/* The value of a tag that has one number: a short, a long or, in BigTIFF, one of 8 bytes. */
static uint64_t tiff_value(const struct tiff *t, const unsigned char *entry)
{
    unsigned type = (unsigned)tiff_number(t, entry + 2, 2);
    const unsigned char *value = entry + (t->large ? 12 : 8);

    return type == 3                ? tiff_number(t, value, 2)
           : type == 4              ? tiff_number(t, value, 4)
           : type == 16 && t->large ? tiff_number(t, value, 8)
                                    : 0;
}

/* The first directory has to be there and to tell a width and a height. */
static bool check_tiff(struct window *w, uint64_t *ret_end)
{
    enum { WIDTH = 256, HEIGHT = 257, ENTRIES_MAX = 4096 };
    const unsigned char *p = window_at(w, 0, 16);
    struct tiff t = {.w = w};
    uint64_t at, n;
    bool wide = false, high = false;

    if (!p || (memcmp(p, "II", 2) != 0 && memcmp(p, "MM", 2) != 0))
        return false;
    t.big_endian = *p == 'M';
    t.large = tiff_number(&t, p + 2, 2) == 43;
    if (!t.large && tiff_number(&t, p + 2, 2) != 42)
        return false;
    at = t.large ? tiff_number(&t, p + 8, 8) : tiff_number(&t, p + 4, 4);
    p = window_at(w, at, t.large ? 8 : 2);
    n = p ? tiff_number(&t, p, t.large ? 8 : 2) : 0;
    at += t.large ? 8 : 2;
    if (n > ENTRIES_MAX)
        return false;
    for (uint64_t i = 0; i < n && (p = window_at(w, at + i * (t.large ? 20 : 12), t.large ? 20 : 12)); i++) {
        wide |= tiff_number(&t, p, 2) == WIDTH && tiff_value(&t, p) > 0;
        high |= tiff_number(&t, p, 2) == HEIGHT && tiff_value(&t, p) > 0;
    }
    return wide && high;
}

/* --- formats made of boxes (ISO/IEC 14496-12 section 4.2) */

struct box {
    const unsigned char *type; /* in the window */
    uint64_t at, content, end; /* end: UINT64_MAX when it is the rest of the file */
};

static bool box_read(struct window *w, uint64_t at, struct box *ret)
{
    const unsigned char *p = window_at(w, at, 8);
    uint64_t size, head = 8;

    if (!p)
        return false;
    size = bytes_be32(p);
    if (size == 1) {
        p = window_at(w, at, 16);
        if (!p)
            return false;
        size = bytes_be64(p + 8);
        head = 16;
    }
    for (size_t i = 4; i < 8; i++)
        if (!isprint(p[i]))
            return false;
    if (size != 0 && (size < head || size > UINT64_MAX / 2 - at))
        return false;
    *ret = (struct box){.type = p + 4, .at = at, .content = at + head, .end = size ? at + size : UINT64_MAX};
    return true;
}

/* Walks the boxes from `at` to `end`: the first of a `type` in *ret. Sets *ret_end where they end, which is
 * where something else begins: also where what looks like a box is larger than the file. */
static bool box_find(struct window *w, uint64_t at, uint64_t end, const char *type, struct box *ret,
                     uint64_t *ret_end)
{
    bool found = false;
    struct box b;

    for (size_t steps = 0; at < end && steps < STEPS_MAX && box_read(w, at, &b); steps++) {
        if (!found && memcmp(b.type, type, 4) == 0) {
            *ret = b;
            found = true;
            if (!ret_end)
                break;
        }
        if (b.end > w->size && b.end != UINT64_MAX)
            break;
        at = b.end;
    }
    if (ret_end)
        *ret_end = at;
    return found;
}

static bool begins_with(struct window *w, const char *bytes, size_t n)
{
    const unsigned char *p = window_at(w, 0, n);

    return p && memcmp(p, bytes, n) == 0;
}

static bool check_jp2(struct window *w, uint64_t *ret_end)
{
    static const char mark[] = "\0\0\0\x0cjP  \r\n\x87\n";
    struct box outer, inner;
    const unsigned char *p;

    if (!begins_with(w, mark, sizeof mark - 1) || !box_find(w, 0, w->size, "jp2h", &outer, ret_end) ||
        !box_find(w, outer.content, outer.end, "ihdr", &inner, NULL))
        return false;
    p = window_at(w, inner.content, 14);
    return p && bytes_be32(p) && bytes_be32(p + 4);
}

/* HEIC and AVIF: a picture's size is told by a property deep in the box "meta", which is small. Sequences may
 * do without. */
static bool check_heif(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 16), *size;
    struct box meta, movie;
    size_t len;

    if (!p || memcmp(p + 4, "ftyp", 4) != 0)
        return false;
    if (!box_find(w, 0, w->size, "meta", &meta, ret_end))
        return box_find(w, 0, w->size, "moov", &movie, NULL);
    len = meta.end - meta.content < WINDOW_SIZE ? (size_t)(meta.end - meta.content) : WINDOW_SIZE;
    if (len > w->size - meta.content)
        len = (size_t)(w->size - meta.content);
    p = window_at(w, meta.content, len);
    size = p ? memmem(p, len, "ispe", 4) : NULL;
    return size && len - (size_t)(size - p) >= 16 && bytes_be32(size + 8) && bytes_be32(size + 12);
}

static bool check_jxl(struct window *w, uint64_t *ret_end)
{
    static const char mark[] = "\0\0\0\x0cJXL \r\n\x87\n";
    struct box b;

    if (begins_with(w, "\xff\x0a", 2))
        return w->size > 2;
    return begins_with(w, mark, sizeof mark - 1) &&
           (box_find(w, 0, w->size, "jxlc", &b, ret_end) || box_find(w, 0, w->size, "jxlp", &b, ret_end));
}

/* Pieces with a name and a length, of which one at least is there. */
static bool check_icns(struct window *w, uint64_t *ret_end)
{
    const unsigned char *p = window_at(w, 0, 16);
    uint64_t end, at = 8;

    if (!p || memcmp(p, "icns", 4) != 0)
        return false;
    end = bytes_be32(p + 4);
    for (size_t steps = 0; at < end && steps < STEPS_MAX && (p = window_at(w, at, 8)); steps++) {
        uint32_t size = bytes_be32(p + 4);

        if (size < 8 || size > end - at)
            return false;
        at += size;
    }
    *ret_end = end;
    return at > 8 && end >= 16;
}

static const struct {
    const char *ids;
    check_fn *check;
} rasters[] = {
    {"png", check_png},   {"jpg mpo", check_jpg},    {"gif", check_gif},
    {"webp", check_webp}, {"bmp", check_bmp},        {"ico", check_ico},
    {"cur", check_cur},   {"icns", check_icns},      {"psd", check_psd},
    {"psb", check_psb},   {"tga", check_tga},        {"ppm pgm pbm pnm", check_netpbm},
    {"tiff", check_tiff}, {"heic avif", check_heif}, {"jp2 jpx", check_jp2},
    {"jxl", check_jxl},   {"apng", check_apng},
};

int raster_check(struct window *w, const char *id, uint64_t *ret_end)
{
    *ret_end = RASTER_END_UNKNOWN;
    for (size_t i = 0; i < ARRAY_SIZE(rasters); i++)
        if (words_have(rasters[i].ids, id)) {
            bool good = rasters[i].check(w, ret_end);

            if (*ret_end > w->size)
                *ret_end = RASTER_END_UNKNOWN;
            return good ? 0 : -EMEDIUMTYPE;
        }
    return raster_check_header(w, id, ret_end);
}
