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
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

enum { TIMEOUT_MS = 60000, CONNECTIONS = 3 };

struct fixture {
    struct clamd_server *clamd;
    uv_loop_t loop;
    struct clamd *unix_pool, *tcp_pool; /* shared by all tests */
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
    if (uv_loop_init(&f.loop) < 0)
        return -1;
    f.unix_pool = clamd_new(&f.loop, clamd_server_unix_url(f.clamd), CONNECTIONS);
    f.tcp_pool = clamd_new(&f.loop, clamd_server_tcp_url(f.clamd), CONNECTIONS);
    return f.unix_pool && f.tcp_pool ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    clamd_free(f->unix_pool);
    clamd_free(f->tcp_pool);
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

static struct result scan_by(struct fixture *f, struct clamd *c, int fd, uint64_t timeout_ms)
{
    struct result r = {0};

    assert_non_null(clamd_scan_start(c, fd, timeout_ms, on_result, &r));
    assert_false(r.done); /* never before it has returned */
    assert_true(loop_until(&f->loop, &r.done, timeout_ms + TIMEOUT_MS));
    loop_for(&f->loop, 20);
    assert_int_equal(r.calls, 1);
    return r;
}

/* With connections of its own. */
static struct result scan_within(struct fixture *f, const char *url, int fd, uint64_t timeout_ms)
{
    struct clamd *c = clamd_new(&f->loop, url, CONNECTIONS);
    struct result r = scan_by(f, c, fd, timeout_ms);

    clamd_free(c);
    return r;
}

/* Over both ways, which have to agree. */
static struct result scan(struct fixture *f, int fd)
{
    struct result r = scan_by(f, f->unix_pool, fd, TIMEOUT_MS);
    struct result again = scan_by(f, f->tcp_pool, fd, TIMEOUT_MS);

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
            struct clamd *c = clamd_new(&f->loop, urls[i], CONNECTIONS);
            struct clamd_scan *s;

            clamd_server_pause(f->clamd);
            s = clamd_scan_start(c, fd, TIMEOUT_MS, on_result, &r);
            if (ms > 0 && !str_eq(urls[i], "off"))
                loop_for(&f->loop, ms * 10);
            clamd_scan_cancel(s);
            clamd_server_resume(f->clamd);
            loop_for(&f->loop, 20);
            assert_int_equal(r.calls, 0);
            clamd_free(c);
        }
}

static void the_version_is_told(void **state)
{
    struct fixture *f = *state;
    struct result r = {0}, absent = {0};
    struct clamd *nobody = clamd_new(&f->loop, "unix:/nonexistent", CONNECTIONS);

    assert_non_null(clamd_version(f->unix_pool, TIMEOUT_MS, on_result, &r));
    assert_non_null(clamd_version(nobody, TIMEOUT_MS, on_result, &absent));
    assert_true(loop_until(&f->loop, &r.done, TIMEOUT_MS));
    assert_true(loop_until(&f->loop, &absent.done, TIMEOUT_MS));
    assert_int_equal(r.verdict, CLAMD_CLEAN);
    assert_true(str_starts(r.detail, "ClamAV "));
    assert_int_equal(absent.verdict, CLAMD_UNAVAILABLE);
    clamd_free(nobody);
}

/* --- many at once */

/* Each gets its own answer, however many share a connection and whatever the order. */
static void answers_are_never_mixed_up(void **state)
{
    enum { MANY = 60 };
    struct fixture *f = *state;
    struct clamd *const pools[] = {f->unix_pool, f->tcp_pool};
    struct result r[MANY];
    int fds[MANY];

    for (size_t p = 0; p < ARRAY_SIZE(pools); p++) {
        for (int i = 0; i < MANY; i++) {
            char text[128];
            int n = snprintf(text, sizeof text, "%d %s", i, i % 3 == 0 ? clamd_server_eicar() : "harmless");

            r[i] = (struct result){0};
            fds[i] = memory_file(text, (size_t)n);
            assert_non_null(clamd_scan_start(pools[p], fds[i], TIMEOUT_MS, on_result, &r[i]));
        }
        for (int i = 0; i < MANY; i++) {
            assert_true(loop_until(&f->loop, &r[i].done, TIMEOUT_MS));
            assert_int_equal(r[i].verdict, i % 3 == 0 ? CLAMD_INFECTED : CLAMD_CLEAN);
            close(fds[i]);
        }
    }
}

/* Those that wait in line are called off, or give up, without harm to the others. The version is told past
 * them. */
static void the_line_is_left_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct result r[6] = {0}, version = {0};
    struct clamd *c = clamd_new(&f->loop, clamd_server_unix_url(f->clamd), 1);
    struct clamd_scan *scans[6];
    _cleanup_close_ int fd = memory_file("harmless", 8);

    clamd_server_pause(f->clamd);
    for (size_t i = 0; i < ARRAY_SIZE(r); i++)
        scans[i] = clamd_scan_start(c, fd, i == 3 ? 100 : TIMEOUT_MS, on_result, &r[i]);
    assert_non_null(clamd_version(c, TIMEOUT_MS, on_result, &version));
    clamd_scan_cancel(scans[2]);
    clamd_scan_cancel(scans[5]);
    assert_true(loop_until(&f->loop, &r[3].done, TIMEOUT_MS));
    assert_int_equal(r[3].verdict, CLAMD_UNAVAILABLE);
    assert_string_equal(r[3].detail, "the scanner is busy");
    clamd_scan_cancel(scans[0]); /* it had the connection */
    clamd_server_resume(f->clamd);
    assert_true(loop_until(&f->loop, &version.done, TIMEOUT_MS));
    assert_int_equal(version.verdict, CLAMD_CLEAN);
    assert_true(loop_until(&f->loop, &r[1].done, TIMEOUT_MS));
    assert_true(loop_until(&f->loop, &r[4].done, TIMEOUT_MS));
    assert_int_equal(r[1].verdict, CLAMD_CLEAN);
    assert_int_equal(r[4].verdict, CLAMD_CLEAN);
    assert_int_equal(r[0].calls + r[2].calls + r[5].calls, 0);
    clamd_free(c);
    loop_for(&f->loop, 20);
}

/* --- a peer that says what it wants */

struct impostor {
    int listener;
    const char *const *answers; /* of one connection after the other, each ended by NULL; then NULL */
    const size_t *lengths;      /* NULL: with their NULs */
    char dir[32], url[64];
    struct sockaddr_un address;
    uv_thread_t thread;
    atomic_uint connections;
};

static void answer_all(void *arg)
{
    struct impostor *i = arg;
    size_t n = 0;

    for (; i->answers[n]; n++) {
        _cleanup_close_ int peer = accept4(i->listener, NULL, NULL, SOCK_CLOEXEC);
        char question[64];

        if (peer < 0)
            return;
        i->connections++;
        for (; i->answers[n]; n++) {
            size_t len = i->lengths ? i->lengths[n] : strlen(i->answers[n]) + 1;

            if (recv(peer, question, sizeof question, 0) <= 0)
                return;
            if (len > 0 && send(peer, i->answers[n], len, MSG_NOSIGNAL) < 0)
                return;
        }
    }
}

static void impostor_start(struct impostor *i, const char *const *answers, const size_t *lengths)
{
    *i = (struct impostor){.answers = answers,
                           .lengths = lengths,
                           .dir = "/tmp/decant-test-XXXXXX",
                           .address.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(i->dir));
    snprintf(i->address.sun_path, sizeof i->address.sun_path, "%s/s", i->dir);
    snprintf(i->url, sizeof i->url, "unix:%s/s", i->dir);
    i->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(i->listener, (struct sockaddr *)&i->address, sizeof i->address), 0);
    assert_int_equal(listen(i->listener, 4), 0);
    assert_int_equal(uv_thread_create(&i->thread, answer_all, i), 0);
}

static void impostor_end(struct impostor *i)
{
    assert_int_equal(uv_thread_join(&i->thread), 0);
    close(i->listener);
    unlink(i->address.sun_path);
    rmdir(i->dir);
}

static struct result ask_impostor(struct fixture *f, const char *answer, size_t len)
{
    _cleanup_close_ int fd = memory_file("harmless", 8);
    struct impostor i;
    struct result r;

    impostor_start(&i, (const char *const[]){answer, NULL, NULL}, &len);
    r = scan_within(f, i.url, fd, TIMEOUT_MS);
    impostor_end(&i);
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
        ANSWER("1: OK\0"),
        ANSWER("1: fd[7]: OK"), /* cut off */
        ANSWER("1: fd[7]: OK \0"),
        ANSWER("1: fd[7]: ok\0"),
        ANSWER("1: fd[7]:OK\0"),
        ANSWER("1: fd[x]: OK\0"),
        ANSWER("1: fd[7: OK\0"),
        ANSWER("1: fd[7]: NOT OK\0"),
        ANSWER("1: fd[7]:  FOUND\0"),
        ANSWER("1: fd[7]: FOUND\0"),
        ANSWER("1: fd[7]: lstat() failed: No such file or directory. ERROR\0"),
        ANSWER("1: INSTREAM size limit exceeded. ERROR\0"),
        ANSWER("1: UNKNOWN COMMAND\0"),
        /* of no session, or to another question */
        ANSWER("fd[7]: OK\0"),
        ANSWER("0: fd[7]: OK\0"),
        ANSWER("2: fd[7]: OK\0"),
        ANSWER("01: fd[7]: OK\0"),
        ANSWER("1:fd[7]: OK\0"),
        ANSWER("11: fd[7]: OK\0"),
        /* more than was asked for */
        ANSWER("1: fd[7]: OK\0001: fd[7]: OK\0"),
        ANSWER("1: fd[7]: OK\0x"),
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

    assert_int_equal(ask_impostor(f, "1: fd[7]: OK\0", 13).verdict, CLAMD_CLEAN);
    r = ask_impostor(f, "1: fd[7]: A b FOUND\0", 20);
    assert_int_equal(r.verdict, CLAMD_INFECTED);
    assert_string_equal(r.detail, "A b");
}

static void what_was_not_looked_through_is_told_by_its_name(void **state)
{
    static const struct {
        const char *answer;
        enum clamd_verdict verdict;
    } cases[] = {
        {"1: fd[7]: Heuristics.Limits.Exceeded.MaxRecursion FOUND", CLAMD_INCOMPLETE},
        {"1: fd[7]: Heuristics.Encrypted.Zip FOUND", CLAMD_ENCRYPTED},
        {"1: fd[7]: Heuristics.Broken.Executable FOUND", CLAMD_INFECTED},
        {"1: fd[7]: Win.Heuristics.Encrypted.Zip FOUND", CLAMD_INFECTED},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(ask_impostor(f, cases[i].answer, strlen(cases[i].answer) + 1).verdict,
                         cases[i].verdict);
}

/* Scans by one pool of one connection, whose peer gives those answers: a letter for each verdict, and how
 * many connections it took. */
static void assert_in_a_row(struct fixture *f, const char *const *answers, const size_t *lengths,
                            const char *verdicts, unsigned connections)
{
    static const char letters[] = {[CLAMD_CLEAN] = 'c',
                                   [CLAMD_INFECTED] = 'i',
                                   [CLAMD_INCOMPLETE] = 'l',
                                   [CLAMD_ENCRYPTED] = 'e',
                                   [CLAMD_UNAVAILABLE] = 'u'};
    _cleanup_close_ int fd = memory_file("harmless", 8);
    struct impostor i;
    struct clamd *c;

    impostor_start(&i, answers, lengths);
    c = clamd_new(&f->loop, i.url, 1);
    for (; *verdicts; verdicts++)
        assert_int_equal(letters[scan_by(f, c, fd, TIMEOUT_MS).verdict], *verdicts);
    clamd_free(c);
    loop_for(&f->loop, 20);
    impostor_end(&i);
    assert_int_equal(i.connections, connections);
}

static void a_connection_is_used_again(void **state)
{
    static const char *const answers[] = {"1: fd[7]: OK", "2: fd[7]: X FOUND", "3: fd[7]: OK", NULL, NULL};

    assert_in_a_row(*state, answers, NULL, "cic", 1);
}

/* The number is the connection's own: an answer of before, late or sent twice, is none. */
static void an_answer_to_the_last_question_is_no_pass(void **state)
{
    static const char *const answers[] = {"1: fd[7]: OK", "1: fd[7]: OK", NULL, "1: fd[7]: OK", NULL, NULL};

    assert_in_a_row(*state, answers, NULL, "cuc", 2);
}

/* A kept connection that ends without a word is nobody's fault; one that was fresh is, and so is a second
 * end. */
static void a_dead_connection_is_replaced_once(void **state)
{
    static const char *const answers[] = {"1: fd[7]: OK", "", NULL, "1: fd[7]: OK", "", NULL, "", NULL, NULL};
    static const size_t lengths[] = {13, 0, 0, 13, 0, 0, 0, 0, 0};

    assert_in_a_row(*state, answers, lengths, "ccu", 3);
}

static void a_kept_connection_that_ends_is_noticed(void **state)
{
    static const char *const answers[] = {"1: fd[7]: OK", NULL, NULL};
    struct fixture *f = *state;
    _cleanup_close_ int fd = memory_file("harmless", 8);
    struct impostor i;
    struct clamd *c;

    impostor_start(&i, answers, NULL);
    c = clamd_new(&f->loop, i.url, 1);
    assert_int_equal(scan_by(f, c, fd, TIMEOUT_MS).verdict, CLAMD_CLEAN);
    for (int waited = 0; waited < TIMEOUT_MS && clamd_lost(c) == 0; waited++)
        loop_for(&f->loop, 1);
    assert_int_equal(clamd_lost(c), 1);
    clamd_free(c);
    loop_for(&f->loop, 20);
    impostor_end(&i);
}

static void half_an_answer_is_not_asked_again(void **state)
{
    static const char *const answers[] = {"1: fd[7]: OK", "2: fd[7", NULL, NULL};
    static const size_t lengths[] = {13, 7, 0, 0};

    assert_in_a_row(*state, answers, lengths, "cu", 1);
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
        cmocka_unit_test(answers_are_never_mixed_up),
        cmocka_unit_test(the_line_is_left_in_any_order),
        cmocka_unit_test(only_an_exact_ok_is_a_pass),
        cmocka_unit_test(what_was_not_looked_through_is_told_by_its_name),
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(an_answer_to_the_last_question_is_no_pass),
        cmocka_unit_test(a_dead_connection_is_replaced_once),
        cmocka_unit_test(a_kept_connection_that_ends_is_noticed),
        cmocka_unit_test(half_an_answer_is_not_asked_again),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
