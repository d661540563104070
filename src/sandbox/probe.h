/* Is the sandbox what it claims to be, on this host? */
#pragma once

#include "sandbox/enter.h"

/* Sends a child into the sandbox and lets it try what must not succeed. On failure -errno and a static
 * sentence. */
int probe_sandbox(struct sandbox *s, const char **ret_why) _warn_unused_;
