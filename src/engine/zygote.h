/* The zygote's loop and what a child does in it: between engine/main.c, which starts up, and the engine. */
#pragma once

#include "engine/engine.h"
#include "sandbox/sandbox.h"

struct zygote {
    const struct engine *engine;
    struct sandbox *sandbox;
    int control; /* ENGINE_CONTROL_FD */
    struct zygote_child *children;
    size_t n_children, capacity;
};

/* Announces itself as ready and serves until the worker is gone, then kills all children and ends the
 * process. An engine_serve_fn for a struct zygote. Ends the process too when more than one thread runs: a
 * fork would copy the locks that the others hold. */
_noreturn_ void zygote_serve(void *zygote);

/* Tells the worker why there will be no service. */
void zygote_refuse(int control, const char *why);

/* In the child, with the sandbox in force: converts, reports on `report_fd` and ends the process. */
struct zygote_job {
    const char *from, *to, *options;
    const char *input_path, *output_path;
    int report_fd;
};
_noreturn_ void zygote_convert(const struct engine *engine, const struct zygote_job *job);
