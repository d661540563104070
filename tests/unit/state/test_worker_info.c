#include "fixture.h"

#include "core/clock.h"
#include "core/str.h"
#include "state/job_leave.h"
#include "state/worker_info.h"

struct listing {
    bool done;
    int err;
    size_t n;
    char ids[512];
    uint64_t jobs;
    bool test_signatures;
};

static void on_list(void *arg, int err, const struct worker_info *workers, size_t n)
{
    struct listing *l = arg;

    *l = (struct listing){.done = true, .err = err, .n = n};
    for (size_t i = 0; i < n; i++) {
        strcat(strcat(l->ids, workers[i].id), " ");
        l->jobs += workers[i].jobs;
        l->test_signatures = l->test_signatures || workers[i].test_signatures;
        assert_int_equal(workers[i].slots, 4);
        assert_int_equal(workers[i].family_slots, 3);
        assert_string_equal(workers[i].engines, "{}");
        assert_string_equal(workers[i].scanner_detail, "");
    }
}

static struct listing list(struct fixture *f)
{
    struct listing l = {0};

    worker_info_list(f->r, on_list, &l);
    assert_false(l.done);
    assert_true(loop_until(&f->loop, &l.done, 5000));
    return l;
}

static void put(struct fixture *f, const char *id, uint64_t jobs)
{
    struct worker_info info = {.id = id,
                               .version = "1",
                               .engines = "{}",
                               .sandbox = "full",
                               .scanner = "up",
                               .test_signatures = true,
                               .jobs = jobs,
                               .slots = 4,
                               .family_slots = 3};
    struct answer a = {0};

    worker_info_put(f->r, &info, answer_on, &a);
    answer_wait(f, &a);
    assert_int_equal(a.err, 0);
}

static void lists_what_was_put(void **state)
{
    struct fixture *f = *state;
    struct listing l = list(f);

    assert_int_equal(l.err, 0);
    assert_int_equal(l.n, 0);
    put(f, "decant@a:1:x", 1);
    put(f, "decant@b:2:y", 2);
    put(f, "decant@a:1:x", 3); /* replaces */
    l = list(f);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.jobs, 5);
    assert_true(l.test_signatures);
    assert_non_null(strstr(l.ids, "decant@a:1:x "));
    assert_in_range(redis_server_int(f->server, "TTL decant:worker:decant@a:1:x"), 1, WORKER_INFO_TTL_S);
}

static void forgets_who_is_gone(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};

    put(f, "decant@a:1:x", 1);
    put(f, "decant@b:2:y", 2);
    worker_info_remove(f->r, "decant@a:1:x", answer_on, &a);
    answer_wait(f, &a);
    assert_string_equal(list(f).ids, "decant@b:2:y ");

    /* One that just stopped reporting. */
    redis_server_do(f->server, "DEL decant:worker:decant@b:2:y");
    assert_int_equal(list(f).n, 0);
    redis_server_do(f->server, "ZADD decant:worker-infos 1 old");
    put(f, "decant@c:3:z", 0);
    assert_int_equal(redis_server_int(f->server, "ZCOUNT decant:worker-infos -inf 1"), 0);
    assert_true(redis_server_int(f->server, "TTL decant:worker-infos") > 0);
}

static void says_when_redis_is_away(void **state)
{
    struct fixture *f = *state;

    redis_server_kill(f->server);
    fixture_wait_connected(f, false);
    assert_int_equal(list(f).err, -ENOTCONN);
}

static const char *leave(struct fixture *f, const char *session, const char *job, const char *worker,
                         const char *task)
{
    struct answer a = {0};

    job_leave(f->r, session, job, task, worker, answer_on, &a);
    answer_wait(f, &a);
    assert_int_equal(a.err, 0);
    return redis_server_str(f->server, "HGET session:%s:jobs:%s worker", session, job);
}

static void a_worker_lets_go_of_its_own_jobs_only(void **state)
{
    struct fixture *f = *state;
    char session[ID_TOKEN_LEN + 1], job[ID_UUID_LEN + 1];

    id_token(session);
    id_uuid(job);
    redis_server_do(f->server, "HSET session:%s:jobs:%s status cancelled worker mine", session, job);
    assert_string_equal(leave(f, session, job, "another", "t1"), "mine");
    assert_string_equal(leave(f, session, job, "mine", "t1"), ""); /* it doesn't say whose task it is */

    /* tried again, and with the same worker once more: another task's */
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker mine task_id t2", session, job);
    assert_string_equal(leave(f, session, job, "mine", "t1"), "mine");
    assert_string_equal(leave(f, session, job, "mine", "t2"), "");
    redis_server_do(f->server, "DEL session:%s:jobs:%s", session, job);
    leave(f, session, job, "mine", "t2");
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:jobs:%s", session, job), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_what_was_put),
        TEST(forgets_who_is_gone),
        TEST(says_when_redis_is_away),
        TEST(a_worker_lets_go_of_its_own_jobs_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
