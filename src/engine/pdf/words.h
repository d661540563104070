/* The text of a page as pieces: runs of characters that stand side by side on one line. Poppler gives
 * characters with their boxes in reading order; a wide gap or a new line begins a new piece. */
#pragma once

#include "core/cleanup.h"

#include <poppler.h>
#include <stdbool.h>
#include <stddef.h>

struct piece {
    size_t first, count;   /* its characters */
    double x1, y1, x2, y2; /* points from the page's upper left corner */
};

struct style {
    double size; /* points */
    bool bold, italic;
};

struct page_text {
    char *text;
    size_t n;        /* characters */
    size_t *offsets; /* of character i in `text`; n + 1 of them */
    PopplerRectangle *boxes;
    struct style *styles; /* of each character; NULL: not asked for */
    struct piece *pieces;
    size_t n_pieces;
};

/* 0 or -ENOMEM; a page without text has no pieces. Styles take Poppler another walk over the page. */
int page_text_load(PopplerPage *page, bool with_styles, struct page_text *ret) _warn_unused_;
void page_text_free(struct page_text *t);
#define _cleanup_page_text_ _cleanup_(page_text_free)

/* Do the two stand on the same line? */
bool piece_beside(const struct piece *a, const struct piece *b);
