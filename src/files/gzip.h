/* What a gzip file (RFC 1952) holds. */
#pragma once

#include "core/cleanup.h"

#include <sys/types.h>

/* The first `size` bytes of what is compressed in the regular file `fd` (borrowed; its offset stays), or
 * fewer where it ends: their number; -EBADMSG when it is no gzip, or a broken one that early; other
 * -errno. */
ssize_t gzip_peek(int fd, void *data, size_t size) _warn_unused_;
