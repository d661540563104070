#include "api/client.h"

#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

const char *const client_kind_names[CLIENT_KINDS] = {
    [CLIENT_SESSION] = "session", [CLIENT_ADDRESS] = "address", [CLIENT_USER] = "user"};

enum { ADDRESS_BITS = 128, MAPPED_BITS = 96 /* of ::ffff:0:0 in front of an IPv4 address */ };

struct network {
    struct in6_addr address;
    unsigned bits;
};

struct clients {
    unsigned char key[crypto_generichash_KEYBYTES];
    struct network *proxies;
    size_t n_proxies;
};

static const struct in6_addr loopback = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}}};

static struct in6_addr mapped(const void *v4)
{
    struct in6_addr address = loopback;

    memcpy(address.s6_addr + MAPPED_BITS / 8, v4, sizeof(struct in_addr));
    return address;
}

static int parse_address(const char *text, struct in6_addr *ret)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) == 1) {
        *ret = mapped(&v4);
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
    if (parse_address(copy, &ret->address) < 0)
        return -EINVAL;
    all = strchr(copy, ':') ? ADDRESS_BITS : ADDRESS_BITS - MAPPED_BITS;
    bits = all;
    if (slash && str_to_u64(slash, 0, all, &bits) < 0)
        return -EINVAL;
    ret->bits = (unsigned)(ADDRESS_BITS - all + bits);
    return 0;
}

static int parse_proxies(struct clients *c, const char *text)
{
    static const char blanks[] = " \t,";

    c->proxies = calloc(strlen(text) / 2 + 1, sizeof *c->proxies); /* an address and a blank at least */
    if (!c->proxies)
        return -ENOMEM;
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t len = strcspn(text, blanks);
        int r = parse_network(text, len, &c->proxies[c->n_proxies++]);

        if (r < 0)
            return r;
        text += len;
    }
    return 0;
}

int clients_new(const char *proxies, const char *secret, struct clients **ret)
{
    struct clients *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return -ENOMEM;
    if (secret && *secret)
        crypto_generichash(c->key, sizeof c->key, (const unsigned char *)secret, strlen(secret), NULL, 0);
    else
        randombytes_buf(c->key, sizeof c->key);
    r = parse_proxies(c, proxies);
    if (r < 0)
        clients_free(c);
    else
        *ret = c;
    return r;
}

void clients_free(struct clients *c)
{
    if (!c)
        return;
    sodium_memzero(c->key, sizeof c->key);
    free(c->proxies);
    free(c);
}

struct in6_addr client_of_peer(const struct sockaddr *peer)
{
    if (peer && peer->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (peer && peer->sa_family == AF_INET)
        return mapped(&((const struct sockaddr_in *)(const void *)peer)->sin_addr);
    return loopback;
}

static bool in_network(const struct network *n, const struct in6_addr *address)
{
    unsigned bytes = n->bits / 8, rest = n->bits % 8;

    return memcmp(n->address.s6_addr, address->s6_addr, bytes) == 0 &&
           (rest == 0 || ((n->address.s6_addr[bytes] ^ address->s6_addr[bytes]) >> (8 - rest)) == 0);
}

bool client_is_proxy(const struct clients *c, const struct in6_addr *address)
{
    for (size_t i = 0; i < c->n_proxies; i++)
        if (in_network(&c->proxies[i], address))
            return true;
    return false;
}

/* An entry as proxies write them: with a port or without, IPv6 in brackets or without. */
static int parse_entry(const char *text, size_t len, struct in6_addr *ret)
{
    char copy[INET6_ADDRSTRLEN + sizeof "[]:65535"], *address = copy, *end;
    uint64_t port;

    if (len >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    end = strchr(copy, ':');
    if (*copy == '[') {
        address++;
        end = strchr(copy, ']');
        if (!end)
            return -EINVAL;
        *end++ = '\0';
        if (*end && *end != ':')
            return -EINVAL;
    } else if (end && strchr(end + 1, ':')) { /* IPv6 without a port */
        end = NULL;
    }
    if (end && *end == ':') {
        if (str_to_u64(end + 1, 0, UINT16_MAX, &port) < 0)
            return -EINVAL;
        *end = '\0';
    }
    return parse_address(address, ret);
}

bool client_forwarded(const struct clients *c, const char *line, struct in6_addr *address)
{
    size_t end = strlen(line);

    while (client_is_proxy(c, address)) {
        size_t begin = end, last = end;
        struct in6_addr entry;
        bool first;

        while (begin > 0 && line[begin - 1] != ',')
            begin--;
        first = begin == 0;
        end = first ? 0 : begin - 1; /* where the entry to the left ends */
        while (begin < last && (line[begin] == ' ' || line[begin] == '\t'))
            begin++;
        while (last > begin && (line[last - 1] == ' ' || line[last - 1] == '\t'))
            last--;
        if (parse_entry(line + begin, last - begin, &entry) < 0)
            return false;
        *address = entry;
        if (first)
            return true;
    }
    return false;
}

void client_address_name(const struct clients *c, const struct in6_addr *address,
                         char ret[CLIENT_ADDRESS_LEN + 1])
{
    enum { NETWORK_BYTES = 8 };
    unsigned char hash[CLIENT_ADDRESS_LEN / 2];
    struct in6_addr masked = *address;

    if (!IN6_IS_ADDR_V4MAPPED(address))
        memset(masked.s6_addr + NETWORK_BYTES, 0, sizeof masked - NETWORK_BYTES);
    crypto_generichash(hash, sizeof hash, masked.s6_addr, sizeof masked.s6_addr, c->key, sizeof c->key);
    sodium_bin2hex(ret, CLIENT_ADDRESS_LEN + 1, hash, sizeof hash);
}
