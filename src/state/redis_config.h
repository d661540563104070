/* Where Redis is, and what it wants to hear: the same for all connections of a process. */
#pragma once

#include "core/cleanup.h"
#include "core/settings.h"

/* Said of a `url` of another form, for which whoever connects gets -EINVAL. */
#define REDIS_URL_WRONG                                                                                      \
    "DECANT_REDIS is not unix:PATH, tcp:HOST:PORT or sentinel://HOST:PORT;sentinel://HOST:PORT;..."

struct redis_config {
    const char *url;      /* unix:PATH, tcp:HOST:PORT, or sentinels (core/sentinels.h) */
    const char *password; /* NULL: none */
    /* where sentinels say who the master is */
    const char *master;            /* its name, as they know it */
    const char *ports;             /* those that it may have (ports_valid) */
    const char *sentinel_password; /* theirs; NULL: none */
};

/* As the settings say; passwords are read from their files. On failure -errno, and `ret_why`: a static
 * sentence that names the setting. Borrows the settings' strings. */
int redis_config_load(const struct settings *s, struct redis_config *ret, const char **ret_why) _warn_unused_;
void redis_config_clear(struct redis_config *c);
