/* What Redis answers. An input is a letter that chooses what is asked, "!" where the first answer is that to
 * SCRIPT LOAD or anything else, then answers as they come over the wire (RESP). Whatever they are: every
 * question is answered exactly once, with what its header promises or an error, and an answer of another
 * shape is an error.
 *
 * The connection (redis_link.c) is replaced by one that hands the replies that hiredis reads from the input
 * to whoever asked, in order; where they end, it breaks. */
#include "fuzz.h"

#include "core/str.h"
#include "queue/monitor.h"
#include "queue/queue.h"
#include "state/account.h"
#include "state/api_key.h"
#include "state/job_events.h"
#include "state/redis_link.h"
#include "state/refresh.h"
#include "state/session.h"
#include "state/token.h"
#include "state/worker_info.h"

#include <errno.h>

#define SESSION "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define JOB     "01234567-89ab-4cde-8f01-23456789abcd"

enum { PENDING_MAX = 4096 };

static struct {
    uv_loop_t loop;
    redisAsyncContext context;
    redisReader *reader;
    redisReply *script_name; /* what SCRIPT LOAD is answered */
    redisReply *reply;       /* what is being answered; NULL: nothing */
    bool up;
    struct pending {
        redisCallbackFn *fn;
        void *arg;
    } pending[PENDING_MAX], subscription;
    size_t first, n;
    unsigned asked, answered;
} wire;

/* --- the connection */

struct redis_link {
    char nothing;
};

int redis_link_new(uv_loop_t *loop, const struct redis_config *config, const struct redis_link_ops *ops,
                   void *arg, struct redis_link **ret)
{
    *ret = calloc(1, sizeof **ret);
    return 0;
}

redisAsyncContext *redis_link_context(const struct redis_link *l)
{
    return wire.up ? &wire.context : NULL;
}

static void break_connection(void)
{
    wire.up = false;
    while (wire.first < wire.n) {
        struct pending *p = &wire.pending[wire.first++];

        if (p->fn)
            p->fn(&wire.context, NULL, p->arg);
    }
}

void redis_link_free(struct redis_link *l)
{
    break_connection();
    free(l);
}

void redis_link_drop(struct redis_link *l, const char *reason)
{
    break_connection();
}

void redis_link_doubt(struct redis_link *l, const char *reason)
{
}

const char *redis_link_trouble(const struct redis_link *l)
{
    return "";
}

/* --- hiredis's sending side */

static void expect_reply(redisCallbackFn *fn, void *arg)
{
    require(wire.n < PENDING_MAX); /* an endless loop: each question takes bytes of the input */
    wire.pending[wire.n++] = (struct pending){fn, arg};
}

int redisAsyncCommandArgv(redisAsyncContext *ac, redisCallbackFn *fn, void *arg, int argc, const char **argv,
                          const size_t *lens)
{
    size_t bytes = 0;

    for (int i = 0; i < argc; i++)
        bytes += lens ? lens[i] : strlen(argv[i]);
    require(argc > 0 && bytes > 0);
    if (str_eq(argv[0], "SUBSCRIBE") || str_eq(argv[0], "PSUBSCRIBE"))
        wire.subscription = (struct pending){fn, arg};
    else
        expect_reply(fn, arg);
    return REDIS_OK;
}

int redisAsyncCommand(redisAsyncContext *ac, redisCallbackFn *fn, void *arg, const char *format, ...)
{
    if (str_starts(format, "SCRIPT LOAD"))
        fn(ac, wire.script_name, arg);
    else
        expect_reply(fn, arg);
    return REDIS_OK;
}

/* --- the replies */

/* hiredis trusts the length of a list, and asks for its memory at once. */
static bool lists_are_short(const char *text, size_t size)
{
    for (const char *p = text; (p = memchr(p, '*', size - (size_t)(p - text))); p++) {
        size_t rest = size - (size_t)(p + 1 - text), n = 0;

        while (n < rest && (strchr("+-0123456789", p[1 + n]) && p[1 + n]))
            n++;
        if (n > 4)
            return false;
    }
    return true;
}

static redisReply *next_reply(void)
{
    void *reply = NULL;

    return redisReaderGetReply(wire.reader, &reply) == REDIS_OK ? reply : NULL;
}

static void answer_all(void)
{
    do {
        while (wire.first < wire.n || wire.subscription.fn) {
            redisReply *reply = wire.up ? next_reply() : NULL;
            bool news = wire.first == wire.n;
            struct pending p = news ? wire.subscription : wire.pending[wire.first];

            if (!reply) {
                wire.subscription.fn = NULL;
                break_connection();
                break;
            }
            wire.first += !news;
            wire.reply = reply;
            if (p.fn)
                p.fn(&wire.context, reply, p.arg);
            wire.reply = NULL;
            freeReplyObject(reply);
        }
    } while (uv_run(&wire.loop, UV_RUN_NOWAIT) && (wire.first < wire.n || uv_loop_alive(&wire.loop)) &&
             wire.asked > wire.answered);
}

/* --- what is asked, and what an answer has to be */

static void answered(int err)
{
    wire.answered++;
    require(err <= 0);
}

static void on_reply(void *arg, int err, const redisReply *reply)
{
    answered(err);
    require(err < 0 || reply);
}

static void on_session(void *arg, int err, const struct session *s)
{
    answered(err);
    if (err == 0)
        require(id_is_token(s->id) && id_is_token(s->csrf_token) &&
                memchr(s->expires_at, '\0', sizeof s->expires_at));
}

static void on_closing(void *arg, int err, unsigned running)
{
    answered(err);
    require(err == 0 ? redis_reply_int(redis_reply_at(wire.reply, 1)) == running : running == 0);
}

static void require_job(const struct job *job)
{
    const char *const texts[] = {
        job->job_id,           job->session_id,    job->original_filename,
        job->source_format,    job->target_format, job->mime_type,
        job->sha256,           job->stored_path,   job->converted_path,
        job->task_id,          job->options,       job->sealed_secrets,
        job->secret_options,   job->cancelling,    job->created_at,
        job->started_at,       job->completed_at,  job->error_code,
        job->error_message,    job->scan,          job->signature,
        job->engine,           job->sandbox,       job->worker,
        job->output_mime_type,
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        require(texts[i] && strlen(texts[i]) < SIZE_MAX);
    require(*job_status_name(job->status) && job->progress <= 100);
}

static void on_job(void *arg, int err, const struct job *job)
{
    answered(err);
    require((err == 0) == (job != NULL));
    if (job)
        require_job(job);
}

static void on_job_made(void *arg, int err, const struct job *job)
{
    answered(err);
    require(!job);
}

static void on_token(void *arg, int err, const struct token *t)
{
    answered(err);
    require((err == 0) == (t != NULL));
    if (t)
        require(id_is_token(t->token) && *t->session_id && *t->job_id && *t->file_path && t->filename &&
                t->mime_type && t->expires_at);
}

static void on_workers(void *arg, int err, const struct worker_info *workers, size_t n)
{
    answered(err);
    require(n <= WORKER_INFO_MAX && (err == 0 || n == 0));
    for (size_t i = 0; i < n; i++)
        require(workers[i].id && workers[i].version && workers[i].engines && workers[i].sandbox &&
                workers[i].scanner && workers[i].scanner_detail);
}

static void on_events(void *arg, int err, const struct job_events *events)
{
    answered(err);
    require((err == 0) == (events != NULL));
    for (size_t i = 0; events && i < events->n; i++) {
        require(events->events[i].id > 0);
        require_job(&events->events[i].job);
    }
}

static void on_queue(void *arg, int err)
{
    answered(err);
    require(err < 0 || str_eq(redis_reply_str(wire.reply), "OK") || redis_reply_int(wire.reply) >= 0 ||
            (wire.reply->type == REDIS_REPLY_ARRAY && wire.reply->elements == 0)); /* of a refresh */
}

/* A code, or where it was put. */
static void on_enqueued(void *arg, int err)
{
    answered(err);
    require(err < 0 || str_eq(redis_reply_str(wire.reply), "OK") ||
            (str_eq(redis_reply_str(redis_reply_at(wire.reply, 0)), "OK") &&
             redis_reply_int(redis_reply_at(wire.reply, 1)) >= 0 &&
             redis_reply_int(redis_reply_at(wire.reply, 2)) >= 0));
}

static void on_look(void *arg, int err, const struct queue_look *look)
{
    answered(err);
    require((err == 0) == (look != NULL));
}

static void on_length(void *arg, int err, uint64_t length)
{
    answered(err);
    require(err == 0 || length == 0);
}

static void on_revoked(void *arg, int err, const json_t *ages)
{
    const char *id;
    json_t *age;

    answered(err);
    require(err == 0 ? json_is_object(ages) : !ages);
    json_object_foreach((json_t *)ages, id, age) require(*id == '\0' || json_real_value(age) >= 0);
}

static void on_scheduled(void *arg, int err, const json_t *tasks)
{
    const json_t *task;
    size_t i;

    answered(err);
    require(err == 0 ? json_is_array(tasks) : !tasks);
    json_array_foreach(tasks, i, task) require(json_is_string(json_object_get(task, "eta")) &&
                                               json_is_object(json_object_get(task, "request")));
}

static void on_news(void *arg, const char *news)
{
    require(!news || strlen(news) < SIZE_MAX);
}

static void on_bell(void *arg, int err)
{
    require(err == 0);
}

/* What calls act on has to be well-formed whatever Redis says. */
static void require_account(const struct account *a)
{
    require(id_is_uuid(a->id) && id_is_token(a->space) && *a->name && memchr(a->oidc, '\0', sizeof a->oidc));
}

static void on_account(void *arg, int err, const struct account *account)
{
    answered(err);
    require((err == 0) == (account != NULL));
    if (account)
        require_account(account);
}

static void on_login(void *arg, int err, const struct account *account, const char *password)
{
    on_account(arg, err, account);
    require(strlen(password) < SIZE_MAX && (err == 0 || !*password));
}

static void on_accounts(void *arg, int err, const struct account *accounts, size_t n)
{
    answered(err);
    for (size_t i = 0; err == 0 && i < n; i++)
        require_account(&accounts[i]);
}

static void on_keys(void *arg, int err, const struct api_key *keys, size_t n)
{
    answered(err);
    for (size_t i = 0; err == 0 && i < n; i++)
        require(api_key_id_valid(keys[i].id) && id_is_uuid(keys[i].account));
}

static void on_refresh(void *arg, int err, const struct refresh *f)
{
    answered(err);
    require((err == 0) == (f != NULL));
    if (f)
        require(id_is_token(f->token) && id_is_uuid(f->family) && id_is_uuid(f->account));
}

static void on_change(void *arg, int err, const redisReply *reply)
{
    answered(err);
}

static struct queue *queue;
static struct queue_claim *claim;

static const struct queue_hash hash = {.key = "session:" SESSION ":jobs:" JOB,
                                       .field = "status",
                                       .expected = "scanning",
                                       .channel = "decant:job:" JOB,
                                       .set = (const char *const[]){"status", "completed", NULL}};

static void on_claim(void *arg, int err, struct queue_claim *c)
{
    answered(err);
    require((err == 0) == (c != NULL));
    if (err == -EAGAIN) /* nothing waits: nothing else may look like it */
        require(wire.reply->type == REDIS_REPLY_NIL || str_eq(redis_reply_str(wire.reply), "EAGAIN"));
    if (!c)
        return;
    require(!claim && *c->id && *c->tag && *c->name && json_is_array(c->args) && json_is_object(c->kwargs));
    require(c->deliveries > 0 && c->message);
    claim = c;
}

static void claim_and_finish(struct redis *r)
{
    const struct queue_result result = {.state = QUEUE_FAILURE, .exc_type = "E", .exc_message = "m"};

    queue_claim(queue, "decant@h:1:r", QUEUE_ALL, on_claim, NULL);
    wire.asked++;
    answer_all();
    if (!claim)
        return;
    queue_started(queue, "decant@h:1:r", claim, NULL);
    queue_refresh(queue, "decant@h:1:r", on_queue, NULL);
    wire.asked++;
    answer_all();
    if (claim->deliveries % 2)
        queue_done(queue, "decant@h:1:r", claim, &result, &hash, on_queue, NULL);
    else
        queue_release(queue, "decant@h:1:r", claim, NULL, on_queue, NULL);
    wire.asked++;
}

static void enqueue(struct redis *r)
{
    _cleanup_json_ json_t *kwargs = json_pack("{s:s}", "job_id", JOB);
    static struct queue_place place;
    const struct queue_task task = {.id = JOB, .name = "decant.convert", .kwargs = kwargs, .place = &place};

    wire.asked++;
    queue_enqueue(queue, &task, &hash, on_enqueued, NULL);
}

static void watch(struct redis *r)
{
    struct job_watcher *watcher;
    struct job_watch *job, *session;

    require(job_watcher_new(&wire.loop, &(struct redis_config){.url = "unix:x"}, &watcher) == 0);
    job = job_watch_add(watcher, JOB, on_news, NULL);
    session = job_watch_add(watcher, SESSION, on_news, NULL);
    answer_all();
    job_watch_remove(job);
    job_watcher_free(watcher);
    job_watch_remove(session);
}

static void ring(struct redis *r)
{
    struct queue_bell *bell;

    require(queue_bell_new(&wire.loop, queue, &(struct redis_config){.url = "unix:x"}, on_bell, NULL,
                           &bell) == 0);
    queue_bell_arm(bell, QUEUE_ALL);
    answer_all();
    queue_bell_free(bell);
}

/* --- the questions, by the letter that an input begins with */

static const char *const pairs[] = {"status", "scanning", "progress", "5", NULL};
static const struct job new_job = {.job_id = JOB, .session_id = SESSION, .original_filename = "a.txt"};
static const struct job_quota quota = {.jobs = 10, .session_bytes = 1000};
static const struct plan plans[PLANS] = {{.name = "free", .retention_s = 86400},
                                         {.name = "premium", .retention_s = 864000}};
static const struct worker_info info = {.id = "w"};

/* clang-format off */
#define QUESTION(name, call) static void name(struct redis *r) { wire.asked++; call; }

QUESTION(ask_session, session_load(r, SESSION, on_session, NULL))
QUESTION(ask_closing, session_load_closing(r, SESSION, on_session, NULL))
QUESTION(make_session, session_create(r, 60, "", "", "free", on_session, NULL))
QUESTION(begin_close, session_begin_close(r, SESSION, on_closing, NULL))
QUESTION(ask_running, session_running(r, SESSION, on_closing, NULL))
QUESTION(finish_close, session_finish_close(r, SESSION, on_reply, NULL))
QUESTION(ask_job, job_load(r, SESSION, JOB, on_job, NULL))
QUESTION(ask_job_shown, job_load_shown(r, SESSION, JOB, on_job, NULL))
QUESTION(make_job, job_create(r, &new_job, &quota, on_job_made, NULL))
QUESTION(update_job, job_update(r, SESSION, JOB, NULL, pairs, on_reply, NULL))
QUESTION(ask_events, job_events_load(r, SESSION, 0, NULL, on_events, NULL))
QUESTION(ask_token, token_load(r, SESSION, on_token, NULL))
QUESTION(make_token, token_create(r, SESSION, JOB, "a.pdf", 60, on_token, NULL))
QUESTION(ask_account, account_load(r, JOB, NULL, plans, on_account, NULL))
QUESTION(ask_login, account_load_by_name(r, "ada", on_login, NULL))
QUESTION(ask_accounts, account_list(r, on_accounts, NULL))
QUESTION(remove_account, account_remove(r, JOB, on_change, NULL))
QUESTION(ask_key, api_key_load_account(r, "dk_0123456789ab_" SESSION, plans, on_login, NULL))
QUESTION(ask_keys, api_key_list(r, NULL, on_keys, NULL))
QUESTION(rotate, refresh_rotate(r, SESSION, on_refresh, NULL))
QUESTION(ask_workers, worker_info_list(r, on_workers, NULL))
QUESTION(put_worker, worker_info_put(r, &info, on_reply, NULL))
QUESTION(reap, queue_reap(queue, on_queue, NULL))
QUESTION(due, queue_due(queue, on_queue, NULL))
QUESTION(say_goodbye, queue_goodbye(queue, "decant@h:1:r", on_queue, NULL))
QUESTION(ask_length, queue_length(queue, on_length, NULL))
QUESTION(ask_look, queue_look(queue, on_look, NULL))
QUESTION(ask_leases, queue_workers(queue, on_length, NULL))
QUESTION(ask_revoked, queue_revoked(queue, on_revoked, NULL))
QUESTION(ask_scheduled, queue_scheduled(queue, true, on_scheduled, NULL))

static void (*const questions[UINT8_MAX + 1])(struct redis *r) = {
    ['s'] = ask_session, ['c'] = ask_closing, ['S'] = make_session, ['b'] = begin_close, ['r'] = ask_running,
    ['f'] = finish_close, ['j'] = ask_job, ['v'] = ask_job_shown, ['J'] = make_job, ['u'] = update_job,
    ['e'] = ask_events, ['t'] = ask_token, ['T'] = make_token, ['w'] = ask_workers, ['W'] = put_worker,
    ['q'] = enqueue, ['C'] = claim_and_finish, ['R'] = reap, ['d'] = due, ['g'] = say_goodbye,
    ['l'] = ask_length, ['n'] = ask_leases, ['x'] = ask_revoked, ['a'] = ask_scheduled, ['k'] = ask_look,
    ['m'] = watch, ['B'] = ring, ['A'] = ask_account, ['N'] = ask_login, ['L'] = ask_accounts,
    ['D'] = remove_account, ['K'] = ask_key, ['y'] = ask_keys, ['F'] = rotate,
};
/* clang-format on */

static void run(uint8_t letter)
{
    const struct queue_config config = {
        .name = "decant", .max_length = 10, .max_deliveries = 3, .lease_ms = 15000};
    struct redis *r;

    require(redis_new(&wire.loop, &(struct redis_config){.url = "unix:x"}, &r) == 0);
    queue = queue_new(r, &config);
    questions[letter](r);
    answer_all();
    queue_claim_free(TAKE_PTR(claim));
    redis_free(r);
    queue_free(queue);
    uv_run(&wire.loop, UV_RUN_DEFAULT);
    require(wire.answered == wire.asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;

    if (!begun)
        begun = uv_loop_init(&wire.loop) == 0;
    if (size < 2 || !questions[data[0]] || !lists_are_short((const char *)data, size))
        return 0;
    wire.first = wire.n = wire.asked = wire.answered = 0;
    wire.subscription.fn = NULL;
    wire.up = true;
    wire.reader = redisReaderCreate();
    require(wire.reader && redisReaderFeed(wire.reader, (const char *)data + 2, size - 2) == REDIS_OK);
    wire.script_name = data[1] == '!' ? next_reply() : NULL;
    run(data[0]);
    if (wire.script_name)
        freeReplyObject(wire.script_name);
    redisReaderFree(wire.reader);
    return 0;
}
