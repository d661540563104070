#include "fixture.h"

#include "core/str.h"

struct waiter {
    struct job_watch *watch;
    int calls;
    char news[16];          /* "": the subscription stands */
    struct waiter *removes; /* whom its callback removes */
    struct job_watcher **frees;
};

static void on_change(void *arg, const char *news)
{
    struct waiter *w = arg;

    w->calls++;
    snprintf(w->news, sizeof w->news, "%s", news ? news : "");
    if (w->removes)
        job_watch_remove(TAKE_PTR(w->removes->watch));
    if (w->frees)
        job_watcher_free(TAKE_PTR(*w->frees));
}

/* A hub whose subscription stands: it has told its first waiter so. */
static struct job_watcher *hub_new(struct fixture *f)
{
    struct job_watcher *h;
    struct waiter w = {0};
    char id[ID_UUID_LEN + 1];

    id_uuid(id);
    assert_int_equal(
        job_watcher_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &h), 0);
    w.watch = job_watch_add(h, id, on_change, &w);
    for (int i = 0; i < 200 && !w.calls; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(w.calls, 1);
    job_watch_remove(w.watch);
    return h;
}

static void test_changes(void **state)
{
    struct fixture *f = *state;
    struct job_watcher *h = hub_new(f);
    struct waiter one = {0}, same = {0}, other = {0};
    struct session s;
    char id[ID_UUID_LEN + 1], other_id[ID_UUID_LEN + 1];
    unsigned running;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_QUEUED, id);
    make_job(f, s.id, JOB_QUEUED, other_id);
    loop_for(&f->loop, 30);
    one.watch = job_watch_add(h, id, on_change, &one);
    same.watch = job_watch_add(h, id, on_change, &same);
    other.watch = job_watch_add(h, other_id, on_change, &other);
    assert_null(job_watch_add(h, "*", on_change, &other));
    assert_null(job_watch_add(h, NULL, on_change, &other));
    assert_int_equal(do_job_update(f, s.id, id, REDIS("progress", "1")), 0);
    loop_for(&f->loop, 30);
    assert_int_equal(one.calls, 1);
    assert_string_equal(one.news, "queued");
    assert_int_equal(same.calls, 1);
    assert_int_equal(other.calls, 0);
    job_watch_remove(same.watch);
    job_watch_remove(NULL);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    loop_for(&f->loop, 30);
    assert_int_equal(one.calls, 2);
    assert_int_equal(same.calls, 1);
    assert_int_equal(other.calls, 1);
    job_watch_remove(one.watch);
    job_watch_remove(other.watch);
    job_watcher_free(h);
}

/* Callbacks remove themselves, the next and the one before, in chains of the same job. */
static void test_removal_in_callback(void **state)
{
    struct fixture *f = *state;
    struct job_watcher *h = hub_new(f);
    struct waiter w[5] = {{0}};
    char id[ID_UUID_LEN + 1];

    id_uuid(id);
    for (int i = 4; i >= 0; i--) /* the last one added is called first */
        w[i].watch = job_watch_add(h, id, on_change, &w[i]);
    w[0].removes = &w[0];
    w[1].removes = &w[2];
    w[3].removes = &w[1];
    redis_server_do(f->server, "PUBLISH " JOB_CHANNEL_PREFIX "%s x", id);
    loop_for(&f->loop, 30);
    assert_int_equal(w[0].calls, 1);
    assert_int_equal(w[1].calls, 1);
    assert_int_equal(w[2].calls, 0);
    assert_int_equal(w[3].calls, 1);
    assert_int_equal(w[4].calls, 1);
    for (int i = 0; i < 5; i++)
        job_watch_remove(w[i].watch);
    job_watcher_free(h);
}

/* After a reconnection everybody is told, for a change may have been missed. */
static void test_restart(void **state)
{
    struct fixture *f = *state;
    struct job_watcher *h = hub_new(f);
    struct waiter w[3000] = {{0}};
    char id[ID_UUID_LEN + 1];

    for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
        id_uuid(id);
        w[i].watch = job_watch_add(h, id, on_change, &w[i]);
    }
    redis_server_kill(f->server);
    loop_for(&f->loop, 30);
    assert_int_equal(w[0].calls, 0);
    redis_server_restart(f->server);
    for (int i = 0; i < 500 && !w[0].calls; i++)
        loop_for(&f->loop, 10);
    loop_for(&f->loop, 30);
    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        assert_int_equal(w[i].calls, 1);
    redis_server_do(f->server, "PUBLISH " JOB_CHANNEL_PREFIX "%s x", id);
    loop_for(&f->loop, 30);
    assert_int_equal(w[ARRAY_SIZE(w) - 1].calls, 2);
    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        job_watch_remove(w[i].watch);
    job_watcher_free(h);
}

static void test_sessions(void **state)
{
    struct fixture *f = *state;
    struct job_watcher *h = hub_new(f);
    struct waiter mine = {0}, theirs = {0};
    struct session s, other;
    char id[ID_UUID_LEN + 1];
    unsigned running;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    assert_int_equal(do_session_create(f, 100, &other), 0);
    mine.watch = job_watch_add(h, s.id, on_change, &mine);
    theirs.watch = job_watch_add(h, other.id, on_change, &theirs);
    make_job(f, s.id, JOB_UPLOADED, id);
    loop_for(&f->loop, 30);
    assert_int_equal(mine.calls, 1);
    assert_string_equal(mine.news, "jobs");
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    loop_for(&f->loop, 30);
    assert_int_equal(mine.calls, 2);
    assert_string_equal(mine.news, "closed");
    assert_int_equal(theirs.calls, 0);
    job_watch_remove(mine.watch);
    job_watch_remove(theirs.watch);
    job_watcher_free(h);
}

static void test_freeing(void **state)
{
    struct fixture *f = *state;
    struct job_watcher *h = hub_new(f);
    struct waiter first = {0}, second = {.frees = &h};
    char id[ID_UUID_LEN + 1];

    id_uuid(id);
    first.watch = job_watch_add(h, id, on_change, &first);
    second.watch = job_watch_add(h, id, on_change, &second); /* called before `first`, which is never */
    redis_server_do(f->server, "PUBLISH " JOB_CHANNEL_PREFIX "%s x", id);
    loop_for(&f->loop, 30);
    assert_null(h);
    assert_int_equal(second.calls, 1);
    assert_int_equal(first.calls, 0);
    job_watch_remove(first.watch);
    job_watch_remove(second.watch);
    job_watcher_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_removal_in_callback, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_restart, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_sessions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_freeing, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
