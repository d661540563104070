/* The runner and the claimer against a real Redis and real files; the conversion is the test's own. */
#include "captured.h"
#include "worker/claimer.h"
#include "worker/runner.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"
#include "state/job.h"
#include "support/loop.h"
#include "support/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define WORKER "decant@test:1:a"

enum { CONVERSIONS_MAX = 4, PATIENCE_MS = 60000 };

/* --- the conversion: waits for the test */

struct conversion {
    struct conversion_request request;
    struct conversion_events events;
    void *arg;
    bool cancelled;
};

static struct conversion conversions[CONVERSIONS_MAX];
static size_t n_conversions;
static bool conversion_started;
static bool conversion_lingers;      /* after its result; the test says when its process is gone */
static char conversion_options[128]; /* they are borrowed for the call */

struct conversion *conversion_start(struct conversion_shared *shared,
                                    const struct conversion_request *request,
                                    const struct conversion_events *events, void *arg)
{
    struct conversion *c = &conversions[n_conversions++];

    assert_true(n_conversions <= CONVERSIONS_MAX);
    *c = (struct conversion){.request = *request, .events = *events, .arg = arg};
    snprintf(conversion_options, sizeof conversion_options, "%s", request->options);
    conversion_started = true;
    return c;
}

void conversion_cancel(struct conversion *c)
{
    c->cancelled = true;
}

const struct catalogue_route *catalogue_find(const struct format *from, const struct format *to)
{
    static struct catalogue_route route;

    route = (struct catalogue_route){.engines = "test", .from = from, .to = to, .cost = 1};
    return from && to && str_eq(from->id, "txt") && str_eq(to->id, "pdf") ? &route : NULL;
}

const struct catalogue_route *catalogue_preview(const struct format *result, const struct format *inside,
                                                const json_t *options)
{
    static struct catalogue_route route;

    route = (struct catalogue_route){.engines = "test", .from = result, .to = format_by_id("png"), .cost = 1};
    return str_eq(result->id, "pdf") && inside ? &route : NULL;
}

const char *catalogue_route_engine(const struct catalogue_route *route)
{
    return "test";
}

const struct catalogue_route *catalogue_find_many(const struct format *from, const struct format *to)
{
    return catalogue_find(from, to);
}

const struct catalogue_route *catalogue_route_with(const struct catalogue_route *route, const json_t *options)
{
    return route;
}

int catalogue_check_options(const struct catalogue_route *route, const json_t *options, char *ret_why,
                            size_t size)
{
    if (!json_object_get(options, "bad"))
        return 0;
    snprintf(ret_why, size, "There is no such option.");
    return -EINVAL;
}

static int sniffed; /* what a look at the file's type says */

int conversion_sniff(struct conversion_shared *s, int fd, const struct format *format)
{
    return sniffed;
}

const char *catalogue_route_family(const struct catalogue_route *route)
{
    return str_eq(route->engines, "test") ? "tests" : NULL;
}

/* --- the fixture */

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *redis;
    struct queue *queue;
    struct storage *storage;
    char root[64], session[ID_TOKEN_LEN + 1], job[ID_UUID_LEN + 1], task[ID_UUID_LEN + 1];
    char upload[STORAGE_PATH_MAX];
    struct counters *counters;
    struct runner_context context;
    struct shares shares;
    struct conversion_shared shared;
    struct settings settings;
    struct runner *runner;
    bool over;
};

static void make_upload(struct fixture *f)
{
    struct storage_upload upload;

    assert_int_equal(storage_upload_begin(f->storage, 0, 0, &upload), 0);
    assert_int_equal(write(upload.fd, "hello", 5), 5);
    assert_int_equal(storage_upload_commit(f->storage, &upload, f->session, f->job, "txt", f->upload), 0);
}

/* Its share is given back with the end. */
static void assert_no_shares(struct fixture *f)
{
    assert_int_equal(f->shares.n_held, 0);
    for (size_t i = 0; i < ARRAY_SIZE(f->shares.held); i++)
        assert_int_equal(f->shares.held[i], 0);
}

static void set_job(struct fixture *f, const char *status)
{
    redis_server_do(f->server,
                    "HSET session:%s:jobs:%s job_id %s session_id %s source_format txt target_format pdf "
                    "stored_path %s status %s task_id %s",
                    f->session, f->job, f->job, f->session, f->upload, status, f->task);
}

static int set_up(void **state)
{
    static const char *const families[] = {"tests", "others", "previews", NULL};
    static const struct queue_config config = {
        .name = "decant", .families = families, .max_length = 100, .max_deliveries = 2, .lease_ms = 4000};
    struct fixture *f = calloc(1, sizeof *f);

    n_conversions = 0;
    sniffed = 0;
    conversion_started = conversion_lingers = false;
    f->server = redis_server_start(NULL);
    uv_loop_init(&f->loop);
    assert_int_equal(
        redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &f->redis), 0);
    f->queue = queue_new(f->redis, &config);
    f->counters = counters_new(f->redis, WORKER);
    strcpy(f->root, "/tmp/test-runner-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_int_equal(storage_open(f->root, &f->storage), 0);
    id_token(f->session);
    id_uuid(f->job);
    id_uuid(f->task);
    make_upload(f);
    set_job(f, "queued");
    f->context = (struct runner_context){.loop = &f->loop,
                                         .redis = f->redis,
                                         .queue = f->queue,
                                         .storage = f->storage,
                                         .shares = &f->shares,
                                         .conversions = &f->shared,
                                         .counters = f->counters};
    f->settings.max_upload_bytes = 100;
    f->settings.max_retries = 2;
    f->shared.settings = &f->settings;
    f->shares = (struct shares){.served = queue_family(f->queue, "tests") | queue_family(f->queue, "others") |
                                          queue_family(f->queue, "previews"),
                                .apart = queue_family(f->queue, "previews"),
                                .slots = 4,
                                .spare = 1};
    for (int i = 0; i < 500 && !redis_connected(f->redis); i++)
        loop_for(&f->loop, 10);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    queue_free(f->queue);
    redis_free(f->redis);
    loop_close(&f->loop);
    counters_free(f->counters);
    storage_close(f->storage);
    path_remove_tree(parent, strrchr(f->root, '/') + 1);
    close(parent);
    redis_server_free(f->server);
    free(f);
    return 0;
}

static const char *field(struct fixture *f, const char *name)
{
    return redis_server_str(f->server, "HGET session:%s:jobs:%s %s", f->session, f->job, name);
}

/* Redis is told, but nobody says when it knows. */
static void wait_field(struct fixture *f, const char *name, const char *value)
{
    for (int i = 0; i < PATIENCE_MS / 10 && !str_eq(field(f, name), value); i++)
        loop_for(&f->loop, 10);
    assert_string_equal(field(f, name), value);
}

static void wait_conversions(struct fixture *f, unsigned n)
{
    for (int i = 0; i < PATIENCE_MS / 10 && n_conversions != n; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(n_conversions, n);
}

static bool result_has(struct fixture *f, const char *text)
{
    return strstr(redis_server_str(f->server, "GET celery-task-meta-%s", f->task), text) != NULL;
}

struct waiting {
    bool done;
    int err;
    struct queue_claim *claim;
};

static void on_enqueued(void *arg, int err)
{
    struct waiting *w = arg;

    w->done = true;
    w->err = err;
}

static void enqueue_as(struct fixture *f, const char *name, const char *task_id, const char *session,
                       const char *job)
{
    _cleanup_json_ json_t *kwargs = json_pack("{s:s, s:s}", "session_id", session, "job_id", job);
    struct queue_task task = {.id = task_id, .name = name, .kwargs = kwargs};
    struct waiting w = {0};

    queue_enqueue(f->queue, &task, NULL, on_enqueued, &w);
    assert_true(loop_until(&f->loop, &w.done, PATIENCE_MS));
    assert_int_equal(w.err, 0);
}

static void enqueue(struct fixture *f)
{
    enqueue_as(f, TASK_CONVERT, f->task, f->session, f->job);
}

static void on_claimed(void *arg, int err, struct queue_claim *claim)
{
    struct waiting *w = arg;

    w->done = true;
    w->err = err;
    w->claim = claim;
}

static void on_over(void *arg, struct runner *r)
{
    struct fixture *f = arg;

    assert_ptr_equal(r, f->runner);
    assert_false(f->over);
    f->over = true;
}

/* Claims the task that waits and runs it. */
static void start(struct fixture *f)
{
    struct waiting w = {0};

    queue_claim(f->queue, WORKER, QUEUE_ALL, on_claimed, &w);
    assert_true(loop_until(&f->loop, &w.done, PATIENCE_MS));
    assert_int_equal(w.err, 0);
    f->over = false;
    f->runner = runner_start(&f->context, WORKER, w.claim, on_over, f);
    assert_false(f->over);
}

static void start_converting(struct fixture *f)
{
    enqueue(f);
    start(f);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    assert_int_equal(n_conversions, 1);
}

static void wait_over(struct fixture *f)
{
    assert_true(loop_until(&f->loop, &f->over, PATIENCE_MS));
    loop_for(&f->loop, 10);
    assert_int_equal(redis_server_int(f->server, "HLEN unacked"), 0);
    assert_no_shares(f);
}

static const struct font_list fonts = {
    .known = true, .n = 1, .list = {{.font = "Calibri", .used = "Carlito"}}};

static struct conversion_report report_of(enum outcome outcome)
{
    return (struct conversion_report){.outcome = outcome,
                                      .detail = outcome == OUTCOME_INFECTED ? "Test.Signature" : "",
                                      .scanned = true,
                                      .engine = "test",
                                      .engine_version = "Test 1",
                                      .failed_name = "",
                                      .cpu_ms = 12,
                                      .peak_kib = 34,
                                      .pss_kib = 21,
                                      .fonts = outcome == OUTCOME_OK ? &fonts : NULL};
}

static void finish(struct conversion *c, enum outcome outcome)
{
    struct conversion_report report = report_of(outcome);

    c->events.done(c->arg, &report);
    c->events.gone(c->arg);
}

/* As the conversion does it: a work folder, a result in it, handed over. */
static void succeed_as(struct conversion *c, const char *format)
{
    char work[sizeof "work-" + ID_UUID_LEN];
    struct conversion_report report = report_of(OUTCOME_OK);
    struct conversion_output output = {
        .work = work, .name = "result.pdf", .format = format_by_id(format), .size = 4};

    assert_int_equal(storage_make_work(c->request.job_fd, work), 0);

    _cleanup_close_ int folder = path_open(c->request.job_fd, work, O_RDONLY | O_DIRECTORY, 0);

    output.fd = path_open(folder, "result.pdf", O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(output.fd, "%PDF", 4), 4);
    assert_int_equal(c->events.publish(c->arg, &output), 0);
    close(output.fd);
    path_remove_tree(c->request.job_fd, work);
    report.format = output.format;
    report.size = output.size;
    report.pages = 2;
    c->events.done(c->arg, &report);
    if (!conversion_lingers)
        c->events.gone(c->arg);
}

static void succeed(struct conversion *c)
{
    succeed_as(c, "pdf");
}

/* How many entries `path` below the job's folder has; -1 when it isn't there. */
static int entries(struct fixture *f, const char *path)
{
    _cleanup_closedir_ DIR *dir = NULL;
    _cleanup_close_ int job = storage_open_job(f->storage, f->session, f->job);
    int fd = job < 0 ? -1 : path_open(job, path, O_RDONLY | O_DIRECTORY, 0), n = 0;

    if (fd < 0)
        return -1;
    dir = fdopendir(fd);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

/* --- tests of the way to the conversion */

static void on_told(void *arg, int err, const redisReply *reply)
{
    *(bool *)arg = true;
}

/* What has been counted under that name; 0: nothing. */
static long counted(struct fixture *f, const char *name)
{
    bool told = false;

    counters_tell(f->counters, on_told, &told);
    assert_true(loop_until(&f->loop, &told, PATIENCE_MS));

    redisReply *reply = redis_server_reply(f->server, "HGET decant:counts %s", name);
    long n = reply->type == REDIS_REPLY_STRING ? strtol(reply->str, NULL, 10) : 0;

    freeReplyObject(reply);
    return n;
}

/* Of a family that has its share already: it waits in that one's queue, untouched. */
static void waits_for_a_place(void **state)
{
    struct fixture *f = *state;
    unsigned family = queue_family(f->queue, "tests");

    for (int i = 0; i < 3; i++)
        shares_take(&f->shares, family);
    enqueue(f);
    start(f);
    assert_int_equal(f->shares.n_held, 4);
    assert_true(loop_until(&f->loop, &f->over, PATIENCE_MS));
    assert_int_equal(f->shares.n_held, 3);
    assert_int_equal(n_conversions, 0);
    assert_string_equal(field(f, "status"), "queued");
    assert_string_equal(field(f, "attempts"), "");
    assert_int_equal(redis_server_int(f->server, "LLEN decant.tests"), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS unacked decant decant:deliveries:%s", f->task), 0);
    assert_int_equal(counted(f, "tasks released"), 1);

    shares_give(&f->shares, family);
    start(f);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    assert_int_equal(f->shares.held[1], 3);
    succeed(&conversions[0]);
    assert_true(loop_until(&f->loop, &f->over, PATIENCE_MS));
    assert_string_equal(field(f, "status"), "completed");
    assert_string_equal(field(f, "attempts"), "1");
}

static void converts(void **state)
{
    struct fixture *f = *state;
    char path[STORAGE_PATH_MAX];

    start_converting(f);
    assert_string_equal(field(f, "status"), "scanning");
    assert_string_equal(field(f, "worker"), WORKER);
    assert_string_equal(field(f, "attempts"), "1");
    assert_string_not_equal(field(f, "started_at"), "");
    assert_true(str_starts(conversions[0].request.input, "uploads/"));
    conversions[0].events.stage(conversions[0].arg, CONVERSION_CONVERTING);
    wait_field(f, "status", "processing");

    succeed(&conversions[0]);
    wait_over(f);
    assert_string_equal(field(f, "status"), "completed");
    assert_string_equal(field(f, "progress"), "100");
    assert_string_equal(field(f, "worker"), "");
    assert_string_equal(field(f, "output_mime_type"), "application/pdf");
    assert_string_equal(field(f, "output_size"), "4");
    assert_string_equal(field(f, "output_pages"), "2");
    assert_string_equal(field(f, "fonts_substituted"),
                        "[{\"font\":\"Calibri\",\"used\":\"Carlito\",\"metric_compatible\":true}]");
    assert_string_equal(field(f, "scan"), "clean");
    assert_string_equal(field(f, "engine"), "test");
    assert_string_equal(field(f, "error_code"), "");
    assert_string_not_equal(field(f, "completed_at"), "");
    snprintf(path, sizeof path, "%s", field(f, "converted_path"));
    assert_true(storage_path_valid(path));
    assert_int_equal(entries(f, "converted"), 1);
    assert_int_equal(entries(f, "."), 2); /* and uploads */
    assert_true(result_has(f, "SUCCESS"));
    assert_false(result_has(f, f->session));
    assert_string_equal(field(f, "engine_version"), "Test 1");
    assert_true(strtoul(field(f, "queue_ms"), NULL, 10) < PATIENCE_MS);
    assert_string_not_equal(field(f, "queue_ms"), "");
    assert_string_not_equal(field(f, "duration_ms"), "");
    assert_int_equal(counted(f, "jobs test txt pdf ok"), 1);
    assert_int_equal(counted(f, "tasks completed"), 1);
    assert_int_equal(counted(f, "cpu test txt pdf"), 12);
    assert_int_equal(counted(f, "memory test sum"), 34 * 1024);
}

/* --- the document's password */

static struct seal_key *new_key(struct fixture *f)
{
    _cleanup_close_ int root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct seal_key *key;
    char name[ID_UUID_LEN + 1];

    id_uuid(name);
    assert_int_equal(seal_key_make(root, name, (uid_t)-1, (gid_t)-1), 0);
    assert_int_equal(seal_key_load(root, name, &key), 0);
    return key;
}

static void seal_password(struct fixture *f, const struct seal_key *key, const char *job)
{
    char digits[SEAL_PUBLIC_LEN + 1];
    struct seal_public public;
    _cleanup_free_ char *box = NULL;

    seal_key_public(key, digits);
    assert_int_equal(seal_public_parse(digits, &public), 0);
    assert_int_equal(seal_close(&public, job, "{\"password\":\"secret\"}", &box), 0);
    redis_server_do(f->server, "HSET session:%s:jobs:%s sealed_secrets %s options {\"dpi\":72}", f->session,
                    f->job, box);
}

static void a_password_is_opened_for_the_conversion_and_goes_with_it(void **state)
{
    struct fixture *f = *state;
    struct seal_key *key = new_key(f);
    enum outcome outcomes[] = {OUTCOME_OK, OUTCOME_PASSWORD_REQUIRED};

    f->context.seal = key;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        n_conversions = 0;
        conversion_started = false;
        set_job(f, "queued");
        seal_password(f, key, f->job);
        start_converting(f);
        assert_string_equal(conversion_options, "{\"dpi\":72,\"password\":\"secret\"}");
        if (outcomes[i] == OUTCOME_OK)
            succeed(&conversions[0]);
        else
            finish(&conversions[0], outcomes[i]);
        wait_over(f);
        assert_string_equal(field(f, "status"), outcomes[i] == OUTCOME_OK ? "completed" : "failed");
        assert_string_equal(field(f, "sealed_secrets"), "");
        assert_string_equal(field(f, "options"), "{\"dpi\":72}");
    }
    seal_key_free(key);
}

static void a_job_that_is_given_back_keeps_its_password(void **state)
{
    struct fixture *f = *state;
    struct seal_key *key = new_key(f);

    f->context.seal = key;
    seal_password(f, key, f->job);
    start_converting(f);
    runner_release(f->runner);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(field(f, "status"), "queued");
    assert_string_not_equal(field(f, "sealed_secrets"), "");
    seal_key_free(key);
}

static void assert_not_opened(struct fixture *f)
{
    enqueue(f);
    start(f);
    wait_over(f);
    assert_int_equal(n_conversions, 0);
    assert_string_equal(field(f, "error_code"), "internal");
    assert_string_equal(field(f, "sealed_secrets"), "");
}

static void a_password_without_its_key_fails_the_job(void **state)
{
    struct fixture *f = *state;
    struct seal_key *theirs = new_key(f), *ours = new_key(f);
    char other_job[ID_UUID_LEN + 1];

    seal_password(f, theirs, f->job);
    assert_not_opened(f); /* no key at all */

    f->context.seal = ours;
    set_job(f, "queued");
    seal_password(f, theirs, f->job);
    assert_not_opened(f);

    id_uuid(other_job); /* sealed for another job, and put into this one's record */
    set_job(f, "queued");
    seal_password(f, ours, other_job);
    assert_not_opened(f);
    seal_key_free(theirs);
    seal_key_free(ours);
}

static void tells_progress_at_most_ten_times_a_second(void **state)
{
    struct fixture *f = *state;
    long long calls, tenths;
    uint64_t begin;

    start_converting(f);
    conversions[0].events.stage(conversions[0].arg, CONVERSION_CONVERTING);
    wait_field(f, "status", "processing");
    redis_server_do(f->server, "CONFIG RESETSTAT");
    begin = clock_mono_ms();
    for (unsigned i = 1; i <= 50; i++) {
        conversions[0].events.progress(conversions[0].arg, i);
        loop_for(&f->loop, 10);
    }
    wait_field(f, "progress", "50"); /* the last one comes, too */

    const char *stats = redis_server_str(f->server, "INFO commandstats"), *hset;

    hset = strstr(stats, "cmdstat_hset:calls=");
    assert_non_null(hset);
    calls = strtoll(hset + strlen("cmdstat_hset:calls="), NULL, 10);
    /* 650 ms, or more where the machine is busy; the one of the stage may come late, too */
    tenths = (long long)(clock_mono_ms() - begin) / 100;
    assert_in_range(calls, 2, tenths + 2);
    finish(&conversions[0], OUTCOME_CORRUPT_INPUT);
    wait_over(f);
}

/* The result is told at once; the slot is free when the process is gone. */
static void who_lingers_holds_the_slot_alone(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    conversion_lingers = true;
    succeed(&conversions[0]);
    for (int i = 0; i < PATIENCE_MS / 10 && !str_eq(field(f, "status"), "completed"); i++)
        loop_for(&f->loop, 10);
    assert_string_equal(field(f, "status"), "completed");
    loop_for(&f->loop, 50);
    assert_false(f->over);
    runner_stop(f->runner); /* changes nothing any more */
    runner_release(f->runner);
    conversions[0].events.gone(conversions[0].arg);
    wait_over(f);
    assert_false(conversions[0].cancelled);
    assert_string_equal(field(f, "status"), "completed");
}

static void failures_say_why(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    finish(&conversions[0], OUTCOME_PASSWORD_REQUIRED);
    wait_over(f);
    assert_string_equal(field(f, "status"), "failed");
    assert_string_equal(field(f, "error_code"), "password_required");
    assert_string_equal(field(f, "error_message"), outcome_sentence(OUTCOME_PASSWORD_REQUIRED));
    assert_string_equal(field(f, "worker"), "");
    assert_string_equal(field(f, "cpu_ms"), "12");
    assert_string_equal(field(f, "pss_kib"), "21");
    assert_true(result_has(f, "FAILURE"));
    assert_true(result_has(f, "password_required"));
}

static void infections_name_the_signature(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    finish(&conversions[0], OUTCOME_INFECTED);
    wait_over(f);
    assert_string_equal(field(f, "error_code"), "infected");
    assert_string_equal(field(f, "signature"), "Test.Signature");
    assert_string_equal(field(f, "scan"), "infected");
}

/* The audit lines in what was logged. */
static unsigned count_audits(const char *log)
{
    unsigned n = 0;

    for (const char *at = log; (at = strstr(at, "\"audit\":")); at++)
        n++;
    return n;
}

/* What the scanner or the sandbox decided is one line of the log, and nothing else is. */
static void decisions_are_audited(void **state)
{
    static const struct {
        enum outcome outcome;
        bool forbidden_call;
        const char *code; /* NULL: none */
    } cases[] = {
        {OUTCOME_INFECTED, false, "infected"},
        {OUTCOME_SCANNER_UNAVAILABLE, false, "scanner_unavailable"},
        {OUTCOME_SCAN_INCOMPLETE, false, "scan_incomplete"},
        {OUTCOME_SCAN_ENCRYPTED, false, "scan_encrypted"},
        {OUTCOME_TIMED_OUT, false, "timed_out"},
        {OUTCOME_TOO_COMPLEX, false, "too_complex"},
        {OUTCOME_ENGINE_CRASHED, false, "engine_crashed"},
        {OUTCOME_ENGINE_CRASHED, true, "forbidden_call"},
        {OUTCOME_PASSWORD_REQUIRED, false, NULL},
        {OUTCOME_CORRUPT_INPUT, false, NULL},
        {OUTCOME_NO_OUTPUT, false, NULL},
        {OUTCOME_INTERNAL, false, NULL},
    };
    static struct captured log;
    struct fixture *f = *state;
    char line[256];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conversion_report report = report_of(cases[i].outcome);

        n_conversions = 0;
        conversion_started = false;
        set_job(f, "queued");
        report.forbidden_call = cases[i].forbidden_call;
        start_converting(f);
        capture_begin(&log, STDERR_FILENO);
        conversions[0].events.done(conversions[0].arg, &report);
        conversions[0].events.gone(conversions[0].arg);
        wait_over(f);
        capture_end(&log);
        snprintf(line, sizeof line, "\"audit\":\"%s\",\"job_id\":\"%s\",\"task_id\":\"%s\",\"trace_id\":\"",
                 cases[i].code, f->job, f->task);
        if (count_audits(log.text) != (cases[i].code ? 1 : 0) || (cases[i].code && !strstr(log.text, line)))
            fail_msg("%s: %s", outcome_code(cases[i].outcome), log.text);
        assert_null(strstr(log.text, f->session));
    }
}

static void refuses_strange_tasks(void **state)
{
    struct fixture *f = *state;

    enqueue_as(f, "celery.ping", f->task, f->session, f->job);
    start(f);
    wait_over(f);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
    assert_non_null(strstr(redis_server_str(f->server, "LINDEX decant:dead 0"), "knows the task"));

    enqueue_as(f, TASK_CONVERT, f->task, "../../etc", f->job);
    start(f);
    wait_over(f);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 2);
    assert_non_null(strstr(redis_server_str(f->server, "LINDEX decant:dead 0"), "session_id and job_id"));
    assert_string_equal(field(f, "status"), "queued");
    assert_int_equal(n_conversions, 0);
}

static void a_job_that_is_gone_leaves_no_file(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "DEL session:%s:jobs:%s", f->session, f->job);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_int_equal(entries(f, "."), -1);
    assert_true(result_has(f, "gone"));
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:jobs:%s", f->session, f->job), 0);
    assert_int_equal(n_conversions, 0);
}

static void make_leftovers(struct fixture *f)
{
    char work[sizeof "work-" + ID_UUID_LEN];
    _cleanup_close_ int job = storage_open_job(f->storage, f->session, f->job), converted = -1, file = -1;

    assert_int_equal(storage_make_work(job, work), 0);
    converted = path_make_dir(job, "converted", 0700);
    file = openat(converted, "left.pdf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
}

static void a_cancelled_job_is_swept_and_let_go(void **state)
{
    struct fixture *f = *state;

    set_job(f, "cancelled");
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker decant@dead:1:b", f->session, f->job);
    make_leftovers(f);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_string_equal(field(f, "worker"), "");
    assert_string_equal(field(f, "status"), "cancelled");
    assert_true(result_has(f, "REVOKED"));
    assert_int_equal(entries(f, "converted"), 0);
    assert_int_equal(entries(f, "."), 2); /* uploads, converted */
}

static void leftovers_go_before_an_attempt(void **state)
{
    struct fixture *f = *state;

    make_leftovers(f);
    start_converting(f);
    assert_int_equal(entries(f, "converted"), 0);
    assert_int_equal(entries(f, "."), 2);
    finish(&conversions[0], OUTCOME_TIMED_OUT);
    wait_over(f);
}

static void old_tasks_of_a_job_are_skipped(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "HSET session:%s:jobs:%s task_id another", f->session, f->job);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_string_equal(field(f, "status"), "queued");
    assert_true(result_has(f, "\"REVOKED\"")); /* the job was cancelled, and started again */

    set_job(f, "completed");
    enqueue(f);
    start(f);
    wait_over(f);
    assert_string_equal(field(f, "status"), "completed");
    assert_int_equal(n_conversions, 0);
}

static void gives_up_after_too_many_starts(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "SET decant:deliveries:%s 2", f->task);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_string_equal(field(f, "status"), "failed");
    assert_string_equal(field(f, "error_code"), "engine_crashed");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
    assert_int_equal(n_conversions, 0);
}

static void refuses_a_path_of_another_job(void **state)
{
    struct fixture *f = *state;
    char other[ID_UUID_LEN + 1], mine[ID_UUID_LEN + 1];

    memcpy(mine, f->job, sizeof mine);
    id_uuid(other);
    memcpy(f->job, other, sizeof other);
    make_upload(f);
    memcpy(f->job, mine, sizeof mine);
    set_job(f, "queued");
    enqueue(f);
    start(f);
    wait_over(f);
    assert_string_equal(field(f, "error_code"), "internal");
    assert_int_equal(n_conversions, 0);
}

/* One that no engine of ours converts; an engine of another worker might, but the API should not have offered
 * it. */
static void a_job_that_no_engine_here_converts_fails(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "HSET session:%s:jobs:%s target_format png", f->session, f->job);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_string_equal(field(f, "status"), "failed");
    assert_string_equal(field(f, "error_code"), "internal");
    assert_int_equal(n_conversions, 0);
}

/* --- tests of the ways out of it */

static void stops_when_told(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    set_job(f, "cancelled");
    runner_stop(f->runner);
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(field(f, "status"), "cancelled");
    assert_string_equal(field(f, "worker"), "");
    assert_true(result_has(f, "REVOKED"));
}

static void notices_by_itself_that_it_must_stop(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    set_job(f, "cancelled");
    conversions[0].events.progress(conversions[0].arg, 10);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
}

/* As Redis forgets it. */
static void expire_job(struct fixture *f)
{
    redis_server_do(f->server, "PEXPIRE session:%s:jobs:%s 1", f->session, f->job);
    while (redis_server_int(f->server, "EXISTS session:%s:jobs:%s", f->session, f->job))
        loop_for(&f->loop, 1);
}

static void stops_when_its_session_has_expired(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    expire_job(f);
    conversions[0].events.progress(conversions[0].arg, 10);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_int_equal(entries(f, "."), -1);
}

static void checks_after_a_reconnection(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    runner_check(f->runner);
    loop_for(&f->loop, 50);
    assert_false(conversions[0].cancelled);
    redis_server_do(f->server, "DEL session:%s:jobs:%s", f->session, f->job);
    runner_check(f->runner);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_int_equal(entries(f, "."), -1);
}

static void a_result_that_nobody_wants_is_removed(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    set_job(f, "cancelled"); /* while the result is being published */
    succeed(&conversions[0]);
    wait_over(f);
    assert_string_equal(field(f, "status"), "cancelled");
    assert_string_equal(field(f, "worker"), "");
    assert_int_equal(entries(f, "converted"), 0);
}

static void a_result_of_a_closed_session_is_removed(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    redis_server_do(f->server, "DEL session:%s:jobs:%s", f->session, f->job);
    succeed(&conversions[0]);
    wait_over(f);
    assert_int_equal(entries(f, "."), -1);
    assert_int_equal(counted(f, "jobs test txt pdf cancelled_by_user"), 1);
}

static void a_result_after_a_takeover_is_removed(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    redis_server_do(f->server, "DEL decant:claims:" WORKER " unacked unacked_index");
    succeed(&conversions[0]);
    wait_over(f);
    assert_string_equal(field(f, "status"), "scanning"); /* it is somebody else's to say more */
    assert_int_equal(entries(f, "converted"), 0);
    assert_int_equal(entries(f, "uploads"), 1);
    assert_int_equal(counted(f, "tasks lost"), 1);
    assert_int_equal(counted(f, "jobs test txt pdf ok"), 0);
}

static void completes_when_redis_is_back(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    redis_server_do(f->server, "CLIENT KILL TYPE normal");
    succeed(&conversions[0]); /* which finds no connection, or loses it */
    wait_over(f);
    assert_string_equal(field(f, "status"), "completed");
    assert_int_equal(entries(f, "converted"), 1);
}

static void keeps_a_result_whose_completion_is_old_news(void **state)
{
    struct fixture *f = *state;
    struct dirent *e;

    start_converting(f);
    redis_server_kill(f->server);
    succeed(&conversions[0]);
    loop_for(&f->loop, 100);
    assert_false(f->over);

    /* What Redis would hold if the completion had reached it long ago: no claim, and the path. */
    _cleanup_close_ int job = storage_open_job(f->storage, f->session, f->job);
    int fd = path_open(job, "converted", O_RDONLY | O_DIRECTORY, 0);
    _cleanup_closedir_ DIR *dir = fdopendir(fd);

    while ((e = readdir(dir)) && e->d_name[0] == '.')
        ;
    assert_non_null(e);
    redis_server_restart(f->server);
    set_job(f, "completed");
    redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path %s/%s/converted/%s", f->session,
                    f->job, f->session, f->job, e->d_name);
    wait_over(f);
    assert_int_equal(entries(f, "converted"), 1);
    assert_int_equal(counted(f, "jobs test txt pdf ok"), 1);
}

static void gives_the_task_back(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    runner_release(f->runner);
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(field(f, "status"), "queued");
    assert_string_equal(field(f, "worker"), "");
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 1);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:deliveries:%s", f->task), 0);
    assert_true(result_has(f, "\"RETRY\""));
    assert_int_equal(counted(f, "tasks released"), 1);
    assert_int_equal(counted(f, "run test txt pdf sum"), 0);
}

static void gives_back_before_it_begins(void **state)
{
    struct fixture *f = *state;

    enqueue(f);
    start(f);
    runner_release(f->runner);
    wait_over(f);
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 1);
    assert_int_equal(n_conversions, 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS celery-task-meta-%s", f->task), 0);
}

static void a_stop_is_stronger_than_a_release(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    runner_release(f->runner);
    set_job(f, "cancelled");
    runner_stop(f->runner);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 0);
    assert_true(result_has(f, "REVOKED"));
}

/* --- cancelled by POST /cancel: queue_cancel says so in the job, and tells the workers */

static void mark_cancelling(struct fixture *f)
{
    redis_server_do(f->server, "HSET session:%s:jobs:%s cancelling %s sealed_secrets %s", f->session, f->job,
                    f->task, "");
}

static void assert_cancelled(struct fixture *f)
{
    assert_string_equal(field(f, "status"), "cancelled");
    assert_string_equal(field(f, "error_code"), "cancelled_by_user");
    assert_string_not_equal(field(f, "error_message"), "");
    assert_string_not_equal(field(f, "completed_at"), "");
    assert_string_equal(field(f, "cancelling"), "");
    assert_string_equal(field(f, "worker"), "");
    assert_true(result_has(f, "\"REVOKED\""));
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 0);
}

static void a_job_is_cancelled_when_it_has_stopped(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    mark_cancelling(f);
    runner_stop(f->runner);
    assert_true(conversions[0].cancelled);
    loop_for(&f->loop, 100);
    assert_string_equal(field(f, "status"), "scanning");
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_cancelled(f);
    assert_int_equal(counted(f, "jobs test txt pdf cancelled_by_user"), 1);
}

/* The message was missed. */
static void notices_by_itself_that_it_is_cancelled(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    mark_cancelling(f);
    conversions[0].events.progress(conversions[0].arg, 10);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_cancelled(f);
}

static void asks_whether_it_is_cancelled(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    runner_check(f->runner);
    loop_for(&f->loop, 100);
    assert_false(conversions[0].cancelled);
    mark_cancelling(f);
    runner_check(f->runner);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_cancelled(f);
}

/* Cancelled in the very moment in which it is done: nothing is left of what it has made, and nobody is told
 * before its process is gone. */
static void a_result_that_comes_too_late_is_removed(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    conversion_lingers = true;
    mark_cancelling(f);
    redis_server_do(f->server, "HSET decant:stored %s 5", f->session);
    succeed(&conversions[0]);
    loop_for(&f->loop, 200);
    assert_string_equal(field(f, "status"), "scanning");
    conversions[0].events.gone(conversions[0].arg);
    wait_over(f);
    assert_cancelled(f);
    assert_string_equal(field(f, "converted_path"), "");
    assert_int_equal(entries(f, "converted"), 0);
    assert_string_equal(redis_server_str(f->server, "HGET decant:stored %s", f->session), "5");
}

static void whatever_its_end_it_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct conversion_report report = report_of(OUTCOME_SCANNER_UNAVAILABLE);

    start_converting(f);
    mark_cancelling(f);
    finish(&conversions[0], OUTCOME_CORRUPT_INPUT);
    wait_over(f);
    assert_cancelled(f);

    set_job(f, "queued");
    conversion_started = false;
    n_conversions = 0;
    start_converting(f);
    mark_cancelling(f);
    report.transient = true; /* it would be tried again */
    conversions[0].events.done(conversions[0].arg, &report);
    conversions[0].events.gone(conversions[0].arg);
    wait_over(f);
    assert_cancelled(f);

    set_job(f, "queued");
    conversion_started = false;
    n_conversions = 0;
    start_converting(f);
    mark_cancelling(f);
    runner_release(f->runner); /* the worker ends */
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_cancelled(f);
}

/* The worker that was to stop it has died. */
static void a_cancelled_job_is_not_run_again(void **state)
{
    struct fixture *f = *state;

    set_job(f, "processing");
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker decant@dead:1:b", f->session, f->job);
    mark_cancelling(f);
    make_leftovers(f);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_cancelled(f);
    assert_int_equal(n_conversions, 0);
    assert_int_equal(entries(f, "converted"), 0);
    assert_int_equal(entries(f, "."), 2);
}

/* Loaded, then cancelled and started anew before it was marked: the folder is the new task's. */
static void an_old_task_touches_nothing_of_the_new_one(void **state)
{
    struct fixture *f = *state;
    char key[JOB_KEY_MAX];
    struct redis *other;

    assert_int_equal(redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &other),
                     0);
    for (int i = 0; i < 500 && !redis_connected(other); i++)
        loop_for(&f->loop, 10);
    job_key(key, f->session, f->job);
    enqueue(f);
    start(f);
    make_leftovers(f); /* the new one's */
    /* Reading goes on, and of what is to be written this comes first. */
    redis_server_do(f->server, "CLIENT PAUSE 300 WRITE");
    redis_command(other, REDIS("HSET", key, "task_id", "another", "status", "processing", "worker", WORKER),
                  NULL, NULL);
    wait_over(f);
    redis_free(other);
    assert_string_equal(field(f, "status"), "processing");
    assert_string_equal(field(f, "worker"), WORKER);
    assert_int_equal(n_conversions, 0);
    assert_int_equal(entries(f, "converted"), 1);
    assert_int_equal(entries(f, "."), 3);
    assert_true(result_has(f, "\"REVOKED\""));
}

/* The same with one that runs, as its worker was thought dead. */
static void an_old_task_stops_for_the_new_one(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    redis_server_do(f->server, "HSET session:%s:jobs:%s task_id another worker another", f->session, f->job);
    conversions[0].events.progress(conversions[0].arg, 10);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(field(f, "status"), "scanning");
    assert_string_equal(field(f, "worker"), "another");
}

/* --- Celery's remote control */

static void assert_called_off(struct fixture *f, const char *how)
{
    assert_string_equal(field(f, "status"), "cancelled");
    assert_string_equal(field(f, "error_code"), "cancelled_by_operator");
    assert_string_equal(field(f, "worker"), "");
    assert_string_not_equal(field(f, "completed_at"), "");
    assert_true(result_has(f, "\"REVOKED\""));
    assert_true(result_has(f, "TaskRevokedError"));
    assert_true(result_has(f, how));
    assert_int_equal(entries(f, "converted"), -1);
    assert_int_equal(entries(f, "uploads"), 1); /* it is the session's */
    assert_int_equal(counted(f, "tasks called_off"), 1);
    assert_int_equal(counted(f, "jobs test txt pdf cancelled_by_operator"), 1);
}

static void a_revoked_task_never_runs(void **state)
{
    struct fixture *f = *state;
    struct seal_key *key = new_key(f);

    seal_password(f, key, f->job);
    redis_server_do(f->server, "EVAL %s 0 %s",
                    "return redis.call('ZADD', 'decant:revoked', redis.call('TIME')[1] * 1000, ARGV[1])",
                    f->task);
    enqueue(f);
    start(f);
    wait_over(f);
    assert_int_equal(n_conversions, 0);
    assert_called_off(f, "revoked");
    assert_string_equal(field(f, "sealed_secrets"), "");
    seal_key_free(key);
}

static void a_task_is_revoked_before_it_begins(void **state)
{
    struct fixture *f = *state;

    enqueue(f);
    start(f);
    assert_int_equal(runner_begun_ms(f->runner), 0);
    assert_true(runner_revoke(f->runner, false, 0));
    wait_over(f);
    assert_int_equal(n_conversions, 0);
    assert_called_off(f, "revoked");
}

static void what_runs_is_stopped_to_terminate_it(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    assert_int_not_equal(runner_begun_ms(f->runner), 0);
    assert_string_equal(runner_claim(f->runner)->id, f->task);
    assert_false(runner_revoke(f->runner, false, 0));
    assert_false(conversions[0].cancelled);
    assert_true(runner_revoke(f->runner, true, SIGTERM));
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    assert_false(runner_revoke(f->runner, true, SIGTERM)); /* too late */
    wait_over(f);
    assert_called_off(f, "terminated");
}

static void a_closed_session_is_stronger_than_a_revocation(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    set_job(f, "cancelled");
    assert_true(runner_revoke(f->runner, true, SIGTERM));
    runner_stop(f->runner);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(field(f, "error_code"), "cancelled_by_user");
    assert_string_equal(field(f, "worker"), "");
    assert_true(result_has(f, "REVOKED"));
}

static void a_revoked_task_of_a_strange_kind(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "ZADD decant:revoked 9000000000000 %s", f->task);
    enqueue_as(f, "other.task", f->task, f->session, f->job);
    start(f);
    wait_over(f);
    assert_true(result_has(f, "\"REVOKED\""));
    assert_string_equal(field(f, "status"), "queued");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 0);
}

/* --- the claimer */

static void on_idle(void *arg)
{
    *(bool *)arg = true;
}

/* --- what is no fault of the file */

static void finish_transient(struct conversion *c)
{
    struct conversion_report report = report_of(OUTCOME_SCANNER_UNAVAILABLE);

    report.transient = true;
    c->events.done(c->arg, &report);
    c->events.gone(c->arg);
}

static void is_tried_again(void **state)
{
    struct fixture *f = *state;
    char attempts[8];

    enqueue(f);
    for (unsigned i = 0; i <= f->settings.max_retries; i++) {
        conversion_started = false;
        start(f);
        assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
        snprintf(attempts, sizeof attempts, "%u", i + 1);
        assert_string_equal(field(f, "attempts"), attempts);
        finish_transient(&conversions[i]);
        wait_over(f);
        if (i == f->settings.max_retries)
            break;
        assert_string_equal(field(f, "status"), "queued");
        assert_string_equal(field(f, "worker"), "");
        assert_string_equal(field(f, "error_code"), "");
        assert_true(result_has(f, "\"status\":\"RETRY\""));
        assert_int_equal(redis_server_int(f->server, "ZCARD decant:delayed"), 1);
        /* later each time: 5 s, then 15 s, a quarter more or less */
        redis_server_do(
            f->server, "EVAL %s 0",
            "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
            "local due = redis.call('ZRANGE', 'decant:delayed', 0, 0, 'WITHSCORES') "
            "redis.call('SET', 'left', math.floor(due[2] - now)) "
            "redis.call('LPUSH', 'decant', string.sub(due[1], string.find(due[1], ' ', 1, true) + 1)) "
            "redis.call('DEL', 'decant:delayed')");

        long left = atol(redis_server_str(f->server, "GET left"));

        assert_true(left > (i == 0 ? 2000 : 9000) && left <= (i == 0 ? 6250 : 18750));
    }
    assert_string_equal(field(f, "status"), "failed");
    assert_string_equal(field(f, "error_code"), "scanner_unavailable");
    assert_true(result_has(f, "\"status\":\"FAILURE\""));
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 0);
    assert_int_equal(counted(f, "tasks retried"), 2);
    assert_int_equal(counted(f, "tasks failed"), 1);
    assert_int_equal(counted(f, "jobs test txt pdf scanner_unavailable"), 1);
}

static void fails_where_nothing_can_wait(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "EVAL %s 0",
                    "for i = 1, 100 do redis.call('ZADD', 'decant:delayed', 9e15, 'decant ' .. i) end");
    start_converting(f);
    finish_transient(&conversions[0]);
    wait_over(f);
    assert_string_equal(field(f, "status"), "failed");
    assert_string_equal(field(f, "error_code"), "scanner_unavailable");
}

static void cancelled_ones_are_not_tried_again(void **state)
{
    struct fixture *f = *state;

    start_converting(f);
    redis_server_do(f->server, "HSET session:%s:jobs:%s status cancelled", f->session, f->job);
    finish_transient(&conversions[0]);
    wait_over(f);
    assert_string_equal(field(f, "status"), "cancelled");
    assert_string_equal(field(f, "worker"), "");
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:delayed"), 0);
}

/* --- files without a job */

static void write_source(struct fixture *f, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/exchange", f->root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/exchange/a.txt", f->root);

    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int files_in(struct fixture *f, const char *folder)
{
    char path[128];
    int n = 0;

    snprintf(path, sizeof path, "%s/%s", f->root, folder);

    _cleanup_closedir_ DIR *dir = opendir(path);

    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

static void enqueue_file(struct fixture *f, const char *kwargs)
{
    _cleanup_json_ json_t *object = json_loads(kwargs, 0, NULL);
    struct queue_task task = {.id = f->task, .name = TASK_CONVERT_FILE, .kwargs = object};
    struct waiting w = {0};

    assert_non_null(object);
    queue_enqueue(f->queue, &task, NULL, on_enqueued, &w);
    assert_true(loop_until(&f->loop, &w.done, PATIENCE_MS));
    start(f);
}

#define FILE_TASK "{\"source\": \"exchange/a.txt\", \"target_format\": \"pdf\", \"options\": {\"dpi\": 5}}"

static void file_is_converted(void **state)
{
    struct fixture *f = *state;

    write_source(f, "hello");
    enqueue_file(f, FILE_TASK);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    assert_string_equal(conversions[0].request.input, "input.txt");
    assert_string_equal(conversion_options, "{\"dpi\":5}");
    assert_string_equal(runner_job_id(f->runner), "");
    runner_check(f->runner); /* there is no job that could be gone */
    conversions[0].events.stage(conversions[0].arg, CONVERSION_CONVERTING);
    for (int i = 0; i < PATIENCE_MS / 10 && !result_has(f, "PROGRESS"); i++)
        loop_for(&f->loop, 10);
    assert_true(result_has(f, "PROGRESS"));
    assert_false(conversions[0].cancelled);
    succeed(&conversions[0]);
    wait_over(f);
    assert_true(result_has(f, "\"status\":\"SUCCESS\",\"result\":{\"result\":\"exchange/a-"));
    assert_true(result_has(f, "\"format\":\"pdf\",\"size\":4,\"pages\":2"));
    assert_int_equal(files_in(f, "exchange"), 2);
    assert_int_equal(files_in(f, ".exchange"), 0);
}

static void assert_refused(struct fixture *f, const char *code)
{
    char expected[100];

    wait_over(f);
    snprintf(expected, sizeof expected, "\"exc_type\":\"%s\"", code);
    assert_true(result_has(f, "FAILURE"));
    assert_true(result_has(f, expected));
    assert_int_equal(files_in(f, ".exchange"), 0);
}

static void file_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *kwargs, *code;
        int sniffed;
    } cases[] = {
        {"{}", "bad_arguments", 0},
        {"{\"source\": 5, \"target_format\": \"pdf\"}", "bad_arguments", 0},
        {"{\"source\": \"exchange/a.txt\"}", "bad_arguments", 0},
        {"{\"source\": \"exchange/a.txt\", \"target_format\": \"docx\"}", "unsupported_target", 0},
        {"{\"source\": \"exchange/a\", \"target_format\": \"pdf\"}", "unsupported_target", 0},
        {"{\"source\": \"exchange/b.txt\", \"target_format\": \"pdf\"}", "not_found", 0},
        {"{\"source\": \"exchange/../a.txt\", \"target_format\": \"pdf\"}", "bad_arguments", 0},
        {"{\"source\": \"exchange/a.txt\", \"target_format\": \"pdf\", \"options\": {\"bad\": 1}}",
         "bad_arguments", 0},
        {"{\"source\": \"exchange/a.txt\", \"target_format\": \"pdf\", \"options\": {\"password\": \"x\"}}",
         "bad_arguments", 0},
        {FILE_TASK, "type_mismatch", -EMEDIUMTYPE},
        {FILE_TASK, "internal", -EIO},
    };

    write_source(f, "hello");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        sniffed = cases[i].sniffed;
        id_uuid(f->task);
        enqueue_file(f, cases[i].kwargs);
        assert_refused(f, cases[i].code);
        assert_int_equal(n_conversions, 0);
        assert_int_equal(files_in(f, "exchange"), 1);
    }
    f->settings.max_upload_bytes = 4;
    id_uuid(f->task);
    enqueue_file(f, FILE_TASK);
    assert_refused(f, "payload_too_large");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 0);
}

static void file_fails(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum outcome outcome;
        const char *code;
        int left;
    } cases[] = {{OUTCOME_CORRUPT_INPUT, "corrupt_input", 1}, {OUTCOME_INFECTED, "infected", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        write_source(f, "hello");
        id_uuid(f->task);
        n_conversions = 0;
        conversion_started = false;
        enqueue_file(f, FILE_TASK);
        assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
        finish(&conversions[0], cases[i].outcome);
        assert_refused(f, cases[i].code);
        assert_int_equal(files_in(f, "exchange"), cases[i].left); /* what is infected is gone */
    }
}

static void file_is_given_back(void **state)
{
    struct fixture *f = *state;

    write_source(f, "hello");
    enqueue_file(f, FILE_TASK);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    runner_release(f->runner);
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 1);
    assert_int_equal(files_in(f, ".exchange"), 0);

    redis_server_do(f->server, "SET decant:deliveries:%s 2", f->task);
    start(f);
    assert_refused(f, "engine_crashed");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
}

static void assert_file_called_off(struct fixture *f, const char *how)
{
    wait_over(f);
    assert_true(result_has(f, "REVOKED"));
    assert_true(result_has(f, how));
    assert_int_equal(files_in(f, "exchange"), 1);
    assert_int_equal(files_in(f, ".exchange"), 0);
    assert_int_equal(redis_server_int(f->server, "HLEN unacked"), 0);
}

static void file_is_called_off(void **state)
{
    struct fixture *f = *state;

    write_source(f, "hello");
    enqueue_file(f, FILE_TASK);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    assert_int_not_equal(runner_begun_ms(f->runner), 0);
    assert_false(runner_revoke(f->runner, false, 0));
    assert_true(runner_revoke(f->runner, true, SIGTERM));
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    assert_file_called_off(f, "terminated");

    id_uuid(f->task); /* before it is begun */
    enqueue_file(f, FILE_TASK);
    assert_true(runner_revoke(f->runner, false, 0));
    assert_file_called_off(f, "revoked");

    id_uuid(f->task); /* while it is copied */
    enqueue_file(f, FILE_TASK);
    loop_for(&f->loop, 1);
    if (runner_revoke(f->runner, true, SIGTERM) && n_conversions > 1)
        finish(&conversions[1], OUTCOME_CANCELLED);
    assert_file_called_off(f, "terminated");
}

/* --- pictures of results */

static char result_path[STORAGE_PATH_MAX], result_id[ID_UUID_LEN + 1];

static const char *preview_field(struct fixture *f, const char *name)
{
    return redis_server_str(f->server, "HGET session:%s:preview:%s %s", f->session, result_id, name);
}

static void want_preview(struct fixture *f)
{
    redis_server_do(f->server, "HSET session:%s csrf_token x", f->session);
    redis_server_do(f->server, "EXPIRE session:%s 1000", f->session);
    redis_server_do(f->server, "HSET session:%s:preview:%s status queued job_id %s task_id %s", f->session,
                    result_id, f->job, "");
}

/* The job has a result, of which somebody wants a picture. */
static void complete_job(struct fixture *f)
{
    char work[sizeof "work-" + ID_UUID_LEN];
    _cleanup_close_ int job = storage_open_job(f->storage, f->session, f->job);

    assert_int_equal(storage_make_work(job, work), 0);

    _cleanup_close_ int folder = path_open(job, work, O_RDONLY | O_DIRECTORY, 0);
    _cleanup_close_ int fd = path_open(folder, "r", O_RDWR | O_CREAT | O_EXCL, 0600);

    assert_int_equal(write(fd, "%PDF", 4), 4);
    assert_int_equal(storage_publish(f->storage, job, work, "r", f->session, f->job, "pdf", result_path), 0);
    assert_true(storage_result_id(result_path, result_id));
    set_job(f, "completed");
    redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path %s", f->session, f->job, result_path);
    redis_server_do(f->server, "HSET decant:stored %s 100", f->session);
    redis_server_do(f->server, "SET decant:stored:sum 100");
    want_preview(f);
}

static void enqueue_preview(struct fixture *f, int size)
{
    _cleanup_json_ json_t *kwargs =
        json_pack("{s:s, s:s, s:i}", "session_id", f->session, "job_id", f->job, "size", size);
    struct queue_task task = {.id = f->task, .name = TASK_PREVIEW, .kwargs = kwargs, .family = "previews"};
    struct waiting w = {0};

    id_uuid(f->task);
    queue_enqueue(f->queue, &task, NULL, on_enqueued, &w);
    assert_true(loop_until(&f->loop, &w.done, PATIENCE_MS));
}

static void start_preview(struct fixture *f, int size)
{
    enqueue_preview(f, size);
    start(f);
}

static void start_drawing(struct fixture *f)
{
    complete_job(f);
    start_preview(f, 256);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
}

static bool has_preview(struct fixture *f, unsigned size)
{
    char path[STORAGE_PATH_MAX];
    _cleanup_close_ int fd = storage_open_preview(f->storage, result_path, size, path);

    return fd >= 0;
}

static void assert_preview_skipped(struct fixture *f, const char *why)
{
    wait_over(f);
    assert_true(result_has(f, "\"skipped\""));
    assert_true(result_has(f, why));
    assert_int_equal(n_conversions, 0);
    assert_int_equal(entries(f, "uploads"), 1); /* whatever became of the record */
    assert_int_equal(entries(f, "converted"), 1);
}

static void picture_is_made(void **state)
{
    struct fixture *f = *state;

    start_drawing(f);
    assert_true(str_starts(conversions[0].request.input, "converted/"));
    assert_true(conversions[0].request.scanned);
    assert_true(conversions[0].request.most_ms > 0);
    assert_non_null(strstr(conversion_options, "\"width\":256,\"height\":256"));
    assert_string_equal(preview_field(f, "status"), "processing");
    assert_string_equal(preview_field(f, "worker"), WORKER);
    assert_string_equal(runner_job_id(f->runner), f->job);
    assert_string_equal(field(f, "worker"), "");
    succeed_as(&conversions[0], "png");
    wait_over(f);

    assert_true(has_preview(f, 256));
    assert_false(has_preview(f, 512));
    assert_string_equal(preview_field(f, "status"), "completed");
    assert_string_equal(preview_field(f, "worker"), "");
    assert_true(result_has(f, "SUCCESS"));
    assert_string_equal(field(f, "status"), "completed");
    assert_string_equal(field(f, "converted_path"), result_path);
    assert_string_equal(redis_server_str(f->server, "HGET decant:stored %s", f->session), "104");
    assert_string_equal(redis_server_str(f->server, "GET decant:stored:sum"), "104");
    assert_int_equal(counted(f, "previews ok"), 1);
    assert_int_equal(counted(f, "tasks completed"), 1);
    assert_int_equal(counted(f, "jobs test pdf png ok"), 0);
}

/* By an attempt that died before it could say so; what it has left goes. */
static void picture_was_made_already(void **state)
{
    struct fixture *f = *state;
    char work[sizeof "work-" + ID_UUID_LEN];

    start_drawing(f);
    succeed_as(&conversions[0], "png");
    wait_over(f);

    _cleanup_close_ int job = storage_open_job(f->storage, f->session, f->job);

    assert_int_equal(storage_make_work(job, work), 0);
    want_preview(f);
    start_preview(f, 256);
    wait_over(f);
    assert_int_equal(n_conversions, 1);
    assert_string_equal(preview_field(f, "status"), "completed");
    assert_int_equal(entries(f, "."), 3); /* uploads, converted, preview */
    assert_true(has_preview(f, 256));
}

static void picture_can_not_be_made(void **state)
{
    struct fixture *f = *state;

    start_drawing(f);
    finish(&conversions[0], OUTCOME_CORRUPT_INPUT);
    wait_over(f);
    assert_string_equal(preview_field(f, "status"), "failed");
    assert_string_equal(preview_field(f, "error_code"), "corrupt_input");
    assert_string_equal(preview_field(f, "worker"), "");
    assert_true(result_has(f, "FAILURE"));
    assert_string_equal(field(f, "status"), "completed");
    assert_int_equal(counted(f, "previews corrupt_input"), 1);
    assert_false(has_preview(f, 256));

    want_preview(f); /* there is no way */
    redis_server_do(f->server, "HSET session:%s:jobs:%s target_format nothing", f->session, f->job);
    start_preview(f, 256);
    wait_over(f);
    assert_int_equal(n_conversions, 1);
    assert_string_equal(preview_field(f, "error_code"), outcome_code(OUTCOME_UNSUPPORTED_CONTENT));
}

static void only_a_picture_is_kept(void **state)
{
    struct fixture *f = *state;
    struct conversion_output output = {.work = "work-", .name = "r", .format = format_by_id("zip")};

    start_drawing(f);
    assert_int_equal(conversions[0].events.publish(conversions[0].arg, &output), -EBADMSG);
    finish(&conversions[0], OUTCOME_INTERNAL);
    wait_over(f);
    assert_string_equal(preview_field(f, "error_code"), "internal");
}

static void picture_that_nobody_waits_for(void **state)
{
    struct fixture *f = *state;

    complete_job(f);
    redis_server_do(f->server, "DEL session:%s:preview:%s", f->session, result_id);
    start_preview(f, 256);
    assert_preview_skipped(f, "gone");
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:preview:%s", f->session, result_id), 0);

    want_preview(f);
    redis_server_do(f->server, "HSET session:%s:preview:%s status completed", f->session, result_id);
    start_preview(f, 256);
    assert_preview_skipped(f, "done");

    want_preview(f);
    redis_server_do(f->server, "HSET session:%s:jobs:%s status failed", f->session, f->job);
    start_preview(f, 256);
    assert_preview_skipped(f, "failed");

    redis_server_do(f->server, "DEL session:%s:jobs:%s", f->session, f->job);
    start_preview(f, 256);
    assert_preview_skipped(f, "gone");
}

static void picture_of_no_size_of_ours(void **state)
{
    struct fixture *f = *state;

    complete_job(f);
    for (int i = 0; i < 3; i++) {
        start_preview(f, ((const int[]){0, 100, 2048})[i]);
        wait_over(f);
        assert_true(result_has(f, "bad_arguments"));
    }
    assert_int_equal(n_conversions, 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 3);
}

static void picture_is_given_back(void **state)
{
    struct fixture *f = *state;

    start_drawing(f);
    runner_release(f->runner);
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(preview_field(f, "status"), "queued");
    assert_string_equal(preview_field(f, "worker"), "");
    assert_int_equal(redis_server_int(f->server, "LLEN decant.previews"), 1);

    redis_server_do(f->server, "SET decant:deliveries:%s 2", f->task);
    start(f);
    wait_over(f);
    assert_string_equal(preview_field(f, "status"), "failed");
    assert_string_equal(preview_field(f, "error_code"), "engine_crashed");
    assert_int_equal(redis_server_int(f->server, "LLEN decant:dead"), 1);
}

/* Nor does a task that has given up touch the folder meanwhile. */
static void picture_that_another_task_makes(void **state)
{
    struct fixture *f = *state;
    char work[sizeof "work-" + ID_UUID_LEN];

    complete_job(f);
    redis_server_do(f->server, "HSET session:%s:preview:%s status processing worker w9 task_id t9",
                    f->session, result_id);

    _cleanup_close_ int job = storage_open_job(f->storage, f->session, f->job);

    assert_int_equal(storage_make_work(job, work), 0);
    for (int i = 0; i < 2; i++) {
        enqueue_preview(f, 256);
        redis_server_do(f->server, "SET decant:deliveries:%s %d", f->task, 2 * i);
        start(f);
        assert_preview_skipped(f, "done");
        assert_int_equal(entries(f, work), 0);
    }
    assert_string_equal(preview_field(f, "status"), "processing");
    assert_string_equal(preview_field(f, "worker"), "w9");
}

/* Closing its session waits until the worker has let go. */
static void picture_is_stopped(void **state)
{
    struct fixture *f = *state;

    start_drawing(f);
    redis_server_do(f->server, "HSET session:%s:preview:%s status cancelled", f->session, result_id);
    runner_stop(f->runner);
    assert_true(conversions[0].cancelled);
    assert_string_equal(preview_field(f, "worker"), WORKER);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
    assert_string_equal(preview_field(f, "status"), "cancelled");
    assert_string_equal(preview_field(f, "worker"), "");
    assert_true(result_has(f, "REVOKED"));
}

/* Its session has expired. */
static void picture_of_a_job_that_is_gone(void **state)
{
    struct fixture *f = *state;

    start_drawing(f);
    redis_server_do(f->server, "DEL session:%s:jobs:%s", f->session, f->job);
    runner_check(f->runner);
    for (int i = 0; i < PATIENCE_MS / 10 && !conversions[0].cancelled; i++)
        loop_for(&f->loop, 10);
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    wait_over(f);
}

static struct claimer *new_claimer(struct fixture *f, unsigned slots)
{
    const struct redis_config redis = {.url = redis_server_url(f->server)};
    struct claimer_config config = {
        .context = &f->context, .redis = &redis, .worker = WORKER, .slots = slots};
    struct claimer *claimer;

    f->shares.slots = slots;
    f->shares.spare = 0;
    assert_int_equal(claimer_new(&config, &claimer), 0);
    return claimer;
}

/* Waits for what runs. */
static void finish_claimer(struct fixture *f, struct claimer *claimer)
{
    bool idle = false;

    claimer_finish(claimer, on_idle, &idle);
    assert_true(loop_until(&f->loop, &idle, PATIENCE_MS));
}

static void slots_are_filled_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct claimer *claimer = new_claimer(f, 2);

    loop_for(&f->loop, 50);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:workers"), 0);
    claimer_start(claimer);
    for (int i = 0; i < 3; i++) {
        enqueue(f);
        id_uuid(f->job);
        id_uuid(f->task);
        make_upload(f);
        set_job(f, "queued");
    }
    wait_conversions(f, 2);
    loop_for(&f->loop, 1500); /* a tick and more, by which a third one would have come */
    assert_int_equal(n_conversions, 2);
    assert_int_equal(claimer_running(claimer), 2);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:workers"), 1);

    finish(&conversions[0], OUTCOME_CORRUPT_INPUT);
    wait_conversions(f, 3);
    assert_int_equal(claimer_running(claimer), 2);

    bool idle = false;

    claimer_finish(claimer, on_idle, &idle);
    claimer_release(claimer);
    assert_false(idle);
    finish(&conversions[1], OUTCOME_CANCELLED);
    finish(&conversions[2], OUTCOME_CANCELLED);
    assert_true(loop_until(&f->loop, &idle, PATIENCE_MS));
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:workers"), 0);
    assert_int_equal(redis_server_int(f->server, "HLEN unacked"), 0);
    assert_int_equal(redis_server_int(f->server, "LLEN decant"), 2);
    claimer_free(claimer);
}

static void enqueue_another(struct fixture *f)
{
    id_uuid(f->job);
    id_uuid(f->task);
    make_upload(f);
    set_job(f, "queued");
    enqueue(f);
}

static void count_runner(void *arg, struct runner *r)
{
    (*(unsigned *)arg)++;
}

static void claims_as_many_as_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct claimer *claimer = new_claimer(f, 2);
    unsigned running = 0;

    claimer_consume(claimer, QUEUE_ALL, false);
    assert_int_equal(claimer_consumes(claimer), 0);
    claimer_start(claimer);
    enqueue(f);
    enqueue_another(f);
    loop_for(&f->loop, 1500);
    assert_int_equal(claimer_running(claimer), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:workers"), 1); /* it holds its lease */

    claimer_set_limit(claimer, 1);
    claimer_consume(claimer, QUEUE_ALL, true);
    wait_conversions(f, 1);
    loop_for(&f->loop, 1500);
    assert_int_equal(n_conversions, 1);

    claimer_set_limit(claimer, 2);
    wait_conversions(f, 2);
    claimer_each(claimer, count_runner, &running);
    assert_int_equal(running, 2);
    claimer_set_limit(claimer, 1); /* those that run are left alone */
    assert_int_equal(claimer_running(claimer), 2);
    finish(&conversions[0], OUTCOME_CORRUPT_INPUT);
    finish(&conversions[1], OUTCOME_CORRUPT_INPUT);
    finish_claimer(f, claimer);
    claimer_free(claimer);
}

static void the_right_job_is_stopped(void **state)
{
    struct fixture *f = *state;
    struct claimer *claimer = new_claimer(f, 2);

    claimer_start(claimer);
    enqueue(f);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    claimer_stop(claimer, "11111111-1111-4111-8111-111111111111");
    assert_false(conversions[0].cancelled);
    set_job(f, "cancelled");
    claimer_stop(claimer, f->job);
    assert_true(conversions[0].cancelled);
    finish(&conversions[0], OUTCOME_CANCELLED);
    finish_claimer(f, claimer);
    assert_string_equal(field(f, "worker"), "");
    claimer_free(claimer);
}

static void a_lost_task_is_dropped_at_once(void **state)
{
    struct fixture *f = *state;
    struct claimer *claimer = new_claimer(f, 1);

    claimer_start(claimer);
    enqueue(f);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    redis_server_do(f->server, "DEL decant:claims:" WORKER " unacked unacked_index");
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    finish_claimer(f, claimer);
    assert_string_equal(field(f, "status"), "scanning");
    claimer_free(claimer);
}

/* However little it tells. */
static void a_silent_conversion_of_an_expired_session_is_stopped(void **state)
{
    struct fixture *f = *state;
    struct claimer *claimer = new_claimer(f, 1);

    claimer_start(claimer);
    enqueue(f);
    assert_true(loop_until(&f->loop, &conversion_started, PATIENCE_MS));
    expire_job(f);
    assert_true(loop_until(&f->loop, &conversions[0].cancelled, PATIENCE_MS));
    finish(&conversions[0], OUTCOME_CANCELLED);
    finish_claimer(f, claimer);
    assert_int_equal(entries(f, "."), -1);
    claimer_free(claimer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waits_for_a_place),
        TEST(is_tried_again),
        TEST(fails_where_nothing_can_wait),
        TEST(cancelled_ones_are_not_tried_again),
        TEST(file_is_converted),
        TEST(file_is_refused),
        TEST(file_fails),
        TEST(file_is_given_back),
        TEST(file_is_called_off),
        TEST(picture_is_made),
        TEST(picture_was_made_already),
        TEST(picture_can_not_be_made),
        TEST(only_a_picture_is_kept),
        TEST(picture_that_nobody_waits_for),
        TEST(picture_of_no_size_of_ours),
        TEST(picture_is_given_back),
        TEST(picture_that_another_task_makes),
        TEST(picture_is_stopped),
        TEST(picture_of_a_job_that_is_gone),
        TEST(converts),
        TEST(a_revoked_task_never_runs),
        TEST(a_task_is_revoked_before_it_begins),
        TEST(what_runs_is_stopped_to_terminate_it),
        TEST(a_closed_session_is_stronger_than_a_revocation),
        TEST(a_revoked_task_of_a_strange_kind),
        TEST(claims_as_many_as_it_is_told),
        TEST(who_lingers_holds_the_slot_alone),
        TEST(a_password_is_opened_for_the_conversion_and_goes_with_it),
        TEST(a_job_that_is_given_back_keeps_its_password),
        TEST(a_password_without_its_key_fails_the_job),
        TEST(tells_progress_at_most_ten_times_a_second),
        TEST(failures_say_why),
        TEST(infections_name_the_signature),
        TEST(decisions_are_audited),
        TEST(refuses_strange_tasks),
        TEST(a_job_that_is_gone_leaves_no_file),
        TEST(a_cancelled_job_is_swept_and_let_go),
        TEST(leftovers_go_before_an_attempt),
        TEST(old_tasks_of_a_job_are_skipped),
        TEST(gives_up_after_too_many_starts),
        TEST(refuses_a_path_of_another_job),
        TEST(a_job_that_no_engine_here_converts_fails),
        TEST(stops_when_told),
        TEST(notices_by_itself_that_it_must_stop),
        TEST(stops_when_its_session_has_expired),
        TEST(checks_after_a_reconnection),
        TEST(a_result_that_nobody_wants_is_removed),
        TEST(a_result_of_a_closed_session_is_removed),
        TEST(a_result_after_a_takeover_is_removed),
        TEST(completes_when_redis_is_back),
        TEST(keeps_a_result_whose_completion_is_old_news),
        TEST(gives_the_task_back),
        TEST(gives_back_before_it_begins),
        TEST(a_stop_is_stronger_than_a_release),
        TEST(a_job_is_cancelled_when_it_has_stopped),
        TEST(notices_by_itself_that_it_is_cancelled),
        TEST(asks_whether_it_is_cancelled),
        TEST(a_result_that_comes_too_late_is_removed),
        TEST(whatever_its_end_it_is_cancelled),
        TEST(a_cancelled_job_is_not_run_again),
        TEST(an_old_task_touches_nothing_of_the_new_one),
        TEST(an_old_task_stops_for_the_new_one),
        TEST(slots_are_filled_and_no_more),
        TEST(the_right_job_is_stopped),
        TEST(a_lost_task_is_dropped_at_once),
        TEST(a_silent_conversion_of_an_expired_session_is_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
