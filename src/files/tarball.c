#include "files/tarball.h"

#include "core/cleanup.h"

#include <stdbool.h>
#include <string.h>
#include <zlib.h>

enum {
    CHECKSUM_AT = 148,
    CHECKSUM_SIZE = 8,
    GZIP_HEAD_MAX = 64 << 10, /* a name and a comment may come first */
};

/* Octal digits between blanks; -1 when there is none. */
static long read_octal(const unsigned char *p, size_t len)
{
    long value = 0;
    size_t i = 0, digits = 0;

    while (i < len && p[i] == ' ')
        i++;
    for (; i < len && p[i] >= '0' && p[i] <= '7'; i++, digits++)
        value = value * 8 + (p[i] - '0');
    return digits > 0 ? value : -1;
}

/* The sum of all bytes, those of the checksum itself taken as blanks. */
static bool adds_up(const unsigned char block[TARBALL_BLOCK])
{
    long sum = 0;

    for (size_t i = 0; i < TARBALL_BLOCK; i++)
        sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_SIZE ? ' ' : block[i];
    return block[0] != '\0' && read_octal(block + CHECKSUM_AT, CHECKSUM_SIZE) == sum;
}

int tarball_check(struct window *w)
{
    const unsigned char *block = window_at(w, 0, TARBALL_BLOCK);

    return block && adds_up(block) ? 0 : -EMEDIUMTYPE;
}

int tarball_check_gzip(struct window *w)
{
    size_t n = w->size < GZIP_HEAD_MAX ? (size_t)w->size : GZIP_HEAD_MAX;
    const unsigned char *head = window_at(w, 0, n);
    unsigned char block[TARBALL_BLOCK];
    z_stream stream = {
        .next_in = (z_const Bytef *)head, .avail_in = (uInt)n, .next_out = block, .avail_out = sizeof block};
    int r;

    if (!head)
        return -EIO;
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) /* 16: with the wrapper of gzip */
        return -ENOMEM;
    r = inflate(&stream, Z_SYNC_FLUSH);
    inflateEnd(&stream);
    return (r == Z_OK || r == Z_STREAM_END) && stream.avail_out == 0 && adds_up(block) ? 0 : -EMEDIUMTYPE;
}
