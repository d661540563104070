#include "state/api_key.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/account_fields.h"
#include "state/api_key_create.lua.h"
#include "state/api_key_list.lua.h"
#include "state/api_key_revoke.lua.h"
#include "state/script.h"

#include <errno.h>

static struct redis_script create_script = {.name = "api_key_create", .text = api_key_create_lua},
                           list_script = {.name = "api_key_list", .text = api_key_list_lua},
                           revoke_script = {.name = "api_key_revoke", .text = api_key_revoke_lua};

#define DIGITS "0123456789abcdef"

struct op {
    union {
        api_key_account_fn *account;
        api_key_created_fn *created;
        api_key_list_fn *list;
        redis_reply_fn *reply;
    } fn;
    void *arg;
    struct account account;
    struct api_key key;
    char text[API_KEY_TEXT_LEN + 1];
};

static struct op *op_new(void *arg)
{
    struct op *op = xcalloc(1, sizeof *op);

    op->arg = arg;
    return op;
}

static void op_free(struct op **op)
{
    explicit_bzero((*op)->text, sizeof(*op)->text);
    free(*op);
}

/* --- forms */

bool api_key_id_valid(const char *id)
{
    return id && strlen(id) == API_KEY_ID_LEN && strspn(id, DIGITS) == API_KEY_ID_LEN;
}

bool api_key_scopes_valid(const char *scopes)
{
    static const char *const valid[] = {"convert", "read", "convert,read", "read,convert"};

    for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
        if (str_eq(scopes, valid[i]))
            return true;
    return false;
}

/* Into the id of a key and its secret. */
static bool parse(const char *text, char ret_id[API_KEY_ID_LEN + 1], const char **ret_secret)
{
    size_t prefix = strlen(API_KEY_PREFIX);

    if (!text || strlen(text) != API_KEY_TEXT_LEN || !str_starts(text, API_KEY_PREFIX) ||
        text[prefix + API_KEY_ID_LEN] != '_')
        return false;
    snprintf(ret_id, API_KEY_ID_LEN + 1, "%s", text + prefix);
    *ret_secret = text + prefix + API_KEY_ID_LEN + 1;
    return api_key_id_valid(ret_id) && id_is_token(*ret_secret);
}

/* --- using one */

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;
    const char *scopes = redis_reply_str(redis_reply_at(reply, 2));

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        err = account_read(redis_reply_at(reply, 1), &op->account);
    op->fn.account(op->arg, err, err ? NULL : &op->account, err || !scopes ? "" : scopes);
}

void api_key_load_account(struct redis *r, const char *text, const struct plan plans[PLANS],
                          api_key_account_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char id[API_KEY_ID_LEN + 1], hash[ID_TOKEN_LEN + 1], key[KEYED_MAX];
    const char *secret;

    op->fn.account = fn;
    if (!parse(text, id, &secret)) {
        redis_defer(r, -ENOENT, on_loaded, op);
        return;
    }
    account_hash_secret(secret, hash);
    account_prove(r, PROOF_API_KEY, keyed(key, API_KEY_KEY_PREFIX, id, ""), "", hash, plans, on_loaded, op);
}

/* --- making one */

static void on_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;

    if (err == 0)
        err = script_code(reply);
    op->fn.created(op->arg, err, err ? NULL : &op->key, err ? NULL : op->text);
}

static void send_create(struct redis *r, struct op *op)
{
    const struct api_key *k = &op->key;
    char account[KEYED_MAX], keys[KEYED_MAX], key[KEYED_MAX], hash[ID_TOKEN_LEN + 1], most[24];

    account_hash_secret(op->text + strlen(API_KEY_PREFIX) + API_KEY_ID_LEN + 1, hash);
    snprintf(most, sizeof most, "%d", API_KEYS_MAX);
    redis_eval(r, &create_script, 3,
               REDIS(keyed(account, ACCOUNT_KEY_PREFIX, k->account, ""),
                     keyed(keys, ACCOUNT_KEY_PREFIX, k->account, ":keys"),
                     keyed(key, API_KEY_KEY_PREFIX, k->id, ""), most, k->id, "account", k->account, "name",
                     k->name, "scopes", k->scopes, "hash", hash, "created_at", k->created_at, "last_used_at",
                     "", "revoked_at", ""),
               on_created, op);
}

void api_key_create(struct redis *r, const char *account_id, const char *scopes, const char *name,
                    api_key_created_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    struct api_key *k = &op->key;
    char random[ID_TOKEN_LEN + 1];
    size_t characters;

    op->fn.created = fn;
    if (!id_is_uuid(account_id) || !api_key_scopes_valid(scopes) ||
        !account_text_seen(name, API_KEY_NAME_MAX, &characters)) {
        redis_defer(r, id_is_uuid(account_id) ? -EINVAL : -ENOENT, on_created, op);
        return;
    }
    id_token(random);
    memcpy(k->id, random, API_KEY_ID_LEN);
    id_token(random);
    snprintf(op->text, sizeof op->text, API_KEY_PREFIX "%s_%s", k->id, random);
    explicit_bzero(random, sizeof random);
    snprintf(k->account, sizeof k->account, "%s", account_id);
    snprintf(k->scopes, sizeof k->scopes, "%s", scopes);
    snprintf(k->name, sizeof k->name, "%s", name);
    clock_rfc3339(clock_real_ms(), k->created_at);
    send_create(r, op);
}

/* --- all */

#define FIELD(member)                                                                                        \
    {                                                                                                        \
#member, offsetof(struct api_key, member), sizeof(((struct api_key *)0)->member)                     \
    }

static const struct {
    const char *name;
    size_t offset, size;
} fields[] = {
    FIELD(account), FIELD(name), FIELD(scopes), FIELD(created_at), FIELD(last_used_at), FIELD(revoked_at),
};

static void read_text(char *ret, size_t size, const char *value)
{
    snprintf(ret, size, "%s", value ? value : "");
}

/* An id, the name of the account, and the key's fields. */
static bool read_key(const redisReply *row, struct api_key *ret)
{
    read_text(ret->id, sizeof ret->id, redis_reply_str(redis_reply_at(row, 0)));
    read_text(ret->account_name, sizeof ret->account_name, redis_reply_str(redis_reply_at(row, 1)));
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        read_text((char *)ret + fields[i].offset, fields[i].size,
                  redis_reply_field(redis_reply_at(row, 2), fields[i].name));
    return api_key_id_valid(ret->id) && id_is_uuid(ret->account);
}

static void on_listed(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;
    const redisReply *rows = redis_reply_at(reply, 1);
    size_t n = rows && rows->type == REDIS_REPLY_ARRAY ? rows->elements : 0, found = 0;
    _cleanup_free_ struct api_key *keys = xcalloc(n ? n : 1, sizeof *keys);

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && (!rows || rows->type != REDIS_REPLY_ARRAY))
        err = -EPROTO;
    for (size_t i = 0; err == 0 && i < n; i++)
        if (read_key(redis_reply_at(rows, i), &keys[found]))
            found++;
    op->fn.list(op->arg, err, keys, found);
}

void api_key_list(struct redis *r, const char *account_id, api_key_list_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.list = fn;
    if (account_id && !id_is_uuid(account_id))
        redis_defer(r, -ENOENT, on_listed, op);
    else
        redis_eval(r, &list_script, 1,
                   REDIS(ACCOUNT_NAMES_KEY, ACCOUNT_KEY_PREFIX, ":keys", API_KEY_KEY_PREFIX,
                         account_id ? account_id : ""),
                   on_listed, op);
}

static void on_revoked(void *arg, int err, const redisReply *reply)
{
    _cleanup_(op_free) struct op *op = arg;

    op->fn.reply(op->arg, err ? err : script_code(reply), reply);
}

void api_key_revoke(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char key[KEYED_MAX], now[CLOCK_RFC3339_LEN + 1];

    op->fn.reply = fn;
    if (!api_key_id_valid(id)) {
        redis_defer(r, -ENOENT, on_revoked, op);
        return;
    }
    clock_rfc3339(clock_real_ms(), now);
    redis_eval(r, &revoke_script, 1, REDIS(keyed(key, API_KEY_KEY_PREFIX, id, ""), now), on_revoked, op);
}
