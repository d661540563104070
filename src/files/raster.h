/* Pictures as far as it takes to say that a file is one of its format: its mark, a header that tells a size,
 * and where it ends. libmagic is content with two bytes of some of them. */
#pragma once

#include "files/window.h"

/* What is not found: an end that the format doesn't tell, or a file that is cut off. */
#define RASTER_END_UNKNOWN UINT64_MAX

/* Is the file a picture of format `id`? 0, with the offset behind its last byte; -EMEDIUMTYPE. Reads at most
 * the whole file once, in a bounded number of steps. */
int raster_check(struct window *w, const char *id, uint64_t *ret_end) _warn_unused_;
