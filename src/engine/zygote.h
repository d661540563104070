/* The zygote's loop and what a child does in it: between engine/main.c, which starts up, and the engine. */
#pragma once

#include "engine/engine.h"
#include "sandbox/sandbox.h"

#include "core/msg.h"

#include <sys/resource.h>

struct zygote {
    const struct engine *engine;
    struct sandbox *sandbox;
    int control;       /* ENGINE_CONTROL_FD */
    size_t spares_max; /* how many children may wait for jobs: no more than jobs run at once */
    /* of zygote.c */
    struct zygote_child *children;
    size_t n_children, capacity;
    size_t spares_wanted;
    bool refill;       /* until there are as many */
    size_t least_idle; /* spares in the current period */
    uint64_t period_ends_ms;
};

/* Announces itself as ready and serves until the worker is gone, then kills all children and ends the
 * process. An engine_serve_fn for a struct zygote. Ends the process too when more than one thread runs: a
 * fork would copy the locks that the others hold. */
_noreturn_ void zygote_serve(void *zygote);

/* Tells the worker why there will be no service: the sandbox can't be had, or the library. */
void zygote_refuse(int control, bool sandbox, const char *why);

/* Adds u64 cpu_ms and u64 peak_kib. */
void zygote_put_usage(struct msg *m, const struct rusage *usage);

/* In a child that sandbox_spawn() made: waits on `channel` for its job, enters the sandbox, converts, reports
 * and ends the process. */
_noreturn_ void zygote_child_main(const struct engine *engine, struct sandbox *sandbox, int channel);
