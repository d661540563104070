/* GET /events: Server-Sent Events of a session's jobs.
 *
 * Each loop has one `followed` for a session that has clients here, whatever their number: it watches the
 * session and its jobs, and when something changes, one script gives the events after the oldest that a
 * client has (state/job_events.h). A client has a cursor, the id of the last event that it got, and that is
 * all: there is no queue. Who comes back with Last-Event-ID starts with that cursor; who does not keep up is
 * passed over until its socket has taken what it got, and then gets what came after its cursor, each job in
 * its newest state. So memory is bounded by the number of clients and jobs, whatever happens.
 *
 * - The watch on a job is set when its first event has come, and the job is looked at once more then: no
 * change slips between.
 * - News of a job whose status is not new is progress: it waits until the job was last looked at PROGRESS_MS
 * ago.
 * - When the subscription comes to stand again after Redis was away, all cursors go back to the beginning.
 * - A client of an account may be none any more (its login has ended, its key was revoked): after the life of
 * an access token its stream ends, at the next look; it comes back at once, and is looked at as any call.
 * - The script knows whether the session still is one. It is asked at news of its closing, at its expiry, and
 * now and then. */
#include "api/events.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/job_events.h"

#include <assert.h>
#include <errno.h>

enum {
    BUCKETS = 1024,
    PROGRESS_MS = 100,
    RETRY_MS = 1000,
    CHECK_MS = 60 * 1000,
    ID_BYTES = 64, /* "id: 1732226400000\nevent: job\ndata: " and the end */
    EVENT_BYTES_MAX = ID_BYTES + JOB_JSON_BYTES_MAX,
};
static_assert((int)EVENT_BYTES_MAX <= (int)HTTP_EVENT_BYTES_MAX, "an event is sent in one piece");

struct client {
    struct client *prev, *next;
    struct followed *followed;
    struct http_event_stream *stream;
    uint64_t until_ms; /* of an account: it has to come again, and to prove that it still is that */
    uint64_t cursor;
    bool ready;
    /* By which it has its slot, "" none: those of whoever called, and not of the session, which may be an
     * account's space. */
    char names[CLIENT_KINDS][ID_TOKEN_LEN + 1];
};

struct followed_job {
    struct followed_job *next;
    struct followed *followed;
    struct job_watch *watch;
    uint64_t looked_ms;
    enum job_status status;
    bool changed, at_once; /* at_once: and it is more than progress */
    char id[ID_UUID_LEN + 1];
};

struct followed {
    struct followed *prev, *next; /* in its bucket */
    struct api *api;
    struct client *clients;
    struct followed_job *jobs;
    struct job_watch *watch;
    uv_timer_t timer;
    uint64_t last, expires_ms, checked_ms, retry_ms;
    uint64_t since;  /* of the load that is under way */
    bool all, check; /* to look at all jobs; to ask whether the session still is one */
    bool loading;
    char session_id[ID_TOKEN_LEN + 1];
};

struct events {
    struct followed *buckets[BUCKETS];
};

struct events *events_new(void)
{
    return calloc(1, sizeof(struct events));
}

void events_free(struct events *events)
{
    for (size_t i = 0; events && i < BUCKETS; i++)
        assert(!events->buckets[i]);
    free(events);
}

/* --- what is followed */

/* Ids are random hexadecimal digits. */
static struct followed **bucket(struct events *events, const char *session_id)
{
    const char digits[] = {session_id[0], session_id[1], session_id[2], '\0'};

    return &events->buckets[strtoul(digits, NULL, 16) % BUCKETS];
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void retire(struct followed *f)
{
    if (f->clients || f->loading)
        return;
    if (f->prev)
        f->prev->next = f->next;
    else
        *bucket(f->api->events, f->session_id) = f->next;
    if (f->next)
        f->next->prev = f->prev;
    for (struct followed_job *job = f->jobs, *next; job; job = next) {
        next = job->next;
        job_watch_remove(job->watch);
        free(job);
    }
    job_watch_remove(f->watch);
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}

static void keep_names(struct client *c, const struct client_names *names)
{
    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        if (names->of[kind])
            snprintf(c->names[kind], sizeof c->names[kind], "%s", names->of[kind]);
}

static void release_slot(struct api *api, const struct client *c)
{
    struct client_names names = {0};

    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        names.of[kind] = *c->names[kind] ? c->names[kind] : NULL;
    slots_release(api->event_streams, &names);
}

static void client_free(struct client *c)
{
    struct followed *f = c->followed;

    if (c->prev)
        c->prev->next = c->next;
    else
        f->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    release_slot(f->api, c);
    free(c);
}

static void end_all(struct followed *f)
{
    while (f->clients) {
        http_event_stream_end(f->clients->stream);
        client_free(f->clients);
    }
    retire(f);
}

/* --- looking */

static void refresh(struct followed *f);

static void on_timer(uv_timer_t *timer)
{
    refresh(timer->data);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When to ask next whether the session still is one. Redis' clock may be behind ours: not again and again. */
static uint64_t check_due_ms(const struct followed *f, uint64_t now_ms)
{
    uint64_t real_ms = clock_real_ms();
    uint64_t left_ms = f->expires_ms >= real_ms ? f->expires_ms - real_ms + 1 : 0;

    return earlier(f->checked_ms + CHECK_MS, later(now_ms + left_ms, f->checked_ms + RETRY_MS));
}

/* The oldest cursor of those who can be told now; UINT64_MAX: nobody can. */
static uint64_t oldest_cursor(const struct followed *f)
{
    uint64_t oldest = UINT64_MAX;

    for (const struct client *c = f->clients; c; c = c->next)
        if (c->ready)
            oldest = earlier(oldest, c->cursor);
    return oldest;
}

/* For whatever comes first: a repetition, a check, progress that waits for its time; not what waits for a
 * client. */
static void arm(struct followed *f, uint64_t now_ms)
{
    bool listening = oldest_cursor(f) != UINT64_MAX;
    uint64_t due_ms = check_due_ms(f, now_ms);

    if (f->retry_ms > now_ms)
        due_ms = f->retry_ms;
    else
        for (const struct followed_job *job = f->jobs; job; job = job->next)
            if (job->changed && listening)
                due_ms = earlier(due_ms, job->looked_ms + PROGRESS_MS);
    uv_timer_start(&f->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 1, 0);
}

/* The jobs that have changed and may be looked at now. */
static size_t take_changed(struct followed *f, uint64_t now_ms, const char *ret[JOB_EVENTS_CHANGED_MAX + 1])
{
    size_t n = 0;

    for (struct followed_job *job = f->jobs; job; job = job->next) {
        bool due = job->changed && (job->at_once || now_ms >= job->looked_ms + PROGRESS_MS);

        if (!f->all && (!due || n == JOB_EVENTS_CHANGED_MAX))
            continue;
        if (!f->all)
            ret[n++] = job->id;
        job->changed = job->at_once = false;
        job->looked_ms = now_ms;
    }
    ret[n] = NULL;
    return n;
}

static void on_events(void *arg, int err, const struct job_events *events);

static void load(struct followed *f, uint64_t since, uint64_t now_ms, const char *const changed[])
{
    f->loading = true;
    f->since = since;
    f->checked_ms = now_ms;
    job_events_load(f->api->redis, f->session_id, since, f->all ? NULL : changed, on_events, f);
    f->all = f->check = false;
}

static void end_those_whose_time_is_over(struct followed *f, uint64_t now_ms)
{
    for (struct client *c = f->clients, *next; c; c = next) {
        next = c->next;
        if (now_ms < c->until_ms)
            continue;
        http_event_stream_end(c->stream);
        client_free(c);
    }
}

static void refresh(struct followed *f)
{
    const char *changed[JOB_EVENTS_CHANGED_MAX + 1];
    uint64_t since = oldest_cursor(f), now_ms = clock_mono_ms();

    if (f->loading)
        return; /* on_events comes here again */
    end_those_whose_time_is_over(f, now_ms);
    if (!f->clients) {
        retire(f);
        return;
    }
    f->check = f->check || now_ms >= check_due_ms(f, now_ms);
    if (now_ms < f->retry_ms || (since == UINT64_MAX && !f->check)) {
        arm(f, now_ms);
        return;
    }
    if (since == UINT64_MAX)
        since = f->last; /* nobody to be told: just the check */
    if (take_changed(f, now_ms, changed) > 0 || f->all || f->check || since < f->last)
        load(f, since, now_ms, changed);
    else
        arm(f, now_ms);
}

static void on_session_news(void *arg, const char *news)
{
    struct followed *f = arg;

    if (str_eq(news, "closed"))
        f->check = true;
    else
        f->all = true;
    if (!news)
        for (struct client *c = f->clients; c; c = c->next)
            c->cursor = 0;
    refresh(f);
}

static void on_job_news(void *arg, const char *news)
{
    struct followed_job *job = arg;

    if (!news)
        return; /* the session's watch looks at all */
    job->changed = true;
    job->at_once = job->at_once || !str_eq(news, job_status_name(job->status));
    refresh(job->followed);
}

/* --- telling */

static struct followed_job *job_of(struct followed *f, const char *id)
{
    struct followed_job *job = f->jobs;

    while (job && !str_eq(job->id, id))
        job = job->next;
    if (job)
        return job;
    job = xcalloc(1, sizeof *job);
    snprintf(job->id, sizeof job->id, "%s", id);
    job->followed = f;
    job->changed = job->at_once = true;
    job->watch = job_watch_add(f->api->watcher, id, on_job_news, job);
    job->next = f->jobs;
    f->jobs = job;
    return job;
}

static void forget_job(struct followed *f, const char *id)
{
    for (struct followed_job **link = &f->jobs, *job; (job = *link); link = &job->next)
        if (str_eq(job->id, id)) {
            *link = job->next;
            job_watch_remove(job->watch);
            free(job);
            return;
        }
}

/* Those whose cursor is before `since` joined, or began anew, after the load was sent: they would miss some.
 */
static bool takes(const struct client *c)
{
    return c->ready && c->cursor >= c->followed->since;
}

static void write_job(struct followed *f, struct buf *text, const struct job *job)
{
    job_of(f, job->job_id)->status = job->status;
    buf_append_str(text, "\nevent: job\ndata: ");
    job_json_write(text, job);
}

static void write_removed(struct followed *f, struct buf *text, const char *job_id)
{
    forget_job(f, job_id);
    buf_printf(text, "\nevent: deleted\ndata: {\"job_id\": \"%s\"}", job_id);
}

static void tell(struct followed *f, const struct job_event *event)
{
    _cleanup_buf_ struct buf text = BUF_INIT(EVENT_BYTES_MAX);

    buf_reserve(&text, JOB_JSON_BYTES);
    buf_append_str(&text, "id: ");
    buf_append_u64(&text, event->id);
    if (event->removed)
        write_removed(f, &text, event->job.job_id);
    else
        write_job(f, &text, &event->job);
    buf_append_str(&text, "\n\n");
    for (struct client *c = f->clients; c; c = c->next)
        if (takes(c) && c->cursor < event->id) {
            c->cursor = event->id;
            if (!buf_error(&text))
                c->ready = http_event_stream_send(c->stream, text.data, text.len);
        }
}

static void on_events(void *arg, int err, const struct job_events *events)
{
    struct followed *f = arg;

    f->loading = false;
    if (!f->clients) {
        retire(f);
    } else if (err == -ENOENT) {
        end_all(f);
    } else if (err < 0) {
        f->all = true;
        f->retry_ms = clock_mono_ms() + RETRY_MS;
        refresh(f);
    } else {
        f->last = events->last;
        f->expires_ms = events->expires_ms;
        for (size_t i = 0; i < events->n; i++)
            tell(f, &events->events[i]);
        for (struct client *c = f->clients; c; c = c->next)
            if (takes(c) && c->cursor > f->last)
                c->cursor = 0; /* an id that was never given */
            else if (takes(c) && !events->more)
                c->cursor = f->last;
        refresh(f);
    }
}

/* --- clients */

static void on_ready(void *arg)
{
    struct client *c = arg;

    c->ready = true;
    refresh(c->followed);
}

static void on_gone(void *arg)
{
    struct client *c = arg;
    struct followed *f = c->followed;

    client_free(c);
    retire(f);
}

static struct followed *follow(struct api *api, const char *session_id)
{
    struct followed **first = bucket(api->events, session_id), *f = *first;

    while (f && !str_eq(f->session_id, session_id))
        f = f->next;
    if (f)
        return f;
    f = xcalloc(1, sizeof *f);
    snprintf(f->session_id, sizeof f->session_id, "%s", session_id);
    f->api = api;
    f->all = true;
    f->expires_ms = UINT64_MAX;
    f->checked_ms = clock_mono_ms();
    uv_timer_init(api->loop, &f->timer);
    f->timer.data = f;
    f->watch = job_watch_add(api->watcher, session_id, on_session_news, f);
    f->next = *first;
    if (f->next)
        f->next->prev = f;
    *first = f;
    return f;
}

static void join(struct api *api, struct client *c, const char *session_id, const char *last_event_id)
{
    static const char reconnect[] = "retry: 2000\n\n";
    struct followed *f = c->followed = follow(api, session_id);

    /* Numbers up to 2^53 are exact in the script. */
    if (!last_event_id || str_to_u64(last_event_id, 0, UINT64_C(1) << 53, &c->cursor) < 0)
        c->cursor = 0;
    f->check = f->check || c->cursor > f->last;
    c->next = f->clients;
    if (c->next)
        c->next->prev = c;
    f->clients = c;
    c->ready = http_event_stream_send(c->stream, reconnect, sizeof reconnect - 1);
    refresh(f);
}

void api_events(struct api_call *call)
{
    static const struct http_event_stream_ops ops = {.ready = on_ready, .end = on_gone};
    struct api *api = call->api;
    struct client *c;
    int r = slots_take(api->event_streams, &call->client);

    if (r < 0) {
        api_fail(
            call, API_RATE_LIMITED,
            r == -EDQUOT
                ? "This session or address has as many event streams as it may have. One of them tells of "
                  "all its session's jobs."
                : "Too many clients listen for events just now. Try again in a moment.");
        return;
    }
    c = xcalloc(1, sizeof *c);
    keep_names(c, &call->client);
    c->until_ms = *call->account.id ? clock_mono_ms() + api->settings->access_ttl_s * 1000 : UINT64_MAX;
    http_reply_header(call->req, "Cache-Control", "no-store");
    http_reply_header(call->req, "X-Accel-Buffering", "no"); /* nginx would hold events back */
    r = http_event_stream_open(call->req, &ops, c, &c->stream);
    if (r == 0 && c->stream) {
        join(api, c, call->session.id, http_request_header(call->req, "Last-Event-ID"));
        api_abandon(call);
        return;
    }
    release_slot(api, c);
    free(c);
    if (r < 0)
        api_fail(call, API_UNAVAILABLE,
                 "The server is about to stop, or out of resources. Try again in a moment.");
    else
        api_abandon(call);
}
