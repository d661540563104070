/* Secrets on their way from one process to another through storage that others can read: sealed boxes of
 * libsodium (crypto_box_seal: X25519, XSalsa20, Poly1305).
 *
 * Who has the public key can seal, only who has the secret key can open: whoever seals can't open what he has
 * sealed. A box is made for a context (the id of a job) and opens for no other, so that nobody can have one
 * opened under another's name. Of the length of the secret it tells no more than in which step of 128 bytes
 * it lies. */
#pragma once

#include "core/cleanup.h"

#include <sys/types.h>

enum { SEAL_PUBLIC_LEN = 64, SEAL_SECRET_MAX = 4096 /* bytes */ };

struct seal_public {
    unsigned char bytes[SEAL_PUBLIC_LEN / 2];
};

/* From 64 hexadecimal digits; -EINVAL for anything else. */
int seal_public_parse(const char *hex, struct seal_public *ret) _warn_unused_;

/* `ret_box` is a new string of harmless characters. -EINVAL for a context of more than 64 bytes, -EMSGSIZE
 * for a secret of more than SEAL_SECRET_MAX. */
int seal_close(const struct seal_public *key, const char *context, const char *secret,
               char **ret_box) _warn_unused_;

/* The secret key. A file of 64 hexadecimal digits that nobody but its owner may read. */
struct seal_key;

/* Makes the file unless it is there, as belonging to `uid` and `gid` (-1: to whom it falls). Whole or not at
 * all. */
int seal_key_make(int dirfd, const char *name, uid_t uid, gid_t gid) _warn_unused_;
/* -EPERM when others may read it, -EBADMSG when it is no key. */
int seal_key_load(int dirfd, const char *path, struct seal_key **ret) _warn_unused_;
void seal_key_free(struct seal_key *key); /* NULL is fine */

/* The digits that seal_public_parse takes. */
void seal_key_public(const struct seal_key *key, char ret[SEAL_PUBLIC_LEN + 1]);

/* From here on jansson wipes what it frees: bodies of requests and options of jobs hold passwords. Before the
 * first thread. */
void seal_wipe_json(void);

/* `ret_secret` is a new string for cleanup_secret(). -EBADMSG when it is no box, or not for this key and
 * context. */
int seal_open(const struct seal_key *key, const char *context, const char *box,
              char **ret_secret) _warn_unused_;
