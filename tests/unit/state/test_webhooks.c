#include "fixture.h"

#include "core/clock.h"
#include "core/str.h"
#include "state/job_remove.h"
#include "state/webhooks.h"

#include <inttypes.h>

#define ACCOUNT "5f0e8a52-7a0e-4f6e-9b53-0c5b1c0f3a11"
#define OTHER   "5f0e8a52-7a0e-4f6e-9b53-0c5b1c0f3a22"

/* --- what the callbacks were given */

struct looked {
    struct answer answer;
    struct webhook_ended first;
    size_t n;
};

static void on_ended(void *arg, int err, const char *cursor, const struct webhook_ended *ended, size_t n)
{
    struct looked *l = arg;

    if (n > 0)
        l->first = ended[0];
    l->n = n;
    assert_string_equal(cursor, "0");
    answer_on(&l->answer, err, NULL);
}

static size_t look(struct fixture *f, const char *job, struct webhook_ended *ret)
{
    struct looked l = {0};

    webhooks_look(f->r, "0", job, on_ended, &l);
    answer_wait(f, &l.answer);
    assert_int_equal(l.answer.err, 0);
    if (ret)
        *ret = l.first;
    return l.n;
}

static int make(struct fixture *f, const struct webhook_ended *ended)
{
    struct answer a = {0};

    webhooks_make(f->r, ended, "job.completed", "{}", answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

struct taken {
    struct answer answer;
    char ids[WEBHOOK_TAKE_MAX][ID_UUID_LEN + 1];
    char hosts[64], secret[64], url[64];
    uint64_t attempts;
    long long next_ms;
    size_t n;
};

static void on_taken(void *arg, int err, long long next_ms, const struct webhook_taken *taken, size_t n)
{
    struct taken *t = arg;

    for (size_t i = 0; i < n; i++)
        snprintf(t->ids[i], sizeof t->ids[i], "%s", taken[i].id);
    if (n > 0) {
        snprintf(t->hosts, sizeof t->hosts, "%s", taken[0].hosts);
        snprintf(t->secret, sizeof t->secret, "%s", taken[0].secret);
        snprintf(t->url, sizeof t->url, "%s", taken[0].url);
        t->attempts = taken[0].attempts;
    }
    t->n = n;
    t->next_ms = next_ms;
    answer_on(&t->answer, err, NULL);
}

static size_t take(struct fixture *f, const char *owner, unsigned room, unsigned each,
                   const struct webhook_load *loads, size_t n_loads, struct taken *ret)
{
    *ret = (struct taken){0};
    webhooks_take(f->r, owner, room, each, loads, n_loads, on_taken, ret);
    answer_wait(f, &ret->answer);
    assert_int_equal(ret->answer.err, 0);
    return ret->n;
}

static int done(struct fixture *f, const char *id, const char *owner, enum webhook_state state,
                uint64_t delay_ms)
{
    const struct webhook_result result = {
        .state = state, .delay_ms = delay_ms, .status = 500, .error = "why"};
    struct answer a = {0};

    webhooks_done(f->r, id, owner, &result, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

/* --- the scene */

/* A job of an account's space that has ended, and is watched; its session is set. */
static void watched(struct fixture *f, const char *account, struct session *s, char job[ID_UUID_LEN + 1])
{
    struct answer a = {0};

    assert_int_equal(do_session_create(f, 86400, s), 0);
    redis_server_do(f->server, "HSET session:%s account %s", s->id, account);
    redis_server_do(f->server, "HSET account:%s webhook_hosts a.example webhook_secret whsec_x", account);
    make_job(f, s->id, JOB_COMPLETED, job);
    redis_server_do(f->server, "HSET session:%s:jobs:%s callback_url https://a.example/ task_id t1", s->id,
                    job);
    webhooks_watch(f->r, s->id, job, answer_on, &a);
    answer_wait(f, &a);
    assert_int_equal(a.err, 0);
}

static void delivery(struct fixture *f, const char *account)
{
    struct session s;
    struct webhook_ended ended;
    char job[ID_UUID_LEN + 1];

    watched(f, account, &s, job);
    assert_int_equal(look(f, job, &ended), 1);
    assert_int_equal(make(f, &ended), 0);
}

/* --- tests */

static void each_task_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct session s;
    struct webhook_ended ended;
    char job[ID_UUID_LEN + 1];

    watched(f, ACCOUNT, &s, job);
    assert_int_equal(look(f, NULL, &ended), 1);
    assert_string_equal(ended.job_id, job);
    assert_string_equal(ended.session_id, s.id);
    assert_string_equal(ended.task_id, "t1");
    assert_string_equal(ended.status, "completed");
    assert_string_equal(ended.account, ACCOUNT);
    assert_string_equal(ended.url, "https://a.example/");
    assert_int_equal(make(f, &ended), 0);
    assert_int_equal(make(f, &ended), -EBUSY); /* another courier has seen it, too */
    assert_int_equal(look(f, job, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:webhooks:due"), 1);
    assert_int_equal(redis_server_int(f->server, "HLEN decant:webhooks:watch"), 1); /* still, for a retry */
    /* the retry */
    redis_server_do(f->server, "HSET session:%s:jobs:%s task_id t2 status queued", s.id, job);
    assert_int_equal(look(f, job, NULL), 0);
    assert_int_equal(make(f, &ended), -EBUSY);
    redis_server_do(f->server, "HSET session:%s:jobs:%s status failed", s.id, job);
    assert_int_equal(look(f, job, &ended), 1);
    assert_string_equal(ended.status, "failed");
    /* and it is gone before that is told */
    redis_server_do(f->server, "DEL session:%s:jobs:%s", s.id, job);
    assert_int_equal(make(f, &ended), -ENOENT);
    assert_int_equal(look(f, job, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "HLEN decant:webhooks:watch"), 0);
}

/* An entry comes before its task is enqueued: the job may still look as it did. */
static void what_may_still_be_enqueued_stays(void **state)
{
    struct fixture *f = *state;
    struct session s;
    char job[ID_UUID_LEN + 1];

    watched(f, ACCOUNT, &s, job);
    redis_server_do(f->server, "HDEL session:%s:jobs:%s callback_url", s.id, job);
    assert_int_equal(look(f, job, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "HLEN decant:webhooks:watch"), 1);
    redis_server_do(f->server, "EVAL %s 0",
                    "redis.call('HSET', 'decant:webhooks:watch', '5f0e8a52', string.rep('a', 64) .. ' 1')");
    assert_int_equal(look(f, NULL, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "HEXISTS decant:webhooks:watch 5f0e8a52"), 0);
    redis_server_do(f->server, "HSET decant:webhooks:watch %s malformed", job);
    assert_int_equal(look(f, job, NULL), 0);
    assert_int_equal(redis_server_int(f->server, "HLEN decant:webhooks:watch"), 0);
}

static void one_has_it_for_a_time(void **state)
{
    struct fixture *f = *state;
    struct taken t, again;
    long long due;

    delivery(f, ACCOUNT);
    assert_int_equal(take(f, "a", 8, 8, NULL, 0, &t), 1);
    assert_string_equal(t.hosts, "a.example");
    assert_string_equal(t.secret, "whsec_x");
    assert_string_equal(t.url, "https://a.example/");
    assert_int_equal(t.attempts, 0);
    assert_in_range(t.next_ms, WEBHOOK_LEASE_MS - 20000, WEBHOOK_LEASE_MS);
    assert_int_equal(take(f, "b", 8, 8, NULL, 0, &again), 0);
    /* a has died, or is so slow that nobody believes in it */
    redis_server_do(f->server, "ZADD decant:webhooks:due 0 %s", t.ids[0]);
    assert_int_equal(take(f, "b", 8, 8, NULL, 0, &again), 1);
    assert_int_equal(done(f, t.ids[0], "a", WEBHOOK_DELIVERED, 0), -EBUSY);
    assert_int_equal(done(f, t.ids[0], "b", WEBHOOK_WAITING, 5000), 0);
    due = redis_server_int(
        f->server, "EVAL %s 0",
        "return tonumber(redis.call('ZRANGE', 'decant:webhooks:due', 0, 0, 'WITHSCORES')[2])");
    assert_in_range(due, clock_real_ms() - 15000, clock_real_ms() + 5000);
    assert_string_equal(redis_server_str(f->server, "HGET webhook:%s attempts", t.ids[0]), "1");
    redis_server_do(f->server, "ZADD decant:webhooks:due 0 %s", t.ids[0]);
    assert_int_equal(take(f, "b", 8, 8, NULL, 0, &again), 1);
    assert_int_equal(again.attempts, 1);
    assert_int_equal(done(f, t.ids[0], "b", WEBHOOK_DELIVERED, 0), 0);
    assert_int_equal(done(f, t.ids[0], "b", WEBHOOK_DELIVERED, 0), -EBUSY);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:webhooks:due"), 0);
    assert_string_equal(
        redis_server_str(f->server, "HGET decant:counts %b", "webhooks delivered", (size_t)18), "1");
    assert_string_equal(redis_server_str(f->server, "HGET decant:counts %b", "webhooks retried", (size_t)16),
                        "1");
}

static void an_account_that_has_enough_waits(void **state)
{
    struct fixture *f = *state;
    const struct webhook_load load = {.account = ACCOUNT, .n = 1};
    struct taken t;

    for (int i = 0; i < 5; i++)
        delivery(f, ACCOUNT);
    delivery(f, OTHER);
    assert_int_equal(take(f, "a", 8, 2, &load, 1, &t), 2); /* one more of it, and the other's */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(done(f, t.ids[i], "a", WEBHOOK_DROPPED, 0), 0);
    assert_int_equal(take(f, "a", 8, 2, NULL, 0, &t), 0); /* for a moment, others come first */
    assert_in_range(t.next_ms, 1, 1000);
}

struct listed {
    struct answer answer;
    size_t looked_at, n;
    char state[16], error[16];
};

static void on_list(void *arg, int err, size_t looked_at, const struct webhook *list, size_t n)
{
    struct listed *l = arg;

    l->looked_at = looked_at;
    l->n = n;
    if (n > 0) {
        snprintf(l->state, sizeof l->state, "%s", list[0].state);
        snprintf(l->error, sizeof l->error, "%s", list[0].last_error);
    }
    answer_on(&l->answer, err, NULL);
}

static struct listed list(struct fixture *f, const char *account, const char *wanted)
{
    struct listed l = {0};

    webhooks_list(f->r, 0, account, wanted, on_list, &l);
    answer_wait(f, &l.answer);
    assert_int_equal(l.answer.err, 0);
    return l;
}

static void on_one(void *arg, int err, const struct webhook *webhook)
{
    if (webhook)
        assert_string_equal(webhook->body, "{}");
    answer_on(arg, err, NULL);
}

static int load(struct fixture *f, const char *id)
{
    struct answer a = {0};

    webhooks_load(f->r, id, on_one, &a);
    answer_wait(f, &a);
    return a.err;
}

static int replay(struct fixture *f, const char *id)
{
    struct answer a = {0};

    webhooks_replay(f->r, id, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

static void operators_see_them_and_send_them_again(void **state)
{
    struct fixture *f = *state;
    struct listed l;
    struct taken t;

    assert_int_equal(list(f, "", "").looked_at, 0);
    delivery(f, OTHER);
    delivery(f, ACCOUNT);
    assert_int_equal(list(f, "", "").n, 2);
    l = list(f, ACCOUNT, "");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.looked_at, 2);
    assert_string_equal(l.state, "waiting");
    assert_int_equal(list(f, "", "failed").n, 0);
    assert_int_equal(take(f, "a", 8, 8, NULL, 0, &t), 2);
    assert_int_equal(done(f, t.ids[0], "a", WEBHOOK_FAILED, 0), 0);
    l = list(f, "", "failed");
    assert_int_equal(l.n, 1);
    assert_string_equal(l.error, "why");
    assert_int_equal(replay(f, t.ids[0]), 0);
    assert_int_equal(list(f, "", "failed").n, 0);
    assert_int_equal(take(f, "a", 8, 8, NULL, 0, &t), 1);
    assert_int_equal(t.attempts, 0);
    assert_int_equal(load(f, t.ids[0]), 0);
    /* Seven days later. */
    redis_server_do(f->server, "DEL webhook:%s", t.ids[0]);
    assert_int_equal(load(f, t.ids[0]), -ENOENT);
    assert_int_equal(replay(f, t.ids[0]), -ENOENT);
    assert_int_equal(replay(f, "x"), -ENOENT);
    assert_int_equal(load(f, "*"), -ENOENT);
    assert_int_equal(list(f, "", "").n, 1);
}

/* --- with their job */

static void on_removed(void *arg, int err, const char *task_id)
{
    answer_on(arg, err, NULL);
}

static void remove_job(struct fixture *f, const struct session *s, const char *job, bool expired)
{
    const struct job_removal removal = {.session_id = s->id, .job_id = job, .expired = expired};
    struct answer a = {0};

    job_remove(f->r, &removal, on_removed, &a);
    answer_wait(f, &a);
    assert_int_equal(a.err, 0);
}

static long long all(struct fixture *f)
{
    return redis_server_int(f->server, "ZCARD decant:webhooks:all");
}

/* One that is told of twice, as it was retried; and what is under way just then is not put down again. */
static void a_removed_job_leaves_none(void **state)
{
    struct fixture *f = *state;
    struct session s, its;
    struct webhook_ended ended;
    struct taken t;
    char job[ID_UUID_LEN + 1], other[ID_UUID_LEN + 1];

    watched(f, ACCOUNT, &s, job);
    for (int i = 1; i <= 2; i++) {
        redis_server_do(f->server, "HSET session:%s:jobs:%s task_id t%d", s.id, job, i);
        assert_int_equal(look(f, job, &ended), 1);
        assert_int_equal(make(f, &ended), 0);
    }
    assert_int_equal(take(f, "a", 1, 8, NULL, 0, &t), 1);
    watched(f, OTHER, &its, other);
    assert_int_equal(look(f, other, &ended), 1);
    assert_int_equal(make(f, &ended), 0);
    remove_job(f, &s, job, false);
    assert_int_equal(load(f, t.ids[0]), -ENOENT);
    assert_int_equal(done(f, t.ids[0], "a", WEBHOOK_WAITING, 5000), -ENOENT);
    assert_int_equal(all(f), 1);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:webhooks:due"), 1);

    /* its time was over: nobody has asked that it isn't told */
    remove_job(f, &its, other, true);
    assert_int_equal(take(f, "a", 8, 8, NULL, 0, &t), 1);
    assert_int_equal(load(f, t.ids[0]), 0);
}

static void a_closed_session_leaves_none(void **state)
{
    struct fixture *f = *state;
    struct session s;
    struct webhook_ended ended;
    struct taken t;
    char job[ID_UUID_LEN + 1];
    unsigned running;

    watched(f, ACCOUNT, &s, job);
    assert_int_equal(look(f, job, &ended), 1);
    assert_int_equal(make(f, &ended), 0);
    delivery(f, OTHER);
    assert_int_equal(do_begin_close(f, s.id, &running), 0);
    assert_int_equal(do_finish_close(f, s.id), 0);
    assert_int_equal(all(f), 1);
    assert_int_equal(take(f, "a", 8, 8, NULL, 0, &t), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_task_is_told_once),
        TEST(what_may_still_be_enqueued_stays),
        TEST(one_has_it_for_a_time),
        TEST(an_account_that_has_enough_waits),
        TEST(operators_see_them_and_send_them_again),
        TEST(a_removed_job_leaves_none),
        TEST(a_closed_session_leaves_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
