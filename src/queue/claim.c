/* Claims, from the worker's side.
 *
 * Redis says who holds what: the hash `decant:claims:{worker}`, kept by the scripts. A claim can still get
 * lost on the way: Redis has given it to us, and the connection breaks before the answer is here. Refreshing
 * all that the hash names would keep such a task claimed, and idle, for as long as we live. So this side
 * chooses the tags, remembers each from before it asks until the end is answered (struct queue_held), and
 * tells them to refresh, which gives back what we don't know of. Tags whose claim or completion is on its way
 * are named apart: for them neither "lost" nor "unknown" would be true. */
#include "core/buf.h"
#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "queue/envelope.h"
#include "queue/follow.h"
#include "queue/monitor.h"
#include "queue/queue_impl.h"
#include "queue/result.h"

#include <errno.h>
#include <strings.h>

enum { NAMES_MAX = 16 * 1024 };

static struct queue_held *held_new(struct queue *q, const char *worker)
{
    struct queue_held *held = xcalloc(1, sizeof *held);
    char id[ID_UUID_LEN + 1];

    held->worker = xstrdup(worker);
    id_uuid(id);
    snprintf(held->tag, sizeof held->tag, "%s%s", QUEUE_TAG_PREFIX, id);
    held->queue = q;
    held->next = q->held;
    q->held = held;
    return held;
}

void queue_held_drop(struct queue_held *held)
{
    struct queue_held **at = &held->queue->held;

    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    if (held->claim)
        held->claim->held = NULL;
    free(held->worker);
    free(held);
}

void queue_claim_free(struct queue_claim *c)
{
    if (!c)
        return;
    if (c->held) {
        c->held->claim = NULL;
        if (c->held->state != HELD_FINISHING)
            queue_held_drop(c->held);
    }
    free(c->tag);
    free(c->id);
    free(c->name);
    json_decref(c->args);
    json_decref(c->kwargs);
    free(c->reply_to);
    free(c->message);
    free(c->group_id);
    free(c->parent_id);
    free(c->root_id);
    json_decref(c->callbacks);
    json_decref(c->errbacks);
    json_decref(c->chain);
    free(c);
}

/* The end of done and release. Without an answer the claim is as it was before; if its owner has freed it
 * meanwhile, nobody is left to ask again, and refresh shall give it back. */
static void on_finished(void *arg, int err, const redisReply *reply)
{
    struct queue_op *op = arg;
    struct queue_held *held = op->held;

    if (held && held->claim && (err < 0 || queue_code(reply) == -EAGAIN || queue_code(reply) == -ECANCELED))
        held->state = HELD_SURE; /* a retry found no room; or it has to end in another way */
    else if (held)
        queue_held_drop(held);
    queue_op_on_code(op, err, reply);
}

static struct queue_op *finishing(struct queue_op *op, const struct queue_claim *claim)
{
    /* Asked twice at once: the first answer is the claim's. */
    if (claim->held && claim->held->state != HELD_FINISHING) {
        op->held = claim->held;
        op->held->state = HELD_FINISHING;
    }
    return op;
}

/* The script's arguments: the fixed ones, what follows, the hash. */
static const char **done_arguments(const char *const fixed[], const struct follow *f)
{
    size_t n = 0, n_pairs = 2 * (f->n_messages + f->n_results);
    const char **argv;

    while (fixed[n])
        n++;
    argv = xcalloc(n + n_pairs + 1, sizeof *argv);
    memcpy(argv, fixed, n * sizeof *argv);
    for (size_t i = 0; i < n_pairs; i++)
        argv[n + i] = f->pairs[i];
    return argv;
}

static int make_payload(const struct queue *q, const struct queue_claim *claim,
                        const struct queue_result *result, struct follow *f, char **ret)
{
    int r = follow_make(q, claim, result, f);

    if (r < 0)
        return r;
    *ret = claim->ignore_result ? strdup("") : result_payload(claim, result, f->children);
    if (!*ret &&
        result->state == QUEUE_REJECTED) /* the dead letters take what can't be told to anybody too */
        *ret = strdup("");
    return *ret ? 0 : -EMSGSIZE;
}

static void finish(struct queue_op *op, const char *worker, const struct queue_claim *claim,
                   const struct queue_result *result, const struct queue_hash *hash)
{
    const char *tally = result->tally ? result->tally : "", *name = result->tally ? result->tally_name : "";
    const char *share = result->tally ? result->tally_share : "";
    const char *reason = result->exc_message ? result->exc_message : result->exc_type;
    _cleanup_follow_ struct follow f = {0};
    _cleanup_free_ char *payload = NULL;
    char by[24], n_messages[24], n_results[24];
    int r = make_payload(op->q, claim, result, &f, &payload);

    if (r < 0) {
        queue_op_fail(op, r);
        return;
    }
    if (result->state != QUEUE_REJECTED)
        reason = "";
    else if (!reason)
        reason = "rejected";
    snprintf(by, sizeof by, "%lu", result->tally_by);
    snprintf(n_messages, sizeof n_messages, "%zu", f.n_messages);
    snprintf(n_results, sizeof n_results, "%zu", f.n_results);

    _cleanup_free_ const char **argv =
        done_arguments(REDIS(worker, claim->tag, claim->id, result_status(result->state), payload, reason,
                             tally, name, by, share, n_messages, n_results),
                       &f);

    queue_eval(op->q, SCRIPT_DONE, argv, hash, on_finished, finishing(op, claim));
}

void queue_done(struct queue *q, const char *worker, const struct queue_claim *claim,
                const struct queue_result *result, const struct queue_hash *hash, queue_fn *fn, void *arg)
{
    finish(queue_op_new(q, fn, arg), worker, claim, result, hash);
}

/* Takes `payload` over; NULL: there is nothing to tell. */
static void tell_state(struct queue *q, const char *worker, const struct queue_claim *claim, char *payload)
{
    if (payload)
        queue_eval(q, SCRIPT_STARTED, REDIS(worker, claim->tag, claim->id, payload), NULL, NULL, NULL);
    free(payload);
}

void queue_started(struct queue *q, const char *worker, const struct queue_claim *claim, const json_t *meta)
{
    tell_state(q, worker, claim, claim->ignore_result ? NULL : result_started_payload(claim, meta));
}

void queue_retried(struct queue *q, const char *worker, const struct queue_claim *claim, const char *why)
{
    tell_state(q, worker, claim, claim->ignore_result ? NULL : result_given_back_payload(claim, why));
}

static void release(struct queue *q, const char *worker, const struct queue_claim *claim, const char *to,
                    const struct queue_hash *hash, queue_fn *fn, void *arg)
{
    queue_eval(q, SCRIPT_RELEASE, REDIS(worker, claim->tag, claim->id, to), hash, on_finished,
               finishing(queue_op_new(q, fn, arg), claim));
}

void queue_release(struct queue *q, const char *worker, const struct queue_claim *claim,
                   const struct queue_hash *hash, queue_fn *fn, void *arg)
{
    release(q, worker, claim, "", hash, fn, arg);
}

void queue_move(struct queue *q, const char *worker, const struct queue_claim *claim, const char *family,
                const struct queue_hash *hash, queue_fn *fn, void *arg)
{
    release(q, worker, claim, queue_name(q, queue_family(q, family)), hash, fn, arg);
}

void queue_retry(struct queue *q, const char *worker, const struct queue_claim *claim,
                 const struct queue_result *result, uint64_t delay_ms, const struct queue_hash *hash,
                 queue_fn *fn, void *arg)
{
    struct queue_op *op = queue_op_new(q, fn, arg);
    _cleanup_free_ char *message = NULL,
                        *payload = claim->ignore_result ? strdup("") : result_retry_payload(claim, result);
    char delay[24], max[24];

    if (!payload || envelope_encode_retry(claim->message, &message) < 0) {
        queue_op_fail(op, -EMSGSIZE);
        return;
    }
    snprintf(delay, sizeof delay, "%lu", delay_ms);
    snprintf(max, sizeof max, "%lu", q->config.max_length);
    queue_eval(q, SCRIPT_RETRY, REDIS(worker, claim->tag, claim->id, delay, max, message, payload), hash,
               on_finished, finishing(op, claim));
}

void queue_goodbye(struct queue *q, const char *worker, queue_fn *fn, void *arg)
{
    queue_eval(q, SCRIPT_GOODBYE, REDIS(worker, q->owner), NULL, queue_op_on_code, queue_op_new(q, fn, arg));
}

/* The tags of `worker` in `state`, appended to argv. */
static size_t add_held(const struct queue *q, const char *worker, bool sure, const char **argv, size_t n)
{
    for (struct queue_held *h = q->held; h; h = h->next)
        if (str_eq(h->worker, worker) && (h->state == HELD_SURE) == sure)
            argv[n++] = h->tag;
    return n;
}

static void mark_lost(struct queue *q, const char *tag)
{
    for (struct queue_held *h = q->held; h; h = h->next)
        if (str_eq(h->tag, tag) && h->claim)
            h->claim->lost = true;
}

/* Of an answer that is not the one that was hoped for. */
static int failure(const redisReply *reply)
{
    int err = queue_code(reply);

    return err < 0 ? err : -EPROTO;
}

static void on_refreshed(void *arg, int err, const redisReply *reply)
{
    struct queue_op *op = arg;

    if (err == 0 && reply->type != REDIS_REPLY_ARRAY)
        err = failure(reply);
    for (size_t i = 0; err >= 0 && i < reply->elements; i++)
        mark_lost(op->q, redis_reply_str(reply->element[i]));
    if (err == 0 && reply->elements > 0)
        err = -ESTALE;
    queue_op_end(op, err);
}

void queue_refresh(struct queue *q, const char *worker, queue_fn *fn, void *arg)
{
    enum { N_FIXED = 4 };
    size_t n = 0, sure;
    char lease[24], n_sure[24];

    for (struct queue_held *h = q->held; h; h = h->next)
        n++;

    _cleanup_free_ const char **argv = xcalloc(N_FIXED + n + 1, sizeof *argv);

    sure = add_held(q, worker, true, argv, N_FIXED);
    add_held(q, worker, false, argv, sure);
    snprintf(lease, sizeof lease, "%lu", q->config.lease_ms);
    snprintf(n_sure, sizeof n_sure, "%zu", sure - N_FIXED);
    argv[0] = worker;
    argv[1] = q->owner;
    argv[2] = lease;
    argv[3] = n_sure;
    queue_eval_list(q, SCRIPT_REFRESH, argv, on_refreshed, queue_op_new(q, fn, arg));
}

/* One call of queue_claim: asks, looks at what comes, and asks again until it is a task that may run. */
struct claiming {
    struct queue *q;
    char *worker;
    unsigned queues;
    queue_claim_fn *fn;
    void *arg;
    struct queue_held *held;   /* while it is on its way */
    struct queue_claim *claim; /* while it is put aside */
    struct queue_result unrun; /* how that ends */
};

static void claiming_end(struct claiming *c, int err, struct queue_claim *claim)
{
    if (c->held)
        queue_held_drop(c->held);
    queue_claim_free(c->claim);
    if (c->q->freed)
        queue_claim_free(claim);
    else
        c->fn(c->arg, err, claim);
    queue_unref(c->q);
    free(c->worker);
    free(c);
}

static void ask(struct claiming *c);

static void on_put_aside(void *arg, int err)
{
    struct claiming *c = arg;

    /* -ESTALE: somebody has taken it over meanwhile. Either way it is not ours any more. */
    if (err < 0 && err != -ESTALE) {
        claiming_end(c, err, NULL);
        return;
    }
    queue_claim_free(TAKE_PTR(c->claim));
    ask(c);
}

static void on_unrun(void *arg, int err)
{
    struct claiming *c = arg;

    if (err == 0 && c->q->unrun && !c->q->freed)
        c->q->unrun(c->q->unrun_arg, c->claim, &c->unrun);
    on_put_aside(c, err);
}

/* The strings in `result` are constants. */
static void finish_unrun(struct claiming *c, const struct queue_result *result)
{
    struct queue_op *op = queue_op_new(c->q, on_unrun, c);

    c->unrun = *result;
    op->inner = true;
    finish(op, c->worker, c->claim, result, NULL);
}

static void on_delayed(void *arg, int err, const redisReply *reply)
{
    struct claiming *c = arg;

    if (err == 0)
        err = queue_code(reply);
    if (err == -EAGAIN)
        finish_unrun(c, &(struct queue_result){.state = QUEUE_REJECTED,
                                               .exc_message = "too many tasks are waiting for their ETA"});
    else
        on_put_aside(c, err);
}

static void delay(struct claiming *c, uint64_t eta_ms)
{
    char due[24], max[24];

    snprintf(due, sizeof due, "%lu", eta_ms);
    snprintf(max, sizeof max, "%lu", c->q->config.max_length);
    queue_eval(c->q, SCRIPT_DELAY, REDIS(c->worker, c->claim->tag, c->claim->id, due, max), NULL, on_delayed,
               c);
}

static bool is_claim(const redisReply *reply)
{
    const char *id = redis_reply_str(redis_reply_at(reply, 2));

    return redis_reply_str(redis_reply_at(reply, 0)) && redis_reply_int(redis_reply_at(reply, 1)) > 0 && id &&
           *id;
}

static struct queue_claim *claim_new(struct queue_held *held, const redisReply *reply)
{
    const redisReply *message = redis_reply_at(reply, 0);
    struct queue_claim *claim = xcalloc(1, sizeof *claim);

    claim->tag = xstrdup(held->tag);
    claim->id = xstrdup(redis_reply_str(redis_reply_at(reply, 2)));
    claim->message = xstrndup(message->str, message->len);
    claim->deliveries = (uint64_t)redis_reply_int(redis_reply_at(reply, 1));
    claim->queue = queue_by_name(held->queue, redis_reply_str(redis_reply_at(reply, 3)));
    if (!claim->queue)
        claim->queue = QUEUE_BASE;
    held->queue->served = claim->queue;
    claim->revoked = redis_reply_int(redis_reply_at(reply, 4)) == 1;
    claim->held = held;
    held->claim = claim;
    held->state = HELD_SURE;
    return claim;
}

static void move_envelope(struct queue_claim *claim, struct envelope *e)
{
    claim->name = TAKE_PTR(e->name);
    claim->args = TAKE_PTR(e->args);
    claim->kwargs = TAKE_PTR(e->kwargs);
    claim->reply_to = TAKE_PTR(e->reply_to);
    claim->group_id = TAKE_PTR(e->group_id);
    claim->parent_id = TAKE_PTR(e->parent_id);
    claim->root_id = TAKE_PTR(e->root_id);
    claim->callbacks = TAKE_PTR(e->callbacks);
    claim->errbacks = TAKE_PTR(e->errbacks);
    claim->chain = TAKE_PTR(e->chain);
    claim->ignore_result = e->ignore_result;
    claim->trace = e->trace;
    claim->queued_ms = e->queued_ms;
    claim->retries = e->retries;
}

/* What can't be followed must not be tried. Those of the chain alone hear that they won't run. */
static void forget_callbacks(struct queue_claim *claim)
{
    json_decref(TAKE_PTR(claim->callbacks));
    json_decref(TAKE_PTR(claim->errbacks));
}

static void look_at(struct claiming *c, const redisReply *message)
{
    _cleanup_envelope_ struct envelope e = {0};
    const char *reason = NULL;
    uint64_t now = clock_real_ms();
    int r = envelope_decode(message->str, message->len, &e, &reason);

    if (r == -ENOMEM)
        abort();
    if (r < 0) {
        finish_unrun(c, &(struct queue_result){.state = QUEUE_REJECTED, .exc_message = reason});
        return;
    }
    move_envelope(c->claim, &e);
    reason = follow_refusal(c->claim);
    if (reason) {
        forget_callbacks(c->claim);
        finish_unrun(c, &(struct queue_result){.state = QUEUE_REJECTED, .exc_message = reason});
    } else if (e.expires_ms > 0 && e.expires_ms <= now) {
        finish_unrun(c, &(struct queue_result){.state = QUEUE_REVOKED, .exc_message = QUEUE_EXPIRED});
    } else if (e.eta_ms > now && !c->claim->revoked) {
        delay(c, e.eta_ms);
    } else {
        c->claim->gave_up = c->claim->deliveries > c->q->config.max_deliveries;
        claiming_end(c, 0, TAKE_PTR(c->claim));
    }
}

static void on_claimed(void *arg, int err, const redisReply *reply)
{
    struct claiming *c = arg;

    if (err == 0 && is_claim(reply)) {
        c->claim = claim_new(TAKE_PTR(c->held), reply);
        look_at(c, redis_reply_at(reply, 0));
        return;
    }
    if (err == 0 && str_eq(redis_reply_str(reply), "AGAIN")) {
        queue_held_drop(TAKE_PTR(c->held));
        ask(c);
        return;
    }
    if (err == 0)
        err = reply->type == REDIS_REPLY_NIL ? -EAGAIN : failure(reply);
    claiming_end(c, err, NULL);
}

/* The names of the queues with spaces between, from the one on that follows the one served last: were each
 * the first in turn, empty ones would give theirs to their neighbour. */
static char *in_turn(const struct queue *q, unsigned queues)
{
    _cleanup_buf_ struct buf names = BUF_INIT(NAMES_MAX);

    for (size_t i = 0; i < q->n_queues; i++) {
        size_t at = ((size_t)ffs((int)q->served) + i) % q->n_queues;

        if (queues & QUEUE_BASE << at)
            buf_printf(&names, "%s ", q->names[at]);
    }
    return buf_error(&names) ? NULL : buf_take(&names);
}

static void ask(struct claiming *c)
{
    char lease[24], max[24], revoked_ttl[24];

    if (c->q->freed) {
        claiming_end(c, -ECANCELED, NULL);
        return;
    }

    _cleanup_free_ char *names = in_turn(c->q, c->queues);

    if (!names)
        abort();
    c->held = held_new(c->q, c->worker);
    snprintf(lease, sizeof lease, "%lu", c->q->config.lease_ms);
    snprintf(max, sizeof max, "%d", ENVELOPE_MAX_BYTES);
    snprintf(revoked_ttl, sizeof revoked_ttl, "%d", QUEUE_REVOKED_TTL_S);
    queue_eval(c->q, SCRIPT_CLAIM,
               REDIS(names, c->worker, c->q->owner, c->held->tag, lease, max, revoked_ttl), NULL, on_claimed,
               c);
}

void queue_on_unrun(struct queue *q, queue_unrun_fn *fn, void *arg)
{
    q->unrun = fn;
    q->unrun_arg = arg;
}

void queue_claim(struct queue *q, const char *worker, unsigned queues, queue_claim_fn *fn, void *arg)
{
    struct claiming *c = xcalloc(1, sizeof *c);

    c->worker = xstrdup(worker);
    c->q = queue_ref(q);
    c->queues = queues;
    c->fn = fn;
    c->arg = arg;
    ask(c);
}
