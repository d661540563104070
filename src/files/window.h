/* A look into a file at rising offsets, for parsers that walk from one small piece to the next: reads are
 * large, whatever the pieces are. */
#pragma once

#include "core/path.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

enum { WINDOW_SIZE = 64 << 10 };

struct window {
    int fd; /* borrowed */
    uint64_t size, at;
    size_t len;
    unsigned char data[WINDOW_SIZE];
};

static inline int window_init(struct window *w, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    w->fd = fd;
    w->size = (uint64_t)st.st_size;
    w->at = 0;
    w->len = 0;
    return 0;
}

/* The `n` (at most WINDOW_SIZE) bytes at `offset`, until the next call; NULL where the file is cut off. */
static inline const unsigned char *window_at(struct window *w, uint64_t offset, size_t n)
{
    ssize_t len;

    if (n > w->size || offset > w->size - n)
        return NULL;
    if (offset >= w->at && offset - w->at <= w->len && w->len - (offset - w->at) >= n)
        return w->data + (offset - w->at);
    len = path_read(w->fd, offset, w->data, sizeof w->data);
    w->at = offset;
    w->len = len < 0 ? 0 : (size_t)len;
    return w->len < n ? NULL : w->data;
}
