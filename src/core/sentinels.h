/* DECANT_REDIS where Redis Sentinel says who the master is: a list as Celery (kombu) writes it,
 *
 *     sentinel://HOST:PORT;sentinel://HOST:PORT;sentinel://HOST:PORT/0
 *
 * HOST is a name, an IPv4 address or an [IPv6] one; PORT is 26379 when it isn't there; what is behind the
 * slash is the database, and must be 0 (docs/queue.md). No user or password: those come by files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SENTINELS_MAX = 16, SENTINEL_PLACE_MAX = 272 /* a name of 253 characters, and what is around it */ };

struct sentinels {
    size_t n;
    char places[SENTINELS_MAX][SENTINEL_PLACE_MAX]; /* tcp:HOST:PORT */
};

/* Is it meant to be such a list? */
bool sentinels_meant(const char *url);
/* -EINVAL when it is none. */
int sentinels_parse(const char *url, struct sentinels *ret) __attribute__((warn_unused_result));

/* A list of ports with spaces or commas between: each from 1 to 65535, and at least one. */
bool ports_valid(const char *list);
bool ports_have(const char *list, unsigned port);
/* Walks a valid one: sets *port, returns the rest, or NULL at the end. */
const char *ports_next(const char *list, unsigned *ret_port);
