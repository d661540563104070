/* Memory for what is small and ours: state of a call, arguments of a command. A process that can't have it is
 * of no use to anybody, its work is in Redis and goes on elsewhere: it ends by abort(), and is started again.
 * What a client's input sizes is asked for by malloc() and refused with -ENOMEM. */
#pragma once

#include <stdlib.h>
#include <string.h>

static inline void *xalloc_or_end(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* As malloc(), calloc(), strdup() and strndup() are, but never NULL. */

__attribute__((malloc, alloc_size(1), returns_nonnull)) static inline void *xmalloc(size_t size)
{
    return xalloc_or_end(malloc(size));
}

__attribute__((malloc, alloc_size(1, 2), returns_nonnull)) static inline void *xcalloc(size_t n, size_t size)
{
    return xalloc_or_end(calloc(n, size));
}

__attribute__((malloc, returns_nonnull)) static inline char *xstrdup(const char *s)
{
    return xalloc_or_end(strdup(s));
}

__attribute__((malloc, returns_nonnull)) static inline char *xstrndup(const char *s, size_t max)
{
    return xalloc_or_end(strndup(s, max));
}
