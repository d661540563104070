/* One job ends while its session goes on. */
#include "state/job_remove.h"

#include "fixture.h"

#include "core/str.h"
#include "state/job_events.h"
#include "state/preview.h"

struct removed {
    bool done;
    int err;
    char task_id[ID_UUID_LEN + 1];
};

static void on_removed(void *arg, int err, const char *task_id)
{
    struct removed *m = arg;

    m->done = true;
    m->err = err;
    snprintf(m->task_id, sizeof m->task_id, "%s", task_id);
}

static struct removed remove_as(struct fixture *f, const struct job_removal *removal)
{
    struct removed m = {0};

    job_remove(f->r, removal, on_removed, &m);
    assert_false(m.done);
    assert_true(loop_until(&f->loop, &m.done, 10000));
    return m;
}

static int remove_job(struct fixture *f, const struct session *s, const char *job_id)
{
    return remove_as(f, &(struct job_removal){.session_id = s->id, .job_id = job_id}).err;
}

static long long count(struct fixture *f, const char *command, const char *session_id, const char *what)
{
    return redis_server_int(f->server, "%s session:%s:%s", command, session_id, what);
}

/* What was never there, and what is another session's: the same. */
static void nothing_to_remove(void **state)
{
    struct fixture *f = *state;
    struct session mine, theirs;
    char job[ID_UUID_LEN + 1], none[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &mine), 0);
    assert_int_equal(do_session_create(f, 100, &theirs), 0);
    make_job(f, theirs.id, JOB_COMPLETED, job);
    id_uuid(none);
    assert_int_equal(remove_job(f, &mine, none), -ENOENT);
    assert_int_equal(remove_job(f, &mine, job), -ENOENT);
    assert_int_equal(remove_job(f, &mine, "*"), -ENOENT);
    assert_int_equal(do_job_load(f, theirs.id, job, NULL, NULL), 0);
}

/* All of the one, and nothing of the other. */
static void all_of_it(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char gone[ID_UUID_LEN + 1], stays[ID_UUID_LEN + 1];
    char its[ID_TOKEN_LEN + 1], other[ID_TOKEN_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, gone);
    make_job(f, s.id, JOB_COMPLETED, stays);
    assert_int_equal(do_token_create(f, s.id, gone, 100, its), 0);
    assert_int_equal(do_token_create(f, s.id, stays, 100, other), 0);
    redis_server_do(f->server, "SADD session:%s:waiting session:%s:jobs:%s", s.id, s.id, gone);
    redis_server_do(f->server, "ZADD decant:kept 5 %s/%s 6 %s/%s", s.id, gone, s.id, stays);

    assert_int_equal(remove_job(f, &s, gone), 0);
    assert_int_equal(do_job_load(f, s.id, gone, NULL, NULL), -ENOENT);
    assert_int_equal(do_token_load(f, its), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "EXISTS download_token:%s", its), 0);
    assert_int_equal(count(f, "SCARD", s.id, "waiting"), 0);

    assert_int_equal(do_job_load(f, s.id, stays, NULL, NULL), 0);
    assert_int_equal(do_token_load(f, other), 0);
    assert_int_equal(count(f, "ZCARD", s.id, "jobs"), 1);
    assert_int_equal(count(f, "ZCARD", s.id, "tokens"), 1);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:kept"), 1);

    assert_int_equal(remove_job(f, &s, gone), -ENOENT);
    redis_server_do(f->server, "ZADD session:%s:jobs 1 %s", s.id, gone); /* it has expired */
    assert_int_equal(remove_job(f, &s, gone), -ENOENT);
    assert_int_equal(count(f, "ZCARD", s.id, "jobs"), 1);
    assert_int_equal(
        remove_as(f, &(struct job_removal){.session_id = s.id, .job_id = gone, .again = true}).err, 0);
}

static int create_of(struct fixture *f, const struct session *s, uint64_t size, char ret_id[ID_UUID_LEN + 1])
{
    const struct job job = {.job_id = ret_id, .session_id = s->id, .size = size};
    const struct job_quota quota = {.jobs = 10, .session_bytes = 1000, .all_bytes = 0};

    id_uuid(ret_id);
    return do_job_create_within(f, &job, &quota);
}

static const char *bytes_of(struct fixture *f, const struct session *s)
{
    return redis_server_str(f->server, "HGET decant:stored %s", s->id);
}

/* What it has added is taken back: its upload, and its results and pictures, as the queue has noted them. */
static void its_bytes_are_free(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1], refused[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &s), 0);
    assert_int_equal(create_of(f, &s, 600, a), 0);
    assert_int_equal(create_of(f, &s, 300, b), 0);
    assert_int_equal(create_of(f, &s, 600, refused), -EFBIG);
    redis_server_do(f->server, "HINCRBY session:%s:jobs:%s stored_bytes 50", s.id, a);
    redis_server_do(f->server, "HINCRBY decant:stored %s 50", s.id);
    redis_server_do(f->server, "INCRBY decant:stored:sum 50");
    assert_int_equal(remove_job(f, &s, a), 0);
    assert_string_equal(bytes_of(f, &s), "300");
    assert_string_equal(redis_server_str(f->server, "GET decant:stored:sum"), "300");
    assert_int_equal(create_of(f, &s, 600, refused), 0);

    /* one of a release that noted nothing, and says more than was counted */
    redis_server_do(f->server, "HDEL session:%s:jobs:%s stored_bytes", s.id, b);
    redis_server_do(f->server, "HSET session:%s:jobs:%s output_size 5000", s.id, b);
    assert_int_equal(remove_job(f, &s, b), 0);
    assert_string_equal(bytes_of(f, &s), "0");
    assert_string_equal(redis_server_str(f->server, "GET decant:stored:sum"), "0");
}

static void set(struct fixture *f, const struct session *s, const char *job, const char *field,
                const char *value)
{
    redis_server_do(f->server, "HSET session:%s:jobs:%s %s %s", s->id, job, field, value);
}

/* One that is under way is called off first; then its worker has to let go of it, if one lives. */
static void one_that_is_open(void **state)
{
    struct fixture *f = *state;
    struct session s;
    struct removed m;
    char job[ID_UUID_LEN + 1], task[ID_UUID_LEN + 1];
    struct job_removal removal = {.session_id = s.id, .job_id = job, .held = true};

    id_uuid(task);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_PROCESSING, job);
    set(f, &s, job, "task_id", task);
    set(f, &s, job, "worker", "w1");
    m = remove_as(f, &removal);
    assert_int_equal(m.err, -EBUSY);
    assert_string_equal(m.task_id, task);

    set(f, &s, job, "cancelling", task);
    assert_int_equal(remove_job(f, &s, job), -EINPROGRESS);
    set(f, &s, job, "status", "cancelled");
    assert_int_equal(remove_job(f, &s, job), -EINPROGRESS);
    assert_int_equal(do_job_load(f, s.id, job, NULL, NULL), 0);
    assert_int_equal(remove_as(f, &removal).err, 0);
    assert_int_equal(do_job_load(f, s.id, job, NULL, NULL), -ENOENT);
}

static void what_another_job_needs(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char many[ID_UUID_LEN + 1], one[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_QUEUED, many);
    make_job(f, s.id, JOB_UPLOADED, one);
    redis_server_do(f->server, "HSET session:%s:jobs:%s inputs [{\"path\":\"%s/%s/uploads/a.png\"}]", s.id,
                    many, s.id, one);
    redis_server_do(f->server, "SADD session:%s:waiting session:%s:jobs:%s", s.id, s.id, many);
    assert_int_equal(remove_job(f, &s, one), -ETXTBSY);
    assert_int_equal(do_job_load(f, s.id, one, NULL, NULL), 0);
    set(f, &s, many, "status", "completed");
    assert_int_equal(remove_job(f, &s, one), 0);
}

static const char *preview(struct fixture *f, const struct session *s, const char *job, const char *status,
                           const char *worker, char key[PREVIEW_KEY_MAX])
{
    char result[ID_UUID_LEN + 1];

    id_uuid(result);
    preview_key(key, s->id, result);
    redis_server_do(f->server, "HSET %s status %s worker %s job_id %s", key, status, worker, job);
    redis_server_do(f->server, "SADD session:%s:previews %s", s->id, key);
    return key;
}

/* The job is gone at once; its folder is not given away while a picture is made in it. */
static void its_pictures(void **state)
{
    struct fixture *f = *state;
    struct session s;
    struct job_removal removal = {.session_id = s.id, .again = true};
    char job[ID_UUID_LEN + 1], stays[ID_UUID_LEN + 1];
    char waits[PREVIEW_KEY_MAX], runs[PREVIEW_KEY_MAX], others[PREVIEW_KEY_MAX];

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    make_job(f, s.id, JOB_COMPLETED, stays);
    preview(f, &s, job, "queued", "", waits);
    preview(f, &s, job, "processing", "w1", runs);
    preview(f, &s, stays, "processing", "w1", others);
    removal.job_id = job;
    redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path converted/%s.pdf", s.id, job,
                    strrchr(runs, ':') + 1);
    redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path converted/%s.pdf", s.id, stays,
                    strrchr(others, ':') + 1);

    assert_int_equal(remove_job(f, &s, job), -EINPROGRESS);
    assert_int_equal(do_job_load(f, s.id, job, NULL, NULL), -ENOENT);
    assert_string_equal(redis_server_str(f->server, "HGET %s status", runs), "cancelled");
    assert_int_equal(remove_as(f, &removal).err, -EINPROGRESS); /* by itself it knows no result any more */
    assert_int_equal(redis_server_int(f->server, "EXISTS %s", waits), 0);
    redis_server_do(f->server, "HDEL %s worker", runs);
    assert_int_equal(remove_as(f, &removal).err, 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS %s", runs), 0);
    assert_int_equal(count(f, "SCARD", s.id, "previews"), 1);
    assert_string_equal(redis_server_str(f->server, "HGET %s status", others), "processing");
}

/* --- what those hear who follow the session */

struct heard {
    bool done, removed;
    size_t n;
    uint64_t id, last;
    char job_id[ID_UUID_LEN + 1];
};

static void on_events(void *arg, int err, const struct job_events *events)
{
    struct heard *h = arg;

    assert_int_equal(err, 0);
    h->done = true;
    h->n = events->n;
    h->last = events->last;
    if (events->n == 0)
        return;

    const struct job_event *event = &events->events[events->n - 1];

    h->id = event->id;
    h->removed = event->removed;
    snprintf(h->job_id, sizeof h->job_id, "%s", event->job.job_id);
}

static struct heard hear(struct fixture *f, const struct session *s, uint64_t since,
                         const char *const changed[])
{
    struct heard h = {0};

    job_events_load(f->r, s->id, since, changed, on_events, &h);
    assert_true(loop_until(&f->loop, &h.done, 10000));
    return h;
}

static void it_is_told(void **state)
{
    struct fixture *f = *state;
    struct session s;
    struct heard before, after;
    char job[ID_UUID_LEN + 1], next[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    before = hear(f, &s, 0, NULL);
    assert_int_equal(before.n, 1);
    assert_false(before.removed);
    assert_int_equal(remove_job(f, &s, job), 0);
    for (int i = 0; i < 2; i++) { /* who listened, and who comes back */
        after = hear(f, &s, before.last, i ? NULL : REDIS(job));
        assert_int_equal(after.n, 1);
        assert_true(after.removed && after.id > before.id && after.last == after.id);
        assert_string_equal(after.job_id, job);
    }
    assert_int_equal(hear(f, &s, after.last, REDIS(job)).n, 0);

    /* not for ever */
    assert_int_equal(count(f, "ZCARD", s.id, "gone"), 1);
    redis_server_do(f->server, "ZADD session:%s:gone 1000 %s", s.id, job);
    make_job(f, s.id, JOB_COMPLETED, next);
    assert_int_equal(remove_job(f, &s, next), 0);
    assert_int_equal(count(f, "ZCARD", s.id, "gone"), 1);
    assert_int_equal(count(f, "HLEN", s.id, "events"), 1); /* the count */
    assert_int_equal(count(f, "ZCARD", s.id, "numbers"), 0);
    assert_all_expire(f, s.id);
}

int main(void)
{
#define REMOVE_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        REMOVE_TEST(nothing_to_remove),      REMOVE_TEST(all_of_it),    REMOVE_TEST(its_bytes_are_free),
        REMOVE_TEST(one_that_is_open),       REMOVE_TEST(its_pictures), REMOVE_TEST(it_is_told),
        REMOVE_TEST(what_another_job_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
