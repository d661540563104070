/* Image surfaces to draw pages on. */
#pragma once

#include <cairo.h>

/* White, RGB24; in any thread. NULL when there is no memory for it. */
cairo_surface_t *surface_new(int width, int height);
