#include "api/peer.h"

#include "api/api.h"

struct peer {
    struct in6_addr address;
    bool is_proxy;
    char name[CLIENT_ADDRESS_LEN + 1]; /* where it is none */
};

static struct client_names names_of(const struct peer *peer)
{
    return (struct client_names){{[CLIENT_ADDRESS] = peer->name}};
}

void *peer_admit(void *app, const struct sockaddr *address)
{
    struct api *api = app;
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

void peer_left(void *app, void *arg)
{
    struct api *api = app;
    _cleanup_free_ struct peer *peer = arg;
    const struct client_names names = names_of(peer);

    if (!peer->is_proxy)
        slots_release(api->connections, &names);
}

void peer_name_client(const struct http_request *req, char ret[static CLIENT_ADDRESS_LEN + 1])
{
    const struct clients *clients = ((struct api *)http_request_app(req))->clients;
    const struct peer *peer = http_request_peer(req);
    struct in6_addr address = peer->address;
    const char *line = NULL;

    if (!peer->is_proxy) {
        memcpy(ret, peer->name, sizeof peer->name);
        return;
    }
    while (client_is_proxy(clients, &address) &&
           (line = http_request_header_before(req, "X-Forwarded-For", line)) &&
           client_forwarded(clients, line, &address))
        ;
    client_address_name(clients, &address, ret);
}
