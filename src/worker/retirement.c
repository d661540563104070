#include "worker/retirement.h"

#include "state/job_kept.h"
#include "state/job_remove.h"

#include <errno.h>
#include <stdlib.h>

struct retirement {
    uv_loop_t *loop;
    struct redis *redis;
    struct storage *storage;
    retirement_over_fn *over;
    retirement_fn *fn;
    void *arg;
    uv_work_t work;
    int result; /* of the thread */

    struct job_kept jobs[JOB_KEPT_MAX];
    size_t n, at;
    size_t left; /* of those that are due, how many have to stay for now */
    unsigned ended;
};

static void look_at_next(struct retirement *m);

static void end(struct retirement *m, int err)
{
    m->fn(m->arg, err, m->ended);
    free(m);
}

static void go_on(struct retirement *m)
{
    m->at++;
    look_at_next(m);
}

static void remove_files(uv_work_t *work)
{
    struct retirement *m = work->data;

    m->result = storage_remove_job(m->storage, m->jobs[m->at].session_id, m->jobs[m->at].job_id);
}

/* What could not be removed is a folder without a job, which a later round comes to. */
static void on_files_removed(uv_work_t *work, int status)
{
    struct retirement *m = work->data;

    if (status < 0 || m->result < 0) {
        end(m, status < 0 ? status : m->result);
        return;
    }
    m->ended++;
    go_on(m);
}

static void on_forgotten(void *arg, int err, const redisReply *reply)
{
    struct retirement *m = arg;

    if (err < 0)
        end(m, err);
    else
        go_on(m);
}

static void on_removed(void *arg, int err, const char *task_id)
{
    struct retirement *m = arg;

    if (err == 0) {
        m->work.data = m;
        uv_queue_work(m->loop, &m->work, remove_files, on_files_removed);
    } else if (err == -ENOENT) {
        job_kept_forget(m->redis, &m->jobs[m->at], on_forgotten, m);
    } else if (err == -EBUSY || err == -ETXTBSY || err == -EINPROGRESS) {
        m->left++;
        go_on(m);
    } else {
        end(m, err);
    }
}

static void on_due(void *arg, int err, const struct job_kept *jobs, size_t n)
{
    struct retirement *m = arg;

    if (err < 0 || n == 0) {
        end(m, err);
        return;
    }
    memcpy(m->jobs, jobs, n * sizeof *jobs);
    m->n = n;
    m->at = 0;
    look_at_next(m);
}

static void look_at_next(struct retirement *m)
{
    if (m->over(m->arg))
        end(m, -ECANCELED);
    else if (m->at == m->n)
        job_kept_due(m->redis, m->left, on_due, m);
    else
        job_remove(m->redis,
                   &(struct job_removal){.session_id = m->jobs[m->at].session_id,
                                         .job_id = m->jobs[m->at].job_id,
                                         .expired = true},
                   on_removed, m);
}

int retirement_begin(uv_loop_t *loop, struct redis *redis, struct storage *storage, retirement_over_fn *over,
                     retirement_fn *fn, void *arg)
{
    struct retirement *m = calloc(1, sizeof *m);

    if (!m)
        return -ENOMEM;
    m->loop = loop;
    m->redis = redis;
    m->storage = storage;
    m->over = over;
    m->fn = fn;
    m->arg = arg;
    look_at_next(m);
    return 0;
}
