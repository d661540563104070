#include "state/redis_config.h"

#include "core/secret.h"

#include <fcntl.h>

/* No file is no password. */
static int load_secret(const char *path, const char **ret)
{
    char *secret = NULL;
    int r = path ? secret_load(AT_FDCWD, path, &secret) : 0;

    *ret = secret;
    return r;
}

int redis_config_load(const struct settings *s, struct redis_config *ret, const char **ret_why)
{
    *ret = (struct redis_config){.url = s->redis};
    *ret_why = "DECANT_REDIS_PASSWORD_FILE must be a file with a password that this user alone may read";
    return load_secret(s->redis_password_file, &ret->password);
}

void redis_config_clear(struct redis_config *c)
{
    secret_free((char *)TAKE_PTR(c->password));
}
