#include "files/gzip.h"

#include "core/path.h"

#include <errno.h>
#include <stdint.h>
#include <zlib.h>

enum { CHUNK = 16 << 10 };

static void cleanup_inflate(z_stream *z)
{
    inflateEnd(z);
}

ssize_t gzip_peek(int fd, void *data, size_t size)
{
    _cleanup_(cleanup_inflate) z_stream z = {.next_out = data, .avail_out = (uInt)size};
    unsigned char chunk[CHUNK];
    uint64_t at = 0;
    int r = inflateInit2(&z, MAX_WBITS + 16 /* gzip, and nothing else */);

    if (r != Z_OK)
        return -ENOMEM;
    while (z.avail_out > 0 && r != Z_STREAM_END) {
        ssize_t n = path_read(fd, at, chunk, sizeof chunk);

        if (n <= 0)
            return n < 0 ? n : -EBADMSG;
        at += (uint64_t)n;
        z.next_in = chunk;
        z.avail_in = (uInt)n;
        r = inflate(&z, Z_NO_FLUSH);
        if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
            return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
    }
    return (ssize_t)(size - z.avail_out);
}
