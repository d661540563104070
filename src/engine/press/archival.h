/* What Ghostscript leaves undone of PDF/A (ISO 19005): who a document is by and what it is called, and what
 * is attached to it. */
#pragma once

#include "core/outcome.h"

#include <stdbool.h>

/* Lets what is to be seen on the pages of the PDF at `path` (links, notes, fields) be printed, too: what
 * PDF/A wants of them all, and Ghostscript leaves out when it isn't so. */
enum outcome archival_prepare(const char *path);

/* Gives the PDF at `path`, of part 1, 2 or 3 and conformance B, what `source` says of itself (title, author,
 * dates, …), in its information dictionary and the same in XMP. What neither has nobody makes up.
 * Attachments go. */
enum outcome archival_describe(const char *path, const char *source, char part);
/* The time of a PDF, "D:20260131120500+01'00'" (ISO 32000-1, 7.9.4), in both forms; false when it is none. */
struct archival_time {
    char pdf[32], xmp[32];
};
bool archival_parse_time(const char *text, struct archival_time *ret);
