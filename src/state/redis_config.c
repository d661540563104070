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
    int r;

    *ret = (struct redis_config){.url = s->redis, .master = s->redis_master, .ports = s->redis_ports};
    *ret_why = "DECANT_REDIS_PASSWORD_FILE must be a file with a password that this user alone may read";
    r = load_secret(s->redis_password_file, &ret->password);
    if (r < 0)
        return r;
    *ret_why = "DECANT_SENTINEL_PASSWORD_FILE must be a file with a password that this user alone may read";
    return load_secret(s->sentinel_password_file, &ret->sentinel_password);
}

void redis_config_clear(struct redis_config *c)
{
    secret_free((char *)TAKE_PTR(c->password));
    secret_free((char *)TAKE_PTR(c->sentinel_password));
}
