/* Plain text and csv, as LibreOffice wants them: it takes text for UTF-8 and can't be told otherwise through
 * LibreOfficeKit, nor does it look for a csv's separator. */
#pragma once

#include "core/cleanup.h"

/* Is the file at `path` UTF-8? Then 0; else its UTF-8 copy is written to `copy_path` and 1 returned. UTF-16
 * is known by its byte order mark, anything else taken for Windows-1252, of which Latin-1 is a part. */
int plain_text_to_utf8(const char *path, const char *copy_path) _warn_unused_;

/* The separator of a csv in UTF-8: what its first line has most of among , ; tab and |, outside quotes. */
char plain_text_separator(const char *path);

/* Takes the byte order mark off the file's beginning, if there is one: tools that join or compare text files
 * stumble on it. */
int plain_text_drop_mark(const char *path) _warn_unused_;
