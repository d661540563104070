/* How the parts of an installation are, for GET /readyz and GET /metrics: what every living worker says of
 * itself, how the queue is, and what this process can reach. */
#pragma once

#include "api/api.h"
#include "state/worker_info.h"

struct readiness {
    json_t *parts; /* {"redis": {"ok": true}, …}; a new reference is to be taken by whoever keeps it */
    bool ready;    /* all of them are ok, but perhaps the courier: files are converted without it */
    bool has_redis, has_queue, has_storage, has_courier;
    struct queue_look queue;
    uint64_t free_bytes;
    const struct worker_info *workers;
    size_t n_workers;
};

/* Called once, from the loop. */
typedef void readiness_fn(void *arg, const struct readiness *r);
void readiness_ask(struct api *api, readiness_fn *fn, void *arg);
