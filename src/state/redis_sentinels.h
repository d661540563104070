/* Asks Redis's sentinels who the master is, one after the other: under redis_link.c, which connects to it.
 * Private to this folder. */
#pragma once

#include "state/redis_config.h"

#include <uv.h>

struct redis_sentinels;

/* The answer: a host and a port; or no host, and why. May start asking again, and may free. */
typedef void redis_master_fn(void *arg, const char *host, int port, const char *trouble);

/* `config->url` is a list of sentinels (core/sentinels.h), else -EINVAL. */
int redis_sentinels_new(uv_loop_t *loop, const struct redis_config *config, redis_master_fn *fn, void *arg,
                        struct redis_sentinels **ret) _warn_unused_;
/* `fn` is called once, later. While a question is open another one changes nothing. */
void redis_sentinels_ask(struct redis_sentinels *s);
/* `fn` is not called any more. The loop has to turn once more. NULL is fine. */
void redis_sentinels_free(struct redis_sentinels *s);
