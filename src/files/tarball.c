#include "files/tarball.h"

#include "core/cleanup.h"
#include "files/gzip.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { CHECKSUM_AT = 148, CHECKSUM_SIZE = 8 };

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
    unsigned char block[TARBALL_BLOCK];
    ssize_t n = gzip_peek(w->fd, block, sizeof block);

    if (n < 0 && n != -EBADMSG)
        return (int)n;
    return n == sizeof block && adds_up(block) ? 0 : -EMEDIUMTYPE;
}
