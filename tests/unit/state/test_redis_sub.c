#include "fixture.h"

#include "core/str.h"

struct heard {
    int ready, messages;
    char channel[64], message[64];
    struct redis_sub **frees;
};

static void on_message(void *arg, const char *channel, const char *message)
{
    struct heard *h = arg;

    if (!channel) {
        h->ready++;
        return;
    }
    h->messages++;
    snprintf(h->channel, sizeof h->channel, "%s", channel);
    snprintf(h->message, sizeof h->message, "%s", message ? message : "(none)");
    if (h->frees)
        redis_sub_free(TAKE_PTR(*h->frees));
}

static void wait_ready(struct fixture *f, struct heard *h, int times, int tenths)
{
    for (int i = 0; i < tenths * 10 && h->ready < times; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(h->ready, times);
}

static struct redis_sub *sub_new(struct fixture *f, struct heard *h, const char *const channels[])
{
    struct redis_sub *s;

    assert_int_equal(redis_sub_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &s),
                     0);
    redis_sub_start(s, channels, on_message, h);
    wait_ready(f, h, 1, 20);
    return s;
}

static void assert_heard(struct fixture *f, struct heard *h, int n, const char *channel, const char *message)
{
    for (int i = 0; i < 100 && h->messages < n; i++)
        loop_for(&f->loop, 10);
    assert_int_equal(h->messages, n);
    assert_string_equal(h->channel, channel);
    assert_string_equal(h->message, message);
}

static void test_messages(void **state)
{
    struct fixture *f = *state;
    struct heard h = {0};
    struct redis_sub *s = sub_new(f, &h, REDIS("plain", "pattern:*"));
    long long id = redis_sub_client_id(s);

    assert_true(id > 0);
    redis_server_do(f->server, "PUBLISH plain one");
    assert_heard(f, &h, 1, "plain", "one");
    redis_server_do(f->server, "PUBLISH pattern:x %s", "");
    assert_heard(f, &h, 2, "pattern:x", "");
    redis_server_do(f->server, "PUBLISH other no");
    loop_for(&f->loop, 30);
    assert_int_equal(h.messages, 2);

    redis_server_restart(f->server);
    loop_for(&f->loop, 5);
    assert_true(redis_sub_client_id(s) == 0 || h.ready == 2);
    wait_ready(f, &h, 2, 50);
    assert_true(redis_sub_client_id(s) > 0);
    redis_server_do(f->server, "PUBLISH plain two");
    assert_heard(f, &h, 3, "plain", "two");
    redis_server_do(f->server, "PUBLISH pattern:y three");
    assert_heard(f, &h, 4, "pattern:y", "three");
    redis_sub_free(s);
}

/* Started when the connection is up already. */
static void test_late_start(void **state)
{
    struct fixture *f = *state;
    struct heard h = {0};
    struct redis_sub *s;

    assert_int_equal(redis_sub_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &s),
                     0);
    for (int i = 0; i < 100 && redis_sub_client_id(s) == 0; i++)
        loop_for(&f->loop, 10);
    redis_sub_start(s, REDIS("a"), on_message, &h);
    wait_ready(f, &h, 1, 20);
    redis_server_do(f->server, "PUBLISH a b");
    assert_heard(f, &h, 1, "a", "b");
    redis_sub_free(s);
}

/* Invalidations come as lists of keys, or as none at all when everything was flushed. */
static void test_tracking(void **state)
{
    struct fixture *f = *state;
    struct heard h = {0};
    struct redis_sub *s = sub_new(f, &h, REDIS("__redis__:invalidate"));
    struct answer a = {0};
    char id[24];

    snprintf(id, sizeof id, "%lld", redis_sub_client_id(s));
    redis_command(f->r, REDIS("CLIENT", "TRACKING", "ON", "REDIRECT", id), NULL, NULL);
    redis_command(f->r, REDIS("GET", "watched"), answer_on, &a);
    answer_wait(f, &a);
    redis_server_do(f->server, "SET watched 1");
    assert_heard(f, &h, 1, "__redis__:invalidate", "watched");
    redis_server_do(f->server, "FLUSHALL");
    assert_heard(f, &h, 2, "__redis__:invalidate", "(none)");
    redis_sub_free(s);
}

static void test_freeing(void **state)
{
    struct fixture *f = *state;
    struct redis_sub *s, *early;
    struct heard h = {.frees = &s};

    s = sub_new(f, &h, REDIS("a", "b*"));
    redis_server_do(f->server, "PUBLISH a 1");
    redis_server_do(f->server, "PUBLISH b2 2");
    assert_heard(f, &h, 1, "a", "1");
    loop_for(&f->loop, 30);
    assert_int_equal(h.messages, 1);
    assert_null(s);
    redis_sub_free(NULL);
    assert_int_equal(
        redis_sub_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &early), 0);
    redis_sub_free(early); /* before it has connected or started */
}

/* An idle subscriber stays; one whose server says nothing any more is noticed and comes back. */
static void test_silence(void **state)
{
    struct fixture *f = *state;
    struct heard h = {0};
    struct redis_sub *s = sub_new(f, &h, REDIS("a", "b*"));
    long long id = redis_sub_client_id(s);

    loop_for(&f->loop, REDIS_TIMEOUT_MS + 300);
    assert_int_equal(redis_sub_client_id(s), id);
    redis_server_pause(f->server);
    for (int i = 0; i < 2 * REDIS_TIMEOUT_MS / 10 && redis_sub_client_id(s); i++)
        loop_for(&f->loop, 10);
    assert_int_equal(redis_sub_client_id(s), 0);
    redis_server_resume(f->server);
    wait_ready(f, &h, 2, 60);
    assert_true(redis_sub_client_id(s) > id);
    redis_server_do(f->server, "PUBLISH a 1");
    assert_heard(f, &h, 1, "a", "1");
    redis_sub_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_late_start, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_tracking, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_freeing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_silence, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
