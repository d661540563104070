/* What is said when a task ends: the result for Celery's clients and the change of the job's hash, which
 * queue_done stores together. Nothing but data is made here. */
#pragma once

#include "core/id.h"
#include "core/outcome.h"
#include "engine/fonts.h"
#include "format/format.h"
#include "queue/queue.h"
#include "state/job.h"
#include "state/preview.h"

#include <sys/param.h>

/* How a task ends. */
enum ending {
    END_COMPLETED,
    END_FAILED,
    END_REFUSED,    /* failed before an engine saw it, by what the task asks for */
    END_GAVE_UP,    /* failed, and to the dead letters: it was started too often */
    END_CANCELLED,  /* it was stopped: this cancels the job, unless its session was closed */
    END_REVOKED,    /* it was cancelled before */
    END_CALLED_OFF, /* by Celery's remote control: this cancels the job */
    END_SKIPPED,    /* there is nothing to do (any more) */
    END_SUPERSEDED, /* the same, as the job has another task by now */
    END_REJECTED,   /* it is no task of ours */
    END_RETRIED,    /* tried again later */
    END_RELEASED,   /* back to the queue */
};
const char *ending_name(enum ending ending);

/* What is known of the attempt; strings may be NULL. */
struct attempt {
    enum outcome outcome;
    bool scanned;
    const char *signature, *engine, *engine_version;
    bool had_password; /* the job holds one, sealed */
    unsigned layers;   /* enum sandbox_layer */
    uint64_t cpu_ms, peak_kib, pss_kib;
    uint64_t duration_ms; /* since the task was claimed */
    /* COMPLETED */
    const char *published; /* stored path */
    const struct format *output_format;
    uint64_t output_size, output_pages;
    const struct font_list *fonts;
    const char *exchanged; /* the result's path, of a task without a job; NULL of others */
    /* SKIPPED; REFUSED and REJECTED: a code and a sentence; CALLED_OFF: Celery's word for how */
    const char *reason, *reason_text;
    /* FAILED: by which file of many; NULL or "": it is about one, or they could not become one */
    const char *failed_name;
};

enum { SETTLEMENT_FIELDS = 48, SETTLEMENT_NUMBERS = 8, SETTLEMENT_MESSAGE_MAX = 600 };

/* `hash` and `result` point into it and into the arguments of settlement_make. */
struct settlement {
    struct queue_result result;
    bool has_hash;
    struct queue_hash hash;

    json_t *value;
    char *fonts;
    char key[MAX(JOB_KEY_MAX, PREVIEW_KEY_MAX)], channel[MAX(JOB_CHANNEL_MAX, PREVIEW_CHANNEL_MAX)];
    char job[JOB_KEY_MAX]; /* whose bytes are counted */
    char now[32], mime[128], layers[64], message[SETTLEMENT_MESSAGE_MAX];
    const char *fields[SETTLEMENT_FIELDS];
    size_t n_fields;
    char numbers[SETTLEMENT_NUMBERS][24];
    size_t n_numbers;
};

/* `session_id` and `job_id` are "" where the task has none. */
void settlement_make(struct settlement *s, enum ending ending, const char *session_id, const char *job_id,
                     const struct attempt *attempt);
/* Of a picture: what changes is the record of the result, "" while it isn't known. */
void settlement_make_preview(struct settlement *s, enum ending ending, const char *session_id,
                             const char *job_id, const char *result_id, const struct attempt *attempt);
void settlement_free(struct settlement *s);
#define _cleanup_settlement_ _cleanup_(settlement_free)
