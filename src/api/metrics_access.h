/* Who may read GET /metrics (DECANT_METRICS, DECANT_METRICS_TOKEN_FILE). Whoever may not gets the 404 of a
 * path that isn't there.
 *
 *     off        nobody
 *     loopback   who connects from this machine, and no proxy: a request that says that it was passed on is
 *                refused, and so is one for another host's name. A proxy here that says neither would open it
 *                to its clients; docs/http.md has nginx refuse the path itself.
 *     NETWORKS   clients in them, proxies looked through as DECANT_TRUSTED_PROXIES allows
 *     any        everybody who has the token
 *
 * With a token file, `Authorization: Bearer TOKEN` is wanted besides, whoever asks. */
#pragma once

#include "api/client.h"
#include "core/settings.h"
#include "http/http.h"

struct metrics_access;

/* -EINVAL after having logged which setting is wrong. */
int metrics_access_new(const struct settings *s, struct metrics_access **ret) _warn_unused_;
void metrics_access_free(struct metrics_access *a); /* NULL is fine */

/* `address`: the client's, as far as proxies of ours are believed. */
bool metrics_access_allows(const struct metrics_access *a, const struct clients *clients,
                           const struct in6_addr *address, const struct http_request *req);
