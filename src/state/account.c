#include "state/account.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"
#include "state/account_create.lua.h"
#include "state/account_fields.h"
#include "state/account_find.lua.h"
#include "state/account_link.lua.h"
#include "state/account_list.lua.h"
#include "state/account_load.lua.h"
#include "state/account_remove.lua.h"
#include "state/account_update.lua.h"
#include "state/keys.h"
#include "state/script.h"
#include "state/session.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>

static struct redis_script load_script = {.name = "account_load", .text = account_load_lua},
                           find_script = {.name = "account_find", .text = account_find_lua},
                           create_script = {.name = "account_create", .text = account_create_lua},
                           update_script = {.name = "account_update", .text = account_update_lua},
                           link_script = {.name = "account_link", .text = account_link_lua},
                           list_script = {.name = "account_list", .text = account_list_lua},
                           remove_script = {.name = "account_remove", .text = account_remove_lua};

/* Beyond the retention: a job that is made now must not end before its retention does, and the space is moved
 * on once a day, not at each call. */
enum { DAY_S = 86400, USED_EVERY_MS = 60000 };

struct op {
    union {
        account_fn *account;
        account_login_fn *login;
        account_list_fn *list;
        redis_reply_fn *reply;
    } fn;
    void *arg;
    struct redis *r;
    struct account account;
};

static struct op *op_new(void *arg)
{
    struct op *op = xcalloc(1, sizeof *op);

    op->arg = arg;
    return op;
}

/* --- forms */

bool account_text_seen(const char *s, size_t max, size_t *ret_characters)
{
    size_t len = strlen(s), step;
    uint32_t cp;

    *ret_characters = 0;
    for (size_t i = 0; i < len; i += step, ++*ret_characters) {
        step = utf8_decode(s + i, len - i, &cp);
        if (step == 0 || cp < ' ' || (cp >= 0x7f && cp < 0xa0) || utf8_unseen(cp))
            return false;
    }
    return len <= max;
}

bool account_name_valid(const char *name)
{
    size_t characters;

    return name && *name && name[0] != ' ' && name[strlen(name) - 1] != ' ' &&
           account_text_seen(name, ACCOUNT_NAME_MAX, &characters) && characters <= ACCOUNT_NAME_CHARACTERS;
}

bool account_plan_valid(const char *plan)
{
    for (size_t i = 0; i < PLANS; i++)
        if (str_eq(plan, plan_names[i]))
            return true;
    return false;
}

static bool oidc_valid(const char *oidc)
{
    return strlen(oidc) <= ACCOUNT_OIDC_MAX;
}

/* Without the locale: a name is the same everywhere. */
static const char *fold(char ret[ACCOUNT_NAME_MAX + 1], const char *name)
{
    snprintf(ret, ACCOUNT_NAME_MAX + 1, "%s", name);
    for (char *p = ret; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return ret;
}

void account_hash_secret(const char *secret, char ret[ID_TOKEN_LEN + 1])
{
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)secret, strlen(secret));
    sodium_bin2hex(ret, ID_TOKEN_LEN + 1, hash, sizeof hash);
}

/* --- reading */

#define FIELD(member)                                                                                        \
    {                                                                                                        \
#member, offsetof(struct account, member), sizeof(((struct account *)0)->member)                     \
    }

static const struct {
    const char *name;
    size_t offset, size;
} fields[] = {
    FIELD(id),
    FIELD(space),
    FIELD(name),
    FIELD(plan),
    FIELD(created_at),
    FIELD(last_login_at),
    FIELD(webhook_hosts),
    FIELD(webhook_secret),
    FIELD(oidc),
    {"disabled", offsetof(struct account, disabled_at), sizeof(((struct account *)0)->disabled_at)},
};

int account_read(const redisReply *reply, struct account *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const char *value = redis_reply_field(reply, fields[i].name);

        if ((size_t)snprintf((char *)ret + fields[i].offset, fields[i].size, "%s", value ? value : "") >=
            fields[i].size)
            return -ENOENT;
    }
    ret->disabled = *ret->disabled_at;
    ret->has_password = redis_reply_field(reply, "password") && *redis_reply_field(reply, "password");
    return id_is_uuid(ret->id) && id_is_token(ret->space) && *ret->name ? 0 : -ENOENT;
}

static void on_loaded(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        err = account_read(redis_reply_at(reply, 1), &op->account);
    op->fn.account(op->arg, err, err ? NULL : &op->account);
}

/* A plan's name, when a space has to be moved on, and to when. */
struct span {
    char least_ms[24], expiry_ms[24], expires_at[CLOCK_RFC3339_LEN + 1];
};

static void make_span(struct span *ret, uint64_t now_ms, uint64_t retention_s)
{
    uint64_t least = now_ms + (retention_s + DAY_S) * 1000, expiry = least + (uint64_t)DAY_S * 1000;

    snprintf(ret->least_ms, sizeof ret->least_ms, "%" PRIu64, least);
    snprintf(ret->expiry_ms, sizeof ret->expiry_ms, "%" PRIu64, expiry);
    clock_rfc3339(expiry, ret->expires_at);
}

void account_prove(struct redis *r, enum account_proof proof, const char *key, const char *account_id,
                   const char *secret_hash, const struct plan plans[PLANS], redis_reply_fn *fn, void *arg)
{
    static const char *const proofs[] = {
        [PROOF_ID] = "id", [PROOF_FAMILY] = "family", [PROOF_API_KEY] = "key"};
    uint64_t now_ms = clock_real_ms();
    char now[CLOCK_RFC3339_LEN + 1], long_ago[CLOCK_RFC3339_LEN + 1];
    struct span spans[PLANS];
    const char *argv[8 + 4 * PLANS + 1] = {
        key, proofs[proof], account_id, secret_hash, ACCOUNT_KEY_PREFIX, SESSION_KEY_PREFIX, now, long_ago};

    clock_rfc3339(now_ms, now);
    clock_rfc3339(now_ms - USED_EVERY_MS, long_ago);
    for (size_t i = 0; i < PLANS; i++) {
        make_span(&spans[i], now_ms, plans[i].retention_s);
        argv[8 + 4 * i] = plans[i].name;
        argv[9 + 4 * i] = spans[i].least_ms;
        argv[10 + 4 * i] = spans[i].expiry_ms;
        argv[11 + 4 * i] = spans[i].expires_at;
    }
    redis_eval(r, &load_script, 1, argv, fn, arg);
}

void account_load(struct redis *r, const char *id, const char *family, const struct plan plans[PLANS],
                  account_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    char key[KEYED_MAX];

    op->fn.account = fn;
    if (!id_is_uuid(id) || (family && !id_is_uuid(family)))
        redis_defer(r, -ENOENT, on_loaded, op);
    else if (family)
        account_prove(r, PROOF_FAMILY, keyed(key, REFRESH_FAMILY_KEY_PREFIX, family, ""), id, "", plans,
                      on_loaded, op);
    else
        account_prove(r, PROOF_ID, keyed(key, ACCOUNT_KEY_PREFIX, id, ""), id, "", plans, on_loaded, op);
}

/* --- by name, and by subject */

static void on_found(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    const redisReply *found = redis_reply_at(reply, 1);
    const char *password = redis_reply_field(found, "password");

    if (err == 0)
        err = script_code(reply);
    if (err == 0)
        err = account_read(found, &op->account);
    op->fn.login(op->arg, err, err ? NULL : &op->account, err || !password ? "" : password);
}

static void find(struct redis *r, const char *index, const char *member, account_login_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.login = fn;
    if (member)
        redis_eval(r, &find_script, 1, REDIS(index, member, ACCOUNT_KEY_PREFIX), on_found, op);
    else
        redis_defer(r, -ENOENT, on_found, op);
}

void account_load_by_name(struct redis *r, const char *name, account_login_fn *fn, void *arg)
{
    char folded[ACCOUNT_NAME_MAX + 1];

    find(r, ACCOUNT_NAMES_KEY, account_name_valid(name) ? fold(folded, name) : NULL, fn, arg);
}

void account_load_by_oidc(struct redis *r, const char *oidc, account_login_fn *fn, void *arg)
{
    find(r, ACCOUNT_OIDC_KEY, oidc && *oidc && oidc_valid(oidc) ? oidc : NULL, fn, arg);
}

/* --- changing */

static void on_created(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    if (err == 0)
        err = script_code(reply);
    op->fn.account(op->arg, err, err ? NULL : &op->account);
}

void account_create(struct redis *r, const char *name, const char *plan, const char *password,
                    const char *oidc, account_fn *fn, void *arg)
{
    struct op *op = op_new(arg);
    struct account *a = &op->account;
    char key[KEYED_MAX], folded[ACCOUNT_NAME_MAX + 1];

    op->fn.account = fn;
    if (!account_name_valid(name) || !account_plan_valid(plan) || !oidc_valid(oidc)) {
        redis_defer(r, -EINVAL, on_created, op);
        return;
    }
    id_uuid(a->id);
    id_token(a->space);
    snprintf(a->name, sizeof a->name, "%s", name);
    snprintf(a->plan, sizeof a->plan, "%s", plan);
    snprintf(a->oidc, sizeof a->oidc, "%s", oidc);
    clock_rfc3339(clock_real_ms(), a->created_at);
    a->has_password = *password;
    redis_eval(r, &create_script, 3,
               REDIS(keyed(key, ACCOUNT_KEY_PREFIX, a->id, ""), ACCOUNT_NAMES_KEY, ACCOUNT_OIDC_KEY, a->id,
                     fold(folded, name), oidc, "id", a->id, "name", name, "password", password, "plan", plan,
                     "disabled", "", "space", a->space, "created_at", a->created_at, "last_login_at", "",
                     "webhook_hosts", "", "webhook_secret", "", "oidc", oidc),
               on_created, op);
}

static void on_changed(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;

    op->fn.reply(op->arg, err ? err : script_code(reply), reply);
}

static struct op *reply_op(struct redis *r, redis_reply_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.reply = fn;
    op->r = r;
    return op;
}

/* Two fields, which may be the same. */
static void update(struct redis *r, const char *id, bool end_families, const char *const field[2],
                   const char *const value[2], redis_reply_fn *fn, void *arg)
{
    char key[KEYED_MAX], families[KEYED_MAX];

    redis_eval(r, &update_script, 2,
               REDIS(keyed(key, ACCOUNT_KEY_PREFIX, id, ""),
                     keyed(families, ACCOUNT_KEY_PREFIX, id, ":families"),
                     end_families ? REFRESH_FAMILY_KEY_PREFIX : "", field[0], value[0], field[1], value[1]),
               fn, arg);
}

static void set(struct redis *r, const char *id, bool end_families, const char *field, const char *value,
                redis_reply_fn *fn, void *arg)
{
    struct op *op = reply_op(r, fn, arg);

    if (id_is_uuid(id))
        update(r, id, end_families, (const char *[]){field, field}, (const char *[]){value, value},
               on_changed, op);
    else
        redis_defer(r, -ENOENT, on_changed, op);
}

void account_set_plan(struct redis *r, const char *id, const char *plan, redis_reply_fn *fn, void *arg)
{
    if (account_plan_valid(plan))
        set(r, id, false, "plan", plan, fn, arg);
    else
        redis_defer(r, -EINVAL, fn, arg);
}

void account_set_password(struct redis *r, const char *id, const char *password, redis_reply_fn *fn,
                          void *arg)
{
    set(r, id, true, "password", password, fn, arg);
}

static void set_now(struct redis *r, const char *id, bool end_families, const char *field, redis_reply_fn *fn,
                    void *arg)
{
    char now[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(clock_real_ms(), now);
    set(r, id, end_families, field, now, fn, arg);
}

void account_disable(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    set_now(r, id, true, "disabled", fn, arg);
}

void account_enable(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    set(r, id, false, "disabled", "", fn, arg);
}

void account_touch_login(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    set_now(r, id, false, "last_login_at", fn, arg);
}

void account_set_webhooks(struct redis *r, const char *id, const char *hosts, const char *secret,
                          redis_reply_fn *fn, void *arg)
{
    struct op *op = reply_op(r, fn, arg);

    if (!id_is_uuid(id))
        redis_defer(r, -ENOENT, on_changed, op);
    else if (strlen(hosts) > ACCOUNT_HOSTS_MAX || strlen(secret) > ACCOUNT_SECRET_MAX)
        redis_defer(r, -EINVAL, on_changed, op);
    else
        update(r, id, false, (const char *[]){"webhook_hosts", "webhook_secret"},
               (const char *[]){hosts, secret}, on_changed, op);
}

void account_link_oidc(struct redis *r, const char *id, const char *oidc, redis_reply_fn *fn, void *arg)
{
    struct op *op = reply_op(r, fn, arg);
    char key[KEYED_MAX];

    if (!id_is_uuid(id))
        redis_defer(r, -ENOENT, on_changed, op);
    else if (!oidc_valid(oidc))
        redis_defer(r, -EINVAL, on_changed, op);
    else
        redis_eval(r, &link_script, 2,
                   REDIS(keyed(key, ACCOUNT_KEY_PREFIX, id, ""), ACCOUNT_OIDC_KEY, id, oidc), on_changed, op);
}

/* --- all */

static void on_listed(void *arg, int err, const redisReply *reply)
{
    _cleanup_free_ struct op *op = arg;
    size_t n = err == 0 && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0, found = 0;
    _cleanup_free_ struct account *accounts = xcalloc(n ? n : 1, sizeof *accounts);

    if (err == 0 && reply->type != REDIS_REPLY_ARRAY)
        err = -EPROTO;
    for (size_t i = 0; i < n; i++)
        if (account_read(redis_reply_at(reply, i), &accounts[found]) == 0)
            found++;
    op->fn.list(op->arg, err, accounts, found);
}

void account_list(struct redis *r, account_list_fn *fn, void *arg)
{
    struct op *op = op_new(arg);

    op->fn.list = fn;
    redis_eval(r, &list_script, 1, REDIS(ACCOUNT_NAMES_KEY, ACCOUNT_KEY_PREFIX), on_listed, op);
}

/* --- removing: disabled, its space closed, gone */

static void on_closed(void *arg, int err, unsigned running)
{
    struct op *op = arg;
    char key[KEYED_MAX], keys[KEYED_MAX], families[KEYED_MAX];

    if (err < 0 && err != -ENOENT) { /* -ENOENT: it has never had one, or it was closed already */
        on_changed(op, err, NULL);
        return;
    }
    redis_eval(op->r, &remove_script, 5,
               REDIS(keyed(key, ACCOUNT_KEY_PREFIX, op->account.id, ""),
                     keyed(keys, ACCOUNT_KEY_PREFIX, op->account.id, ":keys"),
                     keyed(families, ACCOUNT_KEY_PREFIX, op->account.id, ":families"), ACCOUNT_NAMES_KEY,
                     ACCOUNT_OIDC_KEY, API_KEY_KEY_PREFIX, REFRESH_FAMILY_KEY_PREFIX, op->account.id),
               on_changed, op);
}

static void on_disabled(void *arg, int err, const redisReply *reply)
{
    struct op *op = arg;
    const char *space = redis_reply_str(redis_reply_at(reply, 1));

    if (err == 0)
        err = script_code(reply);
    if (err == 0 && !space)
        err = -EPROTO;
    if (err < 0)
        on_changed(op, err, NULL);
    else
        session_begin_close(op->r, space, on_closed, op);
}

void account_remove(struct redis *r, const char *id, redis_reply_fn *fn, void *arg)
{
    struct op *op = reply_op(r, fn, arg);
    char now[CLOCK_RFC3339_LEN + 1];

    if (!id_is_uuid(id)) {
        redis_defer(r, -ENOENT, on_changed, op);
        return;
    }
    memcpy(op->account.id, id, sizeof op->account.id);
    clock_rfc3339(clock_real_ms(), now);
    update(r, id, true, (const char *[]){"disabled", "disabled"}, (const char *[]){now, now}, on_disabled,
           op);
}
