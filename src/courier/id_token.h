/* ID tokens of a provider (OpenID Connect Core 1.0, sections 2 and 3.1.3.7): does this one say, today and in
 * answer to our question, who somebody is?
 *
 * librhonabwy checks signatures, by GnuTLS, which curl has here anyway, with keys of four kinds; libjwt of
 * Debian 12 knows neither PS256 nor EdDSA, nor keys as providers publish them (JWK). It gets a token only
 * when the header names one of our algorithms and a key of the set that is of the right kind for it, and of
 * the key just the numbers: so neither the token nor the set can lead it to another key or algorithm, or to
 * an address. Claims are read here, strictly. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum { ID_TOKEN_MAX = 32 * 1024, ID_TOKEN_LEEWAY_S = 60 };

enum id_token_fault {
    ID_TOKEN_GOOD,
    ID_TOKEN_MALFORMED,
    ID_TOKEN_ALGORITHM,   /* none of ours: RS256, PS256, ES256, EdDSA */
    ID_TOKEN_KEY_UNKNOWN, /* the provider may have a new one */
    ID_TOKEN_SIGNATURE,
    ID_TOKEN_ISSUER,
    ID_TOKEN_AUDIENCE,
    ID_TOKEN_EXPIRED,
    ID_TOKEN_NOT_YET,
    ID_TOKEN_NONCE,
    ID_TOKEN_ACCESS_TOKEN,
    ID_TOKEN_CLAIM_MISSING,
    ID_TOKEN_FAULTS
};
/* "expired", "signature", … */
const char *id_token_fault_name(enum id_token_fault fault);

struct id_token_wanted {
    const char *issuer, *client_id, *nonce;
    const char *access_token; /* that came with it; NULL: none */
    uint64_t now_s;
};

/* `keys` is a JWK set (RFC 7517). `ret_claims` is a new object, and only where it is ID_TOKEN_GOOD; `sub` is
 * in it then. */
enum id_token_fault id_token_verify(const char *token, const json_t *keys,
                                    const struct id_token_wanted *wanted, json_t **ret_claims) _warn_unused_;

/* What to call somebody: that claim, else `preferred_username`, else `sub`. An address that the provider says
 * it hasn't verified is no name. */
const char *id_token_name(const json_t *claims, const char *name_claim);
/* Is that claim, or one of its list, one of these words (core/str.h)? Dots in the claim's name lead into
 * objects, where there is no claim of the whole name. */
bool id_token_is_premium(const json_t *claims, const char *plan_claim, const char *premium);
