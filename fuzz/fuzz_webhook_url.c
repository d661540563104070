/* URLs that webhooks go to. What is taken is one thing to every reader: curl, which will be given it, finds
 * the same host and port and nothing else. An address that is refused as special must not come in by another
 * spelling. */
#include "fuzz.h"

#include "core/str.h"
#include "core/webhook.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <strings.h>

static char *part(CURLU *url, CURLUPart what, unsigned flags)
{
    char *text = NULL;

    return curl_url_get(url, what, &text, flags) == CURLUE_OK ? text : NULL;
}

static void require_same_host(const char *ours, char *theirs)
{
    unsigned char a[sizeof(struct in6_addr)], b[sizeof(struct in6_addr)];

    require(theirs != NULL);
    if (*theirs != '[') {
        require(strcasecmp(ours, theirs) == 0);
        return;
    }
    theirs[strlen(theirs) - 1] = '\0';
    require(inet_pton(AF_INET6, ours, a) == 1 && inet_pton(AF_INET6, theirs + 1, b) == 1 &&
            memcmp(a, b, sizeof a) == 0);
}

static void require_agreement(const char *text, const struct webhook_place *place)
{
    CURLU *url = curl_url();
    uint64_t number;

    require(url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK);

    char *scheme = part(url, CURLUPART_SCHEME, 0), *host = part(url, CURLUPART_HOST, 0),
         *port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);

    require(str_eq(scheme, "https"));
    require_same_host(place->host, host);
    require(port && str_to_u64(port, 1, UINT16_MAX, &number) == 0 && number == place->port);
    require(!part(url, CURLUPART_USER, 0) && !part(url, CURLUPART_PASSWORD, 0) &&
            !part(url, CURLUPART_FRAGMENT, 0));
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *)data, size);
    struct webhook_place place;
    const char *why = NULL;
    int r;

    if (!text)
        return 0;
    r = webhook_url_parse(text, &place);
    require(r == 0 || webhook_url_allowed("a.example", "443", text, &why) == -EINVAL);
    if (r == 0) {
        require(webhook_host_valid(place.host));
        require((webhook_url_allowed("a.example", "443", text, &why) == 0) ==
                (str_eq(place.host, "a.example") && place.port == 443));
        require_agreement(text, &place);
    }
    return 0;
}
