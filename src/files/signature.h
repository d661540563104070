/* Does a file begin as its kind does? For formats that a few bytes at fixed places tell. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SIGNATURE_MAX = 2048 /* bytes that a signature may look at */ };

/* `signature`: alternatives separated by "|", each of parts joined by "&", each part OFFSET=BYTES, where \xNN
 * is a byte, of which either digit may be a "?" for any: "0=RIFF&8=WAVE|0=RF64". `head` holds the first `len`
 * bytes of the file. A mistake in the text ends the process: it is one of the format table. */
bool signature_matches(const char *signature, const unsigned char *head, size_t len);
