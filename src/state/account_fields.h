/* What accounts, API keys and refresh tokens share: the names of their keys, and reading an account. Private
 * to this folder. */
#pragma once

#include "core/id.h"
#include "state/account.h"

#include <stdio.h>

#define ACCOUNT_KEY_PREFIX        "account:"
#define ACCOUNT_NAMES_KEY         "account_names"
#define ACCOUNT_OIDC_KEY          "account_oidc"
#define API_KEY_KEY_PREFIX        "apikey:"
#define REFRESH_KEY_PREFIX        "refresh:"
#define REFRESH_FAMILY_KEY_PREFIX "refresh_family:"

enum { KEYED_MAX = 128 };

/* "account:{id}" and what follows it: "", ":keys" (set: ids of its API keys), ":families" (zset: ids of its
 * refresh families by their end) */
static inline const char *keyed(char ret[KEYED_MAX], const char *prefix, const char *id, const char *what)
{
    snprintf(ret, KEYED_MAX, "%s%s%s", prefix, id, what);
    return ret;
}

/* Is it well-formed UTF-8 of `max` bytes at the most, and nothing in it that can't be seen? */
bool account_text_seen(const char *s, size_t max, size_t *ret_characters);

/* From a list of fields and values; -ENOENT when they are no account's. */
int account_read(const redisReply *fields, struct account *ret) _warn_unused_;

/* Who proves to be an account, and by what. */
enum account_proof { PROOF_ID, PROOF_FAMILY, PROOF_API_KEY };

/* `key`: of the account, family or API key; `account_id`: "" for an API key, which leads to it;
 * `secret_hash`: of the API key, else "". The reply of the script account_load, which says more. */
void account_prove(struct redis *r, enum account_proof proof, const char *key, const char *account_id,
                   const char *secret_hash, const struct plan plans[PLANS], redis_reply_fn *fn, void *arg);

/* SHA-256 in hexadecimal digits: what is kept of a secret that is random and long enough not to be tried. */
void account_hash_secret(const char *secret, char ret[ID_TOKEN_LEN + 1]);
