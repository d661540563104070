/* How a run ended, from all that is known about it. */
#pragma once

#include "core/outcome.h"

#include <stdbool.h>
#include <stdint.h>

struct verdict_facts {
    bool cancelled, timed_out; /* why we killed it, if we did */
    bool misbehaved;           /* its report was no message of ours */
    bool begun;                /* it was about to read its file */
    bool has_result;           /* the child reported: */
    enum outcome result;
    bool has_status;        /* the zygote told how it ended: */
    int status;             /* as of wait(2) */
    bool out_of_memory;     /* its cgroup's, says the kernel */
    bool allocation_failed; /* it said that it got no memory when it asked for some */
    uint64_t cpu_ms, peak_kib;
    uint64_t cpu_limit_s, memory_limit_bytes;
};

enum outcome verdict(const struct verdict_facts *facts);
/* Was the child ended by somebody else (short of memory, an operator) before it could know its file? Then
 * another may do better. */
bool verdict_is_no_fault_of_the_file(const struct verdict_facts *facts);
/* Was it ended by somebody else at all? Then the same file may do better another time. */
bool verdict_is_transient(const struct verdict_facts *facts);
/* May a child say this of its own job? What only the worker can know, it may not. */
bool verdict_may_report(enum outcome outcome);
