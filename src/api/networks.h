/* Lists of networks, as settings have them: "10.0.0.0/8 ::1 192.0.2.7", blanks or commas between. */
#pragma once

#include "core/cleanup.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct networks;

/* -EINVAL when one is none. */
int networks_new(const char *text, struct networks **ret) _warn_unused_;
void networks_free(struct networks *n); /* NULL is fine */

/* Addresses here are IPv6, those of IPv4 as ::ffff:a.b.c.d. */
bool networks_have(const struct networks *n, const struct in6_addr *address);
int networks_parse_address(const char *text, struct in6_addr *ret) _warn_unused_;
struct in6_addr networks_mapped(const struct in_addr *v4);
/* 127.0.0.0/8 or ::1 */
bool networks_is_loopback(const struct in6_addr *address);
