#include "auth/password.h"

#include "core/str.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>

#define OPSLIMIT crypto_pwhash_OPSLIMIT_INTERACTIVE
#define MEMLIMIT crypto_pwhash_MEMLIMIT_INTERACTIVE

_Static_assert(PASSWORD_HASH_MAX == crypto_pwhash_STRBYTES, "a hash has room");

static size_t count_characters(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

const char *password_refusal(const char *password)
{
    size_t len = strlen(password);

    if (!utf8_valid(password, len))
        return "A password is UTF-8.";
    if (count_characters(password) < PASSWORD_CHARACTERS_MIN)
        return "A password has 10 characters at least.";
    if (len > PASSWORD_BYTES_MAX)
        return "A password has 1024 bytes at most.";
    return NULL;
}

static int hash_any(const char *password, char ret[PASSWORD_HASH_MAX])
{
    if (sodium_init() < 0 || crypto_pwhash_str(ret, password, strlen(password), OPSLIMIT, MEMLIMIT) < 0)
        return -ENOMEM;
    return 0;
}

int password_hash(const char *password, char ret[PASSWORD_HASH_MAX])
{
    return password_refusal(password) ? -EINVAL : hash_any(password, ret);
}

/* libsodium tells want of memory as a mismatch. */
static bool memory_is_there(void)
{
    void *p = mmap(NULL, MEMLIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED && munmap(p, MEMLIMIT) == 0;
}

int password_verify(const char *hash, const char *password)
{
    char unused[PASSWORD_HASH_MAX];
    int r;

    if (strlen(password) > PASSWORD_BYTES_MAX) /* nobody has one, whoever he is */
        return -EACCES;
    if (!*hash) {
        r = hash_any(password, unused);
        return r < 0 ? r : -EACCES;
    }
    if (sodium_init() < 0)
        return -ENOMEM;
    if (crypto_pwhash_str_verify(hash, password, strlen(password)) == 0)
        return 0;
    return memory_is_there() ? -EACCES : -ENOMEM;
}

bool password_needs_rehash(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, OPSLIMIT, MEMLIMIT) != 0;
}
