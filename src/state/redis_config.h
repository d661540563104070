/* Where Redis is, and what it wants to hear: the same for all connections of a process. */
#pragma once

#include "core/cleanup.h"
#include "core/settings.h"

struct redis_config {
    const char *url;      /* unix:PATH or tcp:HOST:PORT */
    const char *password; /* NULL: none */
};

/* As the settings say; passwords are read from their files. On failure -errno, and `ret_why`: a static
 * sentence that names the setting. Borrows the settings' strings. */
int redis_config_load(const struct settings *s, struct redis_config *ret, const char **ret_why) _warn_unused_;
void redis_config_clear(struct redis_config *c);
