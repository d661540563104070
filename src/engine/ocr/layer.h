/* What was read, laid over the pages that it was read from: by qpdf, which leaves their own content alone. */
#pragma once

#include "core/buf.h"
#include "engine/engine.h"

#define LAYER_PROGRAM "/usr/bin/qpdf"

struct layer {
    struct buf pages; /* "1-3,7" */
    int first, last;  /* the run of pages that isn't among them yet; 0: none */
};

enum { LAYER_PAGES_BYTES = 16 * 1024 /* of every other page of 2,000 */ };
#define LAYER_INIT                                                                                           \
    {                                                                                                        \
        .pages = BUF_INIT(LAYER_PAGES_BYTES)                                                                 \
    }
void layer_free(struct layer *l);
#define _cleanup_layer_ _cleanup_(layer_free)

/* One page more has a page of the layer: from 1 on, each greater than the one before. */
void layer_add(struct layer *l, int page);
/* They are all: as qpdf names them, "" for none; borrowed. NULL when memory is out. */
const char *layer_pages(struct layer *l);

/* Makes the job's result of its input and the layer's pages, which are in the file `text`, in their order; a
 * copy of the input where there are none. Not protected any more. */
enum outcome layer_lay(struct layer *l, struct engine_job *job, const char *text);
