/* A formula as a document: LibreOffice prints a formula alone only with its name and its source in frames
 * around it, and writes it as nothing but a formula. Within a text document it is an equation of that. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

/* LibreOffice takes what is directly in <math> for lines, each below the other, where MathML has them in one
 * row (MathML 3, 2.2.1). Writes a copy of the file at `path` to `copy`, with the row in it that is meant: 1;
 * 0 when there is no need, or no <math> that could be found. */
int formula_put_row(const char *path, const char *copy) _warn_unused_;

/* Writes a flat OpenDocument text to `path` that holds the MathML file at `mathml`, which LibreOffice wrote,
 * in a frame of that size (in hundredths of a millimetre). `alone`: on a page that is no larger. */
int formula_wrap(const char *mathml, const char *path, int32_t width, int32_t height,
                 bool alone) _warn_unused_;
