/* Webhooks in Redis. Who enqueues a conversion with a callback puts its job on the watch first; no script of
 * the queue knows more of it. The courier looks at the watched jobs, and writes a delivery for the end of
 * each task in one script, which notes in the job (`called_back`) of which task it was: so whoever dies in
 * between, nothing is told twice or never.
 *
 *     decant:webhooks:watch   hash: job → "session ms", since when. Not by time, as the courier is told
 *                             a job's id (decant:job:{id}) and looks it up
 *     webhook:{id}            a delivery, the members of struct webhook under the same names; kept for
 *                             WEBHOOK_KEPT_S, or until its job, which names it (`webhooks`), is removed
 *     decant:webhooks:due     zset: deliveries that wait, by when they are tried next. Who takes one puts
 *                             it off by WEBHOOK_LEASE_MS in the same breath: if it dies, it is due then
 *     decant:webhooks:all     zset: all deliveries, by when they were made
 *     decant:webhooks         channel: something has become due
 *
 * So each delivery is made at least once, and its id, which receivers see, stays the same. */
#pragma once

#include "core/id.h"
#include "core/webhook.h"
#include "state/redis.h"

#include <stdint.h>

#define WEBHOOK_CHANNEL "decant:webhooks"

enum {
    WEBHOOK_KEPT_S = 7 * 24 * 3600,
    WEBHOOK_LEASE_MS = 60000, /* longer than an attempt may take */
    WEBHOOK_LIST_PAGE = 200,
};

enum webhook_state { WEBHOOK_WAITING, WEBHOOK_DELIVERED, WEBHOOK_FAILED, WEBHOOK_DROPPED };
const char *webhook_state_name(enum webhook_state state);

/* A view: strings are never NULL, and live during the callback. */
struct webhook {
    const char *id, *account, *job, *type, *url, *body;
    const char *state;
    const char *created_at;                   /* RFC 3339 */
    const char *attempts, *next_at, *last_at; /* numbers; the times in ms, "" none */
    const char *last_status, *last_error;     /* "" none */
};

/* --- for who enqueues: before that. Stays when the enqueueing fails, and is then forgotten. */
void webhooks_watch(struct redis *r, const char *session_id, const char *job_id, redis_reply_fn *fn,
                    void *arg);

/* --- for the courier */
struct webhook_ended { /* a job whose task has ended */
    char job_id[ID_UUID_LEN + 1], session_id[ID_TOKEN_LEN + 1], task_id[ID_UUID_LEN + 1], status[16];
    char account[ID_UUID_LEN + 1], url[WEBHOOK_URL_MAX + 1];
};
/* `cursor` is where the next page begins, "0" after the last one. */
typedef void webhook_ended_fn(void *arg, int err, const char *cursor, const struct webhook_ended *ended,
                              size_t n);
/* A page of the watch from `cursor` on ("0": the first), or `job_id` alone. */
void webhooks_look(struct redis *r, const char *cursor, const char *job_id, webhook_ended_fn *fn, void *arg);
/* Writes the delivery. err -EBUSY: the job has changed, or it has been written; -ENOENT: the job is gone. */
void webhooks_make(struct redis *r, const struct webhook_ended *ended, const char *type, const char *body,
                   redis_reply_fn *fn, void *arg);

struct webhook_taken {
    const char *id, *account, *job, *url, *body;
    uint64_t attempts;                     /* before */
    const char *hosts, *secret, *disabled; /* of the account; "" when it is gone */
};
struct webhook_load { /* how many of an account's are under way */
    const char *account;
    unsigned n;
};
enum { WEBHOOK_TAKE_MAX = 32 };
/* `next_ms`: until another one is due, or -1. */
typedef void webhook_taken_fn(void *arg, int err, long long next_ms, const struct webhook_taken *taken,
                              size_t n);
/* At most `room` (WEBHOOK_TAKE_MAX at most), and so many that no account has more than `each` under way. */
void webhooks_take(struct redis *r, const char *owner, unsigned room, unsigned each,
                   const struct webhook_load *loads, size_t n_loads, webhook_taken_fn *fn, void *arg);
struct webhook_result {
    enum webhook_state state;
    uint64_t delay_ms; /* until it is tried again, when it waits */
    long status;       /* of HTTP; 0: none came */
    const char *error; /* "" none */
};
/* err -EBUSY: it is no longer the owner's; -ENOENT: it is gone, with its job. */
void webhooks_done(struct redis *r, const char *id, const char *owner, const struct webhook_result *result,
                   redis_reply_fn *fn, void *arg);

/* --- for operators */
/* `n` may be 0 while `looked_at` is not: there may be more behind these. */
typedef void webhook_list_fn(void *arg, int err, size_t looked_at, const struct webhook *list, size_t n);
/* Of WEBHOOK_LIST_PAGE deliveries behind the first `skip` those of `account` and of `state` ("": any). */
void webhooks_list(struct redis *r, size_t skip, const char *account, const char *state, webhook_list_fn *fn,
                   void *arg);
typedef void webhook_fn(void *arg, int err, const struct webhook *webhook);
/* err -ENOENT; ids of a wrong form are just as absent. */
void webhooks_load(struct redis *r, const char *id, webhook_fn *fn, void *arg);
/* Is sent now, and from then on tried as often as a new one. err -ENOENT. */
void webhooks_replay(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
