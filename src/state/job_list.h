/* The jobs of a session, page by page. */
#pragma once

#include "state/job.h"

enum { JOB_LIST_MAX = 100 };

/* Where a page begins: behind that job. */
struct job_cursor {
    uint64_t created_ms;
    char job_id[ID_UUID_LEN + 1]; /* "": with the youngest */
};

/* As clients see them, the youngest first; views that live during the callback. `next` is the last of them.
 */
typedef void job_list_fn(void *arg, int err, const struct job jobs[], size_t n,
                         const struct job_cursor *next);

/* At most `n` of them, up to JOB_LIST_MAX. A session that is gone has none. */
void job_list(struct redis *r, const char *session_id, const struct job_cursor *from, size_t n,
              job_list_fn *fn, void *arg);
