#include "state/work_counts.h"

#include "state/work_counts_tell.lua.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define COUNTS_KEY "decant:counts"

enum { KEY_MAX = 256, NUMBER_MAX = 24 };

static struct redis_script tell_script = {.name = "work_counts_tell", .text = work_counts_tell_lua};

/* In milliseconds: most conversions take tenths of a second, the longest minutes. */
static const struct histogram_scale run_scale = {
    .unit = 1e-3,
    .n_bounds = 11,
    .bounds = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000},
};
static const struct histogram_scale wait_scale = {
    .unit = 1e-3,
    .n_bounds = 11,
    .bounds = {10, 50, 250, 1000, 5000, 15000, 30000, 60000, 300000, 900000, 3600000},
};
static const struct histogram_scale memory_scale = {
    .unit = 1,
    .n_bounds = 8,
    .bounds = {UINT64_C(32) << 20, UINT64_C(64) << 20, UINT64_C(128) << 20, UINT64_C(256) << 20,
               UINT64_C(512) << 20, UINT64_C(1) << 30, UINT64_C(2) << 30, UINT64_C(4) << 30},
};

const struct work_family_info work_families[WORK_FAMILIES] = {
    [WORK_JOBS] = {"jobs", "decant_jobs_finished_total",
                   "Jobs that have ended, by how: ok, or the error_code.", "engine source target outcome",
                   NULL, 1},
    [WORK_WAIT] = {"wait", "decant_job_wait_seconds", "From POST /convert to the start of the last attempt.",
                   "engine source target", &wait_scale, 0},
    [WORK_RUN] = {"run", "decant_job_run_seconds", "From the start of the last attempt to the job's end.",
                  "engine source target", &run_scale, 0},
    [WORK_CPU] = {"cpu", "decant_job_cpu_seconds_total", "Processor time of conversions.",
                  "engine source target", NULL, 1e-3},
    [WORK_MEMORY] = {"memory", "decant_job_peak_memory_bytes",
                     "Most memory that a conversion had resident, with what all share.", "engine",
                     &memory_scale, 0},
    [WORK_TASKS] = {"tasks", "decant_tasks_ended_total", "Claims of queue messages that have ended, by how.",
                    "ending", NULL, 1},
    [WORK_PREVIEWS] = {"previews", "decant_previews_made_total",
                       "Pictures of results that were to be made, by how that ended.", "outcome", NULL, 1},
    [WORK_KILLS] = {"kills", "decant_sandbox_kills_total",
                    "Conversions that the sandbox or a limit ended, by why.", "engine reason", NULL, 1},
    [WORK_RESTARTS] = {"restarts", "decant_engine_restarts_total",
                       "Engines that had died and were started again.", "engine", NULL, 1},
    [WORK_WEBHOOKS] = {"webhooks", "decant_webhook_attempts_total",
                       "Webhooks that were sent or given up, by what became of the attempt.", "delivery",
                       NULL, 1},
    [WORK_VERDICTS] = {"verdicts", "decant_scanner_verdicts_total",
                       "Answers on whether a file is infected, by what they were and where they came from.",
                       "verdict origin", NULL, 1},
    [WORK_SCAN] = {"scan", "decant_scanner_duration_seconds", "What clamd took for a file.", "",
                   &histogram_latency, 0},
    [WORK_REDIS] = {"redis", "decant_worker_redis_command_duration_seconds",
                    "From a worker's sending a command to Redis to the answer.", "", &redis_scale, 0},
    [WORK_REDIS_FAILED] = {"redis_failed", "decant_worker_redis_command_failures_total",
                           "Workers' commands that Redis did not answer.", "", NULL, 1},
};

void work_counts_tell(struct redis *r, const char *worker, const struct work_count *counts, size_t n,
                      redis_reply_fn *fn, void *arg)
{
    char key[KEY_MAX];
    char values[WORK_TOLD_MAX][NUMBER_MAX];
    const char *argv[2 + 2 * WORK_TOLD_MAX + 1] = {COUNTS_KEY, key};
    size_t argc = 2;

    assert(n <= WORK_TOLD_MAX);
    snprintf(key, sizeof key, COUNTS_KEY ":%s", worker);
    for (size_t i = 0; i < n; i++) {
        snprintf(values[i], sizeof values[i], "%" PRIu64, counts[i].value);
        argv[argc++] = counts[i].field;
        argv[argc++] = values[i];
    }
    argv[argc] = NULL;
    redis_eval(r, &tell_script, 2, argv, fn, arg);
}

void work_counts_load(struct redis *r, redis_reply_fn *fn, void *arg)
{
    redis_command(r, REDIS("HGETALL", COUNTS_KEY), fn, arg);
}
