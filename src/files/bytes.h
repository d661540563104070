/* Numbers, little-endian unless they say otherwise, and whole reads, for the parsers of container formats. */
#pragma once

#include "core/path.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t bytes_u16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return le16toh(v);
}

static inline uint32_t bytes_u32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t bytes_u64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static inline uint16_t bytes_be16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t bytes_be32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t bytes_be64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

/* All `len` bytes at `offset`: 0, -EBADMSG where the file is cut off, other -errno. */
static inline int bytes_read_all(int fd, uint64_t offset, void *data, size_t len)
{
    ssize_t n = offset > INT64_MAX - len ? 0 : path_read(fd, offset, data, len);

    return n < 0 ? (int)n : (size_t)n == len ? 0 : -EBADMSG;
}
