#include "queue_fixture.h"

#include "queue/operate.h"

#include "core/buf.h"
#include "core/clock.h"

#include <sodium.h>

static const char *const families[] = {"slow", "quick", NULL};
static const struct queue_config config = {.name = "decant",
                                           .families = families,
                                           .max_length = MAX_LENGTH,
                                           .max_deliveries = MAX_DELIVERIES,
                                           .lease_ms = LEASE_MS};

static void connect_to(struct fixture *f, struct redis **r, struct queue **q)
{
    assert_int_equal(redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, r), 0);
    *q = queue_new(*r, &config);
    assert_non_null(*q);
    for (int i = 0; i < 500 && !redis_connected(*r); i++)
        loop_for(&f->loop, 5);
    assert_true(redis_connected(*r));
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->server = redis_server_start(NULL);
    uv_loop_init(&f->loop);
    connect_to(f, &f->r, &f->q);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    queue_free(f->q);
    redis_free(f->r);
    loop_close(&f->loop);
    redis_server_free(f->server);
    free(f);
    return 0;
}

void peer_open(struct peer *p, struct fixture *f)
{
    p->f = f;
    connect_to(f, &p->r, &p->q);
}

/* The other order than the fixture's: both are allowed. */
void peer_close(struct peer *p)
{
    redis_free(p->r);
    queue_free(p->q);
    loop_for(&p->f->loop, 1);
}

struct answer {
    bool done;
    int err;
    uint64_t number;
    struct queue_claim *claim;
};

static void on_answer(void *arg, int err)
{
    struct answer *a = arg;

    assert_false(a->done);
    a->err = err;
    a->done = true;
}

static void on_number(void *arg, int err, uint64_t number)
{
    ((struct answer *)arg)->number = number;
    on_answer(arg, err);
}

static void on_claim(void *arg, int err, struct queue_claim *c)
{
    ((struct answer *)arg)->claim = c;
    on_answer(arg, err);
}

static int wait_for(struct fixture *f, struct answer *a)
{
    assert_false(a->done); /* never before the call has returned */
    assert_true(loop_until(&f->loop, &a->done, 15000));
    return a->err;
}

int enqueue_task(struct fixture *f, const struct queue_task *task, const struct queue_hash *hash)
{
    struct answer a = {0};

    queue_enqueue(f->q, task, hash, on_answer, &a);
    return wait_for(f, &a);
}

int enqueue(struct fixture *f, const char *id, unsigned priority, const struct queue_hash *hash)
{
    _cleanup_json_ json_t *kwargs = json_pack("{s:s, s:[]}", "job_id", id, "list");

    return enqueue_task(
        f, &(struct queue_task){.id = id, .name = "decant.convert", .kwargs = kwargs, .priority = priority},
        hash);
}

int enqueue_placed(struct fixture *f, const char *id, const char *family, unsigned priority,
                   struct queue_place *ret)
{
    return enqueue_task(
        f,
        &(struct queue_task){
            .id = id, .name = "decant.convert", .family = family, .priority = priority, .place = ret},
        NULL);
}

int enqueue_family(struct fixture *f, const char *id, const char *family, unsigned priority)
{
    return enqueue_placed(f, id, family, priority, NULL);
}

static void on_look(void *arg, int err, const struct queue_look *look)
{
    struct {
        struct queue_look look;
        int err;
        bool done;
    } *seen = arg;

    seen->done = true;
    seen->err = err;
    if (err == 0)
        seen->look = *look;
}

struct queue_look look(struct fixture *f)
{
    struct {
        struct queue_look look;
        int err;
        bool done;
    } seen = {.done = false};

    queue_look(f->q, on_look, &seen);
    assert_true(loop_until(&f->loop, &seen.done, 15000));
    assert_int_equal(seen.err, 0);
    return seen.look;
}

int enqueue_in(struct fixture *f, const char *crowd, uint64_t max, const struct queue_hash *hash)
{
    char id[ID_UUID_LEN + 1];

    id_uuid(id);
    return enqueue_task(
        f, &(struct queue_task){.id = id, .name = "decant.convert", .crowd = crowd, .crowd_max = max}, hash);
}

int done_with_tally(struct fixture *f, const struct queue_claim *c, const char *name, uint64_t by,
                    const struct queue_hash *hash)
{
    struct answer a = {0};

    queue_done(f->q, W1, c,
               &(struct queue_result){
                   .tally = "tally", .tally_name = name, .tally_share = hash->key, .tally_by = by},
               hash, on_answer, &a);
    return wait_for(f, &a);
}

int replay_letter(struct fixture *f, uint64_t id, const struct queue_hash *hash)
{
    struct answer a = {0};

    queue_dead_replay(f->q, id, hash, on_answer, &a);
    return wait_for(f, &a);
}

int cancel_in(struct fixture *f, const char *id, const char *crowd, const struct queue_hash *hash)
{
    struct answer a = {0};

    queue_cancel(f->q,
                 &(struct queue_cancellation){
                     .id = id, .why = "It was cancelled.", .stop_channel = "decant:stop", .crowd = crowd},
                 hash, on_answer, &a);
    return wait_for(f, &a);
}

struct queue_claim *claim_of(struct fixture *f, struct queue *q, const char *worker, unsigned queues,
                             int *ret_err)
{
    struct answer a = {0};

    queue_claim(q, worker, queues, on_claim, &a);
    *ret_err = wait_for(f, &a);
    assert_int_equal(*ret_err == 0, a.claim != NULL);
    return a.claim;
}

struct queue_claim *claim_as(struct fixture *f, struct queue *q, const char *worker, int *ret_err)
{
    return claim_of(f, q, worker, QUEUE_ALL, ret_err);
}

struct queue_claim *claim(struct fixture *f)
{
    int err;
    struct queue_claim *c = claim_as(f, f->q, W1, &err);

    assert_int_equal(err, 0);
    return c;
}

int done_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
            enum queue_state s, const struct queue_hash *hash)
{
    struct answer a = {0};
    _cleanup_json_ json_t *value = json_pack("{s:i, s:[]}", "pages", 3, "empty");

    queue_done(q, worker, c,
               &(struct queue_result){
                   .state = s, .result = value, .exc_type = "Broken", .exc_message = "it \"broke\""},
               hash, on_answer, &a);
    return wait_for(f, &a);
}

int refresh_as(struct fixture *f, struct queue *q, const char *worker)
{
    struct answer a = {0};

    queue_refresh(q, worker, on_answer, &a);
    return wait_for(f, &a);
}

int release_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
               const struct queue_hash *hash)
{
    struct answer a = {0};

    queue_release(q, worker, c, hash, on_answer, &a);
    return wait_for(f, &a);
}

int move_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
            const char *family)
{
    struct answer a = {0};

    queue_move(q, worker, c, family, NULL, on_answer, &a);
    return wait_for(f, &a);
}

int retry_as(struct fixture *f, struct queue *q, const char *worker, const struct queue_claim *c,
             uint64_t delay_ms, const struct queue_hash *hash)
{
    struct answer a = {0};

    queue_retry(
        q, worker, c,
        &(struct queue_result){.state = QUEUE_FAILURE, .exc_type = "away", .exc_message = "It was away."},
        delay_ms, hash, on_answer, &a);
    return wait_for(f, &a);
}

int goodbye_as(struct fixture *f, struct queue *q, const char *worker)
{
    struct answer a = {0};

    queue_goodbye(q, worker, on_answer, &a);
    return wait_for(f, &a);
}

int reap(struct fixture *f)
{
    struct answer a = {0};

    queue_reap(f->q, on_answer, &a);
    return wait_for(f, &a);
}

void reap_past_lease(struct fixture *f, struct queue *renew, const char *worker)
{
    uint64_t end = clock_mono_ms() + 2 * LEASE_MS + 100;

    while (clock_mono_ms() < end) {
        assert_int_equal(reap(f), 0);
        if (renew)
            assert_int_equal(refresh_as(f, renew, worker), 0);
        loop_for(&f->loop, LEASE_MS / 10);
    }
}

int due(struct fixture *f)
{
    struct answer a = {0};

    queue_due(f->q, on_answer, &a);
    return wait_for(f, &a);
}

uint64_t length(struct fixture *f)
{
    struct answer a = {0};

    queue_length(f->q, on_number, &a);
    assert_int_equal(wait_for(f, &a), 0);
    return a.number;
}

uint64_t workers(struct fixture *f)
{
    struct answer a = {0};

    queue_workers(f->q, on_number, &a);
    assert_int_equal(wait_for(f, &a), 0);
    return a.number;
}

void push_foreign(struct fixture *f, const char *id, const char *body, const char *change)
{
    char encoded[4096];
    _cleanup_json_ json_t *changes = json_loads(change, 0, NULL);

    assert_non_null(changes);
    sodium_bin2base64(encoded, sizeof encoded, (const unsigned char *)body, strlen(body),
                      sodium_base64_VARIANT_ORIGINAL);

    _cleanup_json_ json_t *m =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:n, s:n}, s:{s:s, s:s, s:i, s:s, s:{s:s, s:s}}}",
                  "body", encoded, "content-encoding", "utf-8", "content-type", "application/json", "headers",
                  "lang", "py", "task", "test.echo", "id", id, "eta", "expires", "properties",
                  "correlation_id", id, "reply_to", "c939b9d8-cb2a-3a46-80c5-9885eeef68fe", "priority", 0,
                  "body_encoding", "base64", "delivery_info", "exchange", "", "routing_key", "decant");

    assert_non_null(m);
    assert_int_equal(json_object_update_recursive(m, changes), 0);

    _cleanup_free_ char *text = json_dumps(m, 0);

    redis_server_do(f->server, "LPUSH decant %s", text);
}

const char *dead_reason(struct fixture *f, char ret[200])
{
    const char *entry = redis_server_str(f->server, "LINDEX decant:dead 0");
    _cleanup_json_ json_t *letter = json_loads(entry, 0, NULL);
    const char *reason = json_string_value(json_object_get(letter, "reason"));

    assert_true(*entry == '\0' || (json_is_number(json_object_get(letter, "time")) &&
                                   json_is_string(json_object_get(letter, "message"))));
    snprintf(ret, 200, "%s", reason ? reason : "");
    return ret;
}

char *snapshot(struct fixture *f)
{
    struct buf b = BUF_INIT(1024 * 1024);
    redisReply *keys =
        redis_server_reply(f->server, "EVAL %s 0",
                           "local k = redis.call('KEYS', '*') table.sort(k) local r = {} "
                           "for _, n in ipairs(k) do if n ~= 'decant:watch' then "
                           "r[#r+1] = n .. '=' .. redis.sha1hex(redis.call('DUMP', n)) end end return r");
    for (size_t i = 0; i < keys->elements; i++)
        buf_printf(&b, "%s\n", keys->element[i]->str);
    freeReplyObject(keys);
    return buf_take(&b);
}
