/* Names of files as people see them. They live in Redis and in headers for downloads, never in a path. */
#pragma once

#include <stddef.h>

enum { FILENAME_MAX_BYTES = 255 };

/* What is kept of an uploaded name: the last component, as it is in whatever script, but for control
 * characters, characters that are not seen and those that turn the direction of writing (they disguise
 * extensions), and blanks and dots at its ends. A byte that is no UTF-8 becomes "_". At most 255 bytes, with
 * its extension kept whole. "" when nothing is left. */
void filename_clean(const char *raw, char ret[FILENAME_MAX_BYTES + 1]);

/* `name` with its extension replaced by `ext`: "a.b.docx" → "a.b.pdf". */
void filename_replace_extension(const char *name, const char *ext, char ret[FILENAME_MAX_BYTES + 1]);

/* `name` with a number before its extension: "a.pdf" → "a (2).pdf". */
void filename_number(const char *name, unsigned number, char ret[FILENAME_MAX_BYTES + 1]);

/* The value of Content-Disposition: attachment with an ASCII filename (RFC 6266) and filename* (RFC 8187). */
enum { FILENAME_DISPOSITION_MAX = 64 + 4 * FILENAME_MAX_BYTES };
void filename_disposition(const char *name, char ret[FILENAME_DISPOSITION_MAX]);
