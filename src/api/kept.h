/* Answers that never change while the server runs: a text as it is, and compressed for who takes that. Made
 * once, sent by all loops without being copied. */
#pragma once

#include "api/api.h"

enum kept_coding { KEPT_PLAIN, KEPT_GZIP, KEPT_BROTLI, KEPT_CODINGS };

/* "sha256" cut to 128 bits, in quotes. */
enum { KEPT_ETAG_MAX = 2 + 32 + 1 };

struct kept {
    const char *type, *cache; /* Content-Type, Cache-Control: constants */
    struct kept_form {
        char *data; /* NULL: there is none */
        size_t len;
        char etag[KEPT_ETAG_MAX]; /* of just these bytes: a strong validator (RFC 9110 section 8.8.1) */
    } forms[KEPT_CODINGS];
};

/* Takes over `data`, from malloc. */
void kept_set(struct kept *kept, enum kept_coding coding, char *data, size_t len);
/* Makes the gzip form, where there is none and it is smaller. 0 or -ENOMEM. */
int kept_compress(struct kept *kept) _warn_unused_;
void kept_clear(struct kept *kept);

/* The form that the client likes best, of these the smallest; 304 where it has it. Ends the call. */
void kept_reply(struct api_call *call, const struct kept *kept);
