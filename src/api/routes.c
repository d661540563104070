/* The route table: method, path, how the body is read, what must be proved first, and the handler. Each is
 * described in openapi/operations.json; the server does not start while one is not. */
#include "api/api.h"

#include "api/browser.h"
#include "api/pages.h"
#include "api/routes.h"
#include "core/str.h"

enum { JSON_BODY_MAX = 64 * 1024 };

/* clang-format off */
static const struct {
    const char *method, *path;
    enum http_body body;
    struct api_endpoint endpoint;
} table[] = {
    {"GET", "/session/init", HTTP_BODY_NONE, {API_NEEDS_OUR_PAGE | API_KNOWS_BEARERS, LIMIT_SESSION, NULL, api_session_init}},
    {"POST", "/upload", HTTP_BODY_STREAM, {API_NEEDS_CSRF, LIMIT_UPLOAD, NULL, api_upload}},
    {"OPTIONS", "/files", HTTP_BODY_NONE, {API_KNOWS_BEARERS, LIMIT_PAGE, NULL, api_tus_options}},
    {"POST", "/files", HTTP_BODY_STREAM, {API_NEEDS_CSRF, LIMIT_UPLOAD, NULL, api_tus_create}},
    {"GET", "/files/{id}", HTTP_BODY_NONE, {API_NEEDS_CSRF, LIMIT_READ, NULL, api_tus_show}},
    {"PATCH", "/files/{id}", HTTP_BODY_STREAM, {API_NEEDS_CSRF, LIMIT_UPLOAD, NULL, api_tus_append}},
    {"DELETE", "/files/{id}", HTTP_BODY_NONE, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_tus_remove}},
    {"POST", "/files/{id}", HTTP_BODY_STREAM, {API_NEEDS_CSRF, LIMIT_UPLOAD, NULL, api_tus_override}},
    {"POST", "/duplicate", HTTP_BODY_MEMORY, {API_NEEDS_CSRF, LIMIT_UPLOAD, NULL, api_duplicate}},
    {"POST", "/convert", HTTP_BODY_MEMORY, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_convert}},
    {"POST", "/retry", HTTP_BODY_MEMORY, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_retry}},
    {"POST", "/cancel", HTTP_BODY_MEMORY, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_cancel}},
    {"POST", "/delete", HTTP_BODY_MEMORY, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_delete}},
    {"GET", "/job_status", HTTP_BODY_NONE, {API_NEEDS_SESSION, LIMIT_READ, api_job_status_ahead, api_job_status}},
    {"GET", "/events", HTTP_BODY_NONE, {API_NEEDS_SESSION, LIMIT_READ, NULL, api_events}},
    {"GET", "/history", HTTP_BODY_NONE, {API_NEEDS_PREMIUM, LIMIT_READ, NULL, api_history}},
    {"DELETE", "/history", HTTP_BODY_NONE, {API_NEEDS_CSRF | API_NEEDS_PREMIUM, LIMIT_CONVERT, NULL, api_history_empty}},
    {"POST", "/download_token", HTTP_BODY_MEMORY, {API_NEEDS_CSRF | API_READS, LIMIT_DOWNLOAD, NULL, api_download_token}},
    {"GET", "/download", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_DOWNLOAD, NULL, api_download}},
    {"GET", "/preview", HTTP_BODY_NONE, {API_NEEDS_SESSION, LIMIT_DOWNLOAD, NULL, api_preview}},
    {"GET", "/download/archive", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_DOWNLOAD, NULL, api_download_archive}},
    {"POST", "/v1/convert", HTTP_BODY_STREAM, {API_NEEDS_CSRF | API_MAY_BE_ANONYMOUS, LIMIT_UPLOAD, NULL, api_one_call}},
    {"GET", "/v1/jobs/{id}", HTTP_BODY_NONE, {API_NEEDS_SESSION, LIMIT_READ, api_job_status_ahead, api_job_status}},
    {"DELETE", "/v1/jobs/{id}", HTTP_BODY_NONE, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_job_delete}},
    {"GET", "/v1/jobs/{id}/result", HTTP_BODY_NONE, {API_NEEDS_SESSION, LIMIT_DOWNLOAD, NULL, api_result}},
    {"POST", "/v1/jobs/{id}/cancel", HTTP_BODY_MEMORY, {API_NEEDS_CSRF, LIMIT_CONVERT, NULL, api_job_cancel}},
    {"POST", "/session/close", HTTP_BODY_MEMORY, {API_NEEDS_CSRF | API_MAY_BE_CLOSING, LIMIT_SESSION, NULL, api_session_close}},
    {"POST", "/auth/login", HTTP_BODY_MEMORY, {API_NEEDS_OUR_PAGE, LIMIT_LOGIN, NULL, api_auth_login}},
    {"POST", "/auth/refresh", HTTP_BODY_MEMORY, {API_NEEDS_OUR_PAGE, LIMIT_SESSION, NULL, api_auth_refresh}},
    {"POST", "/auth/logout", HTTP_BODY_MEMORY, {API_NEEDS_OUR_PAGE, LIMIT_SESSION, NULL, api_auth_logout}},
    {"GET", "/auth/me", HTTP_BODY_NONE, {API_NEEDS_ACCOUNT, LIMIT_READ, NULL, api_auth_me}},
    {"GET", "/auth/oidc/login", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_LOGIN, NULL, api_oidc_login}},
    {"GET", "/auth/oidc/callback", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_LOGIN, NULL, api_oidc_callback}},
    {"GET", "/.well-known/jwks.json", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_auth_jwks}},
    {"GET", "/", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_index}},
    {"GET", "/formats", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_formats}},
    {"GET", "/healthz", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_NONE, NULL, api_healthz}},
    {"GET", "/readyz", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_readyz}},
    {"GET", "/metrics", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_NONE, NULL, api_metrics}},
    {"GET", "/openapi.json", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_openapi}},
    {"GET", "/docs", HTTP_BODY_NONE, {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_docs}},
};
/* clang-format on */

/* Where CORS is open, each path answers OPTIONS. Where it is closed, that is a method like any other. */
static const struct api_endpoint preflight = {API_NEEDS_NOTHING, LIMIT_NONE, NULL, browser_preflight};

/* Each file of the web page but "/" is a path of its own. */
static const struct api_endpoint page_file = {API_NEEDS_NOTHING, LIMIT_PAGE, NULL, api_page};

enum { ANY_OPTIONS = ARRAY_SIZE(table), PAGE_FILE, NO_ROUTE, N_INDEXES };

size_t route_count(void)
{
    return N_INDEXES;
}

size_t route_index(const void *route)
{
    if (route == &preflight)
        return ANY_OPTIONS;
    if (route == &page_file)
        return PAGE_FILE;
    return route ? (size_t)((const char *)route - (const char *)&table[0].endpoint) / sizeof table[0]
                 : NO_ROUTE;
}

static const struct {
    const char *method, *path;
} unlisted[] = {
    [ANY_OPTIONS - ARRAY_SIZE(table)] = {"OPTIONS", "any"},
    [PAGE_FILE - ARRAY_SIZE(table)] = {"GET", "page"},
    [NO_ROUTE - ARRAY_SIZE(table)] = {"other", "none"},
};

const char *route_method(size_t index)
{
    return index < ARRAY_SIZE(table) ? table[index].method : unlisted[index - ARRAY_SIZE(table)].method;
}

const char *route_path(size_t index)
{
    return index < ARRAY_SIZE(table) ? table[index].path : unlisted[index - ARRAY_SIZE(table)].path;
}

static size_t body_max(const struct settings *settings, enum http_body body)
{
    /* Boundaries, part headers and small fields around the file. */
    const uint64_t framing = 64 * 1024;

    return body == HTTP_BODY_STREAM ? settings->max_upload_bytes + framing : JSON_BODY_MAX;
}

bool route_get(size_t index, const struct settings *settings, struct route *ret)
{
    if (index >= ARRAY_SIZE(table))
        return false;
    *ret = (struct route){.method = table[index].method,
                          .path = table[index].path,
                          .body = table[index].body,
                          .body_max = body_max(settings, table[index].body),
                          .endpoint = &table[index].endpoint};
    return true;
}

static bool has_path(const struct http_route *routes, size_t n, const char *method, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(routes[i].method, method) && str_eq(routes[i].path, path))
            return true;
    return false;
}

static size_t add_preflights(struct http_route *routes, size_t n)
{
    size_t all = n;

    for (size_t i = 0; i < n; i++)
        if (!has_path(routes, all, "OPTIONS", routes[i].path))
            routes[all++] = (struct http_route){.method = "OPTIONS",
                                                .path = routes[i].path,
                                                .body = HTTP_BODY_NONE,
                                                .handler = api_dispatch,
                                                .data = &preflight};
    return all;
}

/* What the table has goes before. */
static size_t add_pages(struct http_route *routes, size_t n, const struct pages *pages)
{
    for (size_t i = 0; i < pages_count(pages); i++)
        if (!has_path(routes, n, "GET", pages_path(pages, i)))
            routes[n++] = (struct http_route){.method = "GET",
                                              .path = pages_path(pages, i),
                                              .body = HTTP_BODY_NONE,
                                              .handler = api_dispatch,
                                              .data = &page_file};
    return n;
}

struct http_route *api_routes(const struct settings *settings, const struct pages *pages, size_t *ret_n)
{
    size_t n = ARRAY_SIZE(table), most = n + (pages ? pages_count(pages) : 0);
    struct http_route *routes = calloc(2 * most, sizeof *routes);

    if (!routes)
        return NULL;
    for (size_t i = 0; i < n; i++)
        routes[i] = (struct http_route){
            .method = table[i].method,
            .path = table[i].path,
            .body = table[i].body,
            .body_max = body_max(settings, table[i].body),
            .handler = api_dispatch,
            .data = &table[i].endpoint,
        };
    if (pages)
        n = add_pages(routes, n, pages);
    *ret_n = *settings->cors_origins ? add_preflights(routes, n) : n;
    return routes;
}
