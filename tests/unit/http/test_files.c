/* Files by sendfile, and ranges of them. */
#include "fixture.h"

#include "core/str.h"
#include "http/internal.h"

#include <sys/syscall.h>

static atomic_uint sendfile_calls;

/* libmicrohttpd's call comes here: the program's symbols go before libc's. */
__attribute__((visibility("default"))) ssize_t sendfile64(int out, int in, off64_t *offset, size_t count);

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
    sendfile_calls++;
    return syscall(SYS_sendfile, out, in, offset, count);
}

static struct response get(const char *method, const char *range)
{
    char request[300];

    snprintf(request, sizeof request, "%s /file HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n", method,
             range ? "Range: " : "", range ? range : "", range ? "\r\n" : "");
    return exchange(request);
}

/* No If-Range is taken for true: the file may be another one than the client's. */
static void test_if_range(void **state)
{
    static const char *const values[] = {"\"tag\"", "Sat, 21 Nov 2026 20:00:00 GMT"};

    server_set_file(1000);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        char range[100];

        snprintf(range, sizeof range, "bytes=0-9\r\nIf-Range: %s", values[i]);
        _cleanup_response_ struct response r = get("GET", range);

        assert_int_equal(r.status, 200);
        assert_int_equal(r.body_len, 1000);
        assert_null(response_header(&r, "Content-Range"));
    }
}

/* Who has it gets a header alone, and the connection goes on. */
static void test_if_none_match(void **state)
{
    static const struct {
        const char *method, *known;
        unsigned status;
    } cases[] = {
        {"GET", "\"v1\"", 304},
        {"HEAD", "\"v1\"", 304},
        {"GET", "W/\"v1\"", 304},
        {"GET", "\"v0\", \"v1\"", 304},
        {"GET", "*", 304},
        {"GET", "\"v1\"\r\nRange: bytes=0-9", 304},
        {"GET", "\"v11\"", 200},
        {"GET", "v1", 200},
        {"GET", "\"a\"v1\"b\"", 200},
        {"GET", "\"v2\"\r\nRange: bytes=0-9", 206},
    };

    server_set_file(1000);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_close_ int fd = client_connect();
        char request[300];

        snprintf(request, sizeof request,
                 "%s /file?version=%%22v1%%22 HTTP/1.1\r\nHost: a\r\nIf-None-Match: %s\r\n\r\n",
                 cases[i].method, cases[i].known);
        client_send(fd, request);
        _cleanup_response_ struct response r = client_read(fd, cases[i].status == 304);

        assert_int_equal(r.status, cases[i].status);
        assert_string_equal(response_header(&r, "ETag"), "\"v1\"");
        if (cases[i].status != 304)
            continue;
        assert_null(response_header(&r, "Content-Type"));
        assert_string_equal(response_header(&r, "Content-Length"), "1000");
        client_send(fd, "GET /file?version=x HTTP/1.1\r\nHost: a\r\nIf-None-Match: y\r\n\r\n");
        _cleanup_response_ struct response next = client_read(fd, false);

        assert_int_equal(next.status, 200);
        assert_int_equal(next.body_len, 1000);
    }
}

static void test_whole(void **state)
{
    server_set_file(1000000);
    sendfile_calls = 0;
    _cleanup_response_ struct response r = get("GET", NULL);

    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 1000000);
    for (size_t i = 0; i < r.body_len; i++)
        assert_int_equal(r.body[i], 'a' + i % 26);
    assert_string_equal(response_header(&r, "Accept-Ranges"), "bytes");
    assert_string_equal(response_header(&r, "Content-Type"), "text/plain");
    assert_true(sendfile_calls > 0);
}

static void test_head(void **state)
{
    server_set_file(1000);
    _cleanup_response_ struct response r = get("HEAD", "bytes=0-9");

    assert_int_equal(r.status, 200);
    assert_string_equal(response_header(&r, "Content-Length"), "1000");
    assert_null(response_header(&r, "Content-Range"));
}

static void test_empty(void **state)
{
    server_set_file(0);
    _cleanup_response_ struct response r = get("GET", NULL), range = get("GET", "bytes=0-");

    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
    assert_int_equal(range.status, 416);
    assert_string_equal(response_header(&range, "Content-Range"), "bytes */0");
}

static void test_ranges(void **state)
{
    static const struct {
        const char *range;
        unsigned status;
        size_t first, len;
    } cases[] = {
        {"bytes=0-0", 206, 0, 1},
        {"bytes=10-19", 206, 10, 10},
        {"BYTES=10-", 206, 10, 990},
        {"bytes=-10", 206, 990, 10},
        {"bytes=-5000", 206, 0, 1000},
        {"bytes=990-5000", 206, 990, 10},
        {"bytes=0-99999999999999999999999", 206, 0, 1000},
        {"bytes=-99999999999999999999999", 206, 0, 1000},
        {"bytes=999-999", 206, 999, 1},
        {"bytes=1000-", 416, 0, 0},
        {"bytes=99999999999999999999-", 416, 0, 0},
        {"bytes=-0", 416, 0, 0},
        {"bytes=0-1,5-6", 200, 0, 1000},
        {"bytes=5-1", 200, 0, 1000},
        {"bytes=-", 200, 0, 1000},
        {"bytes=", 200, 0, 1000},
        {"bytes=a-b", 200, 0, 1000},
        {"bytes=1-2x", 200, 0, 1000},
        {"bytes=--1", 200, 0, 1000},
        {"lines=1-2", 200, 0, 1000},
        {"bytes 1-2", 200, 0, 1000},
    };

    server_set_file(1000);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_response_ struct response r = get("GET", cases[i].range);
        char content_range[100];

        if (r.status != cases[i].status)
            fail_msg("%u for %s", r.status, cases[i].range);
        if (r.status == 416) {
            assert_string_equal(response_header(&r, "Content-Range"), "bytes */1000");
            continue;
        }
        assert_int_equal(r.body_len, cases[i].len);
        assert_int_equal(r.body[0], 'a' + cases[i].first % 26);
        snprintf(content_range, sizeof content_range, "bytes %zu-%zu/1000", cases[i].first,
                 cases[i].first + cases[i].len - 1);
        if (r.status == 206)
            assert_string_equal(response_header(&r, "Content-Range"), content_range);
        else
            assert_null(response_header(&r, "Content-Range"));
    }
}

static void test_range_of_huge_file(void **state)
{
    uint64_t first, len;

    assert_int_equal(http_range_parse("bytes=-1", 1ULL << 40, &first, &len), HTTP_RANGE_PART);
    assert_int_equal(first, (1ULL << 40) - 1);
    assert_int_equal(len, 1);
    assert_int_equal(http_range_parse("bytes=5000000000-", 1ULL << 40, &first, &len), HTTP_RANGE_PART);
    assert_int_equal(first, 5000000000);
    assert_int_equal(len, (1ULL << 40) - 5000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_head, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_empty, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_ranges, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_if_range, server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(test_if_none_match, server_setup, server_teardown),
        cmocka_unit_test(test_range_of_huge_file),
    };

    return cmocka_run_group_tests_name("http files", tests, NULL, NULL);
}
