/* Event streams as a client sees them: framing, heartbeats, and what becomes of those who leave or don't
 * read. */
#include "fixture.h"

#include "core/str.h"

#include <poll.h>
#include <stdlib.h>

enum { PIECE = 64 * 1024 };

static void get(int fd, const char *target)
{
    char request[256];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    client_send(fd, request);
}

/* The next chunk's size; its bytes are in `ret`. -1: the stream broke off. */
static long read_chunk(int fd, char *ret, size_t max)
{
    char size[16] = {0}, *end;
    size_t n = 0, have = 0;

    while (n < 2 || memcmp(size + n - 2, "\r\n", 2) != 0) {
        assert_true(n < sizeof size - 1);
        if (recv(fd, size + n, 1, 0) != 1)
            return -1;
        n++;
    }

    size_t len = strtoul(size, &end, 16);

    assert_string_equal(end, "\r\n");
    assert_true(len + 2 <= max);
    while (have < len + 2) {
        ssize_t got = recv(fd, ret + have, len + 2 - have, 0);

        if (got <= 0)
            return -1;
        have += (size_t)got;
    }
    assert_memory_equal(ret + len, "\r\n", 2);
    ret[len] = '\0';
    return (long)len;
}

static void is_stream(int fd)
{
    _cleanup_response_ struct response r = client_read(fd, true);

    assert_int_equal(r.status, 200);
    assert_string_equal(response_header(&r, "Content-Type"), "text/event-stream");
    assert_string_equal(response_header(&r, "Transfer-Encoding"), "chunked");
    assert_string_equal(response_header(&r, "Connection"), "close");
    assert_string_equal(response_header(&r, "X-Accel-Buffering"), "no");
    assert_non_null(response_header(&r, "X-Request-Id"));
    assert_null(response_header(&r, "Content-Length"));
}

static void test_chunks_and_end(void **state)
{
    static const char *const targets[] = {"/events?pieces=3&size=5&end", "/events?pieces=3&size=5&end&late"};

    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        _cleanup_close_ int fd = client_connect();
        char chunk[64];

        get(fd, targets[i]);
        is_stream(fd);
        assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 5);
        assert_string_equal(chunk, "ddddd");
        assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 5);
        assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 5);
        assert_string_equal(chunk, "bbbbb");
        assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 0);
        assert_true(client_ended(fd));
    }
    wait_for(&ended, 2); /* of the requests; and none of them was broken off */
    assert_int_equal(gone, 0);
}

static void test_http10(void **state)
{
    _cleanup_close_ int fd = client_connect();
    char body[32] = {0};
    size_t n = 0;
    ssize_t got;

    client_send(fd, "GET /events?pieces=2&size=3&end HTTP/1.0\r\n\r\n");

    _cleanup_response_ struct response r = client_read(fd, true);

    assert_int_equal(r.status, 200);
    assert_null(response_header(&r, "Transfer-Encoding"));
    while ((got = recv(fd, body + n, sizeof body - n - 1, 0)) > 0)
        n += (size_t)got;
    assert_int_equal(got, 0);
    assert_string_equal(body, "cccbbb");
}

static void test_head(void **state)
{
    _cleanup_close_ int fd = client_connect();
    char c;

    client_send(fd, "HEAD /events?pieces=2&size=3 HTTP/1.1\r\nHost: x\r\n\r\n");
    is_stream(fd);
    assert_int_equal(recv(fd, &c, 1, 0), 0);
}

static int setup_fast_heartbeat(void **state)
{
    server_config.heartbeat_ms = 60;
    return server_setup(state);
}

static void test_heartbeats(void **state)
{
    _cleanup_close_ int fd = client_connect();
    char chunk[16];

    get(fd, "/events");
    is_stream(fd);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 3);
        assert_string_equal(chunk, ":\n\n");
    }
    assert_int_equal(gone, 0);
}

static void test_client_leaves(void **state)
{
    int reset = client_connect(), closed = client_connect(), half = client_connect();
    const struct linger at_once = {.l_onoff = 1};

    get(reset, "/events");
    is_stream(reset);
    get(closed, "/events");
    is_stream(closed);
    get(half, "/events");
    is_stream(half);
    setsockopt(reset, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(reset);
    wait_for(&gone, 1);
    close(closed);
    wait_for(&gone, 2);
    shutdown(half, SHUT_WR);
    wait_for(&gone, 3);
    assert_true(client_ended(half));
    close(half);
}

/* Nothing is lost or mixed up when the socket is full again and again. */
static void test_reader_catches_up(void **state)
{
    _cleanup_close_ int fd = client_connect();
    _cleanup_free_ char *chunk = malloc(PIECE + 3);
    unsigned expected = 200;

    get(fd, "/events?pieces=200&size=65536&end");
    is_stream(fd);
    usleep(50000);
    assert_in_range(received, 1, 199 * PIECE);
    for (; expected > 0; expected--) {
        assert_int_equal(read_chunk(fd, chunk, PIECE + 3), PIECE);
        for (size_t i = 0; i < PIECE; i++)
            if (chunk[i] != 'a' + (char)(expected % 26))
                fail_msg("byte %zu of piece %u is %c", i, expected, chunk[i]);
    }
    assert_int_equal(read_chunk(fd, chunk, PIECE + 3), 0);
    assert_true(client_ended(fd));
}

/* The end waits for its turn as well: with ever more before it, until it doesn't fit in the sockets' buffers.
 */
static void test_end_behind_a_rest(void **state)
{
    _cleanup_free_ char *chunk = malloc(PIECE + 3);
    const int receive_bytes = 128 * 1024;

    for (unsigned pieces = 1; pieces < 16; pieces++) {
        _cleanup_close_ int fd = client_connect();
        char target[64];

        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
        snprintf(target, sizeof target, "/events?pieces=%u&size=65536&end", pieces);
        get(fd, target);
        is_stream(fd);
        usleep(2000);
        for (unsigned i = 0; i < pieces; i++)
            assert_int_equal(read_chunk(fd, chunk, PIECE + 3), PIECE);
        assert_int_equal(read_chunk(fd, chunk, PIECE + 3), 0);
        assert_true(client_ended(fd));
    }
    assert_int_equal(gone, 0);
}

/* Who takes nothing for two heartbeats is dropped, having cost no more than the buffers of two sockets. */
static void test_no_reader(void **state)
{
    _cleanup_close_ int fd = client_connect(), other = client_connect();
    char chunk[16];
    const int small = 4096;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    get(fd, "/events?pieces=100000&size=65536");
    get(other, "/events");
    is_stream(other);
    wait_for(&gone, 1);
    assert_in_range(received, PIECE, 64 * PIECE);
    assert_int_equal(read_chunk(other, chunk, sizeof chunk), 3); /* nobody else suffers */
}

static int setup_few_connections(void **state)
{
    server_config.max_connections = 4;
    return server_setup(state);
}

static void test_streams_are_no_connections(void **state)
{
    int fds[40];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client_connect();
        get(fds[i], "/events");
        is_stream(fds[i]);
    }
    wait_for(&ended, ARRAY_SIZE(fds)); /* the requests are done with */
    assert_int_equal(server_active(), 0);

    _cleanup_response_ struct response r = exchange("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");

    assert_int_equal(r.status, 200);
    assert_int_equal(gone, 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    wait_for(&gone, ARRAY_SIZE(fds));
}

static void test_what_follows_is_not_read(void **state)
{
    _cleanup_close_ int fd = client_connect();
    char chunk[16];

    client_send(fd, "GET /events?pieces=1&size=2&end&late HTTP/1.1\r\nHost: x\r\n\r\n"
                    "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    is_stream(fd);
    assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 2);
    assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 0);
    assert_true(client_ended(fd));
    assert_int_equal(started, 1);
}

static void test_quiescing_ends_them(void **state)
{
    _cleanup_close_ int fd = client_connect(), late = client_connect();
    char chunk[16];

    get(fd, "/events");
    is_stream(fd);
    get(late, "/events?late");
    wait_for(&started, 2);
    server_quiesce();
    assert_int_equal(read_chunk(fd, chunk, sizeof chunk), 0);
    assert_true(client_ended(fd));

    _cleanup_response_ struct response r = client_read(late, false);

    assert_int_equal(r.status, 503);
}

static void test_stopping_with_open_streams(void **state)
{
    int reading = client_connect(), full = client_connect();

    get(reading, "/events");
    is_stream(reading);
    get(full, "/events?pieces=1000&size=65536");
    is_stream(full);
    server_stop();
    assert_int_equal(gone, 2);
    close(reading);
    close(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chunks_and_end, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_http10, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_head, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_heartbeats, setup_fast_heartbeat, server_teardown),
        cmocka_unit_test_setup_teardown(test_client_leaves, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_reader_catches_up, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_end_behind_a_rest, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_no_reader, setup_fast_heartbeat, server_teardown),
        cmocka_unit_test_setup_teardown(test_streams_are_no_connections, setup_few_connections,
                                        server_teardown),
        cmocka_unit_test_setup_teardown(test_what_follows_is_not_read, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_quiescing_ends_them, server_setup, server_teardown),
        cmocka_unit_test_setup(test_stopping_with_open_streams, server_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
