/* What client.c (the pool and its zygotes) and client_run.c (one run) share. Nobody else includes it. */
#pragma once

#include "engine/client.h"
#include "engine/verdict.h"

#include "core/msg.h"

struct engine_pool {
    uv_loop_t *loop;
    const struct settings *settings;
    struct launcher *launcher;
    struct zygote *zygotes;  /* one current for each engine, and those that come and go at a reload */
    struct engine_run *runs; /* oldest first */
    uint64_t next_run;
    uv_timer_t *announcement;
    void (*on_change)(void *arg);
    void *on_change_arg;
};

struct zygote {
    struct engine_pool *pool;
    struct zygote *next;
    struct zygote *replaces; /* whom it will, when it is up; NULL: nobody */
    bool sandbox_refused;    /* the last time that it didn't come up */
    bool retired;            /* replaced: ends when its runs are over */
    const char *name;
    enum engine_state state;
    char version[128], why[512]; /* as engine_info has them */
    char said[512];              /* why the process that is there will end; "": it has not said */
    unsigned layers;
    pid_t pid; /* 0: no process */
    int pidfd, control;
    uv_poll_t *pidfd_watch, *control_watch;
    uv_timer_t *timer; /* until READY: the deadline; without a process: the back-off */
    unsigned backoff_ms, killed_starts;
    uint64_t up_since_ms;
    uint64_t restarts; /* deaths after it was up; a replacement inherits them */
};

enum run_state { QUEUED, SENT, RUNNING, ORPHANED, ENDED };

struct engine_run {
    struct engine_pool *pool;
    struct engine_run *next;
    struct zygote *zygote; /* NULL: there is no such engine */
    enum run_state state;
    bool retried;
    uint64_t id;
    enum engine_task task;
    char *from, *to, *options, *input, *output;
    uint64_t timeout_ms, timeout_page_ms, timeout_most_ms; /* as in the request */
    uint64_t deadline_ms;                                  /* in force: it grows once, with the pages */
    bool pages_told;
    int job_fd, report, pidfd;
    uv_poll_t *report_watch, *pidfd_watch;
    uv_timer_t *timer;
    uint64_t started_ms, wall_ms;
    struct verdict_facts facts;
    uint64_t pages, pss_kib, said_cpu_ms, said_peak_kib;
    char output_name[64], output_format[16];
    bool fonts_told;
    struct font_list fonts;
    enum outcome outcome;
    engine_progress_fn *progress;
    engine_done_fn *result; /* NULL, too, when it was called */
    engine_done_fn *done;
    void *arg;
};

/* In client.c: sends what waits for this zygote, oldest first. */
void zygote_pump(struct zygote *z);
/* The one that new runs go to; NULL when there is none of this name. */
struct zygote *zygote_find(const struct engine_pool *p, const char *name);

/* A run is gone: those that have only been waiting for it can end, or be forgotten. */
void zygote_dismiss_retired(struct engine_pool *p);

/* In client_run.c: 0, -EAGAIN when the zygote has too much to read, -EPIPE when it is going down, or another
 * error. */
int run_send(struct engine_run *r) _warn_unused_;
/* What the zygote says of its runs; -EBADMSG for nonsense. */
int run_take_spawned(struct zygote *z, struct msg *m) _warn_unused_;
int run_take_exited(struct zygote *z, struct msg *m) _warn_unused_;
/* Its zygote died. */
void run_orphan(struct engine_run *r);
/* Over; done() is called in the next turn of the loop. Nothing if it is over already. */
void run_conclude(struct engine_run *r, enum outcome outcome);
/* Calls done() now, and frees the run. */
void run_call_done(struct engine_run *r);
