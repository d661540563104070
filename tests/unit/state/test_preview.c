/* What is known of pictures that somebody waits for. */
#include "fixture.h"

#include "core/str.h"
#include "state/preview.h"

struct want {
    bool done;
    int err;
    enum preview_status status;
    char code[32];
};

static void on_want(void *arg, int err, enum preview_status status, const char *code)
{
    struct want *w = arg;

    *w = (struct want){.done = true, .err = err, .status = status};
    snprintf(w->code, sizeof w->code, "%s", code);
}

struct known {
    struct fixture *f;
    struct session session;
    char job[ID_UUID_LEN + 1], result[ID_UUID_LEN + 1], key[PREVIEW_KEY_MAX];
};

static struct known know(void **state)
{
    struct known k = {.f = *state};

    assert_int_equal(do_session_create(k.f, 100, &k.session), 0);
    make_job(k.f, k.session.id, JOB_COMPLETED, k.job);
    id_uuid(k.result);
    preview_key(k.key, k.session.id, k.result);
    return k;
}

static struct want want(struct known *k, bool again)
{
    struct want w = {0};

    preview_want(k->f->r, k->session.id, k->job, k->result, again, on_want, &w);
    assert_false(w.done);
    assert_true(loop_until(&k->f->loop, &w.done, 10000));
    return w;
}

static void assert_wanted(struct known *k, bool again, enum preview_status expected)
{
    struct want w = want(k, again);

    assert_int_equal(w.err, 0);
    assert_int_equal(w.status, expected);
}

static int take_for(struct known *k, const char *task)
{
    struct answer a = {0};

    preview_take(k->f->r, k->session.id, k->result, task, "w1", answer_on, &a);
    answer_wait(k->f, &a);
    return a.err;
}

static int take(struct known *k)
{
    return take_for(k, "t1");
}

static void set(struct known *k, const char *field, const char *value)
{
    redis_server_do(k->f->server, "HSET %s %s %s", k->key, field, value);
}

static const char *field(struct known *k, const char *name)
{
    return redis_server_str(k->f->server, "HGET %s %s", k->key, name);
}

static void sizes_are_few(void **state)
{
    static const unsigned cases[][2] = {{0, 0},     {63, 0},    {64, 64},    {127, 64},    {128, 128},
                                        {511, 256}, {512, 512}, {1023, 512}, {1024, 1024}, {5000, 1024}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(preview_size(cases[i][0]), cases[i][1]);
}

static void one_is_wanted_until_somebody_enqueues_it(void **state)
{
    struct known k = know(state);

    assert_int_equal(take(&k), -ENOENT); /* nobody waits */
    assert_wanted(&k, false, PREVIEW_WANTED);
    assert_wanted(&k, false, PREVIEW_WANTED); /* whoever heard it first may have died */
    assert_string_equal(field(&k, "job_id"), k.job);
    set(&k, "status", "queued");
    assert_wanted(&k, true, PREVIEW_QUEUED);
    assert_int_equal(take(&k), 0);
    assert_string_equal(field(&k, "worker"), "w1");
    assert_wanted(&k, true, PREVIEW_PROCESSING);
    assert_int_equal(take(&k), 0); /* the other one died */
    assert_all_expire(k.f, k.session.id);
}

/* The record of the first task had ended while that waited, and a second one was enqueued. */
static void one_task_at_a_time(void **state)
{
    struct known k = know(state);

    assert_wanted(&k, false, PREVIEW_WANTED);
    assert_int_equal(take_for(&k, "t1"), 0); /* before that is told of the second */
    assert_string_equal(field(&k, "task_id"), "t1");
    assert_int_equal(take_for(&k, "t2"), -ECANCELED);
    set(&k, "status", "queued"); /* it was given back */
    assert_int_equal(take_for(&k, "t2"), 0);
    assert_int_equal(take_for(&k, "t1"), -ECANCELED);
    assert_string_equal(field(&k, "task_id"), "t2");
    set(&k, "status", "completed");
    assert_wanted(&k, true, PREVIEW_WANTED);
    assert_string_equal(field(&k, "task_id"), "");
}

static void what_has_ended_is_not_begun(void **state)
{
    struct known k = know(state);
    struct want w;

    assert_wanted(&k, false, PREVIEW_WANTED);
    set(&k, "status", "completed");
    assert_int_equal(take(&k), -ECANCELED);
    assert_wanted(&k, false, PREVIEW_COMPLETED);
    assert_wanted(&k, true, PREVIEW_WANTED);
    set(&k, "status", "cancelled"); /* by an operator */
    assert_int_equal(take(&k), -ECANCELED);
    assert_wanted(&k, false, PREVIEW_WANTED);
    set(&k, "status", "failed");
    set(&k, "error_code", "corrupt_input");
    assert_int_equal(take(&k), -ECANCELED);
    w = want(&k, true);
    assert_int_equal(w.status, PREVIEW_FAILED);
    assert_string_equal(w.code, "corrupt_input");
}

static void there_is_none_without_a_session(void **state)
{
    struct known k = know(state);

    redis_server_do(k.f->server, "DEL session:%s", k.session.id);
    assert_int_equal(want(&k, false).err, -ENOENT);
    assert_int_equal(redis_server_int(k.f->server, "EXISTS %s", k.key), 0);
    set(&k, "status", "queued");
    assert_int_equal(take(&k), -ENOENT);
    strcpy(k.session.id, "../x");
    assert_int_equal(want(&k, false).err, -ENOENT);
    assert_int_equal(take(&k), -ENOENT);
}

static void closing_waits_for_whom_has_the_folder_open(void **state)
{
    struct known k = know(state);
    unsigned running;

    assert_wanted(&k, false, PREVIEW_WANTED);
    assert_int_equal(do_begin_close(k.f, k.session.id, &running), 0);
    assert_int_equal(running, 0);
    assert_string_equal(field(&k, "status"), "cancelled");
    assert_int_equal(take(&k), -ENOENT);
    assert_int_equal(do_finish_close(k.f, k.session.id), 0);
    assert_no_keys(k.f);

    k = know(state);
    assert_wanted(&k, false, PREVIEW_WANTED);
    assert_int_equal(take(&k), 0);
    assert_int_equal(do_running(k.f, k.session.id, &running), 0);
    assert_int_equal(running, 1);
    assert_int_equal(do_begin_close(k.f, k.session.id, &running), 0);
    assert_int_equal(running, 1);
    assert_int_equal(do_begin_close(k.f, k.session.id, &running), 0); /* it may be repeated */
    assert_int_equal(running, 1);
    set(&k, "worker", "");
    assert_int_equal(do_running(k.f, k.session.id, &running), 0);
    assert_int_equal(running, 0);
    assert_int_equal(do_finish_close(k.f, k.session.id), 0);
    assert_no_keys(k.f);
}

#define PREVIEW_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_few),
        PREVIEW_TEST(one_is_wanted_until_somebody_enqueues_it),
        PREVIEW_TEST(one_task_at_a_time),
        PREVIEW_TEST(what_has_ended_is_not_begun),
        PREVIEW_TEST(there_is_none_without_a_session),
        PREVIEW_TEST(closing_waits_for_whom_has_the_folder_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
