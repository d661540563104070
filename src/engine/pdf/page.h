/* What the targets of the PDF engine share: each turns one page into bytes. pages.c walks the pages, pdf.c
 * and archive.c decide whether the bytes are a file, an entry of a ZIP or a part of one text. */
#pragma once

#include "core/buf.h"
#include "core/outcome.h"
#include "engine/colour.h"
#include "engine/pdf/document.h"
#include "engine/pdf/words.h"

#include <poppler.h>

/* One page's result. A page of 100 megapixels of noise as PNG is 300 MB. */
enum { PAGE_BYTES_MAX = 512 * 1024 * 1024 };

struct page_settings {
    double dpi;
    double width, height; /* the most that a picture may have in pixels; 0: as many as the dpi make */
    int quality;
    const struct colour *background; /* of the paper; NULL: white, and in SVG none */
};

/* A target either writes a page, or encodes what page_draw() made of it, which any thread may do. Bytes are
 * appended to `out` (made with PAGE_BYTES_MAX). */
struct target {
    const char *id;
    enum outcome (*encode)(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out);
    enum outcome (*write)(PopplerPage *page, const struct page_settings *settings, struct buf *out);
    bool single;   /* all pages in one file */
    bool apart;    /* write() may run in several threads, which have a document each */
    bool compress; /* packed in the ZIP; pictures are as small as they get */
    const char *between;
};

/* Paints the background, if there is one, all over. */
void page_paint(cairo_t *cr, const struct page_settings *settings);
enum outcome page_write(PopplerPage *page, const struct target *target, const struct page_settings *settings,
                        struct buf *out);

/* A page of paper with what is printed on it: a cairo image surface (RGB24), and how many bytes that takes.
 */
enum outcome page_draw(PopplerPage *page, const struct page_settings *settings, cairo_surface_t **ret);
size_t page_surface_bytes(PopplerPage *page, const struct page_settings *settings);

/* The resolution that a page was drawn in: the settings' dpi, or less where it had to fit. */
double surface_dpi(cairo_surface_t *surface);

/* Such a surface as a file, which notes its resolution. */
enum outcome surface_to_png(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out);
enum outcome surface_to_jpg(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out);
enum outcome surface_to_webp(cairo_surface_t *surface, const struct page_settings *settings, struct buf *out);
/* Has it no colours? */
bool surface_is_grey(cairo_surface_t *surface);

enum outcome page_to_svg(PopplerPage *page, const struct page_settings *settings, struct buf *out);
enum outcome page_to_txt(PopplerPage *page, const struct page_settings *settings, struct buf *out);
enum outcome page_to_html(PopplerPage *page, const struct page_settings *settings, struct buf *out);

/* What stands around the pages of an HTML file. `title` may be NULL. */
void html_head(const char *title, struct buf *out);
void html_tail(struct buf *out);
