/* Who is at the other end of a connection. What that goes by (client.h) is made once, when the connection is
 * opened, and kept with it. */
#pragma once

#include "api/client.h"
#include "http/http.h"

/* http_config's `admit` and `left`; the application is a struct api. Connections of proxies of ours are not
 * counted: their clients are many. */
void *peer_admit(void *app, const struct sockaddr *address);
void peer_left(void *app, void *peer);

/* Who is at the other end, be it a proxy. */
struct in6_addr peer_address(const struct http_request *req);
/* Whose address counts: the peer's, or what proxies of ours say of it. Within the request's handler. */
struct in6_addr peer_client_address(const struct http_request *req);
/* Its name, as client.h has it. */
void peer_name_client(const struct http_request *req, char ret[static CLIENT_ADDRESS_LEN + 1]);
