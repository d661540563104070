#include "engine/pdf/page.h"

void page_paint(cairo_t *cr, const struct page_settings *settings)
{
    const struct colour *c = settings->background;

    if (!c)
        return;
    cairo_set_source_rgb(cr, c->red / 255.0, c->green / 255.0, c->blue / 255.0);
    cairo_paint(cr);
}

enum outcome page_write(PopplerPage *page, const struct target *target, const struct page_settings *settings,
                        struct buf *out)
{
    cairo_surface_t *surface;
    enum outcome outcome;

    if (!target->encode)
        return target->write(page, settings, out);
    outcome = page_draw(page, settings, &surface);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = target->encode(surface, settings, out);
    cairo_surface_destroy(surface);
    return outcome;
}
