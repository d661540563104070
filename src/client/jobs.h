/* What can be done with jobs on a server, each by one call of its API (docs/api.md). All return what
 * remote_call() does, with a fault. */
#pragma once

#include "client/remote.h"
#include "core/id.h"

typedef void jobs_progress_fn(void *arg, uint64_t done, uint64_t total);
/* What it is at, whenever that has changed. */
typedef void jobs_change_fn(void *arg, const char *status, unsigned percent);

/* For one thread. */
struct jobs_caller {
    struct remote *remote;
    struct exchange_line line;
    struct remote_fault fault; /* why the last one failed */
};

int jobs_caller_open(struct jobs_caller *c, struct remote *remote) _warn_unused_;
void jobs_caller_close(struct jobs_caller *c);

/* A large one is sent on from where it broke. `ret_id` is set as soon as the server knows of it: also after a
 * failure it may be there to be deleted. */
int jobs_upload(struct jobs_caller *c, int fd, const char *name, uint64_t size, jobs_progress_fn *fn,
                void *arg, char ret_id[ID_UUID_LEN + 1]) _warn_unused_;
/* One of many when `n` is more than one. `options` is a JSON object; NULL: none. However often this is tried
 * on the way, it is converted once. */
int jobs_convert(struct jobs_caller *c, char (*ids)[ID_UUID_LEN + 1], size_t n, const char *target,
                 const char *options) _warn_unused_;
/* A conversion in one call, of which nothing is left there and which may need no login: what `fd` has is
 * converted, and the result comes into the empty file `sink`. A call that breaks is made again from its
 * beginning. */
struct jobs_call {
    int fd;
    const char *name;
    uint64_t size;
    const char *target, *options; /* as of jobs_convert() */
    jobs_progress_fn *sent;       /* may be NULL */
    void *arg;
    int sink;
};
/* `ret_zip`: it is a ZIP archive. */
int jobs_convert_at_once(struct jobs_caller *c, const struct jobs_call *call, bool *ret_zip) _warn_unused_;
/* Once, or until it has ended; new. */
int jobs_show(struct jobs_caller *c, const char *id, json_t **ret_job) _warn_unused_;
int jobs_wait(struct jobs_caller *c, const char *id, jobs_change_fn *fn, void *arg,
              json_t **ret_job) _warn_unused_;
/* The result of a job that is completed, into an empty file. A connection that breaks is taken up again where
 * it broke. */
int jobs_fetch(struct jobs_caller *c, const json_t *job, int fd, jobs_progress_fn *fn,
               void *arg) _warn_unused_;
int jobs_cancel(struct jobs_caller *c, const char *id, json_t **ret_job) _warn_unused_;
/* It is gone also when it wasn't there. `ret_there`: was it? May be NULL. */
int jobs_delete(struct jobs_caller *c, const char *id, bool *ret_there) _warn_unused_;
/* A page of GET /history; `cursor` NULL: the first. */
int jobs_history(struct jobs_caller *c, unsigned limit, const char *cursor, json_t **ret_page) _warn_unused_;

/* "completed", "failed", "cancelled". */
bool jobs_status_is_end(const char *status);
