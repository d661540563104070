/* LibreOffice through LibreOfficeKit: loaded once and warmed up, then one document a process.
 *
 * The first half of a conversion (load) and the second (save) are apart because their failures mean different
 * things. Nothing here is thread-safe or meant to be called twice in a process: a child converts one document
 * and ends, without tearing LibreOffice down. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

/* Where LibreOffice's programs are: $DECANT_LIBREOFFICE or the usual place. */
const char *lok_install_path(void);

/* "LibreOffice 7.4.7.2", read from its registry without starting it; "LibreOffice" when that says nothing. */
void lok_version(char *ret, size_t size);

/* Starts LibreOffice, converts a few small documents of our own, so that what each document needs is already
 * in memory, and calls serve(arg) with one thread running. Comes back only when something failed: -errno, and
 * the reason in `ret_why`. */
int lok_serve(void (*serve)(void *arg), void *arg, const char **ret_why);

struct lok_document;
typedef void lok_progress_fn(void *arg, unsigned percent);

/* In the child, before anything else: what must differ from the zygote's. Temporary files go to $TMPDIR. */
int lok_enter_child(void) _warn_unused_;

/* Loads the file at `path`. `import_options` go to its import filter (a csv's separators), NULL for none;
 * `password` opens it if it is protected, NULL for none. -EKEYREJECTED when the document wants a password or
 * another one, -EBADMSG when it can't be read. */
int lok_load(const char *path, const char *import_options, const char *password, lok_progress_fn *progress,
             void *arg, struct lok_document **ret) _warn_unused_;

/* Pages of a text, slides, pages of a drawing; 0 for a spreadsheet, which has none before it is printed. */
uint64_t lok_count_pages(struct lok_document *d);

/* Saves in the format of extension `format` ("docx"), with the options of its export filter or NULL.
 * -EIO when it failed. */
int lok_save(struct lok_document *d, const char *path, const char *format, const char *export_options,
             lok_progress_fn *progress, void *arg) _warn_unused_;
