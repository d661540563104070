#include "core/secret.h"

#include "core/path.h"

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>

char *secret_copy(const char *secret)
{
    size_t size = strlen(secret) + 1;
    char *copy = sodium_init() < 0 ? NULL : sodium_malloc(size);

    if (copy)
        memcpy(copy, secret, size);
    return copy;
}

void secret_free(char *secret)
{
    sodium_free(secret);
}

int secret_load(int dirfd, const char *path, char **ret)
{
    _cleanup_secret_ char *text = NULL;
    struct stat st;
    int r;

    if (fstatat(dirfd, path, &st, 0) < 0)
        return -errno;
    if (st.st_mode & 077)
        return -EPERM;
    r = path_read_file(dirfd, path, SECRET_MAX, &text, NULL);
    if (r < 0)
        return r;
    explicit_bzero(text + strcspn(text, "\n"), strlen(text + strcspn(text, "\n")));
    if (!*text)
        return -EBADMSG;
    *ret = secret_copy(text);
    return *ret ? 0 : -ENOMEM;
}
