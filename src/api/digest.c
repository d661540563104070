#include "api/digest.h"

#include <stdio.h>
#include <string.h>

void digest_texts(const char *const texts[], char ret[DIGEST_LEN + 1])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    for (size_t i = 0; texts[i]; i++)
        sha256_update(&sha256, strlen(texts[i]) + 1, (const uint8_t *)texts[i]);
    sha256_digest(&sha256, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}
