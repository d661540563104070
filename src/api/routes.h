/* The routes as numbers, for who counts by them: those of the table, one for all OPTIONS, one for all that is
 * no route. */
#pragma once

#include <stddef.h>

size_t route_count(void);
/* `route`: as http_request_route() gives it, NULL for none. */
size_t route_index(const void *route);
const char *route_method(size_t index);
const char *route_path(size_t index);
