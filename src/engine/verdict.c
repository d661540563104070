/* A library that gets no more memory seldom says so: it aborts, or touches what it didn't get. Such a death
 * counts as "too complex" when the process had grown to half of its limit: a buffer that grows by doubling
 * fails there at the earliest, and much sooner than that a crash is just a crash. A cgroup that ran out of
 * memory says so itself. */
#include "engine/verdict.h"

#include "sandbox/sandbox.h"

#include <signal.h>
#include <sys/wait.h>

bool verdict_may_report(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_OK:
    case OUTCOME_PASSWORD_REQUIRED:
    case OUTCOME_CORRUPT_INPUT:
    case OUTCOME_TOO_COMPLEX:
    case OUTCOME_ENGINE_CRASHED:
    case OUTCOME_NO_OUTPUT:
    case OUTCOME_INTERNAL:
        return true;
    default:
        return false;
    }
}

/* The limit counts whole ticks, while the figure that we are given is exact: on a busy machine it is the
 * less. */
static bool was_busy(const struct verdict_facts *f)
{
    return f->cpu_ms >= f->cpu_limit_s * 500;
}

static bool was_large(const struct verdict_facts *f)
{
    return f->peak_kib * 1024 >= f->memory_limit_bytes / 2;
}

static enum outcome of_signal(const struct verdict_facts *f)
{
    switch (WTERMSIG(f->status)) {
    case SIGXCPU:
        return OUTCOME_TOO_COMPLEX;
    case SIGKILL: /* the CPU limit, or the kernel's want of memory */
        return was_busy(f) || was_large(f) ? OUTCOME_TOO_COMPLEX : OUTCOME_ENGINE_CRASHED;
    case SIGABRT:
    case SIGBUS:
    case SIGSEGV:
    case SIGTRAP:
        return was_large(f) ? OUTCOME_TOO_COMPLEX : OUTCOME_ENGINE_CRASHED;
    default:
        return OUTCOME_ENGINE_CRASHED;
    }
}

bool verdict_is_no_fault_of_the_file(const struct verdict_facts *f)
{
    return !f->begun && !f->cancelled && !f->timed_out && !f->misbehaved && !f->has_result && f->has_status &&
           WIFSIGNALED(f->status);
}

enum outcome verdict(const struct verdict_facts *f)
{
    if (f->cancelled)
        return OUTCOME_CANCELLED;
    if (f->misbehaved)
        return OUTCOME_ENGINE_CRASHED;
    if (f->has_result)
        return f->result;
    if (f->timed_out)
        return OUTCOME_TIMED_OUT;
    if (verdict_is_no_fault_of_the_file(f))
        return OUTCOME_INTERNAL;
    if (f->out_of_memory)
        return OUTCOME_TOO_COMPLEX;
    if (!f->has_status)
        return OUTCOME_ENGINE_CRASHED;
    if (WIFEXITED(f->status))
        return WEXITSTATUS(f->status) == SANDBOX_EXIT_SETUP ? OUTCOME_INTERNAL : OUTCOME_ENGINE_CRASHED;
    return of_signal(f);
}
