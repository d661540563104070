#include "fixture.h"

void fixture_wait_connected(struct fixture *f, bool wanted)
{
    for (int i = 0; i < 800 && redis_connected(f->r) != wanted; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(redis_connected(f->r), wanted);
}

void fixture_start(struct fixture *f, const char *const options[], const char *password)
{
    f->server = redis_server_start(options);
    uv_loop_init(&f->loop);
    assert_int_equal(
        redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server), .password = password},
                  &f->r),
        0);
}

void fixture_stop(struct fixture *f)
{
    redis_free(f->r);
    loop_close(&f->loop);
    redis_server_free(f->server);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    fixture_start(f, NULL, NULL);
    fixture_wait_connected(f, true);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

void answer_on(void *arg, int err, const redisReply *reply)
{
    struct answer *a = arg;

    a->calls++;
    a->err = err;
    a->number = redis_reply_int(reply);
    snprintf(a->text, sizeof a->text, "%s", redis_reply_str(reply) ? redis_reply_str(reply) : "");
    a->done = true;
}

void answer_wait(struct fixture *f, struct answer *a)
{
    assert_int_equal(a->calls, 0);
    assert_true(loop_until(&f->loop, &a->done, REDIS_TIMEOUT_MS + 2000));
    assert_int_equal(a->calls, 1);
}

/* What the typed callbacks leave behind. */
struct result {
    struct answer answer;
    struct session session;
    unsigned running;
    char token[ID_TOKEN_LEN + 1];
    void (*check)(const struct job *job, void *arg);
    void *check_arg;
};

static void take_session(void *arg, int err, const struct session *session)
{
    struct result *r = arg;

    answer_on(&r->answer, err, NULL);
    if (err == 0)
        r->session = *session;
}

static void take_running(void *arg, int err, unsigned running)
{
    struct result *r = arg;

    answer_on(&r->answer, err, NULL);
    r->running = running;
}

static void take_job(void *arg, int err, const struct job *job)
{
    struct result *r = arg;

    answer_on(&r->answer, err, NULL);
    if (err == 0 && r->check)
        r->check(job, r->check_arg);
}

static void take_token(void *arg, int err, const struct token *token)
{
    struct result *r = arg;

    answer_on(&r->answer, err, NULL);
    assert_int_equal(err == 0, token != NULL);
    if (token)
        memcpy(r->token, token->token, sizeof r->token);
}

int do_session_create(struct fixture *f, uint64_t ttl_s, struct session *ret)
{
    struct result r = {0};

    session_create(f->r, ttl_s, "", "", "free", take_session, &r);
    answer_wait(f, &r.answer);
    if (r.answer.err == 0)
        *ret = r.session;
    return r.answer.err;
}

int do_session_load(struct fixture *f, const char *id, struct session *ret)
{
    struct result r = {0};

    session_load(f->r, id, take_session, &r);
    answer_wait(f, &r.answer);
    if (r.answer.err == 0)
        *ret = r.session;
    return r.answer.err;
}

int do_begin_close(struct fixture *f, const char *id, unsigned *ret_running)
{
    struct result r = {0};

    session_begin_close(f->r, id, take_running, &r);
    answer_wait(f, &r.answer);
    *ret_running = r.running;
    return r.answer.err;
}

int do_running(struct fixture *f, const char *id, unsigned *ret_running)
{
    struct result r = {0};

    session_running(f->r, id, take_running, &r);
    answer_wait(f, &r.answer);
    *ret_running = r.running;
    return r.answer.err;
}

int do_finish_close(struct fixture *f, const char *id)
{
    struct answer a = {0};

    session_finish_close(f->r, id, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

int do_job_create_within(struct fixture *f, const struct job *job, const struct job_quota *quota)
{
    struct result r = {0};

    job_create(f->r, job, quota, take_job, &r);
    answer_wait(f, &r.answer);
    return r.answer.err;
}

int do_job_look_for_room(struct fixture *f, const char *session_id, uint64_t size,
                         const struct job_quota *quota)
{
    struct result r = {0};

    job_look_for_room(f->r, session_id, size, quota, take_job, &r);
    answer_wait(f, &r.answer);
    return r.answer.err;
}

int do_job_create(struct fixture *f, const struct job *job, uint64_t max_jobs)
{
    return do_job_create_within(f, job, &(struct job_quota){.jobs = max_jobs});
}

int do_job_update(struct fixture *f, const char *session_id, const char *job_id, const char *const pairs[])
{
    struct answer a = {0};

    job_update(f->r, session_id, job_id, NULL, pairs, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

int do_job_load(struct fixture *f, const char *session_id, const char *job_id,
                void (*check)(const struct job *job, void *arg), void *arg)
{
    struct result r = {.check = check, .check_arg = arg};

    job_load(f->r, session_id, job_id, take_job, &r);
    answer_wait(f, &r.answer);
    return r.answer.err;
}

int do_token_create(struct fixture *f, const char *session_id, const char *job_id, uint64_t ttl_s,
                    char ret_token[ID_TOKEN_LEN + 1])
{
    struct result r = {0};

    token_create(f->r, session_id, job_id, "Ergebnis \"1\".pdf", ttl_s, take_token, &r);
    answer_wait(f, &r.answer);
    memcpy(ret_token, r.token, sizeof r.token);
    return r.answer.err;
}

int do_token_load(struct fixture *f, const char *token)
{
    struct result r = {0};

    token_load(f->r, token, take_token, &r);
    answer_wait(f, &r.answer);
    return r.answer.err;
}

void make_job(struct fixture *f, const char *session_id, enum job_status status, char ret_id[ID_UUID_LEN + 1])
{
    struct job job = {.job_id = ret_id, .session_id = session_id};

    id_uuid(ret_id);
    assert_int_equal(do_job_create(f, &job, 1000), 0);
    assert_int_equal(do_job_update(f, session_id, ret_id,
                                   REDIS("status", job_status_name(status), "converted_path", "s/j/out.pdf",
                                         "output_mime_type", "application/pdf")),
                     0);
}

void assert_no_keys(struct fixture *f)
{
    redisReply *keys = redis_server_reply(f->server, "KEYS *"); /* without those that have expired */

    assert_int_equal(keys->elements, 0);
    freeReplyObject(keys);
}

void assert_all_expire(struct fixture *f, const char *session_id)
{
    redisReply *keys = redis_server_reply(f->server, "KEYS *");
    long long end = redis_server_int(f->server, "PEXPIRETIME session:%s", session_id);

    assert_true(end > 0);
    for (size_t i = 0; i < keys->elements; i++)
        assert_in_range(redis_server_int(f->server, "PEXPIRETIME %s", keys->element[i]->str), 1, end);
    freeReplyObject(keys);
}
