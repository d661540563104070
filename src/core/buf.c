#include "core/buf.h"

#include "core/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

void buf_free(struct buf *b)
{
    if (b->secret && b->data)
        explicit_bzero(b->data, b->capacity);
    free(b->data);
    *b = (struct buf){.max = b->max, .secret = b->secret};
}

/* realloc would leave the old bytes behind where it has to move them. */
static char *grow(const struct buf *b, size_t capacity)
{
    char *data;

    if (!b->secret || !b->data)
        return realloc(b->data, capacity);
    data = malloc(capacity);
    if (!data)
        return NULL;
    memcpy(data, b->data, b->len);
    explicit_bzero(b->data, b->capacity);
    free(b->data);
    return data;
}

int buf_reserve(struct buf *b, size_t extra)
{
    size_t need, capacity = b->capacity ? b->capacity : 64;

    if (b->error)
        return b->error;
    if (__builtin_add_overflow(b->len, extra, &need) || need > b->max)
        return b->error = -EMSGSIZE;
    if (b->data && need < b->capacity)
        return 0;
    while (capacity <= need)
        capacity *= 2;

    char *data = grow(b, capacity);

    if (!data)
        return b->error = -ENOMEM;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int r = buf_reserve(b, len);

    if (r < 0)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list ap;

    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) {
        text = NULL;
        return b->error = -ENOMEM;
    }
    return buf_append(b, text, (size_t)n);
}

int buf_append_u64(struct buf *b, uint64_t number)
{
    char digits[20], *p = digits + sizeof digits;

    do
        *--p = (char)('0' + number % 10);
    while (number /= 10);
    return buf_append(b, p, (size_t)(digits + sizeof digits - p));
}

static bool json_takes(unsigned char c, bool utf8)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && (c < 0x80 || utf8);
}

int buf_append_escaped(struct buf *b, const char *s)
{
    for (; *s; s++)
        if (isalnum((unsigned char)*s) || strchr("-._~", *s))
            buf_append(b, s, 1);
        else
            buf_printf(b, "%%%02X", (unsigned char)*s);
    return b->error;
}

int buf_append_json(struct buf *b, const char *s)
{
    bool utf8 = utf8_valid(s, strlen(s));

    buf_append(b, "\"", 1);
    while (*s) {
        size_t plain = 0;

        while (s[plain] && json_takes((unsigned char)s[plain], utf8))
            plain++;
        buf_append(b, s, plain);
        s += plain;
        if (*s == '"' || *s == '\\')
            buf_printf(b, "\\%c", *s++);
        else if (*s)
            buf_printf(b, "\\u%04x", (unsigned char)*s++);
    }
    return buf_append(b, "\"", 1);
}

void buf_consume(struct buf *b, size_t len)
{
    if (len >= b->len) {
        b->len = 0;
    } else {
        memmove(b->data, b->data + len, b->len - len);
        b->len -= len;
    }
    if (b->data)
        b->data[b->len] = '\0';
}

char *buf_take(struct buf *b)
{
    if (buf_append(b, "", 0) < 0) {
        buf_free(b);
        return NULL;
    }

    char *data = TAKE_PTR(b->data);

    *b = (struct buf){.max = b->max, .secret = b->secret};
    return data;
}
