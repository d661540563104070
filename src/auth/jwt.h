/* JSON Web Tokens (RFC 7519) of one kind: signed with RS256 (RFC 7518, section 3.3) by a key of ours.
 *
 * libjwt signs and checks signatures. It takes the algorithm from the token's own header, so a token comes to
 * it only when the header says what ours say and no more: alg RS256, the kid of one of our keys, and perhaps
 * typ JWT. Everything that is decoded is decoded here, strictly: base64url without padding and without spare
 * bits, JSON without repeated members. So each token has one way to be written, and nothing in it is a hint
 * at where a key could be had. */
#pragma once

#include "auth/jwt_keys.h"

enum {
    JWT_TOKEN_MAX = 8192, /* bytes */
    JWT_LEEWAY_S = 30,    /* that the clocks of two servers may differ by */
    JWT_CLAIM_MAX = 64,   /* bytes */
};

/* Each but `sub` may be "": not there. Times are seconds since 1970. */
struct jwt_claims {
    char sub[JWT_CLAIM_MAX + 1], sid[JWT_CLAIM_MAX + 1], plan[JWT_CLAIM_MAX + 1], jti[JWT_CLAIM_MAX + 1];
    uint64_t iat, nbf, exp;
};

/* What is wrong with a token. To its bearer they are all the same. */
enum jwt_fault {
    JWT_GOOD,
    JWT_MALFORMED,
    JWT_ALGORITHM,
    JWT_KEY_UNKNOWN,
    JWT_SIGNATURE,
    JWT_ISSUER,
    JWT_AUDIENCE,
    JWT_EXPIRED,
    JWT_NOT_YET,
    JWT_CLAIM_MISSING,
    JWT_FAULTS
};

/* "expired", "signature", … */
const char *jwt_fault_name(enum jwt_fault fault);

/* `ret_token` is a new string. -ENOMEM, or -EINVAL for claims that can't be. */
int jwt_sign(struct jwt_keys *keys, const char *iss, const char *aud, const struct jwt_claims *claims,
             char **ret_token) _warn_unused_;

/* `claims` only where it is JWT_GOOD. `token` may be NULL. */
enum jwt_fault jwt_verify(struct jwt_keys *keys, const char *token, const char *iss, const char *aud,
                          uint64_t now_s, struct jwt_claims *ret) _warn_unused_;
