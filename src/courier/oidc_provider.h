/* What a provider says of itself (OpenID Connect Discovery 1.0, section 3), and how a code is exchanged there
 * (RFC 6749, section 4.1.3; RFC 7636). No network, no Redis. */
#pragma once

#include "core/buf.h"

#include <stdbool.h>

enum { OIDC_URL_MAX = 2048 };

enum client_auth { CLIENT_NONE, CLIENT_BASIC, CLIENT_POST };

struct provider_metadata {
    char authorization_endpoint[OIDC_URL_MAX + 1], token_endpoint[OIDC_URL_MAX + 1],
        jwks_uri[OIDC_URL_MAX + 1];
    enum client_auth auth;
    bool names_itself; /* RFC 9207 */
};

/* Where it is said. */
int provider_discovery_url(const char *issuer, char ret[OIDC_URL_MAX + 1]) _warn_unused_;
/* `ports` are those that may be connected to. -EINVAL with a sentence in `ret_why`. */
int provider_read(const char *text, size_t len, const char *issuer, const char *ports, bool has_secret,
                  struct provider_metadata *ret, const char **ret_why) _warn_unused_;

struct code_grant {
    const char *code, *verifier, *redirect_uri;
    const char *client_id, *client_secret; /* NULL: a public client */
};
/* The body of the request, and its header Authorization, which stays empty where there is none. */
void provider_write_grant(const struct code_grant *grant, enum client_auth auth, struct buf *body,
                          struct buf *authorization);
