/* Lists of networks, as settings have them: "10.0.0.0/8 ::1 192.0.2.7", blanks or commas between. */
#pragma once

#include "core/cleanup.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct networks;

/* -EINVAL when one is none. */
int networks_new(const char *text, struct networks **ret) _warn_unused_;
void networks_free(struct networks *n); /* NULL is fine */

/* Addresses here are IPv6, those of IPv4 as ::ffff:a.b.c.d. */
bool networks_have(const struct networks *n, const struct in6_addr *address);
int networks_parse_address(const char *text, struct in6_addr *ret) _warn_unused_;
struct in6_addr networks_mapped(const struct in_addr *v4);
/* -EINVAL for another family than IPv4 and IPv6. */
int networks_of_sockaddr(const struct sockaddr *from, struct in6_addr *ret) _warn_unused_;
/* 127.0.0.0/8 or ::1 */
bool networks_is_loopback(const struct in6_addr *address);
/* Is it for machines of the public Internet? False for what IANA's registries of special-purpose addresses
 * (RFC 6890) keep for hosts, links, sites, documentation and tests, for multicast, for what hides an IPv4
 * address (NAT64, 6to4, Teredo), and for whatever no registry has assigned. */
bool networks_is_public(const struct in6_addr *address);
