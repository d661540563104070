/* API keys: hash `apikey:{key id}` with `account`, `name` (what its owner calls it), `scopes` (words with
 * commas between), `hash` (SHA-256 of the secret), `created_at`, `last_used_at`, `revoked_at` ("": not yet).
 * The set `account:{id}:keys` has the ids. A revoked one stays listed until its account is removed.
 *
 * As its owner gets it, once: dk_{12 hexadecimal digits: its id}_{64: its secret}. */
#pragma once

#include "state/account.h"

enum {
    API_KEY_ID_LEN = 12,
    API_KEY_TEXT_LEN = sizeof "dk__" - 1 + API_KEY_ID_LEN + ID_TOKEN_LEN,
    API_KEY_NAME_MAX = 128,  /* bytes */
    API_KEY_SCOPES_MAX = 31, /* bytes */
    API_KEYS_MAX = 1000,     /* of an account, with those that are revoked */
};

#define API_KEY_PREFIX "dk_"

struct api_key {
    char id[API_KEY_ID_LEN + 1];
    char account[ID_UUID_LEN + 1], account_name[ACCOUNT_NAME_MAX + 1];
    char name[API_KEY_NAME_MAX + 1], scopes[API_KEY_SCOPES_MAX + 1];
    char created_at[ACCOUNT_TIME_MAX + 1];
    char last_used_at[ACCOUNT_TIME_MAX + 1]; /* to the minute; "": never */
    char revoked_at[ACCOUNT_TIME_MAX + 1];   /* "": it is not */
};

bool api_key_id_valid(const char *id);
/* Words of "convert" and "read" with commas between, each once, one at least. */
bool api_key_scopes_valid(const char *scopes);

/* As account_load(), by a key's text, which may be anything a client sent. -ENOENT for one that is unknown,
 * wrong or revoked. */
typedef void api_key_account_fn(void *arg, int err, const struct account *account, const char *scopes);
void api_key_load_account(struct redis *r, const char *text, const struct plan plans[PLANS],
                          api_key_account_fn *fn, void *arg);

/* -ENOENT no such account, -EINVAL scopes or a name of a wrong form, -EDQUOT it has API_KEYS_MAX. `text` is
 * told here only, and wiped after the callback. */
typedef void api_key_created_fn(void *arg, int err, const struct api_key *key, const char *text);
void api_key_create(struct redis *r, const char *account_id, const char *scopes, const char *name,
                    api_key_created_fn *fn, void *arg);

/* Of one account, or of all (NULL), by no order. */
typedef void api_key_list_fn(void *arg, int err, const struct api_key *keys, size_t n);
void api_key_list(struct redis *r, const char *account_id, api_key_list_fn *fn, void *arg);

/* -ENOENT no such key. Again: it stays as it was. */
void api_key_revoke(struct redis *r, const char *id, redis_reply_fn *fn, void *arg);
