/* A growable byte buffer. Every buffer states a maximum when it is made: what a peer can send never grows
 * past it.
 *
 * Failure is sticky: once an append fails (-EMSGSIZE past the maximum, -ENOMEM), later ones fail alike, so a
 * writer may append many pieces and check once with buf_error(). The bytes are always followed by a NUL. */
#pragma once

#include "core/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NULL while empty and never written */
    size_t len, capacity, max;
    int error;
    bool secret; /* nothing of it stays in the memory that is given back; set it before the first append */
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_free(struct buf *b);
#define _cleanup_buf_ _cleanup_(buf_free)

/* Room for `extra` bytes more, so that a writer who knows about how many will come grows it once. */
int buf_reserve(struct buf *b, size_t extra);
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *format, ...) _printf_(2, 3);
int buf_append_u64(struct buf *b, uint64_t number);
/* `s` as a JSON string in its quotes. What is no UTF-8 is taken for Latin-1: it is JSON whatever it quotes.
 */
int buf_append_json(struct buf *b, const char *s);

/* With whatever has a meaning in a URL or a form escaped (RFC 3986, section 2.3: all but the unreserved). */
int buf_append_escaped(struct buf *b, const char *s);

static inline int buf_error(const struct buf *b)
{
    return b->error;
}

/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);

/* Hands over the string (never NULL on success; the caller frees it) and empties the buffer. NULL after an
 * error. */
char *buf_take(struct buf *b);
