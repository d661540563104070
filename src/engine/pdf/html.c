/* A page as flowing HTML: paragraphs in reading order, with headings, bold, italic and relative sizes, and
 * the page's pictures where they stand between the paragraphs.
 *
 * A PDF has lines, no paragraphs; those are guessed from distances, as a reader does: a line goes on where
 * the next one is close below, equally large and not indented, and its end is meant where the next line's
 * first word would still have fitted. Positioned text over a picture of the page was rejected: it looks
 * exact, but is of no use to someone who wants to edit or restyle the text, or read it on a telephone. */
#include "engine/pdf/page.h"

#include <math.h>
#include <string.h>

enum { IMAGES_MAX = 40, IMAGE_POINTS_MIN = 16 };

static const char style_sheet[] =
    "body{font:16px/1.45 sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#111;background:#fff}"
    "section{border-top:1px solid #ccc;padding:1em 0}section:first-of-type{border:0}"
    "p,h2,h3{margin:.7em 0}h2,h3{line-height:1.2}.c{text-align:center}"
    "img{max-width:100%;height:auto}";

static void put_escaped(const char *text, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '&')
            buf_append_str(out, "&amp;");
        else if (c == '<')
            buf_append_str(out, "&lt;");
        else if (c == '>')
            buf_append_str(out, "&gt;");
        else if (c == '"')
            buf_append_str(out, "&quot;");
        else if (c < ' ' || c == 0x7f)
            buf_append_str(out, " ");
        else
            buf_append(out, &text[i], 1);
    }
}

void html_head(const char *title, struct buf *out)
{
    buf_append_str(out, "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width\">\n"
                        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                        "style-src 'unsafe-inline'; img-src data:\">\n<title>");
    if (title)
        put_escaped(title, strlen(title), out);
    buf_printf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n", style_sheet);
}

void html_tail(struct buf *out)
{
    buf_append_str(out, "</body>\n</html>\n");
}

/* Where the walk over a page's pieces is. */
struct flow {
    const struct page_text *t;
    const struct page_settings *settings;
    PopplerPage *page;
    struct buf *out;
    double body_size, page_width;
    GList *images; /* not yet placed, from top to bottom */
    unsigned n_images;
    const char *tag;    /* of the open paragraph; NULL: none is open */
    struct style style; /* of the character written last */
    double left, right; /* extents of the open paragraph */
    const struct piece *last;
};

static const struct style *style_at(const struct flow *f, size_t character)
{
    return &f->t->styles[character];
}

/* The size of most characters. */
static double find_body_size(const struct page_text *t)
{
    enum { STEPS = 400 };
    unsigned counts[STEPS] = {0};
    size_t best = 0;

    for (size_t i = 0; i < t->n; i++) {
        size_t step = (size_t)fmin(fmax(t->styles[i].size * 2, 0), STEPS - 1);

        if (step > 0 && ++counts[step] > counts[best])
            best = step;
    }
    return best > 0 ? (double)best / 2 : 10;
}

static void switch_style(struct flow *f, bool bold, bool italic)
{
    if (f->style.italic && (!italic || bold != f->style.bold)) {
        buf_append_str(f->out, "</i>");
        f->style.italic = false;
    }
    if (f->style.bold != bold)
        buf_append_str(f->out, bold ? "<b>" : "</b>");
    f->style.bold = bold;
    if (italic && !f->style.italic)
        buf_append_str(f->out, "<i>");
    f->style.italic = italic;
}

static void close_paragraph(struct flow *f)
{
    if (!f->tag)
        return;
    switch_style(f, false, false);
    buf_printf(f->out, "</%s>\n", f->tag);
    f->tag = NULL;
}

static cairo_status_t to_buf(void *out, const unsigned char *data, unsigned len)
{
    return buf_append(out, data, len) < 0 ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

/* Opaque pictures as JPEG, transparent ones as PNG. Others (stencils) are left out. */
static bool encode_image(struct flow *f, cairo_surface_t *surface, struct buf *data, const char **ret_type)
{
    if (cairo_surface_get_type(surface) != CAIRO_SURFACE_TYPE_IMAGE)
        return false;
    switch (cairo_image_surface_get_format(surface)) {
    case CAIRO_FORMAT_RGB24:
        *ret_type = "jpeg";
        return surface_to_jpg(surface, f->settings, data) == OUTCOME_OK;
    case CAIRO_FORMAT_ARGB32:
        *ret_type = "png";
        return cairo_surface_write_to_png_stream(surface, to_buf, data) == CAIRO_STATUS_SUCCESS;
    default:
        return false;
    }
}

static void put_image(struct flow *f, const PopplerImageMapping *mapping)
{
    double width = mapping->area.x2 - mapping->area.x1;
    _cleanup_buf_ struct buf data = BUF_INIT(PAGE_BYTES_MAX / 2);
    cairo_surface_t *surface;
    const char *type;
    char *base64;

    if (width < IMAGE_POINTS_MIN || mapping->area.y2 - mapping->area.y1 < IMAGE_POINTS_MIN ||
        ++f->n_images > IMAGES_MAX)
        return;
    surface = poppler_page_get_image(f->page, mapping->image_id);
    if (!surface)
        return;
    close_paragraph(f);
    if (encode_image(f, surface, &data, &type)) {
        base64 = g_base64_encode((const unsigned char *)data.data, data.len);
        buf_printf(f->out, "<p><img alt=\"\" width=\"%.0f\" src=\"data:image/%s;base64,", width * 96 / 72,
                   type);
        buf_append_str(f->out, base64);
        buf_append_str(f->out, "\"></p>\n");
        g_free(base64);
    }
    cairo_surface_destroy(surface);
}

/* The pictures that begin above `y`. */
static void put_images(struct flow *f, double y)
{
    while (f->images) {
        const PopplerImageMapping *mapping = f->images->data;

        if (mapping->area.y1 > y)
            break;
        put_image(f, mapping);
        f->images = f->images->next;
    }
}

static void open_paragraph(struct flow *f, const struct piece *p)
{
    double ratio = style_at(f, p->first)->size / f->body_size;
    bool centred =
        fabs((p->x1 + p->x2) / 2 - f->page_width / 2) < 0.02 * f->page_width && p->x1 > 0.2 * f->page_width;

    close_paragraph(f);
    put_images(f, p->y1);
    ratio = fmin(fmax(ratio, 0.6), 3);
    f->tag = ratio >= 1.5 ? "h2" : ratio >= 1.2 ? "h3" : "p";
    buf_printf(f->out, "<%s%s", f->tag, centred ? " class=\"c\"" : "");
    if (fabs(ratio - 1) >= 0.1)
        buf_printf(f->out, " style=\"font-size:%.2gem\"", ratio);
    buf_append_str(f->out, ">");
    f->left = p->x1;
    f->right = p->x2;
}

static double first_word_width(const struct page_text *t, const struct piece *p)
{
    size_t i = p->first;

    while (i + 1 < p->first + p->count && t->text[t->offsets[i + 1]] != ' ')
        i++;
    return t->boxes[i].x2 - p->x1;
}

static bool same_paragraph(const struct flow *f, const struct piece *p)
{
    const struct piece *last = f->last;
    double height = last->y2 - last->y1, gap = p->y1 - last->y2;
    const struct style *a = style_at(f, last->first + last->count - 1), *b = style_at(f, p->first);

    return gap < 0.6 * height && gap > -0.6 * height && p->y1 > last->y1 &&
           fabs(a->size - b->size) < 0.15 * f->body_size && a->bold == b->bold && p->x1 < f->right &&
           p->x2 > f->left && p->x1 - fmin(f->left, last->x1) < 0.8 * height;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* What stands between the last line and this one: a line break that was meant, the second half of a divided
 * word, or a space. */
static void join_lines(struct flow *f, const struct piece *p)
{
    const char *text = f->t->text;
    size_t end = f->t->offsets[f->last->first + f->last->count];
    double right = fmax(f->right, p->x2), space = 0.25 * (p->y2 - p->y1);

    if (f->last->x2 + space + first_word_width(f->t, p) < right) {
        buf_append_str(f->out, "<br>\n");
    } else if (end >= 2 && text[end - 1] == '-' && is_lower(text[end - 2]) &&
               is_lower(text[f->t->offsets[p->first]]) && f->out->len > 0 &&
               f->out->data[f->out->len - 1] == '-') {
        f->out->data[--f->out->len] = '\0';
    } else {
        buf_append_str(f->out, "\n");
    }
}

static void put_characters(struct flow *f, const struct piece *p)
{
    for (size_t i = p->first; i < p->first + p->count; i++) {
        const struct style *s = style_at(f, i);
        size_t from = f->t->offsets[i], to = f->t->offsets[i + 1];

        if (s->bold != f->style.bold || s->italic != f->style.italic)
            switch_style(f, s->bold, s->italic);
        put_escaped(f->t->text + from, to - from, f->out);
    }
}

static void put_piece(struct flow *f, const struct piece *p)
{
    if (!f->tag) {
        open_paragraph(f, p);
    } else if (piece_beside(f->last, p) && p->x1 >= f->last->x1) {
        buf_append_str(f->out, "&emsp;");
    } else if (same_paragraph(f, p)) {
        join_lines(f, p);
        f->left = fmin(f->left, p->x1);
    } else {
        open_paragraph(f, p);
    }
    f->right = fmax(f->right, p->x2);
    put_characters(f, p);
    f->last = p;
}

static gint by_top(gconstpointer a, gconstpointer b)
{
    double x = ((const PopplerImageMapping *)a)->area.y1, y = ((const PopplerImageMapping *)b)->area.y1;

    return (x > y) - (x < y);
}

enum outcome page_to_html(PopplerPage *page, const struct page_settings *settings, struct buf *out)
{
    _cleanup_page_text_ struct page_text t = {0};
    struct flow f = {.t = &t, .settings = settings, .page = page, .out = out};
    GList *images;

    if (page_text_load(page, true, &t) < 0)
        return OUTCOME_TOO_COMPLEX;
    images = g_list_sort(poppler_page_get_image_mapping(page), by_top);
    f.images = images;
    f.body_size = find_body_size(&t);
    poppler_page_get_size(page, &f.page_width, NULL);
    buf_append_str(out, "<section>\n");
    for (size_t i = 0; i < t.n_pieces; i++)
        put_piece(&f, &t.pieces[i]);
    close_paragraph(&f);
    put_images(&f, INFINITY);
    buf_append_str(out, "</section>\n");
    poppler_page_free_image_mapping(images);
    return buf_error(out) ? OUTCOME_TOO_COMPLEX : OUTCOME_OK;
}
