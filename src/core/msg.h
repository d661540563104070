/* Messages between Decant's own processes, over SOCK_SEQPACKET Unix sockets, with passed descriptors.
 *
 * A message is one packet: magic u32, type u32, then fields in the fixed order that the type prescribes:
 * numbers as 8 bytes in the machine's order, strings as a u64 length (below MSG_STRING_MAX), the bytes and a
 * NUL. Decoding is strict: a field missing, a string with a NUL inside or a byte left over is -EBADMSG, and
 * the receiver drops the peer, never itself. Writing fails stickily, like struct buf: check once, at
 * msg_send. */
#pragma once

#include "core/buf.h"

#include <stdint.h>

enum { MSG_BYTES_MAX = 64 * 1024, MSG_STRING_MAX = 32 * 1024, MSG_FDS_MAX = 4 };

struct msg {
    uint32_t type;
    struct buf body;
    size_t read; /* how far decoding has come */
    int error;   /* first decoding error, sticky */
    int fds[MSG_FDS_MAX];
    size_t n_fds; /* received: owned by the message until msg_take_fd; to be sent: borrowed */
    int owns_fds;
};

void msg_init(struct msg *m, uint32_t type);
void msg_free(struct msg *m);
#define _cleanup_msg_ _cleanup_(msg_free)

void msg_put_u64(struct msg *m, uint64_t value);
void msg_put_str(struct msg *m, const char *s); /* NULL is sent as "" */
void msg_put_fd(struct msg *m, int fd);

/* Sends one packet: 0, -EAGAIN when the socket is full, -EPIPE when the peer is gone, other -errno. */
int msg_send(int sock, const struct msg *m) _warn_unused_;

/* Receives one packet into `m` (uninitialised): 0, -EAGAIN when there is none, -EPIPE at the end of the
 * stream, -EBADMSG for what is not a message of ours. After 0 the caller frees it. */
int msg_recv(int sock, struct msg *m) _warn_unused_;

/* Getters in the order of the puts. After an error they return 0, "" or -1; ask msg_done once. The string
 * lives in the message. */
uint64_t msg_get_u64(struct msg *m, uint64_t max);
const char *msg_get_str(struct msg *m);
int msg_take_fd(struct msg *m); /* the next descriptor, now the caller's */

/* 0 when every field was there and nothing is left over, else -EBADMSG. */
int msg_done(const struct msg *m) _warn_unused_;
