/* The smallest worker and the smallest producer, to meet Celery's own in tests/system/test_celery.py.
 *
 *     queue_echo URL work            runs "test.echo" (answers with its kwargs), "test.fail" and "test.slow"
 *     queue_echo URL send NAME JSON  enqueues one task and prints its id
 *     queue_echo URL bench N         enqueues, claims and finishes N tasks, one after the other, on one
 * connection queue_echo URL flood N         the same with 64 under way at once */
#include "core/clock.h"
#include "core/str.h"
#include "queue/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>

enum { FLOOD = 64 };

struct echo {
    uv_loop_t *loop;
    struct redis *r;
    struct queue *q;
    struct queue_bell *bell;
    uv_timer_t tick;
    char worker[80];
    uint64_t left, started_ms; /* bench */
    uint64_t to_send;
};

/* One task under way. */
struct run {
    struct echo *e;
    struct queue_claim *claim;
    uv_timer_t slow;
};

static void ask(struct echo *e);

static void on_finished(void *arg, int err)
{
    struct run *run = arg;

    if (err < 0)
        fprintf(stderr, "done: %s\n", strerror(-err));
    queue_claim_free(run->claim);
    free(run);
}

static void finish(struct run *run)
{
    struct queue_claim *c = run->claim;
    struct queue_result result = {.state = QUEUE_SUCCESS, .result = c->kwargs};

    if (c->revoked)
        result = (struct queue_result){.state = QUEUE_REVOKED, .exc_message = "revoked"};
    else if (c->gave_up)
        result =
            (struct queue_result){.state = QUEUE_REJECTED, .exc_type = "GaveUp", .exc_message = "too often"};
    else if (str_eq(c->name, "test.fail"))
        result = (struct queue_result){
            .state = QUEUE_FAILURE, .exc_type = "EchoError", .exc_message = "asked to fail"};
    queue_done(run->e->q, run->e->worker, c, &result, NULL, on_finished, run);
}

static void on_slow_closed(uv_handle_t *handle)
{
    finish(handle->data);
}

static void on_slow(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_slow_closed);
}

static void on_work(void *arg, int err, struct queue_claim *c)
{
    struct echo *e = arg;

    if (err < 0) {
        if (err == -EAGAIN)
            queue_bell_arm(e->bell, QUEUE_ALL);
        return;
    }

    struct run *run = calloc(1, sizeof *run);

    if (!run)
        abort();
    run->e = e;
    run->claim = c;
    queue_started(e->q, e->worker, c, NULL);
    if (str_eq(c->name, "test.slow")) {
        uv_timer_init(e->loop, &run->slow);
        run->slow.data = run;
        uv_timer_start(&run->slow, on_slow, 1000, 0);
    } else {
        finish(run);
    }
    ask(e);
}

static void ask(struct echo *e)
{
    queue_claim(e->q, e->worker, QUEUE_ALL, on_work, e);
}

static void on_bell(void *arg, int err)
{
    ask(arg);
}

static void on_told(void *arg, int err)
{
    if (err < 0)
        fprintf(stderr, "%s: %s\n", (const char *)arg, strerror(-err));
}

static void on_tick(uv_timer_t *timer)
{
    struct echo *e = timer->data;

    queue_refresh(e->q, e->worker, on_told, (void *)"refresh");
    queue_reap(e->q, on_told, (void *)"reap");
    queue_due(e->q, on_told, (void *)"due");
    ask(e);
}

static int work(struct echo *e, const char *url)
{
    int r = queue_bell_new(e->loop, e->q, &(struct redis_config){.url = url}, on_bell, e, &e->bell);

    if (r < 0)
        return r;
    uv_timer_init(e->loop, &e->tick);
    e->tick.data = e;
    uv_timer_start(&e->tick, on_tick, 0, 1000);
    return uv_run(e->loop, UV_RUN_DEFAULT);
}

static void on_sent(void *arg, int err)
{
    *(int *)arg = err;
}

static int send_one(struct echo *e, const char *name, const char *json)
{
    _cleanup_json_ json_t *kwargs = json_loads(json, 0, NULL);
    char id[ID_UUID_LEN + 1];
    int err = 1;

    id_uuid(id);
    queue_enqueue(e->q, &(struct queue_task){.id = id, .name = name, .kwargs = kwargs}, NULL, on_sent, &err);
    while (err > 0)
        uv_run(e->loop, UV_RUN_ONCE);
    if (err == 0)
        printf("%s\n", id);
    return err;
}

static void bench_send(struct echo *e);

static void on_bench_done(void *arg, int err)
{
    struct echo *e = arg;

    if (err < 0)
        abort();
    if (--e->left == 0)
        uv_stop(e->loop);
    else
        bench_send(e);
}

static void on_bench_claim(void *arg, int err, struct queue_claim *c)
{
    struct echo *e = arg;

    if (err < 0)
        abort();
    queue_done(e->q, e->worker, c, &(struct queue_result){.state = QUEUE_SUCCESS}, NULL, on_bench_done, e);
    queue_claim_free(c);
}

static void on_bench_sent(void *arg, int err)
{
    struct echo *e = arg;

    if (err < 0)
        abort();
    queue_claim(e->q, e->worker, QUEUE_ALL, on_bench_claim, e);
}

static void bench_send(struct echo *e)
{
    char id[ID_UUID_LEN + 1];

    if (e->to_send == 0)
        return;
    e->to_send--;
    id_uuid(id);
    queue_enqueue(e->q, &(struct queue_task){.id = id, .name = "test.echo"}, NULL, on_bench_sent, e);
}

static int bench(struct echo *e, uint64_t n, int at_once)
{
    e->left = e->to_send = n;
    e->started_ms = clock_mono_ms();
    for (int i = 0; i < at_once; i++)
        bench_send(e);
    uv_run(e->loop, UV_RUN_DEFAULT);

    uint64_t ms = clock_mono_ms() - e->started_ms;

    printf("%" PRIu64 " tasks in %" PRIu64 " ms: %" PRIu64 " tasks/s\n", n, ms, n * 1000 / (ms ? ms : 1));
    return 0;
}

int main(int argc, char **argv)
{
    struct echo e = {.loop = uv_default_loop()};
    struct queue_config config = {
        .name = "decant", .max_length = 1000000, .max_deliveries = 3, .lease_ms = 4000};
    uint64_t n = 0;
    int r;

    if (argc < 3 || redis_new(e.loop, &(struct redis_config){.url = argv[1]}, &e.r) < 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    snprintf(e.worker, sizeof e.worker, "decant@echo:%d:%" PRIu64, (int)getpid(), clock_real_ms());
    e.q = queue_new(e.r, &config);
    while (!redis_connected(e.r))
        uv_run(e.loop, UV_RUN_ONCE);
    if (str_eq(argv[2], "work"))
        r = work(&e, argv[1]);
    else if (str_eq(argv[2], "send") && argc == 5)
        r = send_one(&e, argv[3], argv[4]);
    else if (argc == 4 && str_to_u64(argv[3], 1, UINT32_MAX, &n) == 0)
        r = bench(&e, n, str_eq(argv[2], "flood") ? FLOOD : 1);
    else
        return 2;
    queue_free(e.q);
    redis_free(e.r);
    uv_run(e.loop, UV_RUN_NOWAIT);
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    return r < 0;
}
