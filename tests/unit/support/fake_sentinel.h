/* A sentinel of the test's own, on the test's loop: it answers what Decant asks of one, and says what it is
 * told to. Everything here ends the test when it fails. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct fake_sentinel {
    /* what it says; may be changed at any time */
    const char *host; /* of the master "mymaster"; NULL: it knows none */
    int port;
    const char *epoch;    /* a number */
    const char *password; /* that it wants first; NULL: none */
    bool silent;          /* it answers nothing but PING */
    int asked;            /* where the master is, so often */
    int listens_on;       /* its own port, on 127.0.0.1 */
    uv_tcp_t listener;
};

void fake_sentinel_start(struct fake_sentinel *s, uv_loop_t *loop);
/* Takes no more connections; the loop has to turn once more. */
void fake_sentinel_stop(struct fake_sentinel *s);
