#include "engine/fonts.h"

#include "core/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* Families of the same widths: those that fontconfig calls metric-compatible (30-metric-aliases.conf; the
 * PostScript fonts and the clones that Microsoft made of them are among each other), and Vera, of which
 * DejaVu is made. Each group ends with NULL. */
static const char *const alike[][12] = {
    {"Arial", "Helvetica", "Liberation Sans", "Arimo", "Nimbus Sans", "Nimbus Sans L", "TeX Gyre Heros",
     "Albany", "Albany AMT"},
    {"Arial Narrow", "Helvetica Narrow", "Liberation Sans Narrow", "Nimbus Sans Narrow", "TeX Gyre Heros Cn"},
    {"Times New Roman", "Times", "Liberation Serif", "Tinos", "Nimbus Roman", "Nimbus Roman No9 L",
     "TeX Gyre Termes", "Thorndale", "Thorndale AMT"},
    {"Courier New", "Courier", "Liberation Mono", "Cousine", "Nimbus Mono PS", "Nimbus Mono", "Nimbus Mono L",
     "TeX Gyre Cursor", "Cumberland", "Cumberland AMT"},
    {"Calibri", "Carlito"},
    {"Cambria", "Caladea"},
    {"Georgia", "Gelasio"},
    {"Symbol", "SymbolNeu", "Standard Symbols PS", "Standard Symbols L"},
    {"ITC Avant Garde Gothic", "Avant Garde", "URW Gothic", "URW Gothic L", "TeX Gyre Adventor"},
    {"ITC Bookman", "Bookman Old Style", "URW Bookman", "URW Bookman L", "TeX Gyre Bonum"},
    {"ITC Zapf Chancery", "Zapf Chancery", "Z003", "URW Chancery L", "TeX Gyre Chorus"},
    {"Palatino", "Palatino Linotype", "P052", "URW Palladio L", "TeX Gyre Pagella"},
    {"New Century Schoolbook", "Century Schoolbook", "C059", "Century Schoolbook L", "TeX Gyre Schola"},
    {"Bitstream Vera Sans", "DejaVu Sans"},
    {"Bitstream Vera Sans Mono", "DejaVu Sans Mono"},
    {"Bitstream Vera Serif", "DejaVu Serif"},
};

static bool is_ignored(char c)
{
    return c == ' ' || c == '-' || c == '_';
}

static const char *skip_ignored(const char *s)
{
    while (is_ignored(*s))
        s++;
    return s;
}

bool fonts_same(const char *a, const char *b)
{
    for (;; a++, b++) {
        a = skip_ignored(a);
        b = skip_ignored(b);
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

static bool group_has(const char *const *group, const char *family)
{
    for (; *group; group++)
        if (fonts_same(*group, family))
            return true;
    return false;
}

bool fonts_metric_compatible(const char *font, const char *used)
{
    for (size_t i = 0; i < ARRAY_SIZE(alike); i++)
        if (group_has(alike[i], font))
            return group_has(alike[i], used);
    return false;
}

/* Its length in UTF-8 when it is a control character that `s` begins with (C0, DEL, C1), else 0. */
static size_t control_length(const char *s)
{
    unsigned char c = (unsigned char)s[0];

    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80 ? 2 : 0;
}

static bool name_is_good(const char *name, size_t len)
{
    if (len == 0 || len > FONT_NAME_MAX || !utf8_valid(name, len))
        return false;
    for (size_t i = 0; i < len; i++)
        if (control_length(name + i) > 0)
            return false;
    return true;
}

/* False when nothing of a name is left. */
static bool make_name(const char *from, char ret[FONT_NAME_MAX + 1])
{
    const char *end = from + utf8_clip(from, FONT_NAME_MAX);
    size_t n = 0;

    while (from < end) {
        size_t control = control_length(from);

        ret[n++] = control ? '?' : *from;
        from += control ?: 1;
    }
    ret[n] = '\0';
    return name_is_good(ret, n);
}

static int compare(const struct font_pair *a, const struct font_pair *b)
{
    int by_font = fonts_same(a->font, b->font) ? 0 : strcasecmp(a->font, b->font);

    return by_font ?: strcmp(a->used, b->used);
}

void fonts_add(struct font_list *fonts, const char *font, const char *used)
{
    struct font_pair pair = {0};
    size_t at = 0;

    if (fonts->n == FONTS_MAX || !make_name(font, pair.font) || !make_name(used, pair.used))
        return;
    for (size_t i = 0; i < fonts->n; i++) {
        int order = compare(&fonts->list[i], &pair);

        if (order == 0)
            return;
        at += order < 0;
    }
    memmove(&fonts->list[at + 1], &fonts->list[at], (fonts->n - at) * sizeof pair);
    fonts->list[at] = pair;
    fonts->n++;
}

void fonts_write(const struct font_list *fonts, char ret[FONTS_TEXT_MAX])
{
    char *end = ret;

    *end = '\0';
    for (size_t i = 0; i < fonts->n; i++)
        end += snprintf(end, (size_t)(ret + FONTS_TEXT_MAX - end), "%s\n%s\n", fonts->list[i].font,
                        fonts->list[i].used);
}

/* The line that *p begins with; -EBADMSG when it is no name. */
static int take_name(const char **p, char ret[FONT_NAME_MAX + 1])
{
    size_t len = strcspn(*p, "\n");

    if ((*p)[len] != '\n' || !name_is_good(*p, len))
        return -EBADMSG;
    memcpy(ret, *p, len);
    ret[len] = '\0';
    *p += len + 1;
    return 0;
}

int fonts_parse(const char *text, struct font_list *ret)
{
    *ret = (struct font_list){0};
    while (*text) {
        struct font_pair *pair = &ret->list[ret->n];

        if (ret->n == FONTS_MAX || take_name(&text, pair->font) < 0 || take_name(&text, pair->used) < 0) {
            *ret = (struct font_list){0};
            return -EBADMSG;
        }
        ret->n++;
    }
    ret->known = true;
    return 0;
}

json_t *fonts_json(const struct font_list *fonts)
{
    _cleanup_json_ json_t *array = fonts->known ? json_array() : json_null();

    for (size_t i = 0; i < fonts->n && array; i++) {
        const struct font_pair *pair = &fonts->list[i];
        json_t *object = json_pack("{s:s, s:s, s:b}", "font", pair->font, "used", pair->used,
                                   "metric_compatible", fonts_metric_compatible(pair->font, pair->used));

        if (json_array_append_new(array, object) < 0)
            return NULL;
    }
    return TAKE_PTR(array);
}
