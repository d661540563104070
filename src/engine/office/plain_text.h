/* Plain text and csv, as LibreOffice wants them: it takes text for UTF-8 and can't be told otherwise through
 * LibreOfficeKit, nor does it look for a csv's separator. */
#pragma once

#include "core/cleanup.h"

/* Is the file at `path`, in one of ENCODINGS_READ or ENCODING_AUTO, UTF-8? Then 0; else its UTF-8 copy is
 * written to `copy_path` and 1 returned. -EILSEQ when it isn't in that encoding. */
int plain_text_to_utf8(const char *path, const char *encoding, const char *copy_path) _warn_unused_;

/* The separator of a csv in UTF-8: what its first line has most of among , ; tab and |, outside quotes. */
char plain_text_separator(const char *path);

/* Writes a file in UTF-8 anew in one of ENCODINGS_WRITTEN (encoding.h), without a byte order mark at its
 * beginning unless that has one: tools that join or compare text files stumble on it. */
int plain_text_encode(const char *path, const char *encoding) _warn_unused_;
