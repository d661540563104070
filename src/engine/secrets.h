/* What nobody else may read among the options of a job: the passwords of documents. They are options for the
 * client who gives them and for the engine that uses them; in between they are apart, sealed (core/seal.h).
 */
#pragma once

#include "core/cleanup.h"

#include <jansson.h>
#include <stdbool.h>

bool secrets_among(const json_t *options);
/* Which there are, with spaces between; "" none. */
enum { SECRETS_NAMES_MAX = 32 };
void secrets_names(const json_t *options, char ret[SECRETS_NAMES_MAX]);

/* Takes them out of the options: the text of an object that has them, for cleanup_secret(), or NULL when
 * there are none (or no memory). What the options held is wiped. */
char *secrets_take(json_t *options);

/* The same options with `true` in place of each secret: a new object, which shares the rest. NULL: no memory.
 */
json_t *secrets_masked(const json_t *options);

/* Overwrites those that an object has; whoever shares their strings loses them, too. */
void secrets_wipe(json_t *object);

/* The options as JSON text, with the secrets (such a text; NULL: none) in them; a new string for
 * cleanup_secret(). -EINVAL when one of them is no object. */
int secrets_join(const char *options, const char *secrets, char **ret) _warn_unused_;
