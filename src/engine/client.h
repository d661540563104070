/* The worker's side of the engines: starts each engine's zygote, restarts it when it dies (100 ms doubling to
 * 10 s), runs jobs in it, and kills what outlives its deadline. On a libuv loop. */
#pragma once

#include "core/outcome.h"
#include "core/settings.h"
#include "engine/fonts.h"
#include "engine/protocol.h"

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct engine_pool;

/* Starts a zygote per engine of the catalogue, or only for `engines` (NULL-terminated) when that is not NULL.
 */
int engine_pool_new(uv_loop_t *loop, const struct settings *settings, const char *const *engines,
                    struct engine_pool **ret) _warn_unused_;
/* Ends the zygotes and with them all children; runs in progress end with OUTCOME_INTERNAL before this
 * returns. The loop has to turn once more for its handles. Not from within a progress function. */
void engine_pool_free(struct engine_pool *p);

/* Replaces every engine by a freshly started one, as when libraries were upgraded: runs go to the old one
 * until the new one is up, and the old one ends when its runs are over. When the new one doesn't come up the
 * old one stays, and engine_info tells why. */
void engine_pool_reload(struct engine_pool *p);

enum engine_state { ENGINE_STARTING, ENGINE_UP, ENGINE_DOWN /* refused; will be tried again */ };
/* State, layers, version and the reason of a refusal, which may be that of a replacement for one that is up
 * (strings live until the next turn). `fn` on each change.
 */
struct engine_info {
    const char *name, *version, *why;
    enum engine_state state;
    unsigned layers;      /* enum sandbox_layer */
    uint64_t restarts;    /* how often it has died after having been up */
    bool sandbox_refused; /* of one that is down: no library is missing, the host denies the sandbox */
};
bool engine_pool_info(const struct engine_pool *p, const char *engine, struct engine_info *ret);
/* Engines have died with what starts them (launcher.h), and none will come up any more. Told as a change. */
bool engine_pool_lost(const struct engine_pool *p);
void engine_pool_on_change(struct engine_pool *p, void (*fn)(void *arg), void *arg);

struct engine_report;
/* The process is gone when this is called; exactly once a run, never before engine_pool_run has returned. */
typedef void engine_done_fn(void *arg, const struct engine_report *report);

struct engine_request {
    enum engine_task task;
    const char *engine, *from, *to;
    const char *options;        /* JSON; with the document's password, if there is one */
    int job_fd;                 /* borrowed for the call */
    const char *input, *output; /* below the job's folder */
    uint64_t timeout_ms;        /* from when the child has the job */
    uint64_t timeout_page_ms;   /* so much more for each page that it says the document has … */
    uint64_t timeout_most_ms; /* … up to this, whatever it says; less than timeout_ms: no more than that */
    uint64_t cpu_s;           /* of all threads together; not 0 */
    /* For who can't wait until then: called once, before done, when the child has said that its
     * result is complete. The process is being killed, but may still write to its output; time and memory are
     * what it says itself. What done reports in the end changes nothing of it. May not free the pool. NULL:
     * not called. */
    engine_done_fn *result;
};

struct engine_report {
    enum outcome outcome;
    const char *output_name, *output_format;
    uint64_t pages, cpu_ms, wall_ms;
    uint64_t timeout_ms; /* what was in force at the end */
    uint64_t peak_kib;   /* resident, all of the engine's shared pages included */
    uint64_t pss_kib;    /* at the end, with a share of those; said by the child; 0: not measured this time */
    const struct font_list *fonts; /* said by the child; NULL: nothing */
    const char *version;
    unsigned layers;
    bool transient;      /* somebody else has killed it, or what starts engines: another try may do better */
    bool forbidden_call; /* it ended by a system call that its policy kills for */
};

typedef void engine_progress_fn(void *arg, unsigned percent);

struct engine_run;
/* Waits for the engine to be up if it is starting; one that is down ends the run with OUTCOME_INTERNAL. A run
 * whose zygote dies, or whose child is killed before it has begun to read, is tried once more. When it is
 * over a folder ".tmp" may be left in the output folder (DECANT_SANDBOX=reduced). NULL when memory or
 * descriptors are short: then done is not called. */
struct engine_run *engine_pool_run(struct engine_pool *p, const struct engine_request *request,
                                   engine_progress_fn *progress, engine_done_fn *done, void *arg);
/* Kills it; done comes with OUTCOME_CANCELLED. */
void engine_run_cancel(struct engine_run *r);
