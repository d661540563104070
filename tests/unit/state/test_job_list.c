/* The pages of a session's jobs, and jobs that are kept for a time of their own. */
#include "state/job_list.h"

#include "fixture.h"
#include "state/job_kept.h"

#include <time.h>

enum { JOBS = 5 };

struct page {
    struct answer answer;
    size_t n;
    char ids[JOB_LIST_MAX][ID_UUID_LEN + 1];
    struct job_cursor next;
};

static void take_page(void *arg, int err, const struct job jobs[], size_t n, const struct job_cursor *next)
{
    struct page *p = arg;

    p->n = n;
    for (size_t i = 0; i < n; i++)
        snprintf(p->ids[i], sizeof p->ids[i], "%s", jobs[i].job_id);
    p->next = *next;
    answer_on(&p->answer, err, NULL);
}

static size_t load(struct fixture *f, const char *session_id, const struct job_cursor *from, size_t n,
                   struct page *ret)
{
    *ret = (struct page){0};
    job_list(f->r, session_id, from, n, take_page, ret);
    answer_wait(f, &ret->answer);
    assert_int_equal(ret->answer.err, 0);
    return ret->n;
}

/* Two by two, of which three were made in the same moment, and one has gone. */
static void test_pages(void **state)
{
    struct fixture *f = *state;
    char ids[JOBS][ID_UUID_LEN + 1], seen[JOBS][ID_UUID_LEN + 1] = {0};
    struct job_cursor from = {0};
    struct session s;
    struct page page;
    size_t n = 0;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    assert_int_equal(load(f, s.id, &from, 2, &page), 0);
    for (int i = 0; i < JOBS; i++) {
        make_job(f, s.id, JOB_UPLOADED, ids[i]);
        redis_server_do(f->server, "ZADD session:%s:jobs %d %s", s.id, i == 0 ? 7 : i == 4 ? 9 : 8, ids[i]);
    }
    redis_server_do(f->server, "DEL session:%s:jobs:%s", s.id, ids[2]);

    while (load(f, s.id, &from, 2, &page) > 0) {
        for (size_t i = 0; i < page.n; i++)
            memcpy(seen[n++], page.ids[i], sizeof *seen);
        from = page.next;
    }
    assert_int_equal(n, JOBS - 1);
    assert_string_equal(seen[0], ids[4]);
    assert_string_equal(seen[3], ids[0]);
    assert_true(strcmp(seen[1], seen[2]) > 0);
    for (int i = 1; i < 3; i++)
        assert_true(strcmp(seen[i], ids[1]) == 0 || strcmp(seen[i], ids[3]) == 0);
}

/* It says when its time ends, and no more when its session is closed. */
static void test_kept(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char id[ID_UUID_LEN + 1];
    unsigned running;

    id_uuid(id);
    assert_int_equal(do_session_create(f, 100, &s), 0);

    const struct job job = {
        .job_id = id, .session_id = s.id, .queue_ms = JOB_UNKNOWN, .duration_ms = JOB_UNKNOWN};
    const struct job_quota quota = {.jobs = 10, .keep_s = 3600};

    assert_int_equal(do_job_create_within(f, &job, &quota), 0);
    assert_int_equal(
        redis_server_int(f->server, "ZCOUNT decant:kept %lld +inf", ((long long)time(NULL) + 3500) * 1000),
        1);
    /* there for whoever ends it, however late */
    assert_true(redis_server_int(f->server, "TTL session:%s:jobs:%s", s.id, id) > 3500 + 30 * 86400);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_int_equal(do_finish_close(f, s.id), 0);
    assert_no_keys(f);
}

/* One that is to end with its session after all does so, and not a month later. */
static void test_no_longer_kept(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct job_kept kept;
    struct session s;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    memcpy(kept.session_id, s.id, sizeof kept.session_id);
    id_uuid(kept.job_id);

    const struct job job = {
        .job_id = kept.job_id, .session_id = s.id, .queue_ms = JOB_UNKNOWN, .duration_ms = JOB_UNKNOWN};
    const struct job_quota quota = {.jobs = 10, .keep_s = 3600};

    assert_int_equal(do_job_create_within(f, &job, &quota), 0);
    assert_true(redis_server_int(f->server, "TTL session:%s:jobs:%s", s.id, kept.job_id) > 3600);
    job_kept_forget(f->r, &kept, answer_on, &answer);
    answer_wait(f, &answer);
    assert_int_equal(answer.err, 0);
    assert_true(redis_server_int(f->server, "TTL session:%s:jobs:%s", s.id, kept.job_id) <= 100);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:kept"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_kept, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_longer_kept, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
