/* Formats with no signature that would tell them: the numbers of their headers have to agree. */
#pragma once

#include "files/window.h"

#include <stdbool.h>

/* Is this the header of a `format` (an id: "dbf")? A format that isn't known here ends the process: it is one
 * of the format table. */
bool header_adds_up(struct window *w, const char *format);
