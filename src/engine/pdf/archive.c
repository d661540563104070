/* Pages are drawn one after the other by the thread that called, and encoded by all.
 *
 * Poppler 22.12 can't draw in two threads, not even with a document for each: all its documents share one
 * FT_Library without a lock around the faces that come and go, and one FT_Face for each font of the system.
 * But drawing is the lesser part of the work, a fifth where a page of text becomes a PNG. So the caller
 * draws, and what is drawn waits in a ring for the next free thread; the others touch no Poppler object and
 * nothing that another thread has. Where the ring is full the caller encodes too; without other threads the
 * ring has one place, and all happens in turn. Pages leave the ring in their order, into the archive.
 *
 * What the ring holds is bounded by the address space that the job may have: large pages wait for each
 * other, and at worst there is one of them at a time. */
#include "engine/pdf/archive.h"

#include "engine/pdf/zip_writer.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

enum {
    THREADS_MAX = 8,
    PAGES_A_THREAD = 4, /* fewer aren't worth its start */
    SHEETS_MAX = 2 * THREADS_MAX,
    STACK_SIZE = 512 * 1024
};

static const size_t weight_max = (size_t)1 << 30;

/* A page on its way from Poppler to the archive. */
struct sheet {
    cairo_surface_t *surface; /* what is to be encoded into bytes */
    struct buf bytes;
    struct zip_content content;
    size_t weight; /* bytes of its surface */
    enum outcome outcome;
    bool done;
};

/* The counters only grow; page i lies in sheets[i % n_sheets] from drawn > i until written > i. */
struct ring {
    pthread_mutex_t lock;
    pthread_cond_t drawn_more, done_more;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
    bool stop;
    struct sheet sheets[SHEETS_MAX];
    unsigned n_sheets;
    int drawn, taken, written;
    size_t weight, max_weight; /* the caller's alone, as are those below */
    const struct target *target;
    const struct page_settings *settings;
    struct engine_job *job;
    struct zip_writer *zip;
    int pages;
};

static struct sheet *sheet_of(struct ring *r, int page)
{
    return &r->sheets[(unsigned)page % r->n_sheets];
}

/* --- what any thread does */

static void finish_sheet(const struct ring *r, struct sheet *s)
{
    if (s->surface) {
        s->outcome = r->target->encode(s->surface, r->settings, &s->bytes);
        cairo_surface_destroy(TAKE_PTR(s->surface));
    }
    if (s->outcome == OUTCOME_OK)
        s->outcome = outcome_of(zip_content_make(&s->bytes, r->target->compress, &s->content));
}

/* With the lock held, and it is held again at the end. False when no page waits. */
static bool finish_next(struct ring *r)
{
    struct sheet *s;

    if (r->taken == r->drawn)
        return false;
    s = sheet_of(r, r->taken++);
    pthread_mutex_unlock(&r->lock);
    finish_sheet(r, s);
    pthread_mutex_lock(&r->lock);
    s->done = true;
    pthread_cond_signal(&r->done_more);
    return true;
}

static void *help(void *arg)
{
    struct ring *r = arg;

    pthread_mutex_lock(&r->lock);
    while (!r->stop)
        if (!finish_next(r))
            pthread_cond_wait(&r->drawn_more, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* --- what the caller does */

static void empty_sheet(struct ring *r, struct sheet *s)
{
    r->weight -= s->weight;
    if (s->surface)
        cairo_surface_destroy(s->surface);
    buf_free(&s->bytes);
    zip_content_free(&s->content);
    *s = (struct sheet){0};
}

static enum outcome write_sheet(struct ring *r)
{
    struct sheet *s = sheet_of(r, r->written);
    enum outcome outcome = s->outcome;
    char name[32];

    snprintf(name, sizeof name, "page-%0*d.%s", r->pages > 999 ? 4 : 3, r->written + 1, r->target->id);
    if (outcome == OUTCOME_OK)
        outcome = outcome_of(zip_writer_add(r->zip, name, &s->content));
    empty_sheet(r, s);
    r->written++;
    engine_progress(r->job, (unsigned)r->written * 99 / (unsigned)r->pages);
    return outcome;
}

/* Writes the first page of the ring or, as it isn't done, helps or waits. */
static enum outcome advance(struct ring *r)
{
    bool done;

    pthread_mutex_lock(&r->lock);
    done = sheet_of(r, r->written)->done;
    if (!done && !finish_next(r))
        pthread_cond_wait(&r->done_more, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return done ? write_sheet(r) : OUTCOME_OK;
}

static bool first_is_done(struct ring *r)
{
    bool done;

    pthread_mutex_lock(&r->lock);
    done = r->written < r->drawn && sheet_of(r, r->written)->done;
    pthread_mutex_unlock(&r->lock);
    return done;
}

static bool has_room(const struct ring *r, size_t weight)
{
    return r->written == r->drawn ||
           (r->drawn - r->written < (int)r->n_sheets && r->weight + weight <= r->max_weight);
}

static enum outcome draw_sheet(struct ring *r, PopplerPage *page, size_t weight)
{
    struct sheet s = {.weight = weight, .bytes = BUF_INIT(PAGE_BYTES_MAX)};

    s.outcome = r->target->encode ? page_draw(page, r->settings, &s.surface)
                                  : r->target->write(page, r->settings, &s.bytes);
    if (s.outcome != OUTCOME_OK) {
        buf_free(&s.bytes);
        return s.outcome;
    }
    r->weight += weight;
    pthread_mutex_lock(&r->lock);
    *sheet_of(r, r->drawn++) = s;
    pthread_cond_signal(&r->drawn_more);
    pthread_mutex_unlock(&r->lock);
    return OUTCOME_OK;
}

/* Draws the next page once there is room for it. What an earlier page came to goes before. */
static enum outcome draw_next(struct ring *r, PopplerDocument *document, enum outcome *ret_drawn)
{
    _cleanup_page_ PopplerPage *page = NULL;
    enum outcome outcome = OUTCOME_OK;
    size_t weight = 0;

    *ret_drawn = page_open(document, r->drawn, &page);
    if (*ret_drawn == OUTCOME_OK && r->target->encode)
        weight = page_surface_bytes(page, r->settings);
    while (outcome == OUTCOME_OK && (first_is_done(r) || !has_room(r, weight)))
        outcome = advance(r);
    if (outcome == OUTCOME_OK && *ret_drawn == OUTCOME_OK)
        *ret_drawn = draw_sheet(r, page, weight);
    return outcome;
}

static enum outcome write_pages(struct ring *r, PopplerDocument *document)
{
    enum outcome outcome = OUTCOME_OK, drawn = OUTCOME_OK;

    while (outcome == OUTCOME_OK && drawn == OUTCOME_OK && r->drawn < r->pages)
        outcome = draw_next(r, document, &drawn);
    while (outcome == OUTCOME_OK && r->written < r->drawn)
        outcome = advance(r);
    return outcome == OUTCOME_OK ? drawn : outcome;
}

/* --- the threads */

unsigned archive_threads(int pages, unsigned cores)
{
    return CLAMP((unsigned)pages / PAGES_A_THREAD, 1, CLAMP(cores, 1, THREADS_MAX));
}

/* Those that this process may run on; how many there are in the machine is nothing to it. */
static unsigned count_cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* A surface may cost its size again as bytes, in a buffer that grows by doubling. */
static size_t find_max_weight(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 ? MIN((size_t)limit.rlim_cur / 4, weight_max) : 0;
}

/* As many helpers as can be had. */
static void start_helpers(struct ring *r, unsigned wanted)
{
    pthread_attr_t attr;

    /* An arena for each thread would reserve 64 MB of the address space, and be used for small change. */
    mallopt(M_ARENA_MAX, 1);
    if (pthread_attr_init(&attr) != 0)
        return;
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    while (r->n_threads < wanted && pthread_create(&r->threads[r->n_threads], &attr, help, r) == 0)
        r->n_threads++;
    pthread_attr_destroy(&attr);
}

static void stop_helpers(struct ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->drawn_more);
    pthread_mutex_unlock(&r->lock);
    while (r->n_threads > 0)
        pthread_join(r->threads[--r->n_threads], NULL);
}

enum outcome archive_write(struct engine_job *job, const struct target *target, PopplerDocument *document,
                           int pages, const struct page_settings *settings, const char *path)
{
    struct ring r = {.lock = PTHREAD_MUTEX_INITIALIZER,
                     .drawn_more = PTHREAD_COND_INITIALIZER,
                     .done_more = PTHREAD_COND_INITIALIZER,
                     .n_sheets = 1,
                     .max_weight = find_max_weight(),
                     .target = target,
                     .settings = settings,
                     .job = job,
                     .pages = pages};
    unsigned threads = archive_threads(pages, count_cores());
    enum outcome outcome = outcome_of(zip_writer_new(path, &r.zip));

    if (outcome != OUTCOME_OK)
        return outcome;
    if (threads > 1)
        start_helpers(&r, threads - 1);
    if (r.n_threads > 0)
        r.n_sheets = 2 * (r.n_threads + 1);
    outcome = write_pages(&r, document);
    stop_helpers(&r);
    for (unsigned i = 0; i < r.n_sheets; i++)
        empty_sheet(&r, &r.sheets[i]);
    if (outcome == OUTCOME_OK)
        outcome = outcome_of(zip_writer_finish(r.zip));
    zip_writer_free(r.zip);
    return outcome;
}
