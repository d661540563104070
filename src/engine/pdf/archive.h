/* Many pages as pictures or drawings: a ZIP of page-001.png …, made by as many threads as it is worth. */
#pragma once

#include "engine/engine.h"
#include "engine/pdf/page.h"

enum outcome archive_write(struct engine_job *job, const struct target *target, PopplerDocument *document,
                           int pages, const struct page_settings *settings, const char *path);

/* How many threads, the caller's one among them, share the work on so many pages. */
unsigned archive_threads(int pages, unsigned cores);
