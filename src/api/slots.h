/* How much of something there may be at once: in the whole process, and for each client by each of its names
 * (event streams, uploads under way, connections). Safe to use from all loops. */
#pragma once

#include "api/client.h"

#include <stdint.h>

struct slots;

/* UINT64_MAX: no limit of that kind. */
struct slots_max {
    uint64_t all, of[CLIENT_KINDS];
};

int slots_new(const struct slots_max *max, struct slots **ret) _warn_unused_;
/* All must have been released. NULL is fine. */
void slots_free(struct slots *slots);
/* 0; -EDQUOT: the client has all it may have by one of its names; -EAGAIN: the process has; -ENOMEM. */
int slots_take(struct slots *slots, const struct client_names *client) _warn_unused_;
/* With the same names. */
void slots_release(struct slots *slots, const struct client_names *client);
/* How many are taken, by all. */
uint64_t slots_taken(struct slots *slots);
