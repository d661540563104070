/* The paper on which LibreOffice lays a text or sheets out. Documents have styles of pages, of which each
 * page has one: all are changed. What has no pages of its own (HTML, csv, plain text) comes by a style of
 * LibreOffice's, whose paper is that of its language's country. */
#pragma once

#include "core/cleanup.h"
#include "engine/office/uno.h"

#include <stdbool.h>

/* Known ones. */
#define PAPERS "a3 a4 a5 letter legal"

struct page_wish {
    bool landscape, portrait; /* neither: as they are */
    const char *paper;        /* one of PAPERS; NULL: as large as they are */
};

/* -EIO when the document has no pages. */
int page_style_apply(struct uno_object *model, const struct page_wish *wish) _warn_unused_;
