/* The allocator of every engine program: the C library's, which is asked through here.
 *
 * A library that gets no memory aborts, throws what nobody catches, or touches what it didn't get: from
 * outside that is a crash like any other, and how large the process had grown tells little when the one
 * request that failed was larger than all it had. So the failure itself is told, at the moment when it
 * happens: the process may not have another. What becomes of it is up to the library as before; the worker
 * only asks when the process then ends without a result.
 *
 * The functions of this name are the ones that all libraries of the process call, since a program comes first
 * where the dynamic linker looks; whatever is not here (free, aligned memory) is the C library's own, which
 * fits, as the memory comes from there. Rejected: a handler for SIGABRT, which sees neither a touched null
 * pointer nor what a library made of the exception on its way; std::set_new_handler, as most of the
 * libraries are in C; hooks of the C library, which has none any more. */
#include "engine/allocations.h"

#include "engine/protocol.h"

#include "core/msg.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static int report_fd = -1;

void allocations_watch(int fd)
{
    report_fd = fd;
}

/* The address sanitizer has an allocator of its own. */
#if !defined(__SANITIZE_ADDRESS__)

/* glibc's names of its own functions, for those who replace them. */
void *__libc_malloc(size_t size);           // NOLINT(bugprone-reserved-identifier)
void *__libc_calloc(size_t n, size_t size); // NOLINT(bugprone-reserved-identifier)
void *__libc_realloc(void *p, size_t size); // NOLINT(bugprone-reserved-identifier)

#define _for_libraries_ __attribute__((visibility("default")))

/* A message without fields is made and sent without an allocation. */
__attribute__((noinline, cold)) static void tell(void)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    struct msg m;

    if (report_fd < 0 || atomic_flag_test_and_set(&told))
        return;
    msg_init(&m, ENGINE_ALLOCATION_FAILED);
    if (msg_send(report_fd, &m) < 0) /* no room for it: the next failure may find some */
        atomic_flag_clear(&told);
    errno = ENOMEM;
}

static void *checked(void *p, bool wanted)
{
    if (__builtin_expect(!p && wanted, false))
        tell();
    return p;
}

_for_libraries_ void *malloc(size_t size)
{
    return checked(__libc_malloc(size), true);
}

_for_libraries_ void *calloc(size_t n, size_t size)
{
    return checked(__libc_calloc(n, size), true);
}

/* With a size of 0 it frees, and returns NULL. */
_for_libraries_ void *realloc(void *p, size_t size)
{
    return checked(__libc_realloc(p, size), size > 0);
}

#endif
