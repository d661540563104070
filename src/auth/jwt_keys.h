/* The keys that sign access tokens: a folder of RSA keys, one PEM file each, `{kid}.pem`, which nobody but
 * its owner may read. A key's id is its file's name.
 *
 * All keys of the folder verify, one signs: the newest (by the time of its file, then by name) that is
 * JWT_SETTLE_S old. Until then other servers, and those who keep the answer of GET /.well-known/jwks.json,
 * may not know it. Where none is that old the oldest signs.
 *
 * Safe to use from all threads; jwt_keys_reload() puts what is in the folder now in place of what was. */
#pragma once

#include "core/cleanup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    JWT_KID_MAX = 64, /* letters, digits, '-' and '_' */
    JWT_KEY_BITS = 3072,
    JWT_KEY_BITS_MIN = 2048,
    JWT_KEY_BITS_MAX = 8192,
    JWT_KEYS_MAX = 16, /* in a folder */
    JWT_SETTLE_S = 300,
};

struct jwt_keys;

/* What is wrong with a folder. */
struct jwt_trouble {
    char file[NAME_MAX + 1]; /* its name; "" where it is no single file */
    const char *why;         /* a sentence */
};

/* -EPERM when others may read a key, -EBADMSG when a file is none, -ENOENT when there is none, -EMFILE when
 * there are more than JWT_KEYS_MAX, or why the folder can't be read. `folder` lives as long as the keys. */
int jwt_keys_load(const char *folder, struct jwt_keys **ret, struct jwt_trouble *ret_trouble) _warn_unused_;
/* 1: there are others than before; 0: the same. On an error (as above) the keys stay as they were. */
int jwt_keys_reload(struct jwt_keys *keys, struct jwt_trouble *ret_trouble) _warn_unused_;
void jwt_keys_free(struct jwt_keys *keys); /* NULL is fine */

/* A JWK set (RFC 7517) of the public halves; the caller frees it. NULL without memory. */
char *jwt_keys_public(struct jwt_keys *keys);

/* Calls `fn` with the key's PEM, which is gone when it returns, and gives what that returns; `kid` and `pem`
 * end in NUL. -ENOKEY: there is no key of the id. */
typedef int jwt_key_fn(void *arg, const char *kid, const char *pem);
int jwt_keys_with_public(struct jwt_keys *keys, const char *kid, jwt_key_fn *fn, void *arg) _warn_unused_;
/* The same with the private half of the key that signs at this time. */
int jwt_keys_with_signing(struct jwt_keys *keys, uint64_t now_s, jwt_key_fn *fn, void *arg) _warn_unused_;

/* Makes a key in the folder, whole or not at all; by root, as belonging to whom the folder belongs. Errors as
 * of jwt_keys_load(). */
int jwt_key_make(int dirfd, char ret_kid[JWT_KID_MAX + 1]) _warn_unused_;
/* The same, if the folder has no file of a key; else "". */
int jwt_key_make_first(int dirfd, char ret_kid[JWT_KID_MAX + 1]) _warn_unused_;
/* By root: the folder and its keys are this user's alone. What is in a folder that he has already is left
 * alone, for he may have put anything there; -EPERM for a key that is a link. */
int jwt_keys_give(int dirfd, uid_t uid, gid_t gid) _warn_unused_;
/* Removes all but the `keep` newest. */
int jwt_keys_prune(int dirfd, size_t keep) _warn_unused_;
