#include "http/internal.h"

#include "core/str.h"

static bool method_fits(const struct http_route *route, const char *method)
{
    return str_eq(route->method, method) || (str_eq(method, "HEAD") && str_eq(route->method, "GET"));
}

void http_request_allow(const struct http_request *req, struct buf *out)
{
    for (size_t i = 0; i < req->config->n_routes; i++) {
        const struct http_route *route = &req->config->routes[i];

        if (str_eq(route->path, req->path))
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

    for (size_t i = 0; i < req->config->n_routes; i++) {
        const struct http_route *route = &req->config->routes[i];

        if (!str_eq(route->path, req->path))
            continue;
        known = true;
        if (method_fits(route, req->method)) {
            req->route = route;
            return 0;
        }
    }
    if (!known)
        return MHD_HTTP_NOT_FOUND;
    set_allow(req);
    return MHD_HTTP_METHOD_NOT_ALLOWED;
}
