/* The password of a document among the options of its job. It is one of them for the client who gives it and
 * for the engine that uses it; in between it is apart, sealed (core/seal.h). */
#pragma once

#include "core/cleanup.h"

#include <jansson.h>

/* Takes it out of the options: a new string for cleanup_secret(), or NULL when there is none (or no memory).
 * What the options held is wiped. */
char *password_take(json_t *options);

/* The options as JSON text, with the password in them; a new string for cleanup_secret(). `password` may be
 * NULL. -EINVAL when the options are no object, or the password is no UTF-8. */
int password_join(const char *options, const char *password, char **ret) _warn_unused_;
