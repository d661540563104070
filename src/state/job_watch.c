/* One subscription to all jobs' channels, and the waiters in a table by job id. A message for a job that
 * nobody waits for costs one look-up, less than subscribing and unsubscribing with each request would.
 *
 * Callbacks may add and remove waiters, their own and others: what is called next is kept in the hub and
 * moves on when that one is removed. The table never grows, so that no walk is disturbed; its chains are as
 * long as there are thousands of waiters. */
#include "core/str.h"
#include "state/job.h"

#include <errno.h>

enum { BUCKETS = 1024 };

struct job_watch {
    struct job_watch *next, **link; /* link: what points to this one */
    struct job_watcher *hub;        /* NULL once the hub is gone */
    char job_id[ID_UUID_LEN + 1];
    job_watch_fn *fn;
    void *arg;
};

struct job_watcher {
    struct redis_sub *sub;
    struct job_watch *cursor; /* the next to be looked at in the walk that is under way */
    bool freed, walking;
    struct job_watch *buckets[BUCKETS];
};

/* FNV-1a; ids are random, nobody chooses them. */
static struct job_watch **bucket(struct job_watcher *h, const char *job_id)
{
    uint32_t hash = 2166136261u;

    for (; *job_id; job_id++)
        hash = (hash ^ (unsigned char)*job_id) * 16777619u;
    return &h->buckets[hash % BUCKETS];
}

/* Tells the waiters of one chain; all of them when `job_id` is NULL. */
static void tell(struct job_watcher *h, struct job_watch *first, const char *job_id)
{
    for (struct job_watch *w = first; w && !h->freed; w = h->cursor) {
        h->cursor = w->next;
        if (!job_id || str_eq(w->job_id, job_id))
            w->fn(w->arg);
    }
    h->cursor = NULL;
}

static void on_message(void *arg, const char *channel, const char *message)
{
    struct job_watcher *h = arg;
    const char *job_id = channel ? channel + strlen(JOB_CHANNEL_PREFIX) : NULL;

    h->walking = true;
    if (job_id)
        tell(h, *bucket(h, job_id), job_id);
    for (size_t i = 0; !job_id && i < BUCKETS && !h->freed; i++)
        tell(h, h->buckets[i], NULL);
    h->walking = false;
    if (h->freed)
        free(h);
}

int job_watcher_new(uv_loop_t *loop, const char *url, const char *password, struct job_watcher **ret)
{
    _cleanup_free_ struct job_watcher *h = calloc(1, sizeof *h);
    int r;

    if (!h)
        return -ENOMEM;
    r = redis_sub_new(loop, url, password, &h->sub);
    if (r < 0)
        return r;
    redis_sub_start(h->sub, REDIS(JOB_CHANNEL_PREFIX "*"), on_message, h);
    *ret = TAKE_PTR(h);
    return 0;
}

void job_watcher_free(struct job_watcher *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct job_watch *w = h->buckets[i]; w; w = w->next)
            w->hub = NULL;
    redis_sub_free(h->sub);
    h->freed = true;
    if (!h->walking)
        free(h);
}

struct job_watch *job_watch_add(struct job_watcher *h, const char *job_id, job_watch_fn *fn, void *arg)
{
    struct job_watch *w, **first;

    if (!id_is_uuid(job_id) || !(w = calloc(1, sizeof *w)))
        return NULL;
    memcpy(w->job_id, job_id, sizeof w->job_id);
    w->hub = h;
    w->fn = fn;
    w->arg = arg;
    first = bucket(h, job_id);
    w->next = *first;
    w->link = first;
    if (w->next)
        w->next->link = &w->next;
    *first = w;
    return w;
}

void job_watch_remove(struct job_watch *w)
{
    if (!w)
        return;
    if (w->hub) {
        if (w->hub->cursor == w)
            w->hub->cursor = w->next;
        *w->link = w->next;
        if (w->next)
            w->next->link = w->link;
    }
    free(w);
}
