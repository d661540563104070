/* The HTTP API: endpoints as data, and what they share. docs/api.md is the contract that clients see.
 *
 * One struct api per HTTP loop; nothing in it is shared with other loops but the storage and the settings,
 * which don't change. A request runs as a `struct api_call`: the dispatcher has proved what the endpoint
 * needs (a session, the CSRF token) before the handler is called; the handler ends with exactly one
 * api_reply…/api_fail, at once or from a callback, and must not touch the call after it. */
#pragma once

#include "api/client.h"
#include "api/error.h"
#include "api/limiter.h"
#include "api/outlook.h"
#include "api/slots.h"
#include "core/buf.h"
#include "core/seal.h"
#include "core/settings.h"
#include "files/sniff.h"
#include "files/storage.h"
#include "http/http.h"
#include "queue/queue.h"
#include "state/job.h"
#include "state/redis.h"
#include "state/session.h"

#include <uv.h>

struct pages;
struct kept;

struct api {
    const struct settings *settings;
    uv_loop_t *loop;
    struct http_loop *http;
    struct redis *redis;
    struct job_watcher *watcher;
    struct queue *queue;
    struct events *events; /* events.h */
    struct limiter *limiter;
    /* shared by all loops */
    const struct clients *clients;
    struct slots *connections, *event_streams, *uploads, *archives;
    struct storage *storage; /* shared by all loops: a descriptor and no state */
    struct sniffer *sniffer;
    const struct redis_config *redis_config;
    const struct seal_public *seal; /* for document passwords; NULL: none are taken */
    struct metrics *metrics;        /* this loop's (metrics.h) */
    struct outlook outlook;
    /* shared by all loops; made at the start */
    const struct pages *pages;                   /* pages.h; NULL: there are none */
    const struct kept *formats;                  /* kept.h: the answer of GET /formats */
    const struct metrics_block *all_metrics;     /* of all loops */
    const struct metrics_access *metrics_access; /* of all loops */
};

struct api_call {
    struct http_request *req;
    struct api *api;
    struct session session; /* where the endpoint needs one */
    bool closing_tried;     /* the session was looked for among those being closed, too */
    void *ahead;            /* what the endpoint's `ahead` left for its handler */
    /* Whoever it says it is: a session that the endpoint does not need may be none. */
    struct client_names client;
    char address[CLIENT_ADDRESS_LEN + 1]; /* the name of its address */
    struct limit_verdict verdict;
    unsigned awaited; /* answers of Redis before the handler may run */
    int limit_err, session_err;
};

typedef void api_handler(struct api_call *call);

enum api_needs {
    API_NEEDS_NOTHING,
    API_NEEDS_OUR_PAGE, /* or a program: browser.h; all that need the CSRF token need this, too */
    API_NEEDS_SESSION,
    API_NEEDS_CSRF,            /* and a session */
    API_NEEDS_CSRF_TO_CLOSE_IT /* and a session, which may be one whose closing was cut short */
};

struct api_endpoint {
    enum api_needs needs;
    enum limit_class limit;
    /* Called before anything is proved, just after Redis was asked for the session: may only ask Redis for
     * what the handler will want, so that both come in one turn. NULL: none. */
    api_handler *ahead;
    api_handler *handler;
};

/* The handlers, by file. */
api_handler api_session_init, api_session_close;             /* sessions.c */
api_handler api_duplicate;                                   /* duplicate.c */
api_handler api_upload;                                      /* upload.c */
api_handler api_convert, api_retry;                          /* convert.c */
api_handler api_cancel;                                      /* cancel.c */
api_handler api_job_status, api_job_status_ahead;            /* jobs.c */
api_handler api_events;                                      /* events.c */
api_handler api_download_token, api_download;                /* download.c */
api_handler api_download_archive;                            /* archive.c */
api_handler api_preview;                                     /* preview.c */
api_handler api_index, api_formats, api_healthz, api_readyz; /* info.c */
api_handler api_metrics;                                     /* metrics.c */
api_handler api_page;                                        /* pages.c */

/* The text of GET /formats, made once. 0 or -ENOMEM. */
int api_formats_make(struct kept *ret) _warn_unused_;

/* Checks what the endpoint of the request needs, then calls its handler: the http_handler of every route. */
void api_dispatch(struct http_request *req);
void api_http_error(struct http_request *req, unsigned status);

/* The route table with the settings' limits in it, and the paths of `pages` (NULL: none); the caller frees
 * it.
 */
struct http_route *api_routes(const struct settings *settings, const struct pages *pages, size_t *ret_n);

/* --- replies: each ends the call */
void api_reply_json(struct api_call *call, unsigned status, json_t *json);
void api_reply(struct api_call *call, unsigned status, const char *type, const void *body, size_t len);
/* `body` lasts as long as the server and is not copied. */
void api_reply_static(struct api_call *call, unsigned status, const char *type, const void *body, size_t len);
/* Takes over what is in `body`, which must have no error. */
void api_reply_buf(struct api_call *call, unsigned status, const char *type, struct buf *body);
void api_reply_file(struct api_call *call, const char *type, int fd);
/* Takes over `fd`, which is open on `path` below the storage root; where nginx sends such files it gets that
 * path. */
void api_reply_stored(struct api_call *call, const char *type, int fd, const char *path);
/* application/problem+json; `detail` is a sentence for a person. */
void api_fail(struct api_call *call, enum api_error error, const char *detail);
/* Ends a call whose client has gone away, unanswered; or that was answered by other means. */
void api_abandon(struct api_call *call);
/* What went wrong in Redis (an err of redis.h), as 503; the job being gone, as 404. */
void api_fail_state(struct api_call *call, int err);

/* --- jobs as clients see them (job_json.c) */
/* The object of /job_status and of the events. */
enum { API_JOB_BYTES = 1000 /* about */, API_JOB_BYTES_MAX = 64 * 1024 };
void api_job_write(struct buf *out, const struct job *job);
/* Answers with it: 200 as soon as the job has ended, or 202 when it hasn't for `wait_ms`. `job_id` lives as
 * long as the request. */
void api_reply_end(struct api_call *call, const char *job_id, uint64_t wait_ms);
/* The extension of a completed job's result, inside the job. */
const char *api_output_extension(const struct job *job);
