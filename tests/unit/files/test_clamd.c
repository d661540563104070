#include "core/str.h"
#include "files/clamd.h"
#include "support/clamd_server.h"
#include "support/loop.h"
#include "zip_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 20000 };

struct fixture {
    struct clamd_server *clamd;
    uv_loop_t loop;
};

struct result {
    bool done;
    unsigned calls;
    enum clamd_verdict verdict;
    char detail[256];
};

static int setup(void **state)
{
    static struct fixture f;

    signal(SIGPIPE, SIG_IGN);
    f.clamd = clamd_server_start();
    *state = &f;
    return uv_loop_init(&f.loop);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    loop_close(&f->loop);
    clamd_server_free(f->clamd);
    return 0;
}

static void on_result(void *arg, enum clamd_verdict verdict, const char *detail)
{
    struct result *r = arg;

    r->done = true;
    r->calls++;
    r->verdict = verdict;
    snprintf(r->detail, sizeof r->detail, "%s", detail);
}

static int memory_file(const void *data, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len); /* which leaves the offset at the end */
    return fd;
}

static struct result scan_within(struct fixture *f, const char *url, int fd, uint64_t timeout_ms)
{
    struct result r = {0};

    assert_non_null(clamd_scan_start(&f->loop, url, fd, timeout_ms, on_result, &r));
    assert_false(r.done); /* never before it has returned */
    assert_true(loop_until(&f->loop, &r.done, timeout_ms + 5000));
    loop_for(&f->loop, 20);
    assert_int_equal(r.calls, 1);
    return r;
}

/* Over both ways, which have to agree. */
static struct result scan(struct fixture *f, int fd)
{
    struct result r = scan_within(f, clamd_server_unix_url(f->clamd), fd, TIMEOUT_MS);
    struct result again = scan_within(f, clamd_server_tcp_url(f->clamd), fd, TIMEOUT_MS);

    assert_int_equal(r.verdict, again.verdict);
    assert_string_equal(r.detail, again.detail);
    return r;
}

static void assert_infected(struct fixture *f, int fd)
{
    struct result r = scan(f, fd);

    assert_int_equal(r.verdict, CLAMD_INFECTED);
    assert_string_equal(r.detail, CLAMD_SERVER_EICAR);
}

static void a_harmless_file_is_clean(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = memory_file("harmless", 8), empty = memory_file("", 0);

    assert_int_equal(scan(f, fd).verdict, CLAMD_CLEAN);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 8); /* the offset stays */
    assert_int_equal(scan(f, empty).verdict, CLAMD_CLEAN);
}

static void eicar_is_found_whatever_the_offset(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = memory_file(clamd_server_eicar(), strlen(clamd_server_eicar()));

    assert_infected(f, fd);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_infected(f, fd);
}

/* Several chunks, the last of them cut in two by the end. */
static void eicar_is_found_at_the_end_of_a_large_file(void **state)
{
    struct fixture *f = *state;
    size_t len = 3 * 1024 * 1024 + 17, n = strlen(clamd_server_eicar());
    _cleanup_free_ char *data = malloc(len);

    assert_non_null(data);
    memset(data, 'a', len);
    memcpy(data + len - n, clamd_server_eicar(), n);

    _cleanup_close_ int fd = memory_file(data, len);

    assert_infected(f, fd);
}

static void eicar_is_found_in_archives(void **state)
{
    struct fixture *f = *state;
    size_t n = strlen(clamd_server_eicar());
    struct zip_writer *zip = zip_writer_new(), *docx = zip_writer_new();

    zip_writer_add(zip, "readme.txt", "hello", 5);
    zip_writer_add_deflated(zip, "deep/eicar.com", clamd_server_eicar(), n);
    zip_writer_add_ooxml(docx,
                         "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml");
    zip_writer_add_deflated(docx, "word/embeddings/oleObject1.bin", clamd_server_eicar(), n);

    _cleanup_close_ int zip_fd = zip_writer_finish(zip), docx_fd = zip_writer_finish(docx);

    assert_infected(f, zip_fd);
    assert_infected(f, docx_fd);
}

static void a_file_that_was_not_looked_through_is_neither_clean_nor_infected(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = memfd_create("large", MFD_CLOEXEC);

    assert_int_equal(ftruncate(fd, CLAMD_SERVER_FILE_MAX + 1), 0);

    struct result r = scan(f, fd);

    assert_int_equal(r.verdict, CLAMD_INCOMPLETE);
    assert_string_equal(r.detail, "Heuristics.Limits.Exceeded.MaxFileSize");
}

static void a_stream_over_the_limit_is_no_pass(void **state)
{
    struct fixture *f = *state;
    size_t len = CLAMD_SERVER_STREAM_MAX + 1024 * 1024;
    _cleanup_close_ int fd = memfd_create("large", MFD_CLOEXEC);

    assert_int_equal(ftruncate(fd, (off_t)len), 0);

    struct result r = scan_within(f, clamd_server_tcp_url(f->clamd), fd, TIMEOUT_MS);

    assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
    assert_true(strlen(r.detail) > 0);
}

static void a_stopped_scanner_times_out(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = memory_file("harmless", 8);
    const char *const urls[] = {clamd_server_unix_url(f->clamd), clamd_server_tcp_url(f->clamd)};

    clamd_server_pause(f->clamd);
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        uint64_t start = uv_hrtime();
        struct result r = scan_within(f, urls[i], fd, 200);

        assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
        assert_string_equal(r.detail, "no answer in time");
        assert_true(uv_hrtime() - start >= UINT64_C(200) * 1000000);
    }
    clamd_server_resume(f->clamd);
    assert_int_equal(scan(f, fd).verdict, CLAMD_CLEAN);
}

static void an_absent_scanner_is_no_pass(void **state)
{
    static const char *const urls[] = {"unix:/nonexistent/clamd.sock",
                                       "tcp:127.0.0.1:1",
                                       "tcp:[::1]:1",
                                       "tcp:127.0.0.1",
                                       "tcp::3310",
                                       "tcp:",
                                       "tcp:127.0.0.1:port",
                                       "unix:",
                                       "off",
                                       ""};
    struct fixture *f = *state;
    _cleanup_close_ int fd = memory_file("harmless", 8);
    char long_url[300];

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct result r = scan_within(f, urls[i], fd, TIMEOUT_MS);

        assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
        assert_true(strlen(r.detail) > 0);
    }
    snprintf(long_url, sizeof long_url, "unix:/tmp/%0200d", 1);
    assert_int_equal(scan_within(f, long_url, fd, TIMEOUT_MS).verdict, CLAMD_UNAVAILABLE);
}

static void a_file_that_cannot_be_read_is_no_pass(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(scan_within(f, clamd_server_unix_url(f->clamd), -1, TIMEOUT_MS).verdict,
                     CLAMD_UNAVAILABLE);
    assert_int_equal(scan_within(f, clamd_server_tcp_url(f->clamd), -1, TIMEOUT_MS).verdict,
                     CLAMD_UNAVAILABLE);
}

static void a_cancelled_scan_is_silent(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = memory_file("harmless", 8);
    const char *const urls[] = {clamd_server_unix_url(f->clamd), clamd_server_tcp_url(f->clamd), "off"};

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
        for (uint64_t ms = 0; ms < 3; ms++) {
            struct result r = {0};
            struct clamd_scan *s;

            clamd_server_pause(f->clamd);
            s = clamd_scan_start(&f->loop, urls[i], fd, TIMEOUT_MS, on_result, &r);
            if (ms > 0 && !str_eq(urls[i], "off"))
                loop_for(&f->loop, ms * 10);
            clamd_scan_cancel(s);
            clamd_server_resume(f->clamd);
            loop_for(&f->loop, 20);
            assert_int_equal(r.calls, 0);
        }
}

static void the_version_is_told(void **state)
{
    struct fixture *f = *state;
    struct result r = {0}, absent = {0};

    assert_non_null(clamd_version(&f->loop, clamd_server_unix_url(f->clamd), TIMEOUT_MS, on_result, &r));
    assert_non_null(clamd_version(&f->loop, "unix:/nonexistent", TIMEOUT_MS, on_result, &absent));
    assert_true(loop_until(&f->loop, &r.done, TIMEOUT_MS));
    assert_true(loop_until(&f->loop, &absent.done, TIMEOUT_MS));
    assert_int_equal(r.verdict, CLAMD_CLEAN);
    assert_true(str_starts(r.detail, "ClamAV "));
    assert_int_equal(absent.verdict, CLAMD_UNAVAILABLE);
}

/* --- a peer that says what it wants */

struct impostor {
    int listener;
    const char *answer;
    size_t len;
};

static void answer_once(void *arg)
{
    struct impostor *i = arg;
    _cleanup_close_ int peer = accept4(i->listener, NULL, NULL, SOCK_CLOEXEC);
    char question[64];

    if (peer >= 0 && recv(peer, question, sizeof question, 0) > 0 && i->len > 0 &&
        send(peer, i->answer, i->len, MSG_NOSIGNAL) < 0)
        abort();
}

static struct result ask_impostor(struct fixture *f, const char *answer, size_t len)
{
    struct impostor i = {.answer = answer, .len = len};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = memory_file("harmless", 8);
    char dir[] = "/tmp/decant-test-XXXXXX", url[64];
    struct result r;
    uv_thread_t thread;

    assert_non_null(mkdtemp(dir));
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", dir);
    snprintf(url, sizeof url, "unix:%s/s", dir);
    i.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(i.listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(i.listener, 1), 0);
    assert_int_equal(uv_thread_create(&thread, answer_once, &i), 0);
    r = scan_within(f, url, fd, TIMEOUT_MS);
    assert_int_equal(uv_thread_join(&thread), 0);
    close(i.listener);
    unlink(a.sun_path);
    rmdir(dir);
    return r;
}

static void only_an_exact_ok_is_a_pass(void **state)
{
#define ANSWER(text)                                                                                         \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }
    static const struct {
        const char *text;
        size_t len;
    } refused[] = {
        ANSWER(""),
        ANSWER("\0"),
        ANSWER("OK\0"),
        ANSWER("fd[7]: OK"), /* cut off */
        ANSWER("fd[7]: OK \0"),
        ANSWER("fd[7]: ok\0"),
        ANSWER("fd[7]:OK\0"),
        ANSWER("fd[x]: OK\0"),
        ANSWER("fd[7: OK\0"),
        ANSWER("fd[7]: NOT OK\0"),
        ANSWER("fd[7]:  FOUND\0"),
        ANSWER("fd[7]: FOUND\0"),
        ANSWER("fd[7]: lstat() failed: No such file or directory. ERROR\0"),
        ANSWER("INSTREAM size limit exceeded. ERROR\0"),
        ANSWER("UNKNOWN COMMAND\0"),
    };
    struct fixture *f = *state;
    char long_answer[4096];
    struct result r;

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        r = ask_impostor(f, refused[i].text, refused[i].len);
        assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);
        assert_true(strlen(r.detail) > 0);
    }
    memset(long_answer, 'a', sizeof long_answer);
    r = ask_impostor(f, long_answer, sizeof long_answer);
    assert_int_equal(r.verdict, CLAMD_UNAVAILABLE);

    assert_int_equal(ask_impostor(f, "fd[7]: OK\0", 10).verdict, CLAMD_CLEAN);
    r = ask_impostor(f, "fd[7]: A b FOUND\0", 17);
    assert_int_equal(r.verdict, CLAMD_INFECTED);
    assert_string_equal(r.detail, "A b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_harmless_file_is_clean),
        cmocka_unit_test(eicar_is_found_whatever_the_offset),
        cmocka_unit_test(eicar_is_found_at_the_end_of_a_large_file),
        cmocka_unit_test(eicar_is_found_in_archives),
        cmocka_unit_test(a_file_that_was_not_looked_through_is_neither_clean_nor_infected),
        cmocka_unit_test(a_stream_over_the_limit_is_no_pass),
        cmocka_unit_test(a_stopped_scanner_times_out),
        cmocka_unit_test(an_absent_scanner_is_no_pass),
        cmocka_unit_test(a_file_that_cannot_be_read_is_no_pass),
        cmocka_unit_test(a_cancelled_scan_is_silent),
        cmocka_unit_test(the_version_is_told),
        cmocka_unit_test(only_an_exact_ok_is_a_pass),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
