/* What `decant convert` is about while it runs: the files (convert_task.c) and the whole (convert.c). */
#pragma once

#include "cli/convert_plan.h"
#include "cli/convert_view.h"

#include "core/id.h"
#include "sandbox/cgroup.h"
#include "worker/conversion.h"

#include <stdatomic.h>
#include <uv.h>

#define CONVERT_WORKSPACE "decant-"

struct run;

enum { CONVERT_ENGINES_MAX = 32, CONVERT_PATH_BYTES = 64 };

/* One file on its way. */
struct task {
    struct run *run;
    const struct convert_item *item;
    char folder[24];                   /* in the workspace */
    struct conversion_input *inputs;   /* in the folder */
    char (*paths)[CONVERT_PATH_BYTES]; /* theirs */
    size_t n_inputs;
    int job_fd;
    uv_work_t work;
    struct conversion *conversion;
    struct convert_result result;
    unsigned percent;
    uint64_t started_ms;
};

struct run {
    struct convert_plan *plan;
    struct convert_view view;
    uv_loop_t loop;
    uv_signal_t signals[3];
    struct cgroup_place *cgroups; /* NULL: none can be had */
    struct engine_pool *engines;
    const char *engine_names[CONVERT_ENGINES_MAX + 1];
    struct conversion_shared conversions;

    char workspace[sizeof CONVERT_WORKSPACE + ID_UUID_LEN]; /* its name below tmp_fd, "" until it is there */
    int tmp_fd, workspace_fd;
    mode_t file_mode; /* of new results: 0666 less the umask */

    struct task *tasks;
    size_t next, running, slots;
    atomic_int interrupted; /* the signal, or 0 */
};

/* Begins with what is set in it; run_next() is called when it is over. */
void task_start(struct task *t);
/* In convert.c: as many further ones as there is room for; without any left the run ends. */
void run_next(struct run *run);
