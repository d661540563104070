/* The archive engine, for its program and its tests. */
#pragma once

#include "engine/archive/pack.h"
#include "engine/engine.h"

extern const struct engine engine_archive;

/* Names the result and opens it, packed as the job's options have it. */
enum outcome archive_open_result(struct engine_job *job, struct pack **ret) _warn_unused_;
/* What all files together may have: no file may be larger than the limit that the sandbox has set. */
uint64_t archive_bytes_max(void);

/* --- folders.c */

engine_task_fn archive_gather, archive_scatter;
