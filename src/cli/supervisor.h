/* Keeps a few programs running: each is started in the same folder as its own user, restarted with back-off
 * when it dies, and ended in a chosen order. Used by `decant serve`.
 *
 * Started as root it stays that, as only root can start parts as other users again; it gives up what it
 * doesn't need for it, and reads nothing from anybody but how its children ended. */
#pragma once

#include "core/cleanup.h"
#include "core/privilege.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

enum { PART_ARGS_MAX = 40 };

struct part {
    const char *name;
    const char *argv[PART_ARGS_MAX]; /* NULL-terminated */
    int program_fd;                  /* O_PATH of the executable */
    struct privilege_ids user;       /* whom it runs as, if we are root */
    bool drops_itself;               /* it is started as root, and becomes its user by itself */
    bool heeds_hangup;               /* SIGHUP tells it to look at what is new */
    const char *needs[2];    /* Unix sockets, below dir_fd, whose server has to answer first; or NULL */
    bool quiet;              /* what it prints to standard output is dropped */
    unsigned end_order;      /* the least are told to end first; the next when those are gone */
    uint64_t end_timeout_ms; /* SIGKILL after that */

    /* the supervisor's */
    struct supervisor *supervisor;
    pid_t pid; /* 0: not running */
    uv_timer_t timer;
    uint64_t started_ms, backoff_ms, waiting_ms; /* since when it waits for what it needs, or 0 */
};

struct supervisor {
    uv_loop_t *loop;
    struct part *parts;
    size_t n_parts;
    int dir_fd; /* the parts' working directory, which is ours from the start on */
    void (*ended)(void *arg,
                  int status); /* all parts are gone; the status that made it end, 0 after supervisor_end */
    void *arg;

    /* the supervisor's */
    uv_signal_t child;
    bool ending;
    unsigned order;
    int status;
};

/* A part that ends with this status does so on purpose (its configuration or its sandbox is refused):
 * everything ends. */
enum { PART_REFUSES = 78 };

/* Starts all parts, after having given up all rights of root's but those that it takes: they are gone for the
 * caller too. The struct and the parts must stay where they are until `ended`. */
int supervisor_start(struct supervisor *s) _warn_unused_;
/* SIGTERM to each part, in order; again (a second Ctrl-C): SIGKILL to all. */
void supervisor_end(struct supervisor *s);
