/* Tesseract: reads the text of pages, one after the other, as text or as an invisible layer for them. */
#pragma once

#include "core/buf.h"
#include "core/outcome.h"
#include "engine/ocr/scan.h"

struct reader;

/* In the zygote, once. False when Tesseract or its data can't be had. */
bool reader_prepare(void);

/* In the child, once. `languages`: codes of Tesseract's with "+" between. OUTCOME_LANGUAGE_MISSING when the
 * data of one of them isn't installed. */
enum outcome reader_open(const char *languages, struct reader **ret);
void reader_close(struct reader **r);
#define _cleanup_reader_ _cleanup_(reader_close)

/* How far it is with the page, 0–100; called now and then. */
typedef void reader_progress_fn(void *arg, unsigned percent);

/* Reads a page, which is then what the others are about; until the next one, which may go into the same
 * file. `s` isn't needed any more afterwards. */
enum outcome reader_read(struct reader *r, const struct scan *s, reader_progress_fn *fn, void *arg);

/* Its text, with a blank line between paragraphs. Failure is the buffer's own. */
void reader_append_text(struct reader *r, struct buf *out);

/* A PDF of pages of the same sizes, on which is nothing but the text, invisible and where it was found.
 * `path` ends in ".pdf". */
enum outcome reader_pdf_begin(struct reader *r, const char *path);
enum outcome reader_pdf_add(struct reader *r);
enum outcome reader_pdf_end(struct reader *r);
