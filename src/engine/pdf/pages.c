/* Which thread may do what with a page.
 *
 * Poppler 22.12 can't draw in two threads, not even with a document for each: all its documents share one
 * FT_Library without a lock around the faces that come and go, and one FT_Face for each font of the system.
 * But drawing is the lesser part of the work, a fifth where a page of text becomes a PNG. So the caller
 * draws, and any thread encodes: then it touches no Poppler object and nothing that another thread has.
 *
 * Reading a page's text needs neither FreeType nor cairo, and Poppler locks what its documents share: any
 * thread does it, with a document of its own, as two can't use one. (valgrind's drd finds no race there, with
 * fonts of every kind and profiles, but that of libc's localeconv(), which writes the same values each time.)
 *
 * What waits is bounded by the address space that the job may have: large pages wait for each other, and at
 * worst there is one of them at a time. */
#include "engine/pdf/pages.h"

#include <malloc.h>
#include <sys/resource.h>

enum {
    ENCODER_STACK = 512 * 1024,
    READER_STACK = 8 * 1024 * 1024 /* what the main thread has: Poppler follows nested objects by recursion */
};

static const size_t weight_max = (size_t)1 << 30;

struct walk {
    const struct pages *pages;
    PopplerPage *page; /* the caller's next one, open */
    PopplerDocument *documents[RING_THREADS_MAX];
};

static enum outcome weigh(void *arg, int page, size_t *ret_weight)
{
    struct walk *w = arg;
    const struct pages *p = w->pages;
    enum outcome outcome;

    page_close(&w->page);
    outcome = page_open(p->document, page, &w->page);
    *ret_weight = outcome == OUTCOME_OK && p->target->encode ? page_surface_bytes(w->page, p->settings) : 0;
    return outcome;
}

static enum outcome begin(void *arg, struct sheet *s)
{
    struct walk *w = arg;
    const struct pages *p = w->pages;
    enum outcome outcome;

    s->bytes = BUF_INIT(PAGE_BYTES_MAX);
    if (p->target->apart)
        return OUTCOME_OK;
    outcome = p->target->encode ? page_draw(w->page, p->settings, &s->surface)
                                : p->target->write(w->page, p->settings, &s->bytes);
    page_close(&w->page);
    return outcome;
}

/* Of a thread that has none yet, a document of its own. */
static enum outcome find_document(struct walk *w, unsigned thread, PopplerDocument **ret)
{
    const struct engine_job *job = w->pages->job;
    enum outcome outcome = OUTCOME_OK;

    if (!w->documents[thread])
        outcome = document_open(job->input_path, engine_password(job), &w->documents[thread]);
    *ret = w->documents[thread];
    return outcome;
}

static enum outcome write_apart(struct walk *w, struct sheet *s)
{
    const struct pages *p = w->pages;
    _cleanup_page_ PopplerPage *page = NULL;
    PopplerDocument *document;
    enum outcome outcome = find_document(w, s->thread, &document);

    if (outcome == OUTCOME_OK)
        outcome = page_open(document, s->page, &page);
    return outcome == OUTCOME_OK ? p->target->write(page, p->settings, &s->bytes) : outcome;
}

static void finish(void *arg, struct sheet *s)
{
    struct walk *w = arg;
    const struct pages *p = w->pages;

    if (p->target->apart)
        s->outcome = write_apart(w, s);
    if (s->surface) {
        s->outcome = p->target->encode(s->surface, p->settings, &s->bytes);
        cairo_surface_destroy(TAKE_PTR(s->surface));
    }
    if (s->outcome == OUTCOME_OK && p->archive)
        s->outcome = outcome_of_error(zip_content_make(&s->bytes, p->target->compress, &s->content));
}

static enum outcome put(void *arg, struct sheet *s)
{
    const struct pages *p = ((struct walk *)arg)->pages;
    enum outcome outcome = p->put(p->sink, s);

    engine_progress(p->job, (unsigned)(s->page + 1) * 99 / (unsigned)p->n);
    return outcome;
}

/* A surface may cost its size again as bytes, in a buffer that grows by doubling. */
static size_t find_weight_max(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 ? MIN((size_t)limit.rlim_cur / 4, weight_max) : 0;
}

enum outcome pages_write(const struct pages *pages)
{
    const struct target *target = pages->target;
    struct walk w = {.pages = pages, .documents = {pages->document}};
    struct ring_work work = {.pages = pages->n,
                             .threads = 1,
                             .stack_bytes = target->apart ? READER_STACK : ENCODER_STACK,
                             .weight_max = find_weight_max(),
                             .arg = &w,
                             .weigh = target->apart ? NULL : weigh,
                             .begin = begin,
                             .finish = finish,
                             .put = put};
    enum outcome outcome;

    if (target->apart || target->encode || target->compress)
        work.threads = ring_threads(pages->n, ring_cores());
    /* An arena for each thread reserves 64 MB of the address space: well used where text is read, wasted on
     * the small change of an encoder. */
    if (work.threads > 1 && !target->apart)
        mallopt(M_ARENA_MAX, 1);
    outcome = ring_run(&work);
    page_close(&w.page);
    for (unsigned i = 1; i < work.threads; i++)
        g_clear_object(&w.documents[i]);
    return outcome;
}
