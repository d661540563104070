/* Sentinels that the test makes up, and real Redis servers that they name. */
#include "state/redis_sentinels.h"

#include "core/sentinels.h"
#include "core/str.h"
#include "fixture.h"
#include "support/fake_sentinel.h"

#include <arpa/inet.h>

enum { SENTINELS = 3, PATIENCE_MS = 30000 };

/* Three sentinels, and two servers with TCP ports that they may name. */
struct stage {
    struct fixture f; /* its server is the first; f.r: NULL until connect() */
    struct redis_server *other;
    int port, other_port;
    struct fake_sentinel sentinels[SENTINELS];
    char url[SENTINELS * SENTINEL_PLACE_MAX], ports[32];
    struct redis_config config;
};

/* One that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    return ntohs(addr.sin_port);
}

static int give_port(struct redis_server *server)
{
    int port = free_port();

    redis_server_do(server, "CONFIG SET bind 127.0.0.1");
    redis_server_do(server, "CONFIG SET port %d", port);
    return port;
}

static void say(struct stage *t, size_t i, int port, const char *epoch)
{
    t->sentinels[i].host = port ? "127.0.0.1" : NULL;
    t->sentinels[i].port = port;
    t->sentinels[i].epoch = epoch;
}

static void say_all(struct stage *t, int port, const char *epoch)
{
    for (size_t i = 0; i < SENTINELS; i++)
        say(t, i, port, epoch);
}

static int setup(void **state)
{
    struct stage *t = calloc(1, sizeof *t);

    uv_loop_init(&t->f.loop);
    t->f.server = redis_server_start(NULL);
    t->other = redis_server_start(NULL);
    t->port = give_port(t->f.server);
    t->other_port = give_port(t->other);
    snprintf(t->ports, sizeof t->ports, "%d,%d", t->port, t->other_port);
    for (size_t i = 0; i < SENTINELS; i++) {
        fake_sentinel_start(&t->sentinels[i], &t->f.loop);
        snprintf(t->url + strlen(t->url), sizeof t->url - strlen(t->url), "%ssentinel://127.0.0.1:%d",
                 i ? ";" : "", t->sentinels[i].listens_on);
    }
    say_all(t, t->port, "0");
    t->config = (struct redis_config){.url = t->url, .master = "mymaster", .ports = t->ports};
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct stage *t = *state;

    for (size_t i = 0; i < SENTINELS; i++)
        fake_sentinel_stop(&t->sentinels[i]);
    fixture_stop(&t->f);
    redis_server_free(t->other);
    free(t);
    return 0;
}

static void connect_to_master(struct stage *t)
{
    assert_int_equal(redis_new(&t->f.loop, &t->config, &t->f.r), 0);
}

static void wait_trouble(struct stage *t, const char *part)
{
    for (int i = 0; i < PATIENCE_MS / 10 && !strstr(redis_trouble(t->f.r), part); i++)
        loop_for(&t->f.loop, 10);
    if (!strstr(redis_trouble(t->f.r), part))
        fail_msg("\"%s\" is not \"%s\"", redis_trouble(t->f.r), part);
    assert_false(redis_connected(t->f.r));
}

static int set(struct stage *t, const char *value)
{
    struct answer a = {0};

    redis_command(t->f.r, REDIS("SET", "k", value), answer_on, &a);
    answer_wait(&t->f, &a);
    return a.err;
}

/* Until a write has arrived at `server`; one that another took, or none could, is repeated. */
static void write_until(struct stage *t, struct redis_server *server, const char *value)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (set(t, value) == 0 && str_eq(redis_server_str(server, "GET k"), value))
            return;
        loop_for(&t->f.loop, 10);
    }
    fail_msg("no write has come: %s", redis_trouble(t->f.r));
}

static void lists_that_are_none_are_refused(void **state)
{
    struct stage *t = *state;
    struct redis_config config = t->config;
    struct redis *r = NULL;

    config.url = "sentinel://127.0.0.1:26379;tcp:127.0.0.1:26379";
    assert_int_equal(redis_new(&t->f.loop, &config, &r), -EINVAL);
    config.url = "sentinel://";
    assert_int_equal(redis_new(&t->f.loop, &config, &r), -EINVAL);
    assert_null(r);
}

static void the_master_is_who_they_name(void **state)
{
    struct stage *t = *state;

    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
    assert_int_equal(set(t, "v"), 0);
    assert_string_equal(redis_server_str(t->f.server, "GET k"), "v");
}

/* One knows nothing, one says nothing, and the third is enough. */
static void the_next_one_is_asked(void **state)
{
    struct stage *t = *state;

    say(t, 0, 0, "0");
    t->sentinels[1].silent = true;
    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
    assert_true(t->sentinels[0].asked >= 1 && t->sentinels[2].asked >= 1);
}

static void one_that_is_not_there_is_passed_over(void **state)
{
    struct stage *t = *state;
    char url[sizeof t->url + 64];

    snprintf(url, sizeof url, "sentinel://127.0.0.1:%d;%s", free_port(), t->url);
    t->config.url = url;
    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
}

static void why_there_is_none_is_said(void **state)
{
    struct stage *t = *state;

    say_all(t, 0, "0");
    connect_to_master(t);
    wait_trouble(t, "knows no master \"mymaster\" (DECANT_REDIS_MASTER)");
    assert_int_equal(set(t, "v"), -ENOTCONN);
    say_all(t, 6379, "0"); /* may be anybody's: it is not tried */
    wait_trouble(t, "the master's port 6379 is none of DECANT_REDIS_PORTS");
    for (size_t i = 0; i < SENTINELS; i++)
        t->sentinels[i].silent = true;
    wait_trouble(t, "a sentinel does not answer");
    for (size_t i = 0; i < SENTINELS; i++)
        t->sentinels[i].silent = false;
    say_all(t, t->port, "0");
    fixture_wait_connected(&t->f, true); /* and it comes back by itself */
    assert_string_equal(redis_trouble(t->f.r), "");
}

static void their_password_is_their_own(void **state)
{
    struct stage *t = *state;
    struct redis *wrong;

    for (size_t i = 0; i < SENTINELS; i++)
        t->sentinels[i].password = "se cret";
    redis_server_do(t->f.server, "CONFIG SET requirepass other");
    t->config.password = "other";
    connect_to_master(t);
    wait_trouble(t, "NOAUTH");
    t->config.sentinel_password = "other";
    assert_int_equal(redis_new(&t->f.loop, &t->config, &wrong), 0);
    for (int i = 0; i < PATIENCE_MS / 10 && !strstr(redis_trouble(wrong), "WRONGPASS"); i++)
        loop_for(&t->f.loop, 10);
    assert_non_null(strstr(redis_trouble(wrong), "WRONGPASS"));
    redis_free(wrong);
    redis_free(t->f.r);
    t->config.sentinel_password = "se cret";
    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
}

static void a_replica_is_not_taken(void **state)
{
    struct stage *t = *state;

    redis_server_do(t->f.server, "REPLICAOF 127.0.0.1 1"); /* nobody is there */
    connect_to_master(t);
    wait_trouble(t, "is no master");
    say_all(t, t->other_port, "1");
    fixture_wait_connected(&t->f, true);
    assert_int_equal(set(t, "v"), 0);
    assert_string_equal(redis_server_str(t->other, "GET k"), "v");
}

static struct redis_script script = {.name = "sentinels", .text = "return redis.call('incr', KEYS[1])"};

static long long count(struct stage *t, int *ret_err)
{
    struct answer a = {0};

    redis_eval(t->f.r, &script, 1, REDIS("n"), answer_on, &a);
    answer_wait(&t->f, &a);
    *ret_err = a.err;
    return a.number;
}

/* The master dies, another one follows that has never seen our scripts. */
static void a_new_master_is_followed(void **state)
{
    struct stage *t = *state;
    int err;

    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
    assert_int_equal(count(t, &err), 1);
    loop_for(&t->f.loop, 20); /* its hash comes */
    assert_int_equal(count(t, &err), 2);
    redis_server_kill(t->f.server);
    fixture_wait_connected(&t->f, false);
    count(t, &err);
    assert_int_equal(err, -ENOTCONN);
    say_all(t, t->other_port, "1");
    fixture_wait_connected(&t->f, true);
    assert_int_equal(count(t, &err), 1);
    assert_int_equal(err, 0);
}

/* It became a replica, and left us connected: the first write tells. */
static void who_says_it_is_a_replica_is_left(void **state)
{
    struct stage *t = *state;

    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
    redis_server_do(t->f.server, "REPLICAOF 127.0.0.1 %d", t->other_port);
    say_all(t, t->other_port, "1");
    assert_int_equal(set(t, "v"), -ENOTCONN);
    assert_false(redis_connected(t->f.r));
    fixture_wait_connected(&t->f, true);
    assert_int_equal(set(t, "w"), 0);
    assert_string_equal(redis_server_str(t->other, "GET k"), "w");
}

/* It was cut off from the others, goes on as a master, and nothing breaks. */
static void a_master_that_was_replaced_is_left(void **state)
{
    struct stage *t = *state;

    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
    say(t, 1, t->other_port, "1"); /* two know; the third is cut off, too */
    say(t, 2, t->other_port, "1");
    write_until(t, t->other, "v");
    for (int i = 0; i < 3; i++) { /* who is behind does not draw it back */
        loop_for(&t->f.loop, 2000);
        assert_true(redis_connected(t->f.r));
    }
    assert_int_equal(set(t, "w"), 0);
    assert_string_equal(redis_server_str(t->other, "GET k"), "w");
}

/* Sentinels that are gone are no reason to leave a master that is there. */
static void a_master_outlives_its_sentinels(void **state)
{
    struct stage *t = *state;

    connect_to_master(t);
    fixture_wait_connected(&t->f, true);
    for (size_t i = 0; i < SENTINELS; i++)
        t->sentinels[i].silent = true;
    loop_for(&t->f.loop, 6000); /* a check and its end */
    assert_true(redis_connected(t->f.r));
    assert_int_equal(set(t, "v"), 0);
}

static void on_message(void *arg, const char *channel, const char *message)
{
    *(bool *)arg = true;
}

static void subscriptions_follow(void **state)
{
    struct stage *t = *state;
    struct redis_sub *sub;
    bool heard = false;

    connect_to_master(t);
    assert_int_equal(redis_sub_new(&t->f.loop, &t->config, &sub), 0);
    redis_sub_start(sub, REDIS("channel"), on_message, &heard);
    assert_true(loop_until(&t->f.loop, &heard, PATIENCE_MS)); /* it stands */
    heard = false;
    redis_server_kill(t->f.server);
    say_all(t, t->other_port, "1");
    assert_true(loop_until(&t->f.loop, &heard, PATIENCE_MS)); /* it stands again */
    heard = false;
    redis_server_do(t->other, "PUBLISH channel x");
    assert_true(loop_until(&t->f.loop, &heard, PATIENCE_MS));
    redis_sub_free(sub);
}

/* --- the question alone */

struct told {
    bool done;
    int port; /* 0: none */
    char trouble[160];
};

static void on_told(void *arg, const char *host, int port, const char *trouble)
{
    struct told *a = arg;

    *a = (struct told){.done = true, .port = host ? port : 0};
    snprintf(a->trouble, sizeof a->trouble, "%s", trouble);
}

static struct told ask(struct stage *t, struct redis_sentinels *s, struct told *told)
{
    told->done = false;
    redis_sentinels_ask(s);
    redis_sentinels_ask(s); /* changes nothing */
    assert_true(loop_until(&t->f.loop, &told->done, PATIENCE_MS));
    return *told;
}

static void who_is_behind_is_passed_over(void **state)
{
    struct stage *t = *state;
    struct redis_sentinels *s;
    struct told told = {0};

    say(t, 0, t->port, "1");
    say(t, 1, t->other_port, "2");
    say(t, 2, t->port, "1");
    assert_int_equal(redis_sentinels_new(&t->f.loop, &t->config, on_told, &told, &s), 0);
    assert_int_equal(ask(t, s, &told).port, t->port); /* nobody has said anything else so far */
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(t, s, &told).port, t->other_port);

    t->sentinels[1].silent = true; /* those that are behind are alone */
    assert_int_equal(ask(t, s, &told).port, 0);
    assert_non_null(strstr(told.trouble, "cut off"));

    t->sentinels[1].silent = false; /* all were set up anew */
    say_all(t, t->port, "0");
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(t, s, &told).port, t->port);
    redis_sentinels_free(s);
}

static void each_is_asked_first_in_turn(void **state)
{
    struct stage *t = *state;
    struct redis_sentinels *s;
    struct told told = {0};

    assert_int_equal(redis_sentinels_new(&t->f.loop, &t->config, on_told, &told, &s), 0);
    for (int i = 0; i < 6; i++)
        ask(t, s, &told);
    for (size_t i = 0; i < SENTINELS; i++)
        assert_true(t->sentinels[i].asked >= 1);
    redis_sentinels_free(s);
}

/* While one is asked, at each stage of that. */
static void freeing_ends_a_question(void **state)
{
    struct stage *t = *state;
    struct told told = {0};

    for (int ms = 0; ms < 8; ms++) {
        struct redis_sentinels *s;

        t->sentinels[0].silent = ms % 2 != 0;
        assert_int_equal(redis_sentinels_new(&t->f.loop, &t->config, on_told, &told, &s), 0);
        redis_sentinels_ask(s);
        if (ms > 0)
            loop_for(&t->f.loop, (uint64_t)ms);
        redis_sentinels_free(s);
        told.done = false;
        loop_for(&t->f.loop, 20);
        assert_false(told.done);
    }
    redis_sentinels_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_that_are_none_are_refused),
        TEST(the_master_is_who_they_name),
        TEST(the_next_one_is_asked),
        TEST(one_that_is_not_there_is_passed_over),
        TEST(why_there_is_none_is_said),
        TEST(their_password_is_their_own),
        TEST(a_replica_is_not_taken),
        TEST(a_new_master_is_followed),
        TEST(who_says_it_is_a_replica_is_left),
        TEST(a_master_that_was_replaced_is_left),
        TEST(a_master_outlives_its_sentinels),
        TEST(subscriptions_follow),
        TEST(who_is_behind_is_passed_over),
        TEST(each_is_asked_first_in_turn),
        TEST(freeing_ends_a_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
