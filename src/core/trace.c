#include "core/trace.h"

#include "core/cleanup.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* version "-" trace-id "-" parent-id "-" trace-flags */
enum { AT_ID = 3, AT_SPAN = AT_ID + TRACE_ID_LEN + 1, AT_FLAGS = AT_SPAN + TRACE_SPAN_LEN + 1 };

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (digit_of(s[i]) < 0)
            return false;
    return true;
}

static bool is_zero(const char *s, size_t len)
{
    return strspn(s, "0") >= len;
}

bool trace_parse(const char *s, struct trace *ret)
{
    static const size_t dashes[] = {AT_ID - 1, AT_SPAN - 1, AT_FLAGS - 1};
    size_t len = s ? strlen(s) : 0;
    bool first = len >= TRACEPARENT_LEN && memcmp(s, "00", 2) == 0;

    if (len < TRACEPARENT_LEN || (len > TRACEPARENT_LEN && (first || s[TRACEPARENT_LEN] != '-')))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(dashes); i++)
        if (s[dashes[i]] != '-')
            return false;
    if (!is_hex(s, 2) || memcmp(s, "ff", 2) == 0 || !is_hex(s + AT_ID, TRACE_ID_LEN) ||
        !is_hex(s + AT_SPAN, TRACE_SPAN_LEN) || !is_hex(s + AT_FLAGS, 2) ||
        is_zero(s + AT_ID, TRACE_ID_LEN) || is_zero(s + AT_SPAN, TRACE_SPAN_LEN))
        return false;
    *ret = (struct trace){.flags = (unsigned)(digit_of(s[AT_FLAGS]) * 16 + digit_of(s[AT_FLAGS + 1]))};
    memcpy(ret->id, s + AT_ID, TRACE_ID_LEN);
    memcpy(ret->span, s + AT_SPAN, TRACE_SPAN_LEN);
    return true;
}

/* Never all zero, which would mean none. */
static void random_hex(char *ret, size_t len)
{
    unsigned char bytes[TRACE_ID_LEN / 2];

    do
        randombytes_buf(bytes, len / 2);
    while (sodium_is_zero(bytes, len / 2));
    sodium_bin2hex(ret, len + 1, bytes, len / 2);
}

void trace_new(struct trace *ret)
{
    *ret = (struct trace){0};
    random_hex(ret->id, TRACE_ID_LEN);
    random_hex(ret->span, TRACE_SPAN_LEN);
}

void trace_next(const struct trace *trace, char ret[TRACEPARENT_LEN + 1])
{
    char span[TRACE_SPAN_LEN + 1];

    random_hex(span, TRACE_SPAN_LEN);
    snprintf(ret, TRACEPARENT_LEN + 1, "00-%s-%s-%02x", trace->id, span, trace->flags & 0xff);
}
