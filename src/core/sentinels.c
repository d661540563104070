#include "core/sentinels.h"

#include "core/str.h"

#include <errno.h>
#include <stdio.h>

#define SCHEME       "sentinel://"
#define DEFAULT_PORT "26379"

static const char host_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
static const char ipv6_chars[] = "abcdefABCDEF0123456789:.";

bool sentinels_meant(const char *url)
{
    return str_starts(url, SCHEME);
}

/* How long the host is that `text` begins with, brackets included; 0: there is none. */
static size_t host_length(const char *text)
{
    size_t n;

    if (*text != '[')
        return strspn(text, host_chars);
    n = strspn(text + 1, ipv6_chars);
    return n > 0 && text[n + 1] == ']' ? n + 2 : 0;
}

/* HOST[:PORT][/[0]], of `len` bytes. */
static int parse_place(const char *text, size_t len, char ret[SENTINEL_PLACE_MAX])
{
    const char *port = DEFAULT_PORT, *end = text + len;
    size_t host_len = host_length(text), port_len = strlen(port);
    const char *p = text + host_len;
    char digits[8];
    uint64_t number;

    if (host_len == 0)
        return -EINVAL;
    if (*p == ':') {
        port = p + 1;
        port_len = strspn(port, "0123456789");
        p = port + port_len;
    }
    if (*p == '/')
        p += p[1] == '0' ? 2 : 1;
    if (p != end || port_len >= sizeof digits)
        return -EINVAL;
    snprintf(digits, sizeof digits, "%.*s", (int)port_len, port);
    if (str_to_u64(digits, 1, UINT16_MAX, &number) < 0)
        return -EINVAL;
    return snprintf(ret, SENTINEL_PLACE_MAX, "tcp:%.*s:%u", (int)host_len, text, (unsigned)number) <
                   SENTINEL_PLACE_MAX
               ? 0
               : -EINVAL;
}

int sentinels_parse(const char *url, struct sentinels *ret)
{
    ret->n = 0;
    for (;;) {
        const char *text = url + strlen(SCHEME);
        size_t len = strcspn(url, ";");

        if (!sentinels_meant(url) || ret->n == SENTINELS_MAX ||
            parse_place(text, len - strlen(SCHEME), ret->places[ret->n]) < 0)
            return -EINVAL;
        ret->n++;
        if (!url[len])
            return 0;
        url += len + 1;
    }
}

const char *ports_next(const char *list, unsigned *ret_port)
{
    const char *word, *rest;
    char digits[8];
    uint64_t port = 0;
    size_t n;

    if (!(rest = words_next(list, &word, &n)))
        return NULL;
    snprintf(digits, sizeof digits, "%.*s", (int)(n < sizeof digits ? n : 0), word);
    *ret_port = str_to_u64(digits, 1, UINT16_MAX, &port) == 0 ? (unsigned)port : 0;
    return rest;
}

bool ports_valid(const char *list)
{
    unsigned port, n = 0;

    for (; (list = ports_next(list, &port)); n++)
        if (port == 0)
            return false;
    return n > 0;
}

bool ports_have(const char *list, unsigned wanted)
{
    unsigned port;

    while ((list = ports_next(list, &port)))
        if (port == wanted)
            return true;
    return false;
}
