/* A document and its pages, opened by Poppler: for every engine that draws PDF. */
#pragma once

#include "core/cleanup.h"
#include "core/outcome.h"

#include <poppler.h>

/* `password` may be NULL. A new reference, for document_close(). */
enum outcome document_open(const char *path, const char *password, PopplerDocument **ret);
void document_close(PopplerDocument **document);
#define _cleanup_document_ _cleanup_(document_close)

/* The page that `number` counts from 0. */
enum outcome page_open(PopplerDocument *document, int number, PopplerPage **ret);
void page_close(PopplerPage **page);
#define _cleanup_page_ _cleanup_(page_close)
