/* Answers that are made while they are sent, and those that are never copied. */
#include "fixture.h"

#include "core/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static atomic_uint connected;

static void *on_connect(void *app, const struct sockaddr *address)
{
    connected++;
    return &connected;
}

static void on_leave(void *app, void *peer)
{
    connected--;
}

static int setup(void **state)
{
    server_config.admit = on_connect;
    server_config.left = on_leave;
    server_config.idle_timeout_ms = 600000;
    return server_setup(state);
}

/* MHD looks through its connections from the oldest on, as far as to one that lives: this one. */
static int connect_first(void)
{
    int fd = client_connect();

    client_send(fd, "GET /static HTTP/1.1\r\nHost: a\r\n\r\n");
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_int_equal(connected, 1);
    return fd;
}

static struct response get(const char *method, const char *query)
{
    char request[300];

    snprintf(request, sizeof request, "%s /source?%s HTTP/1.1\r\nHost: a\r\n\r\n", method, query);
    return exchange(request);
}

static void assert_whole(const struct response *r, size_t len)
{
    assert_int_equal(r->status, 200);
    assert_int_equal(r->body_len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(r->body[i], 'a' + i % 26);
}

static void test_whole(void **state)
{
    static const struct {
        const char *query;
        size_t len;
    } rows[] = {
        {"len=1&piece=1", 1},
        {"len=1000&piece=1", 1000},
        {"len=100000&piece=777", 100000},
        {"len=5000000&piece=65536", 5000000},
        {"len=5000000&piece=5000000", 5000000},
        {"len=100&piece=10&late=5", 100},
        {"len=2000000&piece=100000&late=1", 2000000},
        {"len=0&piece=1", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_response_ struct response r = get("GET", rows[i].query);

        assert_whole(&r, rows[i].len);
        assert_string_equal(response_header(&r, "Content-Type"), "text/plain");
        assert_null(response_header(&r, "Transfer-Encoding"));
    }
    wait_for(&ended, ARRAY_SIZE(rows));
    assert_int_equal(gone, 0);
}

static void test_connection_lives_on(void **state)
{
    _cleanup_close_ int fd = client_connect();

    for (int i = 0; i < 3; i++) {
        client_send(fd, "GET /source?len=300000&piece=70000&late=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        _cleanup_response_ struct response r = client_read(fd, false);

        assert_whole(&r, 300000);
        client_send(fd, "GET /static HTTP/1.1\r\nHost: a\r\n\r\n");
        _cleanup_response_ struct response fixed = client_read(fd, false);

        assert_string_equal(fixed.body, "always the same");
    }
}

static void test_head(void **state)
{
    _cleanup_response_ struct response r = get("HEAD", "len=12345&piece=10");

    assert_int_equal(r.status, 200);
    assert_string_equal(response_header(&r, "Content-Length"), "12345");
    wait_for(&ended, 1);
    assert_int_equal(received, 0);
}

static void expect_cut(const char *query, size_t least, size_t most)
{
    char request[200], piece[4096];
    _cleanup_close_ int fd = client_connect();
    size_t total = 0;
    ssize_t n;

    snprintf(request, sizeof request, "GET /source?%s HTTP/1.1\r\nHost: a\r\n\r\n", query);
    client_send(fd, request);
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        total += (size_t)n;
    assert_in_range(total, least, most);
}

/* Less than was announced, and the connection ends: nobody takes that for the whole, and none of it is left.
 */
static void test_break(void **state)
{
    _cleanup_close_ int old = connect_first();
    expect_cut("len=100000&piece=1000&break=50000", 1000, 51000);
    expect_cut("len=100000&piece=1000&break=50000&late=1", 1000, 51000);
    expect_cut("len=100000&piece=1000&break=1000", 100, 2000);
    wait_for(&ended, 3);
    assert_int_equal(gone, 3);
    wait_for(&connected, 1);
}

/* What is not taken is not made: a piece, and what the kernel keeps. */
static void test_client_that_waits(void **state)
{
    static const int small = 4096;
    _cleanup_close_ int fd = client_connect();
    unsigned before;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_send(fd, "GET /source?len=500000000&piece=65536 HTTP/1.1\r\nHost: a\r\n\r\n");
    do {
        before = received;
        poll(NULL, 0, 500);
    } while (received != before || before == 0);
    assert_in_range(received, 1, 32 << 20);
}

static void test_client_that_leaves(void **state)
{
    static const char *const queries[] = {"len=500000000&piece=65536", "len=500000000&piece=10&late=1",
                                          "len=500000000&piece=10&late=60000"};
    _cleanup_close_ int old = connect_first();

    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        char request[200], piece[100];
        _cleanup_close_ int fd = client_connect();

        snprintf(request, sizeof request, "GET /source?%s HTTP/1.1\r\nHost: a\r\n\r\n", queries[i]);
        client_send(fd, request);
        if (i < 2)
            assert_true(recv(fd, piece, sizeof piece, 0) > 0);
        else
            wait_for(&started, 3);
    }
    wait_for(&ended, 3);
    wait_for(&gone, 3);
    wait_for(&under_way, 0);
    wait_for(&connected, 1);
}

/* While the next piece isn't there it is not the client who is slow. */
static void test_slow_source(void **state)
{
    server_stop();
    server_config.header_timeout_ms = 400;
    server_config.rate_window_ms = 300;
    server_start();
    _cleanup_response_ struct response r = get("GET", "len=30&piece=10&late=1200");

    assert_whole(&r, 30);
}

/* The rate of what is taken counts as for files. */
static void test_slow_client(void **state)
{
    static const int small = 4096;
    struct pollfd left = {.events = 0};
    _cleanup_close_ int fd = -1;

    server_stop();
    server_config.header_timeout_ms = 400;
    server_config.idle_timeout_ms = 600000;
    server_config.rate_window_ms = 1000;
    server_start();
    fd = client_connect();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_send(fd, "GET /source?len=500000000&piece=65536 HTTP/1.1\r\nHost: a\r\n\r\n");
    left.fd = fd;
    assert_int_equal(poll(&left, 1, 30000), 1);
    assert_true(left.revents & POLLERR); /* reset */
    wait_for(&ended, 1);
}

/* The loop ends with some under way, of which one waits for its next piece. */
static void test_end_of_the_loop(void **state)
{
    int fds[2];

    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect();
        client_send(fds[i], i ? "GET /source?len=500000000&piece=65536 HTTP/1.1\r\nHost: a\r\n\r\n"
                              : "GET /source?len=50&piece=10&late=600000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wait_for(&started, 2);
    server_stop();
    assert_int_equal(ended, 2);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    server_start();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_connection_lives_on, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_head, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_break, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_client_that_waits, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_client_that_leaves, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_slow_source, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_slow_client, setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_end_of_the_loop, setup, server_teardown),
    };

    return cmocka_run_group_tests_name("http sources", tests, NULL, NULL);
}
