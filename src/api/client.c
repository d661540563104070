#include "api/client.h"

#include "core/networks.h"
#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

const char *const client_kind_names[CLIENT_KINDS] = {
    [CLIENT_SESSION] = "session", [CLIENT_ADDRESS] = "address", [CLIENT_USER] = "user"};

struct clients {
    unsigned char key[crypto_generichash_KEYBYTES];
    struct networks *proxies;
};

static const struct in6_addr loopback = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}}};

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
    r = networks_new(proxies, &c->proxies);
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
    networks_free(c->proxies);
    free(c);
}

struct in6_addr client_of_peer(const struct sockaddr *peer)
{
    struct in6_addr address;

    return peer && networks_of_sockaddr(peer, &address) == 0 ? address : loopback;
}

bool client_is_proxy(const struct clients *c, const struct in6_addr *address)
{
    return networks_have(c->proxies, address);
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
    return networks_parse_address(address, ret);
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
