/* Upload-Metadata, Upload-Checksum and numbers of tus. Whatever a client sends: a value fits into its buffer
 * and has no NUL in it, and no other reading leaves the header; a name that is written as the protocol says
 * is read as it was; and a checksum that is begun compares equal with what was hashed alone. */
#include "fuzz.h"

#include "api/tus_header.h"
#include "core/cleanup.h"

#include <errno.h>
#include <nettle/base64.h>
#include <string.h>

enum { VALUE_MAX = 64 };

static void read_as_it_is(const char *header)
{
    struct tus_checksum c;
    char value[VALUE_MAX];
    uint64_t number;
    int r = tus_metadata_get(header, "filename", value, sizeof value);

    require(r == 0 || r == -ENOENT || r == -EINVAL || r == -EMSGSIZE);
    if (r == 0)
        require(strlen(value) < sizeof value && strstr(header, "filename"));
    if (tus_number(header, &number) == 0)
        require(number <= INT64_MAX);
    if (tus_checksum_begin(&c, header) == 0) {
        tus_checksum_update(&c, header, strlen(header));
        (void)tus_checksum_holds(&c);
    }
}

/* As a client writes it. */
static void read_what_was_written(const uint8_t *data, size_t len)
{
    size_t n = BASE64_ENCODE_RAW_LENGTH(len);
    _cleanup_free_ char *header = calloc(1, n + 64), *value = calloc(1, len + 1);
    char *text;

    if (!header || !value)
        abort();
    text = stpcpy(header, "empty,filetype eA==,filename ");
    base64_encode_raw(text, len, data);
    if (memchr(data, '\0', len)) {
        require(tus_metadata_get(header, "filename", value, len + 1) == -EINVAL);
        return;
    }
    require(tus_metadata_get(header, "filename", value, len + 1) == 0 && memcmp(value, data, len) == 0);
    require(len == 0 || tus_metadata_get(header, "filename", value, len) == -EMSGSIZE);
    strcpy(text + n, ",last");
    require(tus_metadata_get(header, "filename", value, len + 1) == 0);
}

static void prove(const uint8_t *data, size_t len)
{
    char header[7 + BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1] = "sha256 ";
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    struct tus_checksum c;

    sha256_init(&ctx);
    sha256_update(&ctx, len, data);
    sha256_digest(&ctx, sizeof digest, digest);
    base64_encode_raw(header + 7, sizeof digest, digest);
    require(tus_checksum_begin(&c, header) == 0);
    tus_checksum_update(&c, data, len / 2);
    tus_checksum_update(&c, data + len / 2, len - len / 2);
    require(tus_checksum_holds(&c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *header = strndup((const char *)data, len);

    if (!header)
        abort();
    read_as_it_is(header);
    read_what_was_written(data, len);
    prove(data, len);
    return 0;
}
