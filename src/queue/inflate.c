#include "queue/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

/* Room grows with what comes out, so that a small message costs little and a bomb no more than `max`. */
enum { ROOM_FIRST = 4096 };

static int unpack(z_stream *z, size_t max, unsigned char **bytes, size_t *ret_len)
{
    size_t room = 0;
    int r = Z_OK;

    while (r == Z_OK) {
        if (z->total_out == room) {
            if (room > max)
                return -EMSGSIZE;
            room = room ? room * 2 : ROOM_FIRST;
            room = room > max ? max + 1 : room; /* one more tells that there is more */

            unsigned char *more = realloc(*bytes, room);

            if (!more)
                return -ENOMEM;
            *bytes = more;
        }
        z->next_out = *bytes + z->total_out;
        z->avail_out = (uInt)(room - z->total_out);
        r = inflate(z, Z_NO_FLUSH);
    }
    *ret_len = z->total_out;
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    if (r != Z_STREAM_END || z->avail_in > 0)
        return -EBADMSG;
    return z->total_out > max ? -EMSGSIZE : 0;
}

int inflate_bytes(const unsigned char *packed, size_t len, size_t max, unsigned char **ret, size_t *ret_len)
{
    _cleanup_free_ unsigned char *bytes = NULL;
    z_stream z = {.next_in = (unsigned char *)packed, .avail_in = (uInt)len};
    int r;

    if (inflateInit(&z) != Z_OK)
        return -ENOMEM;
    r = unpack(&z, max, &bytes, ret_len);
    inflateEnd(&z);
    if (r == 0)
        *ret = TAKE_PTR(bytes);
    return r;
}
