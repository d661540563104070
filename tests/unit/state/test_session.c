#include "fixture.h"

#include "core/clock.h"

static void test_create_and_load(void **state)
{
    struct fixture *f = *state;
    uint64_t before = clock_real_ms();
    struct session s, again;

    assert_int_equal(do_session_create(f, 86400, &s), 0);
    assert_true(id_is_token(s.id));
    assert_true(id_is_token(s.csrf_token));
    assert_string_not_equal(s.id, s.csrf_token);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s csrf_token", s.id), s.csrf_token);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s created_at", s.id), s.created_at);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s expires_at", s.id), s.expires_at);
    assert_in_range(redis_server_int(f->server, "PEXPIRETIME session:%s", s.id), before + 86400000,
                    clock_real_ms() + 86400000);
    assert_int_equal(do_session_load(f, s.id, &again), 0);
    assert_memory_equal(&again, &s, sizeof s);
}

static void test_absent(void **state)
{
    static const char *const malformed[] = {
        NULL,
        "",
        "x",
        "*",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd:j",
    };
    struct fixture *f = *state;
    struct session s;
    unsigned running;
    char id[ID_TOKEN_LEN + 1];

    redis_server_do(f->server, "CONFIG RESETSTAT");
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        assert_int_equal(do_session_load(f, malformed[i], &s), -ENOENT);
        assert_int_equal(do_begin_close(f, malformed[i], &running), -ENOENT);
        assert_int_equal(do_running(f, malformed[i], &running), -ENOENT);
        assert_int_equal(do_finish_close(f, malformed[i]), -ENOENT);
    }
    assert_null(strstr(redis_server_str(f->server, "INFO commandstats"), "cmdstat_hmget"));
    assert_null(strstr(redis_server_str(f->server, "INFO commandstats"), "cmdstat_eval"));

    id_token(id);
    assert_int_equal(do_session_load(f, id, &s), -ENOENT);
    assert_int_equal(do_begin_close(f, id, &running), -ENOENT);
    assert_int_equal(do_running(f, id, &running), 0);
    assert_int_equal(running, 0);
}

/* An empty CSRF token would be matched by an empty header. */
static void test_broken(void **state)
{
    struct fixture *f = *state;
    struct session s;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    redis_server_do(f->server, "HSET session:%s csrf_token x", s.id);
    assert_int_equal(do_session_load(f, s.id, &s), -ENOENT);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    redis_server_do(f->server, "HDEL session:%s csrf_token", s.id);
    assert_int_equal(do_session_load(f, s.id, &s), -ENOENT);
}

static void test_expiry(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];

    assert_int_equal(do_session_create(f, 1, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), 0);
    assert_all_expire(f, s.id);
    loop_for(&f->loop, 1050);
    assert_int_equal(do_session_load(f, s.id, &s), -ENOENT);
    assert_int_equal(do_token_load(f, token), -ENOENT);
    assert_int_equal(do_job_load(f, s.id, job, NULL, NULL), -ENOENT);
    assert_no_keys(f);
}

struct heard {
    int ready, stops, cancelled, others;
    char stopped[8][ID_UUID_LEN + 1];
};

static void on_message(void *arg, const char *channel, const char *message)
{
    struct heard *h = arg;

    if (!channel)
        h->ready++;
    else if (strcmp(channel, JOB_STOP_CHANNEL) == 0 && h->stops < 8)
        snprintf(h->stopped[h->stops++], sizeof h->stopped[0], "%s", message);
    else if (strcmp(message, "cancelled") == 0)
        h->cancelled++;
    else
        h->others++;
}

static bool was_stopped(const struct heard *h, const char *job_id)
{
    for (int i = 0; i < h->stops; i++)
        if (strcmp(h->stopped[i], job_id) == 0)
            return true;
    return false;
}

static void assert_status(struct fixture *f, const char *sid, const char *jid, const char *status)
{
    assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s status", sid, jid), status);
}

static void test_close(void **state)
{
    static const enum job_status statuses[] = {JOB_UPLOADED,   JOB_QUEUED, JOB_SCANNING,
                                               JOB_PROCESSING, JOB_FAILED, JOB_COMPLETED};
    struct fixture *f = *state;
    struct heard heard = {0};
    struct session s, other;
    char jobs[6][ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1], kept[ID_UUID_LEN + 1],
        kept_token[ID_TOKEN_LEN + 1];
    struct redis_sub *sub;
    unsigned running;

    assert_int_equal(do_session_create(f, 100, &other), 0);
    make_job(f, other.id, JOB_COMPLETED, kept);
    assert_int_equal(do_token_create(f, other.id, kept, 600, kept_token), 0);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    for (size_t i = 0; i < 6; i++)
        make_job(f, s.id, statuses[i], jobs[i]);
    assert_int_equal(do_token_create(f, s.id, jobs[5], 600, token), 0);
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker w1", s.id, jobs[2]);
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker w1", s.id, jobs[3]);
    assert_all_expire(f, s.id);

    assert_int_equal(
        redis_sub_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &sub), 0);
    redis_sub_start(sub, REDIS(JOB_CHANNEL_PREFIX "*", JOB_STOP_CHANNEL), on_message, &heard);
    for (int i = 0; i < 200 && !heard.ready; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_int_equal(running, 2);
    loop_for(&f->loop, 50);
    assert_int_equal(heard.stops, 4);
    assert_int_equal(heard.cancelled, 4);
    assert_int_equal(heard.others, 0);

    assert_int_equal(do_session_load(f, s.id, &s), -ENOENT);
    assert_int_equal(do_token_load(f, token), -ENOENT);
    for (size_t i = 0; i < 4; i++) {
        assert_true(was_stopped(&heard, jobs[i]));
        assert_status(f, s.id, jobs[i], "cancelled");
        assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s error_code", s.id, jobs[i]),
                            "cancelled_by_user");
        assert_string_not_equal(
            redis_server_str(f->server, "HGET session:%s:jobs:%s completed_at", s.id, jobs[i]), "");
    }
    assert_status(f, s.id, jobs[4], "failed");
    assert_status(f, s.id, jobs[5], "completed");

    /* a repetition counts those that workers hold, and tells nobody again */
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_int_equal(running, 2);
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker %s", s.id, jobs[2], "");
    assert_int_equal(do_running(f, s.id, &running), 0);
    assert_int_equal(running, 1);
    loop_for(&f->loop, 50);
    assert_int_equal(heard.stops, 4);

    assert_int_equal(do_finish_close(f, s.id), 0);
    assert_int_equal(do_finish_close(f, s.id), 0);
    assert_int_equal(do_begin_close(f, s.id, &running), -ENOENT);
    assert_int_equal(do_session_load(f, other.id, &other), 0);
    assert_int_equal(do_token_load(f, kept_token), 0);
    assert_int_equal(do_begin_close(f, other.id, &running), 0);
    assert_int_equal(running, 0);
    assert_int_equal(do_finish_close(f, other.id), 0);
    assert_no_keys(f);
    redis_sub_free(sub);
}

/* Whoever is out of memory must still be able to give some back. */
static void test_close_without_memory(void **state)
{
    struct fixture *f = *state;
    struct session s, none;
    char job[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];
    unsigned running;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_QUEUED, job);
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(do_session_create(f, 100, &none), -ENOSPC);
    assert_int_equal(do_job_update(f, s.id, job, REDIS("progress", "50")), -ENOSPC);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), -EBUSY);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_status(f, s.id, job, "cancelled");
    assert_int_equal(do_finish_close(f, s.id), 0);
    assert_no_keys(f);
}

static void test_unavailable(void **state)
{
    struct fixture *f = *state;
    struct session s;
    unsigned running;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    redis_server_kill(f->server);
    assert_int_equal(do_session_load(f, s.id, &s), -ENOTCONN);
    assert_int_equal(do_session_create(f, 100, &s), -ENOTCONN);
    assert_int_equal(do_begin_close(f, s.id, &running), -ENOTCONN);
    redis_server_restart(f->server);
    fixture_wait_connected(f, true);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    assert_int_equal(do_session_load(f, s.id, &s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_load, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_absent, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_broken, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_expiry, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_close, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_close_without_memory, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unavailable, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
