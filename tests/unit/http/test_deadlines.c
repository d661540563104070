/* What may not take for ever: headers, bodies, idle connections, clients that left. */
#include "fixture.h"

#include "core/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* What a busy machine may add to a limit of the server. */
enum { PATIENCE_MS = 30000 };

static int setup_hasty(void **state)
{
    server_config.header_timeout_ms = 400;
    server_config.idle_timeout_ms = 1000;
    server_config.rate_window_ms = 600;
    server_start();
    return 0;
}

/* Sends `c` every 50 ms until the peer closes; returns how long that took. */
static uint64_t trickle(int fd, char c, uint64_t max_ms)
{
    uint64_t since_ms = clock_mono_ms();

    while (clock_mono_ms() - since_ms < max_ms) {
        if (send(fd, &c, 1, MSG_NOSIGNAL) < 0)
            break;
        if (client_closed(fd, 50))
            break;
    }
    return clock_mono_ms() - since_ms;
}

static void test_slow_header(void **state)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, "GET /hello HTTP/1.1\r\nX-Slow: ");
    assert_in_range(trickle(fd, 'a', PATIENCE_MS), 250, PATIENCE_MS - 1);
}

static void test_slow_request_line(void **state)
{
    _cleanup_close_ int fd = client_connect();

    assert_in_range(trickle(fd, 'G', PATIENCE_MS), 250, PATIENCE_MS - 1);
}

static void test_silent_connection(void **state)
{
    _cleanup_close_ int fd = client_connect();

    assert_true(client_closed(fd, PATIENCE_MS));
}

static void test_slow_second_header(void **state)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_in_range(trickle(fd, 'G', PATIENCE_MS), 1000, PATIENCE_MS - 1);
}

static void test_idle_connection(void **state)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_false(client_closed(fd, 500));
    assert_true(client_closed(fd, PATIENCE_MS));
}

static void test_stalled_body(void **state)
{
    _cleanup_close_ int fd = client_connect();

    server_stop();
    server_config.header_timeout_ms = 400;
    server_config.idle_timeout_ms = 1000;
    server_start();
    close(fd);
    fd = client_connect();
    client_send(fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    assert_true(client_closed(fd, PATIENCE_MS));
    wait_for(&ended, 1);
    assert_int_equal(gone, 1);
}

/* A byte now and then keeps MHD's timeout at bay, not ours. */
static void test_slow_body(void **state)
{
    static const char *const paths[] = {"/stream", "/memory"};

    for (int i = 0; i < 2; i++) {
        _cleanup_close_ int fd = client_connect();
        char request[200];
        uint64_t since_ms = clock_mono_ms();

        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
                 paths[i]);
        client_send(fd, request);
        while (clock_mono_ms() - since_ms < 500) {
            client_send(fd, "a");
            usleep(50000);
        }
        _cleanup_response_ struct response r = client_read(fd, false);

        assert_int_equal(r.status, 408);
        assert_true(clock_mono_ms() - since_ms >= 600);
        assert_true(client_ended(fd));
    }
    assert_int_equal(gone, 0);
}

/* Each window counts by itself: this one is over 1 KiB/s on average for a minute. */
static void test_body_that_starts_fast(void **state)
{
    _cleanup_close_ int fd = client_connect();
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    static const char piece[60000];

    client_send(fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client_send_bytes(fd, piece, sizeof piece);
    for (int i = 0; i < PATIENCE_MS / 100 && poll(&answer, 1, 100) == 0; i++)
        client_send(fd, "a");
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_int_equal(r.status, 408);
}

/* It has sent all that it will send, together with the last bytes: MHD overlooks that. */
static void test_half_closed(void **state)
{
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: ",
    };

    server_stop();
    server_config.header_timeout_ms = server_config.idle_timeout_ms = 10 * PATIENCE_MS;
    server_config.rate_window_ms = 10 * PATIENCE_MS;
    server_start();
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        _cleanup_close_ int fd = client_connect();

        client_send(fd, requests[i]);
        shutdown(fd, SHUT_WR);
        if (i == 0) {
            _cleanup_response_ struct response r = client_read(fd, false);

            assert_int_equal(r.status, 200);
        }
        assert_true(client_closed(fd, PATIENCE_MS));
    }
    wait_for(&ended, ARRAY_SIZE(requests));
    assert_int_equal(gone, ARRAY_SIZE(requests) - 1);
}

/* All of them end in one turn, and nothing is left that would wake the loop. */
static void test_no_place_left(void **state)
{
    int fds[8];

    server_stop();
    server_config.max_connections = ARRAY_SIZE(fds);
    server_config.header_timeout_ms = 400;
    server_start();
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = client_connect();
    _cleanup_response_ struct response r = exchange("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");

    assert_int_equal(r.status, 200);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

/* Answers are to be taken, too. */
static void test_answer_that_is_not_taken(void **state)
{
    static const int small = 4096;
    struct pollfd left = {.events = 0};
    char piece[4096];
    int fds[2];

    server_stop();
    server_config.header_timeout_ms = 400;
    server_config.idle_timeout_ms = 10 * PATIENCE_MS;
    server_config.rate_window_ms = 2000;
    server_start();
    server_set_file(64 << 20);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client_connect();
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        client_send(fds[i], "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    /* The second one takes it, as fast as that goes. */
    for (int i = 0; !left.revents && i < PATIENCE_MS / 10; i++) {
        assert_true(recv(fds[1], piece, sizeof piece, 0) > 0);
        left.fd = fds[0];
        poll(&left, 1, 10);
    }
    assert_true(left.revents & POLLERR); /* reset */
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

static void test_steady_body(void **state)
{
    _cleanup_close_ int fd = client_connect();
    static const char piece[500];

    client_send(fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        client_send_bytes(fd, piece, sizeof piece);
        usleep(60000);
    }
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_int_equal(r.status, 201);
    assert_string_equal(r.body, "10000");
}

/* Nobody reads the socket of a suspended request; its client's leaving is noticed nevertheless. */
static void test_gone_while_suspended(void **state)
{
    int fds[300];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client_connect();
        client_send(fds[i], "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wait_for(&started, ARRAY_SIZE(fds));
    assert_int_equal(server_active(), ARRAY_SIZE(fds));
    for (size_t i = 1; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    wait_for(&ended, ARRAY_SIZE(fds) - 1);
    assert_int_equal(gone, ARRAY_SIZE(fds) - 1);
    usleep(1500000);
    assert_int_equal(ended, ARRAY_SIZE(fds) - 1);
    assert_int_equal(server_active(), 1);
    close(fds[0]);
    wait_for(&ended, ARRAY_SIZE(fds));
}

/* Replying to a client that has left is harmless. */
static void test_reply_after_gone(void **state)
{
    for (int i = 0; i < 20; i++) {
        int fd = client_connect();

        client_send(fd, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
        close(fd);
    }
    wait_for(&ended, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slow_header, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_slow_request_line, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_silent_connection, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_slow_second_header, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_idle_connection, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_stalled_body, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_slow_body, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_body_that_starts_fast, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_half_closed, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_no_place_left, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_answer_that_is_not_taken, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_steady_body, setup_hasty, server_teardown),
        cmocka_unit_test_setup_teardown(test_gone_while_suspended, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_reply_after_gone, server_setup, server_teardown),
    };

    return cmocka_run_group_tests_name("http deadlines", tests, NULL, NULL);
}
