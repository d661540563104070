/* Many pages in one TIFF. */
#pragma once

#include "engine/engine.h"
#include "engine/pdf/page.h"

/* A target's encode(): what tiff_write() takes a page as. */
enum outcome surface_to_strip(cairo_surface_t *surface, const struct page_settings *settings,
                              struct buf *out);

enum outcome tiff_write(struct engine_job *job, const struct target *target, PopplerDocument *document,
                        int pages, const struct page_settings *settings, const char *path);
