/* What of a request's header we read ourselves: query, cookies, ranges. An input is a URI, a Cookie and a
 * Range, each on its line. */
#include "fuzz.h"

#include "core/cleanup.h"
#include "http/internal.h"

static void require_range(const char *range, uint64_t size)
{
    uint64_t first, len;

    switch (http_range_parse(range, size, &first, &len)) {
    case HTTP_RANGE_WHOLE:
        require(first == 0 && len == size);
        break;
    case HTTP_RANGE_PART:
        require(len > 0 && first < size && len <= size - first);
        break;
    case HTTP_RANGE_UNSATISFIABLE:
        break;
    }
}

static void require_query(struct http_request *req)
{
    size_t longest = strlen(req->query);

    if (http_query_parse(req) != 0)
        return;
    require(req->n_params <= HTTP_QUERY_PARAMS_MAX);
    for (size_t i = 0; i < req->n_params; i++) {
        const char *first = http_request_query(req, req->params[i].name);

        require(first && strlen(first) <= longest && strlen(req->params[i].value) <= longest);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_loop loop = {0};
    struct http_connection conn = {.loop = &loop};
    _cleanup_free_ char *text = strndup((const char *)data, size);
    char *rest = text, *uri = strsep(&rest, "\n"), *cookie = strsep(&rest, "\n"), *range = rest;
    struct http_pair headers[] = {{"Accept", "*/*"}, {"cookie", cookie ? cookie : ""}};
    struct http_request *req = http_request_new(&conn, uri);
    const char *value;

    require(req->path && !strchr(req->path, '?'));
    require_query(req);

    req->headers = headers;
    req->n_headers = ARRAY_SIZE(headers);
    if ((value = http_request_cookie(req, "session_id")))
        require(!strchr(value, ';') && strlen(value) <= strlen(headers[1].value));

    for (uint64_t length = 0; length < 4; length++)
        require_range(range, length);
    require_range(range, 1000);
    require_range(range, UINT64_MAX);
    http_request_unref(req);
    return 0;
}
