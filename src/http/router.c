#include "http/internal.h"

#include "core/str.h"

/* Does the path have the form of the route's? Then `ret_param` is where the segment begins that stands for
 * `{…}`, NULL where there is none. */
static bool path_fits(const char *form, const char *path, const char **ret_param)
{
    const char *brace = strchr(form, '{');
    size_t fixed, len;

    *ret_param = NULL;
    if (!brace)
        return str_eq(form, path);
    fixed = (size_t)(brace - form);
    if (strncmp(form, path, fixed) != 0)
        return false;
    *ret_param = path + fixed;
    len = strcspn(*ret_param, "/");
    return len > 0 && str_eq(strchr(brace, '}') + 1, *ret_param + len);
}

static bool method_fits(const struct http_route *route, const char *method)
{
    return str_eq(route->method, method) || (str_eq(method, "HEAD") && str_eq(route->method, "GET"));
}

void http_request_allow(const struct http_request *req, struct buf *out)
{
    const char *param;

    for (size_t i = 0; i < req->config->n_routes; i++) {
        const struct http_route *route = &req->config->routes[i];

        if (path_fits(route->path, req->path, &param))
            buf_printf(out, "%s%s%s", out->len ? ", " : "", route->method,
                       str_eq(route->method, "GET") ? ", HEAD" : "");
    }
}

static void set_allow(struct http_request *req)
{
    _cleanup_buf_ struct buf allow = BUF_INIT(512);

    http_request_allow(req, &allow);
    if (!buf_error(&allow))
        http_reply_header(req, "Allow", allow.data);
}

unsigned http_router_find(struct http_request *req)
{
    bool known = false;
    const char *param;

    for (size_t i = 0; i < req->config->n_routes; i++) {
        const struct http_route *route = &req->config->routes[i];

        if (!path_fits(route->path, req->path, &param))
            continue;
        known = true;
        if (method_fits(route, req->method)) {
            req->route = route;
            req->param = param ? http_request_strndup(req, param, strcspn(param, "/")) : NULL;
            return 0;
        }
    }
    if (!known)
        return MHD_HTTP_NOT_FOUND;
    set_allow(req);
    return MHD_HTTP_METHOD_NOT_ALLOWED;
}
