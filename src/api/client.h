/* Who asks: by which names limits know a client, and where it really comes from.
 *
 * An address is never kept or logged as it is. It goes by a keyed hash, which nobody can turn back without
 * the key by trying all addresses. The key is made of DECANT_ADDRESS_SECRET; where that is not set it is
 * random at each start, so that what was logged before can't be linked with what is logged after. */
#pragma once

#include "core/cleanup.h"
#include "core/id.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* What a limit can count by. */
enum client_kind { CLIENT_SESSION, CLIENT_ADDRESS, CLIENT_USER, CLIENT_KINDS };

/* "session", "address", "user" */
extern const char *const client_kind_names[CLIENT_KINDS];

/* A client's name of each kind, NULL where it has none. All are hexadecimal digits that nobody can choose, at
 * most ID_TOKEN_LEN of them. */
struct client_names {
    const char *of[CLIENT_KINDS];
    uint64_t factor; /* how many times the rates of sessions and users it has; 0 is 1 */
};

enum { CLIENT_ADDRESS_LEN = 32 };

struct clients;

/* `proxies`: networks ("10.0.0.0/8 ::1 192.0.2.7", blanks or commas between) whose X-Forwarded-For is
 * believed. `secret` may be NULL. -EINVAL when a network is none. */
int clients_new(const char *proxies, const char *secret, struct clients **ret) _warn_unused_;
void clients_free(struct clients *c); /* NULL is fine */

/* IPv4 as ::ffff:a.b.c.d, also where a peer of an IPv6 socket is one. What is no internet address (a Unix
 * socket) counts as 127.0.0.1. */
struct in6_addr client_of_peer(const struct sockaddr *peer);
bool client_is_proxy(const struct clients *c, const struct in6_addr *address);
/* One line of X-Forwarded-For, the last one first: while `address` is a proxy of ours, the entry that it
 * wrote takes its place, from the right to the left. False: the client is found, earlier lines don't count.
 * What is no address ends the walk at the proxy that passed it on: whoever can write it there could also
 * invent one. */
bool client_forwarded(const struct clients *c, const char *line, struct in6_addr *address);

/* The keyed hash of the address, of IPv6 that of its /64: whoever has one address there has all of them. */
void client_address_name(const struct clients *c, const struct in6_addr *address,
                         char ret[CLIENT_ADDRESS_LEN + 1]);
