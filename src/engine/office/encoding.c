#include "engine/office/encoding.h"

#include "core/str.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>

#define UTF8_MARK        "\xef\xbb\xbf"
#define UTF16_MARK       "\xff\xfe"
#define UTF16_OTHER_MARK "\xfe\xff" /* of the other order */

static bool begins_with(const char *text, size_t len, const char *mark)
{
    return len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0;
}

size_t encoding_mark(const char *utf8, size_t len)
{
    return begins_with(utf8, len, UTF8_MARK) ? strlen(UTF8_MARK) : 0;
}

const char *encoding_guess(const char *text, size_t len)
{
    if (utf8_valid(text, len))
        return "utf-8";
    if (begins_with(text, len, UTF16_MARK) || begins_with(text, len, UTF16_OTHER_MARK))
        return "utf-16";
    return "windows-1252";
}

/* Where the C library has another name. Windows' own variants are what files of these names are in; one that
 * has more characters is read, and the one of the name is written. */
static const struct {
    const char *name, *read, *write;
} others[] = {
    {"shift_jis", "CP932", "CP932"}, {"euc-kr", "UHC", "UHC"},          {"gbk", "GB18030", "GBK"},
    {"big5", "BIG5-HKSCS", "BIG5"},  {"windows-874", "CP874", "CP874"},
};

static const char *library_name(const char *name, bool reading)
{
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (str_eq(others[i].name, name))
            return reading ? others[i].read : others[i].write;
    return name;
}

static bool is_converter(iconv_t c)
{
    return c != (iconv_t)-1; // NOLINT(performance-no-int-to-ptr): iconv_open(3) says so
}

static void close_converter(iconv_t *c)
{
    if (is_converter(*c))
        iconv_close(*c);
}
#define _cleanup_converter_ _cleanup_(close_converter)

/* Converts what can be; NULL: the end of the text. 0, or -EILSEQ at what can't. */
static int run(iconv_t converter, char **text, size_t *len, struct buf *out)
{
    char piece[16 * 1024];

    for (;;) {
        char *to = piece;
        size_t room = sizeof piece, r = iconv(converter, text, len, &to, &room);
        int error = r == (size_t)-1 ? errno : 0;

        if (buf_append(out, piece, sizeof piece - room) < 0)
            return buf_error(out);
        if (error != E2BIG)
            return error ? -EILSEQ : 0; /* or what the text breaks off in */
    }
}

/* --- reading */

/* Windows-1252 from 0x80 to 0x9f; the five unassigned codes are controls, as in Latin-1 and HTML. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

static void append_code(struct buf *b, uint32_t c)
{
    char utf8[4];
    size_t n;

    if (c < 0x80) {
        utf8[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        utf8[0] = (char)(0xc0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        utf8[0] = (char)(0xe0 | c >> 12);
        n = 3;
    } else {
        utf8[0] = (char)(0xf0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        utf8[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
    buf_append(b, utf8, n);
}

static int read_windows_1252(const unsigned char *in, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++)
        append_code(out, in[i] >= 0x80 && in[i] < 0xa0 ? windows_1252[in[i] - 0x80] : in[i]);
    return buf_error(out);
}

/* Half a pair becomes a replacement character. */
static int read_utf16(const char *text, size_t len, struct buf *out)
{
    const unsigned char *in = (const unsigned char *)text;
    bool big_endian = begins_with(text, len, UTF16_OTHER_MARK);
    const size_t high = big_endian ? 0 : 1;
    uint32_t lead = 0;

    for (size_t i = big_endian || begins_with(text, len, UTF16_MARK) ? 2 : 0; i + 1 < len; i += 2) {
        uint32_t c = (uint32_t)in[i + high] << 8 | in[i + 1 - high];

        if (c >= 0xd800 && c < 0xdc00) {
            if (lead)
                append_code(out, 0xfffd);
            lead = c;
        } else if (c >= 0xdc00 && c < 0xe000) {
            append_code(out, lead ? 0x10000 + ((lead - 0xd800) << 10) + (c - 0xdc00) : 0xfffd);
            lead = 0;
        } else {
            if (lead)
                append_code(out, 0xfffd);
            append_code(out, c);
            lead = 0;
        }
    }
    return buf_error(out);
}

static int read_utf8(const char *text, size_t len, struct buf *out)
{
    size_t mark = encoding_mark(text, len);

    return utf8_valid(text, len) ? buf_append(out, text + mark, len - mark) : -EILSEQ;
}

int encoding_read(const char *name, const char *text, size_t len, struct buf *ret)
{
    if (str_eq(name, "utf-8"))
        return read_utf8(text, len, ret);
    if (str_eq(name, "utf-16"))
        return read_utf16(text, len, ret);
    if (str_eq(name, "windows-1252"))
        return read_windows_1252((const unsigned char *)text, len, ret);

    _cleanup_converter_ iconv_t converter = iconv_open("UTF-8", library_name(name, true));
    char *at = (char *)text;
    int r = is_converter(converter) ? run(converter, &at, &len, ret) : -ENOTSUP;

    return r < 0 ? r : run(converter, NULL, NULL, ret);
}

/* --- writing */

static int write_by_library(const char *name, const char *utf8, size_t len, struct buf *out)
{
    _cleanup_converter_ iconv_t converter = iconv_open(library_name(name, false), "UTF-8");
    char *at = (char *)utf8;
    int r;

    if (!is_converter(converter))
        return -ENOTSUP;
    while ((r = run(converter, &at, &len, out)) == -EILSEQ && len > 0) {
        uint32_t ignored;
        size_t skipped = utf8_decode(at, len, &ignored) ?: 1, one = 1;
        char *mark = (char[]){'?'};

        r = run(converter, &mark, &one, out);
        if (r < 0)
            return r;
        at += skipped;
        len -= skipped;
    }
    return r < 0 ? r : run(converter, NULL, NULL, out);
}

int encoding_write(const char *name, const char *utf8, size_t len, struct buf *ret)
{
    if (str_eq(name, "utf-8"))
        return buf_append(ret, utf8, len);
    if (str_eq(name, ENCODING_MARKED))
        buf_append_str(ret, UTF8_MARK);
    else if (str_eq(name, "utf-16"))
        buf_append_str(ret, UTF16_MARK);
    else
        return write_by_library(name, utf8, len, ret);
    return str_eq(name, "utf-16") ? write_by_library("utf-16le", utf8, len, ret) : buf_append(ret, utf8, len);
}
