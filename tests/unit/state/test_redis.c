#include "core/clock.h"
#include "core/str.h"
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct answer ask(struct fixture *f, const char *const argv[])
{
    struct answer a = {0};

    redis_command(f->r, argv, answer_on, &a);
    answer_wait(f, &a);
    return a;
}

static struct answer eval(struct fixture *f, struct redis_script *script, size_t n_keys,
                          const char *const argv[])
{
    struct answer a = {0};

    redis_eval(f->r, script, n_keys, argv, answer_on, &a);
    answer_wait(f, &a);
    return a;
}

static void test_urls(void **state)
{
    static const char *const bad[] = {"",         "redis",         "unix:",    "tcp:",       "tcp:host",
                                      "tcp::1",   "tcp:host:",     "tcp:h:0",  "tcp:h:x",    "tcp:h:65536",
                                      "tcp:[]:1", "http://h:6379", "tcp:h:-1", "/tmp/socket"};
    char path[300] = "unix:";
    struct redis *r = NULL;
    uv_loop_t loop;

    uv_loop_init(&loop);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(redis_new(&loop, &(struct redis_config){.url = bad[i]}, &r), -EINVAL);
    memset(path + 5, 'x', 200);
    assert_int_equal(redis_new(&loop, &(struct redis_config){.url = path}, &r), -EINVAL);
    assert_null(r);
    redis_free(NULL);
    loop_close(&loop);
}

static void test_commands(void **state)
{
    struct fixture f;
    struct answer a;

    fixture_start(&f, NULL, NULL);
    assert_false(redis_connected(f.r));
    a = ask(&f, REDIS("PING"));
    assert_int_equal(a.err, -ENOTCONN); /* not connected yet */
    fixture_wait_connected(&f, true);
    assert_string_equal(redis_trouble(f.r), "");

    a = ask(&f, REDIS("SET", "key", "two words\r\n"));
    assert_int_equal(a.err, 0);
    assert_string_equal(a.text, "OK");
    a = ask(&f, REDIS("GET", "key"));
    assert_string_equal(a.text, "two words\r\n");
    a = ask(&f, REDIS("STRLEN", "key"));
    assert_int_equal(a.number, 11);
    a = ask(&f, REDIS("LPUSH", "key", "x"));
    assert_int_equal(a.err, -EPROTO);
    redis_command(f.r, REDIS("SET", "unheard", "1"), NULL, NULL);
    a = ask(&f, REDIS("GET", "unheard"));
    assert_string_equal(a.text, "1");
    fixture_stop(&f);
}

/* No program that this process starts inherits the connection. */
static void test_close_on_exec(void **state)
{
    struct fixture f;
    struct redis_sub *sub;
    struct stat st;
    int sockets = 0;

    fixture_start(&f, NULL, NULL);
    assert_int_equal(redis_sub_new(&f.loop, &(struct redis_config){.url = redis_server_url(f.server)}, &sub),
                     0);
    fixture_wait_connected(&f, true);
    for (int i = 0; i < 100 && redis_sub_client_id(sub) == 0; i++)
        loop_for(&f.loop, 10);
    for (int fd = 3; fd < 64; fd++)
        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
            assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
            sockets++;
        }
    assert_true(sockets >= 2);
    redis_sub_free(sub);
    fixture_stop(&f);
}

/* What is told of a connection, one after the other. */
struct troubles {
    char text[512];
};

static void on_trouble(void *arg, const char *trouble)
{
    struct troubles *t = arg;
    size_t len = strlen(t->text);

    snprintf(t->text + len, sizeof t->text - len, "%.9s;", *trouble ? trouble : "up");
}

static void test_trouble_is_told_when_it_changes(void **state)
{
    static const char *const options[] = {"--requirepass", "se cret", NULL};
    struct troubles told = {""}, told_wrong = {""};
    struct fixture f;
    struct redis *wrong;

    fixture_start(&f, options, "se cret");
    redis_on_trouble(f.r, on_trouble, &told);
    assert_int_equal(redis_new(&f.loop,
                               &(struct redis_config){.url = redis_server_url(f.server), .password = "other"},
                               &wrong),
                     0);
    redis_on_trouble(wrong, on_trouble, &told_wrong);
    fixture_wait_connected(&f, true);
    for (int i = 0; i < 500 && !*told_wrong.text; i++)
        loop_for(&f.loop, 10);
    loop_for(&f.loop, 400); /* it tries again, and says nothing new */
    assert_string_equal(told.text, "up;");
    assert_string_equal(told_wrong.text, "WRONGPASS;");
    redis_server_kill(f.server);
    fixture_wait_connected(&f, false);
    assert_true(str_starts(told.text, "up;") && strlen(told.text) > strlen("up;"));
    told.text[0] = '\0';
    redis_server_restart(f.server);
    fixture_wait_connected(&f, true);
    assert_true(strlen(told.text) >= strlen("up;"));
    assert_string_equal(told.text + strlen(told.text) - strlen("up;"), "up;");
    redis_free(wrong);
    fixture_stop(&f);
}

static void test_password(void **state)
{
    static const char *const options[] = {"--requirepass", "se cret", NULL};
    struct fixture f;
    struct redis *wrong, *none;

    fixture_start(&f, options, "se cret");
    assert_int_equal(redis_new(&f.loop,
                               &(struct redis_config){.url = redis_server_url(f.server), .password = "other"},
                               &wrong),
                     0);
    assert_int_equal(redis_new(&f.loop, &(struct redis_config){.url = redis_server_url(f.server)}, &none), 0);
    fixture_wait_connected(&f, true);
    loop_for(&f.loop, 50);
    assert_false(redis_connected(wrong));
    assert_true(str_starts(redis_trouble(wrong), "WRONGPASS"));
    assert_false(redis_connected(none));
    assert_true(str_starts(redis_trouble(none), "NOAUTH"));
    redis_free(wrong);
    redis_free(none);
    fixture_stop(&f);
}

static struct redis_script script = {
    .name = "test",
    .text = "redis.call('set', KEYS[1], ARGV[1]) return ARGV[1] .. #ARGV .. #KEYS",
};

static void test_scripts(void **state)
{
    struct fixture f;
    struct answer a;
    char sha1[41];

    fixture_start(&f, NULL, NULL);
    fixture_wait_connected(&f, true);
    a = eval(&f, &script, 1, REDIS("{k}", "va\"l ue", ""));
    assert_int_equal(a.err, 0);
    assert_string_equal(a.text, "va\"l ue21");
    assert_string_equal(redis_server_str(f.server, "GET {k}"), "va\"l ue");
    loop_for(&f.loop, 20);
    assert_true(script.known);
    memcpy(sha1, script.sha1, sizeof sha1);
    assert_int_equal(strlen(sha1), 40);

    redis_server_do(f.server, "CONFIG RESETSTAT");
    a = eval(&f, &script, 1, REDIS("{k}", "again"));
    assert_string_equal(a.text, "again11");
    assert_non_null(strstr(redis_server_str(f.server, "INFO commandstats"), "cmdstat_evalsha:calls=1,"));
    assert_null(strstr(redis_server_str(f.server, "INFO commandstats"), "cmdstat_eval:"));

    redis_server_do(f.server, "SCRIPT FLUSH SYNC");
    a = eval(&f, &script, 1, REDIS("{k}", "flushed"));
    assert_int_equal(a.err, 0);
    assert_string_equal(a.text, "flushed11");
    assert_string_equal(script.sha1, sha1);
    assert_non_null(strstr(redis_server_str(f.server, "INFO commandstats"), "cmdstat_eval:calls=1,"));
    fixture_stop(&f);
}

struct counter {
    struct fixture *f;
    int answers, errors, wrong, expected;
    bool done;
};

static void on_count(void *arg, int err, const redisReply *reply)
{
    struct counter *c = arg;

    c->answers++;
    c->errors += err != 0;
    /* INCR: the answers come in the order of the commands. */
    c->wrong += err == 0 && redis_reply_int(reply) != c->answers;
    c->done = c->answers == c->expected;
}

static void test_pipeline(void **state)
{
    struct fixture f;
    struct counter c = {.expected = 10000};

    fixture_start(&f, NULL, NULL);
    fixture_wait_connected(&f, true);
    for (int i = 0; i < c.expected; i++)
        redis_command(f.r, REDIS("INCR", "n"), on_count, &c);
    assert_int_equal(c.answers, 0);
    assert_true(loop_until(&f.loop, &c.done, 10000));
    assert_int_equal(c.errors, 0);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(redis_server_int(f.server, "INCR n"), 10001);
    fixture_stop(&f);
}

/* Killed with commands in flight: each ends once; then it comes back by itself, scripts included. */
static void test_restart(void **state)
{
    struct fixture f;
    struct counter c = {.expected = 1000};
    struct answer a;

    fixture_start(&f, NULL, NULL);
    fixture_wait_connected(&f, true);
    for (int i = 0; i < c.expected; i++)
        redis_command(f.r, REDIS("INCR", "n"), on_count, &c);
    redis_server_kill(f.server);
    assert_true(loop_until(&f.loop, &c.done, 2000));
    loop_for(&f.loop, 20);
    assert_int_equal(c.answers, 1000);
    assert_int_equal(c.errors, 1000);
    assert_false(redis_connected(f.r));
    a = ask(&f, REDIS("PING"));
    assert_int_equal(a.err, -ENOTCONN);
    loop_for(&f.loop, 300);
    assert_string_not_equal(redis_trouble(f.r), "");

    redis_server_restart(f.server);
    fixture_wait_connected(&f, true);
    a = eval(&f, &script, 1, REDIS("k", "v"));
    assert_int_equal(a.err, 0);
    assert_string_equal(a.text, "v11");
    fixture_stop(&f);
}

/* A stopped server and a paused one: late commands time out, the connection is remade. */
static void test_silence(void **state)
{
    struct fixture stopped, paused;
    struct answer a = {0}, b = {0}, second = {0};
    uint64_t began;

    fixture_start(&stopped, NULL, NULL);
    fixture_start(&paused, NULL, NULL);
    fixture_wait_connected(&stopped, true);
    fixture_wait_connected(&paused, true);
    redis_server_pause(stopped.server);
    redis_server_do(paused.server, "CLIENT PAUSE 7000 ALL");
    began = clock_mono_ms();
    redis_command(stopped.r, REDIS("SET", "k", "v"), answer_on, &a);
    redis_command(paused.r, REDIS("SET", "k", "v"), answer_on, &b);
    loop_for(&paused.loop, 50);
    loop_for(&stopped.loop, 1000);
    redis_command(stopped.r, REDIS("SET", "k", "v"), answer_on, &second);
    assert_true(loop_until(&stopped.loop, &a.done, REDIS_TIMEOUT_MS + 30000));
    assert_true(clock_mono_ms() - began >= REDIS_TIMEOUT_MS - 50);
    assert_int_equal(a.err, -ETIMEDOUT);
    assert_true(loop_until(&stopped.loop, &second.done, 30000));
    assert_int_equal(second.err, -ENOTCONN); /* had its time still, but went down with the connection */
    assert_false(redis_connected(stopped.r));
    assert_true(loop_until(&paused.loop, &b.done, REDIS_TIMEOUT_MS + 1000));
    assert_int_equal(b.err, -ETIMEDOUT);
    assert_false(redis_connected(paused.r));

    redis_server_resume(stopped.server);
    fixture_wait_connected(&stopped, true);
    a = ask(&stopped, REDIS("PING"));
    assert_int_equal(a.err, 0);
    fixture_wait_connected(&paused, true); /* when the pause ends */
    fixture_stop(&stopped);
    fixture_stop(&paused);
}

/* An answer that waits in the socket because this process slept is no time-out. */
static void test_own_sleep(void **state)
{
    struct fixture f;
    struct answer a = {0};

    fixture_start(&f, NULL, NULL);
    fixture_wait_connected(&f, true);
    redis_command(f.r, REDIS("PING"), answer_on, &a);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    usleep((REDIS_TIMEOUT_MS + 100) * 1000);
    assert_true(loop_until(&f.loop, &a.done, 1000));
    assert_int_equal(a.err, 0);
    assert_true(redis_connected(f.r));
    fixture_stop(&f);
}

static void test_unavailable(void **state)
{
    struct fixture f;
    struct answer a;

    fixture_start(&f, NULL, NULL);
    fixture_wait_connected(&f, true);
    redis_server_do(f.server, "CONFIG SET maxmemory 1");
    a = ask(&f, REDIS("SET", "k", "v"));
    assert_int_equal(a.err, -ENOSPC);
    a = eval(&f, &script, 1, REDIS("k", "v"));
    assert_int_equal(a.err, -ENOSPC);
    redis_server_do(f.server, "CONFIG SET maxmemory 0");
    redis_server_do(f.server, "REPLICAOF 127.0.0.1 1"); /* nobody is there */
    a = ask(&f, REDIS("SET", "k", "v"));
    assert_int_equal(a.err, -ENOTCONN); /* READONLY */
    a = eval(&f, &script, 1, REDIS("k", "v"));
    assert_int_equal(a.err, -ENOTCONN);
    redis_server_do(f.server, "CONFIG SET replica-serve-stale-data no");
    a = ask(&f, REDIS("GET", "k"));
    assert_int_equal(a.err, -ENOTCONN); /* MASTERDOWN */
    fixture_stop(&f);
}

static void on_reply_free(void *arg, int err, const redisReply *reply)
{
    struct counter *c = arg;

    c->answers++;
    c->errors += err == -ENOTCONN;
    redis_free(TAKE_PTR(c->f->r));
}

/* Freed with commands open, from outside and from within a callback. */
static void test_freeing(void **state)
{
    struct fixture f;
    struct counter c = {.f = &f, .expected = -1};
    struct redis *r;

    fixture_start(&f, NULL, NULL);
    fixture_wait_connected(&f, true);
    redis_command(f.r, REDIS("PING"), on_reply_free, &c);
    for (int i = 0; i < 10; i++)
        redis_command(f.r, REDIS("PING"), on_count, &c);
    while (f.r)
        uv_run(&f.loop, UV_RUN_ONCE);
    assert_int_equal(c.answers, 11);
    assert_int_equal(c.errors, 10);
    loop_for(&f.loop, 20);
    assert_int_equal(c.answers, 11);

    /* within the callback of a command that failed */
    c.answers = c.errors = 0;
    assert_int_equal(redis_new(&f.loop, &(struct redis_config){.url = redis_server_url(f.server)}, &f.r), 0);
    redis_command(f.r, REDIS("PING"), on_reply_free, &c);
    redis_command(f.r, REDIS("PING"), on_count, &c);
    while (f.r)
        uv_run(&f.loop, UV_RUN_ONCE);
    assert_int_equal(c.answers, 2);

    c.answers = c.errors = 0;
    assert_int_equal(redis_new(&f.loop, &(struct redis_config){.url = redis_server_url(f.server)}, &r), 0);
    f.r = r;
    fixture_wait_connected(&f, true);
    redis_command(f.r, REDIS("PING"), on_count, &c);
    fixture_stop(&f);
    assert_int_equal(c.answers, 1);
    assert_int_equal(c.errors, 1);
}

struct retrier {
    struct redis *r;
    int tries;
    bool done;
};

static void on_retry(void *arg, int err, const redisReply *reply)
{
    struct retrier *t = arg;

    t->tries++;
    if (err == 0)
        t->done = true;
    else
        redis_command(t->r, REDIS("PING"), on_retry, t);
}

/* Who tries again at once, from within the callback, does not keep the connection from coming back. */
static void test_retrier(void **state)
{
    struct fixture f;
    struct retrier t = {0};

    fixture_start(&f, NULL, NULL);
    t.r = f.r;
    redis_command(f.r, REDIS("PING"), on_retry, &t);
    assert_true(loop_until(&f.loop, &t.done, 5000));
    assert_true(t.tries > 1);
    fixture_stop(&f);
}

/* By name over TCP, and with nobody there. */
static void test_tcp(void **state)
{
    struct fixture f;
    struct redis *r;
    char url[64];
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* a port that was free a moment ago */
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    fixture_start(&f, NULL, NULL);
    snprintf(url, sizeof url, "tcp:localhost:%d", ntohs(addr.sin_port));
    assert_int_equal(redis_new(&f.loop, &(struct redis_config){.url = url}, &r), 0);
    loop_for(&f.loop, 150);
    assert_false(redis_connected(r));
    redis_server_do(f.server, "CONFIG SET bind 127.0.0.1");
    redis_server_do(f.server, "CONFIG SET port %d", ntohs(addr.sin_port));
    for (int i = 0; i < 500 && !redis_connected(r); i++)
        loop_for(&f.loop, 10);
    assert_true(redis_connected(r));
    redis_free(r);

    assert_int_equal(redis_new(&f.loop, &(struct redis_config){.url = "tcp:host.invalid:6379"}, &r), 0);
    loop_for(&f.loop, 50);
    assert_false(redis_connected(r));
    redis_free(r);
    assert_int_equal(redis_new(&f.loop, &(struct redis_config){.url = "tcp:[::1]:1"}, &r), 0);
    redis_free(r); /* while it resolves */
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),          cmocka_unit_test(test_commands),
        cmocka_unit_test(test_password),      cmocka_unit_test(test_trouble_is_told_when_it_changes),
        cmocka_unit_test(test_close_on_exec), cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_pipeline),      cmocka_unit_test(test_restart),
        cmocka_unit_test(test_silence),       cmocka_unit_test(test_own_sleep),
        cmocka_unit_test(test_unavailable),   cmocka_unit_test(test_freeing),
        cmocka_unit_test(test_retrier),       cmocka_unit_test(test_tcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
