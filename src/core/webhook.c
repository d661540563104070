#include "core/webhook.h"

#include "core/sentinels.h"
#include "core/str.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <sodium.h>

#define SCHEME           "https://"
#define SECRET_PREFIX    "whsec_"
#define SIGNATURE_PREFIX "v1,"

enum {
    HTTPS_PORT = 443,
    KEY_BYTES = 32,
    KEY_MIN = 16,
    KEY_MAX = 64,
    ENCODING = sodium_base64_VARIANT_ORIGINAL
};

/* --- URLs */

/* What RFC 3986 lets stand in a path or a query as it is, and "%". */
static bool is_url_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-._~:/?[]@!$&'()*+,;=%", c));
}

/* Many readers take 127.1, 0x7f.1 and 2130706433 for an address; we take none but one of four numbers. */
static bool ends_in_number(const char *s)
{
    const char *dot = strrchr(s, '.'), *label = dot ? dot + 1 : s;

    return label[strspn(label, "0123456789")] == '\0' || (label[0] == '0' && (label[1] | 0x20) == 'x');
}

/* Names as DNS has them, and IPv4 addresses: letters, digits, "-", "_"; no empty label. */
static bool is_name(const char *s)
{
    struct in_addr address;

    if (!*s || strlen(s) > WEBHOOK_HOST_MAX || *s == '.' || *s == '-' || s[strlen(s) - 1] == '.')
        return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' && !(*p == '.' && p[1] != '.'))
            return false;
    return !ends_in_number(s) || inet_pton(AF_INET, s, &address) == 1;
}

static bool is_ipv6(const char *s)
{
    struct in6_addr address;

    return inet_pton(AF_INET6, s, &address) == 1;
}

bool webhook_host_valid(const char *host)
{
    return is_name(host) || is_ipv6(host);
}

/* The host at `from`, in brackets or not; what follows it, or NULL. */
static const char *read_host(const char *from, struct webhook_place *ret)
{
    bool bracketed = *from == '[';
    size_t len = bracketed ? strcspn(++from, "]") : strcspn(from, ":/?");

    if (len >= sizeof ret->host || (bracketed && from[len] != ']'))
        return NULL;
    for (size_t i = 0; i < len; i++)
        ret->host[i] = (char)tolower((unsigned char)from[i]);
    ret->host[len] = '\0';
    if (bracketed ? !is_ipv6(ret->host) : !is_name(ret->host))
        return NULL;
    return from + len + (bracketed ? 1 : 0);
}

static const char *read_port(const char *from, struct webhook_place *ret)
{
    char digits[6];
    uint64_t port = HTTPS_PORT;
    size_t len;

    if (*from == ':') {
        len = strcspn(++from, "/?");
        if (len >= sizeof digits)
            return NULL;
        memcpy(digits, from, len);
        digits[len] = '\0';
        if (str_to_u64(digits, 1, UINT16_MAX, &port) < 0)
            return NULL;
        from += len;
    }
    ret->port = (unsigned)port;
    return from;
}

int webhook_url_parse(const char *url, struct webhook_place *ret)
{
    const char *rest;

    if (!str_starts(url, SCHEME) || strlen(url) > WEBHOOK_URL_MAX)
        return -EINVAL;
    for (const char *p = url; *p; p++)
        if (!is_url_char(*p))
            return -EINVAL;
    rest = read_host(url + strlen(SCHEME), ret);
    rest = rest ? read_port(rest, ret) : NULL;
    return rest && (!*rest || *rest == '/' || *rest == '?') ? 0 : -EINVAL;
}

int webhook_url_allowed(const char *hosts, const char *ports, const char *url, const char **ret_why)
{
    struct webhook_place place;

    if (webhook_url_parse(url, &place) < 0) {
        *ret_why = "\"callback_url\" has to be an https:// URL of at most 2048 characters, with no user, no "
                   "fragment, and what is special in it escaped.";
        return -EINVAL;
    }
    if (!ports_have(ports, place.port)) {
        *ret_why = "\"callback_url\" has a port that this server sends no webhooks to.";
        return -EACCES;
    }
    if (!words_have(hosts, place.host)) {
        *ret_why =
            "\"callback_url\" has a host that is not on the list of this account. The operator adds it "
            "with decant webhook allow.";
        return -EACCES;
    }
    return 0;
}

/* --- the signature */

void webhook_secret_new(char ret[WEBHOOK_SECRET_LEN + 1])
{
    unsigned char key[KEY_BYTES];
    char *text;

    randombytes_buf(key, sizeof key);
    text = stpcpy(ret, SECRET_PREFIX);
    sodium_bin2base64(text, WEBHOOK_SECRET_LEN + 1 - strlen(SECRET_PREFIX), key, sizeof key, ENCODING);
    sodium_memzero(key, sizeof key);
}

int webhook_sign(const char *secret, const char *id, uint64_t timestamp_s, const char *body, size_t len,
                 char ret[WEBHOOK_SIGNATURE_LEN + 1])
{
    unsigned char key[KEY_MAX], mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    const char *text = secret + strlen(SECRET_PREFIX);
    char head[128];
    size_t n = 0;
    int head_len;

    if (!str_starts(secret, SECRET_PREFIX) ||
        sodium_base642bin(key, sizeof key, text, strlen(text), NULL, &n, NULL, ENCODING) < 0 || n < KEY_MIN)
        return -EINVAL;
    head_len = snprintf(head, sizeof head, "%s.%llu.", id, (unsigned long long)timestamp_s);
    if (head_len < 0 || (size_t)head_len >= sizeof head)
        return -EINVAL;
    crypto_auth_hmacsha256_init(&state, key, n);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)head, (size_t)head_len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2base64(stpcpy(ret, SIGNATURE_PREFIX), WEBHOOK_SIGNATURE_LEN + 1 - strlen(SIGNATURE_PREFIX),
                      mac, sizeof mac, ENCODING);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&state, sizeof state);
    return 0;
}

/* --- again */

uint64_t webhook_delay_ms(unsigned attempts, uint32_t random)
{
    static const uint32_t waits_s[] = {5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800};
    uint64_t ms;

    if (attempts < 1 || attempts > ARRAY_SIZE(waits_s))
        return 0;
    ms = (uint64_t)waits_s[attempts - 1] * 1000;
    return ms + ms / 5 * random / UINT32_MAX;
}
