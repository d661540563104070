#include "files/plaintext.h"

#include "core/str.h"

#include <ctype.h>

enum { BELL = 7, CARRIAGE_RETURN = 13, DOS_END_OF_FILE = 26, ESCAPE = 27 };

/* Bell to carriage return and escape are what libmagic counts as text, too; DEL is in old listings. */
static bool is_binary(unsigned c)
{
    return c < ' ' && !(c >= BELL && c <= CARRIAGE_RETURN) && c != ESCAPE;
}

static bool utf16_valid(const unsigned char *p, size_t len, bool whole, bool big)
{
    bool after_high = false;

    if (whole && len % 2 != 0)
        return false;
    for (size_t i = 0; i + 1 < len; i += 2) {
        unsigned unit = big ? p[i] << 8 | p[i + 1] : p[i + 1] << 8 | p[i];
        bool low = (unit & 0xfc00) == 0xdc00;

        if (is_binary(unit) || low != after_high)
            return false;
        after_high = (unit & 0xfc00) == 0xd800;
    }
    return !(whole && after_high);
}

bool plaintext_valid(const char *data, size_t len, bool whole)
{
    const unsigned char *p = (const unsigned char *)data;

    if (len >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        return utf16_valid(p, len, whole, p[0] == 0xfe);
    for (size_t i = 0; i < len; i++)
        if (is_binary(p[i]) && !(p[i] == DOS_END_OF_FILE && whole && i + 1 == len))
            return false;
    return true;
}

static bool has_quoted(const char *data, size_t len, const char *word, size_t n)
{
    const char *end = data + len;

    for (const char *p = data; (p = memmem(p, (size_t)(end - p), word, n)); p++)
        if (p > data && (p[-1] == '"' || p[-1] == '\'') && p + n < end && p[n] == p[-1])
            return true;
    return false;
}

bool plaintext_has_attribute(const char *data, size_t len, const char *markers)
{
    for (const char *p = markers; *p;) {
        size_t n = strcspn(p, "|");

        if (has_quoted(data, len, p, n))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && isspace((unsigned char)*p))
        p++;
    return p;
}

static bool at(const char *p, const char *end, const char *what)
{
    return (size_t)(end - p) >= strlen(what) && memcmp(p, what, strlen(what)) == 0;
}

/* Behind the next `what`, or NULL. */
static const char *skip_past(const char *p, const char *end, const char *what)
{
    const char *found = memmem(p, (size_t)(end - p), what, strlen(what));

    return found ? found + strlen(what) : NULL;
}

static bool is_svg_tag(const char *p, const char *end)
{
    const char *name = p;

    while (p < end && !isspace((unsigned char)*p) && *p != '>' && *p != '/') {
        if (*p == ':')
            name = p + 1;
        p++;
    }
    return p < end && p - name == 3 && memcmp(name, "svg", 3) == 0;
}

bool plaintext_is_svg(const char *data, size_t len)
{
    const char *end = data + len, *p = data;

    if (at(p, end, "\xef\xbb\xbf"))
        p += 3;
    while (p && (p = skip_space(p, end)) < end) {
        if (at(p, end, "<?")) {
            p = skip_past(p, end, "?>");
        } else if (at(p, end, "<!--")) {
            p = skip_past(p + 4, end, "-->");
        } else if (at(p, end, "<!DOCTYPE")) {
            const char *close = skip_past(p, end, ">");

            if (close && memchr(p, '[', (size_t)(close - p)))
                return false;
            p = close;
        } else {
            return *p == '<' && is_svg_tag(p + 1, end);
        }
    }
    return false;
}
