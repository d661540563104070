/* Pages of a PDF as Tesseract likes to see them: grey, at the resolution at which it was taught. */
#pragma once

#include "core/outcome.h"
#include "engine/pdf/document.h"

#include <stdbool.h>

struct scan {
    unsigned char *pixels; /* a byte each, rows without a gap */
    int width, height;
    int dpi;
};

void scan_free(struct scan *s);
#define _cleanup_scan_ _cleanup_(scan_free)

/* Does the page have text that can be selected? */
bool scan_has_text(PopplerPage *page);

/* Draws the page. `without_text`: where it has text already it is left white, so that none is read twice. */
enum outcome scan_draw(PopplerPage *page, bool without_text, struct scan *ret);
