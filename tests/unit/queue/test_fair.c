/* Round robin over the owners of tasks, in lists that others take from too. */
#include "queue_fixture.h"

#include "core/clock.h"

#define BODY "[[], {}, {}]"

enum { MANY = 20000 };

/* A queue that is long enough. */
static int open_long(void **state)
{
    static const struct queue_config config = {
        .name = "decant", .max_length = MANY, .max_deliveries = 3, .lease_ms = 60000};

    fixture_setup(state);

    struct fixture *f = *state;

    queue_free(f->q);
    f->q = queue_new(f->r, &config);
    return 0;
}

/* The task's id begins with its owner's letter. Answers how many are served before it. */
static uint64_t enqueue_of(struct fixture *f, char owner, unsigned n, unsigned priority)
{
    struct queue_place place;
    char id[16], key[32], crowd[32];
    static const char *const set[] = {"status", "queued", NULL};

    snprintf(id, sizeof id, "%c%u", owner, n);
    snprintf(key, sizeof key, "job:%s", id);
    snprintf(crowd, sizeof crowd, "session:%c", owner);
    redis_server_do(f->server, "HSET %s status uploaded", key);

    const struct queue_hash hash = {
        .key = key, .field = "status", .expected = "uploaded", .channel = "c", .set = set};

    assert_int_equal(enqueue_task(f,
                                  &(struct queue_task){.id = id,
                                                       .name = "test.echo",
                                                       .priority = priority,
                                                       .crowd = crowd,
                                                       .crowd_max = MANY,
                                                       .place = &place},
                                  &hash),
                     0);
    return place.ahead;
}

/* Claims and finishes the next one, and says whose it was: "a3", or "" when nothing waits. */
static const char *serve(struct fixture *f, char ret[64])
{
    int err;
    struct queue_claim *c = claim_as(f, f->q, W1, &err);

    ret[0] = '\0';
    if (!c)
        return ret;
    snprintf(ret, 64, "%s", c->id);
    assert_int_equal(done_as(f, f->q, W1, c, QUEUE_SUCCESS, NULL), 0);
    queue_claim_free(c);
    return ret;
}

static void assert_served(struct fixture *f, const char *expected)
{
    char all[1024] = "", id[64];

    while (*serve(f, id)) {
        size_t len = strlen(all);

        snprintf(all + len, sizeof all - len, "%s%s", len > 0 ? " " : "", id);
    }
    assert_string_equal(all, expected);
}

/* How many are served before the first of that owner. */
static unsigned before(struct fixture *f, char owner)
{
    char id[64];
    unsigned n = 0;

    while (*serve(f, id) && id[0] != owner)
        n++;
    assert_int_equal(id[0], owner);
    return n;
}

static void test_many_do_not_stand_before_one(void **state)
{
    struct fixture *f = *state;
    char id[64];

    for (unsigned i = 0; i < 200; i++)
        enqueue_of(f, 'a', i, 0);
    enqueue_of(f, 'b', 0, 0);
    assert_int_equal(before(f, 'b'), 1); /* one of theirs */

    for (unsigned i = 0; i < 50; i++)
        serve(f, id);
    assert_string_equal(id, "a50"); /* their own order stays */
    enqueue_of(f, 'c', 0, 0);
    enqueue_of(f, 'd', 0, 0);
    assert_string_equal(serve(f, id), "a51");
    assert_string_equal(serve(f, id), "c0");
    assert_string_equal(serve(f, id), "d0");
    assert_string_equal(serve(f, id), "a52");
}

/* Of what it refuses nothing is done, also where there are rounds to forget. */
static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    static const char *const set[] = {"status", "queued", NULL};
    const struct queue_hash hash = {
        .key = "job:b0", .field = "status", .expected = "uploaded", .channel = "c", .set = set};
    char id[64];

    for (unsigned i = 0; i < 3; i++)
        enqueue_of(f, 'a', i, 0);
    assert_string_equal(serve(f, id), "a0");
    assert_string_equal(serve(f, id), "a1");
    redis_server_do(f->server, "HSET job:b0 status uploaded");
    redis_server_do(f->server, "CONFIG SET maxmemory 1");

    _cleanup_free_ char *before = snapshot(f);
    int r = enqueue_in(f, "session:b", 5, &hash);
    _cleanup_free_ char *after = snapshot(f);

    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    assert_true(r < 0);
    assert_string_equal(before, after);
}

/* Its place is told as it is served, and who has waited longest is not who is the next. */
static void test_places_and_ages(void **state)
{
    struct fixture *f = *state;
    uint64_t first_ms;
    char id[64];

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(enqueue_of(f, 'a', i, 0), i);
    first_ms = look(f).oldest_ms;
    assert_string_equal(serve(f, id), "a0");
    loop_for(&f->loop, 20);
    assert_int_equal(enqueue_of(f, 'b', 0, 0), 1);
    assert_int_equal(enqueue_of(f, 'c', 0, 0), 2);
    assert_int_equal(enqueue_of(f, 'd', 0, 3), 4); /* behind all of the first list */
    assert_string_equal(serve(f, id), "a1");
    assert_in_range(look(f).oldest_ms, first_ms, first_ms + 19); /* a2, behind b0 and c0 */
    assert_string_equal(serve(f, id), "b0");
    assert_string_equal(serve(f, id), "c0");
    assert_string_equal(serve(f, id), "a2");
    assert_true(look(f).oldest_ms >= first_ms + 20);
    assert_string_equal(serve(f, id), "d0");
    assert_int_equal(look(f).oldest_ms, 0);
}

static void test_turns(void **state)
{
    struct fixture *f = *state;
    char id[64];

    for (unsigned i = 0; i < 3; i++)
        enqueue_of(f, 'a', i, 0);
    for (unsigned i = 0; i < 2; i++)
        enqueue_of(f, 'b', i, 0);
    enqueue_of(f, 'c', 0, 0);
    assert_served(f, "a0 b0 c0 a1 b1 a2");

    /* who has had its turn in this round waits for the next one */
    enqueue_of(f, 'a', 0, 0);
    enqueue_of(f, 'a', 1, 0);
    enqueue_of(f, 'b', 0, 0);
    assert_string_equal(serve(f, id), "a0");
    enqueue_of(f, 'a', 2, 0);
    enqueue_of(f, 'c', 0, 0);
    assert_served(f, "b0 a1 c0 a2");
}

static void cancel_of(struct fixture *f, char owner, unsigned n)
{
    static const char *const set[] = {"status", "cancelled", NULL};
    char id[16], key[32], crowd[32];

    snprintf(id, sizeof id, "%c%u", owner, n);
    snprintf(key, sizeof key, "job:%s", id);
    snprintf(crowd, sizeof crowd, "session:%c", owner);
    assert_int_equal(
        cancel_in(f, id, crowd,
                  &(struct queue_hash){
                      .key = key, .field = "status", .expected = "queued", .channel = "c", .set = set}),
        0);
}

/* Whatever of a round is called off, who comes later stands behind those who were in it. */
static void test_called_off(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 3; i++)
        for (char owner = 'a'; owner < 'd'; owner++)
            enqueue_of(f, owner, i, 0);
    cancel_of(f, 'c', 1); /* the last one of its round */
    enqueue_of(f, 'd', 0, 0);
    enqueue_of(f, 'd', 1, 0);
    cancel_of(f, 'd', 0);
    cancel_of(f, 'a', 1); /* the first one */
    assert_served(f, "a0 b0 c0 b1 d1 a2 b2 c2");

    enqueue_of(f, 'a', 0, 0);
    enqueue_of(f, 'a', 1, 0);
    enqueue_of(f, 'b', 0, 0);
    cancel_of(f, 'b', 0); /* all of its round but the first one */
    enqueue_of(f, 'c', 0, 0);
    cancel_of(f, 'a', 0); /* as good as served: who comes now is of the next round */
    enqueue_of(f, 'd', 0, 0);
    assert_served(f, "c0 a1 d0");
}

/* Who has called all off is as new as before, and gains nothing either. */
static void test_nothing_left(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 20; i++)
        enqueue_of(f, 'a', i, 0);
    for (unsigned i = 0; i < 3; i++)
        enqueue_of(f, 'b', i, 0);
    for (unsigned i = 0; i < 20; i++)
        cancel_of(f, 'a', i);
    assert_int_equal(length(f), 3);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:deliveries:a0"), 0);
    enqueue_of(f, 'a', 20, 0);
    enqueue_of(f, 'a', 21, 0);
    assert_served(f, "b0 b1 a20 b2 a21");
}

/* A place that is far from both ends. */
static void test_far(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;
    char id[64];

    for (unsigned i = 0; i < 4; i++)
        enqueue_of(f, 'a', i, 0);
    enqueue_of(f, 'b', 0, 0);
    /* so many of the first round that the second one is not near */
    redis_server_do(f->server, "EVAL %s 0",
                    "local m = redis.call('LINDEX', 'decant', -1) "
                    "for i = 1, 1500 do redis.call('RPUSH', 'decant', m) end");
    assert_int_equal(enqueue_of(f, 'b', 1, 0), 1503);
    while (str_eq(serve(f, id), "a0"))
        n++;
    assert_int_equal(n, 1501);
    assert_string_equal(id, "b0");
    assert_served(f, "a1 b1 a2 a3");
}

/* Newcomers without end are no reason to forget who waits. */
static void test_nobody_starves(void **state)
{
    struct fixture *f = *state;
    char id[64], last = 'a';
    unsigned n = 0;

    enqueue_of(f, 'a', 0, 0);
    enqueue_of(f, 'b', 0, 0);
    enqueue_of(f, 'b', 1, 0);
    enqueue_of(f, 'b', 2, 0);
    do {
        enqueue_of(f, (char)('c' + n % 20), n, 0); /* as fast as they are served */
        last = serve(f, id)[0];
        n++;
    } while (last != 'b' || id[1] != '2');
    assert_true(n < 12);
}

static void test_priorities(void **state)
{
    struct fixture *f = *state;

    enqueue_of(f, 'a', 0, 9);
    enqueue_of(f, 'a', 1, 3);
    enqueue_of(f, 'a', 2, 3);
    enqueue_of(f, 'b', 0, 3);
    enqueue_of(f, 'b', 1, 0);
    assert_served(f, "b1 a1 b0 a2 a0");
}

/* Stock clients push on the left and stock consumers pop on the right, and know nothing of turns. */
static void test_strangers(void **state)
{
    struct fixture *f = *state;
    char id[64];

    push_foreign(f, "f0", BODY, "{}");
    push_foreign(f, "f1", BODY, "{}");
    enqueue_of(f, 'a', 0, 0);
    enqueue_of(f, 'a', 1, 0);
    push_foreign(f, "f2", BODY, "{}");
    enqueue_of(f, 'b', 0, 0); /* as its owner was not served yet: with a0 */
    assert_string_equal(serve(f, id), "f0");
    for (int i = 0; i < 3; i++) /* f1 a0 b0 */
        redis_server_do(f->server, "RPOP decant");
    enqueue_of(f, 'c', 0, 0);
    assert_served(f, "a1 f2 c0");

    /* all is taken behind our back */
    enqueue_of(f, 'a', 2, 0);
    enqueue_of(f, 'a', 3, 0);
    redis_server_do(f->server, "DEL decant");
    push_foreign(f, "f3", BODY, "{}");
    enqueue_of(f, 'a', 4, 0);
    enqueue_of(f, 'b', 5, 0);
    assert_string_equal(serve(f, id), "f3");
    assert_string_equal(serve(f, id), "b5"); /* a has had two turns since */
    assert_served(f, "a4");
}

/* A stamp is a stranger's word like any other. */
static void test_forged_stamps(void **state)
{
    struct fixture *f = *state;
    static const char *const stamps[] = {"[1,999999999999,0]",
                                         "[1,1e99,0]",
                                         "[1,99999999999999999999999,5]",
                                         "[1,5,99999999999999999999999999999999]",
                                         "\"x\"",
                                         "[]"};

    for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
        push_foreign(f, "forged", BODY, "{}");

        _cleanup_free_ char *message = strdup(redis_server_str(f->server, "LPOP decant"));

        redis_server_do(f->server, "RPUSH decant {\"decant\":%s,%s", stamps[i], message + 1);
        enqueue_of(f, 'a', 0, 0);
        enqueue_of(f, 'a', 1, 0);
        enqueue_of(f, 'b', 0, 0);
        assert_non_null(strstr(redis_server_str(f->server, "RPOP decant"), "forged"));
        assert_served(f, "a0 b0 a1");
        redis_server_do(f->server, "DEL decant:turns:decant decant:rounds:decant");
    }
}

/* Given back is the next again, wherever the turns are by then. */
static void test_given_back(void **state)
{
    struct fixture *f = *state;

    enqueue_of(f, 'a', 0, 0);
    enqueue_of(f, 'a', 1, 0);

    struct queue_claim *c = claim(f);

    enqueue_of(f, 'b', 0, 0);
    assert_int_equal(release_as(f, f->q, W1, c, NULL), 0);
    enqueue_of(f, 'c', 0, 0);
    assert_served(f, "a0 a1 b0 c0");
    queue_claim_free(c);
}

/* What is remembered is no more than what waits, and ends with it. */
static void test_little_is_remembered(void **state)
{
    struct fixture *f = *state;
    char id[64];

    for (unsigned i = 0; i < 300; i++) {
        enqueue_of(f, (char)('a' + i % 26), i, 0);
        if (i >= 20)
            serve(f, id);
    }
    assert_true(redis_server_int(f->server, "ZCARD decant:rounds:decant") <= 3);
    assert_true(redis_server_int(f->server, "ZCARD decant:turns:decant") <= 27);
    assert_true(redis_server_int(f->server, "TTL decant:rounds:decant") > 0);
    assert_true(redis_server_int(f->server, "TTL decant:turns:decant") > 0);
}

/* At random: each one once, each owner's in order, and while one waits no other is served more than twice. */
static void test_at_random(void **state)
{
    enum { OWNERS = 5, STEPS = 1500 };
    struct fixture *f = *state;
    unsigned sent[OWNERS] = {0}, served[OWNERS] = {0}, since[OWNERS][OWNERS] = {{0}}, seed = 1;
    char id[64];

    for (unsigned step = 0; step < STEPS || *id; step++) {
        seed = seed * 1103515245 + 12345;

        unsigned who = seed >> 16 & 7, what = seed >> 20 & 7;

        if (step < STEPS && what < 4) {
            who = who < OWNERS ? who : 0; /* the first of them sends more than all */
            if (sent[who] == served[who]) /* begins to wait */
                memset(since[who], 0, sizeof since[who]);
            enqueue_of(f, (char)('a' + who), sent[who]++, 0);
            continue;
        }
        if (!*serve(f, id))
            continue;
        who = (unsigned)(id[0] - 'a');
        assert_int_equal(atoi(id + 1), served[who]++);
        memset(since[who], 0, sizeof since[who]);
        for (unsigned other = 0; other < OWNERS; other++)
            if (other != who && sent[other] > served[other])
                assert_true(++since[other][who] <= 2);
    }
    for (unsigned i = 0; i < OWNERS; i++)
        assert_int_equal(sent[i], served[i]);
    assert_true(sent[0] > 200);
}

int main(void)
{
#define FAIR_TEST(t) cmocka_unit_test_setup_teardown(t, open_long, fixture_teardown)
    const struct CMUnitTest tests[] = {
        FAIR_TEST(test_many_do_not_stand_before_one),
        FAIR_TEST(test_turns),
        FAIR_TEST(test_called_off),
        FAIR_TEST(test_nothing_left),
        FAIR_TEST(test_far),
        FAIR_TEST(test_nobody_starves),
        FAIR_TEST(test_priorities),
        FAIR_TEST(test_strangers),
        FAIR_TEST(test_no_memory),
        FAIR_TEST(test_places_and_ages),
        FAIR_TEST(test_forged_stamps),
        FAIR_TEST(test_given_back),
        FAIR_TEST(test_little_is_remembered),
        FAIR_TEST(test_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
