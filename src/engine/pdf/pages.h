/* All pages of a document, in their order, by as many threads as it is worth. */
#pragma once

#include "engine/engine.h"
#include "engine/pdf/page.h"
#include "engine/pdf/ring.h"

struct pages {
    struct engine_job *job;
    const struct target *target;
    const struct page_settings *settings;
    PopplerDocument *document;
    int n;
    /* Takes what a page became: content when the result is an archive, bytes else. */
    enum outcome (*put)(void *sink, struct sheet *sheet);
    void *sink;
    bool archive;
};

enum outcome pages_write(const struct pages *pages);
