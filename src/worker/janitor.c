/* A round is a chain of steps: a batch of session folders is listed, Redis is asked about them, those that
 * it does not know are removed; then the others are looked at one by one, where there is more to do with
 * them. Files are touched on a thread of libuv's alone, and Redis on the loop alone, never both at once, so
 * nothing is locked. Each step ends in one place, and a janitor that is to end goes no further. */
#include "worker/janitor.h"

#include "core/log.h"
#include "core/str.h"
#include "files/storage_list.h"
#include "state/job.h"
#include "state/lease.h"
#include "state/session.h"
#include "worker/retirement.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_KEY "decant:janitor"

enum { LEASE_ROUNDS = 2 /* so late may a janitor be before another one takes over */ };

struct janitor {
    struct janitor_config config;
    uv_timer_t timer;
    uv_work_t work;
    void (*chore)(struct janitor *j), (*then)(struct janitor *j);
    bool busy; /* a round is under way: an answer or a thread's end will come */
    unsigned rounds;
    bool thorough; /* this round */

    struct storage_walk *walk;
    char ids[SESSION_PRESENCE_MAX][ID_TOKEN_LEN + 1];
    enum session_presence presence[SESSION_PRESENCE_MAX];
    size_t n, at; /* of the batch; the one that is looked at */

    /* of the session that is reconciled: the jobs and partial uploads that Redis knows of, and, of these, how
     * many have lost their folder: they are moved to the front */
    char (*jobs)[ID_UUID_LEN + 1];
    size_t n_jobs, n_lost;
    char (*littered)[ID_UUID_LEN + 1]; /* those in whose folders attempts have left something */
    size_t n_littered;
    char keep[STORAGE_PATH_MAX]; /* the result of the one that is swept */

    unsigned sessions_removed, jobs_removed, jobs_lost, jobs_swept, jobs_retired; /* in this round */
    int error; /* the first of this round */
    janitor_fn *over;
    void *over_arg;
};

static void ask_for_next_batch(struct janitor *j);
static void look_at_next(struct janitor *j);

/* --- steps */

static void note_error(struct janitor *j, int r)
{
    if (r < 0 && j->error == 0)
        j->error = r;
}

static void log_round(const struct janitor *j)
{
    if (j->sessions_removed + j->jobs_removed + j->jobs_lost + j->jobs_swept + j->jobs_retired > 0)
        log_info("cleaned up", LOG_U("sessions_removed", j->sessions_removed),
                 LOG_U("jobs_removed", j->jobs_removed), LOG_U("jobs_lost", j->jobs_lost),
                 LOG_U("jobs_swept", j->jobs_swept), LOG_U("jobs_retired", j->jobs_retired));
    /* That Redis is away is said by others. */
    if (j->error < 0 && j->error != -ECANCELED && j->error != -ENOTCONN && j->error != -ETIMEDOUT)
        log_warn("not everything could be cleaned up; it is tried again", LOG_E(j->error));
}

static void on_closed(uv_handle_t *handle)
{
    struct janitor *j = handle->data;

    j->over(j->over_arg);
    free(j);
}

static void on_dropped(void *arg, int err, const redisReply *reply)
{
    struct janitor *j = arg;

    uv_close((uv_handle_t *)&j->timer, on_closed);
}

static void end_round(struct janitor *j, int r)
{
    note_error(j, r);
    log_round(j);
    storage_walk_free(TAKE_PTR(j->walk));
    free(TAKE_PTR(j->jobs));
    free(TAKE_PTR(j->littered));
    j->busy = false;
    if (j->over)
        lease_drop(j->config.redis, LEASE_KEY, j->config.owner, on_dropped, j);
}

/* False: the round is over. */
static bool goes_on(struct janitor *j, int err)
{
    if (err == 0 && !j->over)
        return true;
    end_round(j, err);
    return false;
}

static void do_chore(uv_work_t *work)
{
    struct janitor *j = work->data;

    j->chore(j);
}

static void on_chore_done(uv_work_t *work, int status)
{
    struct janitor *j = work->data;

    if (goes_on(j, status))
        j->then(j);
}

static void do_then(struct janitor *j, void (*chore)(struct janitor *j), void (*then)(struct janitor *j))
{
    int r;

    j->chore = chore;
    j->then = then;
    j->work.data = j;
    r = uv_queue_work(j->config.loop, &j->work, do_chore, on_chore_done);
    if (r < 0)
        end_round(j, r);
}

/* --- one session of the batch: a closing that was cut short */

static const char *current(const struct janitor *j)
{
    return j->ids[j->at];
}

static void on_close_finished(void *arg, int err, const redisReply *reply)
{
    struct janitor *j = arg;

    if (!goes_on(j, err))
        return;
    j->sessions_removed++;
    j->at++;
    look_at_next(j);
}

/* The keys stay until the files are gone: the next round comes back to them. */
static void finish_close(struct janitor *j)
{
    if (j->error == 0)
        session_finish_close(j->config.redis, current(j), on_close_finished, j);
    else
        end_round(j, 0);
}

static void remove_current(struct janitor *j)
{
    note_error(j, storage_remove_session(j->config.storage, current(j)));
}

static void on_running(void *arg, int err, unsigned running)
{
    struct janitor *j = arg;

    if (!goes_on(j, err))
        return;
    if (running == 0) {
        do_then(j, remove_current, finish_close);
        return;
    }
    j->at++;
    look_at_next(j);
}

/* --- one session of the batch: its jobs and its folders */

/* Ids are strings, and a folder begins with its own. */
static_assert(offsetof(struct storage_job, id) == 0, "folders are found by their ids");

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Both are sorted: an account may have ten thousand jobs. `folders` is NULL where there are none. */
static bool has_folder(const struct storage_job *folders, size_t n, const char *id)
{
    return n > 0 && bsearch(id, folders, n, sizeof *folders, compare_ids);
}

static bool has_job(const struct janitor *j, const char *id)
{
    return bsearch(id, j->jobs, j->n_jobs, sizeof *j->jobs, compare_ids);
}

static void remove_orphans(struct janitor *j, const struct storage_job *folders, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int r;

        if (!folders[i].settled || has_job(j, folders[i].id))
            continue;
        r = storage_remove_job(j->config.storage, current(j), folders[i].id);
        note_error(j, r);
        j->jobs_removed += r == 0;
    }
}

static int find_litter(struct janitor *j, const struct storage_job *folders, size_t n)
{
    free(j->littered);
    j->littered = calloc(n ? n : 1, sizeof *j->littered);
    if (!j->littered)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (folders[i].settled && folders[i].littered && has_job(j, folders[i].id))
            memcpy(j->littered[j->n_littered++], folders[i].id, sizeof folders[i].id);
    return 0;
}

/* The jobs were asked for before the folders are listed: a folder comes first, so each of them has had one.
 */
static void compare(struct janitor *j)
{
    _cleanup_free_ struct storage_job *folders = NULL;
    char(*jobs)[ID_UUID_LEN + 1] = j->jobs;
    size_t n = 0;
    int r = storage_list_jobs(j->config.storage, current(j), (time_t)j->config.settled_s, &folders, &n);

    j->n_lost = j->n_littered = 0;
    note_error(j, r);
    if (r < 0 || !jobs)
        return;
    qsort(jobs, j->n_jobs, sizeof *jobs, compare_ids);
    if (n > 0)
        qsort(folders, n, sizeof *folders, compare_ids);
    remove_orphans(j, folders, n);
    note_error(j, find_litter(j, folders, n));
    for (size_t i = 0; i < j->n_jobs; i++)
        if (!has_folder(folders, n, jobs[i]))
            memmove(jobs[j->n_lost++], jobs[i], sizeof *jobs);
}

/* --- one session of the batch: what attempts of jobs that have ended have left */

static void sweep_next(struct janitor *j);

static void sweep_job(struct janitor *j)
{
    int r = storage_sweep_settled(j->config.storage, current(j), j->littered[--j->n_littered],
                                  (time_t)j->config.settled_s, j->keep);

    note_error(j, r);
    j->jobs_swept += r == 0;
}

/* What has not ended is swept by its next attempt. */
static void on_littered(void *arg, int err, const struct job *job)
{
    struct janitor *j = arg;

    if (!goes_on(j, err == -ENOENT ? 0 : err))
        return;
    if (err == 0 && job_status_is_final(job->status)) {
        snprintf(j->keep, sizeof j->keep, "%s", job->converted_path ? job->converted_path : "");
        do_then(j, sweep_job, sweep_next);
        return;
    }
    j->n_littered--;
    sweep_next(j);
}

static void sweep_next(struct janitor *j)
{
    if (j->n_littered > 0) {
        job_load(j->config.redis, current(j), j->littered[j->n_littered - 1], on_littered, j);
        return;
    }
    j->at++;
    look_at_next(j);
}

/* --- one session of the batch: jobs that have lost their folders */

static void lose_next(struct janitor *j);

/* Of another state, or gone meanwhile: nothing has to be said of it. */
static void on_lost(void *arg, int err, const redisReply *reply)
{
    struct janitor *j = arg;

    if (!goes_on(j, err == -EBUSY || err == -ENOENT ? 0 : err))
        return;
    j->jobs_lost += err == 0;
    lose_next(j);
}

static void lose_next(struct janitor *j)
{
    if (j->n_lost > 0) {
        job_lose(j->config.redis, current(j), j->jobs[--j->n_lost], on_lost, j);
        return;
    }
    sweep_next(j);
}

static int take_jobs(struct janitor *j, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return -EPROTO;
    free(j->jobs);
    j->n_jobs = 0;
    j->jobs = calloc(reply->elements ? reply->elements : 1, sizeof *j->jobs);
    if (!j->jobs)
        return -ENOMEM;
    for (size_t i = 0; i < reply->elements; i++) {
        const char *id = redis_reply_str(reply->element[i]);

        if (id_is_uuid(id))
            memcpy(j->jobs[j->n_jobs++], id, ID_UUID_LEN + 1);
    }
    return 0;
}

static void on_job_ids(void *arg, int err, const redisReply *reply)
{
    struct janitor *j = arg;

    if (goes_on(j, err ? err : take_jobs(j, reply)))
        do_then(j, compare, lose_next);
}

/* --- a batch */

static void look_at_next(struct janitor *j)
{
    for (; j->at < j->n; j->at++) {
        if (j->presence[j->at] == SESSION_CLOSING) {
            session_running(j->config.redis, current(j), on_running, j);
            return;
        }
        if (j->presence[j->at] == SESSION_OPEN && j->thorough) {
            session_kept(j->config.redis, current(j), on_job_ids, j);
            return;
        }
    }
    ask_for_next_batch(j);
}

static void remove_gone(struct janitor *j)
{
    for (size_t i = 0; i < j->n; i++) {
        int r;

        if (j->presence[i] != SESSION_GONE)
            continue;
        r = storage_remove_session(j->config.storage, j->ids[i]);
        note_error(j, r);
        j->sessions_removed += r == 0;
    }
}

static void on_presence(void *arg, int err, const enum session_presence *presence)
{
    struct janitor *j = arg;

    if (!goes_on(j, err))
        return;
    memcpy(j->presence, presence, j->n * sizeof *presence);
    j->at = 0;
    do_then(j, remove_gone, look_at_next);
}

static void look_up_batch(struct janitor *j)
{
    if (j->n == 0)
        end_round(j, 0);
    else
        session_presence(j->config.redis, (const char(*)[ID_TOKEN_LEN + 1]) j->ids, j->n, on_presence, j);
}

static void list_batch(struct janitor *j)
{
    int r = 0;

    if (!j->walk && j->thorough)
        note_error(j, storage_clean_incoming(j->config.storage));
    if (!j->walk)
        r = storage_walk_new(j->config.storage, &j->walk);
    note_error(j, r);
    j->n = r < 0 ? 0 : storage_walk_next(j->walk, j->ids, ARRAY_SIZE(j->ids));
}

static void on_retired(void *arg, int err, unsigned jobs)
{
    struct janitor *j = arg;

    j->jobs_retired = jobs;
    note_error(j, err);
    if (goes_on(j, 0))
        do_then(j, list_batch, look_up_batch);
}

static bool is_over(void *arg)
{
    const struct janitor *j = arg;

    return j->over != NULL;
}

/* Before the first batch. */
static void retire(struct janitor *j)
{
    int r = retirement_begin(j->config.loop, j->config.redis, j->config.storage, is_over, on_retired, j);

    if (r < 0)
        end_round(j, r);
}

static void on_lease(void *arg, int err, const redisReply *reply)
{
    struct janitor *j = arg;

    /* Another worker's turn is no error. */
    if (!goes_on(j, err == -EBUSY ? -ECANCELED : err))
        return;
    if (j->walk)
        do_then(j, list_batch, look_up_batch);
    else
        retire(j);
}

/* --- rounds */

static void ask_for_next_batch(struct janitor *j)
{
    lease_take(j->config.redis, LEASE_KEY, j->config.owner, LEASE_ROUNDS * j->config.every_ms, on_lease, j);
}

static void on_timer(uv_timer_t *timer)
{
    struct janitor *j = timer->data;

    if (j->busy)
        return;
    j->busy = true;
    j->sessions_removed = j->jobs_removed = j->jobs_lost = j->jobs_swept = j->jobs_retired = 0;
    j->error = 0;
    j->thorough = j->rounds++ % j->config.thorough == 0;
    ask_for_next_batch(j);
}

int janitor_new(const struct janitor_config *config, struct janitor **ret)
{
    struct janitor *j = calloc(1, sizeof *j);

    if (!j)
        return -ENOMEM;
    j->config = *config;
    uv_timer_init(config->loop, &j->timer);
    j->timer.data = j;
    uv_timer_start(&j->timer, on_timer, config->every_ms, config->every_ms);
    *ret = j;
    return 0;
}

void janitor_free(struct janitor *j, janitor_fn *fn, void *arg)
{
    uv_timer_stop(&j->timer);
    j->over = fn;
    j->over_arg = arg;
    if (!j->busy)
        end_round(j, -ECANCELED);
}
