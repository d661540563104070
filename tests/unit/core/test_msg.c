#include "core/msg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static int pair[2];

static int setup(void **state)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int teardown(void **state)
{
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static unsigned open_fds(void)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    return n;
}

static void transfer(struct msg *out, struct msg *in)
{
    assert_int_equal(msg_send(pair[0], out), 0);
    assert_int_equal(msg_recv(pair[1], in), 0);
}

static void fields_arrive_in_their_order(void **state)
{
    _cleanup_msg_ struct msg out, in;

    msg_init(&out, 7);
    msg_put_u64(&out, UINT64_MAX);
    msg_put_str(&out, "text");
    msg_put_str(&out, "");
    msg_put_str(&out, NULL);
    msg_put_u64(&out, 0);
    transfer(&out, &in);
    assert_int_equal(in.type, 7);
    assert_true(msg_get_u64(&in, UINT64_MAX) == UINT64_MAX);
    assert_string_equal(msg_get_str(&in), "text");
    assert_int_equal(msg_done(&in), -EBADMSG); /* not yet */
    assert_string_equal(msg_get_str(&in), "");
    assert_string_equal(msg_get_str(&in), "");
    assert_int_equal(msg_get_u64(&in, 0), 0);
    assert_int_equal(msg_done(&in), 0);
}

static void a_message_may_be_empty(void **state)
{
    _cleanup_msg_ struct msg out, in;

    msg_init(&out, 1);
    transfer(&out, &in);
    assert_int_equal(msg_done(&in), 0);
    assert_string_equal(msg_get_str(&in), "");
    assert_int_equal(msg_done(&in), -EBADMSG);
}

static void descriptors_are_passed(void **state)
{
    unsigned before = open_fds();
    int pipe_fds[2], fd;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    {
        _cleanup_msg_ struct msg out, in;
        _cleanup_close_ int writer = -1;
        char c;

        msg_init(&out, 1);
        msg_put_fd(&out, pipe_fds[1]);
        msg_put_fd(&out, pipe_fds[0]);
        transfer(&out, &in);
        writer = msg_take_fd(&in);
        assert_true(writer >= 0);
        assert_int_equal(fcntl(writer, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(write(writer, "x", 1), 1);
        assert_int_equal(read(pipe_fds[0], &c, 1), 1);
        /* the second is not taken: the message closes it */
    }
    fd = pipe_fds[0];
    close(pipe_fds[1]);
    close(fd);
    assert_int_equal(open_fds(), before);
}

static void a_missing_descriptor_is_an_error(void **state)
{
    _cleanup_msg_ struct msg out, in;

    msg_init(&out, 1);
    transfer(&out, &in);
    assert_int_equal(msg_take_fd(&in), -1);
    assert_int_equal(msg_done(&in), -EBADMSG);
}

static void a_number_over_its_maximum_is_an_error(void **state)
{
    _cleanup_msg_ struct msg out, in;

    msg_init(&out, 1);
    msg_put_u64(&out, 101);
    msg_put_u64(&out, 5);
    transfer(&out, &in);
    assert_int_equal(msg_get_u64(&in, 100), 0);
    assert_int_equal(msg_get_u64(&in, 100), 0); /* sticky: the next is not read either */
    assert_int_equal(msg_done(&in), -EBADMSG);
}

static void what_is_too_long_is_not_sent(void **state)
{
    _cleanup_msg_ struct msg longest, string, many, fds;
    _cleanup_msg_ struct msg in;
    _cleanup_free_ char *text = malloc(MSG_STRING_MAX + 1);

    assert_non_null(text);
    memset(text, 'a', MSG_STRING_MAX);
    text[MSG_STRING_MAX] = '\0';
    msg_init(&string, 1);
    msg_put_str(&string, text);
    assert_int_equal(msg_send(pair[0], &string), -EMSGSIZE);

    msg_init(&many, 1);
    for (int i = 0; i < 3; i++)
        msg_put_str(&many, text + 1);
    assert_int_equal(msg_send(pair[0], &many), -EMSGSIZE);

    msg_init(&fds, 1);
    for (int i = 0; i <= MSG_FDS_MAX; i++)
        msg_put_fd(&fds, 0);
    assert_int_equal(msg_send(pair[0], &fds), -EMSGSIZE);

    msg_init(&longest, 1);
    msg_put_str(&longest, text + 1);
    transfer(&longest, &in);
    assert_string_equal(msg_get_str(&in), text + 1);
    assert_int_equal(msg_done(&in), 0);
}

/* --- packets that are none of ours */

static int recv_raw(const void *data, size_t len)
{
    struct msg in;
    int r;

    assert_int_equal(send(pair[0], data, len, 0), len);
    r = msg_recv(pair[1], &in);
    if (r == 0)
        msg_free(&in);
    return r;
}

static void foreign_packets_are_refused(void **state)
{
    static char large[MSG_BYTES_MAX + 100] = "NACD\1";
    static const char magic[] = "NACD\1\0\0";

    assert_int_equal(recv_raw("NACD\1\0\0\0", 8), 0); /* the header that the others lack */
    assert_int_equal(recv_raw("x", 1), -EBADMSG);
    assert_int_equal(recv_raw(magic, 7), -EBADMSG);
    assert_int_equal(recv_raw("XACD\1\0\0\0", 8), -EBADMSG);
    assert_int_equal(recv_raw(large, sizeof large), -EBADMSG);
    assert_int_equal(recv_raw(large, 8 + MSG_BYTES_MAX), 0);
    assert_int_equal(recv_raw(large, 8 + MSG_BYTES_MAX + 1), -EBADMSG);
}

static void strings_that_lie_are_refused(void **state)
{
    static const struct {
        uint64_t len;
        const char *bytes;
        size_t n;
    } lies[] = {
        {4, "abc", 4},       /* longer than the packet */
        {2, "abc", 4},       /* no NUL where it should be */
        {3, "a\0c", 4},      /* one inside */
        {UINT64_MAX, "", 1}, /* wraps around */
        {UINT64_MAX - 1, "", 1}, {MSG_STRING_MAX, "", 1}, {0, "", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        _cleanup_msg_ struct msg out, in;

        msg_init(&out, 1);
        msg_put_u64(&out, lies[i].len);
        buf_append(&out.body, lies[i].bytes, lies[i].n);
        transfer(&out, &in);
        assert_string_equal(msg_get_str(&in), "");
        assert_int_equal(msg_done(&in), -EBADMSG);
    }
}

/* Cut anywhere, and with a byte too many. */
static void every_byte_has_to_be_there(void **state)
{
    _cleanup_msg_ struct msg whole;

    msg_init(&whole, 1);
    msg_put_u64(&whole, 5);
    msg_put_str(&whole, "text");
    buf_append(&whole.body, "+", 1);
    for (size_t len = 0; len <= whole.body.len; len++) {
        _cleanup_msg_ struct msg out, in;

        msg_init(&out, 1);
        buf_append(&out.body, whole.body.data, len);
        transfer(&out, &in);
        msg_get_u64(&in, 10);
        msg_get_str(&in);
        assert_int_equal(msg_done(&in), len == whole.body.len - 1 ? 0 : -EBADMSG);
    }
}

static void send_fds(const void *data, size_t len, size_t n)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec iov = {(void *)data, len};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * n);
    for (size_t i = 0; i < n; i++)
        memcpy(CMSG_DATA(c) + i * sizeof(int), &pair[0], sizeof(int));
    assert_int_equal(sendmsg(pair[0], &mh, 0), len);
}

static void refused_packets_leave_no_descriptors(void **state)
{
    static const struct {
        const char *data;
        size_t len, fds;
        int error;
    } packets[] = {
        {"XACD\1\0\0\0", 8, 2, -EBADMSG},
        {"NACD\1\0\0\0", 8, MSG_FDS_MAX + 3, -EBADMSG}, /* more than have room */
        {"N", 1, 4, -EBADMSG},
        {"", 0, 2, -EPIPE}, /* like the end of the stream, but with descriptors */
    };
    unsigned before = open_fds();

    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        struct msg in;

        send_fds(packets[i].data, packets[i].len, packets[i].fds);
        assert_int_equal(msg_recv(pair[1], &in), packets[i].error);
        assert_int_equal(open_fds(), before);
    }
}

static void a_full_an_empty_and_a_closed_socket_are_told_apart(void **state)
{
    _cleanup_msg_ struct msg out, in;
    int r, n = 0;

    msg_init(&out, 1);
    msg_put_str(&out, "text");
    assert_int_equal(msg_recv(pair[1], &in), -EAGAIN);
    while ((r = msg_send(pair[0], &out)) == 0)
        n++;
    assert_true(n > 0);
    assert_int_equal(r, -EAGAIN);
    close(pair[0]);
    while (n-- > 0) {
        assert_int_equal(msg_recv(pair[1], &in), 0);
        msg_free(&in);
    }
    assert_int_equal(msg_recv(pair[1], &in), -EPIPE);
    assert_int_equal(msg_send(pair[1], &out), -EPIPE); /* and no SIGPIPE */
    msg_init(&in, 0);
    pair[0] = -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_arrive_in_their_order),
        TEST(a_message_may_be_empty),
        TEST(descriptors_are_passed),
        TEST(a_missing_descriptor_is_an_error),
        TEST(a_number_over_its_maximum_is_an_error),
        TEST(what_is_too_long_is_not_sent),
        TEST(foreign_packets_are_refused),
        TEST(strings_that_lie_are_refused),
        TEST(every_byte_has_to_be_there),
        TEST(refused_packets_leave_no_descriptors),
        TEST(a_full_an_empty_and_a_closed_socket_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
