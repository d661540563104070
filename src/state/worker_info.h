/* What each worker says about itself, for /readyz and `decant doctor`: hash `decant:worker:{id}`, which its
 * worker renews every few seconds and Redis expires. That a worker lives is told by its lease in the queue
 * (queue/queue.h); this says how it is. */
#pragma once

#include "state/redis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKER_INFO_EVERY_MS = 5000, WORKER_INFO_TTL_S = 15, WORKER_INFO_MAX = 256 };

/* A view; strings are never NULL in what is read, and live during the callback. */
struct worker_info {
    const char *id, *version;
    const char *engines;        /* JSON: {"office": {"state": "up|starting|down", "version", "layers", "why",
                                 * "share", "run_ms": worker/counters.h}, …} */
    const char *sandbox;        /* the setting: "full" or "reduced" */
    const char *scanner;        /* "up", "down", "unfit", "off", or "unknown" before it was tried */
    const char *scanner_detail; /* clamd's version, or why it is down */
    const char *scanner_remark; /* what should be set otherwise in clamd, or "" */
    bool test_signatures;       /* clamd knows no more than a test database */
    uint64_t jobs, slots;       /* running, and how many may */
    uint64_t family_slots;      /* how many of these one family of engines may hold */
    uint64_t scanning;          /* of those that run: with the scanner, or waiting for it */
};

void worker_info_put(struct redis *r, const struct worker_info *info, redis_reply_fn *fn, void *arg);

/* The worker ends: its information is gone. */
void worker_info_remove(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);

/* The workers that have reported lately, at most WORKER_INFO_MAX. err as in redis.h. */
typedef void worker_info_fn(void *arg, int err, const struct worker_info *workers, size_t n);
void worker_info_list(struct redis *r, worker_info_fn *fn, void *arg);
