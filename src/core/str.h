/* Strings: comparisons that read well, strict number parsing, lists of words. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool str_eq(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static inline bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The last component of a path. */
static inline const char *str_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Is `s` such as names of options are: 1 to `max` ASCII letters, digits, "_", "." and "-"? Then it can be
 * repeated anywhere. */
bool str_is_plain(const char *s, size_t max);

/* Parses a whole decimal number, no sign, no blanks: 0, -EINVAL, or -ERANGE outside [min, max]. */
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) _warn_unused_;

/* The same for bytes: "100M" is 100 × 2^20, with k or K, M, G and T; no suffix counts bytes. */
int str_to_size(const char *s, uint64_t min, uint64_t max, uint64_t *ret) _warn_unused_;

/* Is `word` (of `len` bytes) one of the words in `list`, which has spaces or commas between? Case-sensitive.
 */
bool words_have_n(const char *list, const char *word, size_t len);
bool words_have(const char *list, const char *word);

/* Walks such a list: sets *word and *len, returns the rest, or NULL at the end.
 *     for (const char *p = list, *w; (p = words_next(p, &w, &n));) … */
const char *words_next(const char *list, const char **ret_word, size_t *ret_len);

/* Constant-time comparison of two strings; false for NULL or different lengths. */
bool str_eq_secret(const char *a, const char *b);

/* Length of the longest prefix of `s` that is at most `max` bytes and ends on a UTF-8 boundary. */
size_t utf8_clip(const char *s, size_t max);

/* The character that `s` (of `len` bytes) begins with, as utf8_valid() takes it: its bytes, or 0 when it is
 * none. */
size_t utf8_decode(const char *s, size_t len, uint32_t *ret);

/* Is `s` (of `len` bytes) well-formed UTF-8 (RFC 3629: no overlongs, no surrogates)? */
bool utf8_valid(const char *s, size_t len);

/* Has this character no place in the name of a file, as it is not seen, or reorders what is? */
bool utf8_unseen(uint32_t cp);
