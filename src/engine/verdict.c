/* A library that gets no more memory seldom says so: it aborts, or touches what it didn't get. Such a death
 * counts as "too complex" when the process has told that an allocation failed (engine/allocations.c), or had
 * grown to half of its limit, as by memory that came from no allocator: a buffer that grows by doubling fails
 * there at the earliest, and much sooner than that a crash is just a crash. A cgroup that ran out of memory
 * says so itself. */
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
    case OUTCOME_BAD_OPTIONS:
    case OUTCOME_INTERNAL:
    case OUTCOME_LANGUAGE_MISSING:
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

/* Of a process that ended by its own hand. */
static enum outcome of_crash(const struct verdict_facts *f)
{
    return f->allocation_failed || was_large(f) ? OUTCOME_TOO_COMPLEX : OUTCOME_ENGINE_CRASHED;
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
    case SIGILL:
    case SIGTRAP:
        return of_crash(f);
    default:
        return OUTCOME_ENGINE_CRASHED;
    }
}

/* A library that copes with the want of memory gives the document up as one that it can't read. */
static enum outcome of_result(const struct verdict_facts *f)
{
    bool gave_up = f->result == OUTCOME_CORRUPT_INPUT || f->result == OUTCOME_NO_OUTPUT;

    return gave_up && f->allocation_failed ? OUTCOME_TOO_COMPLEX : f->result;
}

bool verdict_is_no_fault_of_the_file(const struct verdict_facts *f)
{
    return !f->begun && !f->cancelled && !f->timed_out && !f->misbehaved && !f->has_result && f->has_status &&
           WIFSIGNALED(f->status);
}

bool verdict_is_transient(const struct verdict_facts *f)
{
    bool killed = f->has_status && WIFSIGNALED(f->status) && WTERMSIG(f->status) == SIGKILL;

    if (f->cancelled || f->timed_out || f->misbehaved || f->has_result || f->out_of_memory ||
        f->allocation_failed)
        return false;
    return verdict_is_no_fault_of_the_file(f) || (killed && !was_busy(f) && !was_large(f));
}

enum outcome verdict(const struct verdict_facts *f)
{
    if (f->cancelled)
        return OUTCOME_CANCELLED;
    if (f->misbehaved)
        return OUTCOME_ENGINE_CRASHED;
    if (f->has_result)
        return of_result(f);
    if (f->timed_out)
        return OUTCOME_TIMED_OUT;
    if (verdict_is_no_fault_of_the_file(f))
        return OUTCOME_INTERNAL;
    if (f->out_of_memory)
        return OUTCOME_TOO_COMPLEX;
    if (!f->has_status)
        return OUTCOME_ENGINE_CRASHED;
    if (WIFEXITED(f->status))
        return WEXITSTATUS(f->status) == SANDBOX_EXIT_SETUP ? OUTCOME_INTERNAL
               : f->allocation_failed                       ? OUTCOME_TOO_COMPLEX
                                                            : OUTCOME_ENGINE_CRASHED;
    return of_signal(f);
}
