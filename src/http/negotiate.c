#include "http/negotiate.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* A weight behind `p`: "1", "0.5", "0.123"; NEGOTIATE_Q_MAX where there is none. -1: it is malformed. `*end`
 * is what follows. */
static int read_weight(const char *p, const char **end)
{
    static const int digits[] = {100, 10, 1};
    int q;

    p = skip_blanks(p);
    *end = p;
    if (*p != ';')
        return NEGOTIATE_Q_MAX;
    p = skip_blanks(p + 1);
    if ((*p != 'q' && *p != 'Q') || p[1] != '=' || (p[2] != '0' && p[2] != '1'))
        return -1;
    q = p[2] == '1' ? NEGOTIATE_Q_MAX : 0;
    p += 3;
    if (*p == '.') {
        p++;
        for (size_t i = 0; i < sizeof digits / sizeof digits[0] && *p >= '0' && *p <= '9'; i++)
            q += (*p++ - '0') * digits[i];
    }
    *end = skip_blanks(p);
    return q <= NEGOTIATE_Q_MAX ? q : -1;
}

unsigned negotiate_coding(const char *accept_encoding, const char *coding)
{
    const size_t len = strlen(coding);
    int named = -1, any = -1;

    for (const char *p = accept_encoding; p; p = strchr(p, ',')) {
        const char *name = p = p + strspn(p, ", \t"), *end;
        size_t n = strcspn(p, ",; \t");
        int q = read_weight(p + n, &end);

        p = end;
        if (*end && *end != ',')
            q = -1;
        if (q < 0)
            continue;
        if (n == len && strncasecmp(name, coding, n) == 0)
            named = q;
        else if (n == 1 && *name == '*')
            any = q;
    }
    return named >= 0 ? (unsigned)named : any >= 0 ? (unsigned)any : 0;
}

bool negotiate_has(const char *if_none_match, const char *etag)
{
    const size_t len = strlen(etag);

    for (const char *p = if_none_match; p; p = strchr(p, ',')) {
        const char *close;

        p += strspn(p, ", \t");
        if (*p == '*')
            return true;
        if (p[0] == 'W' && p[1] == '/')
            p += 2;
        if (*p != '"' || !(close = strchr(p + 1, '"')))
            return false;
        if ((size_t)(close + 1 - p) == len && memcmp(p, etag, len) == 0)
            return true;
        p = close + 1; /* there may be commas in it */
    }
    return false;
}
