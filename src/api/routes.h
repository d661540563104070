/* The routes as numbers, for who counts by them: those of the table, one for all OPTIONS, one for all that is
 * no route. */
#pragma once

#include "api/api.h"

size_t route_count(void);
/* `route`: as http_request_route() gives it, NULL for none. */
size_t route_index(const void *route);
const char *route_method(size_t index);
const char *route_path(size_t index);

/* What the table says of one of them, for who describes it. */
struct route {
    const char *method, *path;
    enum http_body body;
    size_t body_max;
    const struct api_endpoint *endpoint;
};

/* False: it is none of the table. */
bool route_get(size_t index, const struct settings *settings, struct route *ret);
