#include "core/zip.h"

#include <string.h>
#include <time.h>

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    END64 = 0x06064b50,
    END64_LOCATOR = 0x07064b50,
    END64_BYTES = 56,
    VERSION_2_0 = 20, /* folders and deflate */
    VERSION_4_5 = 45, /* ZIP64 */
    NAME_IS_UTF8 = 1 << 11,
    EXTRA_ZIP64 = 0x0001,
    EXTRA_TIME = 0x5455, /* Info-ZIP's: seconds of UTC, since DOS knows neither zones nor odd seconds */
    EXTRA_TIME_MODIFIED = 1,
    EXTRA_MAX = 64,
    DATE_1980 = 0x0021,
    YEAR_MIN = 1980,
    YEAR_MAX = 2107,
    DISKS = 1,
};

static void put16(struct buf *b, uint32_t v)
{
    const unsigned char bytes[] = {(unsigned char)v, (unsigned char)(v >> 8)};

    buf_append(b, bytes, sizeof bytes);
}

static void put32(struct buf *b, uint32_t v)
{
    put16(b, v & 0xffff);
    put16(b, v >> 16);
}

static void put64(struct buf *b, uint64_t v)
{
    put32(b, (uint32_t)v);
    put32(b, (uint32_t)(v >> 32));
}

/* A number of the old records, which says that the real one is in ZIP64's when it has no room. */
static uint32_t or_more(uint64_t v, uint32_t all_ones)
{
    return v < all_ones ? (uint32_t)v : all_ones;
}

static bool is_large(uint64_t v)
{
    return v >= UINT32_MAX;
}

static void put_time(struct buf *b, int64_t modified)
{
    time_t seconds = modified;
    struct tm tm = {0};

    if (modified <= 0 || !gmtime_r(&seconds, &tm) || tm.tm_year + 1900 < YEAR_MIN ||
        tm.tm_year + 1900 > YEAR_MAX) {
        put16(b, 0);
        put16(b, DATE_1980);
        return;
    }
    put16(b, (uint32_t)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2));
    put16(b, (uint32_t)((tm.tm_year + 1900 - YEAR_MIN) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday));
}

static void put_extra_time(struct buf *extra, int64_t modified)
{
    if (modified <= 0 || modified > INT32_MAX)
        return;
    put16(extra, EXTRA_TIME);
    put16(extra, 1 + 4);
    buf_append(extra, &(const char){EXTRA_TIME_MODIFIED}, 1);
    put32(extra, (uint32_t)modified);
}

/* The local record has both sizes in it, or neither. */
static void put_extra_local(struct buf *extra, const struct zip_entry *e)
{
    if (is_large(e->size) || is_large(e->packed)) {
        put16(extra, EXTRA_ZIP64);
        put16(extra, 16);
        put64(extra, e->size);
        put64(extra, e->packed);
    }
    put_extra_time(extra, e->modified);
}

/* The directory has what found no room, in this order. */
static void put_extra_central(struct buf *extra, const struct zip_entry *e)
{
    const uint64_t fields[] = {e->size, e->packed, e->offset};
    uint32_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        n += is_large(fields[i]);
    if (n > 0) {
        put16(extra, EXTRA_ZIP64);
        put16(extra, n * 8);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (is_large(fields[i]))
            put64(extra, fields[i]);
    put_extra_time(extra, e->modified);
}

static bool needs_zip64(const struct zip_entry *e)
{
    return is_large(e->size) || is_large(e->packed) || is_large(e->offset);
}

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

/* What both records have in common. */
static void put_entry(struct buf *b, const struct zip_entry *e, bool zip64, bool sizes_apart,
                      const struct buf *extra)
{
    put16(b, zip64 ? VERSION_4_5 : VERSION_2_0);
    put16(b, is_ascii(e->name) ? 0 : NAME_IS_UTF8);
    put16(b, e->method);
    put_time(b, e->modified);
    put32(b, e->crc);
    put32(b, sizes_apart ? UINT32_MAX : or_more(e->packed, UINT32_MAX));
    put32(b, sizes_apart ? UINT32_MAX : or_more(e->size, UINT32_MAX));
    put16(b, (uint32_t)strlen(e->name));
    put16(b, (uint32_t)extra->len);
}

void zip_put_local(struct buf *out, const struct zip_entry *e)
{
    _cleanup_buf_ struct buf extra = BUF_INIT(EXTRA_MAX);
    bool zip64 = is_large(e->size) || is_large(e->packed);

    put_extra_local(&extra, e);
    put32(out, LOCAL);
    put_entry(out, e, zip64, zip64, &extra);
    buf_append_str(out, e->name);
    buf_append(out, extra.data, extra.len);
}

void zip_put_central(struct buf *out, const struct zip_entry *e)
{
    _cleanup_buf_ struct buf extra = BUF_INIT(EXTRA_MAX);
    bool zip64 = needs_zip64(e);

    put_extra_central(&extra, e);
    put32(out, CENTRAL);
    put16(out, zip64 ? VERSION_4_5 : VERSION_2_0); /* made by: MS-DOS, no permissions to tell */
    put_entry(out, e, zip64, false, &extra);
    put16(out, 0); /* comment */
    put16(out, 0); /* disk */
    put16(out, 0); /* internal attributes */
    put32(out, 0); /* external attributes */
    put32(out, or_more(e->offset, UINT32_MAX));
    buf_append_str(out, e->name);
    buf_append(out, extra.data, extra.len);
}

static void put_end64(struct buf *out, uint64_t entries, uint64_t offset, uint64_t size)
{
    put32(out, END64);
    put64(out, END64_BYTES - 12); /* what follows */
    put16(out, VERSION_4_5);
    put16(out, VERSION_4_5);
    put32(out, 0);
    put32(out, 0);
    put64(out, entries);
    put64(out, entries);
    put64(out, size);
    put64(out, offset);

    put32(out, END64_LOCATOR);
    put32(out, 0);
    put64(out, offset + size);
    put32(out, DISKS);
}

void zip_put_end(struct buf *out, uint64_t entries, uint64_t offset, uint64_t size)
{
    if (entries >= UINT16_MAX || is_large(offset) || is_large(size))
        put_end64(out, entries, offset, size);
    put32(out, END);
    put16(out, 0);
    put16(out, 0);
    put16(out, or_more(entries, UINT16_MAX));
    put16(out, or_more(entries, UINT16_MAX));
    put32(out, or_more(size, UINT32_MAX));
    put32(out, or_more(offset, UINT32_MAX));
    put16(out, 0);
}
