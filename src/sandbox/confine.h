/* A server confines itself for good once it has opened what it needs: Landlock leaves it the storage tree, a
 * folder to read where it names one, and its peers' TCP ports, seccomp the system calls of its policy.
 * Neither takes privilege nor namespaces, so DECANT_SANDBOX=reduced changes nothing of it. docs/sandbox.md
 * says what is left. */
#pragma once

#include "core/cleanup.h"

enum { CONFINE_PEERS_MAX = 2 };

struct confinement {
    const char *policy;   /* text of the seccomp policy */
    const char *storage;  /* the one folder that may be read and written; NULL: none */
    const char *readable; /* a folder or a file that may be read, or NULL */
    /* Whom it connects to: unix:PATH, tcp:HOST:PORT, or sentinels (core/sentinels.h); or NULL. */
    const char *peers[CONFINE_PEERS_MAX];
    const char *ports; /* of those whom sentinels may name (ports_valid); unused where there are none */
    /* Ports of strangers, found by their names; NULL: none. */
    const char *outgoing;
};

/* Before the program makes its first libuv loop, and in the main thread: as if this kernel had no io_uring.
 * From 1.45 on libuv takes it for its epoll calls where it can, and no setting of its own stops that; but
 * what goes through it passes by every filter, so that the policies have none of it. Where this can't be had
 * confine_process() can't either, and says why. */
void confine_prepare(void);

/* In force for this process and all that it makes, and proved by attempts. In the main thread, before there
 * is another. On failure -errno and `ret_why`, a static sentence: the process must not go on. */
int confine_process(const struct confinement *c, const char **ret_why) _warn_unused_;
