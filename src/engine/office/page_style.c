#include "engine/office/page_style.h"

#include "core/str.h"

#include <errno.h>

struct size {
    int32_t width, height; /* hundredths of a millimetre */
};

/* ISO 216, and ANSI with its older sister; upright. */
static const struct {
    const char *name;
    struct size size;
} papers[] = {
    {"a3", {29700, 42000}},     {"a4", {21000, 29700}},    {"a5", {14800, 21000}},
    {"letter", {21590, 27940}}, {"legal", {21590, 35560}},
};

static void find_paper(const char *name, struct size *size)
{
    for (size_t i = 0; i < ARRAY_SIZE(papers); i++)
        if (name && str_eq(papers[i].name, name))
            *size = papers[i].size;
}

static struct size turned(const struct size *s)
{
    return (struct size){s->height, s->width};
}

/* Other paper lies as that lay which it stands in for. */
static struct size wanted(const struct size *is, const struct page_wish *wish)
{
    bool lies = is->width > is->height;
    struct size size = *is;

    find_paper(wish->paper, &size);
    if (wish->landscape || wish->portrait)
        lies = wish->landscape;
    return lies == (size.width > size.height) ? size : turned(&size);
}

static int change(struct uno_object *style, const struct page_wish *wish)
{
    struct size is, size;
    int r = uno_get_long(style, "Width", &is.width);

    if (r >= 0)
        r = uno_get_long(style, "Height", &is.height);
    if (r < 0)
        return r;
    size = wanted(&is, wish);
    if (size.width == is.width && size.height == is.height)
        return 0;
    r = uno_set_bool(style, "IsLandscape", size.width > size.height);
    if (r >= 0)
        r = uno_set_long(style, "Width", size.width);
    return r < 0 ? r : uno_set_long(style, "Height", size.height);
}

int page_style_apply(struct uno_object *model, const struct page_wish *wish)
{
    _cleanup_uno_object_ struct uno_object *supplier =
        uno_query(model, "com.sun.star.style.XStyleFamiliesSupplier");
    _cleanup_uno_object_ struct uno_object *families = NULL, *styles = NULL;
    int r = -EIO;

    if (!supplier ||
        uno_call(supplier, "com.sun.star.style.XStyleFamiliesSupplier::getStyleFamilies", &families, NULL) <
            0 ||
        !families || !(styles = uno_get_named(families, "PageStyles")))
        return r;
    for (int32_t i = 0, n = uno_count(styles); i < n; i++) {
        _cleanup_uno_object_ struct uno_object *style = uno_get_at(styles, i);

        r = style ? change(style, wish) : -EIO;
        if (r < 0)
            return r;
    }
    return r;
}
