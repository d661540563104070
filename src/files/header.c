#include "files/header.h"

#include "core/str.h"
#include "files/bytes.h"

#include <assert.h>
#include <ctype.h>

/* --- dBase: a header of 32 bytes, one of 32 for each field, 0x0d, records of one length */

static bool is_dbf_version(unsigned char version)
{
    static const unsigned char known[] = {0x03, 0x04, 0x05, 0x30, 0x31, 0x43, 0x83, 0x8b, 0x8e, 0xb3, 0xf5};

    return memchr(known, version, sizeof known) != NULL;
}

static bool is_dbf(struct window *w)
{
    enum { HEADER = 32, FIELD = 32, FIELD_LENGTH = 16, END = 0x0d };
    const unsigned char *p = window_at(w, 0, HEADER);
    uint64_t records, header, length, fields = 1 /* the mark of deleted ones */, at;

    if (!p || !is_dbf_version(p[0]) || p[2] > 12 || p[3] > 31)
        return false;
    records = bytes_u32(p + 4);
    header = bytes_u16(p + 8);
    length = bytes_u16(p + 10);
    for (at = HEADER; (p = window_at(w, at, 1)) && *p != END && at + FIELD < header; at += FIELD) {
        p = window_at(w, at, FIELD);
        if (!p || !isalpha(p[11]))
            return false;
        fields += p[FIELD_LENGTH];
    }
    return p && *p == END && at > HEADER && fields == length && header <= w->size &&
           records * length <= w->size - header;
}

/* --- Windows metafile ([MS-WMF] 2.3.2.2, 2.3.2.3) */

static bool is_wmf(struct window *w)
{
    enum { PLACEABLE = 22, HEADER = 18, WORDS = 9 };
    const unsigned char *p = window_at(w, 0, PLACEABLE);
    uint64_t at = 0;
    uint16_t sum = 0;

    if (p && bytes_u32(p) == 0x9ac6cdd7) {
        for (size_t i = 0; i < PLACEABLE - 2; i += 2)
            sum ^= bytes_u16(p + i);
        if (sum != bytes_u16(p + PLACEABLE - 2))
            return false;
        at = PLACEABLE;
    }
    p = window_at(w, at, HEADER);
    return p && (bytes_u16(p) == 1 || bytes_u16(p) == 2) && bytes_u16(p + 2) == WORDS &&
           (bytes_u16(p + 4) == 0x100 || bytes_u16(p + 4) == 0x300);
}

/* --- PICT (Inside Macintosh: Imaging with QuickDraw, A): 512 bytes of anything, a size, a frame, a version
 */

static bool is_pict(struct window *w)
{
    enum { AHEAD = 512, FRAME = 2, VERSION = 10 };
    const unsigned char *p = window_at(w, AHEAD, VERSION + 4);

    if (!p)
        return false;
    for (size_t i = 0; i < 4; i += 2)
        if ((int16_t)bytes_be16(p + FRAME + i) >= (int16_t)bytes_be16(p + FRAME + 4 + i))
            return false;
    return memcmp(p + VERSION, "\x11\x01", 2) == 0 || memcmp(p + VERSION, "\0\x11\x02\xff", 4) == 0;
}

/* --- DXF: lines in pairs, of which the first that is no comment begins a section */

/* The line at *p without the blanks around it, which moves behind it; false when it doesn't end. */
static bool next_line(const char **p, const char *end, const char **ret, size_t *ret_len)
{
    const char *stop = memchr(*p, '\n', (size_t)(end - *p)), *line = *p;

    if (!stop)
        return false;
    *p = stop + 1;
    while (line < stop && isspace((unsigned char)*line))
        line++;
    while (stop > line && isspace((unsigned char)stop[-1]))
        stop--;
    *ret = line;
    *ret_len = (size_t)(stop - line);
    return true;
}

static bool is_line(const char *line, size_t len, const char *expected)
{
    return len == strlen(expected) && memcmp(line, expected, len) == 0;
}

static bool is_dxf(struct window *w)
{
    static const char binary[] = "AutoCAD Binary DXF\r\n\x1a";
    enum { HEAD = 8 << 10 };
    size_t n = w->size < HEAD ? (size_t)w->size : HEAD, code_len, len;
    const char *p = (const char *)window_at(w, 0, n), *end, *code, *value;

    if (!p)
        return false;
    end = p + n;
    if (n >= sizeof binary && memcmp(p, binary, sizeof binary) == 0)
        return true;
    while (next_line(&p, end, &code, &code_len) && next_line(&p, end, &value, &len)) {
        if (is_line(code, code_len, "0"))
            return is_line(value, len, "SECTION");
        if (!is_line(code, code_len, "999"))
            return false;
    }
    return false;
}

bool header_adds_up(struct window *w, const char *format)
{
    static const struct {
        const char *format;
        bool (*is)(struct window *w);
    } kinds[] = {{"dbf", is_dbf}, {"dxf", is_dxf}, {"pct", is_pict}, {"wmf", is_wmf}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_eq(kinds[i].format, format))
            return kinds[i].is(w);
    assert(false);
    return false;
}
