/* Bodies in memory and streamed, and answers before they have been read. */
#include "fixture.h"

#include "core/clock.h"
#include "core/str.h"

#include <microhttpd.h>
#include <pthread.h>
#include <sys/socket.h>

#define MIB ((size_t)1024 * 1024)

static void send_zeros(int fd, size_t len)
{
    static const char zeros[65536];

    for (size_t n; len > 0; len -= n) {
        n = len < sizeof zeros ? len : sizeof zeros;
        client_send_bytes(fd, zeros, n);
    }
}

static void send_chunks(int fd, size_t n, size_t chunk)
{
    char *text = calloc(1, chunk + 32);
    size_t head = (size_t)sprintf(text, "%zx\r\n", chunk);

    text[head + chunk] = '\r';
    text[head + chunk + 1] = '\n';
    for (size_t i = 0; i < n; i++)
        client_send_bytes(fd, text, head + chunk + 2);
    free(text);
}

static void assert_answer(int fd, unsigned status, const char *body)
{
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_int_equal(r.status, status);
    if (body)
        assert_string_equal(r.body, body);
    assert_non_null(response_header(&r, "X-Request-Id"));
    assert_non_null(response_header(&r, "Date"));
}

/* The answer is there before one byte of the body was sent. */
static void test_announced_too_large(void **state)
{
    static const char *const requests[] = {
        "POST /memory HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
        "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 4194305\r\n\r\n",
        "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        /* No "100 Continue" comes first: client_read takes the first status line. */
        "POST /memory HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        _cleanup_close_ int fd = client_connect();

        client_send(fd, requests[i]);
        assert_answer(fd, 413, NULL);
        assert_true(client_closed(fd, 2000));
    }
    assert_int_equal(started, 0);
}

/* Sends everything, only then reads: a reset on the way would have thrown the answer away. */
static void test_answer_survives_unread_body(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
    } cases[] = {{"/stream", 413}, {"/memory", 413}, {"/nothing", 404}, {"/stream?mode=deny", 413}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_close_ int fd = client_connect();
        char request[200];

        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                 cases[i].path, 5 * MIB);
        client_send(fd, request);
        send_zeros(fd, 5 * MIB);
        assert_answer(fd, cases[i].status, NULL);
        assert_true(client_ended(fd));
    }
    assert_int_equal(started, 0);
}

static void test_chunked_too_large(void **state)
{
    static const char *const paths[] = {"/memory", "/large", "/stream"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        _cleanup_close_ int fd = client_connect();
        char request[200];

        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                 paths[i]);
        client_send(fd, request);
        send_chunks(fd, 80, 65536);
        assert_answer(fd, 413, NULL);
        assert_true(client_ended(fd));
    }
}

static void test_memory(void **state)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, "POST /memory HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    usleep(20000);
    assert_int_equal(started, 0);
    client_send(fd, "56789");
    assert_answer(fd, 200, "0123456789");
    client_send(fd, "POST /memory HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_answer(fd, 200, "");
    client_send(fd, "POST /memory HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_answer(fd, 200, "");
    client_send(fd,
                "POST /memory HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n1\r\nf");
    usleep(20000);
    assert_int_equal(started, 3);
    /* Nothing that follows chunks is taken for a request. */
    client_send(fd, "\r\n0\r\nTrailer: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_answer(fd, 200, "abcdef");
    assert_true(client_ended(fd));
    wait_for(&ended, 4);
    assert_int_equal(started, 4);
}

/* RFC 9112, 7.1.1: they are read over. MHD 1.0.1 can't: it takes the line for one byte shorter than it is. */
static void test_chunk_extensions(void **state)
{
    unsigned status = MHD_VERSION == 0x01000100 ? 400 : 200;
    _cleanup_response_ struct response r =
        exchange("POST /memory HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5;x=y\r\nabcde\r\n0;z\r\n\r\n");

    assert_int_equal(r.status, status);
    if (status == 200)
        assert_string_equal(r.body, "abcde");
}

static void test_memory_at_its_limit(void **state)
{
    _cleanup_close_ int fd = client_connect(), other = client_connect();

    client_send(fd, "POST /memory HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    send_zeros(fd, 1000);
    assert_answer(fd, 200, NULL);
    client_send(fd, "POST /memory HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(fd, 10, 100);
    client_send(fd, "0\r\n\r\n");
    assert_answer(fd, 200, NULL);
    client_send(other, "POST /memory HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunks(other, 10, 100);
    client_send(other, "1\r\nx");
    assert_answer(other, 413, NULL);
}

static void test_malformed_chunk(void **state)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, "POST /memory HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    _cleanup_response_ struct response r = client_read(fd, false);

    assert_int_equal(r.status, 400);
    assert_true(client_ended(fd));
    assert_int_equal(started, 0);
}

/* Each way a streamed route can decide, with the body sent along; then the same connection once more where it
 * must have been kept. */
static void test_stream_decisions(void **state)
{
    static const struct {
        const char *mode, *body;
        unsigned status;
        bool kept;
    } cases[] = {
        {"now", "1048576", 201, true},       {"late", "1048576", 201, true},
        {"end-late", "late", 201, true},     {"deny", "denied", 403, false},
        {"deny-late", "denied", 403, false}, {"fail", "full", 507, false},
        {"fail-late", "denied", 403, false}, {"begin-and-deny", "denied", 403, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_close_ int fd = client_connect();
        char request[200];

        print_message("mode %s\n", cases[i].mode);
        snprintf(request, sizeof request,
                 "POST /stream?mode=%s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", cases[i].mode,
                 MIB);
        client_send(fd, request);
        send_zeros(fd, MIB / 2);
        if (str_eq(cases[i].mode, "fail-late"))
            usleep(100000);
        send_zeros(fd, MIB / 2);
        assert_answer(fd, cases[i].status, cases[i].body);
        if (cases[i].kept) {
            client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_answer(fd, 200, "hello");
        } else {
            assert_true(client_ended(fd));
        }
    }
    wait_for(&ended, ARRAY_SIZE(cases) + 3);
    assert_int_equal(gone, 0);
}

static void test_stream_chunked(void **state)
{
    static const char *const modes[] = {"now", "late"};

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        _cleanup_close_ int fd = client_connect();
        char request[200];

        snprintf(request, sizeof request,
                 "POST /stream?mode=%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", modes[i]);
        client_send(fd, request);
        send_chunks(fd, 200, 1000);
        client_send(fd, "0\r\n\r\n");
        assert_answer(fd, 201, "200000");
    }
}

static void test_stream_without_body(void **state)
{
    static const char *const modes[] = {"now", "late", "end-late", "deny", "deny-late"};
    static const unsigned statuses[] = {201, 201, 201, 403, 403};
    _cleanup_close_ int fd = client_connect();

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        char request[200];

        snprintf(request, sizeof request,
                 "POST /stream?mode=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", modes[i]);
        client_send(fd, request);
        assert_answer(fd, statuses[i], NULL);
    }
}

/* The client that waits for "100 Continue" gets it once the handler wants the body, or its refusal instead.
 */
static void test_expect(void **state)
{
    static const char *const modes[] = {"now", "late"};
    static const char *const denials[] = {"deny", "deny-late"};
    char request[200];

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        _cleanup_close_ int fd = client_connect();
        char go_on[26] = "";

        snprintf(
            request, sizeof request,
            "POST /stream?mode=%s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            modes[i]);
        client_send(fd, request);
        assert_int_equal(recv(fd, go_on, 25, MSG_WAITALL), 25);
        assert_string_equal(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
        client_send(fd, "abc");
        assert_answer(fd, 201, "3");
    }
    for (size_t i = 0; i < ARRAY_SIZE(denials); i++) {
        _cleanup_close_ int fd = client_connect();

        snprintf(
            request, sizeof request,
            "POST /stream?mode=%s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            denials[i]);
        client_send(fd, request);
        assert_answer(fd, 403, "denied");
    }
}

/* A handler that decides to refuse while no data is coming must not wait for more of it. */
static void test_refusal_without_further_data(void **state)
{
    _cleanup_close_ int fd = client_connect();

    client_send(fd, "POST /stream?mode=fail-late HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    assert_answer(fd, 403, "denied"); /* 408, if it had waited */
    wait_for(&ended, 1);
    assert_int_equal(gone, 0);
}

static void test_client_breaks_off(void **state)
{
    int fd = client_connect();

    client_send(fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    wait_for(&received, 3);
    close(fd);
    wait_for(&ended, 1);
    assert_int_equal(gone, 1);
    assert_int_equal(server_active(), 0);
}

static void *upload_again_and_again(void *arg)
{
    const atomic_bool *stop = arg;
    int fd = client_connect();

    while (!*stop) {
        client_send(fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n");
        send_zeros(fd, 4 * MIB);
        _cleanup_response_ struct response r = client_read(fd, false);

        assert_int_equal(r.status, 201);
    }
    close(fd);
    return NULL;
}

static void test_others_are_served_beside_uploads(void **state)
{
    pthread_t threads[4];
    atomic_bool stop = false;
    unsigned fast = 0;
    _cleanup_close_ int fd = client_connect();

    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, upload_again_and_again, &stop), 0);
    for (int i = 0; i < 200; i++) {
        uint64_t since_ms = clock_mono_ms();

        client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_answer(fd, 200, "hello");
        fast += clock_mono_ms() - since_ms < 500;
    }
    stop = true;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(received >= 16 * MIB);
    /* A few milliseconds, but for one now and then on a busy machine. */
    assert_true(fast > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_announced_too_large, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_answer_survives_unread_body, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_chunked_too_large, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_memory, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_chunk_extensions, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_memory_at_its_limit, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_malformed_chunk, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_stream_decisions, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_stream_chunked, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_stream_without_body, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_expect, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_refusal_without_further_data, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_client_breaks_off, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_others_are_served_beside_uploads, server_setup, server_teardown),
    };

    return cmocka_run_group_tests_name("http bodies", tests, NULL, NULL);
}
