/* Plain text that keeps the look of the page: columns stay columns, a table can be read as one.
 *
 * Poppler's own page text follows reading order, which runs the columns of a table together. Here every piece
 * gets a column of its own on a grid of characters, from left to right: it stands behind all pieces that end
 * before it begins, on any line, and at the matching character of those that it overlaps. So what is aligned
 * on the page is aligned in the text, and prose stays as narrow as it is. */
#include "engine/pdf/page.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Columns compare each piece with each: a page of more pieces than any table has is written line by line. */
enum { PIECES_MAX = 8000, BLANK_LINES_MAX = 2, GAP_MAX = 80 };

struct placed {
    const struct piece *piece;
    size_t column;
    size_t row;
};

static int by_x(const void *a, const void *b)
{
    double x = ((const struct placed *)a)->piece->x1, y = ((const struct placed *)b)->piece->x1;

    return (x > y) - (x < y);
}

static double middle(const struct placed *p)
{
    return (p->piece->y1 + p->piece->y2) / 2;
}

static int by_y(const void *a, const void *b)
{
    double x = middle(a), y = middle(b);

    return (x > y) - (x < y);
}

static int by_row(const void *a, const void *b)
{
    const struct placed *p = a, *q = b;

    if (p->row != q->row)
        return (p->row > q->row) - (p->row < q->row);
    return (p->column > q->column) - (p->column < q->column);
}

/* The column of the first character of `p` that ends right of `x`. */
static size_t column_at(const struct page_text *t, const struct placed *p, double x)
{
    size_t i = 0;

    while (i < p->piece->count && t->boxes[p->piece->first + i].x2 <= x)
        i++;
    return p->column + i;
}

/* The width of a character as the page has them on average: what empty space is measured by. */
static double average_width(const struct page_text *t)
{
    double width = 0;
    size_t count = 0;

    for (size_t i = 0; i < t->n_pieces; i++) {
        width += t->pieces[i].x2 - t->pieces[i].x1;
        count += t->pieces[i].count;
    }
    return count > 0 ? fmax(width / (double)count, 1) : 1;
}

/* Where `p` has to stand with `left` left of it. */
static size_t column_behind(const struct page_text *t, const struct placed *left, const struct placed *p,
                            double character)
{
    double gap = p->piece->x1 - left->piece->x2;

    if (gap < 0)
        return column_at(t, left, p->piece->x1);
    return left->column + left->piece->count + (size_t)MIN(MAX(round(gap / character), 1), GAP_MAX);
}

static void assign_columns(const struct page_text *t, struct placed *pieces, size_t n)
{
    double character = average_width(t);

    qsort(pieces, n, sizeof *pieces, by_x);
    for (size_t i = 0; i < n && n <= PIECES_MAX; i++)
        for (size_t j = 0; j < i; j++)
            pieces[i].column = MAX(pieces[i].column, column_behind(t, &pieces[j], &pieces[i], character));
}

/* Rows from top to bottom, with numbers left out where the page has empty space. */
static void assign_rows(struct placed *pieces, size_t n)
{
    size_t row = 0;
    const struct piece *last = NULL;

    qsort(pieces, n, sizeof *pieces, by_y);
    for (size_t i = 0; i < n; i++) {
        const struct piece *p = pieces[i].piece;

        if (last && !piece_beside(last, p)) {
            double lines = (p->y1 - last->y2) / fmax(p->y2 - p->y1, 1);

            row += 1 + (size_t)fmin(fmax(round(lines), 0), BLANK_LINES_MAX);
            last = p;
        } else if (!last) {
            last = p;
        }
        pieces[i].row = row;
    }
}

static void repeat(struct buf *out, char c, size_t n)
{
    while (n-- > 0)
        buf_append(out, &c, 1);
}

static void print(const struct page_text *t, const struct placed *pieces, size_t n, struct buf *out)
{
    size_t row = 0, column = 0;

    for (size_t i = 0; i < n; i++) {
        const struct placed *p = &pieces[i];

        if (p->row > row) {
            repeat(out, '\n', p->row - row);
            row = p->row;
            column = 0;
        }
        /* a piece that would touch the one before it: overlapping text */
        repeat(out, ' ', p->column > column ? p->column - column : column > 0);
        column = MAX(p->column, column + (column > 0)) + p->piece->count;

        size_t from = t->offsets[p->piece->first], to = t->offsets[p->piece->first + p->piece->count];

        buf_append(out, t->text + from, to - from);
    }
    if (n > 0)
        repeat(out, '\n', 1);
}

enum outcome page_to_txt(PopplerPage *page, const struct page_settings *settings, struct buf *out)
{
    _cleanup_page_text_ struct page_text t = {0};
    _cleanup_free_ struct placed *pieces = NULL;

    if (page_text_load(page, false, &t) < 0)
        return OUTCOME_TOO_COMPLEX;
    pieces = calloc(t.n_pieces + 1, sizeof *pieces);
    if (!pieces)
        return OUTCOME_TOO_COMPLEX;
    for (size_t i = 0; i < t.n_pieces; i++)
        pieces[i].piece = &t.pieces[i];
    assign_columns(&t, pieces, t.n_pieces);
    assign_rows(pieces, t.n_pieces);
    qsort(pieces, t.n_pieces, sizeof *pieces, by_row);
    print(&t, pieces, t.n_pieces, out);
    return buf_error(out) ? OUTCOME_TOO_COMPLEX : OUTCOME_OK;
}
