/* What the files of the runner share: runner.c (until the conversion), runner_convert.c (the conversion),
 * runner_settle.c (from its outcome to the end), runner_file.c (files without a job) and runner_preview.c
 * (pictures of results). Nobody else includes it. */
#pragma once

#include "worker/runner.h"

#include "core/log.h"
#include "engine/catalogue.h"
#include "worker/exchange_task.h"
#include "worker/settlement.h"
#include "worker/tasks.h"

enum { RUNNER_RETRY_MS = 1000 /* while Redis is away */ };

/* By which a line of the log is found. */
#define LOG_TASK(r)                                                                                          \
    LOG_S("job_id", (r)->job_id), LOG_S("task_id", (r)->claim->id), LOG_S("trace_id", (r)->trace.id)

/* One of many that become one. */
struct runner_input {
    char *path, *name; /* path: the stored one */
    char job_id[ID_UUID_LEN + 1];
    struct conversion_input input;
};

/* What is special about one of the tasks. */
struct task_kind {
    const char *name;
    const char *needs;  /* a sentence, for who sends other arguments */
    bool owns_job;      /* the job's record goes along with it, and its files are not kept without one */
    const char *family; /* whose queue it belongs in; NULL: in that of its route */
    bool (*take_arguments)(struct runner *r); /* NULL: begin() looks at them */
    void (*begin)(struct runner *r);
    /* On a thread. */
    int (*publish)(struct runner *r, const struct conversion_output *output);
    void (*settle)(const struct runner *r, enum ending ending, struct settlement *ret);
    void (*count)(struct counters *c, const struct counted_job *job);
};

struct runner {
    const struct runner_context *context;
    const struct task_kind *kind;
    struct queue_claim *claim;
    char worker[128];
    runner_over_fn *over;
    void *arg;

    unsigned queue;      /* whose share of the slots it holds; QUEUE_BASE before its route is known */
    const char *belongs; /* RELEASED: into the queue of this family; NULL: where it came from */
    const char *session_id, *job_id; /* in the claim; "" when it has none */
    const struct catalogue_route *route;
    char *stored_path, *kept_path, *options, *sealed_secrets;
    int job_fd;
    struct runner_input *inputs; /* NULL: it is about one file */
    size_t n_inputs;
    size_t infected_input;      /* of them */
    struct exchange_task *file; /* of TASK_CONVERT_FILE; NULL of others */
    unsigned size;              /* of TASK_PREVIEW, as is … */
    char result_id[ID_UUID_LEN + 1];

    struct conversion *conversion;
    bool stopped, released, settling, ended, scanning;
    bool dropped;                        /* `file` was */
    bool revoked;                        /* by Celery's remote control */
    int signal;                          /* that terminates it; 0: it isn't begun, or runs on */
    bool occupied;                       /* the conversion's process and folders are not gone yet */
    void (*when_gone)(struct runner *r); /* when they are; NULL: nothing */
    unsigned percent;
    uint64_t progress_sent_ms, started_ms;
    uint64_t begun_ms, begun_real_ms; /* 0: the job isn't marked as ours yet */
    uint64_t queue_ms;                /* until it was claimed; JOB_UNKNOWN: the message doesn't say */
    struct trace trace;

    uv_timer_t timer; /* what `retry` waits for */
    void (*retry)(struct runner *r);
    uv_work_t work;
    void (*chore)(struct runner *r), (*then)(struct runner *r);
    unsigned pending; /* answers of Redis that will still come to us */

    enum ending ending;
    struct attempt attempt;
    int settled;                      /* what the queue said of it */
    const char *kill, *killed;        /* why the sandbox ended it, and in which engine; NULL: it did not */
    char published[STORAGE_PATH_MAX]; /* "" or the result under its final name */
    char signature[160], engine_version[128], failed_name[CONVERSION_FAILED_NAME_MAX];
    struct font_list fonts;
};

/* --- runner.c */

/* Calls `retry` on the loop; the last one asked for counts. */
void runner_retry_in(struct runner *r, uint64_t ms, void (*retry)(struct runner *r));
/* Did Redis not answer: neither yes nor no? */
bool runner_unanswered(int err);
/* True if it didn't: then `ask` is called in a while, unless the task was called off meanwhile. */
bool runner_asks_again(struct runner *r, int err, void (*ask)(struct runner *r));
/* An answer has come, which `pending` had counted. False: nobody waits for it any more, and the runner may be
 * gone. */
bool runner_answered(struct runner *r);
/* Runs `chore` on one of libuv's threads and `then` on the loop. */
void runner_do_then(struct runner *r, void (*chore)(struct runner *r), void (*then)(struct runner *r));
/* The last thing: frees it when no answer is to come any more. */
void runner_close(struct runner *r);
/* There is nothing to do (any more). */
void runner_skip(struct runner *r, const char *why);
/* session_id and job_id of the task's arguments; false when these are none. */
bool runner_take_job(struct runner *r);
/* Is that a stored path of this very job, and what is it from the job's folder on? */
bool runner_is_own(const struct runner *r, const char *stored_path);
const char *runner_path_in_job(const struct runner *r, const char *stored_path);
/* Its route says in which queue it belongs. Here it stays only if there is a place for its family; else
 * false, and it is settled. */
bool runner_find_place(struct runner *r);
void runner_log_started(const struct runner *r);
/* From here on it counts as begun, to Celery's tools and events too. */
void runner_mark_begun(struct runner *r);

/* --- runner_convert.c */

void runner_convert(struct runner *r, const struct conversion_request *request);
/* The options with the document's password in them, where there is one: no earlier than now, and no longer
 * than until the conversion has got them. */
int runner_open_options(struct runner *r, char **ret) _warn_unused_;

/* --- runner_settle.c: from the outcome, which is told once, to the end */

void runner_settle(struct runner *r, enum ending ending);
void runner_call_off(struct runner *r);
void runner_give_up(struct runner *r);
void runner_fail(struct runner *r, enum outcome outcome);
/* Before the conversion: was it called off meanwhile? Then it is settled. */
bool runner_called_off(struct runner *r);
/* On another thread: the job's record is gone, and so go its files. */
void runner_remove_job(struct runner *r);
/* It is over, or will be when its process is gone: a slot is a process. */
void runner_end(struct runner *r);

/* --- runner_file.c */

void runner_begin_file(struct runner *r);
int runner_publish_file(struct runner *r, const struct conversion_output *output);

/* --- runner_preview.c */

bool runner_take_preview(struct runner *r);
void runner_begin_preview(struct runner *r);
int runner_publish_preview(struct runner *r, const struct conversion_output *output);
void runner_settle_preview(const struct runner *r, enum ending ending, struct settlement *ret);

/* --- runner_inputs.c */

/* Keeps what the job's record says of them ("": there are none); -EINVAL when that is nothing of ours. */
int runner_inputs_read(struct runner *r, const char *text) _warn_unused_;
/* On another thread: their folders, once more. One that is gone is found out when it is read. */
void runner_inputs_open(struct runner *r);
void runner_inputs_free(struct runner *r);
