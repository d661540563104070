/* Web origins: scheme, host and port, as browsers write them in the header Origin (RFC 6454 section 6.2). */
#pragma once

#include <stdbool.h>

/* "https://example.com", "http://localhost:8080": http or https, in lower case (other scripts as xn--…),
 * without the scheme's own port, and nothing behind. So two of them are the same when their texts are. */
bool origin_valid(const char *text);

/* A list with spaces or commas between; an empty one is valid. */
bool origins_valid(const char *list);
bool origins_have(const char *list, const char *origin);

/* Is `host` (the header Host, with or without a port; may be NULL) the host and port of `origin`? No port is
 * the port of the origin's scheme. `scheme` is the one that the request came by; NULL: not known. */
bool origin_is(const char *origin, const char *scheme, const char *host);
