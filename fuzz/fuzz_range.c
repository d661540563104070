/* Range headers. An input is a length in 8 bytes and a header: what is understood must be what the grammar of
 * RFC 9110 section 14.1.2 says, worked out slowly with numbers that can't overflow. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "http/internal.h"

#include <regex.h>
#include <stdio.h>

/* What is larger than any length of a file is as good as the largest. */
static unsigned __int128 number(const char *p, regoff_t len)
{
    unsigned __int128 value = 0;

    for (; len > 1 && *p == '0'; len--)
        p++;
    if (len > 30)
        return UINT64_MAX;
    for (; len > 0; len--)
        value = value * 10 + (unsigned)(*p++ - '0');
    return value < UINT64_MAX ? value : UINT64_MAX;
}

static enum http_range parse_slowly(const char *header, uint64_t size, uint64_t *ret_first, uint64_t *ret_len)
{
    static regex_t regex;
    static int compiled;
    regmatch_t at[3];
    unsigned __int128 first, last;

    if (!compiled++)
        require(regcomp(&regex, "^[Bb][Yy][Tt][Ee][Ss]=([0-9]*)-([0-9]*)$", REG_EXTENDED) == 0);
    *ret_first = 0;
    *ret_len = size;
    if (!header || regexec(&regex, header, 3, at, 0) != 0 ||
        (at[1].rm_so == at[1].rm_eo && at[2].rm_so == at[2].rm_eo))
        return HTTP_RANGE_WHOLE;
    first = number(header + at[1].rm_so, at[1].rm_eo - at[1].rm_so);
    last = number(header + at[2].rm_so, at[2].rm_eo - at[2].rm_so);
    if (at[1].rm_so == at[1].rm_eo) {
        first = last < size ? size - last : 0;
        last = last > 0 ? size : 0;
    } else if (at[2].rm_so == at[2].rm_eo) {
        last = (unsigned __int128)1 << 100;
    } else if (first > last) {
        return HTTP_RANGE_WHOLE;
    }
    if (first >= size)
        return HTTP_RANGE_UNSATISFIABLE;
    if (last >= size)
        last = size - 1;
    *ret_first = (uint64_t)first;
    *ret_len = (uint64_t)(last - first + 1);
    return HTTP_RANGE_PART;
}

static void require_same(const char *header, uint64_t size)
{
    uint64_t first, len, slow_first, slow_len;
    enum http_range range = http_range_parse(header, size, &first, &len),
                    slow = parse_slowly(header, size, &slow_first, &slow_len);

    require(range == slow && first == slow_first && len == slow_len);
    if (range == HTTP_RANGE_PART)
        require(len > 0 && first < size && len <= size - first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t lengths[] = {0, 1, 2, 1000, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    _cleanup_free_ char *header = NULL;
    uint64_t length;

    if (size < sizeof length)
        return 0;
    memcpy(&length, data, sizeof length);
    header = strndup((const char *)data + sizeof length, size - sizeof length);
    require_same(header, length);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
        require_same(header, lengths[i]);
    return 0;
}
