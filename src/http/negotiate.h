/* What a client says that it takes, and has already: values of its header, which may be NULL. */
#pragma once

#include <stdbool.h>

enum { NEGOTIATE_Q_MAX = 1000 };

/* How much it wants `coding` (RFC 9110 section 12.5.3), in thousandths; 0: it does not take it, or does not
 * say so. Names are compared without case, "*" stands for those that are not listed, and what is malformed is
 * as good as not sent. */
unsigned negotiate_coding(const char *accept_encoding, const char *coding);

/* Has it what `etag` (in its quotes) names? RFC 9110 section 13.1.2: compared weakly, "*" is anything. */
bool negotiate_has(const char *if_none_match, const char *etag);
