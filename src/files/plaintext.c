#include "files/plaintext.h"

#include "core/str.h"

#include <ctype.h>
#include <strings.h>

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

/* With a mark, or as XML is written without one. */
static bool is_utf16(const char *data, size_t len)
{
    return len >= 4 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "<\0", 2) == 0 ||
                        memcmp(data, "\xfe\xff", 2) == 0 || memcmp(data, "\0<", 2) == 0);
}

/* The ASCII in a text of UTF-16, and a byte that is none for the rest: a new array, or NULL for want of
 * memory. */
static char *narrow_utf16(const char *data, size_t *len)
{
    bool big = memcmp(data, "\xfe\xff", 2) == 0 || memcmp(data, "\0<", 2) == 0;
    size_t n = 0;
    char *narrow = malloc(*len / 2 + 1);

    for (size_t i = (unsigned char)data[0] >= 0xfe ? 2 : 0; narrow && i + 1 < *len; i += 2)
        narrow[n++] = data[big ? i : i + 1] ? '\x80' : data[big ? i + 1 : i];
    *len = n;
    return narrow;
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

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* Does the line begin like the first `n` bytes of `pattern`? */
static bool line_begins(const char *p, const char *end, const char *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pattern[i] == ' ') {
            p = skip_blanks(p, end);
            continue;
        }
        if (p == end)
            return false;
        if (pattern[i] != '9') {
            if (tolower((unsigned char)*p++) != tolower((unsigned char)pattern[i]))
                return false;
            continue;
        }
        if (!isdigit((unsigned char)*p))
            return false;
        while (p < end && isdigit((unsigned char)*p))
            p++;
    }
    return true;
}

static bool line_matches(const char *p, const char *end, const char *patterns, bool first)
{
    for (; *patterns; patterns += *patterns == '|') {
        bool only_first = *patterns == '^';
        size_t n = strcspn(patterns += only_first, "|");

        if ((first || !only_first) && line_begins(p, end, patterns, n))
            return true;
        patterns += n;
    }
    return false;
}

static bool walk_lines(const char *data, size_t len, const char *patterns)
{
    const char *end = data + len, *p = data;

    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    for (bool first = true; p < end; p++) {
        const char *line = skip_blanks(p, end);

        for (p = line; p < end && *p != '\n' && *p != '\r'; p++)
            ;
        if (p == line)
            continue;
        if (line_matches(line, p, patterns, first))
            return true;
        first = false;
    }
    return false;
}

bool plaintext_has_line(const char *data, size_t len, const char *patterns)
{
    _cleanup_free_ char *narrow = NULL;

    if (!is_utf16(data, len))
        return walk_lines(data, len, patterns);
    narrow = narrow_utf16(data, &len);
    return narrow && walk_lines(narrow, len, patterns);
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

/* As `at`, in either case; or it ends too early to tell. */
static bool could_be(const char *p, const char *end, const char *what)
{
    size_t left = (size_t)(end - p), n = strlen(what);

    return strncasecmp(p, what, left < n ? left : n) == 0;
}

/* Behind the next `what`, or NULL. */
static const char *skip_past(const char *p, const char *end, const char *what)
{
    const char *found = memmem(p, (size_t)(end - p), what, strlen(what));

    return found ? found + strlen(what) : NULL;
}

/* Is the tag behind this "<" called `expected`, whatever its prefix? */
static bool is_tag(const char *p, const char *end, const char *expected)
{
    const char *name = p;

    while (p < end && !isspace((unsigned char)*p) && *p != '>' && *p != '/') {
        if (*p == ':')
            name = p + 1;
        p++;
    }
    return p < end && (size_t)(p - name) == strlen(expected) &&
           strncasecmp(name, expected, (size_t)(p - name)) == 0;
}

/* Behind the ">" that ends a declaration, or NULL; what is in quotes doesn't count. */
static const char *skip_declaration(const char *p, const char *end, bool *ret_subset)
{
    for (; p < end; p++) {
        if (*p == '"' || *p == '\'')
            p = memchr(p + 1, *p, (size_t)(end - p - 1));
        else if (*p == '[')
            *ret_subset = true;
        else if (*p == '>')
            return p + 1;
        if (!p || *ret_subset)
            return NULL;
    }
    return NULL;
}

/* The first control character that is no space, or `end`: no XML has one (XML 1.0, 2.2). */
static const char *find_control(const char *p, const char *end)
{
    while (p < end && ((unsigned char)*p >= ' ' || isspace((unsigned char)*p)))
        p++;
    return p;
}

static enum plaintext_prolog walk_prolog(const char *data, size_t len, const char **ret_root)
{
    const char *end = find_control(data, data + len), *p = data;
    bool subset = false;

    if (at(p, end, "\xef\xbb\xbf"))
        p += 3;
    while (p && (p = skip_space(p, end)) < end) {
        if (*p != '<')
            return PROLOG_OTHER;
        if (at(p, end, "<?")) {
            p = skip_past(p, end, "?>");
        } else if (at(p, end, "<!--")) {
            p = skip_past(p + 4, end, "-->");
        } else if (at(p, end, "<!") && !could_be(p, end, "<!DOCTYPE") && !could_be(p, end, "<!--")) {
            return PROLOG_OTHER;
        } else if (at(p, end, "<!")) {
            p = skip_declaration(p, end, &subset);
            if (subset)
                return PROLOG_SUBSET;
        } else if (p + 1 < end) {
            *ret_root = p + 1;
            return PROLOG_ROOT;
        } else {
            break;
        }
    }
    return end < data + len ? PROLOG_OTHER : PROLOG_UNENDED;
}

enum plaintext_prolog plaintext_prolog(const char *data, size_t len, const char **ret_root)
{
    _cleanup_free_ char *narrow = NULL;
    const char *root;

    if (!is_utf16(data, len))
        return walk_prolog(data, len, ret_root ? ret_root : &root);
    narrow = narrow_utf16(data, &len);
    return narrow ? walk_prolog(narrow, len, &root) : PROLOG_UNENDED;
}

bool plaintext_has_root(const char *data, size_t len, const char *names)
{
    const char *root = NULL;

    if (plaintext_prolog(data, len, &root) != PROLOG_ROOT || !root)
        return false;
    for (const char *p = names; *p; p += *p == '|') {
        char name[32];
        size_t n = strcspn(p, "|");

        snprintf(name, sizeof name, "%.*s", (int)n, p);
        if (is_tag(root, data + len, name))
            return true;
        p += n;
    }
    return false;
}

bool plaintext_is_html(const char *data, size_t len)
{
    const char *end = data + len, *p = data, *root = NULL;

    /* UTF-16 is left to the engine. */
    if (len >= 2 && ((unsigned char)*data >= 0xfe || !data[0] || !data[1]))
        return true;
    if (at(p, end, "\xef\xbb\xbf"))
        p += 3;
    if (at(skip_space(p, end), end, "<?xml"))
        return plaintext_prolog(data, len, &root) == PROLOG_ROOT && root && is_tag(root, end, "html");
    for (; (p = memchr(p, '<', (size_t)(end - p))); p++)
        if (p + 1 < end && (isalpha((unsigned char)p[1]) || p[1] == '!' || p[1] == '/'))
            return true;
    return false;
}

/* A #fragment, a data: URL, or nothing. */
static bool is_inside(const char *p, const char *end)
{
    p = skip_space(p, end);
    return p == end || *p == '#' || ((size_t)(end - p) >= 5 && strncasecmp(p, "data:", 5) == 0);
}

/* Style rules, or an attribute that may hold some. */
static bool style_refers_outside(const char *p, const char *end)
{
    static const char *const quotes[] = {"\"", "'", "&quot;", "&apos;"};

    for (; p < end; p++) {
        if (*p == '@' && end - p > 7 && (strncasecmp(p + 1, "import", 6) == 0 || p[1] == '\\'))
            return true;
        if ((*p != 'u' && *p != 'U') || end - p < 4 || strncasecmp(p, "url(", 4) != 0)
            continue;
        p = skip_space(p + 4, end);
        for (size_t i = 0; i < ARRAY_SIZE(quotes); i++)
            if (at(p, end, quotes[i])) {
                p += strlen(quotes[i]);
                break;
            }
        if (!is_inside(p, end))
            return true;
    }
    return false;
}

static size_t name_length(const char *p, const char *end)
{
    size_t n = 0;

    while (p + n < end && !isspace((unsigned char)p[n]) && !strchr("=/>\"'", p[n]))
        n++;
    return n;
}

/* Without its prefix, is the name this one? */
static bool is_named(const char *name, size_t len, const char *expected)
{
    const char *colon = memchr(name, ':', len);
    size_t skip = colon ? (size_t)(colon + 1 - name) : 0;

    return len - skip == strlen(expected) && memcmp(name + skip, expected, len - skip) == 0;
}

/* Walks the attributes of a tag, from behind its "<"; sets *p behind its ">". */
static bool tag_refers_outside(const char **p, const char *end, bool *ret_style)
{
    const char *name = *p, *at_name;
    size_t len = name_length(name, end), n;
    bool link = is_named(name, len, "a");

    *ret_style = is_named(name, len, "style");
    for (*p = skip_space(name + len, end); *p < end && **p != '>'; *p = skip_space(*p, end)) {
        const char *value, *value_end;

        at_name = *p;
        n = name_length(at_name, end);
        value = skip_space(at_name + n, end);
        if (value == end || *value != '=') {
            *p = at_name + (n ? n : 1);
            continue;
        }
        value = skip_space(value + 1, end);
        if (value == end || (*value != '"' && *value != '\''))
            return false; /* not well-formed: the engine will say so */
        value_end = memchr(value + 1, *value, (size_t)(end - value - 1));
        if (!value_end) {
            *p = end;
            return false;
        }
        *p = value_end + 1;
        value++;
        if (!link && (is_named(at_name, n, "href") || is_named(at_name, n, "src")) &&
            !is_inside(value, value_end))
            return true;
        if (style_refers_outside(value, value_end))
            return true;
    }
    return false;
}

bool plaintext_svg_refers_outside(const char *data, size_t len)
{
    const char *end = data + len;
    bool style = false;

    for (const char *p = data; p && (p = memchr(p, '<', (size_t)(end - p)));) {
        const char *text;

        if (at(p, end, "<!--")) {
            p = skip_past(p + 4, end, "-->");
            continue;
        }
        if (at(p, end, "<?xml-stylesheet"))
            return true;
        p++;
        if (p < end && strchr("/!?", *p))
            continue;
        if (tag_refers_outside(&p, end, &style))
            return true;
        text = p;
        if (style && (p = skip_past(text, end, "</")) && style_refers_outside(text, p))
            return true;
    }
    return false;
}
