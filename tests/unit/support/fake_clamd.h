/* files/clamd.h as the test plays it, for what is above it: a source of the test's program, in front of the
 * real one. */
#pragma once

#include "files/clamd.h"

#include <stdbool.h>

struct fake_answer {
    enum clamd_verdict verdict;
    const char *detail;
    const bool *held; /* silent as long as this is true; NULL: answers at once */
};

extern struct fake_clamd {
    struct fake_answer (*scan)(int fd, uint64_t timeout_ms);
    struct fake_answer (*version)(void);
    unsigned scans, cancelled;
    unsigned lost; /* connections */
} fake_clamd;

uv_loop_t *fake_clamd_loop(const struct clamd *c);
