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

/* --- links to many results */

struct archive_seen {
    struct answer answer;
    size_t job, n;
    char token[ID_TOKEN_LEN + 1], expires_at[32], session_id[ID_TOKEN_LEN + 1], filename[64];
    char job_ids[TOKEN_RESULTS_MAX][ID_UUID_LEN + 1], paths[TOKEN_RESULTS_MAX][64];
};

static void take_archive(void *arg, int err, size_t job, const struct token_archive *a)
{
    struct archive_seen *seen = arg;

    answer_on(&seen->answer, err, NULL);
    seen->job = job;
    if (err)
        return;
    snprintf(seen->token, sizeof seen->token, "%s", a->token);
    snprintf(seen->expires_at, sizeof seen->expires_at, "%s", a->expires_at);
    snprintf(seen->session_id, sizeof seen->session_id, "%s", a->session_id ? a->session_id : "");
    snprintf(seen->filename, sizeof seen->filename, "%s", a->filename ? a->filename : "");
    seen->n = a->n;
    for (size_t i = 0; i < a->n; i++) {
        snprintf(seen->job_ids[i], sizeof seen->job_ids[i], "%s", a->results[i].job_id);
        snprintf(seen->paths[i], sizeof seen->paths[i], "%s", a->results[i].file_path);
    }
}

static int create_archive(struct fixture *f, const char *session_id, const char *const job_ids[], size_t n,
                          struct archive_seen *ret)
{
    *ret = (struct archive_seen){0};
    token_create_archive(f->r, session_id, job_ids, n, "all.zip", 600, take_archive, ret);
    answer_wait(f, &ret->answer);
    return ret->answer.err;
}

static int load_archive(struct fixture *f, const char *token, struct archive_seen *ret)
{
    *ret = (struct archive_seen){0};
    token_load_archive(f->r, token, take_archive, ret);
    answer_wait(f, &ret->answer);
    return ret->answer.err;
}

static void test_archive(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char ids[TOKEN_RESULTS_MAX][ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];
    const char *jobs[TOKEN_RESULTS_MAX];
    struct archive_seen made, loaded;

    assert_int_equal(do_session_create(f, 86400, &s), 0);
    for (size_t i = 0; i < TOKEN_RESULTS_MAX; i++) {
        make_job(f, s.id, JOB_COMPLETED, ids[i]);
        jobs[i] = ids[i];
    }
    assert_int_equal(create_archive(f, s.id, jobs, TOKEN_RESULTS_MAX, &made), 0);
    assert_true(id_is_token(made.token));
    assert_string_equal(made.expires_at,
                        redis_server_str(f->server, "HGET download_token:%s expires_at", made.token));
    assert_int_equal(load_archive(f, made.token, &loaded), 0);
    assert_string_equal(loaded.session_id, s.id);
    assert_string_equal(loaded.filename, "all.zip");
    assert_int_equal(loaded.n, TOKEN_RESULTS_MAX);
    for (size_t i = 0; i < TOKEN_RESULTS_MAX; i++) {
        assert_string_equal(loaded.job_ids[i], ids[i]);
        assert_string_equal(loaded.paths[i], "s/j/out.pdf");
    }
    assert_in_range(redis_server_int(f->server, "PTTL download_token:%s", made.token), 1, 600000);
    assert_all_expire(f, s.id);
    /* The one kind is none of the other. */
    assert_int_equal(do_token_load(f, made.token), -ENOENT);
    assert_int_equal(do_token_create(f, s.id, ids[0], 600, token), 0);
    assert_int_equal(load_archive(f, token, &loaded), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "ZCARD session:%s:tokens", s.id), 2);
}

static void test_archive_refused(void **state)
{
    struct fixture *f = *state;
    struct session s, other;
    char done[ID_UUID_LEN + 1], busy[ID_UUID_LEN + 1], theirs[ID_UUID_LEN + 1], none[ID_UUID_LEN + 1];
    const struct {
        const char *jobs[3];
        int err;
    } rows[] = {
        {{done, busy, none}, -EBUSY}, {{done, none, busy}, -ENOENT}, {{done, theirs, busy}, -ENOENT},
        {{done, "x", busy}, -ENOENT}, {{done, "", busy}, -ENOENT},
    };
    struct archive_seen seen;

    assert_int_equal(do_session_create(f, 60, &s), 0);
    assert_int_equal(do_session_create(f, 60, &other), 0);
    make_job(f, s.id, JOB_COMPLETED, done);
    make_job(f, s.id, JOB_PROCESSING, busy);
    make_job(f, other.id, JOB_COMPLETED, theirs);
    id_uuid(none);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(create_archive(f, s.id, rows[i].jobs, 3, &seen), rows[i].err);
        assert_int_equal(seen.job, 1);
    }
    assert_int_equal(create_archive(f, "x", rows[0].jobs, 1, &seen), -ENOENT);
    assert_int_equal(load_archive(f, "x", &seen), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:tokens", s.id), 0);
}

/* One that is not what it was ends the link to all. */
static void test_archive_bound(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char ids[2][ID_UUID_LEN + 1];
    const char *const jobs[] = {ids[0], ids[1]};
    struct archive_seen made, loaded;
    unsigned running;

    assert_int_equal(do_session_create(f, 60, &s), 0);
    make_job(f, s.id, JOB_COMPLETED, ids[0]);
    make_job(f, s.id, JOB_COMPLETED, ids[1]);
    assert_int_equal(create_archive(f, s.id, jobs, 2, &made), 0);
    assert_int_equal(load_archive(f, made.token, &loaded), 0);
    redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path s/j/other.pdf", s.id, ids[1]);
    assert_int_equal(load_archive(f, made.token, &loaded), -ENOENT);
    redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path s/j/out.pdf", s.id, ids[1]);
    assert_int_equal(load_archive(f, made.token, &loaded), 0);
    redis_server_do(f->server, "DEL session:%s:jobs:%s", s.id, ids[0]);
    assert_int_equal(load_archive(f, made.token, &loaded), -ENOENT);
    make_job(f, s.id, JOB_COMPLETED, ids[0]);
    assert_int_equal(create_archive(f, s.id, jobs, 2, &made), 0);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_int_equal(load_archive(f, made.token, &loaded), -ENOENT);
}

/* Links of either kind, where the session is an account's space. */
static void test_of_an_account(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1], token[ID_TOKEN_LEN + 1];
    const char *jobs[] = {job};
    struct archive_seen made, loaded;
    const struct {
        const char *change;
        int err;
    } rows[] = {
        {"HSET account:ann disabled %s", 0},
        {"HSET account:ann disabled 2026-01-01T00:00:00.000Z", -ENOENT},
        {"HDEL account:ann disabled", -ENOENT}, /* it is gone */
    };

    assert_int_equal(do_session_create(f, 60, &s), 0);
    redis_server_do(f->server, "HSET session:%s account ann", s.id);
    make_job(f, s.id, JOB_COMPLETED, job);
    assert_int_equal(do_token_create(f, s.id, job, 600, token), 0);
    assert_int_equal(create_archive(f, s.id, jobs, 1, &made), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        redis_server_do(f->server, rows[i].change, "");
#pragma GCC diagnostic pop
        assert_int_equal(do_token_load(f, token), rows[i].err);
        assert_int_equal(load_archive(f, made.token, &loaded), rows[i].err);
    }
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
        cmocka_unit_test_setup_teardown(test_archive, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_archive_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_archive_bound, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_of_an_account, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
