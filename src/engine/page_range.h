/* Which pages of a document are wanted, as people write it and qpdf reads it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Parts separated by commas, each a page or two with "-" between, which may run backwards: "1-3,7,z-5,r2". A
 * page is a number from 1 on, "z" the last, "rN" counted from the end ("r1" is the last). Whether the
 * document has that many is for the engine to say. */
bool page_range_is_valid(const char *text);
/* Does a document of `pages` pages have all that a valid `text` names? */
bool page_range_fits(const char *text, uint64_t pages);
