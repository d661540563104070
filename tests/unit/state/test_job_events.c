#include "state/job_events.h"

#include "fixture.h"

#include "core/str.h"

/* What one load gave: copies of what the tests look at. */
struct seen {
    bool done;
    int err;
    uint64_t last, expires_ms, ids[64];
    bool more;
    size_t n;
    char job_ids[64][ID_UUID_LEN + 1];
    enum job_status status[64];
    unsigned progress[64];
};

static void on_events(void *arg, int err, const struct job_events *events)
{
    struct seen *s = arg;

    s->done = true;
    s->err = err;
    if (err < 0)
        return;
    s->last = events->last;
    s->expires_ms = events->expires_ms;
    s->more = events->more;
    s->n = events->n;
    for (size_t i = 0; i < events->n; i++) {
        s->ids[i] = events->events[i].id;
        s->status[i] = events->events[i].job.status;
        s->progress[i] = events->events[i].job.progress;
        snprintf(s->job_ids[i], sizeof s->job_ids[i], "%s", events->events[i].job.job_id);
        assert_true(i == 0 || s->ids[i] > s->ids[i - 1]);
        assert_true(s->ids[i] <= s->last);
    }
}

static struct seen load(struct fixture *f, const char *session_id, uint64_t since,
                        const char *const changed[])
{
    struct seen s = {0};

    job_events_load(f->r, session_id, since, changed, on_events, &s);
    assert_false(s.done);
    assert_true(loop_until(&f->loop, &s.done, 5000));
    return s;
}

static void test_order_and_resuming(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen first, again, after;
    char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &session), 0);
    first = load(f, session.id, 0, NULL);
    assert_int_equal(first.err, 0);
    assert_int_equal(first.n, 0);
    assert_int_equal(first.last, 0);
    make_job(f, session.id, JOB_UPLOADED, a);
    make_job(f, session.id, JOB_QUEUED, b);

    first = load(f, session.id, 0, NULL);
    assert_int_equal(first.n, 2);
    assert_false(first.more);
    assert_true(first.expires_ms > 0);
    assert_int_equal(first.last, first.ids[1]);
    again = load(f, session.id, 0, NULL); /* the same state has the same number */
    assert_int_equal(again.n, 2);
    assert_memory_equal(again.ids, first.ids, 2 * sizeof first.ids[0]);

    assert_int_equal(do_job_update(f, session.id, b, REDIS("status", "processing", "progress", "5")), 0);
    after = load(f, session.id, first.last, REDIS(b));
    assert_int_equal(after.n, 1);
    assert_string_equal(after.job_ids[0], b);
    assert_int_equal(after.status[0], JOB_PROCESSING);
    assert_int_equal(after.progress[0], 5);
    assert_true(after.ids[0] > first.last);

    /* Who comes back with an id gets what came after it, once, in its newest state. */
    assert_int_equal(do_job_update(f, session.id, a, REDIS("status", "queued")), 0);
    assert_int_equal(do_job_update(f, session.id, b, REDIS("progress", "6")), 0);
    again = load(f, session.id, first.last, NULL);
    assert_int_equal(again.n, 2);
    assert_true(again.ids[0] > after.ids[0]);
    assert_int_equal(load(f, session.id, again.last, NULL).n, 0);
    assert_int_equal(load(f, session.id, UINT64_C(1) << 50, NULL).n, 0);
}

/* What was not in the list of changed jobs, but is behind the given id, comes in its newest state, too. */
static void test_late_reader(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen first, late;
    char a[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &session), 0);
    make_job(f, session.id, JOB_PROCESSING, a);
    first = load(f, session.id, 0, NULL);
    assert_int_equal(do_job_update(f, session.id, a, REDIS("progress", "50")), 0);
    late = load(f, session.id, 0, REDIS(NULL));
    assert_int_equal(late.n, 1);
    assert_int_equal(late.progress[0], 50);
    assert_true(late.ids[0] > first.ids[0]);
}

static void test_what_no_client_sees(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen first;
    char a[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &session), 0);
    make_job(f, session.id, JOB_PROCESSING, a);
    first = load(f, session.id, 0, NULL);
    assert_int_equal(do_job_update(f, session.id, a, REDIS("worker", "w", "sealed_secrets", "x")), 0);
    assert_int_equal(load(f, session.id, first.last, NULL).n, 0);
}

static void test_other_sessions(void **state)
{
    struct fixture *f = *state;
    struct session mine, theirs;
    char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1];
    struct seen seen;

    assert_int_equal(do_session_create(f, 100, &mine), 0);
    assert_int_equal(do_session_create(f, 100, &theirs), 0);
    make_job(f, mine.id, JOB_QUEUED, a);
    make_job(f, theirs.id, JOB_QUEUED, b);
    seen = load(f, mine.id, 0, REDIS(a, b));
    assert_int_equal(seen.err, 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.job_ids[0], a);
    assert_int_equal(load(f, "*", 0, NULL).err, -ENOENT);
    assert_int_equal(load(f, NULL, 0, NULL).err, -ENOENT);
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen part = {.more = true};
    char id[ID_UUID_LEN + 1];
    uint64_t since = 0;
    size_t n = 0;

    assert_int_equal(do_session_create(f, 100, &session), 0);
    for (int i = 0; i < 150; i++)
        make_job(f, session.id, JOB_QUEUED, id);
    for (; part.more; since = part.ids[part.n - 1]) {
        part = load(f, session.id, since, since == 0 ? NULL : REDIS(NULL));
        assert_in_range(part.n, 1, 64);
        assert_true(part.ids[0] > since);
        n += part.n;
    }
    assert_int_equal(n, 150);
    assert_int_equal(since, part.last);
}

static long long calls(struct fixture *f, const char *command)
{
    char text[64];
    const char *stats = redis_server_str(f->server, "INFO commandstats"), *found;

    snprintf(text, sizeof text, "cmdstat_%s:calls=", command);
    found = strstr(stats, text);
    return found ? strtoll(found + strlen(text), NULL, 10) : 0;
}

/* Many jobs are no reason to look at many: neither for one that has changed, nor for a page. */
static void test_few_of_many(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen first, page;
    char id[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &session), 0);
    for (int i = 0; i < 150; i++)
        make_job(f, session.id, JOB_QUEUED, id);
    first = load(f, session.id, 0, NULL);
    redis_server_do(f->server, "CONFIG RESETSTAT");
    assert_int_equal(do_job_update(f, session.id, id, REDIS("status", "processing")), 0);
    assert_int_equal(load(f, session.id, first.last, REDIS(id)).n, 1);
    assert_in_range(calls(f, "hmget"), 1, 8);
    page = load(f, session.id, 0, REDIS(NULL));
    assert_true(page.more);
    assert_in_range(calls(f, "hmget"), 1, 80);
    assert_int_equal(calls(f, "hgetall"), 0);
}

/* What has ended is not looked at again, unless it was begun again. */
static void test_again_unseen(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen first, then;
    char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &session), 0);
    make_job(f, session.id, JOB_FAILED, a);
    make_job(f, session.id, JOB_FAILED, b);
    first = load(f, session.id, 0, NULL);
    redis_server_do(f->server, "HSET session:%s:jobs:%s task_id next progress 50", session.id, a);
    then = load(f, session.id, first.last, NULL);
    assert_int_equal(then.n, 1);
    assert_string_equal(then.job_ids[0], a);
    redis_server_do(f->server, "HSET session:%s:jobs:%s status queued", session.id, b);
    then = load(f, session.id, then.last, NULL);
    assert_int_equal(then.n, 1);
    assert_string_equal(then.job_ids[0], b);
    assert_int_equal(load(f, session.id, then.last, NULL).n, 0);
}

/* Redis may lose its last second; numbers that were given then don't come again. */
static void test_lost_count(void **state)
{
    struct fixture *f = *state;
    struct session session;
    struct seen first, then;
    char a[ID_UUID_LEN + 1];

    assert_int_equal(do_session_create(f, 100, &session), 0);
    make_job(f, session.id, JOB_QUEUED, a);
    first = load(f, session.id, 0, NULL);
    loop_for(&f->loop, 5);
    redis_server_do(f->server, "DEL session:%s:events", session.id);
    then = load(f, session.id, first.last, NULL);
    assert_int_equal(then.n, 1);
    assert_true(then.ids[0] > first.last);
}

static void test_end_of_session(void **state)
{
    struct fixture *f = *state;
    struct session session;
    char a[ID_UUID_LEN + 1];
    unsigned running;

    assert_int_equal(do_session_create(f, 100, &session), 0);
    make_job(f, session.id, JOB_QUEUED, a);
    assert_int_equal(load(f, session.id, 0, NULL).n, 1);
    assert_all_expire(f, session.id);
    assert_int_equal(do_begin_close(f, session.id, &running), 0);
    assert_int_equal(load(f, session.id, 0, NULL).err, -ENOENT);
    assert_int_equal(do_finish_close(f, session.id), 0);
    assert_int_equal(load(f, session.id, 0, NULL).err, -ENOENT);
    assert_no_keys(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_and_resuming, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_late_reader, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_no_client_sees, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_other_sessions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_few_of_many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_again_unseen, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lost_count, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_end_of_session, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
