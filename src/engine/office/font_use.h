/* Which fonts a document was laid out with, and which of those that it asked for aren't there.
 *
 * LibreOffice itself keeps the list (com.sun.star.awt.XFontMappingUse): for each text that it lays out, the
 * family that was asked for and those that were taken. So a font counts that text is drawn in, not one that a
 * table of fonts or a style declares, and what stands in for it is what is seen. Rejected: to ask fontconfig
 * for each name in the document, as LibreOffice doesn't always take what it answers (characters of symbol
 * fonts become OpenSymbol's, CJK text goes by its language); and LibreOfficeKit's notice of missing fonts,
 * which has no stand-ins, and comes with a view only. */
#pragma once

#include "engine/fonts.h"

/* Once, after uno_connect(). When a LibreOffice has no such list, it stays unknown. */
void font_use_prepare(void);

/* What is laid out from here on counts … */
void font_use_begin(void);
/* … up to here. */
void font_use_end(struct font_list *ret);

/* Is `asked` another name of the font that is called `used`, as many have one in another script? */
bool font_use_is_name_of(const char *asked, const char *used);
