#include "core/seal.h"

#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CONTEXT_MAX = 64,
    STEP = 128,
    /* context, NUL, secret; with at least one byte of padding, in whole steps */
    TEXT_MAX = (CONTEXT_MAX + 1 + SEAL_SECRET_MAX) / STEP * STEP + STEP,
    BOX_MAX = TEXT_MAX + crypto_box_SEALBYTES,
    KEY_BYTES = crypto_box_SECRETKEYBYTES,
    KEY_FILE_MAX = 2 * KEY_BYTES + 2,
    ENCODING = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
};

_Static_assert(sizeof(struct seal_public) == crypto_box_PUBLICKEYBYTES, "a public key of another size");

struct seal_key {
    unsigned char secret[KEY_BYTES];
    struct seal_public public;
};

static int parse_hex(const char *hex, size_t len, unsigned char *ret, size_t size)
{
    size_t n;

    if (sodium_init() < 0)
        return -ENOSYS;
    return len == 2 * size && sodium_hex2bin(ret, size, hex, len, NULL, &n, NULL) == 0 && n == size ? 0
                                                                                                    : -EINVAL;
}

int seal_public_parse(const char *hex, struct seal_public *ret)
{
    return parse_hex(hex, strlen(hex), ret->bytes, sizeof ret->bytes);
}

/* --- boxes */

int seal_close(const struct seal_public *key, const char *context, const char *secret, char **ret_box)
{
    size_t context_len = strlen(context), secret_len = strlen(secret), len = context_len + 1 + secret_len;
    unsigned char text[TEXT_MAX], box[BOX_MAX];
    int r;

    if (context_len > CONTEXT_MAX)
        return -EINVAL;
    if (secret_len > SEAL_SECRET_MAX)
        return -EMSGSIZE;
    memcpy(text, context, context_len + 1);
    memcpy(text + context_len + 1, secret, secret_len);
    r = sodium_pad(&len, text, len, STEP, sizeof text) == 0 &&
                crypto_box_seal(box, text, len, key->bytes) == 0
            ? 0
            : -EINVAL;
    sodium_memzero(text, sizeof text);
    if (r < 0)
        return r;

    size_t box_len = len + crypto_box_SEALBYTES, size = sodium_base64_encoded_len(box_len, ENCODING);

    *ret_box = malloc(size);
    if (!*ret_box)
        return -ENOMEM;
    sodium_bin2base64(*ret_box, size, box, box_len, ENCODING);
    return 0;
}

/* What is behind the context in an opened text, if that is the right one. */
static int take_secret(const unsigned char *text, size_t padded_len, const char *context, char **ret_secret)
{
    size_t context_len = strlen(context), len;

    if (sodium_unpad(&len, text, padded_len, STEP) < 0 || len <= context_len ||
        memcmp(text, context, context_len + 1) != 0 ||
        memchr(text + context_len + 1, '\0', len - context_len - 1))
        return -EBADMSG;
    *ret_secret = strndup((const char *)text + context_len + 1, len - context_len - 1);
    return *ret_secret ? 0 : -ENOMEM;
}

int seal_open(const struct seal_key *key, const char *context, const char *box, char **ret_secret)
{
    unsigned char bytes[BOX_MAX], text[TEXT_MAX];
    size_t len;
    int r;

    if (sodium_base642bin(bytes, sizeof bytes, box, strlen(box), NULL, &len, NULL, ENCODING) < 0 ||
        len < crypto_box_SEALBYTES ||
        crypto_box_seal_open(text, bytes, len, key->public.bytes, key->secret) < 0)
        return -EBADMSG;
    r = take_secret(text, len - crypto_box_SEALBYTES, context, ret_secret);
    sodium_memzero(text, sizeof text);
    return r;
}

static void wipe_and_free(void *memory)
{
    explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void seal_wipe_json(void)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
}

/* --- the key */

static int write_key(int dirfd, const char *name, uid_t uid, gid_t gid)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    unsigned char public[crypto_box_PUBLICKEYBYTES], secret[KEY_BYTES];
    char line[2 * KEY_BYTES + 2];
    int r = 0;

    if (fd < 0)
        return -errno;
    crypto_box_keypair(public, secret);
    sodium_bin2hex(line, sizeof line, secret, sizeof secret);
    line[2 * KEY_BYTES] = '\n';
    if (fchown(fd, uid, gid) < 0 || write(fd, line, 2 * KEY_BYTES + 1) != 2 * KEY_BYTES + 1 || fsync(fd) < 0)
        r = errno ? -errno : -EIO;
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(line, sizeof line);
    return r;
}

int seal_key_make(int dirfd, const char *name, uid_t uid, gid_t gid)
{
    char new[NAME_MAX + 1];
    int r;

    if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (sodium_init() < 0)
        return -ENOSYS;
    if ((size_t)snprintf(new, sizeof new, "%s.new", name) >= sizeof new)
        return -ENAMETOOLONG;
    r = write_key(dirfd, new, uid, gid);
    if (r == 0 && renameat2(dirfd, new, dirfd, name, RENAME_NOREPLACE) < 0)
        r = errno == EEXIST ? 0 : -errno;
    unlinkat(dirfd, new, 0);
    return r;
}

int seal_key_load(int dirfd, const char *path, struct seal_key **ret)
{
    _cleanup_secret_ char *hex = NULL;
    struct seal_key *key;
    struct stat st;
    size_t len;
    int r;

    if (fstatat(dirfd, path, &st, 0) < 0)
        return -errno;
    if (st.st_mode & 077)
        return -EPERM;
    r = path_read_file(dirfd, path, KEY_FILE_MAX, &hex, &len);
    if (r < 0)
        return r;
    key = malloc(sizeof *key);
    if (!key)
        return -ENOMEM;
    if (parse_hex(hex, strcspn(hex, "\n"), key->secret, sizeof key->secret) < 0 ||
        crypto_scalarmult_base(key->public.bytes, key->secret) < 0) {
        seal_key_free(key);
        return -EBADMSG;
    }
    sodium_mlock(key, sizeof *key); /* may not be permitted; it wipes the memory at the end all the same */
    *ret = key;
    return 0;
}

void seal_key_free(struct seal_key *key)
{
    if (key)
        sodium_munlock(key, sizeof *key);
    free(key);
}

void seal_key_public(const struct seal_key *key, char ret[SEAL_PUBLIC_LEN + 1])
{
    sodium_bin2hex(ret, SEAL_PUBLIC_LEN + 1, key->public.bytes, sizeof key->public.bytes);
}
