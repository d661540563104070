/* A document in LibreOffice: loaded without a window, saved in another format.
 *
 * The first half of a conversion (load) and the second (save) are apart because their failures mean different
 * things. One document at a time, on one thread, between uno_connect() and the end of the process. */
#pragma once

#include "core/cleanup.h"

#include <stdint.h>

struct document;
typedef void document_progress_fn(void *arg, unsigned percent);

/* Loads the file at `path`. `import_options` go to its import filter (a csv's separators), NULL for none;
 * `password` opens it if it is protected, NULL for none. -EKEYREJECTED when the document wants a password or
 * another one, -EBADMSG when it can't be read. */
int document_load(const char *path, const char *import_options, const char *password,
                  document_progress_fn *progress, void *arg, struct document **ret) _warn_unused_;

/* Pages of a text, slides, pages of a drawing; 0 for a spreadsheet, which has none before it is printed. */
uint64_t document_count_pages(struct document *d);

/* How large a formula is, in hundredths of a millimetre; -EIO for other documents. */
int document_formula_size(struct document *d, int32_t *ret_width, int32_t *ret_height) _warn_unused_;

struct page_wish;
/* Exchanges the pages of a text or of sheets (page_style.h); -EIO for other documents. */
int document_lay_out(struct document *d, const struct page_wish *wish) _warn_unused_;

/* A setting of an export filter: a switch is a number of 0 or 1. */
struct document_setting {
    const char *name;
    enum { DOCUMENT_SWITCH, DOCUMENT_NUMBER } kind;
    int32_t value;
};

/* Saves in the format of extension `format` ("docx"). Export filters have options as text or as settings
 * (ended by {0}); NULL for none. -ENOTSUP when this kind of document has no such format, -EIO when it
 * failed. */
int document_save(struct document *d, const char *path, const char *format, const char *options,
                  const struct document_setting *settings, document_progress_fn *progress,
                  void *arg) _warn_unused_;

/* For the zygote; a child ends with its document. */
void document_close(struct document *d);

/* The file: URL of an absolute path, to be freed; NULL without memory. */
char *document_url(const char *path) _warn_unused_;
