/* A logical clock (L. Lamport, 1978), as Celery's workers and monitors keep it: an order of what happened
 * that needs no agreement about the time. */
#pragma once

#include <stdint.h>

/* Peers say what they like. Beyond 2^53 JavaScript, and many a parser of JSON, can't count by one any more.
 */
#define LAMPORT_MAX (INT64_C(1) << 53)

struct lamport {
    int64_t value;
};

static inline int64_t lamport_forward(struct lamport *l)
{
    if (l->value < LAMPORT_MAX)
        l->value++;
    return l->value;
}

/* A message has come that was sent at `other`. */
static inline int64_t lamport_adjust(struct lamport *l, int64_t other)
{
    if (other > l->value && other < LAMPORT_MAX)
        l->value = other;
    return lamport_forward(l);
}
