/* The first header of a tar archive (POSIX.1-1988 ustar, and the older ones without its magic), and the start
 * of what is packed around one. */
#pragma once

#include "files/window.h"

enum { TARBALL_BLOCK = 512 };

/* 0; -EMEDIUMTYPE when the file begins with no header whose checksum holds; other -errno. */
int tarball_check(struct window *w) _warn_unused_;
/* The same of what the gzip file inflates to, of which no more than the first block is looked at. */
int tarball_check_gzip(struct window *w) _warn_unused_;
