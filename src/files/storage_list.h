/* What lies in the storage tree, for whoever cleans up in it. Blocking calls. */
#pragma once

#include "files/storage.h"

#include <sys/types.h>

/* A walk over the folders of sessions. What comes or goes meanwhile may be seen or not. */
struct storage_walk;
int storage_walk_new(struct storage *s, struct storage_walk **ret) _warn_unused_;
/* The next ids, `max` at the most; 0: there are no more. */
size_t storage_walk_next(struct storage_walk *w, char (*ret)[ID_TOKEN_LEN + 1], size_t max);
void storage_walk_free(struct storage_walk *w); /* NULL is fine */

struct storage_job {
    char id[ID_UUID_LEN + 1];
    bool settled;  /* nothing was made, renamed or removed in its folder for `settled_s` */
    bool littered; /* the output folder of an attempt is there: told of settled ones alone */
};
/* The folders of a session's jobs; the caller frees `ret`. A session without a folder has none. */
int storage_list_jobs(struct storage *s, const char *session_id, time_t settled_s, struct storage_job **ret,
                      size_t *ret_n) _warn_unused_;

/* storage_sweep_job() for one who has no claim, of a job that has ended. Does nothing to a folder that has
 * not settled (an operator may have begun the job anew), or that is gone. */
int storage_sweep_settled(struct storage *s, const char *session_id, const char *job_id, time_t settled_s,
                          const char *keep);
