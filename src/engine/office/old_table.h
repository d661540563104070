/* Tables of old programs, which say in part or not at all in which characters they are written, and what
 * LibreOffice has to be told or doesn't see. */
#pragma once

#include "core/cleanup.h"

enum { OLD_TABLE_OPTIONS = 32 /* bytes */ };

/* -EBADMSG for an Excel 2003 XML that doesn't end. Else what LibreOffice's import filter has to be told of
 * the file at `path`: into `options`, which stay empty where there is nothing to say. Reads the file only
 * where its bytes decide. */
int old_table_options(const char *format, const char *path, char options[OLD_TABLE_OPTIONS]) _warn_unused_;
