#include "state/refresh.h"

#include "core/clock.h"
#include "core/xalloc.h"
#include "state/account_fields.h"
#include "state/refresh_begin.lua.h"
#include "state/refresh_end.lua.h"
#include "state/refresh_end_all.lua.h"
#include "state/refresh_rotate.lua.h"
#include "state/script.h"

#include <errno.h>
#include <inttypes.h>

static struct redis_script begin_script = {.name = "refresh_begin", .text = refresh_begin_lua},
                           rotate_script = {.name = "refresh_rotate", .text = refresh_rotate_lua},
                           end_script = {.name = "refresh_end", .text = refresh_end_lua},
                           end_all_script = {.name = "refresh_end_all", .text = refresh_end_all_lua};

struct op {
    union {
        refresh_fn *refresh;
        redis_reply_fn *reply;
    } fn;
    void *arg;
    struct refresh refresh;
};

static struct op *op_new(void *arg)
{
    struct op *op = xcalloc(1, sizeof *op);

    op->arg = arg;
    return op;
}

static void op_free(struct op **op)
{
    explicit_bzero(&(*op)->refresh, sizeof(*op)->refresh);
    free(*op);
}

enum { HALF_LEN = ID_TOKEN_LEN / 2 };

/* By the half that stays. */
static const char *token_key(char ret[KEYED_MAX], const char *token)
{
    char half[HALF_LEN + 1], hash[ID_TOKEN_LEN + 1];

    snprintf(half, sizeof half, "%.*s", HALF_LEN, token);
    account_hash_secret(half, hash);
    explicit_bzero(half, sizeof half);
    return keyed(ret, REFRESH_KEY_PREFIX, hash, "");
}

static void make_successor(const char *token, char ret[ID_TOKEN_LEN + 1])
{
    id_token(ret);
    memcpy(ret, token, HALF_LEN);
}

/* --- making the first, and the next */

static void on_begun(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;

    if (err == 0)
        err = script_code(reply);
    op->fn.refresh(op->arg, err, err ? NULL : &op->refresh);
}

void refresh_begin(struct redis *r, const struct refresh_login *login, refresh_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    struct refresh *f = &op->refresh;
    const char *id = login->account_id, *password = login->password ? login->password : "";
    uint64_t now_ms = clock_real_ms();
    char account[KEYED_MAX], families[KEYED_MAX], family[KEYED_MAX], token[KEYED_MAX];
    char hash[ID_TOKEN_LEN + 1], now[CLOCK_RFC3339_LEN + 1], now_text[24], end_text[24], most[24];

    op->fn.refresh = fn;
    if (!id_is_uuid(id)) {
        redis_defer(r, -ENOENT, on_begun, op);
        return;
    }
    id_token(f->token);
    account_hash_secret(f->token, hash);
    id_uuid(f->family);
    memcpy(f->account, id, sizeof f->account);
    f->left_s = login->ttl_s;
    clock_rfc3339(now_ms, now);
    snprintf(now_text, sizeof now_text, "%" PRIu64, now_ms);
    snprintf(end_text, sizeof end_text, "%" PRIu64, now_ms + login->ttl_s * 1000);
    snprintf(most, sizeof most, "%d", REFRESH_FAMILIES_MAX);
    redis_eval(r, &begin_script, 4,
               REDIS(keyed(account, ACCOUNT_KEY_PREFIX, id, ""),
                     keyed(families, ACCOUNT_KEY_PREFIX, id, ":families"),
                     keyed(family, REFRESH_FAMILY_KEY_PREFIX, f->family, ""), token_key(token, f->token), id,
                     f->family, login->address, now, now_text, end_text, most, REFRESH_FAMILY_KEY_PREFIX,
                     hash, password, login->rehashed ? login->rehashed : password),
               on_begun, op);
}

static bool take_id(char ret[ID_UUID_LEN + 1], const redisReply *reply)
{
    const char *id = redis_reply_str(reply);

    snprintf(ret, ID_UUID_LEN + 1, "%s", id ? id : "");
    return id_is_uuid(ret);
}

/* Whose it is, is told of both. */
static bool is_known(int err)
{
    return err == 0 || err == -EALREADY;
}

static void on_rotated(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;
    struct refresh *f = &op->refresh;
    long long left_ms = redis_reply_int(redis_reply_at(reply, 3));

    if (err == 0)
        err = script_code(reply);
    if (is_known(err) && (!take_id(f->family, redis_reply_at(reply, 1)) ||
                          !take_id(f->account, redis_reply_at(reply, 2)) || left_ms <= 0))
        err = -ENOENT;
    f->left_s = err == 0 ? (uint64_t)left_ms / 1000 : 0;
    if (err < 0)
        *f->token = '\0';
    op->fn.refresh(op->arg, err, is_known(err) ? f : NULL);
}

void refresh_rotate(struct redis *r, const char *token, refresh_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char key[KEYED_MAX], hash[ID_TOKEN_LEN + 1], next[ID_TOKEN_LEN + 1];

    op->fn.refresh = fn;
    if (!id_is_token(token)) {
        redis_defer(r, -ENOENT, on_rotated, op);
        return;
    }
    make_successor(token, op->refresh.token);
    account_hash_secret(token, hash);
    account_hash_secret(op->refresh.token, next);
    redis_eval(r, &rotate_script, 1, REDIS(token_key(key, token), hash, next, REFRESH_FAMILY_KEY_PREFIX),
               on_rotated, op);
}

/* --- ending */

static void on_ended(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;

    op->fn.reply(op->arg, err ? err : script_code(reply), reply);
}

static struct op *ending_op(redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.reply = fn;
    return op;
}

void refresh_end(struct redis *r, const char *token, redis_reply_fn *fn, void *arg)
{
    struct op *op = ending_op(fn, arg);
    char key[KEYED_MAX];

    if (id_is_token(token))
        redis_eval(r, &end_script, 1, REDIS(token_key(key, token), REFRESH_FAMILY_KEY_PREFIX), on_ended, op);
    else
        redis_defer(r, -ENOENT, on_ended, op);
}

void refresh_end_all(struct redis *r, const char *account_id, redis_reply_fn *fn, void *arg)
{
    struct op *op = ending_op(fn, arg);
    char account[KEYED_MAX], families[KEYED_MAX];

    if (id_is_uuid(account_id))
        redis_eval(r, &end_all_script, 2,
                   REDIS(keyed(account, ACCOUNT_KEY_PREFIX, account_id, ""),
                         keyed(families, ACCOUNT_KEY_PREFIX, account_id, ":families"),
                         REFRESH_FAMILY_KEY_PREFIX),
                   on_ended, op);
    else
        redis_defer(r, -ENOENT, on_ended, op);
}
