/* Jobs: hash `session:{session_id}:jobs:{job_id}`, which expires with its session. Fields are the members of
 * struct job under the same names; absent ones are empty. Every change is published on channel
 * `decant:job:{job_id}`; the message is the job's status. That a session has one more job, or is being
 * closed, is published on `decant:session:{session_id}`: `jobs`, `closed`.
 *
 * A worker holds a job from when it sets field `worker` to its own id (with the status `scanning`, or, if it
 * won't run it but has to end it, alone) until it sets it to "", which it does together with the final
 * status, or after it has stopped a job that was cancelled. session_running() counts the jobs that are held.
 */
#pragma once

#include "core/id.h"
#include "core/outcome.h"
#include "state/redis.h"

#include <stdint.h>

enum job_status {
    JOB_UPLOADED,
    JOB_QUEUED,
    JOB_SCANNING,
    JOB_PROCESSING,
    JOB_COMPLETED,
    JOB_FAILED,
    JOB_CANCELLED,
};

const char *job_status_name(enum job_status status);
int job_status_parse(const char *name, enum job_status *ret);
/* The states in which one waits or is under way, as hashes of the queue expect them (queue.h). */
#define JOB_OPEN "queued scanning processing"
/* It has ended, and goes on no more by itself. */
bool job_status_is_final(enum job_status status);

#define JOB_UNKNOWN UINT64_MAX

/* A view: strings are never NULL, and live as long as what they were read from. */
struct job {
    const char *job_id, *session_id;
    const char *original_filename, *source_format, *target_format, *mime_type, *sha256;
    uint64_t size;
    const char *stored_path, *converted_path; /* below the storage root */
    enum job_status status;
    unsigned progress;             /* 0–100 */
    const char *task_id, *options; /* options: JSON object */
    /* What becomes one with it: JSON array of {"path": stored path, "name": file name, "format": id}, itself
     * the first; "" it is converted alone. */
    const char *inputs;
    const char *sealed_secrets; /* of the document, for the worker alone (core/seal.h); "" none */
    /* Which options these were, with spaces between; stays when they are gone. "" none were given. */
    const char *secret_options;
    /* The task that is to be stopped (queue_cancel): it ends as cancelled whatever it has come to. "" none.
     */
    const char *cancelling;
    /* Where its end is told (state/webhooks.h), of a retry's too; "" nowhere. */
    const char *callback_url;
    const char *created_at, *started_at, *completed_at;
    const char *error_code, *error_message;
    const char *output_mime_type;
    uint64_t output_size, output_pages;
    const char *fonts_substituted;       /* JSON array (engine/fonts.h); "" nobody has looked */
    const char *scan;                    /* "clean", "infected", "incomplete", "encrypted", "off" */
    const char *signature;               /* the virus that was found */
    const char *engine, *engine_version; /* which engine, and its library */
    const char *sandbox;                 /* the layers in force */
    const char *worker;                  /* who holds it; "" nobody */
    uint64_t attempts, cpu_ms, peak_kib, pss_kib;
    /* JOB_UNKNOWN until they are known: from when it was put into the queue to the start of its last attempt,
     * and from there to its end. */
    uint64_t queue_ms, duration_ms;
    bool cached;             /* nothing was converted: it has a copy of another job's result */
    const char *fingerprint; /* of its conversion (result.h); "" its result is for nobody else */
    const char *idempotency; /* of the request that has started it (idempotency.h); "" none such */
};

typedef void job_fn(void *arg, int err, const struct job *job);

struct job_quota {
    uint64_t jobs;                     /* of a session */
    uint64_t session_bytes, all_bytes; /* stored (state/stored.h); 0: no limit */
    uint64_t keep_s; /* not of how much, but for how long (job_kept.h); 0: as long as its session */
};

/* Stores a new job: status uploaded, created now unless it says when. err: -ENOENT the session is gone,
 * -EDQUOT it holds as many jobs as it may already, -EFBIG as many bytes, -ENOBUFS all sessions together do,
 * -EEXIST the job is there. `job` is passed as NULL. */
void job_create(struct redis *r, const struct job *job, const struct job_quota *quota, job_fn *fn, void *arg);
/* The same for one whose file has come in pieces (partial.h), under the id that these have had; it has had
 * its room since it was announced. err -ECANCELED: there is none of that id any more. */
void job_create_arrived(struct redis *r, const struct job *job, uint64_t keep_s, job_fn *fn, void *arg);
/* What job_create() would say now of one with a file of that size: before the work of making it. */
void job_look_for_room(struct redis *r, const char *session_id, uint64_t size, const struct job_quota *quota,
                       job_fn *fn, void *arg);

/* err -ENOENT: none of that id in this session; ids of a wrong form are just as absent. */
void job_load(struct redis *r, const char *session_id, const char *job_id, job_fn *fn, void *arg);
/* The same with what clients may see; other members (paths of uploads, options, passwords, the worker) are
 * empty. */
void job_load_shown(struct redis *r, const char *session_id, const char *job_id, job_fn *fn, void *arg);

/* Sets fields (name, value, name, value, … NULL; 32 at most) if the job still exists and is neither
 * finished nor cancelled; `progress` never falls, unless `attempts` is set along with it. `task_id` is whose
 * run of the job speaks; NULL: nobody's. `fn` may be NULL. err -ENOENT when it is gone, -ECANCELED when it is
 * finished or cancelled, has another task by now, or its task is to be stopped. Publishes. */
void job_update(struct redis *r, const char *session_id, const char *job_id, const char *task_id,
                const char *const fields[], redis_reply_fn *fn, void *arg);

/* Pairs (name, value, …) that set what an attempt has left in a job to what a new job has; returns how many
 * strings. Constants. */
enum { JOB_RESET_MAX = 64 };
size_t job_reset(const char *ret[JOB_RESET_MAX]);

/* Its files are no longer there: one that is uploaded or completed has failed, as whoever asks for them would
 * find out. Publishes. err -ENOENT when it is gone, -EBUSY when it has another status. */
void job_lose(struct redis *r, const char *session_id, const char *job_id, redis_reply_fn *fn, void *arg);

/* "session:{sid}:jobs:{jid}", for scripts of the queue that touch the job in the same breath. */
#define JOB_KEY_MAX (sizeof "session::jobs:" + ID_TOKEN_LEN + ID_UUID_LEN)
void job_key(char ret[JOB_KEY_MAX], const char *session_id, const char *job_id);
/* The set of such keys of a session that wait or are under way, which queue_enqueue keeps. */
#define JOB_CROWD_MAX (sizeof "session::waiting" + ID_TOKEN_LEN)
void job_crowd(char ret[JOB_CROWD_MAX], const char *session_id);
#define JOB_CHANNEL_PREFIX     "decant:job:"
#define JOB_CHANNEL_MAX        (sizeof JOB_CHANNEL_PREFIX + ID_UUID_LEN)
#define SESSION_CHANNEL_PREFIX "decant:session:"
#define SESSION_CHANNEL_MAX    (sizeof SESSION_CHANNEL_PREFIX + ID_TOKEN_LEN)
/* Workers listen here; the message is what must stop: the id of a job whose session is closed, or of a task
 * that was cancelled, as the job itself may be under way again by the time it is read. */
#define JOB_STOP_CHANNEL "decant:stop"

/* Waiting for a job, a session or a result's picture (preview.h) to change, on one subscriber for the loop.
 */
struct job_watcher; /* the hub */
struct job_watch;   /* one waiter */
/* Something changed: load it again. `news` is the message; NULL: the subscription has come to stand (again),
 * and anything may have changed before. */
typedef void job_watch_fn(void *arg, const char *news);
int job_watcher_new(uv_loop_t *loop, const struct redis_config *config,
                    struct job_watcher **ret) _warn_unused_;
/* Watches that are left are never called again, and still have to be removed. NULL is fine. */
void job_watcher_free(struct job_watcher *h);
/* `id` is a job's, a session's or a result's. NULL when it is none, or memory is short. `fn` may add and
 * remove watches. */
struct job_watch *job_watch_add(struct job_watcher *h, const char *id, job_watch_fn *fn, void *arg);
void job_watch_remove(struct job_watch *w); /* NULL is fine */
