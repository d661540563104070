#include "http/internal.h"

#include "core/str.h"

#include <strings.h>

/* Digits from *p on, which moves past them; saturates. False when there are none. */
static bool number(const char **p, uint64_t *ret)
{
    uint64_t value = 0;
    bool too_large = false;

    if (**p < '0' || **p > '9')
        return false;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        too_large |= __builtin_mul_overflow(value, 10, &value) ||
                     __builtin_add_overflow(value, (uint64_t)(**p - '0'), &value);
    *ret = too_large ? UINT64_MAX : value;
    return true;
}

enum http_range http_range_parse(const char *header, uint64_t size, uint64_t *ret_first, uint64_t *ret_len)
{
    uint64_t first = 0, last = UINT64_MAX;
    const char *p = header;

    *ret_first = 0;
    *ret_len = size;
    if (!p || strncasecmp(p, "bytes=", 6) != 0)
        return HTTP_RANGE_WHOLE;
    p += 6;

    bool has_first = number(&p, &first);

    if (*p++ != '-')
        return HTTP_RANGE_WHOLE;

    bool has_last = number(&p, &last);

    if (*p || (!has_first && !has_last) || (has_first && first > last))
        return HTTP_RANGE_WHOLE;
    if (!has_first) {
        first = last < size ? size - last : 0;
        if (last == 0)
            first = size;
        last = UINT64_MAX;
    }
    if (first >= size)
        return HTTP_RANGE_UNSATISFIABLE;
    if (last > size - 1)
        last = size - 1;
    *ret_first = first;
    *ret_len = last - first + 1;
    return HTTP_RANGE_PART;
}
