/* Many pages as pictures or drawings: a ZIP of page-001.png … */
#pragma once

#include "engine/engine.h"
#include "engine/pdf/page.h"

enum outcome archive_write(struct engine_job *job, const struct target *target, PopplerDocument *document,
                           int pages, const struct page_settings *settings, const char *path);
