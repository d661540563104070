/* What the targets of the PDF engine share: each turns one page into bytes. pdf.c walks the pages and decides
 * whether the bytes are a file, an entry of a ZIP or a part of one text. */
#pragma once

#include "core/buf.h"
#include "core/outcome.h"
#include "engine/pdf/words.h"

#include <poppler.h>

/* One page's result. A page of 100 megapixels of noise as PNG is 300 MB. */
enum { PAGE_BYTES_MAX = 512 * 1024 * 1024 };

struct page_settings {
    double dpi;
    int quality;
};

/* Append the page to `out` (made with PAGE_BYTES_MAX). */
enum outcome page_to_png(PopplerPage *page, const struct page_settings *settings, struct buf *out);
enum outcome page_to_jpg(PopplerPage *page, const struct page_settings *settings, struct buf *out);
enum outcome page_to_svg(PopplerPage *page, const struct page_settings *settings, struct buf *out);
enum outcome page_to_txt(PopplerPage *page, const struct page_settings *settings, struct buf *out);
enum outcome page_to_html(PopplerPage *page, const struct page_settings *settings, struct buf *out);

/* A cairo image surface (RGB24), whose resolution is noted as the settings' dpi, appended as JPEG. */
enum outcome surface_to_jpg(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out);

/* What stands around the pages of an HTML file. `title` may be NULL. */
void html_head(const char *title, struct buf *out);
void html_tail(struct buf *out);
