#include "fixture.h"

#include "core/clock.h"
#include "core/str.h"

struct seen {
    struct answer answer;
    const char *session_id, *job_id;
    char expires_at[32];
};

static void check(void *arg, int err, const struct token *t)
{
    struct seen *seen = arg;

    answer_on(&seen->answer, err, NULL);
    assert_int_equal(err, 0);
    assert_true(id_is_token(t->token));
    assert_string_equal(t->session_id, seen->session_id);
    assert_string_equal(t->job_id, seen->job_id);
    assert_string_equal(t->file_path, "s/j/out.pdf");
    assert_string_equal(t->mime_type, "application/pdf");
    assert_string_equal(t->filename, "Ergebnis \"1\".pdf");
    snprintf(seen->expires_at, sizeof seen->expires_at, "%s", t->expires_at);
}

static void test_create_and_load(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];
    uint64_t before = clock_real_ms();
    struct seen made = {.session_id = s.id, .job_id = job}, loaded = made;

    assert_int_equal(do_session_create(f, 86400, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    token_create(f->r, s.id, job, "Ergebnis \"1\".pdf", 600, check, &made);
    answer_wait(f, &made.answer);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), 0);
    token_load(f->r, token, check, &loaded);
    answer_wait(f, &loaded.answer);
    assert_string_equal(loaded.expires_at,
                        redis_server_str(f->server, "HGET download_token:%s expires_at", token));
    assert_string_equal(redis_server_str(f->server, "HGET download_token:%s file_path", token),
                        "s/j/out.pdf");
    assert_string_equal(redis_server_str(f->server, "HGET download_token:%s session_id", token), s.id);
    assert_string_equal(redis_server_str(f->server, "HGET download_token:%s job_id", token), job);
    assert_in_range(redis_server_int(f->server, "PEXPIRETIME download_token:%s", token), before + 600000,
                    clock_real_ms() + 600000);
    assert_all_expire(f, s.id);
}

/* A token never outlives its session, and says so. */
static void test_short_session(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1];
    struct seen made = {.session_id = s.id, .job_id = job};

    assert_int_equal(do_session_create(f, 60, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    token_create(f->r, s.id, job, "Ergebnis \"1\".pdf", 600, check, &made);
    answer_wait(f, &made.answer);
    assert_string_equal(made.expires_at, s.expires_at);
    assert_all_expire(f, s.id);
}

static void test_refused(void **state)
{
    static const char *const malformed[] = {NULL, "", "*", "../x"};
    struct fixture *f = *state;
    struct session s, other;
    char job[ID_UUID_LEN + 1], none[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];
    unsigned running;

    id_uuid(none);
    assert_int_equal(do_session_create(f, 60, &s), 0);
    assert_int_equal(do_session_create(f, 60, &other), 0);
    make_job(f, s.id, JOB_PROCESSING, job);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), -EBUSY);
    assert_int_equal(do_token_create(f, s.id, none, 600, token), -ENOENT);
    make_job(f, s.id, JOB_COMPLETED, job);
    assert_int_equal(do_token_create(f, other.id, job, 600, token), -ENOENT);
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        assert_int_equal(do_token_create(f, malformed[i], job, 600, token), -ENOENT);
        assert_int_equal(do_token_create(f, s.id, malformed[i], 600, token), -ENOENT);
        assert_int_equal(do_token_load(f, malformed[i]), -ENOENT);
    }
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(do_token_create(f, s.id, job, 600, token), -ENOSPC);
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:tokens", s.id), 0);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), 0);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), -ENOENT); /* the session is closing */
}

/* A link is good for what it was made for: the file that its job has, in a session that is there. */
static void test_bound(void **state)
{
    struct fixture *f = *state;
    struct session s, other;
    char job[ID_UUID_LEN + 1], theirs[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];
    const struct {
        const char *breaks, *mends;
    } changes[] = {
        {"HSET session:%s:jobs:%s converted_path s/j/other.pdf",
         "HSET session:%s:jobs:%s converted_path s/j/out.pdf"},
        {"HSET session:%s:jobs:%s status queued", "HSET session:%s:jobs:%s status completed"},
        {"RENAME session:%s:jobs:%s away", "RENAME away session:%s:jobs:%s"},
    };

    assert_int_equal(do_session_create(f, 60, &s), 0);
    assert_int_equal(do_session_create(f, 60, &other), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    make_job(f, other.id, JOB_PROCESSING, theirs);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), 0);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        assert_int_equal(do_token_load(f, token), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        redis_server_do(f->server, changes[i].breaks, s.id, job);
        assert_int_equal(do_token_load(f, token), -ENOENT);
        redis_server_do(f->server, changes[i].mends, s.id, job);
#pragma GCC diagnostic pop
    }
    redis_server_do(f->server, "RENAME session:%s away", s.id);
    assert_int_equal(do_token_load(f, token), -ENOENT);
    redis_server_do(f->server, "RENAME away session:%s", s.id);
    assert_int_equal(do_token_load(f, token), 0);
    redis_server_do(f->server, "HSET download_token:%s job_id %s session_id %s", token, theirs, other.id);
    assert_int_equal(do_token_load(f, token), -ENOENT);
    redis_server_do(f->server, "HDEL download_token:%s file_path", token);
    assert_int_equal(do_token_load(f, token), -ENOENT);
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1], first[ID_TOKEN_LEN + 1], last[ID_TOKEN_LEN + 1];

    assert_int_equal(do_session_create(f, 86400, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    assert_int_equal(do_token_create(f, s.id, job, 500, first), 0);
    for (int i = 0; i < TOKENS_MAX; i++)
        assert_int_equal(do_token_create(f, s.id, job, 600, last), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD session:%s:tokens", s.id), TOKENS_MAX);
    assert_int_equal(do_token_load(f, first), -ENOENT);
    assert_int_equal(do_token_load(f, last), 0);
    /* the session, its job, two indexes, what is known of stored bytes, the tokens */
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 4 + 3 + TOKENS_MAX);
}

static void test_expiry(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1], next[ID_TOKEN_LEN + 1];

    assert_int_equal(do_session_create(f, 60, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, job);
    assert_int_equal(do_token_create(f, s.id, job, 1, token), 0);
    loop_for(&f->loop, 1050);
    assert_int_equal(do_token_load(f, token), -ENOENT);
    assert_int_equal(do_token_create(f, s.id, job, 1, next), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD session:%s:tokens", s.id), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_load, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_short_session, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bound, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_expiry, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
