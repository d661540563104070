#include "core/networks.h"

#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

enum { ADDRESS_BITS = 128, MAPPED_BITS = 96 /* of ::ffff:0:0 in front of an IPv4 address */ };

struct network {
    struct in6_addr address;
    unsigned bits;
};

struct networks {
    size_t n;
    struct network list[];
};

struct in6_addr networks_mapped(const struct in_addr *v4)
{
    struct in6_addr address = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}}};

    memcpy(address.s6_addr + MAPPED_BITS / 8, v4, sizeof *v4);
    return address;
}

int networks_parse_address(const char *text, struct in6_addr *ret)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) == 1) {
        *ret = networks_mapped(&v4);
        return 0;
    }
    return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}

/* "10.0.0.0/8", or an address alone. */
static int parse_network(const char *text, size_t len, struct network *ret)
{
    char copy[INET6_ADDRSTRLEN + sizeof "/128"], *slash;
    uint64_t bits, all;

    if (len >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    slash = strchr(copy, '/');
    if (slash)
        *slash++ = '\0';
    if (networks_parse_address(copy, &ret->address) < 0)
        return -EINVAL;
    all = strchr(copy, ':') ? ADDRESS_BITS : ADDRESS_BITS - MAPPED_BITS;
    bits = all;
    if (slash && str_to_u64(slash, 0, all, &bits) < 0)
        return -EINVAL;
    ret->bits = (unsigned)(ADDRESS_BITS - all + bits);
    return 0;
}

int networks_new(const char *text, struct networks **ret)
{
    static const char blanks[] = " \t,";
    /* an address and a blank at least for each */
    _cleanup_free_ struct networks *n = calloc(1, sizeof *n + (strlen(text) / 2 + 1) * sizeof n->list[0]);

    if (!n)
        return -ENOMEM;
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t len = strcspn(text, blanks);
        int r = parse_network(text, len, &n->list[n->n++]);

        if (r < 0)
            return r;
        text += len;
    }
    *ret = TAKE_PTR(n);
    return 0;
}

void networks_free(struct networks *n)
{
    free(n);
}

static bool in_network(const struct network *n, const struct in6_addr *address)
{
    unsigned bytes = n->bits / 8, rest = n->bits % 8;

    return memcmp(n->address.s6_addr, address->s6_addr, bytes) == 0 &&
           (rest == 0 || ((n->address.s6_addr[bytes] ^ address->s6_addr[bytes]) >> (8 - rest)) == 0);
}

static bool in_one_of(const struct network *list, size_t n, const struct in6_addr *address)
{
    for (size_t i = 0; i < n; i++)
        if (in_network(&list[i], address))
            return true;
    return false;
}

bool networks_have(const struct networks *n, const struct in6_addr *address)
{
    return in_one_of(n->list, n->n, address);
}

bool networks_is_loopback(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[MAPPED_BITS / 8] == 127);
}

int networks_of_sockaddr(const struct sockaddr *from, struct in6_addr *ret)
{
    if (from->sa_family == AF_INET)
        *ret = networks_mapped(&((const struct sockaddr_in *)(const void *)from)->sin_addr);
    else if (from->sa_family == AF_INET6)
        *ret = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    else
        return -EINVAL;
    return 0;
}

#define V4(a, b, c, bits)                                                                                    \
    {                                                                                                        \
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, 0}}}, MAPPED_BITS + (bits)                     \
    }
#define V6(a, b, c, d, bits)                                                                                 \
    {                                                                                                        \
        {{{(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff, (d) >> 8, (d)&0xff}}}, bits           \
    }

static const struct network assigned[] = {
    V4(0, 0, 0, 0),
    V6(0x2000, 0, 0, 0, 3),
};

/* Of these. */
static const struct network special[] = {
    V4(0, 0, 0, 8),              /* this network */
    V4(10, 0, 0, 8),             /* private */
    V4(100, 64, 0, 10),          /* behind a carrier's NAT */
    V4(127, 0, 0, 8),            /* loopback */
    V4(169, 254, 0, 16),         /* link-local; clouds answer there with credentials */
    V4(172, 16, 0, 12),          /* private */
    V4(192, 0, 0, 24),           /* protocol assignments */
    V4(192, 0, 2, 24),           /* documentation */
    V4(192, 88, 99, 24),         /* relays of 6to4 */
    V4(192, 168, 0, 16),         /* private */
    V4(198, 18, 0, 15),          /* benchmarks */
    V4(198, 51, 100, 24),        /* documentation */
    V4(203, 0, 113, 24),         /* documentation */
    V4(224, 0, 0, 4),            /* multicast */
    V4(240, 0, 0, 4),            /* reserved, and the broadcast address */
    V6(0x2001, 0, 0, 0, 23),     /* protocol assignments: Teredo, ORCHID */
    V6(0x2001, 0xdb8, 0, 0, 32), /* documentation */
    V6(0x2002, 0, 0, 0, 16),     /* 6to4 */
    V6(0x3fff, 0, 0, 0, 20),     /* documentation */
};

bool networks_is_public(const struct in6_addr *address)
{
    return in_one_of(assigned, ARRAY_SIZE(assigned), address) &&
           !in_one_of(special, ARRAY_SIZE(special), address);
}
