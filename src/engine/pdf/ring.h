/* Pages that several threads work on: the caller begins them and puts them away, both in their order, and any
 * thread does what lies between. */
#pragma once

#include "core/buf.h"
#include "core/outcome.h"
#include "engine/zip_writer.h"

#include <cairo.h>

enum { RING_THREADS_MAX = 8 };

/* A page on its way. What it holds at the end is freed by the ring. */
struct sheet {
    int page;                 /* from 0 */
    unsigned thread;          /* that finishes it: below RING_THREADS_MAX, 0 is the caller */
    cairo_surface_t *surface; /* what is to be encoded into bytes */
    struct buf bytes;
    struct zip_content content;
    enum outcome outcome; /* of finish() */
    /* the ring's */
    size_t weight;
    bool done;
};

struct ring_work {
    int pages;
    unsigned threads; /* at most so many, the caller's one among them */
    size_t stack_bytes;
    size_t weight_max; /* of all pages in the ring; a heavier one is there alone */
    void *arg;
    /* In the caller: how many bytes begin() will take that stay until put(). NULL: none. */
    enum outcome (*weigh)(void *arg, int page, size_t *ret_weight);
    enum outcome (*begin)(void *arg, struct sheet *sheet);
    /* In any thread. */
    void (*finish)(void *arg, struct sheet *sheet);
    /* In the caller: after a good finish() only. */
    enum outcome (*put)(void *arg, struct sheet *sheet);
};

/* Of the pages that fail, the first one's outcome. */
enum outcome ring_run(const struct ring_work *work);

/* How many threads, the caller's one among them, share the work on so many pages. */
unsigned ring_threads(int pages, unsigned cores);
/* Those that this process may run on; how many there are in the machine is nothing to it. */
unsigned ring_cores(void);
