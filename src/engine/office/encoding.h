/* Encodings of plain text, by the names that the Web has for them (encoding.spec.whatwg.org). The C library
 * converts what is more than a few lines. */
#pragma once

#include "core/buf.h"

/* The likeliest first. */
#define OTHERS_THAN_UTF8_                                                                                    \
    "utf-16 windows-1252 iso-8859-1 iso-8859-15 windows-1250 iso-8859-2 windows-1251 koi8-r koi8-u "         \
    "windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 windows-874 shift_jis "   \
    "euc-jp gb18030 gbk big5 euc-kr ibm850 macintosh"
/* Those that a text may be in. */
#define ENCODINGS_READ "utf-8 " OTHERS_THAN_UTF8_
/* With a byte order mark: programs such as Excel take UTF-8 for something else without. */
#define ENCODING_MARKED "utf-8-bom"
/* Those that a text may be written in. */
#define ENCODINGS_WRITTEN "utf-8 " ENCODING_MARKED " " OTHERS_THAN_UTF8_
#define ENCODING_AUTO     "auto" /* for encoding_guess() */

/* The name of what a text is most likely in: UTF-8 where it can be that, UTF-16 by its byte order mark, else
 * Windows-1252, of which Latin-1 is a part. */
const char *encoding_guess(const char *text, size_t len);
/* How many bytes of UTF-8 are its byte order mark: 3, or 0 without one. */
size_t encoding_mark(const char *utf8, size_t len);

/* Appends the text as UTF-8, without a byte order mark. UTF-16 is little-endian when no mark tells. -EILSEQ
 * when the text is not in that encoding. */
int encoding_read(const char *name, const char *text, size_t len, struct buf *ret) _warn_unused_;
/* Appends UTF-8 in the encoding: "?" for each character that this lacks. UTF-16 is little-endian, with a
 * mark. */
int encoding_write(const char *name, const char *utf8, size_t len, struct buf *ret) _warn_unused_;
