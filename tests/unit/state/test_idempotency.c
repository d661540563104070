/* A request is carried out once, and its answer kept. */
#include "fixture.h"

#include "core/str.h"
#include "state/idempotency.h"

struct claim {
    bool done, answered;
    int err;
    unsigned status;
    char text[64];
};

static void on_claimed(void *arg, int err, const struct idempotency_answer *before)
{
    struct claim *c = arg;

    *c = (struct claim){.done = true, .answered = before, .err = err};
    if (before) {
        c->status = before->status;
        assert_int_equal(strlen(before->text), before->len);
        snprintf(c->text, sizeof c->text, "%s", before->text);
    }
}

struct known {
    struct fixture *f;
    struct session session;
};

static struct known know(void **state)
{
    struct known k = {.f = *state};

    assert_int_equal(do_session_create(k.f, 100, &k.session), 0);
    return k;
}

static struct claim claim_as(struct known *k, const char *name, const char *fingerprint, const char *owner)
{
    struct claim c = {0};

    idempotency_claim(k->f->r, k->session.id, name, fingerprint, owner, on_claimed, &c);
    assert_false(c.done);
    assert_true(loop_until(&k->f->loop, &c.done, 10000));
    return c;
}

static void assert_begun(struct known *k, const char *name, const char *owner)
{
    struct claim c = claim_as(k, name, "same", owner);

    assert_int_equal(c.err, 0);
    assert_false(c.answered);
}

static int settle(struct known *k, const char *name, const char *owner, const char *text)
{
    struct answer a = {0};

    idempotency_settle(k->f->r, k->session.id, name, owner,
                       text ? &(struct idempotency_answer){202, text, strlen(text)} : NULL, answer_on, &a);
    answer_wait(k->f, &a);
    return a.err;
}

static void an_answer_is_kept(void **state)
{
    static const char text[] = "{\"name\":\"Über \\\"\\u0001\",\"n\":[]}";
    struct known k = know(state);
    struct claim c;

    assert_begun(&k, "n", "me");
    c = claim_as(&k, "n", "same", "other");
    assert_int_equal(c.err, -EBUSY);
    assert_int_equal(settle(&k, "n", "other", text), -ENOENT);
    assert_int_equal(settle(&k, "n", "me", text), 0);
    assert_int_equal(settle(&k, "n", "me", NULL), -ENOENT); /* as it has been answered */

    for (int i = 0; i < 2; i++) {
        c = claim_as(&k, "n", "same", "other");
        assert_int_equal(c.err, 0);
        assert_true(c.answered);
        assert_int_equal(c.status, 202);
        assert_string_equal(c.text, text);
    }
    assert_int_equal(claim_as(&k, "n", "different", "other").err, -EEXIST);
    assert_all_expire(k.f, k.session.id);
}

static void what_came_to_nothing_is_forgotten(void **state)
{
    struct known k = know(state);

    assert_begun(&k, "n", "me");
    assert_int_equal(claim_as(&k, "n", "different", "other").err, -EEXIST);
    assert_int_equal(settle(&k, "n", "me", NULL), 0);
    assert_begun(&k, "n", "other");
    assert_int_equal(redis_server_int(k.f->server, "ZCARD session:%s:answered", k.session.id), 1);
}

/* Whose owner has died goes to the next one, and the first can't end it any more. */
static void a_lease_ends(void **state)
{
    struct known k = know(state);

    redis_server_do(
        k.f->server,
        "HSET session:%s:answers n {\"fingerprint\":\"same\",\"owner\":\"dead\",\"until_ms\":\"5\"}",
        k.session.id);
    redis_server_do(k.f->server, "ZADD session:%s:answered 99999999999999 n", k.session.id);
    assert_begun(&k, "n", "me");
    assert_int_equal(settle(&k, "n", "dead", "{}"), -ENOENT);
    assert_int_equal(claim_as(&k, "n", "same", "third").err, -EBUSY);
}

static void old_ones_and_too_many_go(void **state)
{
    struct known k = know(state);
    char name[16];

    assert_begun(&k, "n", "me");
    assert_int_equal(settle(&k, "n", "me", "{}"), 0);
    redis_server_do(k.f->server, "ZADD session:%s:answered 5 n", k.session.id); /* of 1970 */
    assert_begun(&k, "n", "me");
    redis_server_do(k.f->server, "ZADD session:%s:answered 5 n", k.session.id);
    for (int i = 0; i < IDEMPOTENCY_MOST + 3; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_begun(&k, name, "me");
        if (i < 3) /* those are surely older than the others, whatever the clock's steps */
            redis_server_do(k.f->server, "ZINCRBY session:%s:answered -1000 %s", k.session.id, name);
    }
    assert_int_equal(redis_server_int(k.f->server, "ZCARD session:%s:answered", k.session.id),
                     IDEMPOTENCY_MOST);
    assert_int_equal(redis_server_int(k.f->server, "HLEN session:%s:answers", k.session.id),
                     IDEMPOTENCY_MOST);
    assert_int_equal(redis_server_int(k.f->server, "HEXISTS session:%s:answers n2", k.session.id), 0);
    assert_int_equal(claim_as(&k, "n3", "same", "other").err, -EBUSY);
}

static void nothing_outlives_its_session(void **state)
{
    struct known k = know(state);
    unsigned running;

    assert_begun(&k, "n", "me");
    assert_int_equal(do_begin_close(k.f, k.session.id, &running), 0);
    assert_int_equal(claim_as(&k, "m", "same", "me").err, -ENOENT);
    assert_int_equal(do_finish_close(k.f, k.session.id), 0);
    assert_int_equal(settle(&k, "n", "me", "{}"), -ENOENT);
    assert_no_keys(k.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_is_kept, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_came_to_nothing_is_forgotten, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_lease_ends, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(old_ones_and_too_many_go, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_outlives_its_session, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
