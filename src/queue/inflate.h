/* Compressed bodies: what kombu calls application/x-gzip is a zlib stream (RFC 1950). */
#pragma once

#include "core/cleanup.h"

#include <stddef.h>

/* A whole stream and nothing behind it. -EMSGSIZE when it unpacks to more than `max` bytes, -EBADMSG when it
 * is damaged, -ENOMEM. The caller frees. */
int inflate_bytes(const unsigned char *packed, size_t len, size_t max, unsigned char **ret,
                  size_t *ret_len) _warn_unused_;
