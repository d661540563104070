/* Passwords of accounts: Argon2id by libsodium, two passes over 64 MiB.
 *
 * Hashing and verifying take tens of milliseconds of a processor: whoever has a loop calls them on a thread
 * of libuv's. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>

enum {
    PASSWORD_CHARACTERS_MIN = 10,
    PASSWORD_BYTES_MAX = 1024,
    PASSWORD_HASH_MAX = 128, /* with its NUL */
};

/* Why it is none to choose, as a sentence; NULL: it is fine. */
const char *password_refusal(const char *password);

/* -EINVAL for one that password_refusal() refuses, -ENOMEM. */
int password_hash(const char *password, char ret[PASSWORD_HASH_MAX]) _warn_unused_;

/* 0; -EACCES when it is not the one, also when `hash` is "", which takes as long: nobody can tell by time who
 * has an account. -ENOMEM: nobody knows; it is to be tried again. */
int password_verify(const char *hash, const char *password) _warn_unused_;

/* Was it made by weaker parameters than today's? */
bool password_needs_rehash(const char *hash);
