/* What stands between this server and other pages in the browser of its user: headers on every answer, the
 * second fence against forged requests, CORS, and a host of its own for downloads. */
#pragma once

#include "api/api.h"

/* Sets what every answer has, also those of the HTTP layer: http_config.prepare. */
void browser_prepare(struct http_request *req);

/* Says that the answer depends on this field of the request, besides what browser_prepare() said. */
void browser_vary(struct http_request *req, const char *field);

/* Whether the request may make use of a session's cookie to change something: a browser says where it comes
 * from, and that is a page of ours or of a configured origin. Programs say nothing and may.
 *
 * It is asked for endpoints that need the CSRF token, which is the first fence, and for the start of a
 * session, which has no token yet: a link on another site's page must not replace the cookie of a live
 * session. A request that proves itself by other means than the cookie, which browsers add unasked, need not
 * be asked. */
bool browser_may_change(const struct settings *s, const struct http_request *req);

/* With DECANT_DOWNLOAD_ORIGIN: downloads are served on that host and nowhere else, and it serves nothing
 * else, so that it never holds a cookie. */
bool browser_may_use_host(const struct settings *s, const struct http_request *req);

/* The answer to OPTIONS, where CORS is open. */
api_handler browser_preflight;
