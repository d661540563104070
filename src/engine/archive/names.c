#include "engine/archive/names.h"

#include "core/str.h"

#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>

enum { RAW_MAX = 64 << 10, NUMBER_BYTES = 16 };

/* The upper half of code page 437, in which ZIP has its names when nobody says otherwise (APPNOTE.TXT, D.1).
 * For names in other old codes it is wrong, but readable and the same each time. */
static const uint16_t cp437[128] = {
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee,
    0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6,
    0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa,
    0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502,
    0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
    0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
    0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c,
    0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4,
    0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320,
    0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

/* A name that is in the result: a tree of them (tsearch), which no choice of names makes slow. */
struct known {
    bool folder;
    unsigned number; /* the last one that was tried for another of this name */
    char name[];
};

struct names {
    void *tree;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->name, ((const struct known *)b)->name);
}

int names_new(struct names **ret)
{
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void names_free(struct names *n)
{
    if (!n)
        return;
    tdestroy(n->tree, free);
    free(n);
}

static struct known *make_known(const char *name, bool folder)
{
    size_t size = strlen(name) + 1;
    struct known *k = calloc(1, sizeof *k + size);

    if (k) {
        k->folder = folder;
        memcpy(k->name, name, size);
    }
    return k;
}

/* The one of this name, a new one if there was none: then *ret_new. NULL: out of memory. */
static struct known *know(struct names *n, const char *name, bool folder, bool *ret_new)
{
    struct known *k = make_known(name, folder);
    struct known **found = k ? tsearch(k, &n->tree, by_name) : NULL;

    *ret_new = found && *found == k;
    if (!*ret_new)
        free(k);
    return found ? *found : NULL;
}

/* --- one name */

/* A character behind `at`, as UTF-8. */
static size_t encode(uint32_t cp, char *at)
{
    if (cp < 0x80) {
        at[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        at[0] = (char)(0xc0 | cp >> 6);
        at[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    at[0] = (char)(0xe0 | cp >> 12);
    at[1] = (char)(0x80 | (cp >> 6 & 0x3f));
    at[2] = (char)(0x80 | (cp & 0x3f));
    return 3;
}

/* `raw` as UTF-8 without what isn't seen, slashes for backslashes; a new string, or NULL. */
static char *decode(const char *raw)
{
    size_t left = strnlen(raw, RAW_MAX), len = 0;
    bool text = utf8_valid(raw, left);
    char *out = malloc(left * 3 + 1);

    if (!out)
        return NULL;
    for (size_t n = 1; left > 0; raw += n, left -= n) {
        uint32_t cp = (unsigned char)*raw;

        if (text)
            n = utf8_decode(raw, left, &cp);
        else if (cp >= 0x80)
            cp = cp437[cp - 0x80];
        if (utf8_unseen(cp))
            continue;
        if (text && cp >= 0x80) {
            memcpy(out + len, raw, n);
            len += n;
        } else {
            len += encode(cp == '\\' ? '/' : cp, out + len);
        }
    }
    out[len] = '\0';
    return out;
}

/* Dots and blanks alone lead upwards, or nowhere; Windows takes ".. " for "..". */
static bool is_empty(const char *component, size_t len)
{
    return strspn(component, ". ") >= len;
}

static const char *extension_of(const char *component)
{
    const char *dot = strrchr(component, '.');

    return dot && dot != component && strlen(dot) < NAME_COMPONENT_MAX / 2 ? dot
                                                                           : component + strlen(component);
}

/* stem + number + extension, so that it fits. */
static void number_name(const char *component, unsigned number, char ret[NAME_COMPONENT_MAX + 1])
{
    const char *extension = extension_of(component);
    char between[NUMBER_BYTES] = "";
    size_t stem = (size_t)(extension - component), room = NAME_COMPONENT_MAX - strlen(extension);

    if (number > 1)
        snprintf(between, sizeof between, " (%u)", number);
    room -= strlen(between);
    if (stem > room)
        stem = utf8_clip(component, room);
    snprintf(ret, NAME_COMPONENT_MAX + 1, "%.*s%s%s", (int)stem, component, between, extension);
}

/* Nothing at its beginning is taken for a drive. */
static void tame(char *component)
{
    if (isalpha((unsigned char)component[0]) && component[1] == ':')
        component[1] = '_';
}

/* Appends the component to the name `path`, with a number where that is taken. */
static int add_component(struct names *n, const char *component, bool folder, bool last,
                         char path[NAME_MAX_BYTES + 1])
{
    size_t len = strlen(path);
    struct known *first = NULL;

    for (unsigned number = 1;;) {
        char name[NAME_COMPONENT_MAX + 1];
        struct known *k;
        bool is_new;

        number_name(component, number, name);
        snprintf(path + len, NAME_MAX_BYTES + 1 - len, "%s%s", len > 0 ? "/" : "", name);
        k = know(n, path, folder || !last, &is_new);
        if (!k)
            return -ENOMEM;
        if (first)
            first->number = number;
        if (is_new)
            return 0;
        if (k->folder && (folder || !last))
            return last ? -EEXIST : 0;
        number = first ? number + 1 : k->number > 1 ? k->number : 2; /* folders meet in the last one */
        first = first ? first : k;
    }
}

/* The components of `text`, each ended by a NUL, from the first one on that leaves room for all behind it. */
static char *keep_components(char *text, char *list[NAME_MAX_BYTES], size_t *ret_n)
{
    size_t n = 0, len = 0;
    char *rest = text, *component;

    while ((component = strsep(&rest, "/"))) {
        if (is_empty(component, strlen(component)))
            continue;
        tame(component);
        if (n == NAME_MAX_BYTES) {
            memmove(list, list + 1, (n - 1) * sizeof *list);
            n--;
        }
        list[n++] = component;
    }
    for (size_t i = n; i > 0; i--) {
        size_t bytes = strlen(list[i - 1]);

        len += (bytes > NAME_COMPONENT_MAX - NUMBER_BYTES ? NAME_COMPONENT_MAX : bytes + NUMBER_BYTES) + 1;
        if (len > NAME_MAX_BYTES) {
            memmove(list, list + i, (n - i) * sizeof *list);
            n -= i;
            break;
        }
    }
    *ret_n = n;
    return text;
}

int names_make(struct names *n, const char *raw, bool folder, char ret[NAME_MAX_BYTES + 1])
{
    char *components[NAME_MAX_BYTES];
    _cleanup_free_ char *text = decode(raw);
    size_t count = 0;
    int r = -ENOENT;

    ret[0] = '\0';
    if (!text)
        return -ENOMEM;
    keep_components(text, components, &count);
    for (size_t i = 0; i < count; i++) {
        r = add_component(n, components[i], folder, i + 1 == count, ret);
        if (r < 0)
            return r;
    }
    return r;
}
