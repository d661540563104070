#include "engine/office/font_use.h"

#include "core/str.h"
#include "engine/office/uno.h"

#include <fontconfig/fontconfig.h>

#define INTERFACE "com.sun.star.awt.XFontMappingUse"
#define ITEMS     "[]com.sun.star.awt.XFontMappingUseItem"

enum { NAME_MAX_BYTES = 256 };

/* Sequences of UNO, whose heads are as in uno.h. Each name is a family, or "family/style". */
struct names {
    int32_t references, n;
    struct uno_string *names[];
};

struct uses {
    int32_t references, n;
    struct use {
        struct uno_string *asked;
        struct names *used; /* what was taken for it, then others that had the characters it lacks */
        int32_t times;
    } uses[];
};

static struct uno_object *mapping;

void font_use_prepare(void)
{
    _cleanup_uno_object_ struct uno_object *toolkit = uno_create("com.sun.star.awt.Toolkit");
    struct font_list none;

    mapping = toolkit ? uno_query(toolkit, INTERFACE) : NULL;
    /* Looks the types up, which children then need not. */
    font_use_begin();
    font_use_end(&none);
}

void font_use_begin(void)
{
    if (!mapping || uno_call(mapping, INTERFACE "::startTrackingFontMappingUse", NULL, NULL) == 0)
        return;
    mapping->release(mapping);
    mapping = NULL;
}

/* Where there are styles, the last slash is before one. */
static void read_family(const struct uno_string *s, char ret[NAME_MAX_BYTES])
{
    uno_text(s, ret, NAME_MAX_BYTES);

    char *slash = strrchr(ret, '/');

    if (slash)
        *slash = '\0';
}

/* HTML asks for a list ("Calibri;Arial;sans-serif"), of which the first is what its author wanted; after a
 * colon a name may have features, and before that of vertical text is an at sign. */
static const char *first_family(char *asked)
{
    asked += strspn(asked, "@ ");
    asked[strcspn(asked, ";:")] = '\0';
    return asked;
}

/* What LibreOffice calls its own symbols, or CSS whatever font is there. */
static bool is_no_font(const char *asked)
{
    static const char *const names[] = {"StarSymbol", "serif",   "sans-serif", "monospace",
                                        "cursive",    "fantasy", "system-ui"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (fonts_same(names[i], asked))
            return true;
    return false;
}

static bool has_name(const FcPattern *font, const char *family)
{
    FcChar8 *name;

    for (int i = 0; FcPatternGetString(font, FC_FAMILY, i, &name) == FcResultMatch; i++)
        if (fonts_same((const char *)name, family))
            return true;
    return false;
}

/* The configuration is that which LibreOffice has loaded, with the fonts that the document has brought. */
bool font_use_is_name_of(const char *asked, const char *used)
{
    FcConfig *config = FcConfigReference(NULL);
    FcPattern *pattern = FcPatternBuild(NULL, FC_FAMILY, FcTypeString, asked, (char *)NULL);
    FcObjectSet *objects = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
    FcFontSet *fonts = config && pattern && objects ? FcFontList(config, pattern, objects) : NULL;
    bool found = false;

    for (int i = 0; fonts && i < fonts->nfont && !found; i++)
        found = has_name(fonts->fonts[i], used);
    if (fonts)
        FcFontSetDestroy(fonts);
    if (objects)
        FcObjectSetDestroy(objects);
    if (pattern)
        FcPatternDestroy(pattern);
    if (config)
        FcConfigDestroy(config);
    return found;
}

static void add_use(struct font_list *fonts, const struct use *use)
{
    char asked_for[NAME_MAX_BYTES], used[NAME_MAX_BYTES];

    if (use->used->n == 0)
        return;
    read_family(use->asked, asked_for);
    read_family(use->used->names[0], used);

    const char *asked = first_family(asked_for);

    if (!fonts_same(asked, used) && !is_no_font(asked) && !font_use_is_name_of(asked, used))
        fonts_add(fonts, asked, used);
}

void font_use_end(struct font_list *ret)
{
    struct uses *uses = NULL;

    *ret = (struct font_list){0};
    if (!mapping || uno_call(mapping, INTERFACE "::finishTrackingFontMappingUse", &uses, NULL) < 0 || !uses)
        return;
    for (int32_t i = 0; i < uses->n && ret->n < FONTS_MAX; i++)
        add_use(ret, &uses->uses[i]);
    ret->known = true;
    uno_destroy(&uses, ITEMS);
}
