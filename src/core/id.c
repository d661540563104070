#include "core/id.h"

#include "core/str.h"

#include <stdint.h>
#include <sys/random.h>

enum { UUID_BYTES = 16 };

static void random_bytes(uint8_t *bytes, size_t n)
{
    if (getrandom(bytes, n, 0) != (ssize_t)n) /* up to 256 bytes are never cut short (getrandom(2)) */
        abort();
}

static void hex(char *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 0x0f];
    }
    *out = '\0';
}

void id_token(char ret[ID_TOKEN_LEN + 1])
{
    uint8_t bytes[ID_TOKEN_LEN / 2];

    random_bytes(bytes, sizeof bytes);
    hex(ret, bytes, sizeof bytes);
}

static void write_uuid(uint8_t b[UUID_BYTES], char ret[ID_UUID_LEN + 1])
{
    char digits[2 * UUID_BYTES + 1];
    const char *from = digits;

    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    hex(digits, b, UUID_BYTES);
    for (size_t i = 0; i < ID_UUID_LEN; i++)
        ret[i] = i == 8 || i == 13 || i == 18 || i == 23 ? '-' : *from++;
    ret[ID_UUID_LEN] = '\0';
}

void id_uuid(char ret[ID_UUID_LEN + 1])
{
    uint8_t bytes[UUID_BYTES];

    random_bytes(bytes, sizeof bytes);
    write_uuid(bytes, ret);
}

void id_uuid_from(struct id_stock *stock, char ret[ID_UUID_LEN + 1])
{
    if (stock->left < UUID_BYTES) {
        random_bytes(stock->bytes, sizeof stock->bytes);
        stock->left = sizeof stock->bytes;
    }
    stock->left -= UUID_BYTES;
    write_uuid(stock->bytes + stock->left, ret);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool id_is_token(const char *s)
{
    if (!s || strnlen(s, ID_TOKEN_LEN + 1) != ID_TOKEN_LEN)
        return false;
    for (size_t i = 0; i < ID_TOKEN_LEN; i++)
        if (!is_hex(s[i]))
            return false;
    return true;
}

bool id_is_uuid(const char *s)
{
    static const char form[] = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";

    if (!s || strnlen(s, ID_UUID_LEN + 1) != ID_UUID_LEN)
        return false;
    for (size_t i = 0; i < ID_UUID_LEN; i++) {
        bool ok = form[i] == 'x'   ? is_hex(s[i])
                  : form[i] == 'y' ? strchr("89ab", s[i]) != NULL
                                   : s[i] == form[i];
        if (!ok)
            return false;
    }
    return true;
}
