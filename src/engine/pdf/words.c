#include "engine/pdf/words.h"

#include "engine/pdf/colours.h"

#include <errno.h>
#include <string.h>

/* MIN and MAX here and not fmin() and fmax(), which are calls, several for each character. Where something is
 * not a number they give their second argument. */

/* Share of a line's height that is a gap between columns rather than a space between words. Justified text
 * stretches its spaces to about 0.7. */
static const double column_gap = 0.9;

static void free_attributes(GList **list)
{
    poppler_page_free_text_attributes(*list);
}

static bool name_has(const char *name, const char *const *words, size_t n)
{
    for (size_t i = 0; name && i < n; i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

static struct style style_of(const PopplerTextAttributes *a)
{
    static const char *const bold[] = {"bold", "black", "heavy"};
    static const char *const italic[] = {"italic", "oblique"};

    return (struct style){.size = a->font_size,
                          .bold = name_has(a->font_name, bold, ARRAY_SIZE(bold)),
                          .italic = name_has(a->font_name, italic, ARRAY_SIZE(italic))};
}

static void load_styles(PopplerPage *page, struct page_text *t)
{
    _cleanup_(free_attributes) GList *list = poppler_page_get_text_attributes(page);

    for (const GList *l = list; l; l = l->next) {
        const PopplerTextAttributes *a = l->data;
        struct style style = style_of(a);

        for (size_t i = (size_t)MAX(a->start_index, 0); i < t->n && a->end_index >= 0; i++) {
            if (i > (size_t)a->end_index)
                break;
            t->styles[i] = style;
        }
    }
}

/* UTF-8 offsets; false when text and boxes don't belong together. */
static bool index_characters(struct page_text *t)
{
    const char *p = t->text;
    size_t i = 0;

    for (; *p && i < t->n; p = g_utf8_next_char(p))
        t->offsets[i++] = (size_t)(p - t->text);
    t->offsets[i] = (size_t)(p - t->text);
    return i == t->n && !*p;
}

static bool is_blank(const struct page_text *t, size_t i)
{
    char c = t->text[t->offsets[i]];

    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

bool piece_beside(const struct piece *a, const struct piece *b)
{
    double shared = MIN(a->y2, b->y2) - MAX(a->y1, b->y1);

    return shared > 0.5 * MIN(a->y2 - a->y1, b->y2 - b->y1);
}

/* Does character `i`, which is no blank, go on the piece's line, close enough behind it? */
static bool continues(const struct piece *piece, const PopplerRectangle *box)
{
    const struct piece as_piece = {.y1 = box->y1, .y2 = box->y2};
    double height = MAX(piece->y2 - piece->y1, 1), gap = box->x1 - piece->x2;

    return piece_beside(piece, &as_piece) && gap < column_gap * height && gap > -0.5 * height;
}

static void cut(struct page_text *t)
{
    struct piece *piece = NULL;

    for (size_t i = 0; i < t->n; i++) {
        const PopplerRectangle *box = &t->boxes[i];

        if (t->text[t->offsets[i]] == '\n')
            piece = NULL;
        if (is_blank(t, i))
            continue;
        if (!piece || !continues(piece, box)) {
            piece = &t->pieces[t->n_pieces++];
            *piece = (struct piece){.first = i, .x1 = box->x1, .y1 = box->y1, .y2 = box->y2};
        }
        piece->count = i + 1 - piece->first;
        piece->x2 = MAX(box->x2, piece->x2);
        piece->y1 = MIN(box->y1, piece->y1);
        piece->y2 = MAX(box->y2, piece->y2);
    }
}

/* Poppler reads the page when it is first asked for its text, and keeps what it found. */
static char *read_text(PopplerPage *page)
{
    char *text;

    colours_switch(false);
    text = poppler_page_get_text(page);
    colours_switch(true);
    return text;
}

int page_text_load(PopplerPage *page, bool with_styles, struct page_text *ret)
{
    _cleanup_page_text_ struct page_text t = {.text = read_text(page)};
    guint n = 0;

    if (t.text && poppler_page_get_text_layout(page, &t.boxes, &n))
        t.n = n;
    t.offsets = calloc(t.n + 1, sizeof *t.offsets);
    t.styles = with_styles ? calloc(t.n + 1, sizeof *t.styles) : NULL;
    t.pieces = calloc(t.n + 1, sizeof *t.pieces);
    if (!t.offsets || (with_styles && !t.styles) || !t.pieces)
        return -ENOMEM;
    if (t.n > 0 && index_characters(&t)) {
        if (with_styles)
            load_styles(page, &t);
        cut(&t);
    }
    *ret = t;
    memset(&t, 0, sizeof t);
    return 0;
}

void page_text_free(struct page_text *t)
{
    g_free(t->text);
    g_free(t->boxes);
    free(t->offsets);
    free(t->styles);
    free(t->pieces);
}
