/* One document as several. */
#pragma once

#include "engine/engine.h"

#include <stdint.h>

/* Of each part; 0: none. */
struct split_limits {
    uint64_t pages, bytes;
};

/* Writes parts of job->pages pages, each as `work` (pages/work.h; without an output) has it, into a ZIP; one
 * that needs no splitting stays a PDF. OUTCOME_BAD_OPTIONS when a single page is larger than allowed. */
enum outcome split_write(struct engine_job *job, const json_t *work, const struct split_limits *limits);
