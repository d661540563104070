/* Accounts: hash `account:{id}` with `id`, `name`, `password` (libsodium's Argon2id string; "": none),
 * `plan`, `disabled` (when that was; "": it is not), `space`, `created_at`, `last_login_at`, `webhook_hosts`,
 * `webhook_secret`, `oidc` (issuer and subject; "": none), `lookup` (the name, its capitals made small). They
 * don't expire. The hash `account_names` leads from the latter to the id, and `account_oidc` from issuer and
 * subject.
 *
 * What an account has lives in its space: `session:{space}`, a session that no cookie can load, since it has
 * no `csrf_token`; its fields are `created_at`, `expires_at`, `account` and `plan`. It is made, and moved on
 * in time, whenever the account is loaded for a call, so that it outlives everything that is kept in it. */
#pragma once

#include "core/id.h"
#include "core/plans.h"
#include "state/redis.h"

#include <stdint.h>

enum {
    ACCOUNT_NAME_CHARACTERS = 64,
    ACCOUNT_NAME_MAX = ACCOUNT_NAME_CHARACTERS * 4, /* bytes, as below */
    ACCOUNT_PLAN_MAX = 15,
    ACCOUNT_TIME_MAX = 31,
    ACCOUNT_HOSTS_MAX = 1023,
    ACCOUNT_SECRET_MAX = 127,
    ACCOUNT_OIDC_MAX = 511,
};

struct account {
    char id[ID_UUID_LEN + 1], space[ID_TOKEN_LEN + 1];
    char name[ACCOUNT_NAME_MAX + 1], plan[ACCOUNT_PLAN_MAX + 1];
    char disabled_at[ACCOUNT_TIME_MAX + 1]; /* "": it is not */
    char created_at[ACCOUNT_TIME_MAX + 1];
    char last_login_at[ACCOUNT_TIME_MAX + 1]; /* "": never */
    char webhook_hosts[ACCOUNT_HOSTS_MAX + 1], webhook_secret[ACCOUNT_SECRET_MAX + 1];
    char oidc[ACCOUNT_OIDC_MAX + 1]; /* issuer, a blank, subject; "": none */
    bool disabled, has_password;
};

/* err: 0 with the account; -ENOENT when there is none; else as said, or as in redis.h. Lives during the
 * callback. */
typedef void account_fn(void *arg, int err, const struct account *account);

/* A name: well-formed UTF-8 of 1 to ACCOUNT_NAME_CHARACTERS characters that are seen, no blank at either end.
 * A capital of A to Z is no other letter than the small one. */
bool account_name_valid(const char *name);
/* Is it one of plan_names? */
bool account_plan_valid(const char *plan);

/* For a call of that account: -EACCES when it is disabled, -ENOENT also when the refresh family (NULL: none
 * is asked for) has ended or is another account's. `id` and `family` may be anything a client sent. */
void account_load(struct redis *r, const char *id, const char *family, const struct plan plans[PLANS],
                  account_fn *fn, void *arg);

/* For whoever logs in, and for the operator; disabled ones too. `password` is the Argon2id string, "" when it
 * has none. The space is left alone. `name` and `oidc` may be anything. */
typedef void account_login_fn(void *arg, int err, const struct account *account, const char *password);
void account_load_by_name(struct redis *r, const char *name, account_login_fn *fn, void *arg);
void account_load_by_oidc(struct redis *r, const char *oidc, account_login_fn *fn, void *arg);

/* `password` and `oidc`: "" for none. -EINVAL for a name, plan or `oidc` of a wrong form, -EEXIST when the
 * name or the subject is another's. */
void account_create(struct redis *r, const char *name, const char *plan, const char *password,
                    const char *oidc, account_fn *fn, void *arg);

/* -ENOENT when there is no such account; -EINVAL for what has no room or is no plan. */
void account_set_plan(struct redis *r, const char *id, const char *plan, redis_reply_fn *fn, void *arg);
/* These two end the account's refresh families too. */
void account_set_password(struct redis *r, const char *id, const char *password, redis_reply_fn *fn,
                          void *arg);
void account_disable(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
void account_enable(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
void account_set_webhooks(struct redis *r, const char *id, const char *hosts, const char *secret,
                          redis_reply_fn *fn, void *arg);
void account_touch_login(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
/* From here on that subject leads to this account, and none that led to it before; "": none does. -EEXIST
 * when it leads to another. */
void account_link_oidc(struct redis *r, const char *id, const char *oidc, redis_reply_fn *fn, void *arg);

/* By no order. */
typedef void account_list_fn(void *arg, int err, const struct account *accounts, size_t n);
void account_list(struct redis *r, account_list_fn *fn, void *arg);

/* Disabled first; then its space is closed as session_begin_close() does, and a janitor removes the files
 * when no worker holds a job of it any more; then its name, keys and refresh families are gone. May be
 * repeated when it was cut short: until the end the account is there, and disabled. */
void account_remove(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
