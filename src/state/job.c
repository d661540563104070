/* One table says how struct job and the hash correspond; writing and reading go by it. */
#include "state/job.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/job_create.h"
#include "state/job_create.lua.h"
#include "state/job_fields.h"
#include "state/job_kept.h"
#include "state/job_lose.lua.h"
#include "state/job_update.lua.h"
#include "state/keys.h"
#include "state/script.h"
#include "state/stored.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

enum { NUMBER_MAX = 24, UPDATE_FIELDS_MAX = 64 };

static struct redis_script create_script = {.name = "job_create", .text = job_create_lua},
                           update_script = {.name = "job_update", .text = job_update_lua},
                           lose_script = {.name = "job_lose", .text = job_lose_lua};

static const char *const status_names[] = {
    [JOB_UPLOADED] = "uploaded",     [JOB_QUEUED] = "queued",       [JOB_SCANNING] = "scanning",
    [JOB_PROCESSING] = "processing", [JOB_COMPLETED] = "completed", [JOB_FAILED] = "failed",
    [JOB_CANCELLED] = "cancelled",
};

const char *job_status_name(enum job_status status)
{
    assert((size_t)status < ARRAY_SIZE(status_names));
    return status_names[status];
}

int job_status_parse(const char *name, enum job_status *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(status_names); i++)
        if (str_eq(name, status_names[i])) {
            *ret = (enum job_status)i;
            return 0;
        }
    return -EINVAL;
}

bool job_status_is_final(enum job_status status)
{
    return status == JOB_COMPLETED || status == JOB_FAILED || status == JOB_CANCELLED;
}

enum kind { TEXT, FLAG /* "1" or "" */, NUMBER, MAYBE /* a number, or JOB_UNKNOWN: "" */, PERCENT, STATUS };

enum {
    HIDDEN = 1,  /* no client sees it: no event when it alone changes */
    ATTEMPT = 2, /* an attempt sets it, and the next one begins without */
};

#define FIELD(member, as, what)                                                                              \
    {                                                                                                        \
        .name = #member, .offset = offsetof(struct job, member), .kind = as, .flags = what                   \
    }

static const struct field {
    const char *name;
    size_t offset;
    enum kind kind;
    unsigned flags;
} fields[] = {
    FIELD(job_id, TEXT, 0),
    FIELD(session_id, TEXT, HIDDEN),
    FIELD(original_filename, TEXT, 0),
    FIELD(source_format, TEXT, 0),
    FIELD(target_format, TEXT, 0),
    FIELD(mime_type, TEXT, 0),
    FIELD(sha256, TEXT, 0),
    FIELD(size, NUMBER, 0),
    FIELD(stored_path, TEXT, HIDDEN),
    FIELD(converted_path, TEXT, ATTEMPT),
    FIELD(status, STATUS, 0),
    FIELD(progress, PERCENT, ATTEMPT),
    FIELD(task_id, TEXT, 0),
    FIELD(options, TEXT, HIDDEN),
    FIELD(inputs, TEXT, HIDDEN),
    FIELD(sealed_secrets, TEXT, HIDDEN | ATTEMPT),
    FIELD(secret_options, TEXT, HIDDEN | ATTEMPT),
    FIELD(cancelling, TEXT, HIDDEN | ATTEMPT),
    FIELD(callback_url, TEXT, HIDDEN),
    FIELD(created_at, TEXT, 0),
    FIELD(started_at, TEXT, ATTEMPT),
    FIELD(completed_at, TEXT, ATTEMPT),
    FIELD(error_code, TEXT, ATTEMPT),
    FIELD(error_message, TEXT, ATTEMPT),
    FIELD(output_mime_type, TEXT, ATTEMPT),
    FIELD(output_size, NUMBER, ATTEMPT),
    FIELD(output_pages, NUMBER, ATTEMPT),
    FIELD(scan, TEXT, HIDDEN | ATTEMPT),
    FIELD(signature, TEXT, HIDDEN | ATTEMPT),
    FIELD(engine, TEXT, ATTEMPT),
    FIELD(engine_version, TEXT, ATTEMPT),
    FIELD(fonts_substituted, TEXT, ATTEMPT),
    FIELD(cached, FLAG, 0),
    FIELD(fingerprint, TEXT, HIDDEN),
    FIELD(idempotency, TEXT, HIDDEN),
    FIELD(sandbox, TEXT, ATTEMPT),
    FIELD(worker, TEXT, HIDDEN | ATTEMPT),
    FIELD(attempts, NUMBER, ATTEMPT),
    FIELD(cpu_ms, NUMBER, ATTEMPT),
    FIELD(peak_kib, NUMBER, ATTEMPT),
    FIELD(pss_kib, NUMBER, ATTEMPT),
    FIELD(queue_ms, MAYBE, ATTEMPT),
    FIELD(duration_ms, MAYBE, ATTEMPT),
};

enum { N_FIELDS = ARRAY_SIZE(fields) };
static_assert((int)N_FIELDS <= (int)JOB_FIELDS_MAX, "raise JOB_FIELDS_MAX");

static const char *field_text(const struct field *f, const struct job *job, char number[NUMBER_MAX])
{
    const void *member = (const char *)job + f->offset;

    switch (f->kind) {
    case TEXT: {
        const char *s = *(const char *const *)member;
        return s ? s : "";
    }
    case FLAG:
        return *(const bool *)member ? "1" : "";
    case MAYBE:
        if (*(const uint64_t *)member == JOB_UNKNOWN)
            return "";
        /* fallthrough */
    case NUMBER:
        snprintf(number, NUMBER_MAX, "%" PRIu64, *(const uint64_t *)member);
        return number;
    case PERCENT:
        snprintf(number, NUMBER_MAX, "%u", *(const unsigned *)member);
        return number;
    case STATUS:
        return job_status_name(*(const enum job_status *)member);
    }
    abort();
}

static int field_parse(const struct field *f, struct job *job, const char *text)
{
    void *member = (char *)job + f->offset;
    uint64_t number = 0;

    switch (f->kind) {
    case TEXT:
        *(const char **)member = text;
        return 0;
    case FLAG:
        *(bool *)member = *text;
        return 0;
    case MAYBE:
        *(uint64_t *)member = JOB_UNKNOWN;
        /* fallthrough */
    case NUMBER:
        return *text ? str_to_u64(text, 0, UINT64_MAX, member) : 0;
    case PERCENT:
        if (*text && str_to_u64(text, 0, 100, &number) < 0)
            return -EINVAL;
        *(unsigned *)member = (unsigned)number;
        return 0;
    case STATUS:
        return job_status_parse(text, member);
    }
    abort();
}

static bool in_view(const struct field *f, enum job_view view)
{
    return view == JOB_WHOLE || !(f->flags & HIDDEN);
}

size_t job_fields(enum job_view view, const char *ret_names[JOB_FIELDS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < N_FIELDS; i++)
        if (in_view(&fields[i], view))
            ret_names[n++] = fields[i].name;
    return n;
}

size_t job_reset(const char *ret[JOB_RESET_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].flags & ATTEMPT) {
            assert(n + 2 <= JOB_RESET_MAX);
            ret[n++] = fields[i].name;
            ret[n++] = fields[i].kind == NUMBER || fields[i].kind == PERCENT ? "0" : "";
        }
    return n;
}

int job_parse(struct job *job, enum job_view view, const redisReply *reply, size_t first)
{
    *job = (struct job){0};
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *text = in_view(&fields[i], view) ? redis_reply_str(redis_reply_at(reply, first++)) : NULL;

        if (!text && fields[i].kind == STATUS)
            return -ENOENT;
        if (field_parse(&fields[i], job, text ? text : "") < 0)
            return -EPROTO;
    }
    return 0;
}

void job_key(char ret[JOB_KEY_MAX], const char *session_id, const char *job_id)
{
    snprintf(ret, JOB_KEY_MAX, SESSION_KEY_PREFIX "%s:jobs:%s", session_id, job_id);
}

void job_crowd(char ret[JOB_CROWD_MAX], const char *session_id)
{
    snprintf(ret, JOB_CROWD_MAX, SESSION_KEY_PREFIX "%s:waiting", session_id);
}

const char *session_channel(char ret[SESSION_CHANNEL_MAX], const char *session_id)
{
    snprintf(ret, SESSION_CHANNEL_MAX, SESSION_CHANNEL_PREFIX "%s", session_id);
    return ret;
}

void job_channel(char ret[JOB_CHANNEL_MAX], const char *job_id)
{
    snprintf(ret, JOB_CHANNEL_MAX, JOB_CHANNEL_PREFIX "%s", job_id);
}

struct op {
    enum job_view view;
    job_fn *fn;
    redis_reply_fn *reply_fn;
    void *arg;
};

static struct op *op_new(job_fn *fn, redis_reply_fn *reply_fn, void *arg)
{
    struct op *op = xmalloc(sizeof *op);

    *op = (struct op){.fn = fn, .reply_fn = reply_fn, .arg = arg};
    return op;
}

static void on_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (op->fn)
        op->fn(op->arg, err ? err : script_code(reply), NULL);
}

void job_create_eval(struct redis *r, const struct job_create *c, redis_reply_fn *fn, void *arg)
{
    char session[SESSION_KEY_MAX], jobs[SESSION_KEY_MAX], key[JOB_KEY_MAX];
    char partials[SESSION_KEY_MAX], partial[PARTIAL_KEY_MAX];
    char channel[JOB_CHANNEL_MAX], session_news[SESSION_CHANNEL_MAX];
    char max[NUMBER_MAX], size[NUMBER_MAX], session_max[NUMBER_MAX], all_max[NUMBER_MAX];
    char score[NUMBER_MAX], until[NUMBER_MAX] = "";
    const char *argv[21 + 2 * N_FIELDS + 1];
    size_t n = 0;

    snprintf(max, sizeof max, "%" PRIu64, c->quota->jobs);
    snprintf(size, sizeof size, "%" PRIu64, c->size);
    snprintf(session_max, sizeof session_max, "%" PRIu64, c->quota->session_bytes);
    snprintf(all_max, sizeof all_max, "%" PRIu64, c->quota->all_bytes);
    snprintf(score, sizeof score, "%" PRIu64, c->score_ms);
    if (c->quota->keep_s > 0)
        snprintf(until, sizeof until, "%" PRIu64, clock_real_ms() + c->quota->keep_s * 1000);
    job_key(key, c->session_id, c->id);
    job_channel(channel, c->id);

    argv[n++] = session_key(session, c->session_id, "");
    argv[n++] = session_key(jobs, c->session_id, ":jobs");
    argv[n++] = key;
    argv[n++] = STORED_KEY;
    argv[n++] = STORED_SUM_KEY;
    argv[n++] = STORED_EXPIRY_KEY;
    argv[n++] = JOB_KEPT_KEY;
    argv[n++] = session_key(partials, c->session_id, ":files");
    argv[n++] = partial_key(partial, c->session_id, c->id);
    argv[n++] = max;
    argv[n++] = score;
    argv[n++] = c->id;
    argv[n++] = session_channel(session_news, c->session_id);
    argv[n++] = channel;
    argv[n++] = job_status_name(JOB_UPLOADED);
    argv[n++] = c->session_id;
    argv[n++] = size;
    argv[n++] = session_max;
    argv[n++] = all_max;
    argv[n++] = until;
    argv[n++] = c->wanted;
    for (size_t i = 0; c->pairs && c->pairs[i]; i++) {
        assert(i < (size_t)2 * N_FIELDS);
        argv[n++] = c->pairs[i];
    }
    argv[n] = NULL;
    redis_eval(r, &create_script, 9, argv, fn, arg);
}

static void create(struct redis *r, const struct job *job, const char *wanted, const struct job_quota *quota,
                   job_fn *fn, void *arg)
{
    struct op *op = op_new(fn, NULL, arg);
    struct job stored = *job;
    const char *pairs[2 * N_FIELDS + 1] = {NULL};
    char numbers[N_FIELDS][NUMBER_MAX];
    uint64_t now = clock_real_ms();
    char now_text[CLOCK_RFC3339_LEN + 1];

    if (!id_is_token(job->session_id) || !id_is_uuid(job->job_id)) {
        redis_defer(r, -ENOENT, on_created, op);
        return;
    }
    clock_rfc3339(now, now_text);
    stored.status = JOB_UPLOADED;
    if (!stored.created_at || !*stored.created_at)
        stored.created_at = now_text;
    for (size_t i = 0; i < N_FIELDS; i++) {
        pairs[2 * i] = fields[i].name;
        pairs[2 * i + 1] = field_text(&fields[i], &stored, numbers[i]);
    }
    job_create_eval(r,
                    &(struct job_create){.session_id = job->session_id,
                                         .id = job->job_id,
                                         .wanted = wanted,
                                         .size = job->size,
                                         .score_ms = now,
                                         .quota = quota,
                                         .pairs = pairs},
                    on_created, op);
}

void job_create(struct redis *r, const struct job *job, const struct job_quota *quota, job_fn *fn, void *arg)
{
    create(r, job, "job", quota, fn, arg);
}

void job_create_arrived(struct redis *r, const struct job *job, uint64_t keep_s, job_fn *fn, void *arg)
{
    create(r, job, "arrived", &(struct job_quota){.keep_s = keep_s}, fn, arg);
}

void job_look_for_room(struct redis *r, const char *session_id, uint64_t size, const struct job_quota *quota,
                       job_fn *fn, void *arg)
{
    struct op *op = op_new(fn, NULL, arg);

    if (!id_is_token(session_id))
        redis_defer(r, -ENOENT, on_created, op);
    else
        job_create_eval(r,
                        &(struct job_create){.session_id = session_id,
                                             .id = "",
                                             .wanted = "look",
                                             .size = size,
                                             .score_ms = clock_real_ms(),
                                             .quota = quota},
                        on_created, op);
}

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    struct job job;

    if (err == 0)
        err = job_parse(&job, op->view, reply, 0);
    op->fn(op->arg, err, err ? NULL : &job);
}

static void load(struct redis *r, const char *session_id, const char *job_id, enum job_view view, job_fn *fn,
                 void *arg)
{
    struct op *op = op_new(fn, NULL, arg);
    char key[JOB_KEY_MAX];
    const char *argv[2 + JOB_FIELDS_MAX + 1] = {"HMGET", key};

    op->view = view;
    if (!id_is_token(session_id) || !id_is_uuid(job_id)) {
        redis_defer(r, -ENOENT, on_loaded, op);
        return;
    }
    job_key(key, session_id, job_id);
    argv[2 + job_fields(view, argv + 2)] = NULL;
    redis_command(r, argv, on_loaded, op);
}

void job_load(struct redis *r, const char *session_id, const char *job_id, job_fn *fn, void *arg)
{
    load(r, session_id, job_id, JOB_WHOLE, fn, arg);
}

void job_load_shown(struct redis *r, const char *session_id, const char *job_id, job_fn *fn, void *arg)
{
    load(r, session_id, job_id, JOB_SHOWN, fn, arg);
}

static void on_updated(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (op->reply_fn)
        op->reply_fn(op->arg, err ? err : script_code(reply), reply);
}

void job_update(struct redis *r, const char *session_id, const char *job_id, const char *task_id,
                const char *const pairs[], redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(NULL, fn, arg);
    char key[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX];
    const char *argv[3 + UPDATE_FIELDS_MAX + 1] = {key, channel, task_id ? task_id : ""};
    size_t n = 3;

    if (!id_is_token(session_id) || !id_is_uuid(job_id)) {
        redis_defer(r, -ENOENT, on_updated, op);
        return;
    }
    job_key(key, session_id, job_id);
    job_channel(channel, job_id);
    for (size_t i = 0; pairs[i]; i++) {
        assert(i < UPDATE_FIELDS_MAX);
        argv[n++] = pairs[i];
    }
    assert(n > 3 && n % 2 == 1);
    redis_eval(r, &update_script, 1, argv, on_updated, op);
}

void job_lose(struct redis *r, const char *session_id, const char *job_id, redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(NULL, fn, arg);
    char key[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX], now[CLOCK_RFC3339_LEN + 1];

    job_key(key, session_id, job_id);
    job_channel(channel, job_id);
    clock_rfc3339(clock_real_ms(), now);
    redis_eval(r, &lose_script, 1,
               REDIS(key, channel, now, outcome_code(OUTCOME_INTERNAL),
                     "A file of this job is no longer on the server. Upload it again."),
               on_updated, op);
}
