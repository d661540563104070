#include "engine/page_range.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>

enum { DIGITS_MAX = 7 };

/* Behind the number, which is not 0; NULL when there is none. */
static const char *skip_number(const char *p)
{
    size_t n = 0;
    bool zero = true;

    for (; isdigit((unsigned char)p[n]); n++)
        zero = zero && p[n] == '0';
    return n == 0 || n > DIGITS_MAX || zero ? NULL : p + n;
}

static const char *skip_page(const char *p)
{
    if (*p == 'z')
        return p + 1;
    return skip_number(*p == 'r' ? p + 1 : p);
}

bool page_range_is_valid(const char *text)
{
    const char *p = text;

    for (;;) {
        p = skip_page(p);
        if (p && *p == '-')
            p = skip_page(p + 1);
        if (!p || (*p && *p != ','))
            return false;
        if (!*p)
            return true;
        p++;
    }
}

bool page_range_fits(const char *text, uint64_t pages)
{
    for (const char *p = text; *p;) {
        char *end = (char *)p + 1;

        if (isdigit((unsigned char)*p) && strtoull(p, &end, 10) > pages)
            return false;
        p = end;
    }
    return pages > 0;
}
