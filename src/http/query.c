/* Query strings and cookies: bytes of the client that become strings of the request.
 *
 * Decoding is strict: a '%' without two hex digits, or one that gives NUL, refuses the request, so that no
 * two readers of a log or a proxy can disagree on what was asked. '+' is a space, as forms and Python's
 * clients write it. Of parameters or cookies with one name the first counts. */
#include "http/internal.h"

#include "core/str.h"

#include <strings.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* In place. */
static bool decode(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (*s == '+') {
            *to++ = ' ';
        } else if (*s == '%') {
            int high = hex_value(s[1]), low = high < 0 ? -1 : hex_value(s[2]);

            if (low < 0 || (high | low) == 0)
                return false;
            *to++ = (char)(high << 4 | low);
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
    return true;
}

unsigned http_query_parse(struct http_request *req)
{
    size_t max = 1;

    if (!*req->query)
        return 0;
    for (const char *p = req->query; *p; p++)
        max += *p == '&';
    if (max > HTTP_QUERY_PARAMS_MAX)
        return MHD_HTTP_BAD_REQUEST;
    req->params = http_request_alloc(req, max * sizeof *req->params);

    char *rest = http_request_strdup(req, req->query), *word;

    while ((word = strsep(&rest, "&"))) {
        if (!*word)
            continue;

        char *value = strchr(word, '=');

        if (value)
            *value++ = '\0';
        else
            value = word + strlen(word);
        if (!decode(word) || !decode(value))
            return MHD_HTTP_BAD_REQUEST;
        req->params[req->n_params++] = (struct http_pair){word, value};
    }
    return 0;
}

const char *http_request_query(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_params; i++)
        if (str_eq(req->params[i].name, name))
            return req->params[i].value;
    return NULL;
}

/* RFC 6265 section 4.2.1: pairs separated by "; "; a value may stand in quotes, which are no part of it. */
static const char *find_cookie(const char *header, const char *name, size_t *ret_len)
{
    size_t n = strlen(name);

    for (const char *p = header; *p;) {
        p += strspn(p, "; \t");

        size_t len = strcspn(p, ";");
        const char *value = p + n + 1;

        if (len > n && p[n] == '=' && memcmp(p, name, n) == 0) {
            len -= n + 1;
            while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
                len--;
            if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
                value++;
                len -= 2;
            }
            *ret_len = len;
            return value;
        }
        p += len;
    }
    return NULL;
}

const char *http_request_cookie(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++) {
        size_t len;
        const char *value;

        if (strcasecmp(req->headers[i].name, "Cookie") != 0)
            continue;
        value = find_cookie(req->headers[i].value, name, &len);
        /* The memory that comes with a request is no part of what its const protects. */
        if (value)
            return http_request_strndup((struct http_request *)req, value, len);
    }
    return NULL;
}
