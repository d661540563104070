/* A conversion that has failed as an answer of its own: the job's `error_code` is the problem's code, and one
 * table says with which status. */
#pragma once

#include "api/error.h"
#include "state/job.h"

#include <stddef.h>

/* Of the code of a failed or cancelled job; of one that we don't know, as that of "internal". */
const struct api_error_info *failure_info(const char *error_code);
/* All of them, one after the other; NULL behind the last. */
const struct api_error_info *failure_get(size_t index);
