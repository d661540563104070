#include "engine/pdf/page.h"

#include <errno.h>
#include <math.h>

enum outcome outcome_of(int r)
{
    if (r == 0)
        return OUTCOME_OK;
    return r == -EFBIG || r == -ENOSPC || r == -ENOMEM || r == -EDQUOT ? OUTCOME_TOO_COMPLEX
                                                                       : OUTCOME_INTERNAL;
}

void page_close(PopplerPage **page)
{
    g_clear_object(page);
}

enum outcome page_open(PopplerDocument *document, int number, PopplerPage **ret)
{
    _cleanup_page_ PopplerPage *page = poppler_document_get_page(document, number);
    double width = 0, height = 0;

    if (page)
        poppler_page_get_size(page, &width, &height);
    if (!(width > 0 && height > 0 && isfinite(width) && isfinite(height)))
        return OUTCOME_CORRUPT_INPUT;
    *ret = TAKE_PTR(page);
    return OUTCOME_OK;
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
