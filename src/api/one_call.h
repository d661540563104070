/* POST /v1/convert: files in, result out, in one call. What its two halves share: one_call.c takes the form,
 * makes jobs of its files and starts them; one_call_end.c waits for their end, answers, and removes them.
 *
 * Each step is what another endpoint does (an upload, a conversion, a removal), in a call within this one,
 * one after the other: a step that fails, or a client that leaves, has the jobs that are there removed. All
 * of it lies in the request's memory, which whoever works for it holds; `left` says that the request has
 * ended.
 *
 * Until somebody is to hear of them, the jobs are kept for no longer than such a call may take: should the
 * server die meanwhile, the janitor removes them.
 *
 * With an Idempotency-Key the jobs stay, and what is remembered is not the answer but their ids: a repeat
 * waits for the same jobs in its own way, and sends what they have become.
 *
 * An anonymous call (identity.h) has a session of its own from when its form is there and can be done. It is
 * closed where the jobs of others are removed; should the server die, it ends as soon as they would. */
#pragma once

#include "api/fields.h"
#include "api/receive.h"
#include "http/multipart.h"
#include "http/prefer.h"

enum { ONE_CALL_FILES_MAX = 100 };

struct one_file {
    struct one_call *o;
    struct receive file;
    const struct catalogue_route *route;
    bool stored; /* it has become a job, which is still there */

    /* while its job's end is waited for */
    struct job_watch *watch;
    bool loading, again;
    bool ended;
    const char *result_path, *result_mime, *result_name;
};

struct one_call {
    struct api *api;
    struct http_request *req;
    struct api_call *call;        /* NULL once it has been answered */
    struct api_call *claiming;    /* it, while it is looked for its first (idempotency.h) */
    const struct api_call *whose; /* the same, for calls within it */
    struct intake slot;           /* one of the uploads', for all the files */
    bool has_turn;                /* one of the anonymous calls that its address may have at once */
    bool busy;                    /* a thread or another call works for it, and will come back */
    atomic_bool left;
    bool stays;                       /* its jobs are to stay, however it is answered */
    bool settled;                     /* its jobs have been removed, or will stay whatever comes */
    void (*kept)(struct one_call *o); /* goes on when they are kept */

    /* the form */
    struct multipart *parser;
    struct fields fields;
    char field[FIELDS_NAME_MAX + 2]; /* the one that comes just now; one more, to tell what is too long */
    struct buf text;
    struct one_file *at; /* the file that comes just now; NULL: a field does */
    struct refusal refusal;
    uint64_t bytes;
    struct one_file *files[ONE_CALL_FILES_MAX];
    size_t n, next; /* next: the file whose turn it is, in whatever is done one after the other */
    uv_work_t work;

    /* its end */
    size_t results, ended; /* how many there will be, how many there are */
    bool waiting;
    uv_timer_t timer;
    struct prefer prefer;
    uint64_t wait_ms;
    struct buf told; /* the jobs, for who waits no longer */
    enum api_error error;
    const struct api_error_info *failure; /* instead of `error`: a job's */
    const char *detail;
};

/* All jobs have been started, by this call or by the one that it repeats. */
void one_call_wait(struct one_call *o);
/* Its jobs are kept as others are from now on; goes on with `then`. */
void one_call_keep(struct one_call *o, void (*then)(struct one_call *o));
/* Removes the jobs that are there, and answers. The sentence is copied; `which` (NULL: none) is named in it
 * where it is one of several. */
void one_call_fail(struct one_call *o, const struct one_file *which, enum api_error error,
                   const char *detail);
/* To be asked first by whatever comes back: the request has ended meanwhile, and this is wound up. */
bool one_call_has_left(struct one_call *o);
/* Has come to its end, and nobody works for it: what is not answered is, files and jobs that don't stay go.
 */
void one_call_wind_up(struct one_call *o);
