/* Which results a session has, and how a job gets a copy of one. */
#include "fixture.h"

#include "core/str.h"
#include "state/result.h"

struct found {
    bool done;
    int err;
    char job_id[ID_UUID_LEN + 1];
};

static void on_found(void *arg, int err, const char *job_id)
{
    struct found *found = arg;

    *found = (struct found){.done = true, .err = err};
    if (err == 0)
        snprintf(found->job_id, sizeof found->job_id, "%s", job_id);
}

struct known {
    struct fixture *f;
    struct session session;
    char source[ID_UUID_LEN + 1], job[ID_UUID_LEN + 1];
};

static struct known know(void **state)
{
    struct known k = {.f = *state};

    assert_int_equal(do_session_create(k.f, 100, &k.session), 0);
    make_job(k.f, k.session.id, JOB_COMPLETED, k.source);
    make_job(k.f, k.session.id, JOB_UPLOADED, k.job);
    redis_server_do(
        k.f->server,
        "HSET session:%s:jobs:%s converted_path p output_size 7 output_pages 2 engine image scan clean",
        k.session.id, k.source);
    return k;
}

static struct found find(struct known *k, const char *fingerprint, uint64_t max_age_s)
{
    struct found found = {0};

    result_find(k->f->r, k->session.id, fingerprint, max_age_s, on_found, &found);
    assert_true(loop_until(&k->f->loop, &found.done, 10000));
    return found;
}

static int reuse(struct known *k, const char *path, uint64_t size, const struct job_quota *quota)
{
    struct answer a = {0};

    result_reuse(k->f->r,
                 &(struct result_copy){.session_id = k->session.id,
                                       .job_id = k->job,
                                       .source = k->source,
                                       .path = path,
                                       .fields = REDIS("status", "completed", "converted_path", "q"),
                                       .size = size,
                                       .quota = quota},
                 answer_on, &a);
    answer_wait(k->f, &a);
    return a.err;
}

static void the_last_one_noted_is_found(void **state)
{
    struct known k = know(state);

    assert_int_equal(find(&k, "a", 60).err, -ENOENT);
    result_note(k.f->r, k.session.id, "a", k.job, 60);
    result_note(k.f->r, k.session.id, "a", k.source, 60);
    result_note(k.f->r, k.session.id, "b", k.job, 60);
    assert_string_equal(find(&k, "a", 60).job_id, k.source);
    assert_string_equal(find(&k, "b", 60).job_id, k.job);
    assert_all_expire(k.f, k.session.id);

    redis_server_do(k.f->server, "ZADD session:%s:made 5 a", k.session.id); /* of 1970 */
    assert_int_equal(find(&k, "a", 60).err, -ENOENT);
    result_note(k.f->r, k.session.id, "c", k.job, 60);
    assert_int_equal(find(&k, "c", 60).err, 0);
    assert_int_equal(redis_server_int(k.f->server, "HLEN session:%s:results", k.session.id), 2);
}

static void there_are_only_so_many(void **state)
{
    struct known k = know(state);
    char fingerprint[16];

    for (int i = 0; i < RESULT_MOST + 2; i++) {
        snprintf(fingerprint, sizeof fingerprint, "f%d", i);
        result_note(k.f->r, k.session.id, fingerprint, k.job, 60);
    }
    assert_int_equal(find(&k, fingerprint, 60).err, 0);
    assert_int_equal(redis_server_int(k.f->server, "HLEN session:%s:results", k.session.id), RESULT_MOST);
    assert_int_equal(redis_server_int(k.f->server, "ZCARD session:%s:made", k.session.id), RESULT_MOST);
}

static void check_reused(const struct job *job, void *arg)
{
    assert_int_equal(job->status, JOB_COMPLETED);
    assert_string_equal(job->converted_path, "q");
    assert_string_equal(job->engine, "image");
    assert_string_equal(job->scan, "clean");
    assert_int_equal(job->output_size, 7);
    assert_int_equal(job->output_pages, 2);
}

static void a_job_gets_a_copy(void **state)
{
    static const struct job_quota unlimited = {0};
    struct known k = know(state);
    long long before = redis_server_int(k.f->server, "HINCRBY decant:stored %s 0", k.session.id);
    long long own =
        redis_server_int(k.f->server, "HINCRBY session:%s:jobs:%s stored_bytes 0", k.session.id, k.job);

    assert_int_equal(reuse(&k, "another", 7, &unlimited), -ESTALE);
    assert_int_equal(reuse(&k, "p", 7, &(struct job_quota){.session_bytes = (uint64_t)before + 6}), -EFBIG);
    assert_int_equal(reuse(&k, "p", 7, &(struct job_quota){.all_bytes = (uint64_t)before + 6}), -EFBIG);
    assert_int_equal(
        reuse(&k, "p", 7,
              &(struct job_quota){.session_bytes = (uint64_t)before + 7, .all_bytes = (uint64_t)before + 7}),
        0);
    assert_int_equal(do_job_load(k.f, k.session.id, k.job, check_reused, NULL), 0);
    assert_int_equal(redis_server_int(k.f->server, "HINCRBY decant:stored %s 0", k.session.id), before + 7);
    assert_int_equal(redis_server_int(k.f->server, "INCRBY decant:stored:sum 0"), before + 7);
    assert_int_equal(/* which its removal gives back */
                     redis_server_int(k.f->server, "HINCRBY session:%s:jobs:%s stored_bytes 0", k.session.id,
                                      k.job),
                     own + 7);
    assert_int_equal(reuse(&k, "p", 7, &unlimited), -EBUSY);
    redis_server_do(k.f->server, "DEL session:%s:jobs:%s", k.session.id, k.job);
    assert_int_equal(reuse(&k, "p", 7, &unlimited), -ECANCELED);
    assert_int_equal(redis_server_int(k.f->server, "EXISTS session:%s:jobs:%s", k.session.id, k.job), 0);
}

static void nothing_outlives_its_session(void **state)
{
    static const struct job_quota unlimited = {0};
    struct known k = know(state);
    unsigned running;

    result_note(k.f->r, k.session.id, "a", k.source, 60);
    assert_int_equal(do_begin_close(k.f, k.session.id, &running), 0);
    assert_int_equal(reuse(&k, "p", 7, &unlimited), -ENOENT);
    assert_int_equal(do_finish_close(k.f, k.session.id), 0);
    result_note(k.f->r, k.session.id, "a", k.source, 60);
    assert_int_equal(find(&k, "a", 60).err, -ENOENT);
    assert_no_keys(k.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_one_noted_is_found, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(there_are_only_so_many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_job_gets_a_copy, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_outlives_its_session, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
