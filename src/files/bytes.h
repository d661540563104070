/* Little-endian numbers and whole reads, for the parsers of container formats. */
#pragma once

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

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

/* Up to `len` bytes at `offset`, fewer only at the end of the file: their number, or -errno. */
static inline ssize_t bytes_read(int fd, uint64_t offset, void *data, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)(offset + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* All of them: 0, -EBADMSG where the file is cut off, other -errno. */
static inline int bytes_read_all(int fd, uint64_t offset, void *data, size_t len)
{
    ssize_t n = offset > INT64_MAX - len ? 0 : bytes_read(fd, offset, data, len);

    return n < 0 ? (int)n : (size_t)n == len ? 0 : -EBADMSG;
}
