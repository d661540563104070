/* What a child pays for the heap that it shares with its zygote: measured on an office document, with 90 MB
 * of heap.
 *
 * Holes. A warm library leaves thousands of free chunks between those that it keeps. A child that is given
 * one of them writes to a page that it shares with the zygote, and the kernel copies that page: nine hundred
 * pages of four thousand, and a tenth of the processor time. So the zygote takes all holes before it forks
 * for the first time. They are some megabytes, and never given back.
 *
 * Page tables. A fork copies an entry for each page in use and an exit takes it down again: a third of what
 * the fork takes and a twelfth of the processor time are saved where these are entries of huge pages. A child
 * that writes to one gets a copy of 4 KiB, as before. Heaps that are smaller have little to gain, and memory
 * to lose.
 *
 * Rejected: malloc_trim(), which lets go of the pages inside of holes but leaves the holes to be used;
 * glibc.malloc.hugetlb=1, by which every small child clears huge pages of its own, and the threads' heaps of
 * a small zygote grow to four times their size; an arena of its own for each child, as glibc has no call for
 * it. */
#include "engine/heap.h"

#include "core/cleanup.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define HUGE_PAGE ((uintptr_t)2 << 20)
enum { HUGE_PAGES_MIN = 8 };

/* The sanitizers have a heap of their own, other C libraries nothing to ask. */
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33) && !defined(__SANITIZE_ADDRESS__)

enum {
    LARGEST = 64 << 10, /* glibc maps what is larger than 128 KiB */
    EXACT = 2048,
    STEP = 16,
    SMALLEST = 24,
    UNCOUNTED = 256 << 10, /* what the thread's cache can hold */
};

static size_t next_smaller(size_t size)
{
    if (size > EXACT)
        return size - size / 8 > EXACT ? size - size / 8 : EXACT;
    return size > SMALLEST + STEP ? size - STEP : size > SMALLEST ? SMALLEST : 0;
}

/* Returns where the heap's last free chunk begins, which goes on to its end. */
static uintptr_t fill_holes(void)
{
    static void **taken; /* a list through all of them, for tools that look for leaks */
    struct mallinfo2 info = mallinfo2();
    uintptr_t end = (uintptr_t)sbrk(0) - info.keepcost;
    size_t holes = info.fordblks - info.keepcost + UNCOUNTED;

    for (size_t size = LARGEST; size > 0;) {
        void **chunk = malloc(size);
        size_t usable = chunk ? malloc_usable_size(chunk) : 0;

        /* The sum bounds this where `end` isn't the end: a heap in several pieces. */
        if (chunk && (uintptr_t)chunk < end && usable <= holes) {
            holes -= usable;
            *chunk = taken;
            taken = chunk;
        } else {
            free(chunk);
            size = next_smaller(size);
        }
    }
    return end;
}

#else

static uintptr_t fill_holes(void)
{
    return (uintptr_t)sbrk(0);
}

#endif

/* 0 when /proc doesn't tell. */
static uintptr_t heap_begin(void)
{
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned long begin;

    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "[heap]") && sscanf(line, "%lx-", &begin) == 1)
            return begin;
    return 0;
}

static void map_by_huge_pages(uintptr_t begin, uintptr_t end)
{
    begin = (begin + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    end &= ~(HUGE_PAGE - 1);
    if (begin == 0 || end < begin + HUGE_PAGES_MIN * HUGE_PAGE)
        return;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): /proc tells numbers
    while (begin < end && madvise((void *)begin, HUGE_PAGE, MADV_COLLAPSE) == 0)
        begin += HUGE_PAGE;
}

void heap_settle(void)
{
    uintptr_t end = fill_holes();

    map_by_huge_pages(heap_begin(), end);
}
