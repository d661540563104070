/* A scan waits in line, or has a connection; finish() is its only exit. Its timer is the deadline, and with a
 * timeout of 0 also the way to report what fails at once, so that no callback comes before clamd_scan_start
 * has returned.
 *
 * A connection is used again only after an answer that was as it has to be. When a scan is called off or out
 * of time its connection is closed, so that a late answer can never be taken for one to the next scan.
 *
 * What keeping them gains, on a busy machine with 2 cores, for files of 1 kB: over TCP 0.2 ms of 0.8, over a
 * Unix socket nothing that could be told from noise (0.6 ms). It was rejected to send several questions at
 * once on one connection: clamd answers them in any order, and takes one descriptor at a time. */
#include "files/clamd.h"

#include "core/str.h"
#include "files/clamd_link.h"

#include <assert.h>
#include <stdio.h>

struct clamd_scan {
    struct clamd *clamd;
    struct clamd_scan *next; /* in line */
    struct clamd_link *link; /* NULL: it waits */
    clamd_fn *fn;            /* NULL once it has been called or must not be */
    void *arg;
    enum clamd_command command;
    int fd; /* borrowed */
    bool finished, retried;
    const char *why; /* of a failure that the timer will report */
    uv_timer_t timer;
};

/* A place for a connection. */
struct slot {
    struct clamd_link *link; /* NULL: free */
    struct clamd_scan *scan; /* NULL: idle */
};

struct clamd {
    uv_loop_t *loop;
    char *url;
    bool is_stream, freed;
    unsigned links; /* that are not yet closed entirely */
    unsigned lost;
    struct clamd_scan *first, **last;
    size_t n_slots; /* the last one is for the version alone */
    struct slot slots[];
};

static void serve(struct clamd *c);

static struct slot *slot_of(struct clamd *c, const struct clamd_link *l)
{
    for (size_t i = 0; i < c->n_slots; i++)
        if (c->slots[i].link == l)
            return &c->slots[i];
    return NULL;
}

static void free_when_done(struct clamd *c)
{
    if (!c->freed || c->links > 0)
        return;
    free(c->url);
    free(c);
}

/* --- the end of a scan */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void leave_line(struct clamd_scan *s)
{
    struct clamd *c = s->clamd;

    for (struct clamd_scan **p = &c->first; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            break;
        }
    c->last = &c->first;
    while (*c->last)
        c->last = &(*c->last)->next;
}

/* The link stays when it may be asked again. */
static void leave_link(struct clamd_scan *s)
{
    struct slot *slot = slot_of(s->clamd, s->link);

    slot->scan = NULL;
    if (!clamd_link_reusable(s->link)) {
        clamd_link_close(s->link);
        slot->link = NULL;
    }
    s->link = NULL;
}

static void finish(struct clamd_scan *s, enum clamd_verdict verdict, const char *detail)
{
    struct clamd *c = s->clamd;
    clamd_fn *fn = s->fn;

    if (s->finished)
        return;
    s->finished = true;
    if (s->link)
        leave_link(s);
    else
        leave_line(s);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    serve(c);
    if (fn)
        fn(s->arg, verdict, detail);
}

/* --- the answer */

/* Behind "stream: " or "fd[12]: ", or NULL. */
static const char *skip_subject(const char *reply)
{
    if (str_starts(reply, "stream: "))
        return reply + strlen("stream: ");
    if (str_starts(reply, "fd[")) {
        const char *p = reply + strlen("fd[");

        p += strspn(p, "0123456789");
        if (str_starts(p, "]: "))
            return p + strlen("]: ");
    }
    return NULL;
}

/* What clamd calls a finding, by the name that it gives. With AlertExceedsMax and AlertEncrypted it tells so
 * what it could not look through, which says nothing about the file but that nobody knows. */
static enum clamd_verdict classify(const char *name)
{
    static const struct {
        const char *prefix;
        enum clamd_verdict verdict;
    } heuristics[] = {
        {"Heuristics.Limits.Exceeded", CLAMD_INCOMPLETE},
        {"Heuristics.Encrypted.", CLAMD_ENCRYPTED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(heuristics); i++)
        if (str_starts(name, heuristics[i].prefix))
            return heuristics[i].verdict;
    return CLAMD_INFECTED;
}

enum clamd_verdict clamd_judge(enum clamd_question question, bool sent_all, char *answer,
                               const char **ret_detail)
{
    static const char found[] = " FOUND";
    const char *rest = question == CLAMD_ASKED_SCAN ? skip_subject(answer) : NULL;
    size_t n = rest ? strlen(rest) : 0;

    if (question == CLAMD_ASKED_VERSION && str_starts(answer, "ClamAV ")) {
        *ret_detail = answer;
        return CLAMD_CLEAN;
    }
    if (rest && n > strlen(found) && str_eq(rest + n - strlen(found), found)) {
        answer[strlen(answer) - strlen(found)] = '\0';
        *ret_detail = rest;
        return classify(rest);
    }
    if (rest && str_eq(rest, "OK") && sent_all) {
        *ret_detail = "";
        return CLAMD_CLEAN;
    }
    *ret_detail = *answer ? answer : "an empty answer";
    return CLAMD_UNAVAILABLE;
}

static void on_answer(void *owner, struct clamd_link *l, char *text)
{
    struct clamd *c = owner;
    struct clamd_scan *s = slot_of(c, l)->scan;
    const char *detail;
    enum clamd_verdict verdict =
        clamd_judge(s->command == CLAMD_VERSION ? CLAMD_ASKED_VERSION : CLAMD_ASKED_SCAN,
                    clamd_link_reusable(l), text, &detail);

    if (verdict == CLAMD_UNAVAILABLE)
        clamd_link_close(l);
    finish(s, verdict, detail);
}

static void on_lost(void *owner, struct clamd_link *l, const char *why, bool stale)
{
    struct clamd *c = owner;
    struct slot *slot = slot_of(c, l);
    struct clamd_scan *s = slot->scan;

    c->lost += stale;
    if (s && stale && !s->retried) {
        s->retried = true;
        s->link = slot->link = NULL;
        slot->scan = NULL;
        s->next = c->first; /* it has waited already */
        if (!c->first)
            c->last = &s->next;
        c->first = s;
        serve(c);
    } else if (s) {
        finish(s, CLAMD_UNAVAILABLE, why);
    } else {
        slot->link = NULL;
    }
}

static void on_link_closed(void *owner)
{
    struct clamd *c = owner;

    c->links--;
    free_when_done(c);
}

/* --- the line */

static void on_deadline(uv_timer_t *timer)
{
    struct clamd_scan *s = timer->data;
    char why[160]; /* the link's own words may go with it */

    snprintf(why, sizeof why, "%s",
             s->why                                ? s->why
             : s->link && *clamd_link_why(s->link) ? clamd_link_why(s->link)
             : s->link                             ? "no answer in time"
                                                   : "the scanner is busy");
    finish(s, CLAMD_UNAVAILABLE, why);
}

static void report_later(struct clamd_scan *s, const char *why)
{
    s->why = why;
    uv_timer_start(&s->timer, on_deadline, 0, 0);
}

/* An idle connection, else a place for a new one. After a connection was found dead the others may be as
 * well: the second try is never on a kept one. */
static struct slot *find_slot(struct clamd *c, const struct clamd_scan *s)
{
    size_t n = s->command == CLAMD_VERSION ? c->n_slots : c->n_slots - 1;
    struct slot *idle = NULL, *empty = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!c->slots[i].link)
            empty = empty ? empty : &c->slots[i];
        else if (!c->slots[i].scan)
            idle = idle ? idle : &c->slots[i];
    }
    if (idle && (s->retried || !clamd_link_reusable(idle->link))) {
        clamd_link_close(TAKE_PTR(idle->link));
        return idle;
    }
    return idle ? idle : empty;
}

static void start(struct clamd_scan *s, struct slot *slot)
{
    static const struct clamd_link_events events = {on_answer, on_lost, on_link_closed};
    struct clamd *c = s->clamd;
    int r = 0;

    if (!slot->link) {
        r = clamd_link_open(c->loop, c->url, &events, c, &slot->link);
        c->links += r == 0;
    }
    if (r < 0) {
        report_later(s, uv_strerror(r));
        return;
    }
    slot->scan = s;
    s->link = slot->link;
    clamd_link_ask(s->link, s->command, s->fd);
}

static void serve(struct clamd *c)
{
    for (struct clamd_scan *s = c->first, *next; s; s = next) {
        struct slot *slot = s->why ? NULL : find_slot(c, s);

        next = s->next;
        if (!slot)
            continue; /* a version behind it may find one */
        leave_line(s);
        start(s, slot);
    }
}

static struct clamd_scan *begin(struct clamd *c, enum clamd_command command, int fd, uint64_t timeout_ms,
                                clamd_fn *fn, void *arg)
{
    struct clamd_scan *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    assert(!c->freed);
    *s = (struct clamd_scan){.clamd = c, .fn = fn, .arg = arg, .command = command, .fd = fd};
    uv_timer_init(c->loop, &s->timer);
    s->timer.data = s;
    uv_update_time(c->loop); /* the deadline counts from now, not from when this turn began */
    uv_timer_start(&s->timer, on_deadline, timeout_ms, 0);
    *c->last = s;
    c->last = &s->next;
    serve(c);
    return s;
}

struct clamd_scan *clamd_scan_start(struct clamd *c, int fd, uint64_t timeout_ms, clamd_fn *fn, void *arg)
{
    return begin(c, c->is_stream ? CLAMD_INSTREAM : CLAMD_FILDES, fd, timeout_ms, fn, arg);
}

struct clamd_scan *clamd_version(struct clamd *c, uint64_t timeout_ms, clamd_fn *fn, void *arg)
{
    return begin(c, CLAMD_VERSION, -1, timeout_ms, fn, arg);
}

void clamd_scan_cancel(struct clamd_scan *s)
{
    s->fn = NULL;
    finish(s, CLAMD_UNAVAILABLE, "");
}

/* --- */

struct clamd *clamd_new(uv_loop_t *loop, const char *url, unsigned connections)
{
    size_t n_slots = (size_t)connections + 1;
    struct clamd *c = calloc(1, sizeof *c + n_slots * sizeof *c->slots);

    if (!c)
        return NULL;
    c->loop = loop;
    c->n_slots = n_slots;
    c->last = &c->first;
    c->is_stream = str_starts(url, "tcp:");
    c->url = strdup(url);
    if (!c->url) {
        free(c);
        return NULL;
    }
    return c;
}

unsigned clamd_lost(const struct clamd *c)
{
    return c->lost;
}

void clamd_free(struct clamd *c)
{
    if (!c)
        return;
    c->freed = true;
    for (size_t i = 0; i < c->n_slots; i++)
        if (c->slots[i].link) {
            assert(!c->slots[i].scan);
            clamd_link_close(TAKE_PTR(c->slots[i].link));
        }
    free_when_done(c);
}
