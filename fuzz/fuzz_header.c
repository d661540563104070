/* What of a request's header we take apart ourselves: the target, its query, and cookies. An input is a URI
 * and a Cookie, each on its line. Both are read a second time, slowly, and must say the same. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "http/internal.h"

#include <ctype.h>
#include <strings.h>

/* A new string, or NULL where the encoding is no good. */
static char *decode_slowly(const char *s, size_t len)
{
    char *out = calloc(1, len + 1), *to = out;

    require(out != NULL);
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {0};

        if (s[i] != '%') {
            *to++ = s[i] == '+' ? ' ' : s[i];
            continue;
        }
        if (len - i < 3 || !isxdigit((unsigned char)s[i + 1]) || !isxdigit((unsigned char)s[i + 2]) ||
            (s[i + 1] == '0' && s[i + 2] == '0')) {
            free(out);
            return NULL;
        }
        memcpy(digits, s + i + 1, 2);
        *to++ = (char)strtoul(digits, NULL, 16);
        i += 2;
    }
    return out;
}

/* Is the `n`th parameter what stands in `word`? If the word is no good, the whole query must be refused. */
static bool same_pair(const struct http_request *req, size_t n, const char *word, size_t len, bool taken)
{
    const char *equals = memchr(word, '=', len);
    size_t name_len = equals ? (size_t)(equals - word) : len;
    _cleanup_free_ char *name = decode_slowly(word, name_len),
                        *value = equals ? decode_slowly(equals + 1, len - name_len - 1) : strdup("");

    if (!name || !value) {
        require(!taken);
        return false;
    }
    if (taken)
        require(n < req->n_params && str_eq(req->params[n].name, name) &&
                str_eq(req->params[n].value, value));
    return true;
}

static void require_query(struct http_request *req)
{
    bool taken = http_query_parse(req) == 0, good = true;
    size_t n = 0, words = 1;

    for (const char *p = req->query; *p; p++)
        words += *p == '&';
    for (const char *p = req->query, *end; good && *p; p = *end ? end + 1 : end) {
        end = strchrnul(p, '&');
        if (end > p)
            good = same_pair(req, n++, p, (size_t)(end - p), taken);
    }
    require(taken == (good && words <= HTTP_QUERY_PARAMS_MAX));
    if (!taken)
        return;
    require(n == req->n_params);
    for (size_t i = n; i-- > 0;) { /* the first of a name counts */
        size_t first = 0;

        while (!str_eq(req->params[first].name, req->params[i].name))
            first++;
        require(http_request_query(req, req->params[i].name) == req->params[first].value);
    }
}

static char *find_cookie_slowly(const char *header, const char *name)
{
    _cleanup_free_ char *copy = strdup(header);
    char *rest = copy, *pair;

    require(copy != NULL);
    while ((pair = strsep(&rest, ";"))) {
        size_t len;

        pair += strspn(pair, " \t");
        if (!str_starts(pair, name) || pair[strlen(name)] != '=')
            continue;
        pair += strlen(name) + 1;
        for (len = strlen(pair); len > 0 && strchr(" \t", pair[len - 1]); len--)
            ;
        if (len >= 2 && pair[0] == '"' && pair[len - 1] == '"')
            return strndup(pair + 1, len - 2);
        return strndup(pair, len);
    }
    return NULL;
}

static void require_cookie(struct http_request *req, char *header, const char *name)
{
    struct http_pair headers[] = {{"Accept", "*/*"}, {"cookie", header}};
    _cleanup_free_ char *slow = find_cookie_slowly(header, name);
    const char *value;

    req->headers = headers;
    req->n_headers = ARRAY_SIZE(headers);
    value = http_request_cookie(req, name);
    require(slow ? str_eq(value, slow) : !value);
    req->n_headers = 0;
}

/* Whatever host an absolute URI names, it is not part of the path. */
static void require_path(const struct http_request *req, const char *uri)
{
    bool absolute = strncasecmp(uri, "http://", 7) == 0 || strncasecmp(uri, "https://", 8) == 0;

    require(!strchr(req->path, '?'));
    require(!absolute || *req->path == '/');
    require(strlen(req->path) + strlen(req->query) <= strlen(uri));
    if (!absolute)
        require(str_starts(uri, req->path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_loop loop = {0};
    struct http_connection conn = {.loop = &loop};
    _cleanup_free_ char *text = strndup((const char *)data, size);
    char *rest = text, *uri = strsep(&rest, "\n"), *cookie = rest ? rest : text + strlen(text);
    struct http_request *req = http_request_new(&conn, uri);

    require_path(req, uri);
    require_query(req);
    require_cookie(req, cookie, "session_id");
    require_cookie(req, cookie, "a");
    http_request_unref(req);
    return 0;
}
