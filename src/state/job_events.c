#include "state/job_events.h"

#include "core/str.h"
#include "state/job_events.lua.h"
#include "state/job_fields.h"
#include "state/keys.h"
#include "state/script.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

/* The answer's head: "OK", expiry, last, more; then a list for each event: number, fields. */
enum { HEAD_ITEMS = 4, EVENTS_MAX = 64 };

static struct redis_script events_script = {.name = "job_events", .text = job_events_lua};

struct op {
    job_events_fn *fn;
    void *arg;
};

static int parse_event(struct job_event *event, const redisReply *reply)
{
    long long id = redis_reply_int(redis_reply_at(reply, 0));
    int r = job_parse(&event->job, JOB_SHOWN, reply, 1);

    event->id = (uint64_t)id;
    event->removed = r == -ENOENT && id_is_uuid(event->job.job_id);
    return id <= 0 ? -EPROTO : event->removed ? 0 : r;
}

static int parse_events(const redisReply *reply, struct job_event events[EVENTS_MAX], struct job_events *ret)
{
    long long expires = redis_reply_int(redis_reply_at(reply, 1));
    long long last = redis_reply_int(redis_reply_at(reply, 2));
    long long more = redis_reply_int(redis_reply_at(reply, 3));
    const redisReply *item;
    int r;

    if (expires < 0 || last < 0 || more < 0)
        return -EPROTO;
    *ret = (struct job_events){
        .expires_ms = (uint64_t)expires, .last = (uint64_t)last, .more = more, .events = events};
    while ((item = redis_reply_at(reply, HEAD_ITEMS + ret->n))) {
        r = ret->n == EVENTS_MAX ? -EPROTO : parse_event(&events[ret->n], item);
        if (r < 0)
            return r == -ENOENT ? -EPROTO : r;
        ret->n++;
    }
    return 0;
}

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct job_event list[EVENTS_MAX];
    struct job_events events;

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        err = parse_events(reply, list, &events);
    op->fn(op->arg, err, err ? NULL : &events);
}

void job_events_load(struct redis *r, const char *session_id, uint64_t since, const char *const changed[],
                     job_events_fn *fn, void *arg)
{
    struct op *op = malloc(sizeof *op);
    char session[SESSION_KEY_MAX], jobs[SESSION_KEY_MAX], events[SESSION_KEY_MAX], prefix[SESSION_KEY_MAX];
    char numbers[SESSION_KEY_MAX], gone[SESSION_KEY_MAX];
    char after[24], most[24], n_fields[24];
    const char *argv[9 + JOB_FIELDS_MAX + JOB_EVENTS_CHANGED_MAX + 1];
    size_t n = 0;

    if (!op)
        abort(); /* as redis.c does: no memory, no answer */
    *op = (struct op){.fn = fn, .arg = arg};
    if (!id_is_token(session_id)) {
        redis_defer(r, -ENOENT, on_loaded, op);
        return;
    }
    snprintf(after, sizeof after, "%" PRIu64, since);
    snprintf(most, sizeof most, "%d", EVENTS_MAX);
    argv[n++] = session_key(session, session_id, "");
    argv[n++] = session_key(jobs, session_id, ":jobs");
    argv[n++] = session_key(events, session_id, ":events");
    argv[n++] = session_key(numbers, session_id, ":numbers");
    argv[n++] = session_key(gone, session_id, ":gone");
    argv[n++] = session_key(prefix, session_id, ":jobs:");
    argv[n++] = after;
    argv[n++] = most;
    argv[n++] = n_fields;
    snprintf(n_fields, sizeof n_fields, "%zu", job_fields(JOB_SHOWN, argv + n));
    n += job_fields(JOB_SHOWN, argv + n);
    if (!changed)
        argv[n++] = "*";
    for (size_t i = 0; changed && changed[i]; i++) {
        assert(i < JOB_EVENTS_CHANGED_MAX);
        argv[n++] = changed[i];
    }
    argv[n] = NULL;
    redis_eval(r, &events_script, 5, argv, on_loaded, op);
}
