/* The tables of a TrueType or OpenType font, out of what packs them: the font itself, the first of a
 * collection (ISO/IEC 14496-22, 4.6), WOFF 1.0 (W3C Recommendation of 2012) or EOT (W3C Submission of 2008).
 * Tables are passed on byte by byte, so that hints, kerning and whatever else is in them stay as they were,
 * which no program that reads and writes fonts can promise. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of all tables together: fonts of all Chinese characters take 30 MiB. */
enum { SFNT_BYTES_MAX = 256 << 20 };

struct sfnt;

/* 0; -EBADMSG when it is damaged; -EFBIG when it unpacks to more than SFNT_BYTES_MAX; -EOPNOTSUPP for an EOT
 * that is compressed by Monotype's MTX; other -errno. */
int sfnt_load(const char *path, struct sfnt **ret) _warn_unused_;
void sfnt_free(struct sfnt *s); /* NULL is fine */

/* Are its outlines PostScript's (OTF), or TrueType's? */
bool sfnt_is_postscript(const struct sfnt *s);
/* Has it outlines that FontForge reads, rather than pictures or those of CFF 2? */
bool sfnt_has_outlines(const struct sfnt *s);

/* A file that is new or written over: 0 or -errno. */
int sfnt_write(const struct sfnt *s, const char *path) _warn_unused_;
int sfnt_write_woff(const struct sfnt *s, const char *path) _warn_unused_;
