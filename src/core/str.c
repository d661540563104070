#include "core/str.h"

#include <errno.h>

bool str_is_plain(const char *s, size_t max)
{
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

    return len > 0 && len <= max && !s[len];
}

int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (!s || !*s)
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *s - '0', &value))
            return -ERANGE;
    }
    if (value < min || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

const char *words_next(const char *list, const char **ret_word, size_t *ret_len)
{
    static const char between[] = " ,";

    if (!list)
        return NULL;
    list += strspn(list, between);
    if (!*list)
        return NULL;
    *ret_word = list;
    *ret_len = strcspn(list, between);
    return list + *ret_len;
}

int str_to_size(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
    static const struct {
        char suffix;
        unsigned shift;
    } units[] = {{'k', 10}, {'K', 10}, {'M', 20}, {'G', 30}, {'T', 40}};
    char digits[24];
    size_t n = strlen(s);
    unsigned shift = 0;
    uint64_t value;
    int r;

    if (n == 0 || n >= sizeof digits)
        return -EINVAL;
    memcpy(digits, s, n + 1);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (digits[n - 1] == units[i].suffix) {
            shift = units[i].shift;
            digits[n - 1] = '\0';
        }
    r = str_to_u64(digits, 0, UINT64_MAX >> shift, &value);
    if (r < 0)
        return r;
    value <<= shift;
    if (value < min || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

bool words_have_n(const char *list, const char *word, size_t len)
{
    const char *w;
    size_t n;

    for (const char *p = list; (p = words_next(p, &w, &n));)
        if (n == len && memcmp(w, word, n) == 0)
            return true;
    return false;
}

bool words_have(const char *list, const char *word)
{
    return words_have_n(list, word, strlen(word));
}

bool str_eq_secret(const char *a, const char *b)
{
    if (!a || !b)
        return false;

    size_t n = strlen(a);
    volatile unsigned char differ = 0;

    if (n != strlen(b))
        return false;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

size_t utf8_clip(const char *s, size_t max)
{
    size_t n = strnlen(s, max + 1);

    if (n <= max)
        return n;
    n = max;
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Bytes that follow a lead byte and the least code point they may encode; -1 for an invalid lead byte. */
static int utf8_follow(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_least)
{
    static const struct {
        unsigned char mask, value, bits;
        uint32_t least;
    } kinds[] = {{0x80, 0x00, 0x7f, 0},
                 {0xe0, 0xc0, 0x1f, 0x80},
                 {0xf0, 0xe0, 0x0f, 0x800},
                 {0xf8, 0xf0, 0x07, 0x10000}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if ((lead & kinds[i].mask) == kinds[i].value) {
            *ret_bits = lead & kinds[i].bits;
            *ret_least = kinds[i].least;
            return (int)i;
        }
    return -1;
}

size_t utf8_decode(const char *s, size_t len, uint32_t *ret)
{
    uint32_t cp, least;
    int follow = len > 0 ? utf8_follow((unsigned char)s[0], &cp, &least) : -1;

    if (follow < 0 || (size_t)follow >= len)
        return 0;
    for (int i = 1; i <= follow; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (cp < least || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    *ret = cp;
    return (size_t)follow + 1;
}

bool utf8_valid(const char *s, size_t len)
{
    uint32_t cp;

    for (size_t i = 0, n; i < len; i += n)
        if ((n = utf8_decode(s + i, len - i, &cp)) == 0)
            return false;
    return true;
}

/* What has no place in the name of a file: controls, and characters that are not seen but reorder what is
 * (Unicode Technical Report 36, section 2.5) or hide in it. The joiners U+200C and U+200D stay, which
 * Persian, Indic scripts and emoji are written with, and so do variation selectors. Sorted. */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x0000, 0x001f},   /* C0 */
    {0x007f, 0x009f},   /* DEL, C1 */
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x200b, 0x200b},   /* zero width space */
    {0x200e, 0x200f},   /* marks of direction */
    {0x2028, 0x202e},   /* line and paragraph separator, embeddings and overrides of direction */
    {0x2060, 0x206f},   /* word joiner, invisible operators, isolates of direction */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xfeff, 0xfeff},   /* zero width no-break space */
    {0xffa0, 0xffa0},   /* Hangul filler, half width */
    {0xfff9, 0xfffb},   /* interlinear annotations */
    {0x1d173, 0x1d17a}, /* musical formatting */
    {0xe0000, 0xe007f}, /* tags: ASCII that is not seen */
};

bool utf8_unseen(uint32_t cp)
{
    for (size_t i = 0; i < ARRAY_SIZE(unseen) && unseen[i].first <= cp; i++)
        if (cp <= unseen[i].last)
            return true;
    return false;
}
