/* Pictures of formats that a few fields at fixed places tell. Most have a mark. Those without one are nothing
 * but a size and pixels: they have to be exactly as long as their size says, or every run of their packing
 * has to come out. */
#include "core/str.h"
#include "files/bytes.h"
#include "files/raster.h"
#include "files/raster_parts.h"

#include <ctype.h>

enum number { NOT_TOLD, BE32, LE32, BE16, LE16, U8 };

/* `mark_at`, `mark`: bytes that have to be there; `width_at` and `height_at`: numbers that may not be 0. */
static const struct header {
    const char *id;
    unsigned mark_at;
    const char *mark;
    size_t mark_len;
    enum number number;
    unsigned width_at, height_at;
} headers[] = {
#define MARKED(id, at, mark, ...)                                                                            \
    {                                                                                                        \
        id, at, mark, sizeof(mark) - 1, __VA_ARGS__                                                          \
    }
    MARKED("cin", 0, "\x80\x2a\x5f\xd7", BE32, 200, 204),
    MARKED("dcx", 0, "\xb1\x68\xde\x3a", LE32, 4, 4), /* where its first page is */
    MARKED("dds", 0, "DDS \x7c\0\0\0", LE32, 16, 12),
    MARKED("dpx", 0, "SDPX", BE32, 772, 776),
    MARKED("dpx", 0, "XPDS", LE32, 772, 776),
    MARKED("exr", 0, "\x76\x2f\x31\x01", NOT_TOLD, 0, 0),
    MARKED("ff", 0, "farbfeld", BE32, 8, 12),
    MARKED("fits", 0, "SIMPLE  =", NOT_TOLD, 0, 0),
    MARKED("hdr", 0, "#?RADIANCE", NOT_TOLD, 0, 0),
    MARKED("hdr", 0, "#?RGBE", NOT_TOLD, 0, 0),
    MARKED("j2k", 0, "\xff\x4f\xff\x51", BE32, 8, 12),
    MARKED("jng", 0, "\x8bJNG\r\n\x1a\n\0\0\0\x10JHDR", BE32, 16, 20),
    MARKED("miff", 0, "id=ImageMagick", NOT_TOLD, 0, 0),
    MARKED("pam", 0, "P7\n", NOT_TOLD, 0, 0),
    MARKED("pcd", 2048, "PCD_", NOT_TOLD, 0, 0),
    MARKED("pgx", 0, "PG ML ", NOT_TOLD, 0, 0),
    MARKED("pgx", 0, "PG LM ", NOT_TOLD, 0, 0),
    MARKED("qoi", 0, "qoif", BE32, 4, 8),
    MARKED("ras", 0, "\x59\xa6\x6a\x95", BE32, 4, 8),
    MARKED("rle", 0, "\x52\xcc", LE16, 6, 8),
    MARKED("sgi", 0, "\x01\xda\0", BE16, 6, 8),
    MARKED("sgi", 0, "\x01\xda\1", BE16, 6, 8),
    MARKED("vicar", 0, "LBLSIZE=", NOT_TOLD, 0, 0),
    MARKED("viff", 0, "\xab\x01", LE32, 520, 524), /* of either order: 0 is 0 */
    MARKED("xpm", 0, "/* XPM */", NOT_TOLD, 0, 0),
    MARKED("xwd", 4, "\0\0\0\7", BE32, 16, 20),
#undef MARKED
};

static uint32_t number_at(struct window *w, uint64_t at, enum number number)
{
    const unsigned char *p;

    switch (number) {
    case BE32:
        return (p = window_at(w, at, 4)) ? bytes_be32(p) : 0;
    case LE32:
        return (p = window_at(w, at, 4)) ? bytes_u32(p) : 0;
    case BE16:
        return (p = window_at(w, at, 2)) ? bytes_be16(p) : 0;
    case LE16:
        return (p = window_at(w, at, 2)) ? bytes_u16(p) : 0;
    case U8:
        return (p = window_at(w, at, 1)) ? *p : 0;
    case NOT_TOLD:
        break;
    }
    return 1;
}

static bool matches(struct window *w, const struct header *h)
{
    const unsigned char *p = window_at(w, h->mark_at, h->mark_len);

    return p && memcmp(p, h->mark, h->mark_len) == 0 && number_at(w, h->width_at, h->number) &&
           number_at(w, h->height_at, h->number);
}

/* Sizes and nothing else, and then the pixels. `row`: bits of a pixel and to how many bytes a line is
 * filled up. `zero_at`, `one_at`: a byte that has to be 0 or 1, unless at 0. */
static const struct plain {
    const char *id;
    enum number number;
    unsigned width_at, height_at, pixels_at, bits, pad;
} plains[] = {
    {"aai", LE32, 0, 4, 8, 32, 1},
    {"avs", BE32, 0, 4, 8, 32, 1},
    {"art", LE16, 2, 6, 8, 1, 2},
    {"rgf", U8, 0, 1, 2, 1, 1},
};

static bool has_length(const struct window *w, uint64_t pixels_at, uint64_t width, uint64_t height,
                       unsigned bits, unsigned pad)
{
    uint64_t line = ((width * bits + 7) / 8 + pad - 1) / pad * pad;

    return width > 0 && height > 0 && line <= w->size / height && pixels_at + line * height == w->size;
}

static bool check_plain(struct window *w, const struct plain *p)
{
    return has_length(w, p->pixels_at, number_at(w, p->width_at, p->number),
                      number_at(w, p->height_at, p->number), p->bits, p->pad);
}

/* Small numbers of seven bits a byte, the last without the highest (WAP-237, 4.3.1). 0: none. */
static uint32_t wbmp_number(struct window *w, uint64_t *at)
{
    const unsigned char *p;
    uint32_t value = 0;

    while (value < 1 << 24 && (p = window_at(w, *at, 1))) {
        ++*at;
        value = value << 7 | (*p & 0x7f);
        if (!(*p & 0x80))
            return value;
    }
    return 0;
}

static bool check_wbmp(struct window *w)
{
    const unsigned char *p = window_at(w, 0, 2);
    uint64_t at = 2;
    uint32_t width, height;

    if (!p || p[0] != 0 || p[1] != 0)
        return false;
    width = wbmp_number(w, &at);
    height = wbmp_number(w, &at);
    return has_length(w, at, width, height, 1, 1);
}

static bool check_mtv(struct window *w)
{
    size_t len = w->size < 64 ? (size_t)w->size : 64, at = 0;
    const unsigned char *p = window_at(w, 0, len);
    uint32_t width, height;

    if (!p || len == 0 || !isdigit(*p))
        return false;
    width = raster_number(p, len, &at);
    height = raster_number(p, len, &at);
    return at < len && p[at] == '\n' && has_length(w, at + 1, width, height, 24, 1);
}

static bool check_pcx(struct window *w)
{
    const unsigned char *p = window_at(w, 0, 128);

    return p && p[0] == 10 && p[1] <= 5 && p[2] <= 1 && (p[3] == 1 || p[3] == 2 || p[3] == 4 || p[3] == 8) &&
           bytes_u16(p + 8) >= bytes_u16(p + 4) && bytes_u16(p + 10) >= bytes_u16(p + 6) && p[65] >= 1 &&
           p[65] <= 4 && bytes_u16(p + 66) > 0;
}

/* Palm OS Programmer's API Reference: BitmapType, versions 0 to 2. */
static bool check_palm(struct window *w)
{
    const unsigned char *p = window_at(w, 0, 16);
    uint32_t width, bits, packed = 8;

    if (!p)
        return false;
    width = bytes_be16(p);
    bits = p[8] ? p[8] : 1;
    return width && bytes_be16(p + 2) && bits <= 16 && (bits & (bits - 1)) == 0 && p[9] <= 2 &&
           (width * bits + packed - 1) / packed <= bytes_be16(p + 4) &&
           bytes_be16(p + 4) <= (width * bits + packed - 1) / packed + 4;
}

/* Runs of a count and a colour that fill the picture to the last pixel. */
static bool check_pix(struct window *w)
{
    const unsigned char *p = window_at(w, 0, 10);
    uint64_t left, at = 10;
    unsigned bytes;

    if (!p || (bytes_be16(p + 8) != 8 && bytes_be16(p + 8) != 24))
        return false;
    left = UINT64_C(1) * bytes_be16(p) * bytes_be16(p + 2);
    bytes = bytes_be16(p + 8) / 8;
    if (left == 0)
        return false;
    for (; left > 0 && (p = window_at(w, at, 1 + bytes)); at += 1 + bytes) {
        if (*p == 0 || *p > left)
            return false;
        left -= *p;
    }
    return left == 0 && at == w->size;
}

/* A bi-level image entity (ITU-T T.82, 6.2.1). */
static bool check_jbig(struct window *w)
{
    const unsigned char *p = window_at(w, 0, 20);

    return p && p[0] <= p[1] && p[1] < 32 && p[2] > 0 && p[2] <= 32 && p[3] == 0 && bytes_be32(p + 4) &&
           bytes_be32(p + 8) && bytes_be32(p + 12) && bytes_be32(p + 12) <= bytes_be32(p + 8) &&
           p[16] < 128 && p[17] < 128 && !(p[18] & 0xf0) && !(p[19] & 0x80);
}

/* A picture of the PlayStation, with a colour table ahead of it where the flags say so. */
static bool check_tim(struct window *w)
{
    enum { COLOURS = 8 };
    const unsigned char *p = window_at(w, 0, 12);
    uint64_t at = 8, size;

    if (!p || bytes_u32(p) != 16 || bytes_u32(p + 4) & ~15U || (p[4] & 7) > 3)
        return false;
    if (p[4] & COLOURS)
        at += bytes_u32(p + 8);
    p = window_at(w, at, 12);
    size = p ? UINT64_C(2) * bytes_u16(p + 8) * bytes_u16(p + 10) : 0;
    return size > 0 && bytes_u32(p) == size + 12;
}

/* The screen of a ZX Spectrum: always as long, and no colour attribute is anything else. */
static bool check_scr(struct window *w)
{
    return w->size == 6912;
}

static bool defines(const unsigned char *p, size_t len, const char *name)
{
    const unsigned char *found = memmem(p, len, name, strlen(name));
    size_t at = found ? (size_t)(found - p) + strlen(name) : len;

    return raster_number(p, len, &at) > 0;
}

/* C that defines a width and a height, and then bits. */
static bool check_xbm(struct window *w)
{
    size_t len = w->size < 4096 ? (size_t)w->size : 4096;
    const unsigned char *p = window_at(w, 0, len);

    return p && len > 8 && (memcmp(p, "#define ", 8) == 0 || memcmp(p, "/*", 2) == 0) &&
           defines(p, len, "_width ") && defines(p, len, "_height ") && memmem(p, len, "{", 1);
}

static bool check_pfm(struct window *w)
{
    size_t len = w->size < 256 ? (size_t)w->size : 256, at = 2;
    const unsigned char *p = window_at(w, 0, len);

    return p && len > 3 && p[0] == 'P' && (p[1] == 'F' || p[1] == 'f') && isspace(p[2]) &&
           raster_number(p, len, &at) && raster_number(p, len, &at);
}

/* As an export of the U.S. Department of Defense is marked (MIL-PRF-28002): records of 128 characters. */
static bool check_cals(struct window *w)
{
    const unsigned char *p = window_at(w, 0, 2048);

    return p && (memcmp(p, "srcdocid:", 9) == 0 || memcmp(p, "version: MIL", 12) == 0) &&
           memmem(p, 2048, "rtype: 1", 8) && memmem(p, 2048, "rpelcnt:", 8);
}

static const struct {
    const char *id;
    bool (*check)(struct window *w);
} others[] = {
    {"wbmp", check_wbmp}, {"mtv", check_mtv}, {"pcx", check_pcx},   {"palm", check_palm},
    {"pix", check_pix},   {"tim", check_tim}, {"jbig", check_jbig}, {"scr", check_scr},
    {"xbm", check_xbm},   {"pfm", check_pfm}, {"cals", check_cals},
};

int raster_check_header(struct window *w, const char *id, uint64_t *ret_end)
{
    int r = -EINVAL;

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
        if (str_eq(headers[i].id, id)) {
            if (matches(w, &headers[i]))
                return 0;
            r = -EMEDIUMTYPE;
        }
    for (size_t i = 0; i < ARRAY_SIZE(plains); i++)
        if (str_eq(plains[i].id, id)) {
            *ret_end = w->size;
            return check_plain(w, &plains[i]) ? 0 : -EMEDIUMTYPE;
        }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (str_eq(others[i].id, id))
            return others[i].check(w) ? 0 : -EMEDIUMTYPE;
    return r;
}
