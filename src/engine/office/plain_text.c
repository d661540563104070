#include "engine/office/plain_text.h"

#include "core/str.h"
#include "engine/office/whole_file.h"

#include <fcntl.h>
#include <stdint.h>

/* A text of this size is some 100,000 pages; LibreOffice would not get through it in time. */
enum { TEXT_BYTES_MAX = 256 << 20 };

#define UTF8_MARK "\xef\xbb\xbf"

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

static void from_utf16(const unsigned char *in, size_t len, bool big_endian, struct buf *out)
{
    const size_t high = big_endian ? 0 : 1;
    uint32_t lead = 0;

    for (size_t i = 0; i + 1 < len; i += 2) {
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
}

static void from_windows_1252(const unsigned char *in, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++)
        append_code(out, in[i] >= 0x80 && in[i] < 0xa0 ? windows_1252[in[i] - 0x80] : in[i]);
}

int plain_text_to_utf8(const char *path, const char *copy_path)
{
    _cleanup_buf_ struct buf in = BUF_INIT(TEXT_BYTES_MAX), out = BUF_INIT(3UL * TEXT_BYTES_MAX);
    int r = whole_file_read(path, &in);

    if (r < 0)
        return r;
    if (in.len == 0 || utf8_valid(in.data, in.len))
        return 0;

    const unsigned char *bytes = (const unsigned char *)in.data;

    if (in.len >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff)))
        from_utf16(bytes + 2, in.len - 2, bytes[0] == 0xfe, &out);
    else
        from_windows_1252(bytes, in.len, &out);
    r = buf_error(&out);
    if (r >= 0)
        r = whole_file_write(copy_path, out.data ?: "", out.len);
    return r < 0 ? r : 1;
}

char plain_text_separator(const char *path)
{
    static const char candidates[] = ",;\t|";
    size_t counts[sizeof candidates] = {0}, best = 0;
    char head[64 * 1024];
    bool quoted = false;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, head, sizeof head);

    for (ssize_t i = 0; i < len && (quoted || (head[i] != '\n' && head[i] != '\r')); i++) {
        const char *at = head[i] ? strchr(candidates, head[i]) : NULL;

        if (head[i] == '"')
            quoted = !quoted;
        else if (at && !quoted)
            counts[at - candidates]++;
    }
    for (size_t i = 1; i < sizeof candidates - 1; i++)
        if (counts[i] > counts[best])
            best = i;
    return candidates[best];
}

int plain_text_drop_mark(const char *path)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_BYTES_MAX);
    const size_t mark = strlen(UTF8_MARK);
    int r = whole_file_read(path, &text);

    if (r < 0 || text.len < mark || memcmp(text.data, UTF8_MARK, mark) != 0)
        return r;
    return whole_file_write(path, text.data + mark, text.len - mark);
}
