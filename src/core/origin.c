#include "core/origin.h"

#include "core/str.h"

#include <stdio.h>
#include <strings.h>

enum { HOST_MAX = 256 };

static const struct scheme {
    const char *name, *prefix;
    uint64_t port;
} schemes[] = {{"https", "https://", 443}, {"http", "http://", 80}};

struct authority {
    char host[HOST_MAX];
    uint64_t port;
};

/* "host", "host:port", "[IPv6]", "[IPv6]:port" */
static bool parse_authority(const char *text, uint64_t default_port, struct authority *ret)
{
    char *port = ret->host;

    if (!*text || strlen(text) >= sizeof ret->host)
        return false;
    memcpy(ret->host, text, strlen(text) + 1);
    if (*port == '[' && !(port = strchr(port, ']')))
        return false;
    port = strchr(port, ':');
    ret->port = default_port;
    if (!port)
        return true;
    *port++ = '\0';
    return *ret->host && str_to_u64(port, 1, UINT16_MAX, &ret->port) == 0;
}

static const struct scheme *parse(const char *origin, struct authority *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
        if (str_starts(origin, schemes[i].prefix))
            return parse_authority(origin + strlen(schemes[i].prefix), schemes[i].port, ret) ? &schemes[i]
                                                                                             : NULL;
    return NULL;
}

bool origin_valid(const char *text)
{
    static const char host_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_[]:";
    char again[HOST_MAX + 32], port[16] = "";
    struct authority a;
    const struct scheme *scheme = parse(text, &a);

    if (!scheme || a.host[strspn(a.host, host_chars)])
        return false;
    if (a.port != scheme->port)
        snprintf(port, sizeof port, ":%u", (unsigned)a.port);
    snprintf(again, sizeof again, "%s%s%s", scheme->prefix, a.host, port);
    return str_eq(again, text);
}

/* The next word of the list, cut to the size of what can be an origin at all; returns what follows it. */
static const char *next(const char *list, char ret[HOST_MAX + 32])
{
    const char *word;
    size_t len;

    list = words_next(list, &word, &len);
    if (list)
        snprintf(ret, HOST_MAX + 32, "%.*s", (int)len, word);
    return list;
}

bool origins_valid(const char *list)
{
    char word[HOST_MAX + 32];

    while ((list = next(list, word)))
        if (!origin_valid(word))
            return false;
    return true;
}

bool origins_have(const char *list, const char *origin)
{
    char word[HOST_MAX + 32];

    while ((list = next(list, word)))
        if (str_eq(word, origin))
            return true;
    return false;
}

bool origin_is(const char *origin, const char *scheme, const char *host)
{
    struct authority ours, theirs;
    const struct scheme *s = parse(origin, &theirs);

    return s && host && (!scheme || strcasecmp(scheme, s->name) == 0) &&
           parse_authority(host, s->port, &ours) && ours.port == theirs.port &&
           strcasecmp(ours.host, theirs.host) == 0;
}
