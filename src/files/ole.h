/* Compound files ([MS-CFB]): which streams lie at the top level? That tells .doc, .xls and .ppt apart, also
 * when one is embedded in another, and shows an encrypted OOXML document. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>

struct ole;

/* Reads the directory of the regular file `fd` (borrowed for the call; its offset stays): 0, -EBADMSG when it
 * is no compound file or a broken one, -EMEDIUMTYPE when its directory is larger than any document's, other
 * -errno. */
int ole_open(int fd, struct ole **ret) _warn_unused_;
void ole_close(struct ole *o);

/* Is there a stream of this (ASCII) name directly below the root? Case-insensitive, as names are there. */
bool ole_has_stream(const struct ole *o, const char *name);
