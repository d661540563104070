#include "fixture.h"

#include "core/str.h"

static void test_status_names(void **state)
{
    enum job_status status;

    for (int i = JOB_UPLOADED; i <= JOB_CANCELLED; i++) {
        assert_int_equal(job_status_parse(job_status_name((enum job_status)i), &status), 0);
        assert_int_equal(status, i);
    }
    assert_int_equal(job_status_parse("Queued", &status), -EINVAL);
    assert_int_equal(job_status_parse("", &status), -EINVAL);
}

static void check_same(const struct job *job, void *arg)
{
    const struct job *w = arg;

#define SAME_TEXT(m)   assert_string_equal(job->m, w->m)
#define SAME_NUMBER(m) assert_true(job->m == w->m)
    SAME_TEXT(job_id);
    SAME_TEXT(session_id);
    SAME_TEXT(original_filename);
    SAME_TEXT(source_format);
    SAME_TEXT(target_format);
    SAME_TEXT(mime_type);
    SAME_TEXT(sha256);
    SAME_NUMBER(size);
    SAME_TEXT(stored_path);
    SAME_TEXT(converted_path);
    SAME_NUMBER(status);
    SAME_NUMBER(progress);
    SAME_TEXT(task_id);
    SAME_TEXT(options);
    SAME_TEXT(inputs);
    SAME_TEXT(sealed_secrets);
    SAME_TEXT(secret_options);
    SAME_TEXT(cancelling);
    SAME_TEXT(created_at);
    SAME_TEXT(started_at);
    SAME_TEXT(completed_at);
    SAME_TEXT(error_code);
    SAME_TEXT(error_message);
    SAME_TEXT(output_mime_type);
    SAME_NUMBER(output_size);
    SAME_NUMBER(output_pages);
    SAME_TEXT(scan);
    SAME_TEXT(signature);
    SAME_TEXT(engine);
    SAME_TEXT(sandbox);
    SAME_TEXT(worker);
    SAME_NUMBER(attempts);
    SAME_NUMBER(cpu_ms);
    SAME_NUMBER(peak_kib);
    SAME_NUMBER(pss_kib);
    SAME_TEXT(fonts_substituted);
    SAME_NUMBER(cached);
    SAME_TEXT(fingerprint);
    SAME_TEXT(idempotency);
}

/* Every member comes back as it was stored. A member that the table does not know would come back empty. */
static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1];
    struct session s;

    id_uuid(id);
    assert_int_equal(do_session_create(f, 100, &s), 0);

    struct job job = {.job_id = id,
                      .session_id = s.id,
                      .original_filename = "Über \"die\"\r\nBrücke $(x).docx",
                      .source_format = "docx",
                      .target_format = "pdf",
                      .mime_type = "a/b",
                      .sha256 = "e3b0",
                      .size = UINT64_C(1) << 53,
                      .stored_path = "a/b/uploads/c.docx",
                      .converted_path = "a/b/converted/c.pdf",
                      .status = JOB_UPLOADED,
                      .progress = 100,
                      .task_id = "t",
                      .options = "{\"quality\": 3}",
                      .inputs = "[]",
                      .sealed_secrets = "c2VhbGVk",
                      .secret_options = "password",
                      .cancelling = "t0",
                      .created_at = "2026-01-01T00:00:00.000Z",
                      .started_at = "s",
                      .completed_at = "c",
                      .error_code = "ec",
                      .error_message = "em",
                      .output_mime_type = "om",
                      .output_size = 1,
                      .output_pages = 2,
                      .callback_url = "https://a.example/",
                      .scan = "clean",
                      .signature = "sig",
                      .engine = "office",
                      .engine_version = "LibreOffice 7",
                      .sandbox = "full",
                      .worker = "w",
                      .attempts = 3,
                      .cpu_ms = 4,
                      .peak_kib = 5,
                      .pss_kib = 6,
                      .fonts_substituted = "[]",
                      .queue_ms = 7,
                      .duration_ms = JOB_UNKNOWN,
                      .cached = true,
                      .fingerprint = "f0",
                      .idempotency = "f1"};

    assert_int_equal(do_job_create(f, &job, 10), 0);
    assert_int_equal(do_job_load(f, s.id, id, check_same, &job), 0);
    assert_int_equal(do_job_create(f, &job, 10), -EEXIST);
    assert_all_expire(f, s.id);
    /* both ends of the table are its own: no field beyond it in Redis (but stored_bytes, which job_create
     * keeps for job_remove), no pointer of struct job without one */
    assert_int_equal(redis_server_int(f->server, "HLEN session:%s:jobs:%s", s.id, id), 44);
    assert_int_equal(sizeof job, 42 * 8);
    /* a field that this release does not know, one that is gone, one that is no number */
    redis_server_do(f->server, "HSET session:%s:jobs:%s later x", s.id, id);
    redis_server_do(f->server, "HDEL session:%s:jobs:%s engine size", s.id, id);
    job.engine = "";
    job.size = 0;
    assert_int_equal(do_job_load(f, s.id, id, check_same, &job), 0);
    redis_server_do(f->server, "HSET session:%s:jobs:%s size 1x", s.id, id);
    assert_int_equal(do_job_load(f, s.id, id, NULL, NULL), -EPROTO);
}

static void check_new(const struct job *job, void *arg)
{
    assert_int_equal(job->status, JOB_UPLOADED);
    assert_int_equal(strlen(job->created_at), 24);
    assert_string_equal(job->completed_at, "");
}

static void test_create(void **state)
{
    /* what the specification wants to be there from the start */
    static const char *const wanted[] = {"original_filename", "target_format", "stored_path",
                                         "converted_path",    "status",        "task_id",
                                         "created_at",        "completed_at",  "error_message"};
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1], no_session[ID_TOKEN_LEN + 1];
    struct session s;
    struct job job = {.job_id = id, .session_id = s.id, .status = JOB_COMPLETED};

    assert_int_equal(do_session_create(f, 100, &s), 0);
    for (int i = 0; i < 3; i++) {
        id_uuid(id);
        assert_int_equal(do_job_create(f, &job, 3), 0);
    }
    assert_int_equal(do_job_load(f, s.id, id, check_new, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_int_equal(redis_server_int(f->server, "HEXISTS session:%s:jobs:%s %s", s.id, id, wanted[i]),
                         1);
    assert_int_equal(redis_server_int(f->server, "ZCARD session:%s:jobs", s.id), 3);
    assert_int_equal(redis_server_int(f->server, "PEXPIRETIME session:%s:jobs:%s", s.id, id),
                     redis_server_int(f->server, "PEXPIRETIME session:%s", s.id));
    id_uuid(id);
    assert_int_equal(do_job_create(f, &job, 3), -EDQUOT);
    id_token(no_session);
    job.session_id = no_session;
    assert_int_equal(do_job_create(f, &job, 3), -ENOENT);
    job.session_id = s.id;
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(do_job_create(f, &job, 10), -ENOSPC);
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    assert_int_equal(do_job_load(f, s.id, id, NULL, NULL), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "ZCARD session:%s:jobs", s.id), 3);
    assert_all_expire(f, s.id);
}

static int create_of(struct fixture *f, const struct session *s, uint64_t size, uint64_t session_bytes,
                     uint64_t all_bytes)
{
    char id[ID_UUID_LEN + 1];
    const struct job job = {.job_id = id, .session_id = s->id, .size = size};
    const struct job_quota quota = {.jobs = 6, .session_bytes = session_bytes, .all_bytes = all_bytes};
    int looked, created;

    id_uuid(id);
    looked = do_job_look_for_room(f, s->id, size, &quota); /* which stores nothing */
    created = do_job_create_within(f, &job, &quota);
    assert_int_equal(looked, created);
    return created;
}

static long long stored(struct fixture *f)
{
    return strtoll(redis_server_str(f->server, "GET decant:stored:sum"), NULL, 10);
}

/* The sum is what it is the sum of. */
static void assert_sum(struct fixture *f, long long expected)
{
    redisReply *counts = redis_server_reply(f->server, "HVALS decant:stored");
    long long sum = 0;

    for (size_t i = 0; i < counts->elements; i++)
        sum += strtoll(counts->element[i]->str, NULL, 10);
    freeReplyObject(counts);
    assert_int_equal(sum, expected);
    assert_int_equal(stored(f), expected);
}

static void test_quota(void **state)
{
    struct fixture *f = *state;
    struct session a, b;

    assert_int_equal(do_session_create(f, 100, &a), 0);
    assert_int_equal(do_session_create(f, 100, &b), 0);
    assert_int_equal(create_of(f, &a, 600, 1000, 1500), 0);
    assert_int_equal(create_of(f, &a, 401, 1000, 1500), -EFBIG);
    assert_int_equal(create_of(f, &a, 400, 1000, 1500), 0);
    assert_int_equal(create_of(f, &a, 1, 1000, 1500), -EFBIG);
    assert_int_equal(create_of(f, &b, 501, 1000, 1500), -ENOBUFS);
    assert_sum(f, 1000);
    assert_int_equal(create_of(f, &b, 500, 1000, 1500), 0);
    assert_int_equal(create_of(f, &b, 1, 1000, 1500), -ENOBUFS);
    assert_int_equal(create_of(f, &b, 1, 1000, 0), 0); /* no such limit */
    assert_int_equal(create_of(f, &a, 1, 0, 0), 0);
    assert_sum(f, 1502);

    for (int i = 0; i < 3; i++)
        assert_int_equal(create_of(f, &a, 0, 0, 0), 0);
    assert_int_equal(create_of(f, &a, 0, 0, 0), -EDQUOT);

    /* A session gives back what it had, once. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(do_finish_close(f, a.id), 0);
        assert_sum(f, 501);
    }
    assert_int_equal(create_of(f, &b, 499, 1000, 1000), 0);
    assert_int_equal(do_finish_close(f, b.id), 0);
    assert_no_keys(f);
}

/* What has expired takes its share away, whether or not anybody looked. */
static void test_quota_of_the_expired(void **state)
{
    struct fixture *f = *state;
    struct session old, next;

    assert_int_equal(do_session_create(f, 100, &old), 0);
    assert_int_equal(do_session_create(f, 100, &next), 0);
    assert_int_equal(create_of(f, &old, 1000, 0, 1000), 0);
    assert_int_equal(create_of(f, &next, 1, 0, 1000), -ENOBUFS);
    assert_sum(f, 1000);
    redis_server_do(f->server, "ZADD decant:stored:expiry 1000 %s", old.id); /* in 1970 */
    assert_int_equal(create_of(f, &next, 1001, 0, 1000), -ENOBUFS);
    assert_int_equal(create_of(f, &next, 700, 0, 1000), 0);
    assert_sum(f, 700);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:stored:expiry"), 1);
    assert_int_equal(redis_server_int(f->server, "HLEN decant:stored"), 1);
    assert_int_equal(create_of(f, &next, 301, 0, 1000), -ENOBUFS);
    assert_int_equal(create_of(f, &next, 300, 0, 1000), 0);
}

static void test_malformed_ids(void **state)
{
    static const char *const malformed[] = {NULL,
                                            "",
                                            "*",
                                            "x:jobs:y",
                                            "01234567-89ab-4cde-8fab-0123456789aB",
                                            "01234567-89ab-4cde-8fab-0123456789ab0"};
    static const char good_session[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char good_job[] = "01234567-89ab-4cde-8fab-0123456789ab";
    struct fixture *f = *state;

    redis_server_do(f->server, "CONFIG RESETSTAT");
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        struct job a = {.session_id = good_session, .job_id = malformed[i]},
                   b = {.session_id = malformed[i], .job_id = good_job};

        assert_int_equal(do_job_create(f, &a, 1), -ENOENT);
        assert_int_equal(do_job_create(f, &b, 1), -ENOENT);
        assert_int_equal(do_job_load(f, good_session, malformed[i], NULL, NULL), -ENOENT);
        assert_int_equal(do_job_load(f, malformed[i], good_job, NULL, NULL), -ENOENT);
        assert_int_equal(do_job_update(f, good_session, malformed[i], REDIS("a", "b")), -ENOENT);
        assert_int_equal(do_job_update(f, malformed[i], good_job, REDIS("a", "b")), -ENOENT);
    }
    assert_null(strstr(redis_server_str(f->server, "INFO commandstats"), "cmdstat_hmget"));
    assert_null(strstr(redis_server_str(f->server, "INFO commandstats"), "cmdstat_eval"));
    assert_int_equal(do_job_load(f, good_session, good_job, NULL, NULL), -ENOENT);
    assert_int_equal(do_job_update(f, good_session, good_job, REDIS("a", "b")), -ENOENT);
    assert_no_keys(f);
}

static void check_progress(const struct job *job, void *arg)
{
    assert_int_equal(job->progress, *(unsigned *)arg);
}

static void assert_progress(struct fixture *f, const char *sid, const char *jid, unsigned progress)
{
    assert_int_equal(do_job_load(f, sid, jid, check_progress, &progress), 0);
}

static void test_update(void **state)
{
    static const enum job_status final[] = {JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED};
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1];
    struct session s, other;

    assert_int_equal(do_session_create(f, 200, &other), 0);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_PROCESSING, id);
    assert_int_equal(do_job_update(f, s.id, id, REDIS("progress", "40")), 0);
    assert_progress(f, s.id, id, 40);
    assert_int_equal(do_job_update(f, s.id, id, REDIS("engine", "office", "progress", "9")), 0);
    assert_progress(f, s.id, id, 40);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s engine", s.id, id), "office");
    assert_int_equal(do_job_update(f, s.id, id, REDIS("progress", "100")), 0);
    assert_progress(f, s.id, id, 100);
    assert_int_equal(do_job_update(f, s.id, id, REDIS("progress", "0", "attempts", "2")), 0);
    assert_progress(f, s.id, id, 0);
    assert_int_equal(do_job_update(f, other.id, id, REDIS("progress", "50")), -ENOENT);

    for (size_t i = 0; i < ARRAY_SIZE(final); i++) {
        make_job(f, s.id, final[i], id);
        assert_int_equal(do_job_update(f, s.id, id, REDIS("status", "processing")), -ECANCELED);
        assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s status", s.id, id),
                            job_status_name(final[i]));
    }
    assert_all_expire(f, other.id);
    assert_int_equal(redis_server_int(f->server, "PEXPIRETIME session:%s:jobs:%s", s.id, id),
                     redis_server_int(f->server, "PEXPIRETIME session:%s", s.id));
}

/* It has been started anew since, or is to be stopped. */
static void test_update_of_an_old_task(void **state)
{
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1];
    struct session s;
    static const struct {
        const char *task, *of, *cancelling;
        int err;
    } cases[] = {{"t1", "t1", "", 0},
                 {"t1", "", "", 0}, /* nobody has said whose it is */
                 {"t1", "t2", "", -ECANCELED},
                 {"t1", "t1", "t1", -ECANCELED},
                 {"t2", "t2", "t1", 0}};

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_PROCESSING, id);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct answer a = {0};

        redis_server_do(f->server, "HSET session:%s:jobs:%s progress 0 task_id %s cancelling %s", s.id, id,
                        cases[i].of, cases[i].cancelling);
        job_update(f->r, s.id, id, cases[i].task, REDIS("progress", "7"), answer_on, &a);
        answer_wait(f, &a);
        assert_int_equal(a.err, cases[i].err);
        assert_progress(f, s.id, id, a.err ? 0 : 7);
    }
}

static void check_reset(const struct job *job, void *arg)
{
    const struct job *before = arg;

    assert_string_equal(job->original_filename, before->original_filename);
    assert_string_equal(job->stored_path, before->stored_path);
    assert_string_equal(job->options, before->options);
    assert_string_equal(job->created_at, before->created_at);
    assert_int_equal(job->size, before->size);
    assert_int_equal(job->status, before->status);
    assert_int_equal(job->progress, 0);
    assert_int_equal(job->attempts, 0);
    assert_string_equal(job->error_code, "");
    assert_string_equal(job->error_message, "");
    assert_string_equal(job->started_at, "");
    assert_string_equal(job->completed_at, "");
    assert_string_equal(job->converted_path, "");
    assert_string_equal(job->cancelling, "");
    assert_int_equal(job->duration_ms, JOB_UNKNOWN);
    assert_int_equal(job->queue_ms, JOB_UNKNOWN);
    assert_int_equal(job->peak_kib, 0);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1];
    struct session s;
    const char *pairs[JOB_RESET_MAX + 1];
    struct job job = {.job_id = id,
                      .original_filename = "a.txt",
                      .stored_path = "p",
                      .converted_path = "c",
                      .options = "{}",
                      .created_at = "then",
                      .started_at = "later",
                      .completed_at = "at last",
                      .error_code = "internal",
                      .error_message = "m",
                      .cancelling = "t",
                      .size = 3,
                      .progress = 40,
                      .attempts = 2,
                      .peak_kib = 9,
                      .queue_ms = 1,
                      .duration_ms = 2};

    id_uuid(id);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    job.session_id = s.id;
    assert_int_equal(do_job_create(f, &job, 10), 0);
    pairs[job_reset(pairs)] = NULL;
    for (size_t i = 0; pairs[i]; i += 2)
        redis_server_do(f->server, "HSET session:%s:jobs:%s %s %s", s.id, id, pairs[i], pairs[i + 1]);
    assert_int_equal(do_job_load(f, s.id, id, check_reset, &job), 0);
}

/* Redis forgets its scripts, and then everything, while updates are under way. */
static void test_flush_and_restart(void **state)
{
    struct fixture *f = *state;
    char id[ID_UUID_LEN + 1];
    struct session s;
    struct answer answers[200] = {{0}};
    int ok = 0;

    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_PROCESSING, id);
    assert_int_equal(do_job_update(f, s.id, id, REDIS("progress", "1")), 0);
    redis_server_do(f->server, "SCRIPT FLUSH SYNC");
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        job_update(f->r, s.id, id, NULL, REDIS("progress", i % 2 ? "10" : "20"), answer_on, &answers[i]);
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        assert_true(loop_until(&f->loop, &answers[i].done, 2000));
        assert_int_equal(answers[i].err, 0);
    }
    assert_progress(f, s.id, id, 20);

    memset(answers, 0, sizeof answers);
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        if (i == 100) {
            loop_for(&f->loop, 20);
            redis_server_kill(f->server);
        }
        job_update(f->r, s.id, id, NULL, REDIS("progress", "30"), answer_on, &answers[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        assert_true(loop_until(&f->loop, &answers[i].done, 2000));
        assert_int_equal(answers[i].calls, 1);
        ok += answers[i].err == 0;
        assert_true(answers[i].err == 0 || answers[i].err == -ENOTCONN);
    }
    assert_int_equal(ok, 100);
    redis_server_restart(f->server);
    fixture_wait_connected(f, true);
    assert_int_equal(do_job_update(f, s.id, id, REDIS("progress", "30")), -ENOENT);
    assert_int_equal(do_session_create(f, 100, &s), 0);
    make_job(f, s.id, JOB_QUEUED, id);
    assert_int_equal(do_job_load(f, s.id, id, NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_names),
        cmocka_unit_test_setup_teardown(test_round_trip, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_create, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_quota, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_quota_of_the_expired, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_malformed_ids, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_update, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_update_of_an_old_task, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_reset, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_flush_and_restart, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
