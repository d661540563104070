/* Files of two kinds at once: what other programs would find in a file that is, to us, of one kind. */
#pragma once

#include "files/window.h"

#include <stdbool.h>

/* Of what lies behind the end of a picture or a PDF so much is searched; programs that look for an archive
 * behind something else look through less (unrar 2 MiB). */
enum { SECOND_KIND_TRAILER = 4 << 20 };

/* Is there an archive, a program, a page or a script behind `end`, where the file that we know ends
 * (UINT64_MAX: unknown), or the directory of a ZIP at the file's own end? Other trailers pass: cameras append
 * films and further pictures. 0, -ENOTUNIQ, or another -errno. */
int second_kind_behind(struct window *w, uint64_t end) _warn_unused_;

/* Does a PDF begin in the first kilobyte, where its readers look for it? */
int second_kind_pdf_ahead(struct window *w) _warn_unused_;

/* Where the last "%%EOF" of a PDF ends, with its line; UINT64_MAX: there is none. */
int second_kind_pdf_end(struct window *w, uint64_t *ret_end) _warn_unused_;
