#include "files/opc.h"

#include "core/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <strings.h>

enum { XML_MAX = 1 << 20 };

/* A piece of an XML text, not unescaped: no name that matters here needs it. */
struct piece {
    const char *p;
    size_t n;
};

static bool piece_eq(struct piece a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

/* The next tag called `name`, whatever its prefix, from *at on: what is between "<" and ">". Moves *at. */
static bool next_tag(const char **at, const char *name, struct piece *ret)
{
    for (const char *p = *at; p && (p = strchr(p, '<'));) {
        const char *end, *local;

        if (str_starts(p, "<!--")) {
            p = strstr(p + 4, "-->");
            if (!p)
                break;
            continue;
        }
        end = strchr(++p, '>');
        if (!end)
            break;
        local = p;
        for (size_t n = strcspn(p, " \t\r\n/>"); n > 0 && p < end; n--)
            if (p[n - 1] == ':') {
                local = p + n;
                break;
            }
        if (strcspn(local, " \t\r\n/>") == strlen(name) && str_starts(local, name)) {
            *ret = (struct piece){local, (size_t)(end - local)};
            *at = end;
            return true;
        }
        p = end;
    }
    return false;
}

/* The value of a tag's attribute; empty when there is none. */
static struct piece attribute(struct piece tag, const char *name)
{
    const char *end = tag.p + tag.n;

    for (const char *p = tag.p; p < end; p++) {
        const char *at = p + 1 + strlen(name), *close;

        if (!isspace((unsigned char)*p) || !str_starts(p + 1, name))
            continue;
        while (at < end && isspace((unsigned char)*at))
            at++;
        if (at >= end || *at++ != '=')
            continue;
        while (at < end && isspace((unsigned char)*at))
            at++;
        close = at < end && (*at == '"' || *at == '\'') ? memchr(at + 1, *at, (size_t)(end - at - 1)) : NULL;
        if (close)
            return (struct piece){at + 1, (size_t)(close - at - 1)};
    }
    return (struct piece){"", 0};
}

static struct piece without_slash(struct piece name)
{
    while (name.n > 0 && *name.p == '/') {
        name.p++;
        name.n--;
    }
    return name;
}

/* By its own name, else by its extension ([Content_Types].xml, 7.2.3.2). */
static struct piece type_of(const char *types, struct piece part)
{
    const char *dot = memrchr(part.p, '.', part.n);
    struct piece tag, name, extension = {dot ? dot + 1 : "", dot ? (size_t)(part.p + part.n - dot - 1) : 0};

    for (const char *at = types; next_tag(&at, "Override", &tag);) {
        name = without_slash(attribute(tag, "PartName"));
        if (name.n == part.n && strncasecmp(name.p, part.p, part.n) == 0)
            return attribute(tag, "ContentType");
    }
    for (const char *at = types; next_tag(&at, "Default", &tag);) {
        name = attribute(tag, "Extension");
        if (name.n > 0 && name.n == extension.n && strncasecmp(name.p, extension.p, name.n) == 0)
            return attribute(tag, "ContentType");
    }
    return (struct piece){"", 0};
}

static bool is_one_of(struct piece type, const char *types)
{
    for (const char *p = types; *p; p += *p == '|') {
        size_t n = strcspn(p, "|");

        if (n == type.n && strncasecmp(p, type.p, n) == 0)
            return true;
        p += n;
    }
    return false;
}

static bool piece_ends(struct piece a, const char *end)
{
    size_t n = strlen(end);

    return a.n >= n && memcmp(a.p + a.n - n, end, n) == 0;
}

/* Strict and transitional documents name the relation by different URLs of the same end; Visio's has another
 * ([MS-VSDX] 2.2.2). */
static bool leads_to_main(struct piece tag)
{
    struct piece type = attribute(tag, "Type");

    return (piece_ends(type, "/relationships/officeDocument") ||
            piece_ends(type, "/visio/2010/relationships/document")) &&
           !piece_eq(attribute(tag, "TargetMode"), "External");
}

static int has_part(const struct zipdir *z, struct piece name)
{
    _cleanup_free_ char *copy = strndup(name.p, name.n);

    return !copy ? -ENOMEM : zipdir_has(z, copy) ? 0 : -EMEDIUMTYPE;
}

int opc_check(struct zipdir *z, const char *types)
{
    _cleanup_free_ char *declared = NULL, *relations = NULL;
    struct piece tag;
    size_t n, found = 0;
    int r = zipdir_read(z, "[Content_Types].xml", XML_MAX, &declared, &n);

    if (r == 0)
        r = zipdir_read(z, "_rels/.rels", XML_MAX, &relations, &n);
    if (r < 0)
        return r;
    for (const char *at = relations; next_tag(&at, "Relationship", &tag);) {
        struct piece part;

        if (!leads_to_main(tag))
            continue;
        part = without_slash(attribute(tag, "Target"));
        if (++found > 1 || !is_one_of(type_of(declared, part), types))
            return -EMEDIUMTYPE;
        r = has_part(z, part);
        if (r < 0)
            return r;
    }
    return found > 0 ? 0 : -EMEDIUMTYPE;
}
