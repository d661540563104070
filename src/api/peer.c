#include "api/peer.h"

#include "api/api.h"
#include "api/metrics.h"

struct peer {
    struct in6_addr address;
    bool is_proxy;
    char name[CLIENT_ADDRESS_LEN + 1]; /* where it is none */
};

static struct client_names names_of(const struct peer *peer)
{
    return (struct client_names){{[CLIENT_ADDRESS] = peer->name}};
}

static struct peer *admit(struct api *api, const struct sockaddr *address)
{
    _cleanup_free_ struct peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        return NULL;
    peer->address = client_of_peer(address);
    peer->is_proxy = client_is_proxy(api->clients, &peer->address);
    if (peer->is_proxy)
        return TAKE_PTR(peer);
    client_address_name(api->clients, &peer->address, peer->name);

    const struct client_names names = names_of(peer);

    return slots_take(api->connections, &names) == 0 ? TAKE_PTR(peer) : NULL;
}

void *peer_admit(void *app, const struct sockaddr *address)
{
    struct api *api = app;
    struct peer *peer = admit(api, address);

    metrics_connection(api->metrics, peer != NULL);
    return peer;
}

void peer_left(void *app, void *arg)
{
    struct api *api = app;
    _cleanup_free_ struct peer *peer = arg;
    const struct client_names names = names_of(peer);

    metrics_connection_end(api->metrics);
    if (!peer->is_proxy)
        slots_release(api->connections, &names);
}

struct in6_addr peer_address(const struct http_request *req)
{
    const struct peer *peer = http_request_peer(req);

    return peer->address;
}

struct in6_addr peer_client_address(const struct http_request *req)
{
    const struct clients *clients = ((struct api *)http_request_app(req))->clients;
    struct in6_addr address = peer_address(req);
    const char *line = NULL;

    while (client_is_proxy(clients, &address) &&
           (line = http_request_header_before(req, "X-Forwarded-For", line)) &&
           client_forwarded(clients, line, &address))
        ;
    return address;
}

void peer_name_client(const struct http_request *req, char ret[static CLIENT_ADDRESS_LEN + 1])
{
    const struct peer *peer = http_request_peer(req);

    if (peer->is_proxy) {
        const struct in6_addr address = peer_client_address(req);

        client_address_name(((struct api *)http_request_app(req))->clients, &address, ret);
    } else {
        memcpy(ret, peer->name, sizeof peer->name);
    }
}
