#include "files/signature.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
    assert(isxdigit((unsigned char)c));
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Is `byte` the one that begins at *p, which moves behind it? */
static bool next_matches(const char **p, unsigned char byte)
{
    const char *c = *p;

    if (c[0] != '\\') {
        *p = c + 1;
        return byte == (unsigned char)c[0];
    }
    assert(c[1] == 'x');
    *p = c + 4;
    return (c[2] == '?' || byte >> 4 == digit(c[2])) && (c[3] == '?' || (byte & 0xf) == digit(c[3]));
}

static bool ends_part(char c)
{
    return c == '\0' || c == '&' || c == '|';
}

/* *p is at a part, and moves behind it, whether it matches or not. */
static bool part_matches(const char **p, const unsigned char *head, size_t len)
{
    char *equals;
    size_t at = strtoul(*p, &equals, 10);
    bool matches = true;

    assert(equals > *p && *equals == '=' && !ends_part(equals[1]));
    *p = equals + 1;
    while (!ends_part(**p)) {
        assert(at < SIGNATURE_MAX);
        matches = next_matches(p, at < len ? head[at] : 0) && matches && at < len;
        at++;
    }
    return matches;
}

bool signature_matches(const char *signature, const unsigned char *head, size_t len)
{
    const char *p = signature;

    for (;;) {
        bool matches = part_matches(&p, head, len);

        while (*p == '&') {
            p++;
            matches = part_matches(&p, head, len) && matches;
        }
        if (matches)
            return true;
        if (*p == '\0')
            return false;
        p++;
    }
}
