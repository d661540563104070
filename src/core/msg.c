#include "core/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { MSG_MAGIC = 0x4443414e };

struct header {
    uint32_t magic, type;
};

void msg_init(struct msg *m, uint32_t type)
{
    *m = (struct msg){.type = type, .body = BUF_INIT(MSG_BYTES_MAX)};
    m->body.secret = true; /* a job's options may hold a password */
}

void msg_free(struct msg *m)
{
    if (m->owns_fds)
        for (size_t i = 0; i < m->n_fds; i++)
            cleanup_close(&m->fds[i]);
    buf_free(&m->body);
    m->n_fds = 0;
}

void msg_put_u64(struct msg *m, uint64_t value)
{
    buf_append(&m->body, &value, sizeof value);
}

/* A string is stored with a NUL behind it, so that the receiver can use it in place. */
void msg_put_str(struct msg *m, const char *s)
{
    uint64_t len = s ? strlen(s) : 0;

    if (len >= MSG_STRING_MAX)
        m->body.error = -EMSGSIZE;
    msg_put_u64(m, len);
    buf_append(&m->body, s ? s : "", len + 1);
}

void msg_put_fd(struct msg *m, int fd)
{
    if (m->n_fds == MSG_FDS_MAX)
        m->body.error = -EMSGSIZE;
    else
        m->fds[m->n_fds++] = fd;
}

int msg_send(int sock, const struct msg *m)
{
    struct header head = {.magic = MSG_MAGIC, .type = m->type};
    struct iovec iov[] = {{&head, sizeof head}, {m->body.data, m->body.len}};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};

    if (buf_error(&m->body))
        return buf_error(&m->body);
    if (m->n_fds > 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);

        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
        memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->n_fds);
    }
    for (;;) {
        if (sendmsg(sock, &mh, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return errno == ECONNRESET ? -EPIPE : -errno;
    }
}

static void adopt_fds(struct msg *m, struct msghdr *mh)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;

        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (m->n_fds < MSG_FDS_MAX)
                m->fds[m->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

int msg_recv(int sock, struct msg *m)
{
    static __thread char packet[MSG_BYTES_MAX + 1];
    struct header head;
    struct iovec iov[] = {{&head, sizeof head}, {packet, sizeof packet}};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct msghdr mh = {.msg_iov = iov,
                        .msg_iovlen = 2,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    ssize_t n;

    do
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;

    msg_init(m, 0);
    m->owns_fds = 1;
    adopt_fds(m, &mh); /* first: an empty packet can carry descriptors, too */
    if (n == 0) {
        msg_free(m);
        return -EPIPE;
    }
    if ((size_t)n < sizeof head || head.magic != MSG_MAGIC || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        buf_append(&m->body, packet, (size_t)n - sizeof head) < 0) {
        msg_free(m);
        return -EBADMSG;
    }
    m->type = head.type;
    return 0;
}

uint64_t msg_get_u64(struct msg *m, uint64_t max)
{
    uint64_t value;

    if (m->error || m->body.len - m->read < sizeof value) {
        m->error = -EBADMSG;
        return 0;
    }
    memcpy(&value, m->body.data + m->read, sizeof value);
    m->read += sizeof value;
    if (value > max) {
        m->error = -EBADMSG;
        return 0;
    }
    return value;
}

const char *msg_get_str(struct msg *m)
{
    uint64_t len = msg_get_u64(m, MSG_STRING_MAX - 1);
    const char *s = m->body.data + m->read;

    if (m->error || m->body.len - m->read < len + 1 || s[len] != '\0' || memchr(s, '\0', len)) {
        m->error = -EBADMSG;
        return "";
    }
    m->read += len + 1;
    return s;
}

int msg_take_fd(struct msg *m)
{
    for (size_t i = 0; i < m->n_fds; i++)
        if (m->fds[i] >= 0)
            return TAKE_FD(m->fds[i]);
    m->error = -EBADMSG;
    return -1;
}

int msg_done(const struct msg *m)
{
    return m->error || m->read != m->body.len ? -EBADMSG : 0;
}
