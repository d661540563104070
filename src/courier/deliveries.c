#include "courier/deliveries.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/str.h"
#include "core/webhook.h"
#include "state/job.h"
#include "state/job_json.h"
#include "state/webhooks.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>

enum {
    AT_ONCE = WEBHOOK_TAKE_MAX,
    OF_ONE_ACCOUNT = 8,
    SCAN_EVERY_MS = 30000, /* news of a job's end may have been missed */
    SCAN_AGAIN_MS = 1000,
    LOOK_EVERY_MS = 5000, /* and news of what is due */
    SOON_MS = 50,
    BODY_MAX = JOB_JSON_BYTES_MAX + 512,
    HTTP_OK = 200,
    HTTP_REDIRECTION = 300,
    HTTP_ERROR = 400,
    HTTP_GONE = 410,
};

struct delivery {
    struct deliveries *d;
    struct delivery *next, **link;
    char id[ID_UUID_LEN + 1], job[ID_UUID_LEN + 1], account[ID_UUID_LEN + 1];
    char host[WEBHOOK_HOST_MAX + 1];
    uint64_t attempts; /* this one included */
};

struct deliveries {
    struct deliveries_config config;
    struct redis_sub *sub;
    uv_timer_t scan, due;
    unsigned open; /* of the timers */
    struct delivery *first;
    unsigned running;
    unsigned telling;
    bool scanning, taking, again, stopping;
    void (*stopped)(void *arg); /* NULL: nobody waits for it */
    void *arg;
};

static void take(struct deliveries *d);

static void check_stopped(struct deliveries *d)
{
    if (d->stopped && d->running == 0 && d->telling == 0)
        TAKE_PTR(d->stopped)(d->arg);
}

/* --- from a job's end to a delivery */

struct telling {
    struct deliveries *d;
    struct webhook_ended ended;
};

static void told(struct telling *t)
{
    t->d->telling--;
    check_stopped(t->d);
    free(t);
}

static void on_made(void *arg, int err, const redisReply *reply)
{
    struct telling *t = arg;

    if (err < 0 && err != -EBUSY && err != -ENOENT)
        log_warn("a webhook can't be put down, and will be tried again", LOG_S("job_id", t->ended.job_id),
                 LOG_E(err));
    told(t);
}

static void write_body(struct buf *out, const char *type, const struct job *job)
{
    char now[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(clock_real_ms(), now);
    buf_printf(out, "{\"type\":\"%s\",\"timestamp\":\"%s\",\"data\":", type,
               *job->completed_at ? job->completed_at : now);
    job_json_write(out, job);
    buf_append_str(out, "}");
}

static void on_job(void *arg, int err, const struct job *job)
{
    struct telling *t = arg;
    _cleanup_buf_ struct buf body = BUF_INIT(BODY_MAX);
    char type[32];

    if (err < 0 || !str_eq(job_status_name(job->status), t->ended.status)) { /* the next look will know */
        told(t);
        return;
    }
    snprintf(type, sizeof type, "job.%s", t->ended.status);
    write_body(&body, type, job);
    if (buf_error(&body)) {
        log_error("a webhook's body can't be written", LOG_S("job_id", job->job_id), LOG_E(buf_error(&body)));
        told(t);
        return;
    }
    webhooks_make(t->d->config.redis, &t->ended, type, body.data, on_made, t);
}

static void tell_each(struct deliveries *d, const struct webhook_ended *ended, size_t n)
{
    for (size_t i = 0; i < n && !d->stopping; i++) {
        struct telling *t = malloc(sizeof *t);

        if (!t)
            return; /* until the next scan */
        *t = (struct telling){.d = d, .ended = ended[i]};
        d->telling++;
        job_load_shown(d->config.redis, t->ended.session_id, t->ended.job_id, on_job, t);
    }
}

static void on_looked(void *arg, int err, const char *cursor, const struct webhook_ended *ended, size_t n)
{
    tell_each(arg, ended, n);
}

static void on_scan_time(uv_timer_t *timer);

static void on_page(void *arg, int err, const char *cursor, const struct webhook_ended *ended, size_t n)
{
    struct deliveries *d = arg;

    tell_each(d, ended, n);
    d->scanning = err == 0 && !d->stopping && !str_eq(cursor, "0");
    if (err < 0 && !d->stopping) /* the subscription may stand before the other connection */
        uv_timer_start(&d->scan, on_scan_time, SCAN_AGAIN_MS, SCAN_EVERY_MS);
    if (d->scanning)
        webhooks_look(d->config.redis, cursor, NULL, on_page, d);
}

static void scan(struct deliveries *d)
{
    if (d->scanning || d->stopping)
        return;
    d->scanning = true;
    webhooks_look(d->config.redis, "0", NULL, on_page, d);
}

static void on_scan_time(uv_timer_t *timer)
{
    scan(timer->data);
}

/* --- one delivery */

static struct delivery *delivery_new(struct deliveries *d, const struct webhook_taken *taken)
{
    struct delivery *v = calloc(1, sizeof *v);
    struct webhook_place place;

    if (!v)
        return NULL; /* it is due again after its lease */
    v->d = d;
    snprintf(v->id, sizeof v->id, "%s", taken->id);
    snprintf(v->job, sizeof v->job, "%s", taken->job);
    snprintf(v->account, sizeof v->account, "%s", taken->account);
    if (webhook_url_parse(taken->url, &place) == 0)
        snprintf(v->host, sizeof v->host, "%s", place.host);
    v->attempts = taken->attempts + 1;
    v->link = &d->first;
    v->next = d->first;
    if (v->next)
        v->next->link = &v->next;
    d->first = v;
    d->running++;
    return v;
}

static void delivery_free(struct delivery *v)
{
    *v->link = v->next;
    if (v->next)
        v->next->link = v->link;
    v->d->running--;
    free(v);
}

static void on_done(void *arg, int err, const redisReply *reply)
{
    struct delivery *v = arg;
    struct deliveries *d = v->d;

    if (err < 0 && err != -ENOENT)
        log_warn("what became of a webhook can't be put down: it will be sent again",
                 LOG_S("webhook_id", v->id), LOG_E(err));
    delivery_free(v);
    take(d);
    check_stopped(d);
}

static void done(struct delivery *v, struct webhook_result result)
{
    /* The URL may hold a secret of the receiver's, and stays out of the log. */
    log_info(result.state == WEBHOOK_DELIVERED ? "webhook delivered" : "webhook not delivered",
             LOG_S("webhook_id", v->id), LOG_S("job_id", v->job), LOG_S("host", v->host),
             LOG_S("state", webhook_state_name(result.state)), LOG_U("attempts", v->attempts),
             LOG_U("http_status", result.status), LOG_S("why", result.error),
             LOG_U("next_s", result.delay_ms / 1000));
    webhooks_done(v->d->config.redis, v->id, v->d->config.owner, &result, on_done, v);
}

static void drop(struct delivery *v, long status, const char *error)
{
    done(v, (struct webhook_result){.state = WEBHOOK_DROPPED, .status = status, .error = error});
}

static void fail(struct delivery *v, long status, const char *error)
{
    uint64_t delay_ms = webhook_delay_ms((unsigned)v->attempts, randombytes_random());

    done(v, (struct webhook_result){.state = delay_ms ? WEBHOOK_WAITING : WEBHOOK_FAILED,
                                    .delay_ms = delay_ms,
                                    .status = status,
                                    .error = error});
}

/* The status decides: who has said it has got the webhook, whatever became of the rest of the answer. */
static void on_answer(void *arg, const struct fetch_answer *answer)
{
    struct delivery *v = arg;
    long status = answer->status;

    if (status >= HTTP_OK && status < HTTP_REDIRECTION)
        done(v, (struct webhook_result){.state = WEBHOOK_DELIVERED, .status = status, .error = ""});
    else if (status == HTTP_GONE)
        drop(v, status, "The receiver wants no more of it.");
    else if (status >= HTTP_REDIRECTION && status < HTTP_ERROR)
        fail(v, status, "The answer is a redirection, and none is followed.");
    else
        fail(v, status, status ? "The answer is not one of success." : answer->error);
}

static void send_signed(struct delivery *v, const struct webhook_taken *taken, const char *signature,
                        uint64_t now_s)
{
    static const char user_agent[] = "User-Agent: Decant/" DECANT_VERSION;
    char id[64], timestamp[64], signed_by[32 + WEBHOOK_SIGNATURE_LEN];
    const char *const headers[] = {
        "Content-Type: application/json", "Accept: */*", user_agent, id, timestamp, signed_by, NULL};
    const struct fetch_request request = {
        .url = taken->url, .headers = headers, .body = taken->body, .body_len = strlen(taken->body)};

    snprintf(id, sizeof id, "webhook-id: %s", v->id);
    snprintf(timestamp, sizeof timestamp, "webhook-timestamp: %llu", (unsigned long long)now_s);
    snprintf(signed_by, sizeof signed_by, "webhook-signature: %s", signature);
    if (fetch_start(v->d->config.fetcher, &request, on_answer, v) < 0)
        fail(v, 0, "There is no memory.");
}

/* What the account may is looked at again each time: it may be another by now. */
static void start(struct deliveries *d, const struct webhook_taken *taken)
{
    char signature[WEBHOOK_SIGNATURE_LEN + 1];
    uint64_t now_s = clock_real_ms() / 1000;
    struct delivery *v = delivery_new(d, taken);
    const char *why;

    if (!v)
        return;
    if (*taken->disabled)
        drop(v, 0, "The account is disabled.");
    else if (webhook_url_allowed(taken->hosts, d->config.settings->courier_ports, taken->url, &why) < 0)
        drop(v, 0, "The account may not have webhooks sent to this host and port any more.");
    else if (webhook_sign(taken->secret, v->id, now_s, taken->body, strlen(taken->body), signature) < 0)
        drop(v, 0, "The account has no secret to sign with: decant webhook secret makes one.");
    else
        send_signed(v, taken, signature, now_s);
}

/* --- what is due */

static void on_due_time(uv_timer_t *timer)
{
    take(timer->data);
}

static void on_taken(void *arg, int err, long long next_ms, const struct webhook_taken *taken, size_t n)
{
    struct deliveries *d = arg;
    uint64_t wait_ms = next_ms < 0 || next_ms > LOOK_EVERY_MS ? LOOK_EVERY_MS : (uint64_t)next_ms;

    d->taking = false;
    for (size_t i = 0; i < n; i++)
        start(d, &taken[i]);
    if (d->stopping)
        check_stopped(d);
    else if (d->again)
        take(d);
    else
        uv_timer_start(&d->due, on_due_time, wait_ms < SOON_MS ? SOON_MS : wait_ms, 0);
}

static size_t count_loads(const struct deliveries *d, struct webhook_load loads[AT_ONCE])
{
    size_t n = 0;

    for (const struct delivery *v = d->first; v; v = v->next) {
        size_t i = 0;

        while (i < n && !str_eq(loads[i].account, v->account))
            i++;
        if (i == n)
            loads[n++] = (struct webhook_load){.account = v->account};
        loads[i].n++;
    }
    return n;
}

static void take(struct deliveries *d)
{
    struct webhook_load loads[AT_ONCE];

    d->again = d->taking;
    if (d->taking || d->stopping || d->running == AT_ONCE) /* the end of one takes the next */
        return;
    d->taking = true;
    webhooks_take(d->config.redis, d->config.owner, AT_ONCE - d->running, OF_ONE_ACCOUNT, loads,
                  count_loads(d, loads), on_taken, d);
}

/* --- news */

/* `message` is NULL when the subscriptions have come to stand: something may have been missed. */
static void on_message(void *arg, const char *channel, const char *message)
{
    struct deliveries *d = arg;
    enum job_status status;

    if (d->stopping)
        return;
    if (!message) {
        scan(d);
        take(d);
    } else if (str_eq(channel, WEBHOOK_CHANNEL)) {
        take(d);
    } else if (job_status_parse(message, &status) == 0 && job_status_is_final(status)) {
        webhooks_look(d->config.redis, "0", channel + strlen(JOB_CHANNEL_PREFIX), on_looked, d);
    }
}

int deliveries_new(const struct deliveries_config *config, struct deliveries **ret)
{
    struct deliveries *d = calloc(1, sizeof *d);
    int r;

    if (!d)
        return -ENOMEM;

    uv_timer_t *const timers[] = {&d->scan, &d->due};

    r = redis_sub_new(config->loop, config->redis_config, &d->sub);
    if (r < 0) {
        free(d);
        return r;
    }
    d->config = *config;
    for (size_t i = 0; i < ARRAY_SIZE(timers); i++) {
        uv_timer_init(config->loop, timers[i]);
        timers[i]->data = d;
    }
    d->open = ARRAY_SIZE(timers);
    uv_timer_start(&d->scan, on_scan_time, SCAN_EVERY_MS, SCAN_EVERY_MS);
    uv_timer_start(&d->due, on_due_time, LOOK_EVERY_MS, 0);
    redis_sub_start(d->sub, REDIS(JOB_CHANNEL_PREFIX "*", WEBHOOK_CHANNEL), on_message, d);
    *ret = d;
    return 0;
}

void deliveries_stop(struct deliveries *d, void (*fn)(void *arg), void *arg)
{
    d->stopping = true;
    d->stopped = fn;
    d->arg = arg;
    check_stopped(d);
}

unsigned deliveries_running(const struct deliveries *d)
{
    return d->running;
}

static void on_closed(uv_handle_t *handle)
{
    struct deliveries *d = handle->data;

    if (--d->open == 0)
        free(d);
}

void deliveries_free(struct deliveries *d)
{
    if (!d)
        return;
    redis_sub_free(d->sub);
    while (d->first)
        delivery_free(d->first);
    uv_close((uv_handle_t *)&d->scan, on_closed);
    uv_close((uv_handle_t *)&d->due, on_closed);
}
