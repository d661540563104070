/* Reading the times that Celery writes: ISO 8601 as Python's isoformat() has it, such as
 * 2026-11-21T16:14:29.908600+00:00; a time without an offset is UTC, as Celery takes it. */
#pragma once

#include "core/cleanup.h"

#include <stdint.h>

/* Milliseconds since 1970; -EINVAL for any other form, for dates that don't exist and years before 1970. */
int iso_time_parse(const char *s, uint64_t *ret_ms) _warn_unused_;
