/* Values of tus's headers (tus 1.0.0, https://tus.io/protocols/resumable-upload). */
#pragma once

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUS_CHECKSUM_ALGORITHMS "sha1,sha256"

/* The value of `key` in Upload-Metadata, "key base64,key,…", as a string. 0; -ENOENT: there is no such key;
 * -EINVAL: the header is not well-formed; -EMSGSIZE: the value takes more than `size` with its NUL. A NUL
 * within it is -EINVAL, too. */
int tus_metadata_get(const char *header, const char *key, char *ret, size_t size);

/* What Upload-Checksum promises of a body. */
struct tus_checksum {
    bool wanted, is_sha256;
    uint8_t promised[SHA256_DIGEST_SIZE];
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
};

/* "ALGORITHM base64"; NULL: none is wanted. -EINVAL, also for other algorithms. */
int tus_checksum_begin(struct tus_checksum *c, const char *header);
void tus_checksum_update(struct tus_checksum *c, const void *data, size_t len);
/* Is it what was promised? True where none is wanted. To be called once. */
bool tus_checksum_holds(struct tus_checksum *c);

/* A decimal number, as in Upload-Offset and Upload-Length. -EINVAL, also for NULL. */
int tus_number(const char *header, uint64_t *ret);
