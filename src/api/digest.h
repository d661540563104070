/* Names made of what was sent: SHA-256 in lower-case hexadecimal. */
#pragma once

#include <nettle/sha2.h>

enum { DIGEST_LEN = 2 * SHA256_DIGEST_SIZE };

/* Of texts (NULL-terminated), each with its NUL, so that no two lists have the same. */
void digest_texts(const char *const texts[], char ret[DIGEST_LEN + 1]);
