/* One subscription to all channels of jobs, sessions and previews, and the waiters in a table by id (nothing
 * has the id of another). A message that nobody waits for costs one look-up, less than subscribing and
 * unsubscribing with each request would.
 *
 * Callbacks may add and remove waiters, their own and others: what is called next is kept in the hub and
 * moves on when that one is removed. The table never grows, so that no walk is disturbed; its chains are as
 * long as there are thousands of waiters. */
#include "core/str.h"
#include "state/preview.h"

#include <errno.h>

enum { BUCKETS = 1024 };

struct job_watch {
    struct job_watch *next, **link; /* link: what points to this one */
    struct job_watcher *hub;        /* NULL once the hub is gone */
    job_watch_fn *fn;
    void *arg;
    char id[];
};

struct job_watcher {
    struct redis_sub *sub;
    struct job_watch *cursor; /* the next to be looked at in the walk that is under way */
    bool freed, walking;
    struct job_watch *buckets[BUCKETS];
};

/* FNV-1a; ids are random, nobody chooses them. */
static struct job_watch **bucket(struct job_watcher *h, const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &h->buckets[hash % BUCKETS];
}

/* Tells the waiters of one chain; all of them when `id` is NULL. */
static void tell(struct job_watcher *h, struct job_watch *first, const char *id, const char *news)
{
    for (struct job_watch *w = first; w && !h->freed; w = h->cursor) {
        h->cursor = w->next;
        if (!id || str_eq(w->id, id))
            w->fn(w->arg, news);
    }
    h->cursor = NULL;
}

static void on_message(void *arg, const char *channel, const char *message)
{
    struct job_watcher *h = arg;
    const char *colon = channel ? strrchr(channel, ':') : NULL, *id = colon ? colon + 1 : NULL;

    if (channel && !id)
        return; /* none of ours */
    h->walking = true;
    if (id)
        tell(h, *bucket(h, id), id, message);
    for (size_t i = 0; !id && i < BUCKETS && !h->freed; i++)
        tell(h, h->buckets[i], NULL, NULL);
    h->walking = false;
    if (h->freed)
        free(h);
}

int job_watcher_new(uv_loop_t *loop, const struct redis_config *config, struct job_watcher **ret)
{
    _cleanup_free_ struct job_watcher *h = calloc(1, sizeof *h);
    int r;

    if (!h)
        return -ENOMEM;
    r = redis_sub_new(loop, config, &h->sub);
    if (r < 0)
        return r;
    redis_sub_start(h->sub,
                    REDIS(JOB_CHANNEL_PREFIX "*", SESSION_CHANNEL_PREFIX "*", PREVIEW_CHANNEL_PREFIX "*"),
                    on_message, h);
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

struct job_watch *job_watch_add(struct job_watcher *h, const char *id, job_watch_fn *fn, void *arg)
{
    struct job_watch *w, **first;

    if ((!id_is_uuid(id) && !id_is_token(id)) || !(w = calloc(1, sizeof *w + strlen(id) + 1)))
        return NULL;
    stpcpy(w->id, id);
    w->hub = h;
    w->fn = fn;
    w->arg = arg;
    first = bucket(h, id);
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
