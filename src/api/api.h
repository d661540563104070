/* The HTTP API: endpoints as data, and what they share. docs/api.md is the contract that clients see.
 *
 * One struct api per HTTP loop; nothing in it is shared with other loops but the storage and the settings,
 * which don't change. A request runs as a `struct api_call`: the dispatcher has proved what the endpoint
 * needs (a session, the CSRF token) before the handler is called; the handler ends with exactly one
 * api_reply…/api_fail, at once or from a callback, and must not touch the call after it. */
#pragma once

#include "api/client.h"
#include "api/error.h"
#include "api/identity.h"
#include "api/limiter.h"
#include "api/outlook.h"
#include "api/slots.h"
#include "core/buf.h"
#include "core/plans.h"
#include "core/seal.h"
#include "core/settings.h"
#include "files/sniff.h"
#include "files/storage.h"
#include "http/http.h"
#include "queue/queue.h"
#include "state/account.h"
#include "state/job.h"
#include "state/job_json.h"
#include "state/redis.h"
#include "state/session.h"

#include <uv.h>

struct jwt_keys;
struct pages;
struct kept;
struct idempotency;

struct api {
    const struct settings *settings;
    const struct plan *plans; /* PLANS of them */
    uv_loop_t *loop;
    struct http_loop *http;
    struct redis *redis;
    struct job_watcher *watcher;
    struct queue *queue;
    struct events *events; /* events.h */
    struct limiter *limiter;
    /* shared by all loops */
    const struct clients *clients;
    struct slots *connections, *event_streams, *uploads, *archives, *anonymous_calls, *logins;
    struct storage *storage; /* shared by all loops: a descriptor and no state */
    struct sniffer *sniffer;
    const struct redis_config *redis_config;
    struct jwt_keys *jwt_keys;      /* auth/jwt_keys.h; NULL: nobody can log in */
    const struct seal_public *seal; /* for document passwords; NULL: none are taken */
    struct metrics *metrics;        /* this loop's (metrics.h) */
    struct outlook outlook;
    /* shared by all loops; made at the start */
    const struct pages *pages;                   /* pages.h; NULL: there are none */
    const struct kept *formats;                  /* kept.h: the answer of GET /formats */
    const struct kept *openapi;                  /* that of GET /openapi.json */
    const struct metrics_block *all_metrics;     /* of all loops */
    const struct metrics_access *metrics_access; /* of all loops */
};

/* How a call within another one has ended (api_call_within). */
struct api_end {
    unsigned status;      /* of success; 0: of none */
    const json_t *json;   /* of success */
    enum api_error error; /* of a refusal */
    const char *detail;   /* of a refusal, a sentence; NULL: it was none, the client has left */
};
typedef void api_told_fn(void *arg, const struct api_end *end);

struct api_call {
    struct http_request *req;
    struct api *api;
    /* Who calls, where the endpoint needs to know it: identity.h. */
    struct identity identity;
    struct session session;                /* whose jobs it is about: of an account its space */
    char cookie_session[ID_TOKEN_LEN + 1]; /* that of the browser; "": a bearer calls */
    struct account account;                /* `id` is "" where it is nobody's */
    const struct plan *plan;               /* what it may: of nobody known, the plan free */
    unsigned scopes;                       /* SCOPE_… */
    void *ahead;                           /* what the endpoint's `ahead` left for its handler */
    /* Whoever it says it is: a session that the endpoint does not need may be none. */
    struct client_names client;
    char address[CLIENT_ADDRESS_LEN + 1]; /* the name of its address */
    struct limit_verdict verdict;
    unsigned awaited; /* answers of Redis before the handler may run */
    int limit_err;
    api_told_fn *told; /* of a call within another one; NULL: the client is answered */
    void *told_arg;
    struct idempotency *idempotency; /* idempotency.h; NULL: it was not asked for */
};

typedef void api_handler(struct api_call *call);

/* What has to be proved before the handler is called. A bearer stands for the session and the CSRF token. */
enum api_needs {
    API_NEEDS_NOTHING = 0,
    API_NEEDS_OUR_PAGE = 1 << 0, /* or a program: browser.h */
    API_KNOWS_BEARERS = 1 << 1,  /* none is needed, but one that is sent has to be good */
    API_NEEDS_SESSION = 1 << 2 | API_KNOWS_BEARERS,
    API_NEEDS_CSRF = 1 << 3 | API_NEEDS_SESSION | API_NEEDS_OUR_PAGE,
    API_MAY_BE_CLOSING = 1 << 4, /* the session: its closing was cut short */
    API_NEEDS_ACCOUNT = 1 << 5 | API_NEEDS_SESSION,
    API_NEEDS_PREMIUM = 1 << 6 | API_NEEDS_ACCOUNT,
    API_READS = 1 << 7, /* a key that may only read is enough, though it needs the CSRF token from others */
    API_MAY_BE_ANONYMOUS = 1 << 8, /* where DECANT_ANONYMOUS_CALLS lets programs come with nothing */
};

/* Does the endpoint of this call need all of that? */
bool api_call_needs(const struct api_call *call, enum api_needs needs);

/* What a key may; who comes by other ways may both. */
enum { SCOPE_READ = 1, SCOPE_CONVERT = 2 };

/* Which of them such an endpoint asks of a key; 0: none. */
unsigned api_needed_scope(enum api_needs needs);

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
api_handler api_one_call;                                    /* one_call.c */
api_handler api_tus_options, api_tus_create, api_tus_show;   /* tus.c */
api_handler api_tus_append, api_tus_remove;                  /* tus.c */
api_handler api_tus_override;                                /* tus.c */
api_handler api_convert, api_retry;                          /* convert.c */
api_handler api_cancel, api_job_cancel;                      /* cancel.c */
api_handler api_delete, api_job_delete;                      /* remove.c */
api_handler api_job_status, api_job_status_ahead;            /* jobs.c */
api_handler api_events;                                      /* events.c */
api_handler api_history, api_history_empty;                  /* history.c */
api_handler api_download_token, api_download, api_result;    /* download.c */
api_handler api_download_archive;                            /* archive.c */
api_handler api_preview;                                     /* preview.c */
api_handler api_index, api_formats, api_healthz, api_readyz; /* info.c */
api_handler api_metrics;                                     /* metrics.c */
api_handler api_page, api_docs;                              /* pages.c */
api_handler api_openapi;                                     /* openapi/openapi.c */
api_handler api_auth_login;                                  /* auth_login.c */
api_handler api_auth_refresh, api_auth_logout, api_auth_me;  /* auth.c */
api_handler api_auth_jwks;
api_handler api_oidc_login, api_oidc_callback; /* oidc.c */

/* The text of GET /formats, made once. 0 or -ENOMEM. */
int api_formats_make(struct kept *ret) _warn_unused_;

/* Checks what the endpoint of the request needs, then calls its handler: the http_handler of every route. */
void api_dispatch(struct http_request *req);
void api_http_error(struct http_request *req, unsigned status);

/* The route table with the settings' limits in it, and the paths of `pages` (NULL: none); the caller frees
 * it.
 */
struct http_route *api_routes(const struct settings *settings, const struct pages *pages, size_t *ret_n);

/* A call of the same request and for the same owner, for handlers that do what several others do: whatever
 * ends it with JSON, with an error or by leaving it tells `fn`, and sends nothing. It is gone then, as one
 * request may have thousands of them; until then it holds the request, also when that has ended. */
struct api_call *api_call_within(const struct api_call *call, api_told_fn *fn, void *arg);

/* --- replies: each ends the call */
/* Takes over `json`. What had an Idempotency-Key is kept first (idempotency.h). */
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
/* The same with an error that is not of the table, as that of a job (failure.h). */
void api_fail_as(struct api_call *call, const struct api_error_info *error, const char *detail);
/* Refused by `call->verdict`. */
void api_fail_limited(struct api_call *call);
/* Ends a call whose client has gone away, unanswered; or that was answered by other means. */
void api_abandon(struct api_call *call);
/* What went wrong in Redis (an err of redis.h), as 503; the job being gone, as 404. */
void api_fail_state(struct api_call *call, int err);

/* What POST /convert does with such a body, for a call of any kind. Keeps nothing of the text. */
void api_convert_body(struct api_call *call, const char *text, size_t len);

/* What POST /session/close does with such a session, which lives as long as the request (sessions.c). */
void api_reply_closed(struct api_call *call, const char *session_id);

/* May the call name `url` as its callback_url? False after having failed it (convert.c). Then: the URL into
 * the job with what ends in its being enqueued, and webhooks_watch() before. */
bool api_allow_callback(struct api_call *call, const char *url);
/* The job that the body names, for as long as the request lasts; NULL: the call has been failed (jobs.c). */
const char *api_named_job(struct api_call *call);
/* Answers with the job (state/job_json.h): 200 as soon as it has ended, or 202 when it hasn't for `wait_ms`.
 * `job_id` lives as long as the request. */
void api_reply_end(struct api_call *call, const char *job_id, uint64_t wait_ms);
