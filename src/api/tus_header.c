#include "api/tus_header.h"

#include "core/str.h"

#include <errno.h>
#include <nettle/base64.h>
#include <string.h>

/* 0, -EINVAL or -EMSGSIZE. */
static int decode(const char *text, size_t len, uint8_t *ret, size_t size, size_t *ret_len)
{
    struct base64_decode_ctx ctx;

    base64_decode_init(&ctx);
    *ret_len = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte;
        int n = base64_decode_single(&ctx, &byte, text[i]);

        if (n < 0 || text[i] == ' ' || text[i] == '\t')
            return -EINVAL;
        if (n == 0)
            continue;
        if (*ret_len == size)
            return -EMSGSIZE;
        ret[(*ret_len)++] = byte;
    }
    return base64_decode_final(&ctx) ? 0 : -EINVAL;
}

static int decode_text(const char *text, size_t len, char *ret, size_t size)
{
    size_t n;
    int r = decode(text, len, (uint8_t *)ret, size - 1, &n);

    if (r < 0)
        return r;
    ret[n] = '\0';
    return strlen(ret) == n ? 0 : -EINVAL;
}

int tus_metadata_get(const char *header, const char *key, char *ret, size_t size)
{
    for (const char *pair = header, *comma; pair; pair = comma ? comma + 1 : NULL) {
        size_t len, name, value;

        comma = strchr(pair, ',');
        pair += strspn(pair, " ");
        len = comma && comma > pair ? (size_t)(comma - pair) : comma ? 0 : strlen(pair);
        name = strcspn(pair, " ,");
        if (len == 0 || name == 0)
            return -EINVAL;
        value = name < len ? name + 1 : len;
        if (name == strlen(key) && memcmp(pair, key, name) == 0)
            return decode_text(pair + value, len - value, ret, size);
    }
    return -ENOENT;
}

int tus_checksum_begin(struct tus_checksum *c, const char *header)
{
    const char *blank = header ? strchr(header, ' ') : NULL;
    size_t n;

    *c = (struct tus_checksum){.wanted = header != NULL};
    if (!header)
        return 0;
    c->is_sha256 = str_starts(header, "sha256 ");
    if (!c->is_sha256 && !str_starts(header, "sha1 "))
        return -EINVAL;
    sha1_init(&c->sha1);
    sha256_init(&c->sha256);
    if (decode(blank + 1, strlen(blank + 1), c->promised, sizeof c->promised, &n) < 0)
        return -EINVAL;
    return n == (c->is_sha256 ? (size_t)SHA256_DIGEST_SIZE : (size_t)SHA1_DIGEST_SIZE) ? 0 : -EINVAL;
}

void tus_checksum_update(struct tus_checksum *c, const void *data, size_t len)
{
    if (!c->wanted)
        return;
    if (c->is_sha256)
        sha256_update(&c->sha256, len, data);
    else
        sha1_update(&c->sha1, len, data);
}

bool tus_checksum_holds(struct tus_checksum *c)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    size_t len = c->is_sha256 ? SHA256_DIGEST_SIZE : SHA1_DIGEST_SIZE;

    if (!c->wanted)
        return true;
    if (c->is_sha256)
        sha256_digest(&c->sha256, len, digest);
    else
        sha1_digest(&c->sha1, len, digest);
    return memcmp(digest, c->promised, len) == 0;
}

int tus_number(const char *header, uint64_t *ret)
{
    return header ? str_to_u64(header, 0, INT64_MAX, ret) : -EINVAL;
}
