/* What raster.c is made of: the formats whose headers say it all are in raster_headers.c. */
#pragma once

#include "files/window.h"

#include <stdbool.h>

/* Is the file a picture of the plain format `id`, and where does it end (left alone when that isn't told)?
 * 0, -EMEDIUMTYPE, or -EINVAL when it is none of these formats. */
int raster_check_header(struct window *w, const char *id, uint64_t *ret_end);

/* The next number of a text header, behind white space and comments; sets *at behind it. 0: none. */
uint32_t raster_number(const unsigned char *p, size_t len, size_t *at);
